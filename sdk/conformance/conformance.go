// Package conformance holds the suite every connector passes, in whatever language it is written: it starts the
// real executable as the hub does and looks at what it answers. In a test:
//
//	conformance.Run(t, conformance.Case{
//		Path:    "bin/connectors/shopfront",
//		Config:  `{"url": "` + server.URL + `"}`,
//		Secrets: map[string]string{"token": "t-1"},
//		Records: map[string]int{"contacts": 250},
//	})
//
// The other side should be a fake that stands still while the suite runs, as most checks read twice and compare.
package conformance

import (
	"context"
	"fmt"
	"slices"
	"time"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// Case describes one connector and the system it is tried on.
type Case struct {
	// Path of the executable.
	Path string
	// Env adds to the connector's environment, as "NAME=value". Nothing of the caller's is handed on.
	Env []string
	// Config is a right configuration as JSON, without secrets.
	Config string
	// Secrets are the values of its secret fields by dotted path. None may show up in logs, answers or errors.
	Secrets map[string]string
	// Token is an OAuth2 access token, for connectors that use one.
	Token string
	// TimeZone and Currency of the workspace; UTC and EUR when empty.
	TimeZone, Currency string
	// Offline leaves out the live part of Check.
	Offline bool
	// BadConfigs are wrong configurations with the fields that must be reported. Unknown and missing fields are
	// tried without being listed here.
	BadConfigs []BadConfig
	// Records says how many different keys a full read of a stream must give. Streams not named may be of any size.
	Records map[string]int
	// Skipped says how many records of a stream must be skipped in a full read; 0 for streams not named.
	Skipped map[string]int
	// Targets are tried for membership, one after the other.
	Targets []TargetCase
	// Only limits the run to some kinds of checks: spec, config, paging, repeat, resume, incremental, ids, by key,
	// members, secrets. Empty means all. The spec and, for the streams' other checks, paging run in any case.
	Only []string
	// Timeout bounds each call; 0 means 30 s.
	Timeout time.Duration
}

// BadConfig is a wrong configuration.
type BadConfig struct {
	Name    string
	Config  string
	Secrets map[string]string
	// Fields are dotted paths, each of which a problem must name. More problems may be reported.
	Fields []string
}

// TargetCase is a target to try membership on. It may have members; those of People are taken off.
type TargetCase struct {
	Kind string
	// Name of the target; it is created when the kind can do that and none has this name.
	Name string
	// People to put on and take off, at least two.
	People []Person
}

// Person is somebody to put on a target.
type Person struct{ Email, Phone, RemoteKey, Stream string }

// T is the part of testing.TB the suite needs, so that it can run outside of tests too.
type T interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Check is the outcome of one check.
type Check struct {
	// Name, e.g. "resume contacts".
	Name string
	// Findings say what is wrong; empty when all is well.
	Findings []string
	// Notes say what could not be looked at, and why.
	Notes []string
	Took  time.Duration
}

// Run verifies a case and reports every finding as an error of the test.
func Run(t T, c Case) {
	t.Helper()
	for _, check := range Verify(t.Context(), c) {
		t.Logf("%s: %d findings in %s", check.Name, len(check.Findings), check.Took.Round(time.Millisecond))
		for _, note := range check.Notes {
			t.Logf("%s: %s", check.Name, note)
		}
		for _, finding := range check.Findings {
			t.Errorf("%s: %s", check.Name, finding)
		}
	}
}

// Verify runs all checks and returns their outcomes in order. A connector that cannot be started fails the first.
func Verify(ctx context.Context, c Case) []Check {
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.TimeZone == "" {
		c.TimeZone = "UTC"
	}
	if c.Currency == "" {
		c.Currency = "EUR"
	}
	s := &suite{ctx: ctx, c: c}
	defer s.stop()
	s.check("spec", s.checkSpec)
	if s.spec == nil {
		return s.checks
	}
	if s.wants("config") {
		s.check("config", s.checkConfig)
	}
	for _, stream := range s.offered() {
		s.checkStream(stream)
	}
	for _, target := range c.Targets {
		if !s.wants("members") {
			break
		}
		s.check("members "+target.Kind, func(r *report) { s.checkMembers(r, target) })
	}
	if s.wants("secrets") {
		s.check("secrets", s.checkSecrets)
	}
	return s.checks
}

// wants tells whether a kind of checks is to run.
func (s *suite) wants(kind string) bool { return len(s.c.Only) == 0 || slices.Contains(s.c.Only, kind) }

// suite is one run.
type suite struct {
	ctx    context.Context // of the one run all methods belong to
	c      Case
	spec   *connectorv1.DescribeResponse
	proc   *process
	logs   logs
	checks []Check
	// said collects the texts the connector answered, to look for secrets in.
	said []string
}

// report collects what one check finds.
type report struct{ check *Check }

// maxFindings bounds a check's findings: one fault often shows a thousand times.
const maxFindings = 20

func (r *report) fail(format string, args ...any) {
	if len(r.check.Findings) < maxFindings {
		r.check.Findings = append(r.check.Findings, fmt.Sprintf(format, args...))
	}
}

func (r *report) note(format string, args ...any) {
	r.check.Notes = append(r.check.Notes, fmt.Sprintf(format, args...))
}

// check runs one check on a living process.
func (s *suite) check(name string, run func(r *report)) {
	began := time.Now()
	outcome := Check{Name: name}
	r := &report{check: &outcome}
	if err := s.start(); err != nil {
		r.fail("the connector does not start: %v", err)
	} else {
		run(r)
		if s.proc != nil && !s.proc.lives() {
			r.fail("the connector's process ended during the check; its last log lines: %s", s.logs.tail())
		}
	}
	outcome.Took = time.Since(began)
	s.checks = append(s.checks, outcome)
}
