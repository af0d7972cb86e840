package kpi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
)

// sliceValues reads some figures of each slice; the unknown value is "?".
func sliceValues(slices []kpi.Slice, id string) map[string]string {
	read := map[string]string{}
	for _, slice := range slices {
		name := "?"
		if slice.Value != nil {
			name = *slice.Value
		}
		for _, figure := range slice.KPIs {
			if figure.ID == id {
				read[name] = figure.Value.String()
			}
		}
	}
	return read
}

func TestByChannel(t *testing.T) {
	s := &shop{t: t}
	in := func(channel, owner, city string) {
		last := &s.orders[len(s.orders)-1]
		last.Channel, last.Owner, last.City = channel, owner, city
	}
	s.order(1, "1997-01-10", 1000)
	in("search", "crm.owners/1", "")
	s.order(1, "1997-02-10", 500)
	in("shop", "crm.owners/2", "Тверь")
	s.order(2, "1997-02-11", 200)
	in("", "crm.owners/2", "")
	s.order(0, "1997-02-12", 30)
	in("search", "", "")
	ledger := s.ledger()
	q := query(t, "1997-02", "", 90)
	origins := ledger.Origins(q)
	require.Equal(t, map[customer.ID]kpi.Origin{
		1: {Channel: "search", City: "Тверь", Owner: "crm.owners/1"}, // the owner before the period
		2: {Owner: "crm.owners/2"},                                   // the first one in it
	}, origins)
	slices := ledger.By(q, func(id customer.ID) []string {
		if channel := origins[id].Channel; channel != "" {
			return []string{channel}
		}
		return nil
	})
	require.Equal(t, map[string]string{"search": "5.00", "?": "2.30"}, sliceValues(slices, "gross_revenue"))
	require.Equal(t, map[string]string{"search": "1", "?": "2"}, sliceValues(slices, "orders"))
	require.Equal(t, map[string]string{"search": "0", "?": "1"}, sliceValues(slices, "orders_without_customer"))
	require.Nil(t, slices[len(slices)-1].Value, "the unknown value comes last")
	golden(t, "testdata/sliced_empty.json", ledger.Sliced(q, kpi.ByChannel, (&shop{t: t}).ledger().By(q, nil)))
}

func TestByConnection(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-10", 1000)
	other := s.order(1, "1997-01-20", 500)
	s.orders[1].Connection, other.Connection = 2, 2
	s.refund(other, 0, "1997-01-25", 500) // read by connection 1, of an order of connection 2
	s.refund(nil, 1, "1997-01-26", 30)
	slices := s.ledger().ByConnection(query(t, "1997-01", "", 90), func(id store.ConnectionID) string {
		return map[store.ConnectionID]string{1: "crm", 2: "money"}[id]
	})
	require.Equal(t, map[string]string{"crm": "9.70", "money": "0.00"}, sliceValues(slices, "net_revenue"))
	require.Equal(t, map[string]string{"crm": "1", "money": "0"}, sliceValues(slices, "orders"))
	require.Equal(t, map[string]string{"crm": "1", "money": "0"}, sliceValues(slices, "new_buyers"))
}

func TestLoyalRevenueAndWhatLeaves(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-10", 1000)
	back := s.order(1, "1997-05-10", 700)
	s.order(2, "1997-05-01", 300) // new in the period
	s.order(2, "1997-05-02", 300)
	s.order(3, "1997-03-01", 250) // gone by the end of the period
	s.order(4, "1996-01-01", 999) // gone for long
	s.refund(back, 0, "1997-05-20", 100)
	s.refund(nil, 3, "1997-03-05", 50)
	requireFigures(t, s.ledger(), query(t, "1997-05", "", 90), map[string]string{
		"loyal_revenue": "6.00", "net_revenue": "12.00", "churned_customers": "1", "churned_value": "2.00",
		"cooperation_days": "30.25", // 120, 1, 0 and 0 days
	})
}

func TestCLVSimple(t *testing.T) {
	s := &shop{t: t}
	for c := 1; c <= 4; c++ {
		s.order(c, "1996-06-15", 5000)
	}
	s.order(1, "1997-06-01", 3000)
	s.order(1, "1997-06-02", 1000)
	s.order(2, "1997-06-03", 2000)
	q := query(t, "1997-06", "1997-06-30", 90)
	for _, c := range []struct {
		lifespan kpi.Lifespan
		value    string
		years    string
	}{
		// Trailing year: 60.00 of 3 orders of 2 buyers, so 30.00 a year. Two of four were lost: 2 years.
		{kpi.Lifespan{}, "60.00", "2"},
		{kpi.Lifespan{Method: kpi.LifespanYears, Years: 2.5}, "75.00", "2.5"},
		{kpi.Lifespan{Method: kpi.LifespanObserved}, "0.00", "0"}, // who is lost came once
	} {
		q.Lifespan = c.lifespan
		report := s.ledger().Report(q)
		require.Equal(t, c.years, report.Lifespan.Years.String())
		requireFigures(t, s.ledger(), q, map[string]string{"clv_simple": c.value})
	}
	// Nobody bought in the year before the last one, so nobody can have been lost.
	q.AsOf, q.From, q.To, q.Lifespan = date(t, "1996-06-30"), date(t, "1996-06-01"), date(t, "1996-06-30"), kpi.Lifespan{}
	requireFigures(t, s.ledger(), q, map[string]string{"clv_simple": "–"})
}
