package conformance

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
)

var (
	connectorName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	streamName    = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	semver        = regexp.MustCompile(`^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$`)
)

// checkSpec looks at what the connector says of itself.
func (s *suite) checkSpec(r *report) {
	spec, err := call(s, s.proc.api.Describe, &connectorv1.DescribeRequest{})
	if err != nil {
		r.fail("Describe: %v", err)
		return
	}
	s.spec = spec
	s.said = append(s.said, spec.String())
	if !connectorName.MatchString(spec.GetName()) {
		r.fail("the name %q is not lower case letters, digits and -", spec.GetName())
	}
	if !semver.MatchString(spec.GetVersion()) {
		r.fail("the version %q is not semantic", spec.GetVersion())
	}
	if spec.GetTitle() == "" {
		r.fail("the title is empty")
	}
	if len(spec.GetStreams()) == 0 && len(spec.GetTargets()) == 0 {
		r.fail("it has neither streams nor targets")
	}
	specFields(r, spec)
	s.specSchema(r)
	specStreams(r, spec)
	specTargets(r, spec)
}

func specFields(r *report, spec *connectorv1.DescribeResponse) {
	seen := map[string]bool{}
	for _, f := range spec.GetConfig() {
		switch {
		case f.GetPath() == "" || seen[f.GetPath()]:
			r.fail("the configuration field %q is empty or there twice", f.GetPath())
		case f.GetType() == connectorv1.ConfigField_TYPE_UNSPECIFIED:
			r.fail("the configuration field %s has no type", f.GetPath())
		case f.GetDoc() == "":
			r.fail("the configuration field %s is not documented", f.GetPath())
		case f.GetSecret() && (f.GetDefaultJson() != "" || f.GetExample() != ""):
			r.fail("the secret %s has a default or an example", f.GetPath())
		case f.GetDefaultJson() != "" && !json.Valid([]byte(f.GetDefaultJson())):
			r.fail("the default of %s is not JSON", f.GetPath())
		}
		seen[f.GetPath()] = true
	}
}

// specSchema compiles the configuration's schema and holds it against the right configuration as people write it,
// with the secrets in their places.
func (s *suite) specSchema(r *report) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.spec.GetConfigSchema()))
	if err != nil {
		r.fail("the configuration's schema is not JSON: %v", err)
		return
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("config.json", document); err != nil {
		r.fail("the configuration's schema: %v", err)
		return
	}
	schema, err := compiler.Compile("config.json")
	if err != nil {
		r.fail("the configuration's schema: %v", err)
		return
	}
	config, err := jsonschema.UnmarshalJSON(strings.NewReader(s.c.Config))
	if err != nil {
		r.fail("the case's Config is not JSON: %v", err)
		return
	}
	for path := range s.c.Secrets {
		place(config, strings.Split(path, "."), "a secret")
	}
	if err := schema.Validate(config); err != nil {
		r.fail("the right configuration does not fit the schema: %v", err)
	}
	members, ok := config.(map[string]any)
	if !ok {
		return
	}
	members[unknownField] = true
	if schema.Validate(config) == nil {
		r.fail("the schema accepts a field that does not exist")
	}
}

// place puts a value into a JSON document by its path, where the document has the places on the way.
func place(document any, path []string, value string) {
	members, ok := document.(map[string]any)
	if !ok {
		return
	}
	if len(path) == 1 {
		members[path[0]] = value
		return
	}
	place(members[path[0]], path[1:], value)
}

func specStreams(r *report, spec *connectorv1.DescribeResponse) {
	names := map[string]bool{}
	for _, st := range spec.GetStreams() {
		switch {
		case !streamName.MatchString(st.GetName()) || names[st.GetName()]:
			r.fail("the stream name %q is not lower case or there twice", st.GetName())
		case st.GetName() == connectorv1.MembersStream:
			r.fail("the stream name %q is taken by the members of targets", st.GetName())
		case !slices.Contains(entity.Kinds(), entity.Kind(st.GetEntity())):
			r.fail("the stream %s has the unknown entity %q", st.GetName(), st.GetEntity())
		case len(st.GetModes()) == 0 || slices.Contains(st.GetModes(), connectorv1.Mode_MODE_UNSPECIFIED):
			r.fail("the stream %s does not say its modes", st.GetName())
		case st.GetDoc() == "":
			r.fail("the stream %s is not documented", st.GetName())
		case st.GetDeletes() == connectorv1.StreamSpec_DELETES_IDS && !slices.Contains(st.GetModes(), connectorv1.Mode_MODE_IDS):
			r.fail("the stream %s sees deletions by ids without the mode for it", st.GetName())
		}
		names[st.GetName()] = true
	}
	for _, st := range spec.GetStreams() {
		for _, after := range st.GetAfter() {
			if !names[after] {
				r.fail("the stream %s comes after %q, which does not exist", st.GetName(), after)
			}
		}
	}
}

func specTargets(r *report, spec *connectorv1.DescribeResponse) {
	channels := []string{"", "email", "sms", "messenger", "push", "phone", "none"}
	identities := []string{"email", "phone"}
	for _, st := range spec.GetStreams() {
		identities = append(identities, st.GetName())
	}
	kinds := map[string]bool{}
	for _, t := range spec.GetTargets() {
		takesMembers := slices.Contains(t.GetActions(), connectorv1.ActionKind_ACTION_KIND_MEMBER)
		switch {
		case t.GetKind() == "" || kinds[t.GetKind()]:
			r.fail("the target kind %q is empty or there twice", t.GetKind())
		case !slices.Contains(channels, t.GetChannel()):
			r.fail("the target %s has the unknown channel %q", t.GetKind(), t.GetChannel())
		case len(t.GetActions()) == 0:
			r.fail("the target %s does not say its actions", t.GetKind())
		case takesMembers && !slices.Contains(identities, t.GetIdentity()):
			r.fail("the target %s identifies members by %q, which is neither email, phone nor a stream", t.GetKind(), t.GetIdentity())
		case t.GetDoc() == "":
			r.fail("the target %s is not documented", t.GetKind())
		}
		kinds[t.GetKind()] = true
	}
}
