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
	Rows   []Fact
}

// Facts computes the facts as of a day, with an activity window in days (0 means DefaultWindow).
func (l *Ledger) Facts(asOf entity.Date, window int) *Facts {
	window = Query{Window: window}.window()
	facts := &Facts{AsOf: asOf, Window: window, Currency: l.currency, Rows: make([]Fact, len(l.customers))}
	for c := range l.customers {
		fact := &facts.Rows[c]
		*fact = l.fact(c, asOf, window)
		if fact.Orders > 0 {
			facts.Ranked++
		}
	}
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

// YearRank is the share of customers with a strictly greater NetYear, from 0; there is none without a valid order.
func (f *Facts) YearRank(row *Fact) (float64, bool) {
	if row.Orders == 0 {
		return 0, false
	}
	return float64(row.YearAbove) / float64(f.Ranked), true
}

// fact computes what depends on one customer alone.
func (l *Ledger) fact(c int, asOf entity.Date, window int) Fact {
	fact := Fact{Customer: l.customers[c]}
	yearFrom := asOf - yearDays + 1
	recentFrom := asOf - entity.Date(window) + 1
	earlierFrom := recentFrom - entity.Date(window)
	for i := int(l.orderFrom[c]); i < int(l.orderFrom[c+1]); i++ {
		on := l.orders.on[i]
		if on > asOf {
			break
		}
		base := l.orders.base[i]
		fact.Gross += base
		if on >= yearFrom {
			fact.NetYear += base
		}
		if l.voidOn(i) <= asOf {
			continue
		}
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
		case on >= earlierFrom:
			fact.Earlier++
		}
		if l.converted(i) {
			fact.CheckSum += base
			fact.CheckOrders++
		}
	}
	refunded, refundedYear := l.refunded(c, asOf, yearFrom)
	fact.Net = fact.Gross - refunded
	fact.NetYear -= refundedYear
	if fact.Orders > 0 {
		fact.SinceLast = int32(asOf - fact.LastOn)
		fact.Lifecycle = lifecycle(int(fact.SinceLast), window)
	}
	return fact
}

// refunded sums a customer's refunds up to as-of against the customer: a linked one belongs to the day of its order,
// an unlinked one to its own.
func (l *Ledger) refunded(c int, asOf, yearFrom entity.Date) (total, year int64) {
	for i := int(l.refundFrom[c]); i < int(l.refundFrom[c+1]); i++ {
		if l.refunds.on[i] > asOf {
			continue
		}
		counts := l.refunds.on[i]
		if order := l.refunds.order[i]; order >= 0 {
			counts = l.orders.on[order]
			if counts > asOf {
				continue
			}
		}
		total += l.refunds.base[i]
		if counts >= yearFrom {
			year += l.refunds.base[i]
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

// below counts the sorted values less than v.
func below(values []int64, v int64) int {
	n, _ := slices.BinarySearch(values, v)
	return n
}

// atMost counts the sorted values not greater than v.
func atMost(values []int64, v int64) int {
	return sort.Search(len(values), func(i int) bool { return values[i] > v })
}
