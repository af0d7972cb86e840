package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
)

// shape is what a value may look like: it reads a node, and describes itself as JSON Schema. Everything the files may
// hold is declared once, as shapes, in hub_form.go and workspace_form.go.
type shape[T any] struct {
	read   func(d *decoder, n *node, path string) T
	schema func() *jsonschema.Schema
}

// decoder reads nodes into values and collects what is wrong with them.
type decoder struct {
	expander
	// silent drops problems: a default has none.
	silent bool
}

func (d *decoder) fail(at place, path, message, suggestion string) {
	if !d.silent {
		d.report(Problem{Position: at.position(), Path: path, Message: message, Suggestion: suggestion})
	}
}

// field is one key of an object of type S.
type field[S any] struct {
	name, doc string
	byDefault string // YAML; empty for none
	required  bool
	twin      bool // name_file may name a file that holds the value
	read      func(d *decoder, n *node, path string, into *S)
	schema    func() *jsonschema.Schema
}

// key declares one key: its name, what it may hold, where the value goes and what it means.
func key[S, T any](name string, of shape[T], at func(*S) *T, doc string, options ...option) field[S] {
	f := field[S]{
		name: name, doc: doc,
		read:   func(d *decoder, n *node, path string, into *S) { *at(into) = of.read(d, n, path) },
		schema: of.schema,
	}
	for _, o := range options {
		o(&f.byDefault, &f.required, &f.twin)
	}
	return f
}

type option func(byDefault *string, required, twin *bool)

func required(_ *string, needed, _ *bool) { *needed = true }

// orFile allows name_file beside the key.
func orFile(_ *string, _, twin *bool) { *twin = true }

// byDefault is the value, as YAML, of a key that is left out.
func byDefault(yaml string) option {
	return func(value *string, _, _ *bool) { *value = yaml }
}

// object is a mapping with known keys.
func object[S any](fields ...field[S]) shape[S] {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
		if f.twin {
			names = append(names, f.name+"_file")
		}
	}
	return shape[S]{
		read: func(d *decoder, n *node, path string) S {
			var s S
			if n.kind != mapping {
				d.fail(n.place, path, "a mapping is needed, not "+n.kind.String(), "its keys are "+strings.Join(names, ", "))
				return s
			}
			for _, e := range n.entries {
				if !slices.Contains(names, e.key) {
					d.fail(e.place, join(path, e.key), "there is no such key", suggest(e.key, names))
				}
			}
			for _, f := range fields {
				f.from(d, n, path, &s)
			}
			return s
		},
		schema: func() *jsonschema.Schema {
			schema := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
			for _, f := range fields {
				property := f.schema()
				property.Description = f.doc
				if f.byDefault != "" && f.byDefault != "{}" {
					property.Default = defaultJSON(f.byDefault)
				}
				schema.Properties.Set(f.name, property)
				if f.twin {
					schema.Properties.Set(f.name+"_file", &jsonschema.Schema{Type: "string", Description: "File that holds the value of " + f.name + "."})
				}
				if f.required {
					schema.Required = append(schema.Required, f.name)
				}
			}
			return schema
		},
	}
}

// from reads one key out of its object.
func (f field[S]) from(d *decoder, n *node, path string, into *S) {
	value := n.get(f.name)
	at := join(path, f.name)
	if twin := n.get(f.name + "_file"); f.twin && twin != nil {
		if value != nil {
			d.fail(twin.place, at+"_file", "both "+f.name+" and "+f.name+"_file are given", "remove one of them")
			return
		}
		content, ok := d.twin(twin, at+"_file")
		if !ok {
			return
		}
		value = content
	}
	switch {
	case value != nil:
		f.read(d, value, at, into)
	case f.required:
		where := n.place
		if i := n.index(f.name); i >= 0 {
			where = n.entries[i].place
		}
		d.fail(where, at, "the key is required", f.doc)
	case f.byDefault != "":
		quiet := *d
		quiet.silent = true
		f.read(&quiet, parse([]byte(f.byDefault), n.place.source, func(Problem) {}), at, into)
	}
}

// defaultJSON turns a default into what the JSON Schema says.
func defaultJSON(yaml string) json.RawMessage {
	return parse([]byte(yaml), nil, func(Problem) {}).json()
}

