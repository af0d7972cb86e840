package api

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/kpi"
)

//go:generate go run ./internal/openapi -out ../../contracts/api/v1/openapi.json

// Types of the domain that write their own JSON are described here, so that the domain knows nothing of OpenAPI.

// dateForm describes entity.Date.
type dateForm struct{}

// Schema implements huma.SchemaProvider.
func (dateForm) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date"}
}

// valueForm describes kpi.Value.
type valueForm struct{}

// Schema implements huma.SchemaProvider.
func (valueForm) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "A count is an integer, money a decimal string, a share or rate a number; undefined is null.",
		OneOf:       []*huma.Schema{{Type: huma.TypeNumber}, {Type: huma.TypeString}, {Type: "null"}},
	}
}

// scoresForm describes kpi.ScoreCounts.
type scoresForm struct{}

// Schema implements huma.SchemaProvider.
func (scoresForm) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, Description: "Customers by score, 1 to 5.",
		AdditionalProperties: &huma.Schema{Type: huma.TypeInteger},
	}
}

// aliasForms tells the registry of schemas which description stands for which type.
func aliasForms(registry huma.Registry) {
	registry.RegisterTypeAlias(reflect.TypeFor[entity.Date](), reflect.TypeFor[dateForm]())
	registry.RegisterTypeAlias(reflect.TypeFor[kpi.Value](), reflect.TypeFor[valueForm]())
	registry.RegisterTypeAlias(reflect.TypeFor[kpi.ScoreCounts](), reflect.TypeFor[scoresForm]())
}

// describe returns the API's description as indented JSON.
func (r *router) describe() ([]byte, error) {
	compact, err := json.Marshal(r.api.OpenAPI())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// ConnectorSpec is what a connector says of itself.
type ConnectorSpec struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Title       string            `json:"title"`
	DocsURL     string            `json:"docs_url,omitempty"`
	DataCountry string            `json:"data_country,omitempty" doc:"Where the vendor keeps data, ISO 3166-1."`
	Config      []ConnectorField  `json:"config"`
	Streams     []ConnectorStream `json:"streams"`
	Targets     []ConnectorTarget `json:"targets"`
}

// ConnectorField is one place in a connector's configuration.
type ConnectorField struct {
	Path     string   `json:"path" doc:"Dotted; * stands for any key."`
	Type     string   `json:"type"`
	Doc      string   `json:"doc,omitempty"`
	Required bool     `json:"required,omitempty"`
	Secret   bool     `json:"secret,omitempty"`
	Default  string   `json:"default,omitempty" doc:"As JSON."`
	Example  string   `json:"example,omitempty"`
	OneOf    []string `json:"one_of,omitempty"`
}

// ConnectorStream is one kind of record a connector reads.
type ConnectorStream struct {
	Name    string      `json:"name"`
	Entity  entity.Kind `json:"entity"`
	Modes   []string    `json:"modes"`
	Deletes string      `json:"deletes,omitempty"`
	After   []string    `json:"after,omitempty" doc:"Streams to read first."`
	Doc     string      `json:"doc,omitempty"`
}

// ConnectorTarget is one kind of list or object a connector writes.
type ConnectorTarget struct {
	Kind       string   `json:"kind"`
	Channel    string   `json:"channel,omitempty"`
	Actions    []string `json:"actions"`
	Identity   string   `json:"identity"`
	Readback   bool     `json:"readback"`
	CanCreate  bool     `json:"can_create"`
	Idempotent bool     `json:"idempotent"`
	Doc        string   `json:"doc,omitempty"`
}

func specView(s connector.Spec) ConnectorSpec {
	v := ConnectorSpec{
		Name: s.Name, Version: s.Version, Title: s.Title, DocsURL: s.DocsURL, DataCountry: s.DataCountry,
		Config: []ConnectorField{}, Streams: []ConnectorStream{}, Targets: []ConnectorTarget{},
	}
	for _, f := range s.Config {
		v.Config = append(v.Config, ConnectorField{
			Path: f.Path, Type: f.Type, Doc: f.Doc, Required: f.Required, Secret: f.Secret, Default: f.DefaultJSON, Example: f.Example, OneOf: f.OneOf,
		})
	}
	for _, stream := range s.Streams {
		v.Streams = append(v.Streams, ConnectorStream{
			Name: stream.Name, Entity: stream.Entity, Modes: texts(stream.Modes), Deletes: string(stream.Deletes), After: stream.After, Doc: stream.Doc,
		})
	}
	for _, t := range s.Targets {
		v.Targets = append(v.Targets, ConnectorTarget{
			Kind: t.Kind, Channel: t.Channel, Actions: texts(t.Actions), Identity: t.Identity,
			Readback: t.Readback, CanCreate: t.CanCreate, Idempotent: t.Idempotent, Doc: t.Doc,
		})
	}
	return v
}

func texts[T ~string](items []T) []string {
	out := make([]string, 0, len(items))
	for _, item := range items {
		out = append(out, string(item))
	}
	return out
}
