package sdk

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decode reads a configuration. Without problems the value holds the declared struct. Secrets are taken from their
// own map by dotted path, never from the JSON.
func (c Config) decode(data []byte, secrets map[string]string) (reflect.Value, []*Problem) {
	d := decoder{secrets: secrets}
	into := reflect.New(c.typ).Elem()
	var raw any
	if len(bytes.TrimSpace(data)) > 0 {
		r := json.NewDecoder(bytes.NewReader(data))
		r.UseNumber()
		if err := r.Decode(&raw); err != nil {
			return into, []*Problem{InvalidConfig("", "the configuration is not JSON")}
		}
		if _, err := r.Token(); !errors.Is(err, io.EOF) {
			return into, []*Problem{InvalidConfig("", "the configuration is more than one JSON value")}
		}
	}
	if raw == nil {
		raw = map[string]any{}
	}
	d.value(c.root, "", raw, into)
	return into, d.problems
}

// decoder collects every problem instead of stopping at the first.
type decoder struct {
	secrets  map[string]string
	problems []*Problem
}

func (d *decoder) problem(path, format string, args ...any) {
	d.problems = append(d.problems, InvalidConfig(path, format, args...))
}

// value decodes raw, which is there, into a settable value of n.typ, and checks the rules if it fits.
func (d *decoder) value(n *node, path string, raw any, into reflect.Value) {
	before := len(d.problems)
	switch n.shape {
	case shapeList:
		d.list(n, path, raw, into)
	case shapeMap:
		d.mapping(n, path, raw, into)
	case shapeObject:
		d.object(n, path, raw, into)
	case shapeSecret:
		// Never say anything about the value itself.
		d.problem(path, "is a secret and may not stand in the configuration itself; use ${ENV} or %s_file", lastOf(path))
	default:
		if message := n.scalar(raw, into); message != "" {
			d.problem(path, "%s", message)
		}
	}
	if len(d.problems) > before {
		return
	}
	for _, r := range n.rules {
		if message := r.broken(into); message != "" {
			d.problem(path, "%s", message)
		}
	}
}

// scalar decodes a single value and returns what is wrong with it, without showing it.
func (n *node) scalar(raw any, into reflect.Value) string {
	text, isText := raw.(string)
	number, isNumber := raw.(json.Number)
	unfit := func(wanted string) string { return fmt.Sprintf("must be %s, not %s", wanted, nameOf(raw)) }
	switch n.shape {
	case shapeString, shapePath:
		if !isText {
			return unfit("text")
		}
		into.SetString(text)
	case shapeInteger:
		i, err := strconv.ParseInt(string(number), 10, into.Type().Bits())
		if !isNumber {
			return unfit("a whole number")
		} else if err != nil {
			return "must be a whole number that is not too large"
		}
		into.SetInt(i)
	case shapeNumber:
		f, err := number.Float64()
		if !isNumber || err != nil {
			return unfit("a number")
		}
		into.SetFloat(f)
	case shapeBoolean:
		b, ok := raw.(bool)
		if !ok {
			return unfit("true or false")
		}
		into.SetBool(b)
	case shapeDuration:
		v, err := time.ParseDuration(text)
		if !isText || err != nil {
			return "must be a duration such as 90s or 1h30m"
		}
		into.SetInt(int64(v))
	case shapeZone:
		zone, err := time.LoadLocation(text)
		// "Local" would mean another zone on another machine.
		if !isText || text == "" || text == "Local" || err != nil {
			return "must be a time zone such as Europe/Moscow"
		}
		into.Set(reflect.ValueOf(zone))
	case shapeText:
		if !isText {
			return unfit("text")
		}
		if err := into.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return err.Error()
		}
	}
	return ""
}

func (d *decoder) list(n *node, path string, raw any, into reflect.Value) {
	items, ok := raw.([]any)
	if !ok {
		d.problem(path, "must be a list, not %s", nameOf(raw))
		return
	}
	into.Set(reflect.MakeSlice(n.typ, len(items), len(items)))
	for i, item := range items {
		d.present(n.elem, join(path, strconv.Itoa(i)), item, into.Index(i))
	}
}

func (d *decoder) mapping(n *node, path string, raw any, into reflect.Value) {
	members, ok := raw.(map[string]any)
	if !ok {
		d.problem(path, "must be a map, not %s", nameOf(raw))
		return
	}
	into.Set(reflect.MakeMapWithSize(n.typ, len(members)))
	for _, key := range slices.Sorted(maps.Keys(members)) {
		value := reflect.New(n.typ.Elem()).Elem()
		d.present(n.elem, join(path, key), members[key], value)
		into.SetMapIndex(reflect.ValueOf(key).Convert(n.typ.Key()), value)
	}
}

