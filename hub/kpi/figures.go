package kpi

import (
	"fmt"

	"github.com/regulars/regulars/contracts/entity"
)

// Figure is one value of the catalogue. Its JSON form is fixed.
type Figure struct {
	ID    string `json:"id"`
	Value Value  `json:"value"`
	// Numerator and Denominator are exact; undefined for a plain count or sum. Where the value is no quotient of two
	// numbers, the denominator says how many customers it is about.
	Numerator   Value `json:"numerator"`
	Denominator Value `json:"denominator"`
	Unit        Unit  `json:"unit"`
	// Complete says that the period was over at as-of. It is the same for all figures of a query.
	Complete bool `json:"complete"`
}

// Report is the figures of a query with what they were asked for. Its JSON form is fixed.
type Report struct {
	AsOf entity.Date `json:"as_of"`
	From entity.Date `json:"from"`
	To   entity.Date `json:"to"`
	// WindowDays is the activity window used: the larger of the one asked for and the period.
	WindowDays int    `json:"window_days"`
	Currency   string `json:"currency"`
	// Lifespan is what clv_simple was computed with.
	Lifespan LifespanUsed `json:"lifespan"`
	// Warnings are about all orders and refunds, whatever their dates.
	Warnings Warnings `json:"warnings"`
	KPIs     []Figure `json:"kpis"`
}

// Report computes the figures of a query.
func (l *Ledger) Report(q Query) Report {
	t := l.tallies([]Query{q})[0]
	return Report{
		AsOf: q.AsOf, From: q.From, To: q.To, WindowDays: q.WindowDays(), Currency: l.currency,
		Lifespan: t.lifespanUsed(q.Lifespan), Warnings: l.Warnings(), KPIs: t.catalogued(q, l.currency),
	}
}

// Figures computes every figure of the catalogue, in its order. Orders and refunds dated after as-of are not seen,
// and whether an order is void is judged as of as-of, also for a period long over.
func (l *Ledger) Figures(q Query) []Figure {
	return l.FiguresAt([]Query{q})[0]
}

// figures turns the tally's counts into the figures of the catalogue.
func (t *tally) figures(q Query, currency string) map[string]Figure {
	count := func(n int64) Figure { return Figure{Value: Count(n)} }
	money := func(minor int64) Figure { return Figure{Value: Amount(minor, currency)} }
	quotient := func(value Value, numerator, denominator int64) Figure {
		return Figure{Value: value, Numerator: Count(numerator), Denominator: Count(denominator)}
	}
	ratio := func(numerator, denominator int64) Figure {
		return quotient(share(numerator, denominator), numerator, denominator)
	}
	moneyRatio := func(numerator, denominator int64) Figure {
		return Figure{
			Value:     share(numerator, denominator),
			Numerator: Amount(numerator, currency), Denominator: Amount(denominator, currency),
		}
	}
	average := func(c check) Figure {
		return Figure{
			Value:     AverageCheck(c.sum, c.orders, currency),
			Numerator: Amount(c.sum, currency), Denominator: Count(c.orders),
		}
	}

	joined := t.fresh + t.reactivated
	churned := t.atStart - t.retained
	figures := map[string]Figure{
		"customers":                     count(t.customers),
		"orders_without_customer":       count(t.anonymousOrders),
		"revenue_without_customer":      money(t.anonymousGross),
		"orders":                        count(t.customerOrders + t.anonymousOrders),
		"buyers":                        count(t.buyers),
		"gross_revenue":                 money(t.gross),
		"net_revenue":                   money(t.gross - t.refunds),
		"average_check":                 average(check{t.first.sum + t.repeat.sum, t.first.orders + t.repeat.orders}),
		"average_check_first":           average(t.first),
		"average_check_repeat":          average(t.repeat),
		"active_customers":              count(t.atEnd),
		"new_customers":                 count(t.fresh),
		"reactivated_customers":         count(t.reactivated),
		"churned_customers":             count(churned),
		"retained_customers":            count(t.retained),
		"crr":                           quotient(CRR(t.atStart, joined, t.atEnd), t.atEnd-joined, t.atStart),
		"churn":                         quotient(Churn(t.atStart, churned), churned, t.atStart),
		"crr_literal":                   quotient(CRR(t.atStart, t.fresh, t.atEnd), t.atEnd-t.fresh, t.atStart),
		"period_retention":              ratio(t.boughtBoth, t.boughtBefore),
		"new_buyers":                    count(t.newBuyers),
		"returning_buyers_share":        ratio(t.returningBuyers, t.buyers),
		"repeat_buyers_in_period_share": ratio(t.severalInPeriod, t.buyers),
		"repeat_customer_rate":          quotient(RepeatCustomerRate(t.repeatCustomers, t.customers), t.repeatCustomers, t.customers),
		"purchase_frequency":            quotient(PurchaseFrequency(t.customerOrders, t.buyers), t.customerOrders, t.buyers),
		"purchase_frequency_year":       quotient(PurchaseFrequency(t.yearOrders, t.yearBuyers), t.yearOrders, t.yearBuyers),
		"ltv_historic":                  average(check{t.net, t.customers}),
		"clv_simple":                    t.clvSimple(q.Lifespan, currency),
		"loyal_revenue":                 money(t.loyal),
		"churned_value":                 money(t.churnedValue),
		"cooperation_days":              ratio(t.cooperation, t.customers),
		"return_rate_orders":            ratio(t.refundedOrders, t.placedOrders),
		"return_rate_money":             moneyRatio(t.refunds, t.gross),
	}
	for i, days := range maturities {
		figures[fmt.Sprintf("repeat_within_%dd", days)] = ratio(t.repeatedWithin[i], t.observed[i])
	}
	for _, n := range [...]int{1, 5, 10} {
		figures[fmt.Sprintf("top%d_share", n)] = moneyRatio(t.concentration.top(n), t.concentration.total)
	}
	customers := Count(t.concentration.customers())
	figures["hhi"] = Figure{Value: t.concentration.hhi(), Denominator: customers}
	figures["effective_customers"] = Figure{Value: t.concentration.effective(), Denominator: customers}
	return figures
}
