package kpi

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// ErrTooMuchMoney says that the amounts of a workspace do not fit a sum in minor units, which only a mistaken amount
// can bring about.
var ErrTooMuchMoney = errors.New("the amounts are too large to be summed exactly")

// errTooManyRows guards the 32-bit indices of the columns.
var errTooManyRows = errors.New("a ledger holds at most 2147483647 orders and as many refunds")

// Builder gathers rows and makes a Ledger of them. It is used by one goroutine and once.
type Builder struct {
	currency string
	zone     *time.Location
	// blocks hold the orders as they came in, all but the last one full: one slice would be copied many times over
	// while it grows.
	blocks  [][]orderRow
	count   int
	sorted  []int32 // places in blocks in the order of the columns
	refunds []RefundRow
	// keys holds the record keys of all orders one after the other: millions of small strings would cost more memory
	// than the rest of the rows, and time of the garbage collector.
	keys     []byte
	words    wordList
	dayStart map[entity.Date]int64
	negative map[customer.ID]int
}

const blockRows = 1 << 14

// added is the i-th order as they came in.
func (b *Builder) added(i int) *orderRow { return &b.blocks[i/blockRows][i%blockRows] }

// row is the i-th order in the order of the columns.
func (b *Builder) row(i int) *orderRow { return b.added(int(b.sorted[i])) }

// orderRow is an OrderRow without pointers.
type orderRow struct {
	customer   customer.ID
	at         int64 // microseconds
	sequence   int64
	base       int64
	amount     int64 // or unknownAmount
	keyAt      int
	connection store.ConnectionID
	keyLength  uint32
	on         entity.Date
	// words
	stream, currency, channel, owner, city uint32
	converted                              bool
}

// unknownAmount is that of an order without a rate that came without its original amount.
const unknownAmount = -1

// NewBuilder starts a ledger in the workspace's currency and zone. The zone says at what moment the day of an order
// without a time begins, which decides its place among the customer's other orders of that day; nil is UTC.
func NewBuilder(currency string, zone *time.Location) *Builder {
	if zone == nil {
		zone = time.UTC
	}
	return &Builder{currency: currency, zone: zone, words: newWordList(), dayStart: map[entity.Date]int64{}, negative: map[customer.ID]int{}}
}

// Build makes a ledger of rows in any order. See Builder.Ledger for errors.
func Build(currency string, zone *time.Location, orders iter.Seq[OrderRow], refunds iter.Seq[RefundRow]) (*Ledger, Warnings, error) {
	b := NewBuilder(currency, zone)
	for row := range orders {
		b.AddOrder(row)
	}
	for row := range refunds {
		b.AddRefund(row)
	}
	return b.Ledger()
}

// AddOrder takes in one order. It keeps nothing of the row's strings, so these may be cut from larger buffers.
func (b *Builder) AddOrder(row OrderRow) {
	if row.Amount.Minor < 0 || row.Converted && row.Base < 0 {
		b.negative[row.Customer]++
		return
	}
	if !row.Converted {
		row.Base = 0
	}
	if row.Amount.Currency == "" {
		row.Amount = entity.Money{Minor: unknownAmount, Currency: b.currency}
		if row.Converted {
			row.Amount.Minor = row.Base
		}
	}
	var at int64
	if row.At.IsZero() {
		at = b.startOf(row.On)
	} else {
		at = row.At.UnixMicro()
	}
	if b.count%blockRows == 0 {
		b.blocks = append(b.blocks, make([]orderRow, 0, blockRows))
	}
	b.count++
	last := &b.blocks[len(b.blocks)-1]
	*last = append(*last, orderRow{
		customer: row.Customer, at: at, sequence: row.Sequence, base: row.Base, amount: row.Amount.Minor,
		connection: row.Connection, keyAt: len(b.keys), keyLength: uint32(len(row.Key)), on: row.On,
		stream: b.words.code(row.Stream), currency: b.words.code(row.Amount.Currency),
		channel: b.words.code(row.Channel), owner: b.words.code(row.Owner), city: b.words.code(row.City),
		converted: row.Converted,
	})
	b.keys = append(b.keys, row.Key...)
}

// AddRefund takes in one refund.
func (b *Builder) AddRefund(row RefundRow) {
	if !row.Converted {
		row.Base = 0
	}
	row.Base = magnitude(row.Base)
	row.Amount.Minor = magnitude(row.Amount.Minor)
	if row.Amount.Currency == "" && row.Converted {
		row.Amount = entity.Money{Minor: row.Base, Currency: b.currency}
	}
	b.refunds = append(b.refunds, row)
}

func magnitude(n int64) int64 {
	switch {
	case n == math.MinInt64:
		return math.MaxInt64 // one off, and refused as too much money anyway
	case n < 0:
		return -n
	default:
		return n
	}
}

func (b *Builder) startOf(day entity.Date) int64 {
	start, known := b.dayStart[day]
	if !known {
		start = day.Start(b.zone).UnixMicro()
		b.dayStart[day] = start
	}
	return start
}

