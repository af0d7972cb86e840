package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/plugins/table/internal/cell"
)

// input is what reading a cell depends on beside the cell.
type input struct {
	dates    *cell.Dates
	numbers  cell.Numbers
	currency string // of the row
}

// fault says which rule a cell breaks; its message never shows the cell.
type fault struct{ rule, message string }

// Error implements error.
func (f *fault) Error() string { return f.message }

// errAbsent says that a text stands for no value, as 0001-01-01 does for no date.
var errAbsent = errors.New("no value")

// field is one field of an entity: what it holds, and how a cell's text (never empty) gets there.
type field[E any] struct {
	doc string
	set func(e *E, in *input, text string) error
}

// table is a stream's definition with the fields of its entity.
type table[E any] struct {
	definition
	set map[string]field[E]
	// setOpen returns the field for a name that matches one of the definition's open patterns.
	setOpen func(name string) field[E]
	custom  func(e *E) *entity.Custom
}

// newTable completes a definition by the fields' documentation.
func newTable[E any](t table[E]) *table[E] {
	t.fields = map[string]string{
		fieldKey:       "stable id of the record, at most 512 bytes",
		fieldUpdatedAt: "when the row was last changed; an older version never replaces a newer one",
	}
	for name, f := range t.set {
		t.fields[name] = f.doc
	}
	return &t
}

func (t *table[E]) field(name string) field[E] {
	if f, ok := t.set[name]; ok {
		return f
	}
	return t.setOpen(name)
}

func text[E any](doc string, at func(*E) *string) field[E] {
	return field[E]{doc, func(e *E, _ *input, text string) error {
		*at(e) = text
		return nil
	}}
}

// ref makes a reference to a record of another stream.
func ref[E any](doc, stream string, at func(*E) **entity.Ref) field[E] {
	return field[E]{doc, func(e *E, _ *input, text string) error {
		*at(e) = &entity.Ref{Stream: stream, Key: text}
		return nil
	}}
}

func readDate(in *input, text string) (cell.When, error) {
	when, err := in.dates.Parse(text)
	switch {
	case errors.Is(err, cell.ErrDateAmbiguous):
		return when, &fault{"date_ambiguous", "the cell is a date in more than one of the formats set by date_format, and not the same one"}
	case errors.Is(err, cell.ErrDateRange):
		return when, &fault{"date_out_of_range", "the year is before 1900 or after 2200"}
	case err != nil:
		return when, &fault{"date_invalid", "the cell is not a date in any of the formats set by date_format (default YYYY-MM-DD and YYYY-MM-DD HH:mm)"}
	case when.IsZero():
		return when, errAbsent
	}
	return when, nil
}

// day takes the civil day, also of a cell with a time of day.
func day[E any](doc string, at func(*E) **entity.Date) field[E] {
	return field[E]{doc, func(e *E, in *input, text string) error {
		when, err := readDate(in, text)
		if err != nil {
			return err
		}
		*at(e) = &when.Day
		return nil
	}}
}

// dayOrMoment takes the moment, or the day where the cell has no time: a day alone must never shift with time zones.
func dayOrMoment[E any](doc string, moment func(*E) **time.Time, day func(*E) **entity.Date) field[E] {
	return field[E]{doc, func(e *E, in *input, text string) error {
		when, err := readDate(in, text)
		if err != nil {
			return err
		}
		if when.HasTime() {
			*moment(e) = &when.At
		} else {
			*day(e) = &when.Day
		}
		return nil
	}}
}

// moment takes the time, of a day alone its start.
func moment[E any](doc string, at func(*E) **time.Time) field[E] {
	return field[E]{doc, func(e *E, in *input, text string) error {
		when, err := readDate(in, text)
		if err != nil {
			return err
		}
		t := when.Moment(in.dates.Zone()).UTC()
		*at(e) = &t
		return nil
	}}
}

// momentIn is moment for entities that always have the time.
func momentIn[E any](doc string, at func(*E) *time.Time) field[E] {
	return field[E]{doc, func(e *E, in *input, text string) error {
		when, err := readDate(in, text)
		if err != nil {
			return err
		}
		*at(e) = when.Moment(in.dates.Zone()).UTC()
		return nil
	}}
}

