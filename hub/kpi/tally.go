package kpi

import "github.com/regulars/regulars/contracts/entity"

// maturities are the N of repeat_within_Nd.
var maturities = [...]entity.Date{30, 60, 90, 180, 365}

// tally is everything counted and summed for a query's figures.
type tally struct {
	sums
	// years is the net value of the trailing year of the customers above 0, in no order, until concentration is made
	// of it.
	years         []int64
	concentration concentration
}

// sums are what adds up over customers: whole numbers only, so that it does not matter in what order, and what a
// customer contributed can be taken out again. Money is in minor units.
type sums struct {
	// As of as-of: customers with a valid order, those with two, and what all customers with one brought in.
	customers, repeatCustomers int64
	net                        int64
	// Second orders at most so many days after the first, among customers observed that long.
	repeatedWithin, observed [len(maturities)]int64
	// Of the trailing year.
	yearOrders, yearBuyers int64
	yearCheck              check
	// Buyers of the 365 days before the trailing year, and those of them who bought in it: the yearly churn.
	boughtLastYear, boughtBothYears int64
	// Days from the first order to the last one, of everybody and of the customers lost as of as-of.
	cooperation, lostCooperation, lost int64

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

	// Net revenue in the period of customers whose first order is earlier.
	loyal int64
	// What the customers lost in the period had brought in over the 365 days before it.
	churnedValue int64

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
	period, previous, atStart, atEnd, year, lastYear, yearBefore span
	asOf                                                         entity.Date
	lostOn                                                       entity.Date // the latest last order of a lost customer
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
		lastYear: span{q.AsOf - 2*yearDays + 1, q.AsOf - yearDays},
		// The year before the period, which as-of never cuts short.
		yearBefore: span{q.From - yearDays, q.From - 1},
		asOf:       q.AsOf,
		lostOn:     q.AsOf - 2*entity.Date(q.window()),
	}
}

// add counts one id's rows of a part in.
func (t *tally) add(p *part, c int, s *spans) {
	from, to := p.ordersOf(c)
	t.addOrders(p, from, to, s)
	t.addRefunds(p, c, s)
	if p.nobody() {
		t.addNobody(p, s)
		return
	}
	if net, ok := t.addCustomer(p, c, s); ok && net > 0 {
		t.years = append(t.years, net)
	}
}

// addNobody counts what was sold to nobody known.
func (t *tally) addNobody(p *part, s *spans) {
	for i, on := range p.orders.on {
		if !s.period.has(on) {
			continue
		}
		t.anonymousGross += p.orders.base[i]
		if p.valid(i, s.asOf) {
			t.anonymousOrders++
		}
	}
}

// addOrders counts what needs no customer: every order on its day, also one refunded later.
func (t *tally) addOrders(p *part, from, to int, s *spans) {
	for i, on := range p.orders.on[from:to] {
		if s.period.has(on) {
			t.gross += p.orders.base[from+i]
			t.placedOrders++
		}
	}
}

func (t *tally) addRefunds(p *part, c int, s *spans) {
	last := int32(-1)
	from, to := p.refundsOf(c)
	for i := from; i < to; i++ {
		on := p.refunds.on[i]
		if s.period.has(on) {
			t.refunds += p.refunds.base[i]
		}
		order := p.refunds.order[i]
		if order < 0 || order == last || on > s.asOf || p.refunds.empty != nil && p.refunds.empty[i] {
			continue
		}
		last = order // refunds of one order stand together
		if s.period.has(p.orders.on[order]) {
			t.refundedOrders++
		}
	}
}

// addCustomer adds one customer, and returns their net value of the trailing year. It reports false for one
// without a valid order, who counts nowhere.
func (t *tally) addCustomer(p *part, c int, s *spans) (netYear int64, ok bool) {
	var (
		orders, inPeriod, inYear        int64
		first, second, latest           entity.Date
		net, periodGross                int64
		atStart, atEnd, bought, repeats bool
		boughtLastYear                  bool
	)
	for i := int(p.orderFrom[c]); i < int(p.orderFrom[c+1]); i++ {
		on := p.orders.on[i]
		if on > s.asOf {
			break
		}
		base := p.orders.base[i]
		net += base
		if s.year.has(on) {
			netYear += base
		}
		if s.period.has(on) {
			periodGross += base
		}
		if p.voidOn(i) <= s.asOf {
			continue
		}
		orders++
		latest = on
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
			if p.converted(i) {
				side.add(base)
			}
		}
		if s.year.has(on) {
			inYear++
			if p.converted(i) {
				t.yearCheck.add(base)
			}
		}
		boughtLastYear = boughtLastYear || s.lastYear.has(on)
		atStart = atStart || s.atStart.has(on)
		atEnd = atEnd || s.atEnd.has(on)
		bought = bought || s.previous.has(on)
	}
	if orders == 0 {
		return 0, false
	}
	refunded, refundedYear := p.refunded(c, s.asOf, s.year.from)
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
	t.boughtLastYear += one(boughtLastYear)
	t.boughtBothYears += one(boughtLastYear && inYear > 0)
	t.cooperation += int64(latest - first)
	if latest <= s.lostOn {
		t.lost++
		t.lostCooperation += int64(latest - first)
	}
	if first < s.period.from {
		t.loyal += periodGross - p.refundedIn(c, s.period)
	}

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
	case !atEnd && atStart:
		t.churnedValue += p.netOf(c, s.yearBefore, s.asOf)
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
