package kpi

import (
	"cmp"
	"slices"
)

// ScoringMethod says how RFM scores are given (kpi.md 4.1).
type ScoringMethod string

// The methods. The empty one is ScoringByShare.
const (
	// ScoringByShare: score = 1 + floor(5*B/N), where B of N customers are strictly worse.
	ScoringByShare ScoringMethod = RFMMethod
	// ScoringByRank divides the customers, ranked from worst to best, into five groups as equal as possible, the first
	// ones larger by one. Equal customers are ranked by id, so they may score differently.
	ScoringByRank ScoringMethod = "ntile"
	// ScoringByThreshold compares with bounds that the workspace sets, so that scores do not hang on other customers.
	ScoringByThreshold ScoringMethod = "fixed"
)

// Scoring is a method with its bounds. The zero Scoring is by share. It may be compared with ==.
type Scoring struct {
	Method ScoringMethod
	// Bounds of ScoringByThreshold, ascending. R is 5 up to RecencyDays[0] days since the last order, 4 up to
	// RecencyDays[1], and so on; 1 beyond RecencyDays[3].
	RecencyDays [4]int64
	// F and M are 1 below the first bound and one more for each bound that is reached. NetValue is in minor units.
	Orders, NetValue [4]int64
}

func (s Scoring) method() ScoringMethod {
	if s.Method == "" {
		return ScoringByShare
	}
	return s.Method
}

// Rescored returns the facts with other scores and segments; all else is the same. The receiver stays as it is.
func (f *Facts) Rescored(by Scoring) *Facts {
	again := *f
	again.Scoring, again.Rows = by, slices.Clone(f.Rows)
	again.score()
	return &again
}

// score gives every customer with a valid order their scores and segment.
func (f *Facts) score() {
	switch f.Scoring.method() {
	case ScoringByRank:
		f.scoreByRank()
	case ScoringByThreshold:
		f.eachRanked(func(row *Fact) {
			row.R = 6 - reached(f.Scoring.RecencyDays, int64(row.SinceLast)-1)
			row.F = reached(f.Scoring.Orders, int64(row.Orders))
			row.M = reached(f.Scoring.NetValue, row.Net)
		})
	default:
		f.scoreByShare()
	}
	f.eachRanked(func(row *Fact) { row.Group = GroupOf(int(row.R), int(row.F), int(row.M)) })
}

// reached is 1 and one more for each bound not above v.
func reached(bounds [4]int64, v int64) uint8 {
	score := uint8(1)
	for _, bound := range bounds {
		if v >= bound {
			score++
		}
	}
	return score
}

func (f *Facts) scoreByRank() {
	rows := make([]*Fact, 0, f.Ranked)
	f.eachRanked(func(row *Fact) { rows = append(rows, row) })
	rank := func(worth func(*Fact) int64, give func(*Fact, uint8)) {
		slices.SortFunc(rows, func(a, b *Fact) int {
			return cmp.Or(cmp.Compare(worth(a), worth(b)), cmp.Compare(a.Customer, b.Customer))
		})
		for i, row := range rows {
			give(row, tile(i, len(rows)))
		}
	}
	rank(func(row *Fact) int64 { return -int64(row.SinceLast) }, func(row *Fact, score uint8) { row.R = score })
	rank(func(row *Fact) int64 { return int64(row.Orders) }, func(row *Fact, score uint8) { row.F = score })
	rank(func(row *Fact) int64 { return row.Net }, func(row *Fact, score uint8) { row.M = score })
}

// tile is SQL's NTILE(5) of a place, from 0, among n.
func tile(place, n int) uint8 {
	size, larger := n/5, n%5
	if place < larger*(size+1) {
		return uint8(place/(size+1) + 1)
	}
	return uint8(larger + (place-larger*(size+1))/size + 1)
}
