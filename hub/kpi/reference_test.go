package kpi_test

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
)

// reference computes figures from rows straight from their definitions: with maps and sets, row by row, one figure at
// a time, sharing no code with the package. Everything is as of one day.
type reference struct {
	asOf    entity.Date
	orders  []kpi.OrderRow  // dated up to as-of
	refunds []kpi.RefundRow // dated up to as-of, linked ones with the order's customer
	void    map[store.RecordKey]bool
}

func keyOf(o kpi.OrderRow) store.RecordKey {
	return store.RecordKey{Connection: o.Connection, Stream: o.Stream, Key: o.Key}
}

func newReference(orders []kpi.OrderRow, refunds []kpi.RefundRow, asOf entity.Date) *reference {
	ref := &reference{asOf: asOf, void: map[store.RecordKey]bool{}}
	byKey := map[store.RecordKey]kpi.OrderRow{}
	for _, o := range orders {
		byKey[keyOf(o)] = o
		if o.On <= asOf {
			ref.orders = append(ref.orders, o)
		}
	}
	given := map[store.RecordKey]int64{}
	for _, r := range refunds {
		if r.Base < 0 {
			r.Base = -r.Base
		}
		if r.Order != nil {
			if order, known := byKey[*r.Order]; known {
				r.Customer = order.Customer
			} else {
				r.Order = nil
			}
		}
		if r.On > asOf {
			continue
		}
		ref.refunds = append(ref.refunds, r)
		if r.Order != nil {
			given[*r.Order] += r.Base
		}
	}
	for key, sum := range given {
		// Without a rate the amounts of these rows are not known, so nothing can be said to be reached.
		if o := byKey[key]; o.Converted && o.Base > 0 && sum >= o.Base {
			ref.void[key] = true
		}
	}
	return ref
}

func money(converted bool, base int64) int64 {
	if !converted {
		return 0
	}
	return base
}

func (ref *reference) valid(filter func(kpi.OrderRow) bool) []kpi.OrderRow {
	var found []kpi.OrderRow
	for _, o := range ref.orders {
		if !ref.void[keyOf(o)] && filter(o) {
			found = append(found, o)
		}
	}
	return found
}

func days(from, to entity.Date) func(kpi.OrderRow) bool {
	return func(o kpi.OrderRow) bool { return from <= o.On && o.On <= to }
}

// who is the set of customers of orders.
func who(orders []kpi.OrderRow) map[customer.ID]bool {
	set := map[customer.ID]bool{}
	for _, o := range orders {
		if o.Customer != 0 {
			set[o.Customer] = true
		}
	}
	return set
}

func common(a, b map[customer.ID]bool) int64 {
	n := int64(0)
	for id := range a {
		if b[id] {
			n++
		}
	}
	return n
}

// histories are the valid orders of each customer, first to last.
func (ref *reference) histories() map[customer.ID][]kpi.OrderRow {
	all := map[customer.ID][]kpi.OrderRow{}
	for _, o := range ref.valid(func(o kpi.OrderRow) bool { return o.Customer != 0 }) {
		all[o.Customer] = append(all[o.Customer], o)
	}
	for _, orders := range all {
		slices.SortFunc(orders, func(a, b kpi.OrderRow) int {
			moment := func(o kpi.OrderRow) int64 {
				if o.At.IsZero() {
					return int64(o.On) * 86400
				}
				return o.At.Unix()
			}
			return cmp.Or(cmp.Compare(moment(a), moment(b)), cmp.Compare(a.Sequence, b.Sequence),
				cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Key, b.Key))
		})
	}
	return all
}

// net is a customer's orders made from a day on, less their refunds and the unlinked ones given from that day on.
func (ref *reference) net(id customer.ID, from entity.Date) int64 {
	sum := int64(0)
	made := map[store.RecordKey]entity.Date{}
	for _, o := range ref.orders {
		made[keyOf(o)] = o.On
		if o.Customer == id && o.On >= from {
			sum += money(o.Converted, o.Base)
		}
	}
	for _, r := range ref.refunds {
		on := r.On
		if r.Order != nil {
			made, seen := made[*r.Order]
			if !seen {
				continue
			}
			on = made
		}
		if r.Customer == id && on >= from {
			sum -= money(r.Converted, r.Base)
		}
	}
	return sum
}

