// Command schemagen writes the JSON Schemas of the entities into schema/. It is run by go generate in
// contracts/entity and reads the descriptions from the Go comments there.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/regulars/regulars/contracts/entity"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write() error {
	schemas, err := generate()
	if err != nil {
		return err
	}
	for name, data := range schemas {
		if err := os.WriteFile(filepath.Join("schema", name), data, 0o644); err != nil {
			return fmt.Errorf("write a schema: %w", err)
		}
	}
	return nil
}

// generate returns the schemas by file name. The working folder must be contracts/entity.
func generate() (map[string][]byte, error) {
	r := &jsonschema.Reflector{
		BaseSchemaID: "https://github.com/regulars/regulars/contracts/entity",
		// A reader ignores what it does not know, so that entities can grow.
		AllowAdditionalProperties: true,
		ExpandedStruct:            true,
	}
	if err := r.AddGoComments("github.com/regulars/regulars/contracts/entity", ".", jsonschema.WithFullComment()); err != nil {
		return nil, fmt.Errorf("read the comments: %w", err)
	}
	for name, text := range r.CommentMap {
		r.CommentMap[name] = strings.Join(strings.Fields(text), " ")
	}
	schemas := map[string][]byte{}
	for _, kind := range entity.Kinds() {
		schema := r.Reflect(kind.New())
		schema.ID = jsonschema.ID(r.BaseSchemaID.String() + "/" + string(kind))
		schema.Title = string(kind)
		data, err := json.MarshalIndent(schema, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("schema of %s: %w", kind, err)
		}
		schemas[string(kind)+".json"] = append(data, '\n')
	}
	return schemas, nil
}
