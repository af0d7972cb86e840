package kpi

import (
	"math/big"
	"math/bits"
	"slices"
)

// concentration is how the trailing year's net value spreads over the customers above 0. Squares are summed as whole
// numbers, so that the result does not hang on the order of customers (R2).
type concentration struct {
	values []int64 // greatest first
	total  int64
	// squares is the sum of the squared values.
	squares *big.Int
}

func concentrate(values []int64) concentration {
	slices.Sort(values)
	slices.Reverse(values)
	c := concentration{values: values}
	var high, low uint64 // the sum of squares is at most the squared sum, which fits 128 bits
	for _, v := range values {
		c.total += v
		h, l := bits.Mul64(uint64(v), uint64(v))
		var carry uint64
		low, carry = bits.Add64(low, l, 0)
		high, _ = bits.Add64(high, h, carry)
	}
	c.squares = new(big.Int).Lsh(new(big.Int).SetUint64(high), 64)
	c.squares.Or(c.squares, new(big.Int).SetUint64(low))
	return c
}

func (c *concentration) customers() int64 { return int64(len(c.values)) }

// top is the value of the n largest customers.
func (c *concentration) top(n int) int64 {
	var sum int64
	for _, v := range c.values[:min(n, len(c.values))] {
		sum += v
	}
	return sum
}

// hhi is the sum of squared shares, in points of 10000.
func (c *concentration) hhi() Value {
	if c.total == 0 {
		return Undefined()
	}
	return quotientOf(new(big.Int).Mul(c.squares, big.NewInt(10000)), c.squaredTotal())
}

// effective is how many customers of equal value would be as concentrated.
func (c *concentration) effective() Value {
	if c.total == 0 {
		return Undefined()
	}
	return quotientOf(c.squaredTotal(), c.squares)
}

func (c *concentration) squaredTotal() *big.Int {
	total := big.NewInt(c.total)
	return total.Mul(total, total)
}

func quotientOf(numerator, denominator *big.Int) Value {
	f, _ := new(big.Rat).SetFrac(numerator, denominator).Float64()
	return Number(f)
}