// figures returns every figure as JSON writes its value, by id.
func (ref *reference) figures(q kpi.Query) map[string]string {
	end := min(q.To, ref.asOf)
	inPeriod := days(q.From, end)
	known := func(o kpi.OrderRow) bool { return o.Customer != 0 && inPeriod(o) }
	histories := ref.histories()
	out := map[string]string{}
	count := func(id string, n int64) { out[id] = fmt.Sprint(n) }
	amount := func(id string, minor int64) { out[id] = rat(minor, 100).FloatString(2) }
	ratio := func(id string, n, d int64) {
		out[id] = "–"
		if d != 0 {
			f, _ := rat(n, d).Float64()
			out[id] = kpi.Number(f).String()
		}
	}
	mean := func(id string, orders []kpi.OrderRow) {
		sum, n := int64(0), int64(0)
		for _, o := range orders {
			if o.Converted {
				sum += o.Base
				n++
			}
		}
		out[id] = "–"
		if n > 0 {
			out[id] = rat(sum, n*100).FloatString(2)
		}
	}

	buyers := who(ref.valid(known))
	count("customers", int64(len(histories)))
	count("orders", int64(len(ref.valid(inPeriod))))
	count("buyers", int64(len(buyers)))
	count("orders_without_customer", int64(len(ref.valid(func(o kpi.OrderRow) bool { return o.Customer == 0 && inPeriod(o) }))))
	gross, nobody, placed := int64(0), int64(0), int64(0)
	for _, o := range ref.orders {
		if inPeriod(o) {
			placed++
			gross += money(o.Converted, o.Base)
			if o.Customer == 0 {
				nobody += money(o.Converted, o.Base)
			}
		}
	}
	refunded, refundedOrders := int64(0), map[store.RecordKey]bool{}
	for _, r := range ref.refunds {
		if q.From <= r.On && r.On <= end {
			refunded += money(r.Converted, r.Base)
		}
		for _, o := range ref.orders {
			if r.Order != nil && keyOf(o) == *r.Order && inPeriod(o) && (r.Base != 0 || !r.Converted) {
				refundedOrders[*r.Order] = true
			}
		}
	}
	amount("gross_revenue", gross)
	amount("net_revenue", gross-refunded)
	amount("revenue_without_customer", nobody)
	ratio("return_rate_orders", int64(len(refundedOrders)), placed)
	ratio("return_rate_money", refunded, gross)

	first := map[store.RecordKey]bool{}
	for _, orders := range histories {
		first[keyOf(orders[0])] = true
	}
	mean("average_check", ref.valid(known))
	mean("average_check_first", ref.valid(func(o kpi.OrderRow) bool { return known(o) && first[keyOf(o)] }))
	repeat := ref.valid(func(o kpi.OrderRow) bool { return known(o) && !first[keyOf(o)] })
	mean("average_check_repeat", repeat)

	window := entity.Date(max(q.Window, int(q.To-q.From)+1))
	atStart, atEnd := who(ref.valid(days(q.From-window, q.From-1))), who(ref.valid(days(end-window+1, end)))
	fresh := map[customer.ID]bool{}
	for id, orders := range histories {
		if inPeriod(orders[0]) {
			fresh[id] = true
		}
	}
	s, e, retained, joined := int64(len(atStart)), int64(len(atEnd)), common(atStart, atEnd), common(fresh, atEnd)
	count("active_customers", e)
	count("new_customers", joined)
	count("retained_customers", retained)
	count("churned_customers", s-retained)
	count("reactivated_customers", e-retained-joined)
	ratio("crr", retained, s)
	ratio("churn", s-retained, s)
	ratio("crr_literal", e-joined, s)
	previousFrom, previousTo := kpi.PreviousLike(q.From, q.To)
	before := who(ref.valid(days(previousFrom, previousTo)))
	ratio("period_retention", common(before, buyers), int64(len(before)))

	ordersOf := map[customer.ID]int{}
	several := int64(0)
	for _, o := range ref.valid(known) {
		if ordersOf[o.Customer]++; ordersOf[o.Customer] == 2 {
			several++
		}
	}
	count("new_buyers", common(fresh, buyers))
	ratio("returning_buyers_share", int64(len(who(repeat))), int64(len(buyers)))
	ratio("repeat_buyers_in_period_share", several, int64(len(buyers)))
	ratio("purchase_frequency", int64(len(ref.valid(known))), int64(len(buyers)))
	year := ref.valid(func(o kpi.OrderRow) bool { return o.Customer != 0 && days(ref.asOf-364, ref.asOf)(o) })
	ratio("purchase_frequency_year", int64(len(year)), int64(len(who(year))))

	twice, net := int64(0), int64(0)
	var yearly []int64
	for id, orders := range histories {
		if len(orders) > 1 {
			twice++
		}
		net += ref.net(id, -1<<30)
		if n := ref.net(id, ref.asOf-364); n > 0 {
			yearly = append(yearly, n)
		}
	}
	ratio("repeat_customer_rate", twice, int64(len(histories)))
	out["ltv_historic"] = "–"
	if len(histories) > 0 {
		out["ltv_historic"] = rat(net, int64(len(histories))*100).FloatString(2)
	}
	for _, n := range []entity.Date{30, 60, 90, 180, 365} {
		back, observed := int64(0), int64(0)
		for _, orders := range histories {
			if orders[0].On+n <= ref.asOf {
				observed++
				if len(orders) > 1 && orders[1].On-orders[0].On <= n {
					back++
				}
			}
		}
		ratio(fmt.Sprintf("repeat_within_%dd", n), back, observed)
	}

	lastYear := who(ref.valid(days(ref.asOf-729, ref.asOf-365)))
	loyal, stayed, gone, goneStayed := int64(0), int64(0), int64(0), int64(0)
	for id, orders := range histories {
		length := int64(orders[len(orders)-1].On - orders[0].On)
		stayed += length
		if orders[len(orders)-1].On <= ref.asOf-2*entity.Date(q.Window) {
			gone++
			goneStayed += length
		}
		if orders[0].On < q.From {
			for _, o := range ref.orders {
				if o.Customer == id && inPeriod(o) {
					loyal += money(o.Converted, o.Base)
				}
			}
			for _, r := range ref.refunds {
				if r.Customer == id && q.From <= r.On && r.On <= end {
					loyal -= money(r.Converted, r.Base)
				}
			}
		}
	}
	amount("loyal_revenue", loyal)
	ratio("cooperation_days", stayed, int64(len(histories)))
	lost := int64(0)
	for id := range atStart {
		if !atEnd[id] {
			lost += ref.net(id, q.From-365) - ref.net(id, q.From)
		}
	}
	amount("churned_value", lost)
	out["clv_simple"] = "–"
	var lifespan *big.Rat
	kept := common(lastYear, who(year))
	switch n := int64(len(lastYear)); {
	case q.Lifespan.Method == kpi.LifespanYears:
		lifespan = new(big.Rat).SetFloat64(q.Lifespan.Years)
	case q.Lifespan.Method == kpi.LifespanObserved && gone > 0:
		lifespan = rat(goneStayed, gone*365)
	case q.Lifespan.Method == kpi.LifespanObserved, n == 0:
	case kept == n:
		lifespan = rat(10, 1)
	default:
		lifespan = rat(n, n-kept)
		if lifespan.Cmp(rat(10, 1)) > 0 {
			lifespan = rat(10, 1)
		}
	}
	sum, converted := int64(0), int64(0)
	for _, o := range year {
		if o.Converted {
			sum += o.Base
			converted++
		}
	}
	if lifespan != nil && converted > 0 {
		value := new(big.Rat).Mul(rat(sum, 100*converted), rat(int64(len(year)), int64(len(who(year)))))
		out["clv_simple"] = value.Mul(value, lifespan).FloatString(2)
	}

	slices.Sort(yearly)
	slices.Reverse(yearly)
	total, squares := int64(0), int64(0)
	for _, v := range yearly {
		total += v
		squares += v * v
	}
	for _, n := range []int{1, 5, 10} {
		top := int64(0)
		for _, v := range yearly[:min(n, len(yearly))] {
			top += v
		}
		ratio(fmt.Sprintf("top%d_share", n), top, total)
	}
	ratio("hhi", 10000*squares, total*total)
	ratio("effective_customers", total*total, squares)
	for id, text := range out {
		if text == "-0.00" {
			out[id] = "0.00"
		}
	}
	return out
}

