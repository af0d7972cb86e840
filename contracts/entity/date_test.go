package entity_test

import (
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
)

// Days that the form YYYY-MM-DD can say.
var (
	firstDay = entity.NewDate(0, time.January, 1)
	lastDay  = entity.NewDate(9999, time.December, 31)
)

func TestDateKnownDays(t *testing.T) {
	require.Equal(t, entity.Date(0), entity.NewDate(1970, time.January, 1))
	require.Equal(t, entity.Date(-1), entity.NewDate(1969, time.December, 31))
	require.Equal(t, entity.Date(19782), entity.NewDate(2024, time.February, 29))
	require.Equal(t, entity.NewDate(2024, time.March, 1), entity.NewDate(2024, time.February, 30), "carried over")
	moscow := zone(t, "Europe/Moscow")
	require.Equal(t, entity.NewDate(2024, time.June, 2), entity.DateIn(time.Date(2024, time.June, 1, 21, 0, 0, 0, time.UTC), moscow))
}

func TestDateRoundTripAndOrder(t *testing.T) {
	day := rapid.Map(rapid.Int32Range(int32(firstDay), int32(lastDay)), func(n int32) entity.Date { return entity.Date(n) })
	rapid.Check(t, func(t *rapid.T) {
		d := day.Draw(t, "day")
		again, err := entity.ParseDate(d.String())
		require.NoError(t, err)
		require.Equal(t, d, again)
		require.Equal(t, d, entity.NewDate(d.Calendar()))
		require.Len(t, d.String(), 10)
		if d < lastDay {
			require.Less(t, d.String(), (d + 1).String())
			year, month, number := d.Calendar()
			require.Equal(t, d+1, entity.NewDate(year, month, number+1))
		}
	})
}

// Start is the first moment of its day: a moment earlier it is another day. Days a zone skipped whole are none.
func TestDateStart(t *testing.T) {
	zones := []string{
		"UTC", "Europe/Moscow", "America/New_York", "America/Sao_Paulo", "Africa/Cairo", "Asia/Beirut",
		"America/Havana", "Asia/Tehran", "Australia/Lord_Howe", "Pacific/Apia", "America/Asuncion",
	}
	rapid.Check(t, func(rt *rapid.T) {
		where := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		d := entity.Date(rapid.Int32Range(int32(entity.NewDate(1975, 1, 1)), int32(entity.NewDate(2037, 12, 31))).Draw(rt, "day"))
		noon := d.Start(time.UTC).Add(12 * time.Hour)
		_, offset := noon.In(where).Zone()
		if entity.DateIn(noon.Add(-time.Duration(offset)*time.Second), where) != d {
			return // skipped whole
		}
		start := d.Start(where)
		require.Equal(rt, d, entity.DateIn(start, where))
		require.Less(rt, entity.DateIn(start.Add(-time.Nanosecond), where), d)
	})
}

func TestDateStartWhereMidnightIsSkipped(t *testing.T) {
	saoPaulo := zone(t, "America/Sao_Paulo")
	start := entity.NewDate(2018, time.November, 4).Start(saoPaulo)
	require.Equal(t, "2018-11-04T01:00:00-02:00", start.Format(time.RFC3339))
}

func FuzzParseDate(f *testing.F) {
	for _, seed := range []string{"2024-02-29", "2023-02-29", "0000-01-01", "9999-12-31", "2024-6-1", "10000-01-01", "", "2024-06-01T00:00:00Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := entity.ParseDate(text)
		if err != nil {
			require.Zero(t, d)
			require.Equal(t, "not a date in the form YYYY-MM-DD", err.Error())
			return
		}
		require.Equal(t, text, d.String())
	})
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	where, err := time.LoadLocation(name)
	require.NoError(t, err)
	return where
}
