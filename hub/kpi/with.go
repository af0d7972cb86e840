package kpi

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
)

// Rows are all orders and refunds of one id. A linked refund is among the rows of its order's id.
type Rows struct {
	Orders  []OrderRow
	Refunds []RefundRow
}

// With returns a ledger in which exactly these ids' rows are replaced; one without rows is gone. The Customer of the
// rows is not looked at. The rest is shared with the ledger it is made from, so the cost follows what changed (R11),
// and the result is the one that a Builder makes of the same rows. The zone must be the one of the build; nil is UTC.
//
// It fails with ErrTooMuchMoney as Builder.Ledger does; the record named is then the largest among the changed ones.
func (l *Ledger) With(zone *time.Location, changed map[customer.ID]Rows) (*Ledger, error) {
	if len(changed) == 0 {
		return l, nil
	}
	ids := slices.Sorted(maps.Keys(changed))
	b := NewBuilder(l.currency, zone)
	for _, id := range ids {
		for _, row := range changed[id].Orders {
			row.Customer = id
			b.AddOrder(row)
		}
		for _, row := range changed[id].Refunds {
			row.Customer = id
			b.AddRefund(row)
		}
	}
	fresh, _, err := b.Ledger()
	if err != nil {
		return nil, err
	}
	next := l.replace(fresh, ids)
	if next.money > math.MaxInt64 {
		return nil, fmt.Errorf("adding the changed rows: %w", b.tooMuchMoney())
	}
	return next, nil
}

// replace puts what fresh has of some ids, ascending, in the place of what the ledger has of them.
func (l *Ledger) replace(fresh *Ledger, ids []customer.ID) *Ledger {
	next := &Ledger{currency: l.currency, orders: l.orders, money: l.money, chunks: make([]*chunk, 0, len(l.chunks)+len(fresh.chunks))}
	rest := l.chunks
	for len(ids) > 0 {
		number := ChunkOf(ids[0])
		n := while(ids, func(id *customer.ID) bool { return ChunkOf(*id) == number })
		before := while(rest, func(c **chunk) bool { return (*c).number < number })
		next.chunks = append(next.chunks, rest[:before]...)
		rest = rest[before:]
		old := &chunk{number: number}
		if len(rest) > 0 && rest[0].number == number {
			old, rest = rest[0], rest[1:]
		}
		if c := next.replaceInChunk(old, fresh.chunk(number), ids[:n]); len(c.parts) > 0 {
			next.chunks = append(next.chunks, c)
		}
		ids = ids[n:]
	}
	next.chunks = append(next.chunks, rest...)
	return next
}

func (l *Ledger) replaceInChunk(old, fresh *chunk, ids []customer.ID) *chunk {
	next := &chunk{number: old.number, parts: make([]*part, 0, len(old.parts)+1)}
	rest := old.parts
	for len(ids) > 0 {
		key := partOf(ids[0])
		n := while(ids, func(id *customer.ID) bool { return partOf(*id) == key })
		before := while(rest, func(p **part) bool { return (*p).key < key })
		next.parts = append(next.parts, rest[:before]...)
		rest = rest[before:]
		was := &part{key: key}
		if len(rest) > 0 && rest[0].key == key {
			was, rest = rest[0], rest[1:]
		}
		is := merged(was, fresh.part(key), ids[:n])
		l.orders += len(is.orders.on) - len(was.orders.on)
		l.money += is.money - was.money
		if !is.isEmpty() {
			next.parts = append(next.parts, is)
		}
		ids = ids[n:]
	}
	next.parts = append(next.parts, rest...)
	return next
}

// piece is one customer of a part that a new part takes over.
type piece struct {
	*part
	c int
}

// merged is the part with the rows of some ids, ascending, replaced by what fresh has; fresh may be nil.
func merged(old, fresh *part, ids []customer.ID) *part {
	if fresh == nil {
		fresh = &part{key: old.key}
	}
	if old.nobody() || old.isEmpty() {
		return fresh
	}
	isReplaced := func(id customer.ID) bool { _, found := slices.BinarySearch(ids, id); return found }
	var pieces []piece
	for c, id := range old.customers {
		if !isReplaced(id) {
			pieces = append(pieces, piece{old, c})
		}
	}
	for c := range fresh.customers {
		pieces = append(pieces, piece{fresh, c})
	}
	slices.SortFunc(pieces, func(x, y piece) int { return cmp.Compare(x.owner(x.c), y.owner(y.c)) })

	p := joined(old.key, pieces)
	for _, n := range old.negative {
		if !isReplaced(n.customer) {
			p.negative = append(p.negative, n)
		}
	}
	p.negative = append(p.negative, fresh.negative...)
	slices.SortFunc(p.negative, func(x, y negativeOrders) int { return cmp.Compare(x.customer, y.customer) })
	p.sumUp()
	return p
}

