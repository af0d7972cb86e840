package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// unknownField is a name no connector has.
const unknownField = "no_such_field_here"

// checkConfig tries the right configuration and wrong ones. Every fault must be reported, all at once, each with
// its field.
func (s *suite) checkConfig(r *report) {
	s.rightConfig(r)
	for _, bad := range append(s.faultsOfAnyConnector(), s.c.BadConfigs...) {
		s.wrongConfig(r, bad)
	}
}

func (s *suite) rightConfig(r *report) {
	offline, err := call(s, s.proc.api.Check, &connectorv1.CheckRequest{Config: []byte(s.c.Config), Access: s.access(s.c.Secrets), Offline: true})
	if err != nil {
		r.fail("Check of the right configuration: %v", err)
		return
	}
	s.said = append(s.said, offline.String())
	for _, p := range offline.GetProblems() {
		r.fail("the right configuration has a problem: %s: %s", p.GetField(), p.GetMessage())
	}
	for _, name := range offline.GetOffer().GetStreams() {
		if !slices.ContainsFunc(s.spec.GetStreams(), func(st *connectorv1.StreamSpec) bool { return st.GetName() == name }) {
			r.fail("it offers the stream %q, which is not in the spec", name)
		}
	}
	if len(offline.GetConfig()) == 0 {
		r.fail("Check does not return the configuration with its defaults")
		return
	}
	again, err := call(s, s.proc.api.Check, &connectorv1.CheckRequest{Config: offline.GetConfig(), Access: s.access(s.c.Secrets), Offline: true})
	switch {
	case err != nil:
		r.fail("Check of the configuration it returned: %v", err)
	case len(again.GetProblems()) > 0:
		r.fail("the configuration Check returned has a problem: %s: %s", again.GetProblems()[0].GetField(), again.GetProblems()[0].GetMessage())
	case string(again.GetConfig()) != string(offline.GetConfig()):
		r.fail("checking the configuration that Check returned changes it again")
	}
	if s.c.Offline {
		return
	}
	live, err := call(s, s.proc.api.Check, &connectorv1.CheckRequest{Config: []byte(s.c.Config), Access: s.access(s.c.Secrets)})
	if err != nil {
		r.fail("the live Check: %v", err)
		return
	}
	s.said = append(s.said, live.String())
	for _, p := range live.GetProblems() {
		r.fail("the live Check has a problem: %s: %s", p.GetField(), p.GetMessage())
	}
}

// faultsOfAnyConnector are wrong configurations that follow from the spec alone.
func (s *suite) faultsOfAnyConnector() []BadConfig {
	var required []string
	for _, f := range s.spec.GetConfig() {
		if f.GetRequired() && !strings.Contains(f.GetPath(), ".") {
			required = append(required, f.GetPath())
		}
	}
	faults := []BadConfig{
		{Name: "an unknown field", Config: withUnknown(s.c.Config), Secrets: s.c.Secrets, Fields: []string{unknownField}},
		{Name: "nothing but an unknown field", Config: fmt.Sprintf(`{%q: 1}`, unknownField), Fields: append(required, unknownField)},
	}
	if len(required) > 0 {
		faults = append(faults, BadConfig{Name: "nothing at all", Config: `{}`, Fields: required})
	}
	return faults
}

func withUnknown(config string) string {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(config), &members); err != nil {
		return config // reported by the check of the spec
	}
	members[unknownField] = json.RawMessage(`1`)
	data, err := json.Marshal(members)
	if err != nil {
		return config
	}
	return string(data)
}

func (s *suite) wrongConfig(r *report, bad BadConfig) {
	resp, err := call(s, s.proc.api.Check, &connectorv1.CheckRequest{Config: []byte(bad.Config), Access: s.access(bad.Secrets), Offline: true})
	if err != nil {
		r.fail("%s: Check fails instead of telling the problems: %v", bad.Name, err)
		return
	}
	s.said = append(s.said, resp.String())
	var fields []string
	for _, p := range resp.GetProblems() {
		if p.GetKind() != connectorv1.Problem_KIND_INVALID_CONFIG {
			r.fail("%s: the problem of %s has the kind %s", bad.Name, p.GetField(), p.GetKind())
		}
		if p.GetMessage() == "" {
			r.fail("%s: the problem of %s has no message", bad.Name, p.GetField())
		}
		fields = append(fields, p.GetField())
	}
	for _, want := range bad.Fields {
		if !slices.Contains(fields, want) {
			r.fail("%s: no problem names the field %s; named: %v", bad.Name, want, fields)
		}
	}
	if len(fields) == 0 {
		r.fail("%s: no problem is reported", bad.Name)
	}
	s.refused(r, bad)
}

// refused makes sure that no call works on a wrong configuration.
func (s *suite) refused(r *report, bad BadConfig) {
	if len(s.spec.GetStreams()) == 0 {
		return
	}
	stream := s.spec.GetStreams()[0]
	_, err := call(s, s.proc.api.Read, &connectorv1.ReadRequest{
		Config: []byte(bad.Config), Access: s.access(bad.Secrets), Stream: stream.GetName(), Mode: stream.GetModes()[0],
	})
	if p := problemIn(err); err == nil || p.GetKind() != connectorv1.Problem_KIND_INVALID_CONFIG {
		r.fail("%s: Read does not refuse it with a problem of the configuration: %v", bad.Name, err)
	}
}

// checkSecrets looks for the case's secrets in everything the connector said and logged (R12).
func (s *suite) checkSecrets(r *report) {
	secrets := map[string]string{"the access token": s.c.Token}
	for path, value := range s.c.Secrets {
		secrets["the secret "+path] = value
	}
	logged := s.logs.all()
	for name, value := range secrets {
		if value == "" {
			continue
		}
		if strings.Contains(logged, value) {
			r.fail("%s is in the log", name)
		}
		if slices.ContainsFunc(s.said, func(text string) bool { return strings.Contains(text, value) }) {
			r.fail("%s is in an answer", name)
		}
	}
}
