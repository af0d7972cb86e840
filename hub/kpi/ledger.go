// Package kpi computes retention figures, RFM and facts about customers from their orders and refunds, held as
// columns in memory. It does no I/O: the store hands rows over, in any order, and the same rows always give the same
// ledger and the same figures, to the byte (R2). Money is int64 minor units until the final division.
package kpi

import (
	"iter"
	"math"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
)

// never is a day that does not come.
const never = entity.Date(math.MaxInt32)

// Ledger holds every order and refund of one workspace as columns, grouped by customer. It is made by a Builder, does
// not change afterwards and may be read by many goroutines.
type Ledger struct {
	currency string
	// customers with an order or a refund, ascending. Customer c has the orders orderFrom[c] up to, not including,
	// orderFrom[c+1], first to last; likewise refunds. Rows of no customer follow after the last one's.
	customers  []customer.ID
	orderFrom  []int32
	refundFrom []int32
	orders     orderColumns
	refunds    refundColumns
}

type orderColumns struct {
	on   []entity.Date
	base []int64 // 0 where there is no rate
	// noRate marks orders without an exchange rate; nil when there are none.
	noRate []bool
	// voidOn is the day whose refunds bring the order to nothing; nil when there are no such orders.
	voidOn               []entity.Date
	channel, owner, city dimension
}

type refundColumns struct {
	on   []entity.Date
	base []int64 // positive; 0 where there is no rate
	// order is the index of the refunded order, -1 when not linked.
	order []int32
	// empty marks refunds of the amount 0, which return nothing; nil when there are none.
	empty []bool
}

// dimension is a column of words: codes into the sorted distinct words. Codes are nil when every word is empty.
type dimension struct {
	words []string
	codes []uint32
}

func (d dimension) at(i int) string {
	if d.codes == nil {
		return ""
	}
	return d.words[d.codes[i]]
}

// Currency is the workspace's, in which all money of the ledger is.
func (l *Ledger) Currency() string { return l.currency }

// Orders returns how many orders the ledger holds, void ones and those of no customer included.
func (l *Ledger) Orders() int { return len(l.orders.on) }

// Order is one order of a ledger.
type Order struct {
	Customer  customer.ID // 0: none
	On        entity.Date
	Base      int64
	Converted bool
	// Void says that linked refunds reach the amount, from the day VoidOn on.
	Void                 bool
	VoidOn               entity.Date
	Channel, Owner, City string
}

// All walks over the orders: by customer, each customer's first to last, those of no customer at the end.
func (l *Ledger) All() iter.Seq[Order] {
	return func(yield func(Order) bool) {
		c := 0
		for i := range l.orders.on {
			for c < len(l.customers) && int(l.orderFrom[c+1]) <= i {
				c++
			}
			order := Order{
				On: l.orders.on[i], Base: l.orders.base[i], Converted: l.converted(i),
				Channel: l.orders.channel.at(i), Owner: l.orders.owner.at(i), City: l.orders.city.at(i),
			}
			if c < len(l.customers) {
				order.Customer = l.customers[c]
			}
			if on := l.voidOn(i); on != never {
				order.Void, order.VoidOn = true, on
			}
			if !yield(order) {
				return
			}
		}
	}
}

func (l *Ledger) converted(order int) bool { return l.orders.noRate == nil || !l.orders.noRate[order] }

func (l *Ledger) voidOn(order int) entity.Date {
	if l.orders.voidOn == nil {
		return never
	}
	return l.orders.voidOn[order]
}

// valid says whether an order exists as of a day and is not void by then.
func (l *Ledger) valid(order int, asOf entity.Date) bool {
	return l.orders.on[order] <= asOf && l.voidOn(order) > asOf
}
