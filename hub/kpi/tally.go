package kpi

import "github.com/regulars/regulars/contracts/entity"

// maturities are the N of repeat_within_Nd.
var maturities = [...]entity.Date{30, 60, 90, 180, 365}

// tally is everything counted and summed for a query's figures. Money is in minor units.
type tally struct {
	// As of as-of: customers with a valid order, those with two, and what all customers with one brought in.
	customers, repeatCustomers int64
	net                        int64
	// Second orders at most so many days after the first, among customers observed that long.
	repeatedWithin, observed [len(maturities)]int64
	// Of the trailing year.
	yearOrders, yearBuyers int64
	concentration          concentration

	// In the period: every order's money, and refunds by their own date.
	gross, refunds int64
	// Orders placed, void or not, and those of them with a refund so far.
	placedOrders, refundedOrders int64
	// Valid orders of customers and of nobody known; the latter's money includes void ones, as gross does.
	customerOrders, anonymousOrders int64
	anonymousGross                  int64
	first, repeat                   check
	buyers, newBuyers               int64
	returningBuyers                 int64 // with an order that is not their first
	severalInPeriod                 int64 // with two orders or more
	// Buyers of the previous like period, and those of them who bought in this one.
	boughtBefore, boughtBoth int64

	// The active base at both ends of the period: atEnd = retained + fresh + reactivated (R9).
	atStart, atEnd, retained, fresh, reactivated int64
}

// check is the two sides of an average of money.
type check struct{ sum, orders int64 }

func (c *check) add(amount int64) { c.sum += amount; c.orders++ }

// span is a run of days, both ends included.
type span struct{ from, to entity.Date }

func (s span) has(d entity.Date) bool { return s.from <= d && d <= s.to }

// spans are the runs of days a query looks at, none of them beyond as-of.
type spans struct {
	period, previous, atStart, atEnd, year span
	asOf                                   entity.Date
}

func spansOf(q Query) spans {
	window := entity.Date(q.WindowDays())
	end := q.end()
	previousFrom, previousTo := PreviousLike(q.From, q.To)
	return spans{
		period:   span{q.From, end},
		previous: span{previousFrom, previousTo},
		atStart:  span{q.From - window, q.From - 1},
		atEnd:    span{end - window + 1, end},
		year:     span{q.AsOf - yearDays + 1, q.AsOf},
		asOf:     q.AsOf,
	}
}

func (l *Ledger) tally(q Query) *tally {
	t := &tally{}
	s := spansOf(q)
	l.tallyMoney(t, s)
	l.tallyRefunds(t, s)
	for i := int(l.orderFrom[len(l.customers)]); i < l.Orders(); i++ {
		if !s.period.has(l.orders.on[i]) {
			continue
		}
		t.anonymousGross += l.orders.base[i]
		if l.valid(i, s.asOf) {
			t.anonymousOrders++
		}
	}
	var years []int64
	for c := range l.customers {
		if net, ok := l.tallyCustomer(t, c, s); ok && net > 0 {
			years = append(years, net)
		}
	}
	t.concentration = concentrate(years)
	return t
}

// tallyMoney counts what needs no customer: every order on its day, also one refunded later.
func (l *Ledger) tallyMoney(t *tally, s spans) {
	for i, on := range l.orders.on {
		if s.period.has(on) {
			t.gross += l.orders.base[i]
			t.placedOrders++
		}
	}
}

func (l *Ledger) tallyRefunds(t *tally, s spans) {
	last := int32(-1)
	for i, on := range l.refunds.on {
		if s.period.has(on) {
			t.refunds += l.refunds.base[i]
		}
		order := l.refunds.order[i]
		if order < 0 || order == last || on > s.asOf || l.refunds.empty != nil && l.refunds.empty[i] {
			continue
		}
		last = order // refunds of one order stand together
		if s.period.has(l.orders.on[order]) {
			t.refundedOrders++
		}
	}
}

// tallyCustomer adds one customer, and returns their net value of the trailing year. It reports false for one
// without a valid order, who counts nowhere.
func (l *Ledger) tallyCustomer(t *tally, c int, s spans) (netYear int64, ok bool) {
	var (
		orders, inPeriod, inYear        int64
		first, second                   entity.Date
		net                             int64
		atStart, atEnd, bought, repeats bool
	)
	for i := int(l.orderFrom[c]); i < int(l.orderFrom[c+1]); i++ {
		on := l.orders.on[i]
		if on > s.asOf {
			break
		}
		base := l.orders.base[i]
		net += base
		if s.year.has(on) {
			netYear += base
		}
		if l.voidOn(i) <= s.asOf {
			continue
		}
		orders++
		switch orders {
		case 1:
			first = on
		case 2:
			second = on
		}
		if s.period.has(on) {
			inPeriod++
			side := &t.first
			if orders > 1 {
				side = &t.repeat
				repeats = true
			}
			if l.converted(i) {
				side.add(base)
			}
		}
		if s.year.has(on) {
			inYear++
		}
		atStart = atStart || s.atStart.has(on)
		atEnd = atEnd || s.atEnd.has(on)
		bought = bought || s.previous.has(on)
	}
	if orders == 0 {
		return 0, false
	}
	refunded, refundedYear := l.refunded(c, s.asOf, s.year.from)
	t.net += net - refunded

	t.customers++
	t.repeatCustomers += one(orders > 1)
	for i, days := range maturities {
		if first+days <= s.asOf {
			t.observed[i]++
			t.repeatedWithin[i] += one(orders > 1 && second <= first+days)
		}
	}
	t.yearOrders += inYear
	t.yearBuyers += one(inYear > 0)

	t.customerOrders += inPeriod
	t.buyers += one(inPeriod > 0)
	t.newBuyers += one(s.period.has(first))
	t.returningBuyers += one(repeats)
	t.severalInPeriod += one(inPeriod > 1)
	t.boughtBefore += one(bought)
	t.boughtBoth += one(bought && inPeriod > 0)

	t.atStart += one(atStart)
	t.atEnd += one(atEnd)
	switch {
	case !atEnd:
	case atStart:
		t.retained++
	case first >= s.period.from:
		t.fresh++
	default:
		t.reactivated++
	}
	return netYear - refundedYear, true
}

func one(condition bool) int64 {
	if condition {
		return 1
	}
	return 0
}
