package entity

import (
	"fmt"
	"time"

	"github.com/invopop/jsonschema"
)

// Date is a civil day without a time zone, counted in days since 1970-01-01. On the wire it is "2006-01-02".
// Arithmetic on it is never touched by clock changes: d+1 is the next day.
type Date int32

const dateForm = "2006-01-02"

// NewDate returns the day of a calendar date. Days and months out of range are carried over as in time.Date.
func NewDate(year int, month time.Month, day int) Date {
	return Date(floorDiv(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix(), 86400))
}

// DateIn returns the civil day that a moment falls on in a zone.
func DateIn(t time.Time, zone *time.Location) Date {
	year, month, day := t.In(zone).Date()
	return NewDate(year, month, day)
}

// ParseDate reads "2006-01-02".
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(dateForm, s)
	if err != nil {
		return 0, fmt.Errorf("not a date in the form YYYY-MM-DD")
	}
	return NewDate(t.Date()), nil
}

// Start returns the first moment of the day in a zone; where midnight is skipped by a clock change, the moment
// after the gap.
func (d Date) Start(zone *time.Location) time.Time {
	year, month, day := d.Calendar()
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if DateIn(t, zone) < d {
		// time.Date resolves a skipped midnight with the offset before the gap, which is still the day before.
		_, before := t.Zone()
		_, after := t.Add(3 * time.Hour).Zone()
		t = t.Add(time.Duration(after-before) * time.Second)
	}
	return t
}

// Calendar returns year, month and day.
func (d Date) Calendar() (int, time.Month, int) {
	return time.Unix(int64(d)*86400, 0).UTC().Date()
}

// String returns "2006-01-02".
func (d Date) String() string {
	return time.Unix(int64(d)*86400, 0).UTC().Format(dateForm)
}

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Date) UnmarshalText(text []byte) error {
	parsed, err := ParseDate(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// JSONSchema describes the wire form.
func (Date) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Format: "date"}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}
