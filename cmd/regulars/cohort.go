package main

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/regulars/regulars/hub/kpi"
)

// by prints the figures in columns, one for each value of a dimension.
func (k kpiShowCommand) by(a *app) error {
	return show(a, http.MethodGet, k.path(a.at("kpis", "by", k.By)), nil, func(answer kpi.Sliced) error {
		if err := a.printf("As of %s, period %s to %s, window %d days, money in %s, by %s\n\n",
			answer.AsOf, answer.From, answer.To, answer.WindowDays, answer.Currency, answer.By); err != nil {
			return err
		}
		head := []string{"FIGURE"}
		var rows [][]string
		for _, entry := range kpi.Catalogue() {
			if k.All || entry.Main {
				rows = append(rows, []string{entry.ID})
			}
		}
		for _, slice := range answer.Values {
			name := "(unknown)"
			if slice.Value != nil {
				name = cmp.Or(slice.Title, *slice.Value)
			}
			head = append(head, name)
			texts := map[string]string{}
			for _, figure := range slice.KPIs {
				texts[figure.ID] = valueText(figure, answer.Currency)
			}
			for i := range rows {
				rows[i] = append(rows[i], orDash(texts[rows[i][0]]))
			}
		}
		return a.table(head, rows)
	})
}

// kpiHistoryCommand computes one figure for several months.
type kpiHistoryCommand struct {
	ID     string `help:"Id of the figure." name:"id" required:"" placeholder:"ID"`
	Months int    `help:"How many months, the last one that of as-of." default:"12"`
	AsOf   string `help:"Day after whose close the last month is taken. Default: today, or the pinned business date." placeholder:"DAY"`
	Window int    `help:"Days after the last order during which a customer is active. Default: the workspace's." placeholder:"DAYS"`
}

// Run implements the command.
func (k kpiHistoryCommand) Run(a *app) error {
	path := query(a.at("kpis", "history", k.ID), "as_of", k.AsOf, "months", strconv.Itoa(k.Months), "window", strconv.Itoa(k.Window))
	return show(a, http.MethodGet, path, nil, func(points []kpi.Point) error {
		entry, _ := kpi.Describe(k.ID)
		var rows [][]string
		for _, p := range points {
			note := ""
			if !p.Complete {
				note = "not over"
			}
			rows = append(rows, []string{p.Period, valueText(kpi.Figure{Value: p.Value, Unit: entry.Unit}, ""), note})
		}
		return a.table([]string{"MONTH", "VALUE", "NOTE"}, rows)
	})
}

// cohortCommand follows customers from their first order on.
type cohortCommand struct {
	Kind    string `help:"What to follow: classic, unbounded, cumulative or ltv." enum:"classic,unbounded,cumulative,ltv" default:"classic"`
	AsOf    string `help:"Day after whose close the cohorts are taken. Default: today, or the pinned business date." placeholder:"DAY"`
	Rolling bool   `help:"One curve of all customers, by 30 days from each one's first order."`
}

// cohortTitles say what the cells are.
var cohortTitles = map[kpi.CohortKind]string{
	kpi.Classic:    "share with an order in the month",
	kpi.Unbounded:  "share with an order in the month or later; the last columns will still rise",
	kpi.Cumulative: "share with a second order by the end of the month",
	kpi.LTV:        "net value so far per customer",
}

// Run implements the command.
func (c cohortCommand) Run(a *app) error {
	if c.Rolling {
		return show(a, http.MethodGet, query(a.at("cohorts", "rolling"), "kind", c.Kind, "as_of", c.AsOf), nil, a.printRolling)
	}
	return show(a, http.MethodGet, query(a.at("cohorts"), "kind", c.Kind, "as_of", c.AsOf), nil, a.printCohorts)
}

func (a *app) printCohorts(answer kpi.Cohorts) error {
	if err := a.printf("As of %s: %s, %s\n\n", answer.AsOf, answer.Kind, cohortTitles[answer.Kind]); err != nil {
		return err
	}
	columns := 0
	var rows [][]string
	for _, cohort := range answer.Cohorts {
		row := []string{cohort.Month, number(cohort.Size)}
		for _, value := range cohort.Values {
			row = append(row, cohortText(answer.Kind, value))
		}
		columns = max(columns, len(cohort.Values))
		rows = append(rows, row)
	}
	head := []string{"MONTH", "CUSTOMERS"}
	for k := range columns {
		head = append(head, strconv.Itoa(k))
	}
	return a.table(head, rows)
}

func (a *app) printRolling(answer kpi.Rolling) error {
	if err := a.printf("As of %s: %s, by %d days from the first order\n\n", answer.AsOf, answer.Kind, answer.BucketDays); err != nil {
		return err
	}
	var rows [][]string
	for _, b := range answer.Buckets {
		rows = append(rows, []string{
			strconv.Itoa(b.FromDay) + "–" + strconv.Itoa(b.ToDay), number(b.Observed), b.Count.String(), cohortText(answer.Kind, b.Value),
		})
	}
	return a.table([]string{"DAYS", "OBSERVED", "COUNT", "VALUE"}, rows)
}

// cohortText writes shares with one decimal, so that a matrix fits a screen.
func cohortText(kind kpi.CohortKind, value kpi.Value) string {
	share, defined := value.Float()
	if !defined || kind == kpi.LTV {
		return value.String()
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + "%"
}
