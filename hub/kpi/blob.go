package kpi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sync"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// ErrBlob says that stored columns are damaged, of another version or not of this workspace's currency. They are only a
// faster form of the rows: build them from these again.
var ErrBlob = errors.New("stored columns cannot be used and must be made again from the rows")

// A blob is four bytes that name its kind and version, the CRC-32C of what follows, and numbers as varints. Change the
// version with the form.
const (
	ledgerBlob = "RLG1"
	scoresBlob = "RSC1"
	blobHeader = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Chunks returns the chunks that hold rows, ascending.
func (l *Ledger) Chunks() []int64 {
	numbers := make([]int64, len(l.chunks))
	for i, chunk := range l.chunks {
		numbers[i] = chunk.number
	}
	return numbers
}

// Encode returns one chunk in its stored form: the same bytes for the same rows, whatever ledgers came before. It is
// nil for a chunk without rows, whose blob is to be deleted.
func (l *Ledger) Encode(number int64) []byte {
	chunk := l.chunk(number)
	if chunk == nil {
		return nil
	}
	e := newEncoder(ledgerBlob)
	e.text(l.currency)
	e.signed(number)
	words := chunk.words()
	e.count(len(words))
	for _, word := range words {
		e.text(word)
	}
	e.count(len(chunk.parts))
	for _, p := range chunk.parts {
		e.part(p, words)
	}
	return e.blob()
}

// words are the distinct words of all columns, ascending.
func (c *chunk) words() []string {
	var words []string
	for _, p := range c.parts {
		for _, d := range []*dimension{&p.orders.channel, &p.orders.owner, &p.orders.city} {
			words = append(words, d.words...)
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// Decode makes a ledger of all chunks' blobs, in any order. It fails with ErrBlob.
func Decode(currency string, blobs [][]byte) (*Ledger, error) {
	chunks := make([]*chunk, len(blobs))
	err := eachBlob(blobs, func(i int, words *interned) (err error) {
		chunks[i], err = decodeChunk(currency, blobs[i], words)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(chunks, func(x, y *chunk) int { return compareNumbers(x.number, y.number) })
	l := &Ledger{currency: currency, chunks: chunks}
	for i, chunk := range chunks {
		if i > 0 && chunks[i-1].number == chunk.number {
			return nil, fmt.Errorf("chunk %d is there twice: %w", chunk.number, ErrBlob)
		}
		for _, p := range chunk.parts {
			l.orders += len(p.orders.on)
			if l.money += p.money; l.money > math.MaxInt64 {
				return nil, fmt.Errorf("chunk %d: the amounts do not fit a sum: %w", chunk.number, ErrBlob)
			}
		}
	}
	if l.orders > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %w", errTooManyRows, ErrBlob)
	}
	return l, nil
}

func compareNumbers(x, y int64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// eachBlob decodes in parallel and returns the error of the first blob that has one.
func eachBlob(blobs [][]byte, decode func(i int, words *interned) error) error {
	const block = 8
	errs := make([]error, len(blobs))
	words := &interned{words: map[string]string{}}
	inParallel(len(blobs), workersFor(len(blobs), block), block, func(_, from, to int) {
		for i := from; i < to; i++ {
			errs[i] = decode(i, words)
		}
	})
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("blob %d of %d: %w", i+1, len(blobs), err)
		}
	}
	return nil
}

// interned keeps one copy of each word for all chunks.
type interned struct {
	mu    sync.Mutex
	words map[string]string
}

func (in *interned) all(words []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, word := range words {
		if known, ok := in.words[word]; ok {
			words[i] = known
		} else {
			in.words[word] = word
		}
	}
}

func decodeChunk(currency string, blob []byte, in *interned) (*chunk, error) {
	d, err := newDecoder(ledgerBlob, blob)
	if err != nil {
		return nil, err
	}
	if d.text() != currency {
		d.fail("of another currency")
	}
	c := &chunk{number: d.signed()}
	words := make([]string, d.count(1))
	for i := range words {
		words[i] = d.text()
		d.check(i == 0 || words[i-1] < words[i], "words out of order")
	}
	in.all(words)
	n := d.count(1)
	d.check(n > 0, "no parts")
	c.parts = make([]*part, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		p := d.part(words)
		d.check(chunkOfPart(p.key) == c.number && (i == 0 || c.parts[i-1].key < p.key), "a part out of place")
		c.parts = append(c.parts, p)
	}
	d.check(len(d.data) == 0, "something after the end")
	return c, d.err
}

func (e *encoder) part(p *part, words []string) {
	e.signed(p.key)
	if !p.nobody() {
		e.count(len(p.customers))
		for _, id := range p.customers {
			e.unsigned(uint64(id - firstOf(p.key)))
		}
	}
	for c := range p.ids() {
		from, to := p.ordersOf(c)
		e.count(to - from)
		from, to = p.refundsOf(c)
		e.count(to - from)
	}
	e.days(p.orders.on)
	e.amounts(p.orders.base)
	e.flags(p.orders.noRate)
	e.flags(p.orders.zero)
	e.voidDays(&p.orders)
	for _, d := range []*dimension{&p.orders.channel, &p.orders.owner, &p.orders.city} {
		e.count(len(d.words))
		for _, word := range d.words {
			place, _ := slices.BinarySearch(words, word)
			e.count(place)
		}
		e.codes(d.codes, len(d.words))
	}
	e.connections(&p.orders.connection)

	e.days(p.refunds.on)
	e.amounts(p.refunds.base)
	for c := range p.ids() {
		first, _ := p.ordersOf(c)
		from, to := p.refundsOf(c)
		for _, order := range p.refunds.order[from:to] {
			e.count(max(int(order)-first, -1) + 1)
		}
	}
	e.flags(p.refunds.empty)
	e.flags(p.refunds.noRate)
	e.flags(p.refunds.unknown)
	e.connections(&p.refunds.connection)

	e.count(len(p.negative))
	for _, n := range p.negative {
		e.signed(int64(n.customer))
		e.count(n.orders)
	}
}

func (d *decoder) part(words []string) *part {
	p := &part{key: d.signed()}
	ids := 1
	if !p.nobody() {
		// Only a part of negative orders has none.
		ids = d.count(1)
		d.check(ids <= 1<<partBits, "too many customers")
		if d.err != nil {
			return p
		}
		for c := range ids {
			offset := d.unsigned()
			id := firstOf(p.key) + customer.ID(offset)
			d.check(offset < 1<<partBits && id > 0 && (c == 0 || p.customers[c-1] < id), "customers out of order")
			p.customers = append(p.customers, id)
		}
		p.customers = slices.Clip(p.customers)
	}
	p.orderFrom, p.refundFrom = make([]int32, len(p.customers)+1), make([]int32, len(p.customers)+1)
	orders, refunds := 0, 0
	for c := range ids {
		orders += d.count(1)
		refunds += d.count(1)
		d.check(orders <= len(d.data) && refunds <= len(d.data), "more rows than bytes")
		if !p.nobody() {
			p.orderFrom[c+1], p.refundFrom[c+1] = int32(orders), int32(refunds)
		}
	}
	if d.err != nil {
		return p
	}
	p.orders.on = d.days(orders)
	p.orders.base = d.amounts(orders)
	p.orders.noRate = d.flags(orders)
	p.orders.zero = d.flags(orders)
	d.voidDays(&p.orders)
	for _, column := range []*dimension{&p.orders.channel, &p.orders.owner, &p.orders.city} {
		d.dimension(column, words, orders)
	}
	d.connections(&p.orders.connection, orders)

	p.refunds.on = d.days(refunds)
	p.refunds.base = d.amounts(refunds)
	p.refunds.order = make([]int32, refunds)
	for c := range p.ids() {
		first, end := p.ordersOf(c)
		from, to := p.refundsOf(c)
		for i := from; i < to; i++ {
			order := d.unsigned()
			d.check(order <= uint64(end-first), "a refund of no order")
			p.refunds.order[i] = -1
			if order > 0 {
				p.refunds.order[i] = int32(first + int(order) - 1)
			}
		}
	}
	p.refunds.empty = d.flags(refunds)
	p.refunds.noRate = d.flags(refunds)
	p.refunds.unknown = d.flags(refunds)
	d.connections(&p.refunds.connection, refunds)

	for range d.count(2) {
		n := negativeOrders{customer.ID(d.signed()), int(d.unsigned() & math.MaxInt32)}
		d.check(partOf(n.customer) == p.key, "negative orders of another part")
		p.negative = append(p.negative, n)
	}
	d.check(!p.isEmpty(), "an empty part")
	if d.err == nil {
		p.sumUp()
		d.check(p.money <= math.MaxInt64, "too much money")
	}
	return p
}

// encoder writes numbers one after the other.
type encoder struct{ data []byte }

func newEncoder(kind string) *encoder {
	return &encoder{data: append([]byte(kind), 0, 0, 0, 0)}
}

func (e *encoder) blob() []byte {
	binary.LittleEndian.PutUint32(e.data[4:], crc32.Checksum(e.data[blobHeader:], castagnoli))
	return slices.Clip(e.data)
}

func (e *encoder) unsigned(n uint64) { e.data = binary.AppendUvarint(e.data, n) }
func (e *encoder) signed(n int64)    { e.data = binary.AppendVarint(e.data, n) }
func (e *encoder) count(n int)       { e.unsigned(uint64(n)) }

func (e *encoder) text(s string) {
	e.count(len(s))
	e.data = append(e.data, s...)
}

// days writes differences: a customer's orders follow each other by day.
func (e *encoder) days(days []entity.Date) {
	last := entity.Date(0)
	for _, day := range days {
		e.signed(int64(day) - int64(last))
		last = day
	}
}

func (e *encoder) amounts(amounts []int64) {
	for _, amount := range amounts {
		e.unsigned(uint64(amount))
	}
}

// flags writes the places of the few that are set.
func (e *encoder) flags(flags []bool) {
	set := 0
	for _, flag := range flags {
		if flag {
			set++
		}
	}
	e.count(set)
	last := 0
	for i, flag := range flags {
		if flag {
			e.count(i - last)
			last = i
		}
	}
}

func (e *encoder) voidDays(columns *orderColumns) {
	var void []bool
	for i, day := range columns.voidOn {
		mark(&void, i, len(columns.voidOn), day != never)
	}
	e.flags(void)
	for i, is := range void {
		if is {
			e.signed(int64(columns.voidOn[i]) - int64(columns.on[i]))
		}
	}
}

// codes writes nothing where there is no choice.
func (e *encoder) codes(codes []uint32, words int) {
	if words < 2 {
		return
	}
	for _, code := range codes {
		e.unsigned(uint64(code))
	}
}

func (e *encoder) connections(c *connections) {
	e.count(len(c.words))
	for _, id := range c.words {
		e.signed(int64(id))
	}
	e.codes(c.codes, len(c.words))
}

// decoder reads what an encoder wrote. After the first failure it reads zeros. No count is believed that the bytes left
// cannot hold, so damaged data cannot make it ask for much memory.
type decoder struct {
	data []byte
	err  error
}

func newDecoder(kind string, blob []byte) (*decoder, error) {
	switch {
	case len(blob) < blobHeader || string(blob[:3]) != kind[:3]:
		return nil, fmt.Errorf("not of this kind: %w", ErrBlob)
	case string(blob[:4]) != kind:
		return nil, fmt.Errorf("written by another version: %w", ErrBlob)
	case binary.LittleEndian.Uint32(blob[4:]) != crc32.Checksum(blob[blobHeader:], castagnoli):
		return nil, fmt.Errorf("the checksum is wrong: %w", ErrBlob)
	}
	return &decoder{data: blob[blobHeader:]}, nil
}

func (d *decoder) fail(reason string) {
	if d.err == nil {
		d.err = fmt.Errorf("damaged, %s: %w", reason, ErrBlob)
		d.data = nil
	}
}

func (d *decoder) check(holds bool, otherwise string) {
	if !holds {
		d.fail(otherwise)
	}
}

func (d *decoder) unsigned() uint64 {
	if len(d.data) > 0 && d.data[0] < 0x80 {
		n := d.data[0]
		d.data = d.data[1:]
		return uint64(n)
	}
	n, length := binary.Uvarint(d.data)
	if length <= 0 {
		d.fail("cut off")
		return 0
	}
	d.data = d.data[length:]
	return n
}

func (d *decoder) signed() int64 {
	n := d.unsigned()
	return int64(n>>1) ^ -int64(n&1)
}

// count reads how many things follow that take at least so many bytes each.
func (d *decoder) count(bytes int) int {
	n := d.unsigned()
	if n > uint64(len(d.data)/bytes) {
		d.fail("a count beyond the end")
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.count(1)
	s := string(d.data[:n])
	d.data = d.data[n:]
	return s
}

func (d *decoder) days(n int) []entity.Date {
	days := make([]entity.Date, n)
	last := int64(0)
	for i := range days {
		last += d.signed()
		d.check(math.MinInt32 <= last && last < math.MaxInt32, "a day out of range")
		days[i] = entity.Date(last)
	}
	return days
}

func (d *decoder) amounts(n int) []int64 {
	amounts := make([]int64, n)
	for i := range amounts {
		amounts[i] = int64(d.unsigned())
		d.check(amounts[i] >= 0, "a negative amount")
	}
	return amounts
}

func (d *decoder) flags(n int) []bool {
	set := d.count(1)
	if set == 0 {
		return nil
	}
	flags := make([]bool, n)
	place := uint64(0)
	for i := range set {
		step := d.unsigned()
		d.check((step > 0 || i == 0) && step < uint64(n) && place+step < uint64(n), "a flag of no row")
		if d.err != nil {
			return nil
		}
		place += step
		flags[place] = true
	}
	return flags
}

func (d *decoder) voidDays(columns *orderColumns) {
	n := len(columns.on)
	for i, is := range d.flags(n) {
		if !is {
			continue
		}
		day := int64(columns.on[i]) + d.signed()
		d.check(math.MinInt32 <= day && day < math.MaxInt32, "a day out of range")
		if columns.voidOn == nil {
			columns.voidOn = slices.Repeat([]entity.Date{never}, n)
		}
		columns.voidOn[i] = entity.Date(day)
	}
}

func (d *decoder) dimension(column *dimension, words []string, n int) {
	count := d.count(1)
	if count == 0 {
		return
	}
	column.words = make([]string, count)
	for i := range column.words {
		place := d.unsigned()
		d.check(place < uint64(len(words)), "a word that is not there")
		if d.err != nil {
			return
		}
		column.words[i] = words[place]
		d.check(i == 0 || column.words[i-1] < column.words[i], "words out of order")
	}
	column.codes = d.codes(n, count)
}

func (d *decoder) connections(column *connections, n int) {
	count := d.count(1)
	if count == 0 {
		return
	}
	column.words = make([]store.ConnectionID, count)
	for i := range column.words {
		column.words[i] = store.ConnectionID(d.signed())
		d.check(i == 0 || column.words[i-1] < column.words[i], "connections out of order")
	}
	column.codes = d.codes(n, count)
}

func (d *decoder) codes(n, words int) []uint32 {
	codes := make([]uint32, n)
	if words < 2 {
		return codes
	}
	for i := range codes {
		code := d.unsigned()
		d.check(code < uint64(words), "a code of no word")
		codes[i] = uint32(code)
	}
	return codes
}
