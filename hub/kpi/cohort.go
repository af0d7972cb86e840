package kpi

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// CohortKind says what is followed through a cohort's buckets (kpi.md 2.5, 5.3).
type CohortKind string

// The kinds of cohorts.
const (
	// Classic counts who bought in the bucket.
	Classic CohortKind = "classic"
	// Unbounded counts who bought in the bucket or later, as far as as-of has seen.
	Unbounded CohortKind = "unbounded"
	// Cumulative counts who made a second order by the end of the bucket.
	Cumulative CohortKind = "cumulative"
	// LTV is the net value up to the end of the bucket, per customer of the cohort.
	LTV CohortKind = "ltv"
)

// CohortKinds are the kinds in the order they are shown.
func CohortKinds() []CohortKind { return []CohortKind{Classic, Unbounded, Cumulative, LTV} }

// rollingDays is the length of a bucket of the rolling curve.
const rollingDays = 30

// Cohorts are customers by the month of their first order. Their JSON form is fixed.
type Cohorts struct {
	AsOf     entity.Date `json:"as_of"`
	Kind     CohortKind  `json:"kind" enum:"classic,unbounded,cumulative,ltv"`
	Currency string      `json:"currency"`
	// Cohorts are ascending by month; months without new customers have none.
	Cohorts []Cohort `json:"cohorts"`
}

// Cohort is the customers of one month. Element k of the arrays is about the k-th month after it; the last one is the
// last month over at as-of, so both are empty for a month that is not over itself.
type Cohort struct {
	Month string `json:"month"` // 1997-01
	Size  int64  `json:"size"`
	// Counts are customers, or the exact net value for LTV.
	Counts []Value `json:"counts"`
	// Values are shares of Size, or the net value per customer for LTV, rounded half away from zero.
	Values []Value `json:"values"`
}

// Rolling is the curve of all customers together, in buckets of 30 days from each one's first order. Its JSON form is
// fixed.
type Rolling struct {
	AsOf       entity.Date `json:"as_of"`
	Kind       CohortKind  `json:"kind" enum:"classic,unbounded,cumulative,ltv"`
	Currency   string      `json:"currency"`
	BucketDays int         `json:"bucket_days"`
	// Buckets end with the last one that somebody has been observed through.
	Buckets []Bucket `json:"buckets"`
}

// Bucket is one step of the rolling curve, over the customers for whom as-of has seen the whole of it.
type Bucket struct {
	Bucket   int   `json:"bucket"`
	FromDay  int   `json:"from_day"` // days since the first order, both included
	ToDay    int   `json:"to_day"`
	Observed int64 `json:"observed"`
	Count    Value `json:"count"`
	Value    Value `json:"value"`
}

// buckets divides the time since a first order.
type buckets struct {
	// at is the bucket of a day on or after the first order.
	at func(first, on entity.Date) int
	// whole is how many buckets as-of has seen the end of.
	whole func(first entity.Date) int
}

func monthNumber(d entity.Date) int {
	year, month, _ := d.Calendar()
	return 12*year + int(month) - 1
}

// monthBuckets are calendar months.
func monthBuckets(asOf entity.Date) buckets {
	over := monthNumber(asOf+1) - 1 // the last month over
	return buckets{
		at:    func(first, on entity.Date) int { return monthNumber(on) - monthNumber(first) },
		whole: func(first entity.Date) int { return max(0, over-monthNumber(first)+1) },
	}
}

// dayBuckets are runs of 30 days.
func dayBuckets(asOf entity.Date) buckets {
	return buckets{
		at:    func(first, on entity.Date) int { return int(on-first) / rollingDays },
		whole: func(first entity.Date) int { return int(asOf-first+1) / rollingDays },
	}
}

// firstValid is a customer's first valid order, or -1.
func (p *part) firstValid(c int, asOf entity.Date) int {
	for i := int(p.orderFrom[c]); i < int(p.orderFrom[c+1]); i++ {
		if p.valid(i, asOf) {
			return i
		}
	}
	return -1
}

// follow computes what one customer adds to each whole bucket since their first order. It reports false without a
// valid order. The result is overwritten by the next call with the same space.
func (p *part) follow(c int, kind CohortKind, asOf entity.Date, by buckets, space []int64) (first entity.Date, values []int64, ok bool) {
	start := p.firstValid(c, asOf)
	if start < 0 {
		return 0, space, false
	}
	first = p.orders.on[start]
	n := by.whole(first)
	values = slices.Grow(space[:0], n)[:n]
	clear(values)
	if n == 0 {
		return first, values, true
	}
	if kind == LTV {
		p.eachNet(c, asOf, func(on entity.Date, amount int64) {
			// What void orders before the first valid one left behind belongs to the beginning.
			if k := by.at(first, max(on, first)); k < n {
				values[k] += amount
			}
		})
		for k := 1; k < n; k++ {
			values[k] += values[k-1]
		}
		return first, values, true
	}
	last, second, orders := 0, n, 0
	for i := start; i < int(p.orderFrom[c+1]) && p.orders.on[i] <= asOf; i++ {
		if !p.valid(i, asOf) {
			continue
		}
		orders++
		last = by.at(first, p.orders.on[i])
		if orders == 2 {
			second = last
		}
		if kind == Classic && last < n {
			values[last] = 1
		}
	}
	switch kind {
	case Unbounded:
		fill(values[:min(last+1, n)])
	case Cumulative:
		fill(values[min(second, n):])
	}
	return first, values, true
}

