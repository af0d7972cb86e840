package entity

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Money is an amount in minor units (kopecks, cents) of an ISO 4217 currency. It is never a float.
type Money struct {
	Minor    int64  `json:"minor" jsonschema_description:"Amount in minor units of the currency."`
	Currency string `json:"currency" jsonschema:"pattern=^[A-Z]{3}$" jsonschema_description:"ISO 4217 code."`
}

// Digits returns how many decimal digits a currency has after the point (ISO 4217); 2 for codes not listed.
func Digits(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	case "CLF", "UYW":
		return 4
	default:
		return 2
	}
}

// Errors of ParseMinor. They name the rule and never the value.
var (
	ErrNotDecimal = errors.New("not a decimal number")
	ErrTooPrecise = errors.New("more decimal digits than the currency has")
	ErrTooLarge   = errors.New("too large an amount")
)

// ParseMinor reads a plain decimal ("1234.56", "-3") as minor units of a currency, exactly. Digits beyond the
// currency's are allowed only when they are zero.
func ParseMinor(s, currency string) (int64, error) {
	digits := Digits(currency)
	body, negative := strings.CutPrefix(s, "-")
	if !negative {
		body = strings.TrimPrefix(body, "+")
	}
	whole, fraction, _ := strings.Cut(body, ".")
	if whole == "" && fraction == "" {
		return 0, ErrNotDecimal
	}
	if len(fraction) > digits {
		if strings.Trim(fraction[digits:], "0") != "" {
			for _, c := range fraction {
				if c < '0' || c > '9' {
					return 0, ErrNotDecimal
				}
			}
			return 0, ErrTooPrecise
		}
		fraction = fraction[:digits]
	}
	fraction += strings.Repeat("0", digits-len(fraction))
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	var magnitude uint64
	for _, c := range whole + fraction {
		if c < '0' || c > '9' {
			return 0, ErrNotDecimal
		}
		if magnitude > (limit-uint64(c-'0'))/10 {
			return 0, ErrTooLarge
		}
		magnitude = magnitude*10 + uint64(c-'0')
	}
	if negative {
		return int64(-magnitude), nil
	}
	return int64(magnitude), nil
}

// FormatMinor writes minor units as a plain decimal with the currency's digits, e.g. "1234.56".
func FormatMinor(minor int64, currency string) string {
	digits := Digits(currency)
	sign := ""
	magnitude := uint64(minor)
	if minor < 0 {
		sign = "-"
		magnitude = -magnitude
	}
	if digits == 0 {
		return fmt.Sprintf("%s%d", sign, magnitude)
	}
	unit := uint64(1)
	for range digits {
		unit *= 10
	}
	return fmt.Sprintf("%s%d.%0*d", sign, magnitude/unit, digits, magnitude%unit)
}

// Decimal returns the amount as a plain decimal without the currency.
func (m Money) Decimal() string { return FormatMinor(m.Minor, m.Currency) }
