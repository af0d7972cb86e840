package conformance_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/regulars/regulars/sdk/conformance"
)

func TestMain(m *testing.M) {
	if os.Getenv(actAsConnector) != "" {
		serve() // this process is the connector under test
		return
	}
	goleak.VerifyTestMain(m)
}

// clubCase tries the connector of this test, with a fault if one is named.
func clubCase(t *testing.T, fault string) conformance.Case {
	t.Helper()
	return conformance.Case{
		Path:    os.Args[0],
		Env:     []string{actAsConnector + "=1", actFault + "=" + fault},
		Config:  fmt.Sprintf(`{"folder": %q, "pages": 3, "login": {"user": "u"}}`, t.TempDir()),
		Secrets: map[string]string{"login.password": "hush-hush-1"},
		Token:   "token-token-1",
		Records: map[string]int{"people": 63, "orders": 30},
		Skipped: map[string]int{"people": 3},
		BadConfigs: []conformance.BadConfig{
			{Name: "three faults", Config: `{"folder": 1, "pages": 0}`, Fields: []string{"folder", "pages", "login.password"}},
		},
		Targets: []conformance.TargetCase{
			{Kind: "list", Name: "Regulars", People: []conformance.Person{{Email: "a@example.com"}, {Email: "B@example.com"}, {Email: "c@example.com"}}},
		},
	}
}

func TestConformingConnector(t *testing.T) {
	conformance.Run(t, clubCase(t, ""))
}

// TestFaultsAreFound: each fault of a connector that is right otherwise is found by the check that is there for it.
func TestFaultsAreFound(t *testing.T) {
	tests := []struct {
		fault, check, finding string
	}{
		{"undocumented name", "spec", `the name "Club" is not lower case`},
		{"version", "spec", `the version "one" is not semantic`},
		{"offers what is not there", "config", `it offers the stream "animals", which is not in the spec`},
		{"two of a key", "paging people", `the key "p0-1" stands for two different records in one read`},
		{"invalid entity", "paging orders", "is no order"},
		{"records missing", "paging people", "it has 62 records, expected are 63"},
		{"skips more", "paging people", "4 records are skipped, expected are 3"},
		{"snapshots", "paging people", "the pages of one read name the snapshots"},
		{"stuck cursor", "paging people", "the connector's cursor does not move on"},
		{"cursor forgotten on restart", "resume people", "the records differ"},
		{"another answer each time", "repeat people", "asked for twice, is not the same"},
		{"always news", "incremental people", "comes although nothing changed"},
		{"no cursor at the end", "incremental people", "gives no cursor to read on from"},
		{"ids forget", "ids people", "mode ids gives 62 keys, the full read 63"},
		{"by key forgets", "by key people", "asked for 3 keys"},
		{"ends", "paging people", "the connector's process ended during the check"},
		{"live check fails", "config", "the live Check has a problem: folder: is not there"},
		{"adds nobody", "members list", "after putting on: person 1 should be on the target: true, is: false"},
		{"removes nobody", "members list", "after taking one off: person 1 should be on the target: false, is: true"},
		{"refuses who is not there", "members list", "the result of person 1 is STATE_REJECTED: is not on the list"},
		{"refuses who is there", "members list", "put on again: the result of person 1 is STATE_REJECTED: is on the list"},
		{"forgets on restart", "members list", "in a fresh process: person 2 should be on the target: true, is: false"},
		{"creates twice", "members list", "creating a target that exists gives"},
		{"not listed", "members list", "the target is not in the list"},
		{"one result short", "members list", "so it is unknown which were done"},
		{"logs the secret", "secrets", "the secret login.password is in the log"},
		{"prints the token", "secrets", "the access token is in the log"},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			var found []string
			c := clubCase(t, test.fault)
			c.Only = []string{strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(test.check, " people"), " orders"), " list")}
			if test.check == "secrets" {
				c.Only = append(c.Only, "paging") // something must be read for something to show
			}
			for _, check := range conformance.Verify(t.Context(), c) {
				for _, finding := range check.Findings {
					found = append(found, check.Name+": "+finding)
					if check.Name == test.check && strings.Contains(finding, test.finding) {
						return
					}
				}
			}
			t.Errorf("not found; findings:\n%s", strings.Join(found, "\n"))
		})
	}
}

func TestConnectorThatDoesNotStart(t *testing.T) {
	checks := conformance.Verify(t.Context(), conformance.Case{Path: "/no/such/connector", Config: `{}`})
	require.Len(t, checks, 1)
	require.Contains(t, checks[0].Findings[0], "the connector does not start")
}

// recorder is a T that is no test.
type recorder struct {
	ctx    context.Context
	errors []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Logf(string, ...any)      {}
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestRunOutsideOfTests(t *testing.T) {
	r := &recorder{ctx: t.Context()}
	c := clubCase(t, "version")
	c.Targets = nil
	conformance.Run(r, c)
	require.Equal(t, []string{`spec: the version "one" is not semantic`}, r.errors)
}
