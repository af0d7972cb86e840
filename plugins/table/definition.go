package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/regulars/regulars/sdk"
)

// Fields that every stream has and that are no part of the entity.
const (
	fieldKey       = "key"
	fieldUpdatedAt = "updated_at"
	fieldCurrency  = "currency"
)

// keyRule says how a record gets its key when no column holds one.
type keyRule int

const (
	// keyNeeded: there is no record without a key column.
	keyNeeded keyRule = iota
	// keyOfRow: every row is a record. The key is a hash of what identifies it and, as equal rows are separate records,
	// the number of the row among those with the same hash.
	keyOfRow
	// keyOfSubject: the identifying fields name one thing, and two rows about it are a mistake.
	keyOfSubject
)

// definition is what a stream's block may and must say.
type definition struct {
	stream string
	doc    string
	// fields and what they hold, for documentation.
	fields map[string]string
	// open are patterns of further fields, e.g. id.inn.
	open []*regexp.Regexp
	// needs are the fields without which a row is no record.
	needs []need
	// keys says what to do without a key column; identity lists the fields that identify a record then.
	//
	// It is not every mapped field, so that a column mapped later does not give all records new keys, which would
	// count every order twice.
	keys     keyRule
	identity []string
	// repeats lets a key occur on several rows: each is a record of its own, "#2" and so on. Consents need it, as
	// leaving out a later row might leave out an opt-out (R4).
	repeats bool
	// rank lists the fields that say which rows get a sequence among each other; empty for streams without.
	rank []string
	// after are the streams to be read first.
	after []string
}

// need is met when a row has one of the fields.
type need struct {
	anyOf   []string
	onlyOne bool // two of them would contradict each other
}

func needs(fields ...string) need { return need{anyOf: fields} }

func (d definition) knows(field string) bool {
	if _, ok := d.fields[field]; ok {
		return true
	}
	return slices.ContainsFunc(d.open, func(p *regexp.Regexp) bool { return p.MatchString(field) })
}

// names lists the fields, sorted.
func (d definition) names() []string { return slices.Sorted(maps.Keys(d.fields)) }

// missingColumn says that a file's header lacks a column, in words that help to find the mistake. Names of columns
// are no personal data; but a file without a header has its first row in that place, so what looks like an address or a
// long number is not shown (R12).
func missingColumn(field, column, place string, header []string) *sdk.Problem {
	var names []string
	for _, name := range header {
		switch {
		case name == "":
		case strings.Contains(name, "@") || digitsIn(name) >= 5:
			names = append(names, "(not shown)")
		default:
			names = append(names, name)
		}
	}
	hint := ""
	if guess := nearest(column, names); guess != "" {
		hint = "; did you mean \"" + guess + "\"?"
	}
	p := sdk.InvalidConfig(field, "%s has no column %q; its columns are \"%s\"%s", place, column, strings.Join(names, `", "`), hint)
	p.Place, p.Rule = place, "column_missing"
	return p
}

func digitsIn(text string) int {
	n := 0
	for _, c := range []byte(text) {
		if c >= '0' && c <= '9' {
			n++
		}
	}
	return n
}
