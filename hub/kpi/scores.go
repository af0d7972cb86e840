package kpi

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
)

// Scores are what facts say about customers relative to all others. They are computed once per local day and frozen.
// They do not change and may be read by many goroutines.
type Scores struct {
	AsOf entity.Date
	// Window is the activity window W in days.
	Window int
	// Ranked is the number of customers with a valid order: the base of ranks and scores.
	Ranked int
	rows   []scoreRow // ascending by customer
}

// Score is one customer's part of Scores; see Fact.
type Score struct {
	YearAbove int32
	R, F, M   uint8
	Group     Group
}

type scoreRow struct {
	customer customer.ID
	Score
}

// Scores returns the relative fields of all customers that have them.
func (f *Facts) Scores() *Scores {
	s := &Scores{AsOf: f.AsOf, Window: f.Window, Ranked: f.Ranked, rows: make([]scoreRow, 0, len(f.Rows))}
	f.eachScored(func(row *Fact) {
		s.rows = append(s.rows, scoreRow{row.Customer, Score{row.YearAbove, row.R, row.F, row.M, row.Group}})
	})
	return s
}

// Of returns a customer's scores. It reports false when there are none.
func (s *Scores) Of(id customer.ID) (Score, bool) {
	i, found := slices.BinarySearchFunc(s.rows, id, compareScoreRow)
	if !found {
		return Score{}, false
	}
	return s.rows[i].Score, true
}

func compareScoreRow(row scoreRow, id customer.ID) int {
	switch {
	case row.customer < id:
		return -1
	case row.customer > id:
		return 1
	}
	return 0
}

// Chunks returns the chunks that hold customers, ascending.
func (s *Scores) Chunks() []int64 {
	var numbers []int64
	for i := range s.rows {
		if number := ChunkOf(s.rows[i].customer); len(numbers) == 0 || numbers[len(numbers)-1] != number {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// Encode returns the scores of one chunk's customers in their stored form; nil when there are none.
func (s *Scores) Encode(chunk int64) []byte {
	from := sort.Search(len(s.rows), func(i int) bool { return ChunkOf(s.rows[i].customer) >= chunk })
	n := while(s.rows[from:], func(row *scoreRow) bool { return ChunkOf(row.customer) == chunk })
	if n == 0 {
		return nil
	}
	e := newEncoder(scoresBlob)
	e.signed(int64(s.AsOf))
	e.count(s.Window)
	e.count(s.Ranked)
	e.signed(chunk)
	e.count(n)
	last := customer.ID(chunk << chunkBits)
	for _, row := range s.rows[from : from+n] {
		e.unsigned(uint64(row.customer - last))
		last = row.customer
		e.count(int(row.YearAbove))
		e.count(scoreBase*scoreBase*int(row.R-1) + scoreBase*int(row.F-1) + int(row.M-1))
		e.count(int(row.Group))
	}
	return e.blob()
}

// scoreBase is how many values each of R, F and M has.
const scoreBase = 5

// DecodeScores makes scores of all chunks' blobs, in any order. No blobs are the scores of no customers, whose AsOf and
// Window are not known. It fails with ErrBlob, also when the blobs are not all of one computation.
func DecodeScores(blobs [][]byte) (*Scores, error) {
	all := make([]*Scores, len(blobs))
	err := eachBlob(blobs, func(i int, _ *interned) (err error) {
		all[i], err = decodeScores(blobs[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return &Scores{}, nil
	}
	slices.SortFunc(all, func(x, y *Scores) int { return cmp.Compare(x.rows[0].customer, y.rows[0].customer) })
	s := &Scores{AsOf: all[0].AsOf, Window: all[0].Window, Ranked: all[0].Ranked}
	n := 0
	for _, one := range all {
		n += len(one.rows)
	}
	s.rows = make([]scoreRow, 0, n)
	for i, one := range all {
		if one.AsOf != s.AsOf || one.Window != s.Window || one.Ranked != s.Ranked {
			return nil, fmt.Errorf("scores of several days or windows: %w", ErrBlob)
		}
		if i > 0 && s.rows[len(s.rows)-1].customer >= one.rows[0].customer {
			return nil, fmt.Errorf("a chunk of scores is there twice: %w", ErrBlob)
		}
		s.rows = append(s.rows, one.rows...)
	}
	return s, nil
}

func decodeScores(blob []byte) (*Scores, error) {
	d, err := newDecoder(scoresBlob, blob)
	if err != nil {
		return nil, err
	}
	asOf, window, ranked := d.signed(), d.unsigned(), d.unsigned()
	d.check(math.MinInt32 <= asOf && asOf <= math.MaxInt32 && window <= MaxWindow && ranked <= math.MaxInt32, "a number out of range")
	s := &Scores{AsOf: entity.Date(asOf), Window: int(window), Ranked: int(ranked)}
	chunk := d.signed()
	n := d.count(4)
	d.check(n > 0, "no customers")
	s.rows = make([]scoreRow, 0, n)
	last := customer.ID(chunk << chunkBits)
	for i := 0; i < n && d.err == nil; i++ {
		step, above, scores, group := d.unsigned(), d.unsigned(), d.unsigned(), d.unsigned()
		d.check(step < 1<<chunkBits && (step > 0 || i == 0), "customers out of order")
		last += customer.ID(step)
		d.check(last > 0 && ChunkOf(last) == chunk, "a customer of another chunk")
		d.check(above <= math.MaxInt32 && scores < scoreBase*scoreBase*scoreBase && 0 < group && group < uint64(len(groupIDs)), "a score out of range")
		s.rows = append(s.rows, scoreRow{last, Score{
			YearAbove: int32(above), Group: Group(group),
			R: uint8(scores/(scoreBase*scoreBase)) + 1, F: uint8(scores/scoreBase%scoreBase) + 1, M: uint8(scores%scoreBase) + 1,
		}})
	}
	d.check(len(d.data) == 0, "something after the end")
	return s, d.err
}
