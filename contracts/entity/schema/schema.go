// Package schema holds the JSON Schemas (draft 2020-12) of the entities, generated from their Go declarations.
package schema

import (
	"embed"

	"github.com/regulars/regulars/contracts/entity"
)

//go:embed *.json
var files embed.FS

// Of returns the schema of a kind of entity; false when there is no such kind.
func Of(kind entity.Kind) ([]byte, bool) {
	data, err := files.ReadFile(string(kind) + ".json")
	return data, err == nil
}
