package kpi_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/hub/kpi"
)

func TestValueForms(t *testing.T) {
	for _, c := range []struct {
		value      kpi.Value
		form, text string
	}{
		{kpi.Undefined(), "null", "–"},
		{kpi.Value{}, "null", "–"},
		{kpi.Count(23570), "23570", "23570"},
		{kpi.Number(1.0 / 3), "0.3333333333333333", "0.3333333333333333"},
		{kpi.Number(1), "1", "1"},
		{kpi.Number(math.NaN()), "null", "–"},
		{kpi.Number(math.Inf(1)), "null", "–"},
		{kpi.Amount(123456, "RUB"), `"1234.56"`, "1234.56"},
		{kpi.Amount(-5, "RUB"), `"-0.05"`, "-0.05"},
		{kpi.Amount(5, "JPY"), `"5"`, "5"},
		{kpi.Amount(5, "KWD"), `"0.005"`, "0.005"},
	} {
		got, err := json.Marshal(c.value)
		require.NoError(t, err)
		require.Equal(t, c.form, string(got))
		require.Equal(t, c.text, c.value.String())

		var read kpi.Value
		require.NoError(t, json.Unmarshal(got, &read))
		again, err := json.Marshal(read)
		require.NoError(t, err)
		require.Equal(t, c.form, string(again))
		want, defined := c.value.Float()
		number, ok := read.Float()
		require.Equal(t, defined, ok)
		require.InDelta(t, want, number, 0)
	}
	for _, bad := range []string{`"twelve"`, `true`, `[1]`, `{}`} {
		var read kpi.Value
		require.Error(t, json.Unmarshal([]byte(bad), &read), bad)
	}
}

func TestAverageCheckRounding(t *testing.T) {
	for _, c := range []struct {
		sum, orders int64
		want        string
	}{
		{5, 2, "0.03"},
		{-5, 2, "-0.03"},
		{1, 3, "0.00"},
		{2, 3, "0.01"},
		{-2, 3, "-0.01"},
		{100, 1, "1.00"},
		{math.MaxInt64, 1, "92233720368547758.07"},
		{0, 0, "–"},
	} {
		require.Equal(t, c.want, kpi.AverageCheck(c.sum, c.orders, "RUB").String())
	}
	rapid.Check(t, func(t *rapid.T) {
		sum, orders := rapid.Int64().Draw(t, "sum"), rapid.Int64Range(1, math.MaxInt64).Draw(t, "orders")
		// FloatString rounds half away from zero.
		want := big.NewRat(sum, orders).FloatString(0)
		if want == "-0" {
			want = "0"
		}
		require.Equal(t, want, kpi.AverageCheck(sum, orders, "JPY").String())
	})
}
