package world

import (
	"math/rand/v2"
	"reflect"
)

// chance decides, and keeps count of what it decided.
type chance struct {
	*rand.Rand
	shares Shares
	fields map[*float64]int // by field of shares
	counts []Count
}

func newChance(random *rand.Rand, shares Shares) *chance {
	c := &chance{Rand: random, shares: shares, fields: map[*float64]int{}}
	value := reflect.ValueOf(&c.shares).Elem()
	for i := range value.NumField() {
		field := value.Field(i).Addr().Interface().(*float64)
		c.fields[field] = i
		c.counts = append(c.counts, Count{Share: value.Type().Field(i).Name, Wanted: *field})
	}
	return c
}

// hits decides for one case whether a share of cases takes it. The share is a field of c.shares.
func (c *chance) hits(share *float64) bool {
	count := &c.counts[c.fields[share]]
	count.Chances++
	if c.Float64() >= *share {
		return false
	}
	count.Hits++
	return true
}

// odds decides what is a matter of habit and no share of Config.
func (c *chance) odds(p float64) bool { return c.Float64() < p }

// met counts a case that was not left to chance.
func (c *chance) met(share *float64, hit bool) {
	count := &c.counts[c.fields[share]]
	count.Chances++
	if hit {
		count.Hits++
	}
}

func (c *chance) counted() []Count { return c.counts }

func pick[T any](c *chance, from []T) T { return from[c.IntN(len(from))] }

// pickEarly prefers what stands early in the list, as few names are had by many.
func pickEarly[T any](c *chance, from []T) T { return from[min(c.IntN(len(from)), c.IntN(len(from)))] }

func (c *chance) digits(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte('0' + c.IntN(10))
	}
	return string(out)
}
