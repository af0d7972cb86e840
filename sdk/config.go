package sdk

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // zones in configurations must load on machines without a zone database
)

// Config is a connector's configuration, declared once by a struct. From the declaration follow parsing, defaults,
// validation, JSON Schema, the field list of the spec and documentation.
//
// Tags of a field:
//
//	cfg:"name"            the member's name; cfg:"-" leaves the field out
//	doc:"..."             for people; needed
//	default:"365"         text as in the configuration, JSON for lists and maps
//	example:"..."         in the same form
//	validate:"required,min=1,max=9,oneof=a b,hostname,url,email,currency,each,..."
//
// Rules hold for values that are there; min and max bound numbers, durations and the length of texts, lists and
// maps; what follows "each" holds for every element of a list or map.
//
// Types of fields: string, Path, integers, Days, float64, bool, time.Duration ("90s"), *time.Location (IANA name),
// Secret, types with UnmarshalText such as entity.Date, structs, lists, maps with string keys, and pointers to these
// for what may be absent. A struct (also a nested one) that implements Validator checks rules across its fields.
type Config struct {
	typ    reflect.Type
	root   *node
	faults []error
}

// ConfigOf declares the configuration by the struct C. Mistakes in the declaration stop Serve with a list.
func ConfigOf[C any]() Config {
	typ := reflect.TypeFor[C]()
	c := Config{typ: typ}
	if typ.Kind() != reflect.Struct {
		c.root = &node{shape: shapeObject, typ: typ}
		c.faults = append(c.faults, fmt.Errorf("config: %v is not a struct", typ))
		return c
	}
	b := nodeBuilder{}
	c.root = b.build(typ, "config")
	c.faults = b.faults
	return c
}

// Validator is implemented by configuration structs with rules across fields. Validate is called when the struct's
// own fields are right; it returns Problems made by InvalidConfig with paths relative to the struct, several with
// errors.Join.
type Validator interface{ Validate() error }

// Days is a number of days in a configuration.
type Days int

// Duration returns the days as 24 hours each.
func (d Days) Duration() time.Duration { return time.Duration(d) * 24 * time.Hour }

// Path is a file or folder. The hub resolves a relative one against the folder of the file that names it.
type Path string

// shape is how a value looks in the configuration.
type shape int

const (
	shapeString shape = iota
	shapePath
	shapeInteger
	shapeNumber
	shapeBoolean
	shapeDuration
	shapeZone
	shapeText // a type with UnmarshalText
	shapeSecret
	shapeList
	shapeMap
	shapeObject
)

// node is one place of the declaration.
type node struct {
	typ     reflect.Type // without the pointer, but for *time.Location
	pointer bool
	shape   shape
	name    string // empty for the root and for elements
	index   []int  // of the struct field
	doc     string
	example string
	// fallback is the default's text; hasDefault tells "" from none.
	fallback   string
	hasDefault bool
	required   bool
	rules      []rule
	fields     []*node // of an object
	elem       *node   // of a list or map
}

