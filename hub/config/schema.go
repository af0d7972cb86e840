package config

import (
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"
)

// FileKind is a kind of configuration file.
type FileKind string

// The kinds of files.
const (
	HubFile       FileKind = "hub"
	WorkspaceFile FileKind = "workspace"
	// BaseFile is what workspace files extend: the same keys, none required.
	BaseFile FileKind = "base"
)

// Schema returns the JSON Schema (draft 2020-12) of a kind of file, for editors. It comes from the declaration that
// Load reads by. Keys that may come from a base are not required where they stand.
func Schema(of FileKind) ([]byte, error) {
	var schema *jsonschema.Schema
	switch of {
	case HubFile:
		schema = hubForm.schema()
		schema.Title = "hub.yaml"
	case WorkspaceFile:
		schema = workspaceForm.schema()
		schema.Title = "Workspace"
		needed := schema.Required
		optional(schema)
		schema.Required = []string{"workspace"}
		schema.AnyOf = []*jsonschema.Schema{{Required: []string{"extends"}}, {Required: needed}}
	case BaseFile:
		schema = workspaceForm.schema()
		schema.Title = "Base of workspaces"
		optional(schema)
	default:
		return nil, fmt.Errorf("no schema for files of kind %q; there are %s, %s and %s", of, HubFile, WorkspaceFile, BaseFile)
	}
	schema.Version = jsonschema.Version
	return json.MarshalIndent(schema, "", "  ")
}

// optional takes required out of a schema and all below it.
func optional(schema *jsonschema.Schema) {
	schema.Required = nil
	if schema.Properties != nil {
		for pair := schema.Properties.Oldest(); pair != nil; pair = pair.Next() {
			optional(pair.Value)
		}
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties != jsonschema.FalseSchema {
		optional(schema.AdditionalProperties)
	}
	for _, alternative := range schema.AnyOf {
		optional(alternative)
	}
}
