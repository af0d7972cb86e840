package kpi_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
)

func TestRFMGrid(t *testing.T) {
	rows := map[int]string{
		5: "New, Potential Loyalist, Potential Loyalist, Champions, Champions",
		4: "Promising, Potential Loyalist, Potential Loyalist, Loyal, Loyal",
		3: "About to Sleep, About to Sleep, Need Attention, Loyal, Loyal",
		2: "Hibernating, Hibernating, At Risk, At Risk, Can't Lose",
		1: "Lost, Lost, At Risk, At Risk, Can't Lose",
	}
	names := map[kpi.Group]string{
		kpi.Champions: "Champions", kpi.Loyal: "Loyal", kpi.PotentialLoyalist: "Potential Loyalist", kpi.NewCustomers: "New",
		kpi.Promising: "Promising", kpi.NeedAttention: "Need Attention", kpi.AboutToSleep: "About to Sleep",
		kpi.Hibernating: "Hibernating", kpi.AtRisk: "At Risk", kpi.CantLose: "Can't Lose", kpi.LostCustomers: "Lost",
	}
	for r, want := range rows {
		got := ""
		for fm := 1; fm <= 5; fm++ {
			if fm > 1 {
				got += ", "
			}
			group := kpi.GroupOf(r, fm, fm)
			got += names[group]
			// Half a point more of F or M rounds up.
			require.Equal(t, group, kpi.GroupOf(r, fm, max(fm-1, 1)))
		}
		require.Equal(t, want, got)
	}
}

func TestRFMScores(t *testing.T) {
	s := &shop{t: t}
	// Ten customers: customer n bought n*10 roubles n days before 31 January, the even ones twice.
	days := []string{"1997-01-30", "1997-01-29", "1997-01-28", "1997-01-27", "1997-01-26", "1997-01-25", "1997-01-24", "1997-01-23", "1997-01-22", "1997-01-21"}
	for i, on := range days {
		n := i + 1
		if n%2 == 0 {
			s.order(n, "1997-01-01", 0)
		}
		s.order(n, on, int64(n*1000))
	}
	s.refund(nil, 10, "1997-01-31", 20000) // the best M becomes the worst, below 0
	s.refund(nil, 11, "1997-01-31", 500)   // no order, no row
	s.order(12, "1997-02-01", 100)         // not yet
	facts := s.ledger().Facts(date(t, "1997-01-31"), 90)
	require.Equal(t, 10, facts.Ranked)

	type row struct{ recency, orders, r, f, m int }
	want := map[customer.ID]row{
		1: {1, 1, 5, 1, 1}, 2: {2, 2, 5, 3, 2}, 3: {3, 1, 4, 1, 2}, 4: {4, 2, 4, 3, 3}, 5: {5, 1, 3, 1, 3},
		6: {6, 2, 3, 3, 4}, 7: {7, 1, 2, 1, 4}, 8: {8, 2, 2, 3, 5}, 9: {9, 1, 1, 1, 5}, 10: {10, 2, 1, 3, 1},
	}
	got := map[customer.ID]row{}
	for _, c := range facts.RFMCustomers() {
		got[c.Customer] = row{c.RecencyDays, c.Orders, c.R, c.F, c.M}
		require.Equal(t, kpi.GroupOf(c.R, c.F, c.M).String(), c.Segment)
	}
	require.Equal(t, want, got)
	require.Equal(t, "-100.00", facts.RFMCustomers()[9].NetValue.String())

	rfm := facts.RFM()
	require.Equal(t, kpi.ScoreCounts{2, 2, 2, 2, 2}, rfm.Scores.R)
	require.Equal(t, kpi.ScoreCounts{5, 0, 5, 0, 0}, rfm.Scores.F)
	require.Equal(t, kpi.ScoreCounts{2, 2, 2, 2, 2}, rfm.Scores.M)
	form, err := json.Marshal(rfm.Scores.F)
	require.NoError(t, err)
	require.JSONEq(t, `{"1":5,"2":0,"3":5,"4":0,"5":0}`, string(form))
}
