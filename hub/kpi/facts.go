package kpi

import (
	"slices"
	"sort"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
)

// Lifecycle says how long ago a customer last ordered, in activity windows W.
type Lifecycle uint8

// The lifecycle of a customer. NoLifecycle is that of a customer without a valid order.
const (
	NoLifecycle Lifecycle = iota
	Active                // 0 to W-1 days
	Dormant               // W to 2W-1 days
	Lost                  // 2W days or more
)

var lifecycleNames = [...]string{"", "active", "dormant", "lost"}

// String returns active, dormant or lost; empty without a valid order.
func (l Lifecycle) String() string { return lifecycleNames[l] }

// Fact is what one customer's orders amount to as of a day. Money is in minor units of the ledger's currency.
type Fact struct {
	Customer customer.ID
	// Orders counts valid orders; those without an exchange rate and those of amount 0 too.
	Orders int32
	// PurchaseDays counts the distinct days of valid orders.
	PurchaseDays int32
	// FirstOn and LastOn are the days of the first and last valid order, SinceLast the days since then. Without a valid
	// order they mean nothing.
	FirstOn, LastOn entity.Date
	SinceLast       int32
	// Gross is the amount of all orders so far, also of those refunded since.
	Gross int64
	// Net is Gross less all refunds so far. It may be negative.
	Net int64
	// NetYear is Net of the trailing 365 days: of orders made in them, whenever refunded, less unlinked refunds made in
	// them.
	NetYear int64
	// YearAbove counts the customers with a valid order whose NetYear is greater.
	YearAbove int32
	// Recent and Earlier count valid orders in the last W days and in the W days before those.
	Recent, Earlier int32
	// CheckSum and CheckOrders are the amount and number of valid orders with a rate: the average check's two sides.
	CheckSum    int64
	CheckOrders int32
	Lifecycle   Lifecycle
	// NextChange is the first day after as-of on which a field other than SinceLast and the relative ones (YearAbove, R,
	// F, M, Group) can change without a new row: an order leaves the year or a window, or a row dated ahead comes of
	// age. Until the day before, all of them stay as they are. Never when there is no such day.
	NextChange entity.Date
	// R, F and M are scores from 1, worst, to 5; Group is their RFM segment. All are 0 without a valid order.
	R, F, M uint8
	Group   Group
}

// AverageCheck is the mean amount of the valid orders in minor units, rounded half away from zero.
func (f *Fact) AverageCheck() (int64, bool) {
	if f.CheckOrders == 0 {
		return 0, false
	}
	return divideRounded(f.CheckSum, int64(f.CheckOrders)), true
}

// MeanGap is the mean number of days between purchase days; there is none before the second.
func (f *Fact) MeanGap() (float64, bool) {
	if f.PurchaseDays < 2 {
		return 0, false
	}
	return float64(f.LastOn-f.FirstOn) / float64(f.PurchaseDays-1), true
}

// Facts are those of every customer with an order or refund in the ledger, ascending by customer. They are made once
// and may be read by many goroutines.
type Facts struct {
	AsOf entity.Date
	// Window is the activity window W in days.
	Window   int
	Currency string
	// Ranked is the number of customers with a valid order: the base of ranks and scores, and the figure "customers".
	Ranked int
	// Scoring is how R, F and M were given.
	Scoring Scoring
	Rows    []Fact
}

// Facts computes the facts as of a day, with an activity window in days (0 means DefaultWindow), scored by share.
func (l *Ledger) Facts(asOf entity.Date, window int) *Facts {
	return l.FactsScored(asOf, window, Scoring{})
}

// FactsScored is Facts with scores by another method.
func (l *Ledger) FactsScored(asOf entity.Date, window int, by Scoring) *Facts {
	facts := l.absoluteFacts(asOf, window, nil)
	facts.Scoring = by
	facts.eachRanked(func(*Fact) { facts.Ranked++ })
	facts.rankYear()
	facts.score()
	return facts
}

