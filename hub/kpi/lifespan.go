package kpi

import (
	"math/big"

	"github.com/regulars/regulars/contracts/entity"
)

// LifespanMethod says where clv_simple takes the years that a customer stays from (kpi.md 2.6).
type LifespanMethod string

// The methods. The empty one is LifespanByChurn.
const (
	// LifespanByChurn is 1 / the yearly churn, at most MaxLifespan: of the buyers of the 365 days before the last 365,
	// the share who did not buy in these.
	LifespanByChurn LifespanMethod = "churn"
	// LifespanObserved is the mean time from the first order to the last one of customers lost as of as-of.
	LifespanObserved LifespanMethod = "observed"
	// LifespanYears is a number of years that the workspace gives.
	LifespanYears LifespanMethod = "years"
)

// MaxLifespan caps the lifespan that follows from churn, in years: few customers lost say little about decades.
const MaxLifespan = 10

// Lifespan says how clv_simple estimates a customer's lifespan. The zero Lifespan is by churn.
type Lifespan struct {
	Method LifespanMethod
	// Years is the lifespan itself where Method is LifespanYears.
	Years float64
}

// LifespanUsed is the lifespan behind a report's clv_simple.
type LifespanUsed struct {
	Method LifespanMethod `json:"method" enum:"churn,observed,years"`
	// Years is undefined where the data do not tell: nobody to be lost, or nobody lost yet.
	Years Value `json:"years"`
}

func (l Lifespan) method() LifespanMethod {
	if l.Method == "" {
		return LifespanByChurn
	}
	return l.Method
}

// lifespan returns the years that a query's customers stay; nil when undefined.
func (t *tally) lifespan(of Lifespan) *big.Rat {
	switch of.method() {
	case LifespanYears:
		return new(big.Rat).SetFloat64(of.Years) // nil when it is no number
	case LifespanObserved:
		if t.lost == 0 {
			return nil
		}
		return new(big.Rat).Quo(big.NewRat(t.lostCooperation, t.lost), big.NewRat(yearDays, 1))
	default:
		lost := t.boughtLastYear - t.boughtBothYears
		switch {
		case t.boughtLastYear == 0:
			return nil
		case lost == 0, lost*MaxLifespan < t.boughtLastYear:
			return big.NewRat(MaxLifespan, 1)
		}
		return big.NewRat(t.boughtLastYear, lost)
	}
}

func (t *tally) lifespanUsed(of Lifespan) LifespanUsed {
	used := LifespanUsed{Method: of.method()}
	if years := t.lifespan(of); years != nil {
		f, _ := years.Float64()
		used.Years = Number(f)
	}
	return used
}

// clvSimple is (revenue / orders) x (orders / buyers) x lifespan over the trailing year, rounded once (kpi.md 2.6, K3).
// Its denominator is the number of buyers.
func (t *tally) clvSimple(of Lifespan, currency string) Figure {
	figure := Figure{Denominator: Count(t.yearBuyers)}
	years := t.lifespan(of)
	if years == nil || t.yearCheck.orders == 0 || t.yearBuyers == 0 {
		return figure
	}
	value := new(big.Rat).Mul(big.NewRat(t.yearCheck.sum, t.yearCheck.orders), big.NewRat(t.yearOrders, t.yearBuyers))
	if minor, ok := roundedAway(value.Mul(value, years)); ok {
		figure.Value = Amount(minor, currency)
	}
	return figure
}

// roundedAway rounds half away from zero. It reports false when the result does not fit.
func roundedAway(r *big.Rat) (int64, bool) {
	twice := new(big.Int).Mul(new(big.Int).Abs(r.Num()), big.NewInt(2))
	twice.Add(twice, r.Denom())
	quotient := twice.Quo(twice, new(big.Int).Mul(r.Denom(), big.NewInt(2)))
	if r.Sign() < 0 {
		quotient.Neg(quotient)
	}
	return quotient.Int64(), quotient.IsInt64()
}

// refundedIn sums a customer's refunds by their own dates.
func (p *part) refundedIn(c int, days span) (sum int64) {
	for i := int(p.refundFrom[c]); i < int(p.refundFrom[c+1]); i++ {
		if days.has(p.refunds.on[i]) {
			sum += p.refunds.base[i]
		}
	}
	return sum
}

// netOf is the net value of a customer's orders of some days, as of a day: less linked refunds so far, whenever given,
// and less the unlinked ones given in these days.
func (p *part) netOf(c int, days span, asOf entity.Date) (net int64) {
	p.eachNet(c, asOf, func(on entity.Date, amount int64) {
		if days.has(on) {
			net += amount
		}
	})
	return net
}

// eachNet hands out the orders of a customer as of a day, and the refunds as negative amounts, each on the day it
// counts on: a linked refund on that of its order, an unlinked one on its own (kpi.md 2.2, "by order").
func (p *part) eachNet(c int, asOf entity.Date, do func(on entity.Date, amount int64)) {
	for i := int(p.orderFrom[c]); i < int(p.orderFrom[c+1]) && p.orders.on[i] <= asOf; i++ {
		do(p.orders.on[i], p.orders.base[i])
	}
	for i := int(p.refundFrom[c]); i < int(p.refundFrom[c+1]); i++ {
		if p.refunds.on[i] > asOf {
			continue
		}
		on := p.refunds.on[i]
		if order := p.refunds.order[i]; order >= 0 {
			on = p.orders.on[order]
		}
		if on <= asOf {
			do(on, -p.refunds.base[i])
		}
	}
}
