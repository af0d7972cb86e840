package config

import (
	"regexp"
	"strings"
)

// kind is what a node of a YAML file holds.
type kind int

const (
	null kind = iota
	text
	integer
	number
	boolean
	list
	mapping
)

// String names the kind for people.
func (k kind) String() string {
	return [...]string{"nothing", "a text", "a whole number", "a number", "true or false", "a list", "a mapping"}[k]
}

// source is the file a node was read from.
type source struct {
	name string // as shown
	dir  string // absolute folder; paths in the file are relative to it
}

// place is where a node stands.
type place struct {
	source       *source
	line, column int
}

func (p place) position() Position {
	if p.source == nil {
		return Position{}
	}
	return Position{File: p.source.name, Line: p.line, Column: p.column}
}

// node is a YAML value that knows where it stands. Files are read into nodes, merged, expanded, and only then decoded,
// so that every problem of every layer can name its place.
type node struct {
	kind    kind
	place   place
	text    string // of a scalar
	plain   bool   // a scalar without quotes
	items   []*node
	entries []entry
	// written is a scalar's text as it stands in the file, when variables were put into text.
	written string
	// foreign says that text came, at least in part, from the environment or from another file.
	foreign bool
}

// entry is one key of a mapping.
type entry struct {
	key   string
	place place
	value *node
}

func (n *node) scalar() bool { return n.kind != null && n.kind != list && n.kind != mapping }

// get returns the value of a key; nil when it is missing or null.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key == key && e.value.kind != null {
			return e.value
		}
	}
	return nil
}

// find follows a dotted path as far as it leads and returns the place of what it ends at: a scalar itself, the key of
// anything else. Keys may hold dots; a position in a list is [0] or .0. The second result says whether it led all the way.
func (n *node) find(path string) (place, bool) {
	at := n.place
	path = listIndex.ReplaceAllString(path, ".$1")
	for current := n; path != ""; {
		next, rest, ok := current.step(path)
		if !ok {
			return at, false
		}
		at, current, path = next.place, next.value, rest
		if current.scalar() {
			at = current.place
		}
	}
	return at, true
}

var listIndex = regexp.MustCompile(`\[(\d+)\]`)

// step takes one key or list position off a path.
func (n *node) step(path string) (entry, string, bool) {
	var best entry
	length := -1
	for _, e := range n.entries {
		if (path == e.key || strings.HasPrefix(path, e.key+".")) && len(e.key) > length {
			best, length = e, len(e.key)
		}
	}
	for i, item := range n.items {
		index := itoa(i)
		if path == index || strings.HasPrefix(path, index+".") {
			best, length = entry{key: index, place: item.place, value: item}, len(index)
		}
	}
	if length < 0 {
		return entry{}, path, false
	}
	return best, strings.TrimPrefix(path[length:], "."), true
}

// merge lays a node over a base: mappings key by key, anything else whole. A key set to null in over is taken out.
func merge(base, over *node) *node {
	if base == nil || base.kind != mapping || over.kind != mapping {
		return over
	}
	merged := *over
	merged.entries = nil
	for _, e := range base.entries {
		at := over.index(e.key)
		if at < 0 {
			merged.entries = append(merged.entries, e)
			continue
		}
		replaced := over.entries[at]
		if replaced.value.kind == null {
			continue
		}
		replaced.value = merge(e.value, replaced.value)
		merged.entries = append(merged.entries, replaced)
	}
	for _, e := range over.entries {
		if base.index(e.key) < 0 {
			merged.entries = append(merged.entries, e)
		}
	}
	return &merged
}

func (n *node) index(key string) int {
	for i, e := range n.entries {
		if e.key == key {
			return i
		}
	}
	return -1
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