func (d *decoder) object(n *node, path string, raw any, into reflect.Value) {
	members, ok := raw.(map[string]any)
	if !ok {
		d.problem(path, "must be a map, not %s", nameOf(raw))
		return
	}
	before := len(d.problems)
	names := make([]string, len(n.fields))
	for i, f := range n.fields {
		names[i] = f.name
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		if slices.Contains(names, key) {
			continue
		}
		if nearest := nearestName(key, names); nearest != "" {
			d.problem(join(path, key), "is no field; did you mean %s?", nearest)
		} else {
			d.problem(join(path, key), "is no field; known here: %s", strings.Join(names, ", "))
		}
	}
	for _, f := range n.fields {
		d.field(f, join(path, f.name), members[f.name], into.FieldByIndex(f.index))
	}
	if v, ok := into.Addr().Interface().(Validator); ok && len(d.problems) == before {
		for _, p := range problemsOf(v.Validate()) {
			under := *p
			under.Kind, under.Field = ProblemInvalidConfig, join(path, p.Field)
			d.problems = append(d.problems, &under)
		}
	}
}

// field decodes a struct's field that may be absent (raw is nil).
func (d *decoder) field(n *node, path string, raw any, into reflect.Value) {
	switch {
	case raw != nil:
		d.present(n, path, raw, into)
	case n.shape == shapeSecret:
		d.secret(n, path, into)
	case n.hasDefault:
		raw, err := n.fromTag(n.fallback)
		if err != nil {
			d.problem(path, "the default is wrong: %v", err) // unreachable after Connector.validate
			return
		}
		d.present(n, path, raw, into)
	case n.shape == shapeObject && !n.pointer:
		d.value(n, path, map[string]any{}, into)
	case n.required:
		d.problem(path, "is required")
	}
}

// present decodes a value into a place that may be a pointer.
func (d *decoder) present(n *node, path string, raw any, into reflect.Value) {
	switch {
	case n.shape == shapeSecret && raw == nil:
		d.secret(n, path, into)
		return
	case raw == nil:
		d.problem(path, "must not be empty")
		return
	case n.pointer:
		into.Set(reflect.New(n.typ))
		into = into.Elem()
	}
	before := len(d.problems)
	d.value(n, path, raw, into)
	if !n.required || len(d.problems) > before {
		return
	}
	switch n.shape {
	case shapeString, shapePath, shapeList, shapeMap:
		if into.Len() == 0 {
			d.problem(path, "must not be empty")
		}
	}
}

func (d *decoder) secret(n *node, path string, into reflect.Value) {
	value := d.secrets[path]
	if value == "" && n.required {
		d.problem(path, "is required")
	}
	into.Set(reflect.ValueOf(NewSecret(value)))
}

// fromTag reads a default or example as the JSON value it stands for.
func (n *node) fromTag(text string) (any, error) {
	switch n.shape {
	case shapeString, shapePath, shapeDuration, shapeZone, shapeText, shapeSecret:
		return text, nil
	}
	r := json.NewDecoder(strings.NewReader(text))
	r.UseNumber()
	var raw any
	if err := r.Decode(&raw); err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	return raw, nil
}

// encode writes a decoded configuration back as JSON, with defaults and without secrets. Decoding the result gives
// the same configuration.
func (c Config) encode(value reflect.Value) ([]byte, error) {
	raw, _ := c.root.encode(value)
	return json.Marshal(raw)
}

// encode returns the JSON value, and false when leaving it out means the same.
func (n *node) encode(v reflect.Value) (any, bool) {
	if n.pointer {
		if v.IsNil() {
			return nil, false
		}
		v = v.Elem()
	}
	told := n.pointer || n.required || n.hasDefault || !v.IsZero()
	switch n.shape {
	case shapeSecret:
		return nil, false
	case shapeDuration:
		return time.Duration(v.Int()).String(), told
	case shapeZone:
		if v.IsNil() {
			return nil, false
		}
		return v.Interface().(*time.Location).String(), true
	case shapeText:
		if m, ok := v.Addr().Interface().(encoding.TextMarshaler); ok {
			if text, err := m.MarshalText(); err == nil {
				return string(text), told
			}
		}
		return fmt.Sprint(v.Interface()), told
	case shapeList:
		items := make([]any, v.Len())
		for i := range items {
			items[i], _ = n.elem.encode(v.Index(i))
		}
		return items, told
	case shapeMap:
		members := make(map[string]any, v.Len())
		for _, key := range v.MapKeys() {
			// A map's element has no address; a copy has.
			element := reflect.New(n.typ.Elem()).Elem()
			element.Set(v.MapIndex(key))
			members[key.String()], _ = n.elem.encode(element)
		}
		return members, told
	case shapeObject:
		members := map[string]any{}
		for _, f := range n.fields {
			if raw, ok := f.encode(v.FieldByIndex(f.index)); ok {
				members[f.name] = raw
			}
		}
		return members, n.pointer || len(members) > 0
	default:
		return v.Interface(), told
	}
}

func join(path, name string) string {
	switch {
	case path == "":
		return name
	case name == "":
		return path
	default:
		return path + "." + name
	}
}

func lastOf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// nameOf names the JSON type of a value, never the value.
func nameOf(raw any) string {
	switch raw.(type) {
	case nil:
		return "nothing"
	case string:
		return "text"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	default:
		return "a map"
	}
}

// nearestName finds the name a person most likely meant, or "".
func nearestName(typed string, names []string) string {
	best, bestDistance := "", max(2, len(typed)/3)+1
	for _, name := range names {
		if d := editDistance(strings.ToLower(typed), name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// editDistance counts the letters to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(diagonal+cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
