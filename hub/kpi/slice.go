package kpi

import (
	"maps"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// Dimension is what figures are divided by.
type Dimension string

// The dimensions.
const (
	ByConnection Dimension = "connection"
	ByChannel    Dimension = "channel"
	ByManager    Dimension = "manager"
	ByCity       Dimension = "city"
	BySegment    Dimension = "segment"
)

// Slice is the figures of one value of a dimension.
type Slice struct {
	// Value is nil where the dimension is not known.
	Value *string `json:"value"`
	// Title is a name for people where the value is a key: of a manager.
	Title string   `json:"title,omitempty"`
	KPIs  []Figure `json:"kpis"`
}

// Sliced is the figures of a query by a dimension. Its JSON form is fixed.
type Sliced struct {
	AsOf       entity.Date `json:"as_of"`
	From       entity.Date `json:"from"`
	To         entity.Date `json:"to"`
	WindowDays int         `json:"window_days"`
	Currency   string      `json:"currency"`
	By         Dimension   `json:"by" enum:"connection,channel,manager,city,segment"`
	// Values are ascending, the unknown one last.
	Values []Slice `json:"values"`
}

// Sliced puts slices under the head of a query.
func (l *Ledger) Sliced(q Query, by Dimension, slices []Slice) Sliced {
	return Sliced{
		AsOf: q.AsOf, From: q.From, To: q.To, WindowDays: q.WindowDays(), Currency: l.currency, By: by, Values: slices,
	}
}

// By divides the customers, each with all their orders, into groups, and computes the figures of every group in one
// pass. A customer may be in several groups; one in none, and what was sold to nobody known, go to the unknown value.
// Where everybody is in one group at most, counts and sums of the slices add up to the whole.
func (l *Ledger) By(q Query, groupsOf func(customer.ID) []string) []Slice {
	s := spansOf(q)
	unknown := &tally{}
	anyUnknown := false
	known := map[string]*tally{}
	for _, p := range l.parts() {
		for c := range p.ids() {
			var groups []string
			if !p.nobody() {
				groups = groupsOf(p.owner(c))
			}
			if len(groups) == 0 {
				anyUnknown = true
				unknown.add(p, c, &s)
			}
			for _, group := range groups {
				if known[group] == nil {
					known[group] = &tally{}
				}
				known[group].add(p, c, &s)
			}
		}
	}
	out := slicesOf(known, q, l.currency)
	if anyUnknown {
		out = append(out, Slice{KPIs: unknown.closed(q, l.currency)})
	}
	return out
}

// closed is the figures of a tally that nothing is added to any more.
func (t *tally) closed(q Query, currency string) []Figure {
	t.concentration, t.years = concentrate(t.years), nil
	return t.catalogued(q, currency)
}

// slicesOf makes slices of tallies by value, ascending.
func slicesOf(tallies map[string]*tally, q Query, currency string) []Slice {
	out := []Slice{}
	for _, value := range slices.Sorted(maps.Keys(tallies)) {
		out = append(out, Slice{Value: &value, KPIs: tallies[value].closed(q, currency)})
	}
	return out
}

// ByConnection divides the orders: each connection's figures are those of its orders with the refunds linked to them,
// and of its unlinked refunds, as if there were no others. So a customer of two connections is new in each once.
func (l *Ledger) ByConnection(q Query, name func(store.ConnectionID) string) []Slice {
	s := spansOf(q)
	tallies := map[string]*tally{}
	for _, p := range l.parts() {
		for _, id := range p.connections() {
			only := p.only(id)
			if only.isEmpty() {
				continue // its refunds here are all of other connections' orders
			}
			value := name(id)
			if tallies[value] == nil {
				tallies[value] = &tally{}
			}
			for c := range only.ids() {
				tallies[value].add(only, c, &s)
			}
		}
	}
	return slicesOf(tallies, q, l.currency)
}

// connections are those that the part has rows of.
func (p *part) connections() []store.ConnectionID {
	var ids []store.ConnectionID
	for i := range p.orders.on {
		ids = append(ids, p.orders.connection.at(i))
	}
	for i := range p.refunds.on {
		ids = append(ids, p.refunds.connection.at(i))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// only is the part with one connection's orders and their refunds, and its unlinked refunds: the columns that a tally
// looks at. Customers without rows stay; they have no valid order and count nowhere.
func (p *part) only(connection store.ConnectionID) *part {
	sub := &part{key: p.key, customers: p.customers}
	for c := range p.ids() {
		sub.orderFrom = append(sub.orderFrom, int32(len(sub.orders.on)))
		sub.refundFrom = append(sub.refundFrom, int32(len(sub.refunds.on)))
		placeOf := map[int32]int32{}
		from, to := p.ordersOf(c)
		for i := from; i < to; i++ {
			if p.orders.connection.at(i) == connection {
				placeOf[int32(i)] = int32(len(sub.orders.on))
				sub.takeOrder(p, i)
			}
		}
		from, to = p.refundsOf(c)
		for i := from; i < to; i++ {
			order := int32(-1)
			if linked := p.refunds.order[i]; linked >= 0 {
				place, ours := placeOf[linked]
				if !ours {
					continue
				}
				order = place
			} else if p.refunds.connection.at(i) != connection {
				continue
			}
			sub.takeRefund(p, i, order)
		}
	}
	sub.orderFrom = append(sub.orderFrom, int32(len(sub.orders.on)))
	sub.refundFrom = append(sub.refundFrom, int32(len(sub.refunds.on)))
	return sub
}

func (p *part) takeOrder(from *part, i int) {
	p.orders.on = append(p.orders.on, from.orders.on[i])
	p.orders.base = append(p.orders.base, from.orders.base[i])
	if from.orders.noRate != nil {
		p.orders.noRate = append(p.orders.noRate, from.orders.noRate[i])
	}
	if from.orders.voidOn != nil {
		p.orders.voidOn = append(p.orders.voidOn, from.orders.voidOn[i])
	}
}

func (p *part) takeRefund(from *part, i int, order int32) {
	p.refunds.on = append(p.refunds.on, from.refunds.on[i])
	p.refunds.base = append(p.refunds.base, from.refunds.base[i])
	p.refunds.order = append(p.refunds.order, order)
	if from.refunds.empty != nil {
		p.refunds.empty = append(p.refunds.empty, from.refunds.empty[i])
	}
}

// Origin is what a customer's orders say about where they belong. Fields are empty where not known.
type Origin struct {
	// Channel is that of the first valid order: the channel that won the customer (kpi.md K23).
	Channel string
	// City is that of the last valid order that has one.
	City string
	// Owner is that of the last valid order before the period that has one, else of the first in it: who the customer
	// belonged to at the start (kpi.md K24).
	Owner string
}

// Origins returns the origins of all customers with a valid order, for a query's period and as-of day.
func (l *Ledger) Origins(q Query) map[customer.ID]Origin {
	origins := map[customer.ID]Origin{}
	for _, p := range l.parts() {
		for c, id := range p.customers {
			if origin, ok := p.origin(c, q); ok {
				origins[id] = origin
			}
		}
	}
	return origins
}

func (p *part) origin(c int, q Query) (origin Origin, ok bool) {
	for i := int(p.orderFrom[c]); i < int(p.orderFrom[c+1]); i++ {
		if !p.valid(i, q.AsOf) {
			continue
		}
		if !ok {
			origin.Channel, ok = p.orders.channel.at(i), true
		}
		if city := p.orders.city.at(i); city != "" {
			origin.City = city
		}
		if owner := p.orders.owner.at(i); owner != "" && (p.orders.on[i] < q.From || origin.Owner == "" && p.orders.on[i] <= q.end()) {
			origin.Owner = owner
		}
	}
	return origin, ok
}
