package settle

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/internal/property"
)

func TestConvert(t *testing.T) {
	for name, c := range map[string]struct {
		minor    int64
		from, to string
		rate     string
		inverse  bool
		want     int64
		ok       bool
	}{
		"plain":                          {100_00, "USD", "RUB", "91.2345", false, 9123_45, true},
		"half goes away from zero":       {1, "USD", "RUB", "0.5", false, 1, true},
		"below half goes to zero":        {1, "USD", "RUB", "0.4999", false, 0, true},
		"inverse":                        {100_00, "RUB", "USD", "80", true, 1_25, true},
		"inverse that does not end":      {100_00, "RUB", "USD", "3", true, 33_33, true},
		"two thirds":                     {200_00, "RUB", "USD", "3", true, 66_67, true},
		"no digits to two":               {1000, "JPY", "RUB", "0.61", false, 610_00, true},
		"two digits to none":             {10_00, "USD", "JPY", "151.05", false, 1511, true},
		"three digits to two":            {1_500, "KWD", "USD", "3.25", false, 4_88, true},
		"beyond 64 bits on the way":      {math.MaxInt64, "USD", "RUB", "1.00000000000000000000", false, math.MaxInt64, true},
		"too large a sum":                {math.MaxInt64, "USD", "RUB", "2", false, 0, false},
		"no rate":                        {1, "USD", "RUB", "", false, 0, false},
		"a rate of nothing":              {1, "USD", "RUB", "0", false, 0, false},
		"a rate below nothing":           {1, "USD", "RUB", "-1", false, 0, false},
		"a rate that is no plain number": {1, "USD", "RUB", "1e9999999", false, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := Convert(entity.Money{Minor: c.minor, Currency: c.from}, c.to, c.rate, c.inverse)
			require.Equal(t, c.ok, ok)
			if ok {
				assert.Equal(t, c.want, got)
			}
		})
	}
}

// TestPropertyConversionIsNearest compares with the definition: no other whole number is nearer to the exact value.
func TestPropertyConversionIsNearest(t *testing.T) {
	currencies := []string{"USD", "RUB", "JPY", "KWD"}
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		from, to := currencies[random.IntN(4)], currencies[random.IntN(4)]
		minor := random.Int64N(1_000_000_000_00)
		rate := big.NewRat(1+random.Int64N(1_000_000), 10_000)
		inverse := random.IntN(2) == 0
		got, ok := Convert(entity.Money{Minor: minor, Currency: from}, to, rate.FloatString(4), inverse)
		require.True(t, ok)
		if inverse {
			rate.Inv(rate)
		}
		exact := new(big.Rat).Mul(rate, big.NewRat(minor, 1))
		for range entity.Digits(to) {
			exact.Mul(exact, big.NewRat(10, 1))
		}
		for range entity.Digits(from) {
			exact.Quo(exact, big.NewRat(10, 1))
		}
		off := new(big.Rat).Sub(big.NewRat(got, 1), exact)
		assert.LessOrEqual(t, off.Cmp(big.NewRat(1, 2)), 0, "at most half above, and half itself goes up")
		assert.Positive(t, off.Cmp(big.NewRat(-1, 2)), "less than half below")
	})
}
