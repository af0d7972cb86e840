package entity_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/contracts/entity/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files in the form the code writes")

// The files in testdata hold one full example of every entity. They were written by hand and are never changed to
// suit the code: a form once released must still read.
func TestWireForms(t *testing.T) {
	for _, kind := range entity.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			file := filepath.Join("testdata", string(kind)+".json")
			golden, err := os.ReadFile(file)
			require.NoError(t, err)

			value := kind.New()
			strict := json.NewDecoder(bytes.NewReader(golden))
			strict.DisallowUnknownFields()
			require.NoError(t, strict.Decode(value))
			requireEveryFieldSet(t, reflect.ValueOf(value).Elem(), string(kind))

			again, err := json.Marshal(value)
			require.NoError(t, err)
			var indented bytes.Buffer
			require.NoError(t, json.Indent(&indented, again, "", "  "))
			indented.WriteByte('\n')
			if *update {
				require.NoError(t, os.WriteFile(file, indented.Bytes(), 0o600))
			}
			require.Equal(t, string(golden), indented.String())

			require.NoError(t, compile(t, kind).Validate(parse(t, golden)))
		})
	}
}

// requireEveryFieldSet keeps the examples complete: a new field must come with an example of its form. A pointer
// may point at a zero (a score of 0), and an example for a nested type may be elsewhere in the file.
func requireEveryFieldSet(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	for i := range v.NumField() {
		require.False(t, v.Field(i).IsZero(), "%s.%s has no example", path, v.Type().Field(i).Name)
	}
}

func TestSchemasRefuse(t *testing.T) {
	tests := []struct {
		kind entity.Kind
		name string
		data string
	}{
		{entity.KindOrder, "amount missing", `{"ordered_on":"2024-06-01"}`},
		{entity.KindOrder, "amount as a float", `{"amount":{"minor":10.5,"currency":"RUB"}}`},
		{entity.KindOrder, "currency in lower case", `{"amount":{"minor":10,"currency":"rub"}}`},
		{entity.KindOrder, "another word for VAT", `{"amount":{"minor":10,"currency":"RUB"},"vat":"maybe"}`},
		{entity.KindOrder, "no date", `{"amount":{"minor":10,"currency":"RUB"},"ordered_on":"01.06.2024"}`},
		{entity.KindContact, "month 13", `{"birthday":{"month":13,"day":1}}`},
		{entity.KindContact, "an object in custom", `{"custom":{"1":{"a":1}}}`},
		{entity.KindConsent, "no state", `{"channel":"email"}`},
		{entity.KindDeal, "another state", `{"state":"half"}`},
		{entity.KindMember, "a state unknown", `{"state":"here"}`},
		{entity.KindActivity, "half a reference", `{"type":"call","at":"2024-06-01T12:30:00Z","contact":{"stream":"contacts"}}`},
	}
	for _, test := range tests {
		t.Run(string(test.kind)+" "+test.name, func(t *testing.T) {
			require.Error(t, compile(t, test.kind).Validate(parse(t, []byte(test.data))))
		})
	}
}

func TestUnknownMembersBreakNothing(t *testing.T) {
	for _, kind := range entity.Kinds() {
		golden, err := os.ReadFile(filepath.Join("testdata", string(kind)+".json"))
		require.NoError(t, err)
		newer := []byte(strings.Replace(string(golden), "{", `{"of_a_later_release": {"x": 1},`, 1))
		require.NoError(t, json.Unmarshal(newer, kind.New()))
		require.NoError(t, compile(t, kind).Validate(parse(t, newer)))
	}
}

func TestUnknownKind(t *testing.T) {
	require.Nil(t, entity.Kind("lead").New())
	_, ok := schema.Of("lead")
	require.False(t, ok)
}

func compile(t *testing.T, kind entity.Kind) *jsonschema.Schema {
	t.Helper()
	data, ok := schema.Of(kind)
	require.True(t, ok)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("entity.json", parse(t, data)))
	compiled, err := compiler.Compile("entity.json")
	require.NoError(t, err)
	return compiled
}

func parse(t *testing.T, data []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return value
}
