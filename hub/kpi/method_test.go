package kpi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
)

func TestScoringMethods(t *testing.T) {
	s := &shop{t: t}
	for c := 1; c <= 7; c++ { // all alike but for one
		s.order(c, "1997-01-10", 1000)
	}
	s.order(7, "1997-01-20", 500)
	ledger, asOf := s.ledger(), date(t, "1997-01-31")
	frequencies := func(facts *kpi.Facts) map[customer.ID]int {
		scores := map[customer.ID]int{}
		for _, row := range facts.Rows {
			scores[row.Customer] = int(row.F)
		}
		return scores
	}

	shares := ledger.Facts(asOf, 90)
	require.Equal(t, map[customer.ID]int{1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 5}, frequencies(shares))
	require.Equal(t, "share_strictly_worse", shares.RFM().Method)

	ranks := ledger.FactsScored(asOf, 90, kpi.Scoring{Method: kpi.ScoringByRank})
	require.Equal(t, map[customer.ID]int{1: 1, 2: 1, 3: 2, 4: 2, 5: 3, 6: 4, 7: 5}, frequencies(ranks))
	require.Equal(t, ranks, shares.Rescored(kpi.Scoring{Method: kpi.ScoringByRank}))
	require.Equal(t, "ntile", ranks.RFM().Method)

	fixed := ledger.FactsScored(asOf, 90, kpi.Scoring{
		Method: kpi.ScoringByThreshold, RecencyDays: [4]int64{11, 20, 21, 90}, Orders: [4]int64{2, 3, 5, 10}, NetValue: [4]int64{1000, 1001, 1500, 1501},
	})
	require.Equal(t, "fixed", fixed.RFM().Method)
	one, seven := fixed.Of(1), fixed.Of(7)
	require.Equal(t, []uint8{3, 1, 2}, []uint8{one.R, one.F, one.M})
	require.Equal(t, []uint8{5, 2, 4}, []uint8{seven.R, seven.F, seven.M})
	require.Equal(t, kpi.GroupOf(3, 1, 2), one.Group)
	require.Equal(t, []kpi.ScoreDays{
		{Score: 5, From: kpi.Count(11), To: kpi.Count(11)},
		{Score: 4},
		{Score: 3, From: kpi.Count(21), To: kpi.Count(21)},
		{Score: 2},
		{Score: 1},
	}, fixed.RFM().RecencyDays)
}

func TestFewCustomersByRank(t *testing.T) {
	s := &shop{t: t}
	for c := 1; c <= 3; c++ {
		s.order(c, "1997-01-10", int64(1000*c))
	}
	facts := s.ledger().FactsScored(date(t, "1997-01-31"), 90, kpi.Scoring{Method: kpi.ScoringByRank})
	for i, row := range facts.Rows {
		require.Equal(t, uint8(i+1), row.M)
	}
}
