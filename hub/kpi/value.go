package kpi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/regulars/regulars/contracts/entity"
)

// Value is one number of a figure: a count, an amount of money, a plain number, or undefined. The zero Value is
// undefined.
//
// In JSON a count is an integer, money a decimal string with the currency's digits, a plain number keeps full
// precision, and undefined is null: never 0, never NaN.
type Value struct {
	kind    valueKind
	count   int64
	number  float64
	decimal string
}

type valueKind uint8

const (
	undefined valueKind = iota
	countKind
	numberKind
	moneyKind
)

// Undefined is the value of a figure whose denominator is empty.
func Undefined() Value { return Value{} }

// Count makes a value of a whole number.
func Count(n int64) Value { return Value{kind: countKind, count: n} }

// Number makes a value of a share, a frequency or another plain number. NaN and infinities are undefined.
func Number(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Undefined()
	}
	return Value{kind: numberKind, number: f}
}

// Amount makes a value of money in minor units of a currency.
func Amount(minor int64, currency string) Value {
	return Value{kind: moneyKind, decimal: entity.FormatMinor(minor, currency)}
}

// Defined says whether there is a number at all.
func (v Value) Defined() bool { return v.kind != undefined }

// Float returns the value for uses that need no exact money, such as metrics and charts; money in major units.
// It reports false when the value is undefined.
func (v Value) Float() (float64, bool) {
	switch v.kind {
	case countKind:
		return float64(v.count), true
	case numberKind:
		return v.number, true
	case moneyKind:
		f, err := strconv.ParseFloat(v.decimal, 64)
		return f, err == nil
	default:
		return 0, false
	}
}

// String returns the value as in JSON, without quotes; an undefined one is a dash.
func (v Value) String() string {
	switch v.kind {
	case countKind:
		return strconv.FormatInt(v.count, 10)
	case numberKind:
		return strconv.FormatFloat(v.number, 'f', -1, 64)
	case moneyKind:
		return v.decimal
	default:
		return "–"
	}
}

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case countKind:
		return strconv.AppendInt(nil, v.count, 10), nil
	case numberKind:
		return json.Marshal(v.number)
	case moneyKind:
		return json.Marshal(v.decimal)
	default:
		return []byte("null"), nil
	}
}

// UnmarshalJSON implements json.Unmarshaler. What it reads is written again as the same bytes.
func (v *Value) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		*v = Undefined()
		return nil
	}
	if len(data) > 0 && data[0] == '"' {
		var decimal string
		if err := json.Unmarshal(data, &decimal); err != nil {
			return err
		}
		if _, err := strconv.ParseFloat(decimal, 64); err != nil {
			return fmt.Errorf("a figure's value in quotes must be a decimal number")
		}
		*v = Value{kind: moneyKind, decimal: decimal}
		return nil
	}
	if n, err := strconv.ParseInt(string(data), 10, 64); err == nil {
		*v = Count(n)
		return nil
	}
	var f float64
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("a figure's value must be a number, a decimal string or null: %w", err)
	}
	*v = Number(f)
	return nil
}
