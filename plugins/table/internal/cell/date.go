// Package cell reads the texts of table cells: dates and numbers as people and accounting systems write them.
// Errors name the rule that is broken and never the text.
package cell

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// Errors of Dates.Parse.
var (
	ErrDate          = errors.New("not a date in any of the formats set by date_format")
	ErrDateAmbiguous = errors.New("the formats set by date_format read different dates from it")
	ErrDateRange     = errors.New("the year is before 1900 or after 2200")
)

// When is a date, with or without a time of day.
type When struct {
	// Day is the civil day as written; for a time with an offset of its own, the day in the zone.
	Day entity.Date
	// At is set when the cell had a time of day.
	At time.Time
}

// IsZero says that the cell held no date: accounting systems write an empty date as 0001-01-01.
func (w When) IsZero() bool { return w == When{} }

// HasTime says whether there was a time of day.
func (w When) HasTime() bool { return !w.At.IsZero() }

// Moment returns the time, for a day alone its first moment in the zone.
func (w When) Moment(zone *time.Location) time.Time {
	if w.HasTime() {
		return w.At
	}
	return w.Day.Start(zone)
}

// DateFormat is one way dates are written, e.g. "DD.MM.YYYY HH:mm".
type DateFormat struct {
	layout         string // of package time; empty for Unix times
	unit           time.Duration
	hasTime        bool
	hasOffset      bool
	minLen, maxLen int // of texts worth trying; maxLen 0 is open
}

// DefaultDateFormats are understood when nothing is configured: none of them can be taken for another.
var DefaultDateFormats = []string{"YYYY-MM-DD", "YYYY-MM-DD HH:mm", "YYYY-MM-DD HH:mm:ss", "YYYY-MM-DDTHH:mm:ss", "RFC3339"}

// token is a piece of a format, with the lengths of text it stands for. Longer tokens come before their prefixes.
type token struct {
	name, layout   string
	minLen, maxLen int
}

var tokens = []token{
	{"YYYY", "2006", 4, 4},
	{"YY", "06", 2, 2},
	{"MM", "01", 2, 2},
	{"M", "1", 1, 2},
	{"DD", "02", 2, 2},
	{"D", "2", 1, 2},
	{"HH", "15", 2, 2},
	{"H", "15", 1, 2},
	{"mm", "04", 2, 2},
	{"ss", "05", 2, 12},
	{"Z", "Z07:00", 1, 6},
}

// ParseDateFormat reads a format made of YYYY, YY, MM, M, DD, D, HH, H, mm, ss, Z (an offset such as +03:00, or Z) and
// the separators . - / : , T and space; or RFC3339, unix, unix_ms.
func ParseDateFormat(format string) (DateFormat, error) {
	switch format {
	case "RFC3339":
		return DateFormat{layout: time.RFC3339, hasTime: true, hasOffset: true, minLen: len("2006-01-02T15:04:05Z")}, nil
	case "unix":
		return DateFormat{unit: time.Second, hasTime: true, hasOffset: true, minLen: 1, maxLen: 11}, nil
	case "unix_ms":
		return DateFormat{unit: time.Millisecond, hasTime: true, hasOffset: true, minLen: 1, maxLen: 14}, nil
	}
	var f DateFormat
	var layout strings.Builder
	seen := map[byte]bool{}
next:
	for rest := format; rest != ""; {
		for _, t := range tokens {
			if !strings.HasPrefix(rest, t.name) {
				continue
			}
			if seen[t.name[0]] {
				return DateFormat{}, fmt.Errorf("the format names %c twice; months are MM and minutes mm", t.name[0])
			}
			seen[t.name[0]] = true
			layout.WriteString(t.layout)
			f.minLen += t.minLen
			f.maxLen += t.maxLen
			rest = rest[len(t.name):]
			continue next
		}
		if !strings.ContainsRune(".-/:, T", rune(rest[0])) {
			return DateFormat{}, fmt.Errorf(
				"the format has an unknown part %q; known are YYYY YY MM M DD D HH H mm ss Z, the separators . - / : , T and space, and the formats RFC3339, unix, unix_ms",
				rest[:1])
		}
		layout.WriteByte(rest[0])
		f.minLen++
		f.maxLen++
		rest = rest[1:]
	}
	f.layout, f.hasTime, f.hasOffset = layout.String(), seen['H'], seen['Z']
	switch {
	case !seen['Y'] || !seen['M'] || !seen['D']:
		return DateFormat{}, errors.New("the format must name year, month and day, e.g. DD.MM.YYYY")
	case seen['H'] != seen['m'], seen['s'] && !seen['m'], seen['Z'] && !seen['H']:
		return DateFormat{}, errors.New("a time of day in the format needs hours and minutes, e.g. HH:mm")
	}
	return f, nil
}

// Dates reads dates in any of several formats. It is not safe for concurrent use.
type Dates struct {
	formats []DateFormat
	zone    *time.Location
	// Tables are often sorted by date: the last text is likely to come again.
	lastText string
	last     When
}

// NewDates reads dates in the formats, DefaultDateFormats when there are none; times without an offset are local
// to the zone.
func NewDates(formats []string, zone *time.Location) (*Dates, error) {
	if len(formats) == 0 {
		formats = DefaultDateFormats
	}
	d := &Dates{zone: zone}
	for _, format := range formats {
		parsed, err := ParseDateFormat(format)
		if err != nil {
			return nil, err
		}
		d.formats = append(d.formats, parsed)
	}
	return d, nil
}

// Zone is where times without an offset are local to.
func (d *Dates) Zone() *time.Location { return d.zone }

// Parse reads a cell. Every format is tried: two that read different dates from one text are never guessed between.
func (d *Dates) Parse(text string) (When, error) {
	if text == d.lastText && text != "" {
		return d.last, nil
	}
	var when When
	found := false
	for _, f := range d.formats {
		got, ok := f.parse(text, d.zone)
		if !ok {
			continue
		}
		if found && (got.Day != when.Day || !got.At.Equal(when.At)) {
			return When{}, ErrDateAmbiguous
		}
		when, found = got, true
	}
	if !found {
		return When{}, ErrDate
	}
	switch year, _, _ := when.Day.Calendar(); {
	case year == 1:
		when = When{}
	case year < 1900 || year > 2200:
		return When{}, ErrDateRange
	}
	d.lastText, d.last = text, when
	return when, nil
}

func (f DateFormat) parse(text string, zone *time.Location) (When, bool) {
	if len(text) < f.minLen || f.maxLen > 0 && len(text) > f.maxLen {
		return When{}, false
	}
	if f.layout == "" {
		return f.parseUnix(text, zone)
	}
	t, err := time.Parse(f.layout, text)
	if err != nil {
		return When{}, false
	}
	switch {
	case !f.hasTime:
		return When{Day: entity.NewDate(t.Date())}, true
	case f.hasOffset:
		return When{Day: entity.DateIn(t, zone), At: t.UTC()}, true
	}
	year, month, day := t.Date()
	local := time.Date(year, month, day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
	return When{Day: entity.NewDate(year, month, day), At: local.UTC()}, true
}

func (f DateFormat) parseUnix(text string, zone *time.Location) (When, bool) {
	var n int64
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return When{}, false
		}
		n = n*10 + int64(c-'0')
	}
	t := time.UnixMilli(n * f.unit.Milliseconds())
	return When{Day: entity.DateIn(t, zone), At: t.UTC()}, true
}