func joined(key int64, pieces []piece) *part {
	p := &part{key: key}
	orders, refunds := 0, 0
	p.orderFrom, p.refundFrom = make([]int32, len(pieces)+1), make([]int32, len(pieces)+1)
	for i, from := range pieces {
		p.customers = append(p.customers, from.owner(from.c))
		first, end := from.ordersOf(from.c)
		orders += end - first
		first, end = from.refundsOf(from.c)
		refunds += end - first
		p.orderFrom[i+1], p.refundFrom[i+1] = int32(orders), int32(refunds)
	}
	p.customers = slices.Clip(p.customers)

	ofOrders := joining{pieces, (*part).ordersOf, orders}
	p.orders.on = join(ofOrders, func(p *part) []entity.Date { return p.orders.on })
	p.orders.base = join(ofOrders, func(p *part) []int64 { return p.orders.base })
	p.orders.noRate = joinSparse(ofOrders, false, func(p *part) []bool { return p.orders.noRate })
	p.orders.zero = joinSparse(ofOrders, false, func(p *part) []bool { return p.orders.zero })
	p.orders.voidOn = joinSparse(ofOrders, never, func(p *part) []entity.Date { return p.orders.voidOn })
	p.orders.channel = joinCoded(ofOrders, func(p *part) *dimension { return &p.orders.channel })
	p.orders.owner = joinCoded(ofOrders, func(p *part) *dimension { return &p.orders.owner })
	p.orders.city = joinCoded(ofOrders, func(p *part) *dimension { return &p.orders.city })
	p.orders.connection = joinCoded(ofOrders, func(p *part) *connections { return &p.orders.connection })

	ofRefunds := joining{pieces, (*part).refundsOf, refunds}
	p.refunds.on = join(ofRefunds, func(p *part) []entity.Date { return p.refunds.on })
	p.refunds.base = join(ofRefunds, func(p *part) []int64 { return p.refunds.base })
	p.refunds.empty = joinSparse(ofRefunds, false, func(p *part) []bool { return p.refunds.empty })
	p.refunds.noRate = joinSparse(ofRefunds, false, func(p *part) []bool { return p.refunds.noRate })
	p.refunds.unknown = joinSparse(ofRefunds, false, func(p *part) []bool { return p.refunds.unknown })
	p.refunds.connection = joinCoded(ofRefunds, func(p *part) *connections { return &p.refunds.connection })
	p.refunds.order = join(ofRefunds, func(p *part) []int32 { return p.refunds.order })
	for c, from := range pieces {
		moved := p.orderFrom[c] - from.orderFrom[from.c]
		for i := p.refundFrom[c]; i < p.refundFrom[c+1]; i++ {
			if p.refunds.order[i] >= 0 {
				p.refunds.order[i] += moved
			}
		}
	}
	return p
}

// joining says which rows of which parts make a new column.
type joining struct {
	pieces []piece
	rows   func(p *part, c int) (from, to int)
	n      int
}

func join[T any](j joining, column func(*part) []T) []T {
	out := make([]T, 0, j.n)
	for _, piece := range j.pieces {
		from, to := j.rows(piece.part, piece.c)
		out = append(out, column(piece.part)[from:to]...)
	}
	return out
}

// joinSparse joins columns that are nil where every row has the usual value.
func joinSparse[T comparable](j joining, usual T, column func(*part) []T) []T {
	var out []T
	at := 0
	for _, piece := range j.pieces {
		from, to := j.rows(piece.part, piece.c)
		if values := column(piece.part); values != nil {
			for i, value := range values[from:to] {
				if value == usual {
					continue
				}
				if out == nil {
					out = slices.Repeat([]T{usual}, j.n)
				}
				out[at+i] = value
			}
		}
		at += to - from
	}
	return out
}

// joinCoded makes the words once per part and not per row, as it is what joining takes most of its time for.
func joinCoded[T cmp.Ordered](j joining, column func(*part) *coded[T]) coded[T] {
	type source struct {
		*part
		words   []T
		recoded []uint32
	}
	var sources []source
	of := func(p *part) *source {
		for i := range sources {
			if sources[i].part == p {
				return &sources[i]
			}
		}
		c := column(p)
		s := source{part: p, words: c.words}
		if c.codes == nil {
			s.words = make([]T, 1) // the zero value
		}
		s.recoded = slices.Repeat([]uint32{unused}, len(s.words))
		sources = append(sources, s)
		return &sources[len(sources)-1]
	}
	for _, piece := range j.pieces {
		from, to := j.rows(piece.part, piece.c)
		if from == to {
			continue
		}
		s := of(piece.part)
		if codes := column(piece.part).codes; codes != nil {
			for _, code := range codes[from:to] {
				s.recoded[code] = 0
			}
		} else {
			s.recoded[0] = 0
		}
	}
	var words []T
	for _, s := range sources {
		for code, word := range s.words {
			if s.recoded[code] != unused {
				words = append(words, word)
			}
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	var zero T
	if len(words) == 0 || len(words) == 1 && words[0] == zero {
		return coded[T]{}
	}
	for _, s := range sources {
		for code, word := range s.words {
			at, _ := slices.BinarySearch(words, word)
			s.recoded[code] = uint32(at)
		}
	}
	joined := coded[T]{words: slices.Clip(words), codes: make([]uint32, 0, j.n)}
	for _, piece := range j.pieces {
		from, to := j.rows(piece.part, piece.c)
		if from == to {
			continue
		}
		s := of(piece.part)
		codes := column(piece.part).codes
		for i := from; i < to; i++ {
			code := uint32(0)
			if codes != nil {
				code = codes[i]
			}
			joined.codes = append(joined.codes, s.recoded[code])
		}
	}
	return joined
}
