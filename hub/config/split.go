package config

import (
	"os"
	"strings"

	"github.com/regulars/regulars/hub/connector"
)

// Split makes a connector's settings ready to be handed over, once its spec is known: secret fields move out into a map
// by dotted path, whether written as token or as token_file; relative paths become absolute, from the folder of the file
// they stand in; keys set to null are left out. The JSON keeps the order of the file.
func (c Connection) Split(fields []connector.ConfigField) (config []byte, secrets map[string]Secret, problems Problems) {
	s := splitter{fields: fields, secrets: map[string]Secret{}, connection: c}
	s.expander = expander{readFile: os.ReadFile, report: func(p Problem) { s.problems = append(s.problems, p) }}
	if c.config == nil {
		return []byte("{}"), s.secrets, nil
	}
	config = s.node(c.config, nil).json()
	s.problems.sort()
	return config, s.secrets, s.problems
}

// Locate returns where a setting of the connector stands, by its dotted path (Problem.Field of hub/connector).
func (c Connection) Locate(field string) Position {
	if c.tree == nil {
		return Position{}
	}
	full := c.path + ".config"
	if field != "" {
		full += "." + field
	}
	at, found := c.tree.find(full)
	if twin, ok := c.tree.find(full + "_file"); !found && field != "" && ok {
		at = twin
	}
	return at.position()
}

// Problem places what a connector says of one of its settings in the file.
func (c Connection) Problem(field, message, suggestion string) Problem {
	path := c.path + ".config"
	if field != "" {
		path += "." + field
	}
	return Problem{Position: c.Locate(field), Path: path, Message: message, Suggestion: suggestion}
}

type splitter struct {
	expander
	fields     []connector.ConfigField
	secrets    map[string]Secret
	connection Connection
	problems   Problems
}

// node returns a copy without secrets.
func (s *splitter) node(n *node, path []string) *node {
	switch n.kind {
	case mapping:
		rest := *n
		rest.entries = nil
		for _, e := range n.entries {
			if kept := s.entry(n, e, below(path, e.key)); kept != nil {
				rest.entries = append(rest.entries, entry{key: e.key, place: e.place, value: kept})
			}
		}
		return &rest
	case list:
		rest := *n
		rest.items = nil
		for i, item := range n.items {
			rest.items = append(rest.items, s.node(item, below(path, itoa(i))))
		}
		return &rest
	}
	if field := fieldAt(s.fields, path); field != nil && field.Type == connector.FieldPath && n.scalar() && n.text != "" {
		moved := *n
		moved.kind, moved.text = text, absolute(n.place.source, n.text)
		return &moved
	}
	return n
}

// entry returns what stays of one key; nil for nothing.
func (s *splitter) entry(parent *node, e entry, path []string) *node {
	if e.value.kind == null {
		return nil
	}
	dotted := strings.Join(path, ".")
	field := fieldAt(s.fields, path)
	if field != nil && field.Secret {
		if !e.value.scalar() {
			s.problems = append(s.problems, s.connection.Problem(dotted, "a text is needed, not "+e.value.kind.String(), ""))
			return nil
		}
		s.secrets[dotted] = NewSecret(e.value.text)
		return nil
	}
	name, isFile := strings.CutSuffix(e.key, "_file")
	if field != nil || !isFile || name == "" {
		return s.node(e.value, path)
	}
	path[len(path)-1] = name
	if twin := fieldAt(s.fields, path); twin == nil || !twin.Secret {
		path[len(path)-1] = e.key
		return s.node(e.value, path)
	}
	if parent.get(name) != nil {
		s.problems = append(s.problems, s.connection.Problem(dotted, "both "+name+" and "+e.key+" are given", "remove one of them"))
		return nil
	}
	if content, ok := s.twin(e.value, s.connection.path+".config."+dotted); ok {
		s.secrets[strings.Join(path, ".")] = NewSecret(content.text)
	}
	return nil
}

// below returns a longer path, in memory of its own.
func below(path []string, key string) []string {
	return append(path[:len(path):len(path)], key)
}

// fieldAt returns the declaration of a setting; one that names its keys goes before one with *.
func fieldAt(fields []connector.ConfigField, path []string) *connector.ConfigField {
	var best *connector.ConfigField
	literal := -1
	for i := range fields {
		parts := strings.Split(fields[i].Path, ".")
		if len(parts) != len(path) {
			continue
		}
		score := 0
		for j, part := range parts {
			switch part {
			case path[j]:
				score++
			case "*":
			default:
				score = -1 << 30
			}
		}
		if score > literal {
			best, literal = &fields[i], score
		}
	}
	return best
}
