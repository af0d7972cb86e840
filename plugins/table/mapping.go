package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/plugins/table/internal/cell"
	"github.com/regulars/regulars/sdk"
)

// layout says where in the rows of one file the things are that do not depend on the entity's type.
type layout struct {
	path    string // of the file, as shown in places
	header  []string
	columns map[string]int // by field
	where   []condition
	// key and updatedAt are -1 without a column.
	key, updatedAt int
	identity, rank []part
	used           []int // every column that makes up the record
	keys           keyRule
	repeats        bool
}

type condition struct {
	index int
	text  string
}

// part is one of the texts that a hash is made of: a cell, or a constant when index is -1.
type part struct {
	index    int
	constant string
	values   map[string]string
	normal   func(string) string
}

func (p part) text(cells []string) string {
	text := p.constant
	if p.index >= 0 {
		text = translate(p.values, cells[p.index])
	}
	if p.normal != nil {
		text = p.normal(text)
	}
	return text
}

func translate(values map[string]string, text string) string {
	if values != nil {
		if meaning, ok := values[text]; ok {
			return meaning
		}
	}
	return text
}

// newLayout finds a block's columns in a file's header. It reports every column that is missing or there twice.
func newLayout(b *block, d definition, path string, headerLine int, header []string) (*layout, []*sdk.Problem) {
	l := &layout{path: path, header: header, columns: map[string]int{}, key: -1, updatedAt: -1, keys: d.keys, repeats: d.repeats}
	var problems []*sdk.Problem
	place := fmt.Sprintf("%s line %d", path, headerLine)
	find := func(field, column string) int {
		column = strings.TrimSpace(column)
		index := slices.Index(header, column)
		switch {
		case index < 0:
			problems = append(problems, missingColumn(d.stream+"."+field, column, place, header))
		case slices.Contains(header[index+1:], column):
			p := sdk.InvalidConfig(d.stream+"."+field, "%s has more than one column %q; rename all but one", place, column)
			p.Place, p.Rule = place, "column_twice"
			problems = append(problems, p)
		}
		return index
	}
	used := map[int]bool{}
	for _, field := range sortedKeys(b.Columns) {
		index := find("columns."+field, b.Columns[field])
		l.columns[field] = index
		used[index] = true
	}
	for _, id := range sortedKeys(b.Custom) {
		index := find("custom."+id, b.Custom[id])
		used[index] = true
	}
	for _, column := range sortedKeys(b.Where) {
		l.where = append(l.where, condition{find("where."+column, column), strings.TrimSpace(b.Where[column])})
	}
	if len(problems) > 0 {
		return nil, problems
	}
	l.used = sortedIndexes(used)
	if index, ok := l.columns[fieldKey]; ok {
		l.key = index
	}
	if index, ok := l.columns[fieldUpdatedAt]; ok {
		l.updatedAt = index
	}
	l.identity, l.rank = l.parts(b, d.identity), l.parts(b, d.rank)
	return l, nil
}

// parts finds fields among columns and constants. A field the block does not give counts as empty, so that giving it
// later changes no hash as long as its cells are empty.
func (l *layout) parts(b *block, fields []string) []part {
	parts := make([]part, 0, len(fields))
	for _, field := range fields {
		p := part{index: -1, constant: b.Constant[field], values: b.Values[field]}
		if index, ok := l.columns[field]; ok {
			p.index = index
		}
		switch {
		case strings.HasPrefix(field, "email"):
			p.normal = strings.ToLower
		case strings.HasPrefix(field, "phone"):
			p.normal = phoneDigits
		}
		parts = append(parts, p)
	}
	return parts
}

// phoneDigits leaves the digits of a phone number, so that the way it is written does not make another subject.
func phoneDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}

// matches says whether a row belongs to the stream.
func (l *layout) matches(cells []string) bool {
	for _, c := range l.where {
		if c.index >= len(cells) || cells[c.index] != c.text {
			return false
		}
	}
	return true
}