// readMoney reads an amount in the row's currency.
func readMoney(in *input, text string) (entity.Money, error) {
	plain, err := in.numbers.Plain(text)
	if err != nil {
		return entity.Money{}, &fault{"number_invalid", "the cell is not a number as set by decimal and thousands"}
	}
	minor, err := entity.ParseMinor(plain, in.currency)
	switch {
	case errors.Is(err, entity.ErrTooPrecise):
		return entity.Money{}, &fault{"amount_too_precise", "the amount has more decimal digits than the currency " + in.currency}
	case errors.Is(err, entity.ErrTooLarge):
		return entity.Money{}, &fault{"amount_too_large", "the amount is too large"}
	case err != nil:
		return entity.Money{}, &fault{"number_invalid", "the cell is not a number as set by decimal and thousands"}
	}
	return entity.Money{Minor: minor, Currency: in.currency}, nil
}

func money[E any](doc string, at func(*E) **entity.Money) field[E] {
	return field[E]{doc, func(e *E, in *input, text string) error {
		m, err := readMoney(in, text)
		if err != nil {
			return err
		}
		*at(e) = &m
		return nil
	}}
}

// currency is read before the other cells of the row, see mapping.build.
func currency[E any]() field[E] {
	return field[E]{"ISO 4217 code of the row's amounts; without it the workspace's currency", func(*E, *input, string) error { return nil }}
}

// decimal takes a number as a decimal string.
func decimal[E any](doc string, at func(*E) *string) field[E] {
	return field[E]{doc, func(e *E, in *input, text string) error {
		plain, err := in.numbers.Plain(text)
		if err != nil {
			return &fault{"number_invalid", "the cell is not a number as set by decimal and thousands"}
		}
		*at(e) = plain
		return nil
	}}
}

func integer[E any](doc string, set func(*E, int)) field[E] {
	return field[E]{doc, func(e *E, in *input, text string) error {
		plain, err := in.numbers.Plain(text)
		if err == nil {
			whole, fraction, _ := strings.Cut(plain, ".")
			n, atoiErr := strconv.Atoi(whole)
			if atoiErr == nil && strings.Trim(fraction, "0") == "" {
				set(e, n)
				return nil
			}
		}
		return &fault{"integer_invalid", "the cell is not a whole number"}
	}}
}

func boolean[E any](doc string, set func(*E, bool)) field[E] {
	return field[E]{doc + ": true/false, yes/no, да/нет or 1/0", func(e *E, _ *input, text string) error {
		switch strings.ToLower(text) {
		case "true", "yes", "1", "да", "истина":
			set(e, true)
		case "false", "no", "0", "нет", "ложь":
			set(e, false)
		default:
			return &fault{"boolean_invalid", "the cell is none of true/false, yes/no, да/нет, 1/0; translate it with values"}
		}
		return nil
	}}
}

// choice takes one of a few words.
func choice[E any, T ~string](doc string, at func(*E) *T, words ...T) field[E] {
	known := make([]string, len(words))
	for i, word := range words {
		known[i] = string(word)
	}
	list := strings.Join(known, ", ")
	return field[E]{doc + ": " + list, func(e *E, _ *input, text string) error {
		if !slices.Contains(known, text) {
			return &fault{"value_unknown", "the cell is none of " + list + "; translate it with values"}
		}
		*at(e) = T(text)
		return nil
	}}
}

// list takes words separated by commas or semicolons.
func list[E any](doc string, at func(*E) *[]string) field[E] {
	return field[E]{doc + ", separated by commas or semicolons", func(e *E, _ *input, text string) error {
		for _, item := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' }) {
			if item = strings.TrimSpace(item); item != "" {
				*at(e) = append(*at(e), item)
			}
		}
		return nil
	}}
}

// address adds an e-mail address or phone number, as written: the hub brings them to normal form.
func address[E any](doc string, at func(*E) *[]entity.Address) field[E] {
	return field[E]{doc, func(e *E, _ *input, text string) error {
		*at(e) = append(*at(e), entity.Address{Value: text})
		return nil
	}}
}

// identifier adds an id of a kind.
func identifier[E any](kind string, at func(*E) *[]entity.ID) field[E] {
	return field[E]{"", func(e *E, _ *input, text string) error {
		*at(e) = append(*at(e), entity.ID{Kind: kind, Value: text})
		return nil
	}}
}

// customValue is a cell as it stands in an entity's custom fields.
func customValue(text string) json.RawMessage {
	value, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string
	}
	return value
}
