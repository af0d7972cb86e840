package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// reference is ${NAME} or ${NAME:-default}; a $ before it ($${NAME}) takes it literally.
var reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

var referenceForm = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}$`)

// expander puts the values of variables and files into a tree.
type expander struct {
	lookup   func(string) (string, bool)
	readFile func(string) ([]byte, error)
	report   func(Problem)
}

func (x *expander) tree(n *node, path string) {
	switch n.kind {
	case list:
		for i, item := range n.items {
			x.tree(item, fmt.Sprintf("%s[%d]", path, i))
		}
	case mapping:
		for _, e := range n.entries {
			x.tree(e.value, join(path, e.key))
		}
	case text:
		x.scalar(n, path)
	}
}

func (x *expander) scalar(n *node, path string) {
	if !strings.Contains(n.text, "${") || n.written != "" {
		return
	}
	n.written = n.text
	n.text = reference.ReplaceAllStringFunc(n.text, func(found string) string {
		if strings.HasPrefix(found, "$$") {
			return found[1:]
		}
		n.foreign = true
		parts := referenceForm.FindStringSubmatch(found)
		if parts == nil {
			x.report(Problem{
				Position: n.place.position(), Path: path, Message: "a variable is written ${NAME} or ${NAME:-default}",
				Suggestion: "to have ${ literally, write $${",
			})
			return ""
		}
		value, ok := x.lookup(parts[1])
		switch {
		case value != "":
			return value
		case parts[2] != "":
			return parts[3]
		case ok:
			x.report(Problem{
				Position: n.place.position(), Path: path, Message: fmt.Sprintf("the environment variable %s is empty", parts[1]),
				Suggestion: fmt.Sprintf("give it a value, or write ${%s:-} if it may be empty", parts[1]),
			})
		default:
			x.report(Problem{
				Position: n.place.position(), Path: path, Message: fmt.Sprintf("the environment variable %s is not set", parts[1]),
				Suggestion: fmt.Sprintf("set it, or write ${%s:-default}", parts[1]),
			})
		}
		return ""
	})
	if n.plain {
		n.kind = typeOf(n.text)
	}
}

// twin reads the file that a key ending in _file names, in place of the value itself. Blanks and line ends around the
// value are taken off.
func (x *expander) twin(n *node, path string) (*node, bool) {
	fail := func(message, suggestion string) (*node, bool) {
		x.report(Problem{Position: n.place.position(), Path: path, Message: message, Suggestion: suggestion})
		return nil, false
	}
	if !n.scalar() || n.text == "" {
		return fail("the path of a file is needed, not "+n.kind.String(), "")
	}
	data, err := x.readFile(absolute(n.place.source, n.text))
	if err != nil {
		return fail("the file cannot be read: "+reason(err), "the path is relative to the file it is written in")
	}
	if !utf8.Valid(data) {
		return fail("the file does not hold UTF-8 text", "")
	}
	value := string(bytes.TrimSpace(data))
	if value == "" {
		return fail("the file is empty", "")
	}
	written := n.text
	if n.written != "" {
		written = n.written
	}
	return &node{kind: text, place: n.place, text: value, foreign: true, written: "file " + written}, true
}

// absolute resolves a path relative to the folder of the file that names it.
func absolute(from *source, path string) string {
	if filepath.IsAbs(path) || from == nil || from.dir == "" {
		return filepath.Clean(path)
	}
	return filepath.Join(from.dir, path)
}
