// Package kpi computes retention figures, RFM and facts about customers from their orders and refunds, held as
// columns in memory. It does no I/O: the store hands rows over, in any order, and the same rows always give the same
// ledger and the same figures, to the byte (R2). Money is int64 minor units until the final division.
package kpi

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
)

// Never is a day that does not come.
const Never = entity.Date(math.MaxInt32)

const never = Never

const (
	chunkBits = 10
	partBits  = 4
)

// ChunkOf returns the chunk that holds a customer's rows, 1,024 consecutive ids each. Ids of nobody, 0 and below, have
// chunks too.
func ChunkOf(id customer.ID) int64 { return int64(id) >> chunkBits }

// Ledger holds every order and refund of one workspace as columns, grouped by customer. It is made by a Builder, by
// With or by Decode, does not change afterwards and may be read by many goroutines.
//
// Ids of 0 and below are nobody: their rows count in what the workspace sold and in no figure about customers.
type Ledger struct {
	currency string
	chunks   []*chunk // ascending
	orders   int
	money    uint64 // of all orders and refunds, so that no sum can overflow
}

// chunk is what is stored as one blob: the parts of 1,024 ids. None is empty.
type chunk struct {
	number int64
	parts  []*part // ascending
}

// part holds the columns of up to 16 neighbouring customers, or of one id of nobody. It is what With copies when one
// of them changes, hence small, and it never changes itself.
type part struct {
	key int64
	// customers with an order or a refund, ascending. Customer c has the orders orderFrom[c] up to, not including,
	// orderFrom[c+1], first to last; likewise refunds. A part of nobody has no customers, and rows all the same.
	customers  []customer.ID
	orderFrom  []int32
	refundFrom []int32
	orders     orderColumns
	refunds    refundColumns
	// negative counts the orders left out, ascending by id.
	negative []negativeOrders

	warnings Warnings
	money    uint64
}

type negativeOrders struct {
	customer customer.ID
	orders   int
}

// partOf returns the key of the part that holds an id: its own for an id of nobody, so that many sales to nobody are
// not copied when a customer changes; else one shared by 16.
func partOf(id customer.ID) int64 {
	if id <= 0 {
		return int64(id)
	}
	return int64(id)>>partBits + 1
}

// firstOf is the smallest id that a part of customers could hold.
func firstOf(key int64) customer.ID { return customer.ID((key - 1) << partBits) }

// chunkOfPart returns the chunk a part belongs to.
func chunkOfPart(key int64) int64 {
	if key <= 0 {
		return ChunkOf(customer.ID(key))
	}
	return ChunkOf(firstOf(key))
}

type orderColumns struct {
	on   []entity.Date
	base []int64 // 0 where there is no rate
	// noRate marks orders without an exchange rate; nil when there are none.
	noRate []bool
	// zero marks orders whose amount is 0; nil when there are none.
	zero []bool
	// voidOn is the day whose refunds bring the order to nothing; nil when there are no such orders.
	voidOn               []entity.Date
	channel, owner, city dimension
	connection           connections
}

type refundColumns struct {
	on   []entity.Date
	base []int64 // positive; 0 where there is no rate
	// order is the index of the refunded order, -1 when not linked.
	order []int32
	// empty marks refunds of the amount 0, which return nothing; nil when there are none.
	empty []bool
	// noRate marks refunds without an exchange rate, unknown those of an order the ledger has not; nil when none.
	noRate, unknown []bool
	connection      connections
}

// add appends a part, which must come after all others. It does not look at sums.
func (l *Ledger) add(p *part) {
	number := chunkOfPart(p.key)
	if n := len(l.chunks); n == 0 || l.chunks[n-1].number != number {
		l.chunks = append(l.chunks, &chunk{number: number})
	}
	last := l.chunks[len(l.chunks)-1]
	last.parts = append(last.parts, p)
	l.orders += len(p.orders.on)
	l.money += p.money
}

// parts returns the parts, those of nobody first.
func (l *Ledger) parts() []*part {
	n := 0
	for _, chunk := range l.chunks {
		n += len(chunk.parts)
	}
	parts := make([]*part, 0, n)
	for _, chunk := range l.chunks {
		parts = append(parts, chunk.parts...)
	}
	return parts
}

func (l *Ledger) chunk(number int64) *chunk {
	i, found := slices.BinarySearchFunc(l.chunks, number, func(c *chunk, n int64) int { return cmp.Compare(c.number, n) })
	if !found {
		return nil
	}
	return l.chunks[i]
}

func (c *chunk) part(key int64) *part {
	if c == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(c.parts, key, func(p *part, key int64) int { return cmp.Compare(p.key, key) })
	if !found {
		return nil
	}
	return c.parts[i]
}

