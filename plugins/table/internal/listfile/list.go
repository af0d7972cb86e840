// Package listfile keeps a mailing list in a CSV file that people and other programs read and may add to. What it did
// not write itself it leaves as it is: other columns, other rows, delimiter, byte order mark and line ends.
package listfile

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/regulars/regulars/plugins/table/internal/csvfile"
)

// Columns with a meaning of their own. They are found whatever their case.
const (
	ColumnEmail = "email"
	ColumnPhone = "phone"
	ColumnName  = "name"
	ColumnTags  = "tags"
	ColumnState = "state"
)

// ErrNoEmail says that a file is no list, as no column is called email.
var ErrNoEmail = errors.New("the file has no column \"email\"")

// ErrReserved says that a trait cannot be a column, as the list uses the column for something else.
var ErrReserved = errors.New("the list uses the columns email, phone, tags and state itself; give the trait another name")

// ErrUnsubscribed says that the list itself says that a person must not be on it.
var ErrUnsubscribed = errors.New("the list says that this member has unsubscribed, bounced or complained; the row is left as it is")

// States a row's state column may name; an empty cell means subscribed, any other word unsubscribed.
const (
	Subscribed   = "subscribed"
	Unsubscribed = "unsubscribed"
	Bounced      = "bounced"
	Complained   = "complained"
)

// Member is a person to put on the list. Traits are texts by column.
type Member struct {
	Email, Phone string
	Traits       map[string]string
	Tags         []string
}

// Entry is a person who is on the list.
type Entry struct {
	Email, Phone, State string
	Tags                []string
	Line                int
}

// List is a list file in memory.
type List struct {
	header    []string
	rows      []row
	byEmail   map[string][]int // positions in rows, of rows that are not gone
	delimiter rune
	bom, crlf bool
	sum       []byte
	// Broken are the rows that could not be read. A list with one must not be written, as the row would be lost.
	Broken []*csvfile.RowError
}

type row struct {
	cells []string
	line  int
	gone  bool
}

// New returns an empty list.
func New() *List {
	return &List{header: []string{ColumnEmail, ColumnPhone, ColumnName}, delimiter: ',', byEmail: map[string][]int{}}
}

// Read reads a list file, as UTF-8. It returns a *csvfile.HeaderError or ErrNoEmail for a file that is no list.
func Read(file io.ReadSeeker) (*List, error) {
	r, err := csvfile.New(file, csvfile.Options{Columns: []string{ColumnEmail, ColumnPhone, ColumnName}})
	if err != nil {
		return nil, err
	}
	l := &List{
		header: r.Header(), delimiter: r.Delimiter(), bom: r.ByteOrderMark(), crlf: r.CRLF(), byEmail: map[string][]int{},
	}
	email := l.column(ColumnEmail)
	if email < 0 {
		return nil, ErrNoEmail
	}
	for {
		read, err := r.Next()
		var broken *csvfile.RowError
		switch {
		case errors.Is(err, io.EOF):
			l.sum, _ = r.Sum()
			return l, nil
		case errors.As(err, &broken):
			l.Broken = append(l.Broken, broken)
			continue
		case err != nil:
			return nil, err
		}
		if key := Normal(unguard(read.Cells[email])); key != "" {
			l.byEmail[key] = append(l.byEmail[key], len(l.rows))
		}
		l.rows = append(l.rows, row{cells: slices.Clone(read.Cells), line: read.Line})
	}
}

