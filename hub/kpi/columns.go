package kpi

import (
	"cmp"
	"math"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// linkedRefund is a RefundRow that knows its order and the customer it counts for.
type linkedRefund struct {
	*RefundRow
	order    int32 // its place among all orders; -1: none
	customer customer.ID
	unknown  bool
}

// link finds the orders of the refunds and sorts these as the columns need them.
func (b *Builder) link() []linkedRefund {
	const missing = -1
	wanted := map[store.RecordKey]int32{}
	for i := range b.refunds {
		if key := b.refunds[i].Order; key != nil {
			wanted[*key] = missing
		}
	}
	if len(wanted) > 0 {
		for i := range b.count {
			row := b.row(i)
			// Written out in the index so that the key is copied only where it is wanted.
			if _, ok := wanted[store.RecordKey{Connection: row.connection, Stream: b.words.word(row.stream), Key: string(b.key(row))}]; ok {
				wanted[b.recordKey(row)] = int32(i)
			}
		}
	}
	linked := make([]linkedRefund, len(b.refunds))
	for i := range b.refunds {
		row := &b.refunds[i]
		linked[i] = linkedRefund{RefundRow: row, order: missing, customer: row.Customer}
		if row.Order == nil {
			continue
		}
		if order := wanted[*row.Order]; order != missing {
			linked[i].order, linked[i].customer = order, b.row(int(order)).customer
		} else {
			linked[i].unknown = true
		}
	}
	slices.SortFunc(linked, func(x, y linkedRefund) int {
		return cmp.Or(
			cmp.Compare(x.customer, y.customer),
			cmp.Compare(x.order, y.order), cmp.Compare(x.On, y.On), cmp.Compare(x.Connection, y.Connection),
			cmp.Compare(x.Key, y.Key), cmp.Compare(x.Stream, y.Stream),
		)
	})
	return linked
}

// part makes the columns of the orders from one place up to, not including, another, and of their refunds.
func (b *Builder) part(key int64, from, to int, refunds []linkedRefund, words *recoder) *part {
	p := &part{key: key}
	if !p.nobody() {
		p.customers = b.customers(from, to, refunds)
	}
	p.orderFrom = offsets(p.customers, to-from, func(i int) customer.ID { return b.row(from + i).customer })
	p.refundFrom = offsets(p.customers, len(refunds), func(i int) customer.ID { return refunds[i].customer })
	b.fillOrders(&p.orders, from, to, words)
	fillRefunds(&p.refunds, refunds, from)
	p.orders.voidOn = b.voidDays(refunds, from, to)
	return p
}

// customers returns the distinct customers of sorted orders and refunds, ascending.
func (b *Builder) customers(from, to int, refunds []linkedRefund) []customer.ID {
	var ids []customer.ID
	add := func(id customer.ID) {
		if len(ids) == 0 || ids[len(ids)-1] != id {
			ids = append(ids, id)
		}
	}
	for i := from; i < to; i++ {
		add(b.row(i).customer)
	}
	for i := range refunds {
		add(refunds[i].customer)
	}
	slices.Sort(ids)
	return slices.Clip(slices.Compact(ids))
}

// offsets returns where each customer's rows begin among rows sorted by customer, and where the last one's end.
func offsets(customers []customer.ID, rows int, owner func(int) customer.ID) []int32 {
	from := make([]int32, len(customers)+1)
	i := 0
	for c, id := range customers {
		from[c] = int32(i)
		for i < rows && owner(i) == id {
			i++
		}
	}
	from[len(customers)] = int32(i)
	return from
}

func (b *Builder) fillOrders(columns *orderColumns, from, to int, words *recoder) {
	n := to - from
	columns.on, columns.base = make([]entity.Date, n), make([]int64, n)
	for i := range n {
		row := b.row(from + i)
		columns.on[i], columns.base[i] = row.on, row.base
		mark(&columns.noRate, i, n, !row.converted)
		mark(&columns.zero, i, n, row.amount == 0)
	}
	columns.channel = words.dimension(n, func(i int) uint32 { return b.row(from + i).channel })
	columns.owner = words.dimension(n, func(i int) uint32 { return b.row(from + i).owner })
	columns.city = words.dimension(n, func(i int) uint32 { return b.row(from + i).city })
	columns.connection = codedOf(n, func(i int) store.ConnectionID { return b.row(from + i).connection })
}

func fillRefunds(columns *refundColumns, refunds []linkedRefund, firstOrder int) {
	n := len(refunds)
	columns.on, columns.base, columns.order = make([]entity.Date, n), make([]int64, n), make([]int32, n)
	for i := range refunds {
		row := &refunds[i]
		columns.on[i], columns.base[i], columns.order[i] = row.On, row.Base, row.order
		if row.order >= 0 {
			columns.order[i] -= int32(firstOrder)
		}
		mark(&columns.noRate, i, n, !row.Converted)
		mark(&columns.empty, i, n, row.Amount.Minor == 0 && row.Amount.Currency != "")
		mark(&columns.unknown, i, n, row.unknown)
	}
	columns.connection = codedOf(n, func(i int) store.ConnectionID { return refunds[i].Connection })
}

// mark sets a flag of one of n rows, making the column for the first one set.
func mark(column *[]bool, i, n int, set bool) {
	if !set {
		return
	}
	if *column == nil {
		*column = make([]bool, n)
	}
	(*column)[i] = true
}

// voidDays finds the day on which linked refunds reach each order's amount. Refunds are held against the amount in
// the source's currency as long as all so far are in it, else in the workspace's. An order of 0 is never void.
func (b *Builder) voidDays(refunds []linkedRefund, first, end int) []entity.Date {
	var days []entity.Date
	for from := 0; from < len(refunds); {
		order := refunds[from].order
		to := from + 1
		for to < len(refunds) && refunds[to].order == order && refunds[to].customer == refunds[from].customer {
			to++
		}
		if order >= 0 {
			if day := b.voidDay(b.row(int(order)), refunds[from:to]); day != never {
				if days == nil {
					days = slices.Repeat([]entity.Date{never}, end-first)
				}
				days[int(order)-first] = day
			}
		}
		from = to
	}
	return days
}

func (b *Builder) voidDay(order *orderRow, refunds []linkedRefund) entity.Date {
	var amount, base int64
	sameCurrency, converted := true, order.converted
	for i := range refunds {
		refund := &refunds[i]
		// Amounts in other currencies are not checked to fit a sum; more than everything is everything.
		amount = min(amount, math.MaxInt64-refund.Amount.Minor) + refund.Amount.Minor
		base += refund.Base
		sameCurrency = sameCurrency && refund.Amount.Currency == b.words.word(order.currency)
		converted = converted && refund.Converted
		if i+1 < len(refunds) && refunds[i+1].On == refund.On {
			continue // the day is not over
		}
		switch {
		case sameCurrency && order.amount > 0 && amount >= order.amount,
			!sameCurrency && converted && order.base > 0 && base >= order.base:
			return refund.On
		}
	}
	return never
}
