package runner

import (
	"encoding/json"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
)

// maxDoc is how many bytes of a documentation text are kept.
const maxDoc = 4 << 10

// spec reads a connector's description. Kinds this hub does not know, from a later v1, are left out where they only
// add abilities.
func (d decoder) spec(r *connectorv1.DescribeResponse) (connector.Spec, error) {
	spec := connector.Spec{
		Name: r.GetName(), Version: d.label(r.GetVersion()), Title: title(r.GetTitle()), DocsURL: d.label(r.GetDocsUrl()),
		ConfigSchema: r.GetConfigSchema(), DataCountry: d.label(r.GetDataCountry()), AutoMTLS: r.GetAutoMtls(),
		HasFields: r.GetHasFields(), HasWebhooks: r.GetHasWebhooks(),
	}
	if !validName(spec.Name) {
		return spec, broken("Describe", "names no connector: a name is made of letters, digits, '-', '_' and '.'")
	}
	if len(spec.ConfigSchema) > 0 && !json.Valid(spec.ConfigSchema) {
		return spec, broken("Describe", "holds a configuration schema that is not JSON")
	}
	for _, f := range r.GetConfig() {
		if f.GetPath() == "" {
			return spec, broken("Describe", "holds a configuration field without a path")
		}
		if f.GetDefaultJson() != "" && !json.Valid([]byte(f.GetDefaultJson())) {
			return spec, broken("Describe", "holds a default that is not JSON, of the field %s", d.label(f.GetPath()))
		}
		spec.Config = append(spec.Config, connector.ConfigField{
			Path: d.label(f.GetPath()), Type: fieldTypes[f.GetType()], Doc: printable(f.GetDoc(), maxDoc), Required: f.GetRequired(),
			Secret: f.GetSecret(), DefaultJSON: f.GetDefaultJson(), Example: printable(f.GetExample(), maxDoc), OneOf: f.GetOneOf(),
		})
	}
	for _, s := range r.GetStreams() {
		if _, twice := spec.Stream(s.GetName()); twice || !validName(s.GetName()) {
			return spec, broken("Describe", "holds a stream whose name is missing, not plain, or taken: %q", d.label(s.GetName()))
		}
		spec.Streams = append(spec.Streams, d.streamSpec(s))
	}
	for _, t := range r.GetTargets() {
		if t.GetKind() == "" {
			return spec, broken("Describe", "holds a target without a kind")
		}
		spec.Targets = append(spec.Targets, d.targetSpec(t))
	}
	return spec, nil
}

func (d decoder) streamSpec(s *connectorv1.StreamSpec) connector.StreamSpec {
	stream := connector.StreamSpec{
		Name: s.GetName(), Entity: entity.Kind(d.label(s.GetEntity())), PersonKey: s.GetKey() == connectorv1.StreamSpec_KEY_KIND_PERSON,
		Deletes: deletes[s.GetDeletes()], Webhooks: s.GetWebhooks(), ByKey: s.GetByKey(), Ranges: s.GetRanges(),
		Doc: printable(s.GetDoc(), maxDoc), After: s.GetAfter(),
	}
	for _, wire := range s.GetModes() {
		for mode, known := range modes {
			if wire == known {
				stream.Modes = append(stream.Modes, mode)
			}
		}
	}
	return stream
}

func (d decoder) targetSpec(t *connectorv1.TargetSpec) connector.TargetSpec {
	target := connector.TargetSpec{
		Kind: d.label(t.GetKind()), Channel: d.label(t.GetChannel()), Readback: t.GetReadback(), CanCreate: t.GetCanCreate(),
		Identity: d.label(t.GetIdentity()), OpenTraits: t.GetOpenTraits(), Idempotent: t.GetIdempotent(),
		Batch: max(0, int(t.GetBatch())), Doc: printable(t.GetDoc(), maxDoc),
	}
	for _, action := range t.GetActions() {
		if kind, ok := actionKinds[action]; ok {
			target.Actions = append(target.Actions, kind)
		}
	}
	for _, trait := range t.GetTraits() {
		target.Traits = append(target.Traits, connector.TraitSpec{
			ID: trait.GetId(), Title: title(trait.GetTitle()), Type: d.label(trait.GetType()),
		})
	}
	return target
}

var fieldTypes = map[connectorv1.ConfigField_Type]string{
	connectorv1.ConfigField_TYPE_STRING:   "string",
	connectorv1.ConfigField_TYPE_INTEGER:  "integer",
	connectorv1.ConfigField_TYPE_NUMBER:   "number",
	connectorv1.ConfigField_TYPE_BOOLEAN:  "boolean",
	connectorv1.ConfigField_TYPE_DURATION: "duration",
	connectorv1.ConfigField_TYPE_LIST:     "list",
	connectorv1.ConfigField_TYPE_MAP:      "map",
	connectorv1.ConfigField_TYPE_OBJECT:   "object",
	connectorv1.ConfigField_TYPE_PATH:     "path",
}

var deletes = map[connectorv1.StreamSpec_Deletes]connector.Deletes{
	connectorv1.StreamSpec_DELETES_TOMBSTONES: connector.DeletesTombstones,
	connectorv1.StreamSpec_DELETES_ABSENCE:    connector.DeletesAbsence,
	connectorv1.StreamSpec_DELETES_IDS:        connector.DeletesIDs,
}

var actionKinds = map[connectorv1.ActionKind]connector.ActionKind{
	connectorv1.ActionKind_ACTION_KIND_MEMBER:  connector.ActionMember,
	connectorv1.ActionKind_ACTION_KIND_TRAITS:  connector.ActionTraits,
	connectorv1.ActionKind_ACTION_KIND_TASK:    connector.ActionTask,
	connectorv1.ActionKind_ACTION_KIND_DEAL:    connector.ActionDeal,
	connectorv1.ActionKind_ACTION_KIND_SEND:    connector.ActionSend,
	connectorv1.ActionKind_ACTION_KIND_CONFIRM: connector.ActionConfirm,
}
