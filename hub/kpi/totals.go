package kpi

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
)

// Totals are the counts and sums behind the figures of a query. Replace keeps them up to date at the cost of what
// changed. They are used by one goroutine at a time.
type Totals struct {
	query    Query
	currency string
	tally    tally
}

// Totals computes the counts and sums of a query over the whole ledger.
func (l *Ledger) Totals(q Query) *Totals {
	return &Totals{query: q, currency: l.currency, tally: *l.tallies([]Query{q})[0]}
}

// Query returns what the totals are of.
func (t *Totals) Query() Query { return t.query }

// Replace takes out what some ids contributed in one ledger and adds what they do in another. It touches no other
// customer's rows. ids must name everybody whose rows differ, nobody's ids included; those that do not differ or are
// named twice do no harm.
//
// The concentration figures top1_share, top5_share, top10_share, hhi and effective_customers are relative to all
// customers: they stay as Ledger.Totals computed them.
func (t *Totals) Replace(before, after *Ledger, ids []customer.ID) {
	s := spansOf(t.query)
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	out, in := before.tallyOf(ids, &s), after.tallyOf(ids, &s)
	t.tally.merge(&out.sums, -1)
	t.tally.merge(&in.sums, 1)
}

// Figures turns the totals into figures, as Ledger.Figures does.
func (t *Totals) Figures() []Figure { return t.tally.catalogued(t.query, t.currency) }

// FiguresAt computes the figures of several queries in one pass over the ledger: element i is Figures(queries[i]).
func (l *Ledger) FiguresAt(queries []Query) [][]Figure {
	figures := make([][]Figure, len(queries))
	for i, t := range l.tallies(queries) {
		figures[i] = t.catalogued(queries[i], l.currency)
	}
	return figures
}

// catalogued are the figures in the order of the catalogue.
func (t *tally) catalogued(q Query, currency string) []Figure {
	values := t.figures(q, currency)
	figures := make([]Figure, 0, len(catalogue))
	for _, entry := range catalogue {
		figure, ok := values[entry.ID]
		if !ok {
			panic(fmt.Sprintf("kpi: no value for the figure %s", entry.ID)) // a mistake in this package; tests see it
		}
		figure.ID, figure.Unit, figure.Complete = entry.ID, entry.Unit, q.To <= q.AsOf
		figures = append(figures, figure)
	}
	return figures
}

// tallies counts for several queries at once: a part's columns stay in the processor's cache for all of them.
func (l *Ledger) tallies(queries []Query) []*tally {
	spans := make([]spans, len(queries))
	for i, q := range queries {
		spans[i] = spansOf(q)
	}
	parts := l.parts()
	workers := workersFor(len(parts), passBlock)
	byWorker := make([][]tally, workers)
	for i := range byWorker {
		byWorker[i] = make([]tally, len(queries))
	}
	inParallel(len(parts), workers, passBlock, func(worker, from, to int) {
		for _, p := range parts[from:to] {
			for q := range spans {
				for c := range p.ids() {
					byWorker[worker][q].add(p, c, &spans[q])
				}
			}
		}
	})
	all := make([]*tally, len(queries))
	for q := range queries {
		all[q] = &byWorker[0][q]
		for _, other := range byWorker[1:] {
			all[q].merge(&other[q].sums, 1)
			all[q].years = append(all[q].years, other[q].years...)
		}
		all[q].concentration, all[q].years = concentrate(all[q].years), nil
	}
	return all
}

// tallyOf counts some ids alone.
func (l *Ledger) tallyOf(ids []customer.ID, s *spans) *tally {
	t := &tally{}
	for _, id := range ids {
		if p, c, ok := l.find(id); ok {
			t.add(p, c, s)
		}
	}
	return t
}

// merge adds other sums, or with the sign -1 takes them out. It finds the numbers by reflection, so that none added
// later can be forgotten; it runs a few times per pass, not per customer.
func (s *sums) merge(other *sums, sign int64) {
	mergeNumbers(reflect.ValueOf(s).Elem(), reflect.ValueOf(other).Elem(), sign)
}

func mergeNumbers(into, from reflect.Value, sign int64) {
	switch into.Kind() {
	case reflect.Int64:
		// Fields that are not exported cannot be set by reflection other than through their address.
		*(*int64)(into.Addr().UnsafePointer()) += sign * from.Int()
	case reflect.Struct:
		for i := range into.NumField() {
			mergeNumbers(into.Field(i), from.Field(i), sign)
		}
	case reflect.Array:
		for i := range into.Len() {
			mergeNumbers(into.Index(i), from.Index(i), sign)
		}
	default:
		panic(fmt.Sprintf("kpi: a sum of kind %s cannot be merged", into.Kind()))
	}
}

// FactsOf computes the facts of some customers as of a day, with an activity window in days (0 means DefaultWindow);
// nil ids are all customers. Cost follows the number of ids. Relative fields (YearAbove, R, F, M, Group) and Ranked are
// the frozen ones; a customer without a valid order, or whom frozen does not know, has none. frozen may be nil.
func (l *Ledger) FactsOf(asOf entity.Date, window int, ids []customer.ID, frozen *Scores) *Facts {
	facts := l.absoluteFacts(asOf, window, ids)
	if frozen == nil {
		frozen = &Scores{}
	}
	facts.Ranked = frozen.Ranked
	facts.eachRanked(func(row *Fact) {
		if score, known := frozen.Of(row.Customer); known {
			row.YearAbove, row.R, row.F, row.M, row.Group = score.YearAbove, score.R, score.F, score.M, score.Group
		}
	})
	return facts
}

// absoluteFacts leaves the relative fields and Ranked empty.
func (l *Ledger) absoluteFacts(asOf entity.Date, window int, ids []customer.ID) *Facts {
	window = Query{Window: window}.window()
	facts := &Facts{AsOf: asOf, Window: window, Currency: l.currency}
	if ids != nil {
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			if p, c, ok := l.find(id); ok && !p.nobody() {
				facts.Rows = append(facts.Rows, p.fact(c, asOf, window))
			}
		}
		return facts
	}
	parts := l.parts()
	first := make([]int, len(parts)+1)
	for i, p := range parts {
		first[i+1] = first[i] + len(p.customers)
	}
	facts.Rows = make([]Fact, first[len(parts)])
	inParallel(len(parts), workersFor(len(parts), passBlock), passBlock, func(_, from, to int) {
		for i := from; i < to; i++ {
			for c := range parts[i].customers {
				facts.Rows[first[i]+c] = parts[i].fact(c, asOf, window)
			}
		}
	})
	return facts
}