// hashParts sums up texts for the tallies of one process.
func hashParts(seed maphash.Seed, parts []part, cells []string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, p := range parts {
		_, _ = h.WriteString(p.text(cells)) // a hash never fails
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// hashUsed sums up everything of a row that the record is made of.
func (l *layout) hashUsed(seed maphash.Seed, cells []string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, index := range l.used {
		_, _ = h.WriteString(cells[index])
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// identityKey is the key of a row without a key column: 32 hexadecimal digits.
func (l *layout) identityKey(cells []string) string {
	h := sha256.New()
	for _, p := range l.identity {
		text := p.text(cells)
		_, _ = h.Write(strconv.AppendInt(nil, int64(len(text)), 10)) // the length keeps ("ab","c") and ("a","bc") apart
		_, _ = h.Write([]byte(":" + text))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// keyOf is the key of a row that its verdict lets have one.
func (l *layout) keyOf(cells []string, v verdict) string {
	switch {
	case l.key >= 0 && v.number > 1:
		return cells[l.key] + "#" + strconv.FormatUint(uint64(v.number), 10)
	case l.key >= 0:
		return cells[l.key]
	case v.number > 0:
		return l.identityKey(cells) + "-" + strconv.FormatUint(uint64(v.number), 10)
	default:
		return l.identityKey(cells)
	}
}

// place names a row, and the column of a field when the field is given.
func (l *layout) place(line int, column string) string {
	place := l.path + " line " + strconv.Itoa(line)
	if column != "" {
		place += ", column " + column
	}
	return place
}

// raw is a row as a JSON object from column name to cell, for a look at what could not be used. Cells beyond the
// header and nameless columns get their position as a name.
func (l *layout) raw(cells []string) []byte {
	object := make(map[string]string, len(cells))
	for i, text := range cells {
		name := ""
		if i < len(l.header) {
			name = l.header[i]
		}
		if _, taken := object[name]; taken || name == "" {
			name = "column " + strconv.Itoa(i+1)
		}
		object[name] = text
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		panic(err) // a map of strings
	}
	return encoded
}

// mapping turns the rows of one file into entities.
type mapping[E any] struct {
	*layout
	bindings []binding[E]
	custom   []customColumn
	customOf func(*E) *entity.Custom
	needs    []need
	required uint64 // a bit per need
	currency part
	fallback string // currency of rows that name none
	input    input
}

// binding fills one field from a cell, or from a constant when index is -1.
type binding[E any] struct {
	part
	field, column string
	set           func(*E, *input, string) error
	needs         uint64
}

type customColumn struct {
	id    string
	index int
}

// newMapping joins a layout with the entity's fields.
func newMapping[E any](t *table[E], l *layout, b *block, zone *time.Location, workspaceCurrency string) (*mapping[E], error) {
	dates, err := cell.NewDates(b.DateFormat, b.zone(zone))
	if err != nil {
		return nil, sdk.InvalidConfig(t.stream+".date_format", "%v", err)
	}
	numbers, err := cell.NewNumbers(b.Decimal, b.Thousands)
	if err != nil {
		return nil, sdk.InvalidConfig(t.stream+".decimal", "%v", err)
	}
	m := &mapping[E]{
		layout: l, customOf: t.custom, needs: t.needs, required: 1<<len(t.needs) - 1,
		input:    input{dates: dates, numbers: numbers},
		currency: part{index: -1}, fallback: workspaceCurrency,
	}
	if constant, ok := b.Constant[fieldCurrency]; ok {
		m.fallback = strings.ToUpper(strings.TrimSpace(constant))
	}
	if _, ok := t.set[fieldCurrency]; ok && !currencyCode(m.fallback) {
		return nil, sdk.InvalidConfig(t.stream+".constant.currency", "must be an ISO 4217 code such as RUB, as the workspace names no currency")
	}
	bind := func(field string, p part, column string) {
		if field == fieldCurrency {
			if p.index >= 0 {
				m.currency = p
			}
			return
		}
		bound := binding[E]{part: p, field: field, column: column, set: t.field(field).set}
		for i, n := range t.needs {
			if slices.Contains(n.anyOf, field) {
				bound.needs |= 1 << i
			}
		}
		m.bindings = append(m.bindings, bound)
	}
	for _, field := range sortedKeys(b.Columns) {
		if field != fieldKey && field != fieldUpdatedAt {
			bind(field, part{index: l.columns[field], values: b.Values[field]}, strings.TrimSpace(b.Columns[field]))
		}
	}
	for _, field := range sortedKeys(b.Constant) {
		bind(field, part{index: -1, constant: strings.TrimSpace(b.Constant[field])}, "")
	}
	for _, id := range sortedKeys(b.Custom) {
		m.custom = append(m.custom, customColumn{id, slices.Index(l.header, strings.TrimSpace(b.Custom[id]))})
	}
	for i, n := range t.needs {
		if slices.Contains(n.anyOf, fieldKey) {
			m.required &^= 1 << i // the key was looked at before
		}
	}
	return m, nil
}

// build makes the entity of a row. It returns a *cellError for a row that cannot be used.
func (m *mapping[E]) build(cells []string) (E, time.Time, error) {
	var e E
	var updatedAt time.Time
	m.input.currency = m.fallback
	if text := m.currency.text(cells); text != "" {
		m.input.currency = strings.ToUpper(text)
		if !currencyCode(m.input.currency) {
			return e, updatedAt, &cellError{m.header[m.currency.index], errCurrency}
		}
	}
	var met uint64
	for i := range m.bindings {
		b := &m.bindings[i]
		text := b.text(cells)
		if text == "" {
			continue
		}
		switch err := b.set(&e, &m.input, text); {
		case err == nil:
			met |= b.needs
		case !errors.Is(err, errAbsent):
			return e, updatedAt, &cellError{b.column, err}
		}
	}
	if missing := m.required &^ met; missing != 0 {
		return e, updatedAt, m.requiredMissing(missing)
	}
	for _, c := range m.custom {
		if text := cells[c.index]; text != "" {
			values := m.customOf(&e)
			if *values == nil {
				*values = entity.Custom{}
			}
			(*values)[c.id] = customValue(text)
		}
	}
	if m.updatedAt >= 0 && cells[m.updatedAt] != "" {
		when, err := readDate(&m.input, cells[m.updatedAt])
		switch {
		case err == nil:
			updatedAt = when.Moment(m.input.dates.Zone()).UTC()
		case !errors.Is(err, errAbsent):
			return e, updatedAt, &cellError{m.header[m.updatedAt], err}
		}
	}
	return e, updatedAt, nil
}

// requiredMissing names the first need, of a set of bits, that a row does not meet.
func (m *mapping[E]) requiredMissing(missing uint64) error {
	for i, n := range m.needs {
		if missing&(1<<i) == 0 {
			continue
		}
		var columns []string
		for _, b := range m.bindings {
			if b.needs&(1<<i) != 0 && b.column != "" {
				columns = append(columns, b.column)
			}
		}
		return &cellError{strings.Join(columns, " or "), &fault{
			"required_missing",
			"the cell is empty, but a record needs " + strings.Join(n.anyOf, " or "),
		}}
	}
	return nil
}

// cellError is what is wrong with a row, and the column it is in.
type cellError struct {
	column string
	err    error
}

// Error implements error.
func (e *cellError) Error() string { return e.err.Error() }

// problem puts a cell error into the hub's words.
func (l *layout) problem(line int, err error) *sdk.Problem {
	column, rule := "", "row_invalid"
	var at *cellError
	if errors.As(err, &at) {
		column, err = at.column, at.err
	}
	var broken *fault
	if errors.As(err, &broken) {
		rule = broken.rule
	}
	return sdk.Rejected(rule, "%s", err.Error()).At("%s", l.place(line, column))
}

func sortedIndexes(set map[int]bool) []int {
	indexes := make([]int, 0, len(set))
	for index := range set {
		indexes = append(indexes, index)
	}
	slices.Sort(indexes)
	return indexes
}
