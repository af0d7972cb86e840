package sdk

import (
	"fmt"
	"net/mail"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// rule is one rule of a validate tag. The set is closed on purpose: each rule must also say itself in JSON Schema
// and in documentation, which no validation library does.
type rule struct {
	name, param string
	// broken returns what is wrong with a value, without showing it; "" when nothing is.
	broken func(v reflect.Value) string
	schema map[string]any
	doc    string
}

var (
	hostname = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
)

func newRule(n *node, name, param string) (rule, error) {
	r := rule{name: name, param: param}
	text := func(ok func(s string) bool, message string, schema map[string]any) (rule, error) {
		if n.shape != shapeString {
			return r, fmt.Errorf("the rule %s is for texts", name)
		}
		r.broken = func(v reflect.Value) string {
			if ok(v.String()) {
				return ""
			}
			return message
		}
		r.schema, r.doc = schema, strings.TrimPrefix(message, "must be ")
		return r, nil
	}
	switch name {
	case "hostname":
		return text(func(s string) bool { return len(s) <= 253 && hostname.MatchString(s) },
			"must be a host name such as shop.example.com, without https:// and path", map[string]any{"format": "hostname"})
	case "url":
		return text(isURL, "must be an address that starts with http:// or https://", map[string]any{"format": "uri", "pattern": "^https?://"})
	case "email":
		return text(func(s string) bool { a, err := mail.ParseAddress(s); return err == nil && a.Address == s },
			"must be an e-mail address", map[string]any{"format": "email"})
	case "currency":
		return text(currency.MatchString, "must be a currency code such as RUB", map[string]any{"pattern": currency.String()})
	case "oneof":
		choices := strings.Fields(param)
		if len(choices) == 0 {
			return r, fmt.Errorf("the rule oneof needs values")
		}
		return text(func(s string) bool { return slices.Contains(choices, s) },
			"must be one of "+strings.Join(choices, ", "), map[string]any{"enum": choices})
	case "min", "max":
		return boundRule(n, r)
	default:
		return r, fmt.Errorf("the rule %q is unknown", name)
	}
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// boundRule is min or max: of a number, a duration, or the length of a text, list or map.
func boundRule(n *node, r rule) (rule, error) {
	var measure func(v reflect.Value) float64
	what, keyword := "", map[string]string{"min": "minimum", "max": "maximum"}[r.name]
	bound, err := strconv.ParseFloat(r.param, 64)
	switch n.shape {
	case shapeInteger:
		measure = func(v reflect.Value) float64 { return float64(v.Int()) }
	case shapeNumber:
		measure = reflect.Value.Float
	case shapeDuration:
		var d time.Duration
		d, err = time.ParseDuration(r.param)
		bound, keyword = float64(d), ""
		measure = func(v reflect.Value) float64 { return float64(v.Int()) }
	case shapeString:
		what, keyword = " characters", r.name+"Length"
		measure = func(v reflect.Value) float64 { return float64(utf8.RuneCountInString(v.String())) }
	case shapeList:
		what, keyword = " elements", r.name+"Items"
		measure = func(v reflect.Value) float64 { return float64(v.Len()) }
	case shapeMap:
		what, keyword = " members", r.name+"Properties"
		measure = func(v reflect.Value) float64 { return float64(v.Len()) }
	default:
		return r, fmt.Errorf("the rule %s is for numbers, durations and lengths", r.name)
	}
	if err != nil {
		return r, fmt.Errorf("the rule %s: %w", r.name, err)
	}
	r.doc = fmt.Sprintf("at %s %s%s", map[string]string{"min": "least", "max": "most"}[r.name], r.param, what)
	r.broken = func(v reflect.Value) string {
		if m := measure(v); (r.name == "min" && m < bound) || (r.name == "max" && m > bound) {
			return "must be " + r.doc
		}
		return ""
	}
	if keyword != "" {
		r.schema = map[string]any{keyword: bound}
	}
	return r, nil
}