var (
	typeSecret          = reflect.TypeFor[Secret]()
	typePath            = reflect.TypeFor[Path]()
	typeDuration        = reflect.TypeFor[time.Duration]()
	typeZone            = reflect.TypeFor[*time.Location]()
	typeTextUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	validName           = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// nodeBuilder reads a declaration and collects its mistakes.
type nodeBuilder struct {
	faults []error
	within []reflect.Type // structs being read, to stop at recursive ones
}

func (b *nodeBuilder) fault(path, format string, args ...any) {
	b.faults = append(b.faults, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

func (b *nodeBuilder) build(typ reflect.Type, path string) *node {
	n := &node{typ: typ}
	if typ.Kind() == reflect.Pointer && typ != typeZone {
		n.pointer, n.typ = true, typ.Elem()
	}
	switch {
	case n.typ == typeZone:
		n.shape = shapeZone
	case n.typ == typeSecret:
		n.shape = shapeSecret
	case n.typ == typePath:
		n.shape = shapePath
	case n.typ == typeDuration:
		n.shape = shapeDuration
	case reflect.PointerTo(n.typ).Implements(typeTextUnmarshaler):
		n.shape = shapeText
	default:
		b.buildKind(n, path)
	}
	return n
}

func (b *nodeBuilder) buildKind(n *node, path string) {
	switch n.typ.Kind() {
	case reflect.String:
		n.shape = shapeString
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.shape = shapeInteger
	case reflect.Float64:
		n.shape = shapeNumber
	case reflect.Bool:
		n.shape = shapeBoolean
	case reflect.Slice:
		n.shape, n.elem = shapeList, b.build(n.typ.Elem(), path+".*")
	case reflect.Map:
		if n.typ.Key().Kind() != reflect.String {
			b.fault(path, "a map needs string keys")
		}
		n.shape, n.elem = shapeMap, b.build(n.typ.Elem(), path+".*")
	case reflect.Struct:
		n.shape = shapeObject
		b.buildFields(n, path)
	default:
		b.fault(path, "the type %v cannot be configured", n.typ)
	}
}

func (b *nodeBuilder) buildFields(n *node, path string) {
	for _, outer := range b.within {
		if outer == n.typ {
			b.fault(path, "the type %v holds itself", n.typ)
			return
		}
	}
	b.within = append(b.within, n.typ)
	names := map[string]bool{}
	for _, f := range reflect.VisibleFields(n.typ) {
		name, tagged := f.Tag.Lookup("cfg")
		if name == "-" || !f.IsExported() || (f.Anonymous && !tagged && f.Type.Kind() == reflect.Struct) {
			continue // the fields of an embedded struct come by themselves
		}
		at := path + "." + name
		switch {
		case f.Anonymous:
			b.fault(path, "%s is embedded; embed a struct without a cfg tag, or give the field a name", f.Name)
			continue
		case !tagged:
			b.fault(path, "the field %s has no cfg tag", f.Name)
			continue
		case !validName.MatchString(name):
			b.fault(at, "a name is lower case letters, digits and _")
		case names[name]:
			b.fault(at, "two fields have this name")
		}
		names[name] = true
		n.fields = append(n.fields, b.buildField(f, name, at))
	}
	b.within = b.within[:len(b.within)-1]
}

func (b *nodeBuilder) buildField(f reflect.StructField, name, path string) *node {
	n := b.build(f.Type, path)
	n.name, n.index = name, f.Index
	n.doc, n.example = f.Tag.Get("doc"), f.Tag.Get("example")
	n.fallback, n.hasDefault = f.Tag.Lookup("default")
	if n.doc == "" {
		b.fault(path, "it has no doc tag")
	}
	b.readRules(n, f.Tag.Get("validate"), path)
	if n.shape == shapeSecret && (n.hasDefault || n.pointer || n.example != "") {
		b.fault(path, "a secret has no default, no example and no pointer")
	}
	if n.required && n.hasDefault {
		b.fault(path, "a required field needs no default")
	}
	if n.hasDefault {
		b.checkText(n, path, "default", n.fallback)
	}
	if n.example != "" {
		b.checkText(n, path, "example", n.example)
	}
	return n
}

// checkText tries a default or example as if it stood in a configuration.
func (b *nodeBuilder) checkText(n *node, path, tag, text string) {
	d := decoder{}
	raw, err := n.fromTag(text)
	if err == nil {
		d.value(n, path, raw, reflect.New(n.typ).Elem())
		if len(d.problems) > 0 {
			err = d.problems[0]
		}
	}
	if err != nil {
		b.fault(path, "the %s does not fit: %v", tag, err)
	}
}

func (b *nodeBuilder) readRules(n *node, tag, path string) {
	at := n
	for _, text := range strings.Split(tag, ",") {
		if text == "" {
			continue
		}
		name, param, _ := strings.Cut(text, "=")
		switch {
		case name == "required":
			at.required = true
		case name == "each" && at.elem != nil:
			at = at.elem
		default:
			r, err := newRule(at, name, param)
			if err != nil {
				b.fault(path, "%v", err)
				continue
			}
			at.rules = append(at.rules, r)
		}
	}
}

// oneOf returns the values the node is limited to.
func (n *node) oneOf() []string {
	for _, r := range n.rules {
		if r.name == "oneof" {
			return strings.Fields(r.param)
		}
	}
	return nil
}

// needed says that a configuration without the field cannot be right, secrets apart.
func (n *node) needed() bool {
	if n.shape == shapeSecret {
		return false
	}
	if n.required || n.shape != shapeObject || n.pointer {
		return n.required
	}
	for _, f := range n.fields {
		if f.needed() {
			return true
		}
	}
	return false
}