// followed walks over the customers with a valid order: the day of the first one and what they add to each bucket,
// which is overwritten by the next.
func (l *Ledger) followed(kind CohortKind, asOf entity.Date, by buckets) iter.Seq2[entity.Date, []int64] {
	return func(yield func(entity.Date, []int64) bool) {
		var space []int64
		for _, p := range l.parts() {
			for c := range p.customers {
				first, values, ok := p.follow(c, kind, asOf, by, space)
				space = values
				if ok && !yield(first, values) {
					return
				}
			}
		}
	}
}

func fill(values []int64) {
	for i := range values {
		values[i] = 1
	}
}

// Cohorts follows the customers of each month as of a day.
func (l *Ledger) Cohorts(kind CohortKind, asOf entity.Date) Cohorts {
	type sums struct {
		size   int64
		values []int64
	}
	byMonth := map[int]*sums{}
	by := monthBuckets(asOf)
	for first, values := range l.followed(kind, asOf, by) {
		month := byMonth[monthNumber(first)]
		if month == nil {
			month = &sums{values: make([]int64, len(values))}
			byMonth[monthNumber(first)] = month
		}
		month.size++
		for k, v := range values {
			month.values[k] += v
		}
	}
	out := Cohorts{AsOf: asOf, Kind: kind, Currency: l.currency, Cohorts: []Cohort{}}
	for _, number := range slices.Sorted(maps.Keys(byMonth)) {
		month := byMonth[number]
		cohort := Cohort{Month: monthName(number), Size: month.size, Counts: []Value{}, Values: []Value{}}
		for _, sum := range month.values {
			count, value := kind.values(sum, month.size, l.currency)
			cohort.Counts, cohort.Values = append(cohort.Counts, count), append(cohort.Values, value)
		}
		out.Cohorts = append(out.Cohorts, cohort)
	}
	return out
}

func monthName(number int) string { return fmt.Sprintf("%04d-%02d", number/12, number%12+1) }

// values writes a bucket's sum, and the sum per customer.
func (k CohortKind) values(sum, customers int64, currency string) (count, value Value) {
	if k == LTV {
		return Amount(sum, currency), AverageCheck(sum, customers, currency)
	}
	return Count(sum), share(sum, customers)
}

// Rolling follows all customers together as of a day.
func (l *Ledger) Rolling(kind CohortKind, asOf entity.Date) Rolling {
	var sums, observed []int64
	by := dayBuckets(asOf)
	for _, values := range l.followed(kind, asOf, by) {
		for k, v := range values {
			if k == len(sums) {
				sums, observed = append(sums, 0), append(observed, 0)
			}
			sums[k] += v
			observed[k]++
		}
	}
	out := Rolling{AsOf: asOf, Kind: kind, Currency: l.currency, BucketDays: rollingDays, Buckets: []Bucket{}}
	for k, sum := range sums {
		count, value := kind.values(sum, observed[k], l.currency)
		out.Buckets = append(out.Buckets, Bucket{
			Bucket: k, FromDay: k * rollingDays, ToDay: (k+1)*rollingDays - 1, Observed: observed[k], Count: count, Value: value,
		})
	}
	return out
}

// Point is a figure of one month.
type Point struct {
	Period      string `json:"period"` // 1997-01
	Value       Value  `json:"value"`
	Numerator   Value  `json:"numerator"`
	Denominator Value  `json:"denominator"`
	Complete    bool   `json:"complete"`
}

// MaxHistory is how many months a history has at most.
const MaxHistory = 120

// History computes one figure for calendar months, oldest first; the last one is the month of the query's as-of day.
// Each month is seen as of its last day, the last one as of as-of; what is known today counts for all. An id that
// the catalogue does not have, or months out of 1 to MaxHistory, are a *RequestError.
func (l *Ledger) History(id string, q Query, months int) ([]Point, error) {
	if _, known := Describe(id); !known {
		return nil, &RequestError{"id", fmt.Sprintf("there is no figure %q", id)}
	}
	if months < 1 || months > MaxHistory {
		return nil, &RequestError{"months", fmt.Sprintf("must be from 1 to %d", MaxHistory)}
	}
	year, month, _ := q.AsOf.Calendar()
	queries := make([]Query, months)
	for i := range queries {
		of := &queries[i]
		*of = q
		of.From, of.To = monthOf(year, month-time.Month(months-1-i))
		of.AsOf = min(of.To, q.AsOf)
	}
	points := make([]Point, 0, months)
	for i, figures := range l.FiguresAt(queries) {
		f := figures[slices.IndexFunc(figures, func(f Figure) bool { return f.ID == id })]
		points = append(points, Point{monthName(monthNumber(queries[i].From)), f.Value, f.Numerator, f.Denominator, f.Complete})
	}
	return points, nil
}