// Ledger sorts what was added into columns. It fails with ErrTooMuchMoney, naming the record with the largest amount,
// and when there are more rows than a ledger holds.
func (b *Builder) Ledger() (*Ledger, Warnings, error) {
	if b.count >= math.MaxInt32 || len(b.refunds) >= math.MaxInt32 {
		return nil, Warnings{}, errTooManyRows
	}
	if b.overflows() {
		return nil, Warnings{}, b.tooMuchMoney()
	}
	b.sort()
	refunds := b.link()
	negative := make([]negativeOrders, 0, len(b.negative))
	for _, id := range slices.Sorted(maps.Keys(b.negative)) {
		negative = append(negative, negativeOrders{id, b.negative[id]})
	}

	l := &Ledger{currency: b.currency}
	words := newRecoder(b.words.words)
	for row := 0; row < b.count || len(refunds) > 0 || len(negative) > 0; {
		key := int64(math.MaxInt64)
		if row < b.count {
			key = partOf(b.row(row).customer)
		}
		if len(refunds) > 0 {
			key = min(key, partOf(refunds[0].customer))
		}
		if len(negative) > 0 {
			key = min(key, partOf(negative[0].customer))
		}
		to := row
		for to < b.count && partOf(b.row(to).customer) == key {
			to++
		}
		ofPart := while(refunds, func(r *linkedRefund) bool { return partOf(r.customer) == key })
		p := b.part(key, row, to, refunds[:ofPart], words)
		row, refunds = to, refunds[ofPart:]
		ofPart = while(negative, func(n *negativeOrders) bool { return partOf(n.customer) == key })
		if ofPart > 0 {
			p.negative = slices.Clone(negative[:ofPart])
		}
		negative = negative[ofPart:]
		p.sumUp()
		l.add(p)
	}
	return l, l.Warnings(), nil
}

// while counts the leading elements of which a condition holds.
func while[T any](all []T, holds func(*T) bool) int {
	for i := range all {
		if !holds(&all[i]) {
			return i
		}
	}
	return len(all)
}

// overflows says whether a sum of the rows' money could.
func (b *Builder) overflows() bool {
	var total uint64
	for i := range b.count {
		if total += uint64(b.added(i).base); total > math.MaxInt64 {
			return true
		}
	}
	for i := range b.refunds {
		if total += uint64(b.refunds[i].Base); total > math.MaxInt64 {
			return true
		}
	}
	return false
}

// tooMuchMoney is ErrTooMuchMoney with the record that has the largest amount.
func (b *Builder) tooMuchMoney() error {
	largest := int64(-1)
	var record store.RecordKey
	for i := range b.count {
		if row := b.added(i); row.base > largest {
			largest, record = row.base, b.recordKey(row)
		}
	}
	for i := range b.refunds {
		if row := &b.refunds[i]; row.Base > largest {
			largest, record = row.Base, store.RecordKey{Connection: row.Connection, Stream: row.Stream, Key: row.Key}
		}
	}
	return fmt.Errorf("%w: the largest is that of record %q of stream %s of connection %d; correct it in the source",
		ErrTooMuchMoney, record.Key, record.Stream, record.Connection)
}

func (b *Builder) key(row *orderRow) []byte { return b.keys[row.keyAt : row.keyAt+int(row.keyLength)] }

func (b *Builder) recordKey(row *orderRow) store.RecordKey {
	return store.RecordKey{Connection: row.connection, Stream: b.words.word(row.stream), Key: string(b.key(row))}
}

// place is what decides an order's position nearly always, small enough to be sorted by value.
type place struct {
	customer customer.ID
	on       entity.Date
	row      int32
}

// sort puts the rows into the order of the columns: by customer, and a customer's as they came about.
func (b *Builder) sort() {
	places := make([]place, b.count)
	for i := range places {
		row := b.added(i)
		places[i] = place{row.customer, row.on, int32(i)}
	}
	slices.SortFunc(places, func(x, y place) int {
		switch {
		case x.customer != y.customer:
			return cmp.Compare(x.customer, y.customer)
		case x.on != y.on:
			return cmp.Compare(x.on, y.on)
		}
		return b.compareWithinDay(b.added(int(x.row)), b.added(int(y.row)))
	})
	b.sorted = make([]int32, len(places))
	for i, place := range places {
		b.sorted[i] = place.row
	}
}

// compareWithinDay decides which of a customer's orders of one day is the first: by moment, the start of the day where
// there is no time, then by sequence, connection and key. The day was compared before the moment, so that the columns
// are sorted by day even if a row's day and moment contradict each other.
func (b *Builder) compareWithinDay(x, y *orderRow) int {
	if c := cmp.Or(
		cmp.Compare(x.at, y.at), cmp.Compare(x.sequence, y.sequence), cmp.Compare(x.connection, y.connection),
	); c != 0 {
		return c
	}
	if c := bytes.Compare(b.key(x), b.key(y)); c != 0 {
		return c
	}
	return strings.Compare(b.words.word(x.stream), b.words.word(y.stream))
}
