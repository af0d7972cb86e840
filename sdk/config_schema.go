package sdk

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// JSONSchema returns the schema (draft 2020-12) of the configuration as people write it: secrets are members like
// others, or paths in a member called NAME_file. No secret is required, as both ways are open.
func (c Config) JSONSchema() []byte {
	schema := c.root.schema()
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	data, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("the schema of a configuration cannot be encoded: %v", err)) // strings and numbers always can
	}
	return data
}

const durationPattern = `^[-+]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$|^0$`

func (n *node) schema() map[string]any {
	s := map[string]any{}
	switch n.shape {
	case shapeString, shapePath, shapeZone, shapeText:
		s["type"] = "string"
	case shapeSecret:
		s["type"], s["writeOnly"] = "string", true
	case shapeDuration:
		s["type"], s["pattern"] = "string", durationPattern
	case shapeInteger:
		s["type"] = "integer"
	case shapeNumber:
		s["type"] = "number"
	case shapeBoolean:
		s["type"] = "boolean"
	case shapeList:
		s["type"], s["items"] = "array", n.elem.schema()
	case shapeMap:
		s["type"], s["additionalProperties"] = "object", n.elem.schema()
	case shapeObject:
		n.objectSchema(s)
	}
	if n.required {
		if keyword, ok := map[shape]string{shapeString: "minLength", shapePath: "minLength", shapeList: "minItems", shapeMap: "minProperties"}[n.shape]; ok {
			s[keyword] = 1
		}
	}
	for _, r := range n.rules {
		maps.Copy(s, r.schema)
	}
	if n.doc != "" {
		s["description"] = n.doc
	}
	if n.hasDefault {
		if raw, err := n.fromTag(n.fallback); err == nil {
			s["default"] = raw
		}
	}
	if n.example != "" {
		if raw, err := n.fromTag(n.example); err == nil {
			s["examples"] = []any{raw}
		}
	}
	return s
}

func (n *node) objectSchema(s map[string]any) {
	properties, required := map[string]any{}, []string{}
	for _, f := range n.fields {
		properties[f.name] = f.schema()
		if f.shape == shapeSecret {
			properties[f.name+"_file"] = map[string]any{"type": "string", "description": "File that holds " + f.name + "."}
		}
		if f.needed() {
			required = append(required, f.name)
		}
	}
	s["type"], s["properties"], s["additionalProperties"] = "object", properties, false
	if len(required) > 0 {
		s["required"] = required
	}
}

// describe lists the places of the configuration for the spec, depth first.
func (c Config) describe() []*connectorv1.ConfigField {
	var fields []*connectorv1.ConfigField
	c.root.walk("", func(path string, n *node) {
		f := &connectorv1.ConfigField{
			Path: path, Type: n.protoType(), Doc: n.doc, Required: n.required, Secret: n.shape == shapeSecret,
			OneOf: n.oneOf(), Example: n.example,
		}
		if n.hasDefault {
			if raw, err := n.fromTag(n.fallback); err == nil {
				if text, err := json.Marshal(raw); err == nil {
					f.DefaultJson = string(text)
				}
			}
		}
		fields = append(fields, f)
	})
	return fields
}

// walk visits every place below n. An element of a list or map has the name "*" and its owner's doc.
func (n *node) walk(path string, visit func(path string, n *node)) {
	for _, f := range n.fields {
		at := join(path, f.name)
		visit(at, f)
		f.walk(at, visit)
	}
	if n.elem != nil {
		element := *n.elem
		if element.doc == "" {
			element.doc = n.doc
		}
		at := join(path, "*")
		visit(at, &element)
		element.walk(at, visit)
	}
}

func (n *node) protoType() connectorv1.ConfigField_Type {
	switch n.shape {
	case shapeInteger:
		return connectorv1.ConfigField_TYPE_INTEGER
	case shapeNumber:
		return connectorv1.ConfigField_TYPE_NUMBER
	case shapeBoolean:
		return connectorv1.ConfigField_TYPE_BOOLEAN
	case shapeDuration:
		return connectorv1.ConfigField_TYPE_DURATION
	case shapePath:
		return connectorv1.ConfigField_TYPE_PATH
	case shapeList:
		return connectorv1.ConfigField_TYPE_LIST
	case shapeMap:
		return connectorv1.ConfigField_TYPE_MAP
	case shapeObject:
		return connectorv1.ConfigField_TYPE_OBJECT
	default:
		return connectorv1.ConfigField_TYPE_STRING
	}
}

// Markdown returns the configuration's documentation as a table.
func (c Config) Markdown() string {
	var b strings.Builder
	b.WriteString("| Field | Type | Default | Meaning |\n|---|---|---|---|\n")
	c.root.walk("", func(path string, n *node) {
		if strings.HasSuffix(path, ".*") {
			return // said by the list or map itself
		}
		meaning := []string{n.doc}
		for _, r := range n.rules {
			meaning = append(meaning, strings.ToUpper(r.doc[:1])+r.doc[1:]+".")
		}
		if n.elem != nil {
			for _, r := range n.elem.rules {
				meaning = append(meaning, "Each: "+r.doc+".")
			}
		}
		if n.example != "" {
			meaning = append(meaning, "Example: `"+n.example+"`.")
		}
		fallback := ""
		switch {
		case n.required:
			fallback = "required"
		case n.hasDefault:
			fallback = "`" + n.fallback + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", path, n.typeName(), fallback, cell(strings.Join(meaning, " ")))
	})
	return b.String()
}

func (n *node) typeName() string {
	switch n.shape {
	case shapePath:
		return "path"
	case shapeInteger:
		return "integer"
	case shapeNumber:
		return "number"
	case shapeBoolean:
		return "true or false"
	case shapeDuration:
		return "duration"
	case shapeZone:
		return "time zone"
	case shapeSecret:
		return "secret"
	case shapeList:
		return "list of " + n.elem.typeName()
	case shapeMap:
		return "map to " + n.elem.typeName()
	case shapeObject:
		return "fields below"
	default:
		return "text"
	}
}

func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }
