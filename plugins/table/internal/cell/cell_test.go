package cell_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/plugins/table/internal/cell"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

func TestDates(t *testing.T) {
	for _, test := range []struct {
		formats []string
		text    string
		want    string // "day" or "day moment", or an error's text
	}{
		{nil, "2024-03-05", "2024-03-05"},
		{nil, "2024-03-05 09:07", "2024-03-05 2024-03-05T06:07:00Z"},
		{nil, "2024-03-05 09:07:08", "2024-03-05 2024-03-05T06:07:08Z"},
		{nil, "2024-03-05T09:07:08", "2024-03-05 2024-03-05T06:07:08Z"},
		{nil, "2024-03-05 09:07:08.5", "2024-03-05 2024-03-05T06:07:08.5Z"},
		{nil, "2024-03-05T22:30:00Z", "2024-03-06 2024-03-05T22:30:00Z"},
		{nil, "2024-03-05T01:30:00+05:00", "2024-03-04 2024-03-04T20:30:00Z"},
		{nil, "05.03.2024", cell.ErrDate.Error()},
		{nil, "2024-02-30", cell.ErrDate.Error()},
		{nil, "2024-3-5", cell.ErrDate.Error()},
		{nil, "", cell.ErrDate.Error()},
		{nil, "0001-01-01", "none"},
		{nil, "1899-12-31", cell.ErrDateRange.Error()},
		{nil, "2201-01-01", cell.ErrDateRange.Error()},
		{[]string{"DD.MM.YYYY"}, "05.03.2024", "2024-03-05"},
		{[]string{"DD.MM.YYYY"}, "5.3.2024", cell.ErrDate.Error()},
		{[]string{"D.M.YYYY"}, "5.3.2024", "2024-03-05"},
		{[]string{"DD.MM.YYYY"}, "2024-03-05", cell.ErrDate.Error()},
		{[]string{"YYYYMMDD"}, "19970112", "1997-01-12"},
		{[]string{"DD.MM.YYYY H:mm:ss"}, "05.03.2024 9:07:08", "2024-03-05 2024-03-05T06:07:08Z"},
		{[]string{"DD.MM.YYYY H:mm:ss"}, "01.01.0001 0:00:00", "none"},
		{[]string{"DD.MM.YYYY HH:mm"}, "05.03.2024 24:00", cell.ErrDate.Error()},
		{[]string{"DD/MM/YY"}, "05/03/24", "2024-03-05"},
		{[]string{"YYYY-MM-DDTHH:mm:ssZ"}, "2024-03-05T09:07:08+03:00", "2024-03-05 2024-03-05T06:07:08Z"},
		{[]string{"DD.MM.YYYY", "MM.DD.YYYY"}, "05.03.2024", cell.ErrDateAmbiguous.Error()},
		{[]string{"DD.MM.YYYY", "MM.DD.YYYY"}, "25.03.2024", "2024-03-25"},
		{[]string{"DD.MM.YYYY", "MM.DD.YYYY"}, "03.03.2024", "2024-03-03"},
		{[]string{"unix"}, "1709622428", "2024-03-05 2024-03-05T07:07:08Z"},
		{[]string{"unix_ms"}, "1709622428000", "2024-03-05 2024-03-05T07:07:08Z"},
		{[]string{"unix"}, "-5", cell.ErrDate.Error()},
	} {
		t.Run(fmt.Sprint(test.formats, " ", test.text), func(t *testing.T) {
			dates, err := cell.NewDates(test.formats, zone(t, "Europe/Moscow"))
			require.NoError(t, err)
			for range 2 { // the second time from memory
				when, err := dates.Parse(test.text)
				got := when.Day.String()
				switch {
				case err != nil:
					got = err.Error()
				case when.IsZero():
					got = "none"
				case when.HasTime():
					got += " " + when.At.Format(time.RFC3339Nano)
				}
				assert.Equal(t, test.want, got)
			}
		})
	}
}

// TestMidnightThatDoesNotExist: the day is the one written, whatever the clock change makes of the time.
func TestMidnightThatDoesNotExist(t *testing.T) {
	dates, err := cell.NewDates(nil, zone(t, "America/Sao_Paulo"))
	require.NoError(t, err)
	when, err := dates.Parse("2018-11-04 00:30")
	require.NoError(t, err)
	assert.Equal(t, "2018-11-04", when.Day.String())
}

func TestDateFormatFaults(t *testing.T) {
	for format, message := range map[string]string{
		"":                 "year, month and day",
		"DD.MM":            "year, month and day",
		"DD.MM.YYYY HH:MM": "twice",
		"dd.MM.YYYY":       "unknown part",
		"DD MMM YYYY":      "twice",
		"YYYY-MM-DD HH":    "hours and minutes",
		"YYYY-MM-DD Z":     "hours and minutes",
		"2006-01-02":       "unknown part",
	} {
		_, err := cell.ParseDateFormat(format)
		require.ErrorContains(t, err, message, format)
	}
}

