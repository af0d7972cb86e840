package cell

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNumber says that a cell is not a number as configured.
var ErrNumber = errors.New("not a number as set by decimal and thousands")

// Numbers says how numbers are written.
type Numbers struct {
	decimal   byte
	thousands []string // any of these between groups of three digits
}

// NewNumbers takes the decimal separator ("." or ",") and what separates thousands: "" for nothing, "space" (also the
// no-break ones), ".", "," or "'".
func NewNumbers(decimal, thousands string) (Numbers, error) {
	n := Numbers{decimal: '.'}
	switch decimal {
	case "", ".":
	case ",":
		n.decimal = ','
	default:
		return n, errors.New(`decimal must be "." or ","`)
	}
	switch thousands {
	case "":
	case "space":
		n.thousands = []string{" ", "\u00a0", "\u202f", "\u2009"}
	case ".", ",", "'":
		if thousands[0] == n.decimal {
			return n, fmt.Errorf("decimal and thousands are both %q", thousands)
		}
		n.thousands = []string{thousands}
	default:
		return n, errors.New(`thousands must be "space", ".", "," or "'"`)
	}
	return n, nil
}

// Plain returns a number as a plain decimal with a point, e.g. "-1234.50", exactly as many digits as written.
func (n Numbers) Plain(text string) (string, error) {
	whole, fraction, hasFraction := strings.Cut(text, string(n.decimal))
	sign := ""
	if whole != "" && (whole[0] == '-' || whole[0] == '+') {
		if whole[0] == '-' {
			sign = "-"
		}
		whole = whole[1:]
	}
	if hasFraction && fraction == "" || !digits(fraction) {
		return "", ErrNumber
	}
	if !digits(whole) {
		joined, ok := n.joinGroups(whole)
		if !ok {
			return "", ErrNumber
		}
		whole = joined
	}
	if whole == "" && fraction == "" {
		return "", ErrNumber
	}
	if whole == "" {
		whole = "0"
	}
	if !hasFraction {
		return sign + whole, nil
	}
	return sign + whole + "." + fraction, nil
}

// joinGroups removes thousands separators. They must stand between groups of three digits: "1 23" is a typing error,
// not 123.
func (n Numbers) joinGroups(text string) (string, bool) {
	for _, separator := range n.thousands {
		groups := strings.Split(text, separator)
		if len(groups) == 1 {
			continue
		}
		for i, group := range groups {
			if !digits(group) || group == "" || len(group) > 3 || i > 0 && len(group) != 3 {
				return "", false
			}
		}
		return strings.Join(groups, ""), true
	}
	return "", false
}

func digits(text string) bool {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