// Of returns a customer's facts; nil when the ledger knows no order and no refund of theirs.
func (f *Facts) Of(id customer.ID) *Fact {
	i, found := slices.BinarySearchFunc(f.Rows, id, func(row Fact, id customer.ID) int {
		switch {
		case row.Customer < id:
			return -1
		case row.Customer > id:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return &f.Rows[i]
}

// YearRank is the share of customers with a strictly greater NetYear, from 0; there is none without a valid order, nor
// for a customer whose frozen scores were not known.
func (f *Facts) YearRank(row *Fact) (float64, bool) {
	if row.Orders == 0 || row.Group == NoGroup {
		return 0, false
	}
	return float64(row.YearAbove) / float64(f.Ranked), true
}

// fact computes what depends on one customer alone.
func (p *part) fact(c int, asOf entity.Date, window int) Fact {
	fact := Fact{Customer: p.customers[c], NextChange: never}
	yearFrom := asOf - yearDays + 1
	recentFrom := asOf - entity.Date(window) + 1
	earlierFrom := recentFrom - entity.Date(window)
	for i := int(p.orderFrom[c]); i < int(p.orderFrom[c+1]); i++ {
		on := p.orders.on[i]
		if on > asOf {
			fact.changeOn(on, asOf)
			break
		}
		base := p.orders.base[i]
		fact.Gross += base
		if on >= yearFrom {
			fact.NetYear += base
			if base != 0 {
				fact.changeOn(on+yearDays, asOf)
			}
		}
		void := p.voidOn(i)
		if void <= asOf {
			continue
		}
		fact.changeOn(void, asOf)
		if fact.Orders == 0 {
			fact.FirstOn = on
		}
		if fact.Orders == 0 || on != fact.LastOn {
			fact.PurchaseDays++
		}
		fact.LastOn = on
		fact.Orders++
		switch {
		case on >= recentFrom:
			fact.Recent++
			fact.changeOn(on+entity.Date(window), asOf)
		case on >= earlierFrom:
			fact.Earlier++
			fact.changeOn(on+2*entity.Date(window), asOf)
		}
		if p.converted(i) {
			fact.CheckSum += base
			fact.CheckOrders++
		}
	}
	refunded, refundedYear := p.refunded(c, asOf, yearFrom)
	p.refundChanges(&fact, c, asOf)
	fact.Net = fact.Gross - refunded
	fact.NetYear -= refundedYear
	if fact.Orders > 0 {
		fact.SinceLast = int32(asOf - fact.LastOn)
		fact.Lifecycle = lifecycle(int(fact.SinceLast), window)
	}
	return fact
}

// changeOn takes note of a day on which the fact changes, if it is still to come and none comes before.
func (f *Fact) changeOn(day, asOf entity.Date) {
	if day > asOf {
		f.NextChange = min(f.NextChange, day)
	}
}

// refundChanges takes note of the days on which refunds change the fact: their own, if it is ahead, and the one on which
// they leave the year.
func (p *part) refundChanges(fact *Fact, c int, asOf entity.Date) {
	for i := int(p.refundFrom[c]); i < int(p.refundFrom[c+1]); i++ {
		if p.refunds.base[i] == 0 {
			continue
		}
		fact.changeOn(p.refunds.on[i], asOf)
		counts := p.refunds.on[i]
		if order := p.refunds.order[i]; order >= 0 {
			counts = p.orders.on[order]
		}
		if counts <= asOf {
			fact.changeOn(counts+yearDays, asOf)
		}
	}
}

// refunded sums a customer's refunds up to as-of against the customer: a linked one belongs to the day of its order,
// an unlinked one to its own.
func (p *part) refunded(c int, asOf, yearFrom entity.Date) (total, year int64) {
	for i := int(p.refundFrom[c]); i < int(p.refundFrom[c+1]); i++ {
		if p.refunds.on[i] > asOf {
			continue
		}
		counts := p.refunds.on[i]
		if order := p.refunds.order[i]; order >= 0 {
			counts = p.orders.on[order]
			if counts > asOf {
				continue
			}
		}
		total += p.refunds.base[i]
		if counts >= yearFrom {
			year += p.refunds.base[i]
		}
	}
	return total, year
}

func lifecycle(sinceLast, window int) Lifecycle {
	switch {
	case sinceLast < window:
		return Active
	case sinceLast < 2*window:
		return Dormant
	default:
		return Lost
	}
}

func (f *Facts) rankYear() {
	values := f.collect(func(row *Fact) int64 { return row.NetYear })
	f.eachRanked(func(row *Fact) {
		row.YearAbove = int32(len(values) - atMost(values, row.NetYear))
	})
}

// collect returns one number of every customer with a valid order, ascending.
func (f *Facts) collect(number func(*Fact) int64) []int64 {
	values := make([]int64, 0, f.Ranked)
	f.eachRanked(func(row *Fact) { values = append(values, number(row)) })
	slices.Sort(values)
	return values
}

func (f *Facts) eachRanked(do func(*Fact)) {
	for i := range f.Rows {
		if f.Rows[i].Orders > 0 {
			do(&f.Rows[i])
		}
	}
}

// eachScored leaves out whom the frozen scores did not know.
func (f *Facts) eachScored(do func(*Fact)) {
	f.eachRanked(func(row *Fact) {
		if row.Group != NoGroup {
			do(row)
		}
	})
}

// below counts the sorted values less than v.
func below(values []int64, v int64) int {
	n, _ := slices.BinarySearch(values, v)
	return n
}

// atMost counts the sorted values not greater than v.
func atMost(values []int64, v int64) int {
	return sort.Search(len(values), func(i int) bool { return values[i] > v })
}
