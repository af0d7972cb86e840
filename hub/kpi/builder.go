package kpi

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/bits"
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
	// chunks hold the orders as they came in, all but the last one full: one slice would be copied many times over
	// while it grows.
	chunks  [][]orderRow
	count   int
	sorted  []int32 // places in chunks in the order of the columns
	refunds []RefundRow
	// keys holds the record keys of all orders one after the other: millions of small strings would cost more memory
	// than the rest of the rows, and time of the garbage collector.
	keys     []byte
	words    wordList
	dayStart map[entity.Date]int64
	warnings Warnings
}

const chunkRows = 1 << 14

// added is the i-th order as they came in.
func (b *Builder) added(i int) *orderRow { return &b.chunks[i/chunkRows][i%chunkRows] }

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
	return &Builder{currency: currency, zone: zone, words: newWordList(), dayStart: map[entity.Date]int64{}}
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
		b.warnings.NegativeOrders++
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
	if b.count%chunkRows == 0 {
		b.chunks = append(b.chunks, make([]orderRow, 0, chunkRows))
	}
	b.count++
	last := &b.chunks[len(b.chunks)-1]
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
	if err := b.checkSums(); err != nil {
		return nil, Warnings{}, err
	}
	b.sort()
	refunds := b.link()

	l := &Ledger{currency: b.currency}
	l.customers = b.customers(refunds)
	l.orderFrom = offsets(l.customers, b.count, func(i int) customer.ID { return b.row(i).customer })
	l.refundFrom = offsets(l.customers, len(refunds), func(i int) customer.ID { return refunds[i].customer })
	b.fillOrders(&l.orders)
	b.fillRefunds(&l.refunds, refunds)
	l.orders.voidOn = b.voidDays(refunds)
	return l, b.warnings, nil
}

// checkSums makes sure that no sum of the ledger's money can overflow.
func (b *Builder) checkSums() error {
	var total uint64
	var largest int64
	var record store.RecordKey
	overflow := false
	add := func(amount int64, key func() store.RecordKey) {
		sum, carry := bits.Add64(total, uint64(amount), 0)
		total = sum
		overflow = overflow || carry != 0 || sum > math.MaxInt64
		if amount > largest {
			largest, record = amount, key()
		}
	}
	for i := range b.count {
		row := b.added(i)
		add(max(row.base, row.amount), func() store.RecordKey { return b.recordKey(row) })
	}
	for i := range b.refunds {
		row := &b.refunds[i]
		add(max(row.Base, row.Amount.Minor), func() store.RecordKey {
			return store.RecordKey{Connection: row.Connection, Stream: row.Stream, Key: row.Key}
		})
	}
	if overflow {
		return fmt.Errorf("%w: the largest is that of record %q of stream %s of connection %d; correct it in the source",
			ErrTooMuchMoney, record.Key, record.Stream, record.Connection)
	}
	return nil
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

// sort puts the rows into the order of the columns: by customer, those of no customer last, and a customer's as they
// came about.
func (b *Builder) sort() {
	places := make([]place, b.count)
	for i := range places {
		row := b.added(i)
		places[i] = place{row.customer, row.on, int32(i)}
	}
	slices.SortFunc(places, func(x, y place) int {
		switch {
		case x.customer != y.customer:
			return compareCustomers(x.customer, y.customer)
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

// compareCustomers puts no customer behind all others.
func compareCustomers(x, y customer.ID) int {
	switch {
	case x == y:
		return 0
	case x == 0:
		return 1
	case y == 0:
		return -1
	}
	return cmp.Compare(x, y)
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