// TestDateRoundTrip: every day written in a format reads back as that day.
func TestDateRoundTrip(t *testing.T) {
	formats := map[string]string{"YYYY-MM-DD": "2006-01-02", "D.M.YYYY": "2.1.2006", "DD.MM.YYYY": "02.01.2006", "YYYYMMDD": "20060102"}
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]string{"YYYY-MM-DD", "D.M.YYYY", "DD.MM.YYYY", "YYYYMMDD"}).Draw(t, "format")
		day := time.Date(1900, 1, 1+rapid.IntRange(0, 300*365).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		dates, err := cell.NewDates([]string{format}, time.UTC)
		require.NoError(t, err)
		when, err := dates.Parse(day.Format(formats[format]))
		require.NoError(t, err)
		require.Equal(t, day.Format("2006-01-02"), when.Day.String())
		require.False(t, when.HasTime())
	})
}

func FuzzDates(f *testing.F) {
	for _, seed := range []string{"2024-03-05", "05.03.2024 9:07:08", "2024-03-05T22:30:00Z", "1709622428", "0001-01-01"} {
		f.Add(seed, "DD.MM.YYYY H:mm:ss")
	}
	f.Add("5/3/24", "D/M/YY")
	f.Fuzz(func(t *testing.T, text, format string) {
		dates, err := cell.NewDates([]string{format, "RFC3339", "unix"}, time.UTC)
		if err != nil {
			return
		}
		when, err := dates.Parse(text)
		if err != nil || when.IsZero() {
			return
		}
		year, _, _ := when.Day.Calendar()
		require.True(t, year >= 1900 && year <= 2200)
		if when.HasTime() {
			require.Equal(t, when.Day.String(), when.At.Format("2006-01-02"))
		}
	})
}

func TestNumbers(t *testing.T) {
	for _, test := range []struct {
		decimal, thousands, text, want string
	}{
		{"", "", "1234.50", "1234.50"},
		{".", "", "-3", "-3"},
		{".", "", "+3", "3"},
		{".", "", ".5", "0.5"},
		{".", "", "007", "007"},
		{".", "", "1,5", ""},
		{".", "", "1 234", ""},
		{".", "", "", ""},
		{".", "", "-", ""},
		{".", "", "5.", ""},
		{".", "", "1.2.3", ""},
		{".", "", "1e3", ""},
		{".", "", "NaN", ""},
		{".", "", "--1", ""},
		{".", "", "١", ""},
		{".", "", "10 ₽", ""},
		{",", "", "1234,50", "1234.50"},
		{",", "", "1234.50", ""},
		{",", "", ",5", "0.5"},
		{",", "", "-0,01", "-0.01"},
		{",", "space", "1 234 567,89", "1234567.89"},
		{",", "space", "1\u00a0234,5", "1234.5"},
		{",", "space", "1\u202f234", "1234"},
		{",", "space", "12 34", ""},
		{",", "space", "1 2345", ""},
		{",", "space", " 234", ""},
		{",", "space", "1234 567", ""},
		{",", "space", "-12 345,00", "-12345.00"},
		{",", "space", "1 234\u00a0567", ""},
		{",", ".", "1.234.567,8", "1234567.8"},
		{".", ",", "1,234.5", "1234.5"},
		{".", "'", "1'234", "1234"},
	} {
		t.Run(fmt.Sprint(test.decimal, test.thousands, " ", test.text), func(t *testing.T) {
			numbers, err := cell.NewNumbers(test.decimal, test.thousands)
			require.NoError(t, err)
			got, err := numbers.Plain(test.text)
			if test.want == "" {
				require.ErrorIs(t, err, cell.ErrNumber)
			}
			assert.Equal(t, test.want, got)
		})
	}
	for _, bad := range [][2]string{{";", ""}, {",", ","}, {".", "."}, {".", "_"}} {
		_, err := cell.NewNumbers(bad[0], bad[1])
		require.Error(t, err)
	}
}

func FuzzNumbers(f *testing.F) {
	f.Add("1 234,50", ",", "space")
	f.Add("-1.5", ".", "")
	f.Fuzz(func(t *testing.T, text, decimal, thousands string) {
		numbers, err := cell.NewNumbers(decimal, thousands)
		if err != nil {
			return
		}
		plain, err := numbers.Plain(text)
		if err != nil {
			return
		}
		require.Regexp(t, `^-?[0-9]+(\.[0-9]+)?$`, plain)
		point, err := cell.NewNumbers(".", "")
		require.NoError(t, err)
		again, err := point.Plain(plain)
		require.NoError(t, err)
		require.Equal(t, plain, again)
	})
}
