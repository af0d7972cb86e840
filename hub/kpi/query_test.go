package kpi_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/kpi"
)

func TestResolve(t *testing.T) {
	today := date(t, "1998-02-10")
	for _, c := range []struct {
		name           string
		request        kpi.Request
		asOf, from, to string
		window         int
	}{
		{"nothing", kpi.Request{}, "1998-02-10", "1998-02-01", "1998-02-28", 90},
		{"as-of alone", kpi.Request{AsOf: "1997-12-15", Window: 60}, "1997-12-15", "1997-12-01", "1997-12-31", 60},
		{"a period over", kpi.Request{Period: "1997-Q4"}, "1997-12-31", "1997-10-01", "1997-12-31", 90},
		{"a period not over", kpi.Request{Period: "1998"}, "1998-02-10", "1998-01-01", "1998-12-31", 90},
		{"a period seen later", kpi.Request{Period: "1997-11", AsOf: "1998-01-05"}, "1998-01-05", "1997-11-01", "1997-11-30", 90},
		{"a leap month", kpi.Request{Period: "1996-02"}, "1996-02-29", "1996-02-01", "1996-02-29", 90},
		{"small q", kpi.Request{Period: "1997-q1"}, "1997-03-31", "1997-01-01", "1997-03-31", 90},
		{"from and to", kpi.Request{From: "1997-05-05", To: "1997-05-09"}, "1997-05-09", "1997-05-05", "1997-05-09", 90},
		{"to after today", kpi.Request{From: "1998-02-05", To: "1998-02-20"}, "1998-02-10", "1998-02-05", "1998-02-20", 90},
		{"from alone", kpi.Request{From: "1998-01-20"}, "1998-02-10", "1998-01-20", "1998-02-10", 90},
		{"from and as-of", kpi.Request{From: "1998-01-20", AsOf: "1998-01-31"}, "1998-01-31", "1998-01-20", "1998-01-31", 90},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.request.Today = today
			q, err := kpi.Resolve(c.request)
			require.NoError(t, err)
			require.Equal(t, kpi.Query{AsOf: date(t, c.asOf), From: date(t, c.from), To: date(t, c.to), Window: c.window}, q)
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, c := range []struct {
		request kpi.Request
		field   string
	}{
		{kpi.Request{AsOf: "31.12.1997"}, "as_of"},
		{kpi.Request{From: "1997-02-30"}, "from"},
		{kpi.Request{From: "1997-02-01", To: "soon"}, "to"},
		{kpi.Request{To: "1997-02-01"}, "to"},
		{kpi.Request{From: "1997-02-02", To: "1997-02-01"}, "from"},
		{kpi.Request{From: "1998-03-01", To: "1998-03-05"}, "from"},
		{kpi.Request{Period: "1998-Q2"}, "from"},
		{kpi.Request{Period: "1997", From: "1997-02-01"}, "period"},
		{kpi.Request{Period: "1997-Q5"}, "period"},
		{kpi.Request{Period: "1997-13"}, "period"},
		{kpi.Request{Period: "1997-1"}, "period"},
		{kpi.Request{Period: "97"}, "period"},
		{kpi.Request{Period: "1997-"}, "period"},
		{kpi.Request{Period: "-997"}, "period"},
		{kpi.Request{Window: -1}, "window"},
		{kpi.Request{Window: 36501}, "window"},
	} {
		c.request.Today = date(t, "1998-02-10")
		_, err := kpi.Resolve(c.request)
		var problem *kpi.RequestError
		require.ErrorAs(t, err, &problem, "%+v", c.request)
		require.Equal(t, c.field, problem.Field, "%+v", c.request)
	}
}

func TestPreviousLike(t *testing.T) {
	for _, c := range [][4]string{
		{"1997-03-01", "1997-03-31", "1997-02-01", "1997-02-28"},
		{"1997-01-01", "1997-01-31", "1996-12-01", "1996-12-31"},
		{"1997-01-01", "1997-03-31", "1996-10-01", "1996-12-31"},
		{"1997-04-01", "1997-06-30", "1997-01-01", "1997-03-31"},
		{"1997-01-01", "1997-12-31", "1996-01-01", "1996-12-31"},
		{"1997-03-02", "1997-03-31", "1997-01-31", "1997-03-01"},
		{"1997-02-01", "1997-04-30", "1996-11-04", "1997-01-31"},
		{"1997-03-01", "1997-03-01", "1997-02-28", "1997-02-28"},
	} {
		from, to := kpi.PreviousLike(date(t, c[0]), date(t, c[1]))
		require.Equal(t, [2]string{c[2], c[3]}, [2]string{from.String(), to.String()}, "before %s to %s", c[0], c[1])
	}
}

func TestParsedPeriodsJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := entity.Date(rapid.Int32Range(-200000, 800000).Draw(t, "day"))
		year, month, _ := day.Calendar()
		for _, form := range []string{
			day.String()[:4], day.String()[:4] + "-Q" + string(rune('1'+(int(month)-1)/3)), day.String()[:7],
		} {
			from, to, err := kpi.ParsePeriod(form)
			require.NoError(t, err)
			require.True(t, from <= day && day <= to, "%s holds %s (%d)", form, day, year)
			before, last := kpi.PreviousLike(from, to)
			require.Equal(t, from-1, last)
			again, end := kpi.PreviousLike(before, last)
			require.True(t, again <= end && end == before-1)
		}
	})
}

func FuzzParsePeriod(f *testing.F) {
	for _, s := range []string{"1997", "1997-Q4", "1997-11", "1997-Q", "0000", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if from, to, err := kpi.ParsePeriod(s); err == nil && (from > to || len(s) < 4) {
			t.Fatalf("%q is %s to %s", s, from, to)
		}
	})
}