// named is a mapping from names to values of one shape, returned in the order of the names.
func named[T any](of shape[T], what string, setName func(*T, string)) shape[[]T] {
	return shape[[]T]{
		read: func(d *decoder, n *node, path string) []T {
			if n.kind != mapping {
				d.fail(n.place, path, "a mapping from "+what+"s is needed, not "+n.kind.String(), "")
				return nil
			}
			values := make([]T, 0, len(n.entries))
			for _, e := range slices.SortedFunc(slices.Values(n.entries), func(a, b entry) int { return strings.Compare(a.key, b.key) }) {
				at := join(path, e.key)
				if !nameForm.MatchString(e.key) {
					d.fail(e.place, at, "not a "+what, nameRule)
				}
				if e.value.kind == null {
					d.fail(e.place, at, "nothing is said of it", "")
					continue
				}
				value := of.read(d, e.value, at)
				setName(&value, e.key)
				values = append(values, value)
			}
			return values
		},
		schema: func() *jsonschema.Schema {
			return &jsonschema.Schema{
				Type: "object", AdditionalProperties: of.schema(),
				PropertyNames: &jsonschema.Schema{Pattern: nameForm.String()},
			}
		},
	}
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

const nameRule = "use small Latin letters, digits, - and _, at most 63, starting with a letter or digit"

// dictionary is a mapping from keys to values of one shape. A nil check allows any key; else it returns what is wrong
// with one, and what to do.
func dictionary[K ~string, T any](of shape[T], check func(key string) (message, suggestion string)) shape[map[K]T] {
	return shape[map[K]T]{
		read: func(d *decoder, n *node, path string) map[K]T {
			if n.kind != mapping {
				d.fail(n.place, path, "a mapping is needed, not "+n.kind.String(), "")
				return nil
			}
			values := map[K]T{}
			for _, e := range n.entries {
				if check != nil {
					if message, suggestion := check(e.key); message != "" {
						d.fail(e.place, join(path, e.key), message, suggestion)
						continue
					}
				}
				if e.value.kind != null {
					values[K(e.key)] = of.read(d, e.value, join(path, e.key))
				}
			}
			return values
		},
		schema: func() *jsonschema.Schema {
			return &jsonschema.Schema{Type: "object", AdditionalProperties: of.schema()}
		},
	}
}

// listOf is a list of values of one shape; a single value may stand without brackets.
func listOf[T any](of shape[T]) shape[[]T] {
	return shape[[]T]{
		read: func(d *decoder, n *node, path string) []T {
			if n.scalar() {
				return []T{of.read(d, n, path)}
			}
			if n.kind != list {
				d.fail(n.place, path, "a list is needed, not "+n.kind.String(), "")
				return nil
			}
			values := make([]T, 0, len(n.items))
			for i, item := range n.items {
				values = append(values, of.read(d, item, fmt.Sprintf("%s[%d]", path, i)))
			}
			return values
		},
		schema: func() *jsonschema.Schema {
			return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "array", Items: of.schema()}, of.schema()}}
		},
	}
}

// scalarOf is a single value. The converter gets the text as written and returns what is wrong with it, and what to do.
func scalarOf[T any](schema jsonschema.Schema, convert func(d *decoder, n *node) (value T, message, suggestion string)) shape[T] {
	return shape[T]{
		read: func(d *decoder, n *node, path string) T {
			value, message, suggestion := convert(d, n)
			if message != "" {
				d.fail(n.place, path, message, suggestion)
			}
			return value
		},
		schema: func() *jsonschema.Schema {
			if schema.Type == "string" && schema.Pattern == "" && len(schema.Enum) == 0 {
				only := schema
				return &only
			}
			only := schema
			return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{&only, {Type: "string", Pattern: `\$\{`}}}
		},
	}
}

// word is a text; numbers and truth values are refused unless a variable gave them.
var word = scalarOf(jsonschema.Schema{Type: "string"}, func(_ *decoder, n *node) (string, string, string) {
	switch {
	case n.kind == text || n.scalar() && n.foreign:
		if n.text == "" {
			return "", "the text is empty", ""
		}
		return n.text, "", ""
	case n.scalar():
		return "", "a text is needed, not " + n.kind.String(), "put it in quotes"
	default:
		return "", "a text is needed, not " + n.kind.String(), ""
	}
})

// label is a text that may look like a number, such as the id of a list.
var label = shape[string]{
	read: func(d *decoder, n *node, path string) string {
		if n.kind == integer {
			return n.text
		}
		return word.read(d, n, path)
	},
	schema: func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "integer"}}}
	},
}

// secret is a text that is hidden.
var secret = shape[Secret]{
	read: func(d *decoder, n *node, path string) Secret {
		return NewSecret(label.read(d, n, path))
	},
	schema: label.schema,
}

// truth is true or false.
var truth = scalarOf(jsonschema.Schema{Type: "boolean"}, func(_ *decoder, n *node) (bool, string, string) {
	if n.kind == boolean || n.foreign && typeOf(n.text) == boolean {
		return n.text == "true", "", ""
	}
	return false, "true or false is needed, not " + n.kind.String(), ""
})

// whole is a whole number within bounds.
func whole(least, most int) shape[int] {
	rule := fmt.Sprintf("a whole number from %d to %d is needed", least, most)
	schema := jsonschema.Schema{Type: "integer", Minimum: json.Number(itoa(least)), Maximum: json.Number(itoa(most))}
	return scalarOf(schema, func(_ *decoder, n *node) (int, string, string) {
		if n.kind != integer && (!n.foreign || typeOf(n.text) != integer) {
			return 0, rule + ", not " + n.kind.String(), ""
		}
		value, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 64)
		if err != nil || value < int64(least) || value > int64(most) {
			return 0, rule, ""
		}
		return int(value), "", ""
	})
}

// oneOf is a text out of a few.
func oneOf[T ~string](allowed ...T) shape[T] {
	words := make([]string, len(allowed))
	values := make([]any, len(allowed))
	for i, a := range allowed {
		words[i], values[i] = string(a), string(a)
	}
	return scalarOf(jsonschema.Schema{Type: "string", Enum: values}, func(_ *decoder, n *node) (T, string, string) {
		if n.scalar() && slices.Contains(words, n.text) {
			return T(n.text), "", ""
		}
		written := n.text
		if n.foreign {
			written = ""
		}
		suggestion := "use one of " + strings.Join(words, ", ")
		if near := nearest(written, words); near != "" {
			suggestion = fmt.Sprintf("did you mean %s?", near)
		}
		return "", "not an allowed value", suggestion
	})
}
