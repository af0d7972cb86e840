package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a configuration file. Aliases can make a small file huge; nodes are counted after they are followed.
const (
	maxBytes = 4 << 20
	maxNodes = 200_000
	maxDepth = 100
)

// parse reads one YAML document. The node is nil when there is nothing to go on with.
func parse(data []byte, from *source, report func(Problem)) *node {
	p := &yamlReader{source: from, report: report, anchors: map[string]*node{}}
	if len(data) > maxBytes {
		p.fail(nil, "", "the file is larger than 4 MiB", "")
		return nil
	}
	file, err := parseYAML(data)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			suggestion := ""
			if strings.Contains(lineAt(data, p.at(syntax.Token).line), "${") {
				suggestion = "inside { } and [ ] a ${NAME} must stand in quotes"
			}
			p.fail(syntax.Token, "", "not valid YAML: "+syntax.Message, suggestion)
		} else {
			p.fail(nil, "", "not valid YAML", "")
		}
		return nil
	}
	var root *node
	for _, document := range file.Docs {
		if document.Body == nil {
			continue
		}
		if root != nil {
			p.fail(document.Start, "", "a second document in one file", "remove the --- line or move what follows to a file of its own")
			break
		}
		root = p.node(document.Body, "", 0)
	}
	return root
}

// lineAt returns a line of a file, counted from 1.
func lineAt(data []byte, number int) string {
	lines := strings.Split(string(data), "\n")
	if number < 1 || number > len(lines) {
		return ""
	}
	return lines[number-1]
}

// parseYAML keeps a panic of the YAML parser from taking down the files that are in order.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			file, err = nil, errors.New("the YAML parser gave up")
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

// yamlReader turns the syntax tree of one file into nodes.
type yamlReader struct {
	source  *source
	report  func(Problem)
	anchors map[string]*node
	nodes   int
}

func (p *yamlReader) at(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{source: p.source}
	}
	return place{source: p.source, line: t.Position.Line, column: t.Position.Column}
}

func (p *yamlReader) fail(t *token.Token, path, message, suggestion string) {
	p.report(Problem{Position: p.at(t).position(), Path: path, Message: message, Suggestion: suggestion})
}

func (p *yamlReader) node(from ast.Node, path string, depth int) *node {
	if from == nil {
		return &node{place: place{source: p.source}}
	}
	n := &node{place: p.at(from.GetToken())}
	if p.nodes++; p.nodes > maxNodes || depth > maxDepth {
		if p.nodes <= maxNodes+1 || depth == maxDepth+1 {
			p.fail(from.GetToken(), path, "the file is too deep or too large once its aliases are followed", "")
		}
		return n
	}
	switch v := from.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		n.kind, n.text, n.plain = boolean, strconv.FormatBool(v.Value), true
	case *ast.IntegerNode:
		n.kind, n.text, n.plain = integer, v.GetToken().Value, true
		if leadingZero.MatchString(n.text) {
			n.kind = text // an id; read as a number it would lose its zeros
		}
	case *ast.FloatNode:
		n.kind, n.text, n.plain = number, v.GetToken().Value, true
	case *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text, n.plain = text, v.GetToken().Value, true
	case *ast.StringNode:
		n.kind, n.text = text, v.Value
		n.plain = v.GetToken().Type == token.StringType
	case *ast.LiteralNode:
		n.kind, n.text = text, v.Value.Value
	case *ast.SequenceNode:
		n.kind = list
		for i, item := range v.Values {
			n.items = append(n.items, p.node(item, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
	case *ast.MappingNode:
		p.mapping(n, v.Values, path, depth)
	case *ast.MappingValueNode:
		p.mapping(n, []*ast.MappingValueNode{v}, path, depth)
	case *ast.AnchorNode:
		value := p.node(v.Value, path, depth+1)
		// Named only now, so that an anchor cannot contain itself.
		p.anchors[v.Name.GetToken().Value] = value
		return value
	case *ast.AliasNode:
		name := v.Value.GetToken().Value
		value, ok := p.anchors[name]
		if !ok {
			p.fail(v.GetToken(), path, fmt.Sprintf("no anchor &%s stands before this alias", name), "")
			return n
		}
		return p.copy(value, v.GetToken(), path)
	case *ast.TagNode:
		p.fail(v.GetToken(), path, "YAML tags are not used here", "quote the value to make it a text")
	default:
		p.fail(from.GetToken(), path, "this form of YAML is not used here", "")
	}
	return n
}

func (p *yamlReader) mapping(n *node, values []*ast.MappingValueNode, path string, depth int) {
	n.kind = mapping
	var bases []*node
	for i, value := range values {
		key := value.Key.GetToken()
		at := p.at(key)
		if i == 0 {
			n.place = at
		}
		switch value.Key.(type) {
		case *ast.MergeKeyNode:
			base := p.node(value.Value, path, depth+1)
			if base.kind == list {
				bases = append(bases, base.items...)
			} else {
				bases = append(bases, base)
			}
			continue
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		default:
			p.fail(key, path, "a key must be a plain text", "")
			continue
		}
		child := p.node(value.Value, join(path, key.Value), depth+1)
		if first := n.index(key.Value); first >= 0 {
			p.fail(key, join(path, key.Value), fmt.Sprintf("the key is given twice, first in line %d", n.entries[first].place.line), "remove one of them")
			continue
		}
		n.entries = append(n.entries, entry{key: key.Value, place: at, value: child})
	}
	for _, base := range bases {
		if base.kind != mapping {
			p.report(Problem{Position: base.place.position(), Path: join(path, "<<"), Message: "only a mapping can be merged in"})
			continue
		}
		for _, e := range base.entries {
			if n.index(e.key) < 0 {
				n.entries = append(n.entries, e)
			}
		}
	}
}

// copy follows an alias. Every use is a tree of its own, since variables are put in in place.
func (p *yamlReader) copy(from *node, alias *token.Token, path string) *node {
	if p.nodes++; p.nodes > maxNodes {
		if p.nodes == maxNodes+1 {
			p.fail(alias, path, "the file is too large once its aliases are followed", "")
		}
		return &node{place: from.place}
	}
	n := *from
	n.items, n.entries = nil, nil
	for _, item := range from.items {
		n.items = append(n.items, p.copy(item, alias, path))
	}
	for _, e := range from.entries {
		e.value = p.copy(e.value, alias, path)
		n.entries = append(n.entries, e)
	}
	return &n
}

var (
	integerForm = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	leadingZero = regexp.MustCompile(`^[-+]?0[0-9]+$`)
	numberForm  = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)\.[0-9]+$`)
)

// typeOf is the kind a text without quotes has.
func typeOf(s string) kind {
	switch {
	case s == "true" || s == "false":
		return boolean
	case integerForm.MatchString(s):
		return integer
	case numberForm.MatchString(s):
		return number
	default:
		return text
	}
}

func itoa(i int) string { return strconv.Itoa(i) }
