package entity_test

import (
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
)

func TestParseMinor(t *testing.T) {
	tests := []struct {
		text, currency string
		minor          int64
		err            error
	}{
		{"1234.56", "RUB", 123456, nil},
		{"-3", "RUB", -300, nil},
		{"+3", "RUB", 300, nil},
		{"0", "RUB", 0, nil},
		{".5", "RUB", 50, nil},
		{"5.", "RUB", 500, nil},
		{"5.000", "JPY", 5, nil},
		{"5.1", "JPY", 0, entity.ErrTooPrecise},
		{"1.234", "KWD", 1234, nil},
		{"1.2340", "KWD", 1234, nil},
		{"1.2345", "CLF", 12345, nil},
		{"0.001", "RUB", 0, entity.ErrTooPrecise},
		{"92233720368547758.07", "RUB", math.MaxInt64, nil},
		{"92233720368547758.08", "RUB", 0, entity.ErrTooLarge},
		{"-92233720368547758.08", "RUB", math.MinInt64, nil},
		{"-92233720368547758.09", "RUB", 0, entity.ErrTooLarge},
		{"", "RUB", 0, entity.ErrNotDecimal},
		{".", "RUB", 0, entity.ErrNotDecimal},
		{"-", "RUB", 0, entity.ErrNotDecimal},
		{"--1", "RUB", 0, entity.ErrNotDecimal},
		{"-+1", "RUB", 0, entity.ErrNotDecimal},
		{"1,5", "RUB", 0, entity.ErrNotDecimal},
		{"1 000", "RUB", 0, entity.ErrNotDecimal},
		{"1.2.3", "RUB", 0, entity.ErrNotDecimal},
		{"1e3", "RUB", 0, entity.ErrNotDecimal},
		{"٣", "RUB", 0, entity.ErrNotDecimal},
	}
	for _, test := range tests {
		t.Run(test.text+" "+test.currency, func(t *testing.T) {
			minor, err := entity.ParseMinor(test.text, test.currency)
			require.ErrorIs(t, err, test.err)
			require.Equal(t, test.minor, minor)
		})
	}
}

func TestFormatMinor(t *testing.T) {
	require.Equal(t, "1234.56", entity.FormatMinor(123456, "RUB"))
	require.Equal(t, "-0.05", entity.FormatMinor(-5, "RUB"))
	require.Equal(t, "5", entity.FormatMinor(5, "JPY"))
	require.Equal(t, "0.005", entity.FormatMinor(5, "KWD"))
	require.Equal(t, "-92233720368547758.08", entity.FormatMinor(math.MinInt64, "RUB"))
	require.Equal(t, "12.00", entity.Money{Minor: 1200, Currency: "EUR"}.Decimal())
}

func TestMinorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64().Draw(t, "minor")
		currency := rapid.SampledFrom([]string{"RUB", "JPY", "KWD", "CLF"}).Draw(t, "currency")
		again, err := entity.ParseMinor(entity.FormatMinor(minor, currency), currency)
		require.NoError(t, err)
		require.Equal(t, minor, again)
	})
}

var decimal = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$`)

// FuzzParseMinor holds ParseMinor against exact arithmetic of the standard library.
func FuzzParseMinor(f *testing.F) {
	for _, seed := range []string{"1234.56", "-3", "5.000", ".", "", "9223372036854775808", "-0", "00.10", "1.2.3", "x.123"} {
		f.Add(seed, "RUB")
		f.Add(seed, "JPY")
		f.Add(seed, "KWD")
	}
	f.Fuzz(func(t *testing.T, text, currency string) {
		minor, err := entity.ParseMinor(text, currency)
		if !decimal.MatchString(text) {
			require.Error(t, err)
			require.Zero(t, minor)
			return
		}
		if len(text) > 400 {
			return
		}
		exact, ok := new(big.Rat).SetString(strings.TrimSuffix(text, "."))
		require.True(t, ok)
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(entity.Digits(currency))), nil)
		exact.Mul(exact, new(big.Rat).SetInt(scale))
		switch {
		case !exact.IsInt():
			require.ErrorIs(t, err, entity.ErrTooPrecise)
		case !exact.Num().IsInt64():
			require.ErrorIs(t, err, entity.ErrTooLarge)
		default:
			require.NoError(t, err)
			require.Equal(t, exact.Num().Int64(), minor)
		}
	})
}
