package kpi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/kpi"
)

// cohortShop has two cohorts: three customers of January, one of them with a refund, and one of February.
func cohortShop(t *testing.T) *shop {
	s := &shop{t: t}
	s.order(1, "1997-01-05", 1000)
	s.order(1, "1997-01-05", 500) // the second order on the same day
	linked := s.order(1, "1997-03-01", 700)
	s.order(2, "1997-01-31", 2000)
	s.order(2, "1997-03-31", 100)
	s.order(3, "1997-01-10", 3001)
	void := s.order(4, "1997-01-20", 400)
	s.order(4, "1997-02-28", 600) // the first one that counts
	s.order(5, "1997-04-02", 50)
	s.refund(linked, 0, "1997-04-03", 200) // March's, in LTV
	s.refund(nil, 3, "1997-02-15", 1)
	s.refund(void, 0, "1997-01-25", 400)
	return s
}

func TestCohorts(t *testing.T) {
	ledger := cohortShop(t).ledger()
	for _, c := range []struct {
		kind                  kpi.CohortKind
		asOf                  string
		january, februaryVals []string
		counts                []string
	}{
		{kpi.Classic, "1997-04-10", []string{"1", "0", "0.6666666666666666"}, []string{"1", "0"}, []string{"3", "0", "2"}},
		{kpi.Unbounded, "1997-04-10", []string{"1", "0.6666666666666666", "0.6666666666666666"}, []string{"1", "0"}, []string{"3", "2", "2"}},
		{kpi.Cumulative, "1997-04-10", []string{"0.3333333333333333", "0.3333333333333333", "0.6666666666666666"}, []string{"0", "0"}, []string{"1", "1", "2"}},
		{kpi.LTV, "1997-04-10", []string{"21.67", "21.67", "23.67"}, []string{"6.00", "6.00"}, []string{"65.01", "65.00", "71.00"}},
		// On the last day of March the month is over, the day before it is not.
		{kpi.Classic, "1997-03-31", []string{"1", "0", "0.6666666666666666"}, []string{"1", "0"}, []string{"3", "0", "2"}},
		{kpi.Classic, "1997-03-30", []string{"1", "0"}, []string{"1"}, []string{"3", "0"}},
	} {
		t.Run(string(c.kind)+" "+c.asOf, func(t *testing.T) {
			cohorts := ledger.Cohorts(c.kind, date(t, c.asOf)).Cohorts
			require.Equal(t, "1997-01", cohorts[0].Month)
			require.Equal(t, int64(3), cohorts[0].Size)
			require.Equal(t, c.january, texts(cohorts[0].Values))
			require.Equal(t, c.counts, texts(cohorts[0].Counts))
			require.Equal(t, c.februaryVals, texts(cohorts[1].Values))
			if len(cohorts) == 3 { // April is not over: a size and nothing else
				require.Equal(t, kpi.Cohort{Month: "1997-04", Size: 1, Counts: []kpi.Value{}, Values: []kpi.Value{}}, cohorts[2])
			}
		})
	}
	golden(t, "testdata/cohorts.json", ledger.Cohorts(kpi.LTV, date(t, "1997-04-10")))
	golden(t, "testdata/cohorts_empty.json", (&shop{t: t}).ledger().Cohorts(kpi.Classic, date(t, "1997-04-10")))
	golden(t, "testdata/rolling.json", ledger.Rolling(kpi.Classic, date(t, "1997-04-10")))
}

func texts(values []kpi.Value) []string {
	all := []string{}
	for _, v := range values {
		all = append(all, v.String())
	}
	return all
}

func TestRolling(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-01", 100)
	s.order(1, "1997-01-30", 100) // day 29: the first bucket
	s.order(2, "1997-01-01", 100)
	s.order(2, "1997-01-31", 100) // day 30: the second one
	s.order(3, "1997-02-01", 100) // observed through one bucket, to 2 March
	rolling := s.ledger().Rolling(kpi.Classic, date(t, "1997-03-02"))
	require.Equal(t, []kpi.Bucket{
		{Bucket: 0, FromDay: 0, ToDay: 29, Observed: 3, Count: kpi.Count(3), Value: kpi.Number(1)},
		{Bucket: 1, FromDay: 30, ToDay: 59, Observed: 2, Count: kpi.Count(1), Value: kpi.Number(0.5)},
	}, rolling.Buckets)
	require.Len(t, s.ledger().Rolling(kpi.Classic, date(t, "1997-02-28")).Buckets, 1)
}

func TestHistory(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-31", 100)
	s.order(2, "1997-02-01", 100)
	s.order(2, "1997-03-11", 100)
	q := query(t, "", "1997-03-10", 90)
	points, err := s.ledger().History("orders", q, 3)
	require.NoError(t, err)
	require.Equal(t, []kpi.Point{
		{Period: "1997-01", Value: kpi.Count(1), Complete: true},
		{Period: "1997-02", Value: kpi.Count(1), Complete: true},
		{Period: "1997-03", Value: kpi.Count(0), Complete: false},
	}, points)
	points, err = s.ledger().History("customers", q, 15)
	require.NoError(t, err)
	require.Equal(t, "1996-01", points[0].Period)
	require.Equal(t, "2", points[14].Value.String())

	for _, c := range []struct {
		id     string
		months int
		field  string
	}{{"nonsense", 3, "id"}, {"crr", 0, "months"}, {"crr", kpi.MaxHistory + 1, "months"}} {
		_, err := s.ledger().History(c.id, q, c.months)
		var request *kpi.RequestError
		require.ErrorAs(t, err, &request)
		require.Equal(t, c.field, request.Field)
	}
}
