package config

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	yaml "github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

func schemaOf(t *testing.T, of FileKind) []byte {
	t.Helper()
	data, err := Schema(of)
	require.NoError(t, err)
	return data
}

func validate(t *testing.T, of FileKind, file string) error {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaOf(t, of)))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("schema.json", document))
	schema, err := compiler.Compile("schema.json")
	require.NoError(t, err)

	content, err := os.ReadFile(file)
	require.NoError(t, err)
	asJSON, err := yaml.YAMLToJSON(content)
	require.NoError(t, err)
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	require.NoError(t, err)
	return schema.Validate(instance)
}

func TestSchemaFiles(t *testing.T) {
	for _, of := range []FileKind{HubFile, WorkspaceFile, BaseFile} {
		golden(t, "schema/"+string(of)+".json", string(schemaOf(t, of))+"\n")
	}
	_, err := Schema("nonsense")
	require.ErrorContains(t, err, "hub, workspace and base")
}

func TestSchemaAgreesWithLoad(t *testing.T) {
	const samples = "../../configs/"
	require.NoError(t, validate(t, HubFile, samples+"sample/hub.yaml"))
	require.NoError(t, validate(t, BaseFile, samples+"sample/agency.yaml"))
	require.NoError(t, validate(t, WorkspaceFile, samples+"sample/workspaces/romashka.yaml"))
	require.NoError(t, validate(t, HubFile, samples+"demo/hub.yaml"))
	require.NoError(t, validate(t, WorkspaceFile, samples+"demo/workspaces/demo.yaml"))
	for _, bad := range []string{"scalars", "types"} {
		require.Error(t, validate(t, WorkspaceFile, "testdata/bad/"+bad+".yaml"), bad)
	}
	require.Error(t, validate(t, HubFile, "testdata/bad/hub_values.yaml"))
}

// Each key must be explained in docs/configuration.md, by its name in code type.
func TestEveryKeyIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	for _, of := range []FileKind{HubFile, WorkspaceFile} {
		var schema schemaNode
		require.NoError(t, json.Unmarshal(schemaOf(t, of), &schema))
		for path, node := range schema.keys("") {
			mention := "| `" + path + "` |"
			if strings.HasSuffix(path, "_file") && !strings.HasSuffix(path, ".ca_file") {
				mention = "`" + path[strings.LastIndex(path, ".")+1:] + "`" // beside the key it stands for
			}
			require.Contains(t, string(doc), mention, "docs/configuration.md does not explain %s of %s files", path, of)
			require.NotEmpty(t, node.Description, path)
			if node.Default != nil && string(node.Default) != "[]" {
				_, row, _ := strings.Cut(string(doc), "| `"+path+"` |")
				row, _, _ = strings.Cut(row, "\n")
				text := string(node.Default)
				var word string
				var list []string
				if json.Unmarshal(node.Default, &word) == nil {
					text = word
				} else if json.Unmarshal(node.Default, &list) == nil {
					text = "[" + strings.Join(list, ", ") + "]"
				}
				require.Contains(t, row, "`"+text+"`", "docs/configuration.md gives another default of %s", path)
			}
		}
	}
}

type schemaNode struct {
	Description          string
	Default              json.RawMessage
	Properties           map[string]schemaNode
	AdditionalProperties json.RawMessage
	AnyOf                []schemaNode
}

// keys lists every key by its path; NAME stands for a name of the author's choice.
func (s schemaNode) keys(path string) map[string]schemaNode {
	found := map[string]schemaNode{}
	add := func(more map[string]schemaNode) {
		for path, node := range more {
			found[path] = node
		}
	}
	for name, property := range s.Properties {
		found[join(path, name)] = property
		add(property.keys(join(path, name)))
	}
	for _, alternative := range s.AnyOf {
		add(alternative.keys(path))
	}
	var below schemaNode
	if json.Unmarshal(s.AdditionalProperties, &below) == nil {
		add(below.keys(join(path, "NAME")))
	}
	return found
}