// Normal is an e-mail address in the form members are recognised by.
func Normal(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// Sum is the SHA-256 of the file the list was read from.
func (l *List) Sum() []byte { return l.sum }

// Len counts the rows.
func (l *List) Len() int {
	n := 0
	for _, r := range l.rows {
		if !r.gone {
			n++
		}
	}
	return n
}

// column finds a column, first by its exact name, then whatever its case; -1 when there is none.
func (l *List) column(name string) int {
	if i := slices.Index(l.header, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(l.header, func(h string) bool { return strings.EqualFold(h, name) })
}

// Put puts a person on the list, or brings the row to what the member says. Traits the member does not name stay. It
// returns whether anything changed.
func (l *List) Put(m Member) (changed bool, err error) {
	for trait := range m.Traits {
		for _, reserved := range []string{ColumnEmail, ColumnPhone, ColumnTags, ColumnState} {
			if strings.EqualFold(strings.TrimSpace(trait), reserved) || strings.TrimSpace(trait) == "" {
				return false, ErrReserved
			}
		}
	}
	key := Normal(m.Email)
	positions := l.byEmail[key]
	for _, at := range positions {
		if l.state(l.rows[at]) != Subscribed {
			return false, ErrUnsubscribed
		}
	}
	// Rows that repeat the address would be written to twice by whoever uses the list.
	for _, at := range positions[min(1, len(positions)):] {
		l.rows[at].gone = true
		changed = true
	}
	if len(positions) == 0 {
		l.rows = append(l.rows, row{cells: make([]string, len(l.header))})
		positions = []int{len(l.rows) - 1}
		changed = true
	}
	at := positions[0]
	l.byEmail[key] = positions[:1]
	set := func(column, text string) {
		text = guard(text)
		i := l.column(column)
		if i < 0 {
			if text == "" {
				return
			}
			i = l.addColumn(column)
		}
		if l.rows[at].cells[i] != text {
			l.rows[at].cells[i] = text
			changed = true
		}
	}
	set(ColumnEmail, key)
	if m.Phone != "" {
		set(ColumnPhone, m.Phone)
	}
	for _, trait := range sortedKeys(m.Traits) {
		set(strings.TrimSpace(trait), cleanCell(m.Traits[trait]))
	}
	if len(m.Tags) > 0 {
		tags := append(l.tags(l.rows[at]), m.Tags...)
		slices.Sort(tags)
		set(ColumnTags, cleanCell(strings.Join(slices.Compact(tags), ", ")))
	}
	return changed, nil
}

// Remove takes a person off the list and returns whether they were on it. A row that says unsubscribed, bounced or
// complained stays: it is no membership, and without it the refusal would be forgotten.
func (l *List) Remove(email string) bool {
	key := Normal(email)
	var kept []int
	removed := false
	for _, at := range l.byEmail[key] {
		if l.state(l.rows[at]) != Subscribed {
			kept = append(kept, at)
			continue
		}
		l.rows[at].gone = true
		removed = true
	}
	if len(kept) == 0 {
		delete(l.byEmail, key)
	} else {
		l.byEmail[key] = kept
	}
	return removed
}

// addColumn adds a column behind the fixed ones, before the first other that sorts after it: columns that were all
// added by Put stand in one order, whichever member named them first.
func (l *List) addColumn(name string) int {
	at := len(l.header)
	for i, existing := range l.header {
		fixed := strings.EqualFold(existing, ColumnEmail) || strings.EqualFold(existing, ColumnPhone) || strings.EqualFold(existing, ColumnName)
		if !fixed && existing > name {
			at = i
			break
		}
	}
	l.header = slices.Insert(slices.Clone(l.header), at, name)
	for i := range l.rows {
		l.rows[i].cells = slices.Insert(l.rows[i].cells, at, "")
	}
	return at
}

func (l *List) cell(r row, column string) string {
	if i := l.column(column); i >= 0 {
		return unguard(r.cells[i])
	}
	return ""
}

func (l *List) tags(r row) []string {
	var tags []string
	for tag := range strings.SplitSeq(l.cell(r, ColumnTags), ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

func (l *List) state(r row) string {
	switch state := strings.ToLower(l.cell(r, ColumnState)); state {
	case "", Subscribed:
		return Subscribed
	case Bounced, Complained:
		return state
	default:
		return Unsubscribed
	}
}

// Entries returns the people on the list, each once: where rows repeat an address, one that refuses counts. Rows
// without an address are returned with an empty one.
func (l *List) Entries() []Entry {
	entries := make([]Entry, 0, len(l.rows))
	at := map[string]int{}
	for _, r := range l.rows {
		if r.gone {
			continue
		}
		e := Entry{
			Email: Normal(l.cell(r, ColumnEmail)), Phone: l.cell(r, ColumnPhone), State: l.state(r), Tags: l.tags(r), Line: r.line,
		}
		if i, twice := at[e.Email]; twice && e.Email != "" {
			if entries[i].State == Subscribed {
				entries[i].State = e.State
			}
			continue
		}
		at[e.Email] = len(entries)
		entries = append(entries, e)
	}
	return entries
}

// Write writes the list, sorted by address, so that the file does not depend on the order of what was put and removed.
// Rows without an address come last, in the order they had.
func (l *List) Write(to io.Writer) error {
	buffered := bufio.NewWriter(to)
	if l.bom {
		if _, err := buffered.WriteString("\ufeff"); err != nil {
			return err
		}
	}
	w := csv.NewWriter(buffered)
	w.Comma, w.UseCRLF = l.delimiter, l.crlf
	if err := w.Write(l.header); err != nil {
		return err
	}
	type sortable struct {
		email string
		row   row
	}
	sorted := make([]sortable, 0, len(l.rows))
	for _, r := range l.rows {
		if !r.gone {
			sorted = append(sorted, sortable{Normal(l.cell(r, ColumnEmail)), r})
		}
	}
	slices.SortStableFunc(sorted, func(a, b sortable) int {
		switch {
		case a.email == "" && b.email != "":
			return 1
		case a.email != "" && b.email == "":
			return -1
		default:
			return strings.Compare(a.email, b.email)
		}
	})
	for _, s := range sorted {
		if err := w.Write(s.row.cells); err != nil {
			return fmt.Errorf("writing a row: %w", err)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	return buffered.Flush()
}

// cleanCell makes a text fit into one line and survives being read back, which cuts the spaces around it.
func cleanCell(text string) string {
	return strings.TrimSpace(strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(text))
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