// find returns where an id's rows are; c is 0 for nobody, whose part has one id. It reports false where there are none.
func (l *Ledger) find(id customer.ID) (p *part, c int, ok bool) {
	p = l.chunk(ChunkOf(id)).part(partOf(id))
	if p == nil || id <= 0 {
		return p, 0, p != nil
	}
	c, ok = slices.BinarySearch(p.customers, id)
	return p, c, ok
}

// nobody says whether the part's rows belong to no customer.
func (p *part) nobody() bool { return p.key <= 0 }

// ordersOf returns the bounds of a customer's orders, or of all orders of a part of nobody.
func (p *part) ordersOf(c int) (from, to int) {
	if p.nobody() {
		return 0, len(p.orders.on)
	}
	return int(p.orderFrom[c]), int(p.orderFrom[c+1])
}

// refundsOf is ordersOf for refunds.
func (p *part) refundsOf(c int) (from, to int) {
	if p.nobody() {
		return 0, len(p.refunds.on)
	}
	return int(p.refundFrom[c]), int(p.refundFrom[c+1])
}

// ids is how many ids have rows in the part.
func (p *part) ids() int {
	if p.nobody() {
		return 1
	}
	return len(p.customers)
}

// owner returns the id that ordersOf(c) are of.
func (p *part) owner(c int) customer.ID {
	if p.nobody() {
		return customer.ID(p.key)
	}
	return p.customers[c]
}

func (p *part) isEmpty() bool {
	return len(p.orders.on) == 0 && len(p.refunds.on) == 0 && len(p.negative) == 0
}

// sumUp fills in what is derived from the columns.
func (p *part) sumUp() {
	count := func(flags []bool) (n int) {
		for _, flag := range flags {
			if flag {
				n++
			}
		}
		return n
	}
	p.warnings = Warnings{
		UnconvertedOrders: count(p.orders.noRate), UnconvertedRefunds: count(p.refunds.noRate),
		ZeroOrders: count(p.orders.zero), UnknownRefundOrders: count(p.refunds.unknown),
	}
	for _, n := range p.negative {
		p.warnings.NegativeOrders += n.orders
	}
	p.money = 0
	for _, base := range p.orders.base {
		p.money += uint64(base)
	}
	for _, base := range p.refunds.base {
		p.money += uint64(base)
	}
}

// Currency is the workspace's, in which all money of the ledger is.
func (l *Ledger) Currency() string { return l.currency }

// Orders returns how many orders the ledger holds, void ones and those of no customer included.
func (l *Ledger) Orders() int { return l.orders }

// Warnings counts what a reader of the figures should know about the rows.
func (l *Ledger) Warnings() Warnings {
	var all Warnings
	for _, chunk := range l.chunks {
		for _, p := range chunk.parts {
			all.UnconvertedOrders += p.warnings.UnconvertedOrders
			all.UnconvertedRefunds += p.warnings.UnconvertedRefunds
			all.ZeroOrders += p.warnings.ZeroOrders
			all.NegativeOrders += p.warnings.NegativeOrders
			all.UnknownRefundOrders += p.warnings.UnknownRefundOrders
		}
	}
	return all
}

// Order is one order of a ledger.
type Order struct {
	Customer  customer.ID // 0 or less: none
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
		parts := l.parts()
		customers := slices.IndexFunc(parts, func(p *part) bool { return !p.nobody() })
		if customers < 0 {
			customers = len(parts)
		}
		for _, p := range append(slices.Clone(parts[customers:]), parts[:customers]...) {
			for c := range p.ids() {
				from, to := p.ordersOf(c)
				for i := from; i < to; i++ {
					if !yield(p.order(c, i)) {
						return
					}
				}
			}
		}
	}
}

func (p *part) order(c, i int) Order {
	order := Order{
		Customer: p.owner(c), On: p.orders.on[i], Base: p.orders.base[i], Converted: p.converted(i),
		Channel: p.orders.channel.at(i), Owner: p.orders.owner.at(i), City: p.orders.city.at(i),
	}
	if on := p.voidOn(i); on != never {
		order.Void, order.VoidOn = true, on
	}
	return order
}

func (p *part) converted(order int) bool { return p.orders.noRate == nil || !p.orders.noRate[order] }

func (p *part) voidOn(order int) entity.Date {
	if p.orders.voidOn == nil {
		return never
	}
	return p.orders.voidOn[order]
}

// valid says whether an order exists as of a day and is not void by then.
func (p *part) valid(order int, asOf entity.Date) bool {
	return p.orders.on[order] <= asOf && p.voidOn(order) > asOf
}

// Customers returns how many customers the ledger knows an order or refund of.
func (l *Ledger) Customers() int {
	n := 0
	for _, p := range l.parts() {
		if !p.nobody() {
			n += len(p.customers)
		}
	}
	return n
}
