package kpi

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// DefaultWindow is how many days after the last order a customer counts as active, unless asked otherwise.
const DefaultWindow = 90

// MaxWindow is the largest window, in days.
const MaxWindow = 36500

// yearDays is the length of the trailing year of net_value_year, concentration and yearly frequency.
const yearDays = 365

// Query says which figures to compute. Make it with Resolve, which applies the defaults and refuses what makes no
// sense.
type Query struct {
	// AsOf is the business day after whose close the figures are taken: orders and refunds dated later do not exist yet.
	AsOf entity.Date
	// From and To bound the period, both inclusive.
	From, To entity.Date
	// Window is the activity window in days; 0 means DefaultWindow.
	Window int
	// Lifespan says how long a customer stays, for clv_simple.
	Lifespan Lifespan
}

// Request is a Query as a person writes it: dates as "2006-01-02", empty where not given.
type Request struct {
	AsOf, From, To string
	// Period is "1997", "1997-Q4" or "1997-11"; it excludes From and To.
	Period string
	// Window in days; 0 means DefaultWindow.
	Window int
	// Lifespan is taken over as it is.
	Lifespan Lifespan
	// Today is the present civil day in the workspace's zone, or its pinned business date.
	Today entity.Date
}

// RequestError says which part of a Request cannot be used and why.
type RequestError struct {
	// Field is as_of, from, to, period or window.
	Field  string
	Reason string
}

func (e *RequestError) Error() string { return e.Field + ": " + e.Reason }

// Resolve applies the defaults. Without a period it is the calendar month of as-of, which is today unless given. With
// a period and no as-of, as-of is the period's last day, or today if that is earlier. A from without a to runs up to
// as-of. Errors are *RequestError.
func Resolve(r Request) (Query, error) {
	asOf, err := optionalDate("as_of", r.AsOf)
	if err != nil {
		return Query{}, err
	}
	from, err := optionalDate("from", r.From)
	if err != nil {
		return Query{}, err
	}
	to, err := optionalDate("to", r.To)
	if err != nil {
		return Query{}, err
	}
	if r.Window < 0 || r.Window > MaxWindow {
		return Query{}, &RequestError{"window", fmt.Sprintf("must be from 1 to %d days", MaxWindow)}
	}
	q := Query{Window: r.Window, Lifespan: r.Lifespan}
	if q.Window == 0 {
		q.Window = DefaultWindow
	}

	switch {
	case r.Period != "" && (from != nil || to != nil):
		return Query{}, &RequestError{"period", "give either a period or from and to, not both"}
	case r.Period != "":
		q.From, q.To, err = ParsePeriod(r.Period)
		if err != nil {
			return Query{}, &RequestError{"period", err.Error()}
		}
	case from != nil:
		q.From, q.To = *from, r.Today
		if asOf != nil {
			q.To = *asOf
		}
		if to != nil {
			q.To = *to
		}
	case to != nil:
		return Query{}, &RequestError{"to", "needs from, the first day of the period"}
	default:
		day := r.Today
		if asOf != nil {
			day = *asOf
		}
		year, month, _ := day.Calendar()
		q.From, q.To = monthOf(year, month)
		q.AsOf = day
		return q, nil
	}

	q.AsOf = min(q.To, r.Today)
	if asOf != nil {
		q.AsOf = *asOf
	}
	if q.From > q.To {
		return Query{}, &RequestError{"from", fmt.Sprintf("%s is after the period's last day, %s", q.From, q.To)}
	}
	if q.From > q.AsOf {
		return Query{}, &RequestError{"from", fmt.Sprintf("the period begins on %s, after the as-of day %s", q.From, q.AsOf)}
	}
	return q, nil
}

func optionalDate(field, text string) (*entity.Date, error) {
	if text == "" {
		return nil, nil
	}
	d, err := entity.ParseDate(text)
	if err != nil {
		return nil, &RequestError{field, err.Error()}
	}
	return &d, nil
}

// ParsePeriod reads "1997" (a year), "1997-Q4" (a quarter) or "1997-11" (a month) as its first and last day.
func ParsePeriod(s string) (from, to entity.Date, err error) {
	problem := fmt.Errorf("must be a year (1997), a quarter (1997-Q4) or a month (1997-11)")
	yearText, part, hasPart := strings.Cut(s, "-")
	year, numberErr := number(yearText, 4)
	if numberErr != nil || year < 1 {
		return 0, 0, problem
	}
	if !hasPart {
		from, to = yearOf(year)
		return from, to, nil
	}
	if quarterText, isQuarter := strings.CutPrefix(strings.ToUpper(part), "Q"); isQuarter {
		quarter, numberErr := number(quarterText, 1)
		if numberErr != nil || quarter < 1 || quarter > 4 {
			return 0, 0, problem
		}
		from, to = quarterOf(year, quarter)
		return from, to, nil
	}
	month, numberErr := number(part, 2)
	if numberErr != nil || month < 1 || month > 12 {
		return 0, 0, problem
	}
	from, to = monthOf(year, time.Month(month))
	return from, to, nil
}

// number reads exactly so many decimal digits.
func number(s string, digits int) (int, error) {
	if len(s) != digits || strings.Trim(s, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(s)
}

// PreviousLike returns the period that a period is compared with: the calendar month, quarter or year before when it
// is exactly one, else the same number of days just before it.
func PreviousLike(from, to entity.Date) (entity.Date, entity.Date) {
	year, month, _ := from.Calendar()
	quarter := (int(month)-1)/3 + 1
	if f, t := yearOf(year); f == from && t == to {
		return yearOf(year - 1)
	}
	if f, t := quarterOf(year, quarter); f == from && t == to {
		return quarterOf(year, quarter-1)
	}
	if f, t := monthOf(year, month); f == from && t == to {
		return monthOf(year, month-1)
	}
	return from - (to - from + 1), from - 1
}

func yearOf(year int) (from, to entity.Date) {
	return entity.NewDate(year, time.January, 1), entity.NewDate(year+1, time.January, 1) - 1
}

// quarterOf takes quarters out of 1..4 as those of the years beside.
func quarterOf(year, quarter int) (from, to entity.Date) {
	first := time.Month(3*quarter - 2)
	return entity.NewDate(year, first, 1), entity.NewDate(year, first+3, 1) - 1
}

// monthOf takes months out of 1..12 as those of the years beside.
func monthOf(year int, month time.Month) (from, to entity.Date) {
	return entity.NewDate(year, month, 1), entity.NewDate(year, month+1, 1) - 1
}

// window returns the activity window of lifecycle and of a customer's facts.
func (q Query) window() int {
	if q.Window <= 0 {
		return DefaultWindow
	}
	return min(q.Window, MaxWindow)
}

// WindowDays is the window of active_customers, crr, churn and their parts: never shorter than the period, because
// else customers who join and lapse within the period would go unseen.
func (q Query) WindowDays() int { return max(q.window(), int(q.To-q.From)+1) }

// end is the last day of the period that has been seen; the day before the period when none has.
func (q Query) end() entity.Date { return max(min(q.To, q.AsOf), q.From-1) }