func rat(n, d int64) *big.Rat { return big.NewRat(n, d) }

// facts returns what is known of each customer with a valid order, by customer.
func (ref *reference) facts(window int) map[customer.ID]string {
	histories := ref.histories()
	w := entity.Date(window)
	score := func(number func(customer.ID) int64, id customer.ID) int64 {
		worse := int64(0)
		for other := range histories {
			if number(other) < number(id) {
				worse++
			}
		}
		return 1 + 5*worse/int64(len(histories))
	}
	out := map[customer.ID]string{}
	for id, orders := range histories {
		last := orders[len(orders)-1].On
		gross := int64(0)
		for _, o := range ref.orders {
			if o.Customer == id {
				gross += money(o.Converted, o.Base)
			}
		}
		purchaseDays := map[entity.Date]bool{}
		recent, earlier := 0, 0
		for _, o := range orders {
			purchaseDays[o.On] = true
			if days(ref.asOf-w+1, ref.asOf)(o) {
				recent++
			}
			if days(ref.asOf-2*w+1, ref.asOf-w)(o) {
				earlier++
			}
		}
		above := 0
		for other := range histories {
			if ref.net(other, ref.asOf-364) > ref.net(id, ref.asOf-364) {
				above++
			}
		}
		lifecycle := "lost"
		switch since := ref.asOf - last; {
		case since <= w-1:
			lifecycle = "active"
		case since <= 2*w-1:
			lifecycle = "dormant"
		}
		r := score(func(id customer.ID) int64 { return int64(histories[id][len(histories[id])-1].On) }, id)
		f := score(func(id customer.ID) int64 { return int64(len(histories[id])) }, id)
		m := score(func(id customer.ID) int64 { return ref.net(id, -1<<30) }, id)
		out[id] = fmt.Sprint(
			len(orders), orders[0].On, last, int(ref.asOf-last), gross, ref.net(id, -1<<30), ref.net(id, ref.asOf-364),
			above, len(purchaseDays), recent, earlier, lifecycle, r, f, m,
		)
	}
	return out
}
