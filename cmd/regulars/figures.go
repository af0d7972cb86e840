package main

import (
	"net/http"
	"strconv"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/kpi"
)

// figureFlags are what all figures take.
type figureFlags struct {
	AsOf   string `help:"Day after whose close the figures are taken, 2006-01-02. Default: today, or the pinned business date." placeholder:"DAY"`
	From   string `help:"First day of the period." placeholder:"DAY"`
	To     string `help:"Last day of the period." placeholder:"DAY"`
	Period string `help:"Year, quarter or month instead of --from and --to: 1997, 1997-Q4, 1997-11. Default: the month of as-of." placeholder:"PERIOD"`
	Window int    `help:"Days after the last order during which a customer is active. Default: the workspace's." placeholder:"DAYS"`
}

func (f figureFlags) path(base string, more ...string) string {
	return query(base, append([]string{
		"as_of", f.AsOf, "from", f.From, "to", f.To, "period", f.Period, "window", strconv.Itoa(f.Window),
	}, more...)...)
}

// kpiCommands are the commands about figures.
type kpiCommands struct {
	Show    kpiShowCommand    `cmd:"" help:"Compute the figures."`
	History kpiHistoryCommand `cmd:"" help:"Compute one figure for several months."`
}

// kpiShowCommand computes the figures.
type kpiShowCommand struct {
	figureFlags
	All bool   `help:"Every figure, not only the main ones; --json always has every one."`
	By  string `help:"Compute the figures for each connection, channel, manager, city or segment." placeholder:"DIMENSION"`
}

// Run implements the command.
func (k kpiShowCommand) Run(a *app) error {
	if k.By != "" {
		return k.by(a)
	}
	return show(a, http.MethodGet, k.path(a.at("kpis")), nil, func(report kpi.Report) error {
		return a.printReport(report, k.All)
	})
}

// printReport prints figures as a table.
func (a *app) printReport(report kpi.Report, all bool) error {
	if err := a.printf("As of %s, period %s to %s, window %d days, money in %s\n\n",
		report.AsOf, report.From, report.To, report.WindowDays, report.Currency); err != nil {
		return err
	}
	var rows [][]string
	for _, figure := range report.KPIs {
		entry, known := kpi.Describe(figure.ID)
		if !all && !(known && entry.Main) {
			continue
		}
		rows = append(rows, []string{figure.ID, valueText(figure, report.Currency), entry.Title.EN})
	}
	if err := a.table([]string{"FIGURE", "VALUE", "MEANING"}, rows); err != nil {
		return err
	}
	return a.printWarnings(report.Warnings)
}

// printWarnings says what a reader of the figures should know about the orders behind them.
func (a *app) printWarnings(w kpi.Warnings) error {
	for _, one := range []struct {
		n    int
		text string
	}{
		{w.UnconvertedOrders, "orders have no exchange rate: they count, and their money does not"},
		{w.UnconvertedRefunds, "refunds have no exchange rate: their money does not count"},
		{w.ZeroOrders, "orders have the amount 0: they count and lower the average check"},
		{w.UnknownRefundOrders, "refunds name an order that is not here: they count on their own day"},
	} {
		if one.n == 0 {
			continue
		}
		if err := a.printf("note: %d %s\n", one.n, one.text); err != nil {
			return err
		}
	}
	return nil
}

// valueText writes a figure for people: shares in percent, rates with two decimals.
func valueText(figure kpi.Figure, currency string) string {
	value, defined := figure.Value.Float()
	if !defined {
		return "-"
	}
	switch figure.Unit {
	case kpi.UnitShare:
		return strconv.FormatFloat(100*value, 'f', 2, 64) + " %"
	case kpi.UnitMoney:
		return figure.Value.String() + " " + currency
	case kpi.UnitOrders, kpi.UnitPoints, kpi.UnitDays:
		return strconv.FormatFloat(value, 'f', 2, 64)
	default:
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
}

// rfmCommand shows recency, frequency and money.
type rfmCommand struct {
	figureFlags
	Customers bool   `help:"A line for each customer."`
	Method    string `help:"How scores are given: share, ntile or fixed. Default: the workspace's." placeholder:"METHOD"`
}

// Run implements the command.
func (r rfmCommand) Run(a *app) error {
	if r.Customers {
		head := []string{"CUSTOMER", "DAYS SINCE", "ORDERS", "NET VALUE", "R", "F", "M", "SEGMENT", "KEYS"}
		return lines(a, r.path(a.at("rfm", "customers"), "method", r.Method), head, func(c api.RFMCustomer) []string {
			return []string{
				number(c.Customer), number(c.RecencyDays), number(c.Orders), c.NetValue.String(),
				number(c.R), number(c.F), number(c.M), c.Segment, keys(c.Keys),
			}
		})
	}
	return show(a, http.MethodGet, r.path(a.at("rfm"), "method", r.Method), nil, func(answer rfmAnswer) error {
		if err := a.printf("As of %s; %s, five is best\n", answer.AsOf, scoreRules[answer.Method]); err != nil {
			return err
		}
		if customers := answer.customers(); answer.Method != string(kpi.ScoringByThreshold) && customers < meaningful {
			if err := a.printf("%d customers are too few to be compared with each other; use --method fixed\n", customers); err != nil {
				return err
			}
		}
		if err := a.printf("\n"); err != nil {
			return err
		}
		var rows [][]string
		for _, name := range []string{"r", "f", "m"} {
			row := []string{name}
			for score := 1; score <= 5; score++ {
				row = append(row, number(answer.Scores[name][strconv.Itoa(score)]))
			}
			rows = append(rows, row)
		}
		days := []string{"r, days"}
		for i := len(answer.RecencyDays) - 1; i >= 0; i-- { // best first
			days = append(days, daysText(answer.RecencyDays[i]))
		}
		rows = append(rows[:1], append([][]string{days}, rows[1:]...)...)
		if err := a.table([]string{"SCORE", "1", "2", "3", "4", "5"}, rows); err != nil {
			return err
		}
		if err := a.printf("\n"); err != nil {
			return err
		}
		rows = nil
		for _, s := range answer.Segments {
			rows = append(rows, []string{s.ID, number(s.Customers), s.NetRevenue.String()})
		}
		return a.table([]string{"SEGMENT", "CUSTOMERS", "NET REVENUE"}, rows)
	})
}

// meaningful is how many customers it takes to score them by comparison.
const meaningful = 50

// scoreRules tell people how scores were given.
var scoreRules = map[string]string{
	string(kpi.ScoringByShare):     "a score counts who is strictly worse",
	string(kpi.ScoringByRank):      "scores are equal groups by rank",
	string(kpi.ScoringByThreshold): "scores follow the workspace's bounds",
}

func daysText(d kpi.ScoreDays) string {
	if !d.From.Defined() {
		return "-"
	}
	return d.From.String() + "–" + d.To.String()
}

// rfmAnswer is kpi.RFM as it is read back.
type rfmAnswer struct {
	AsOf        string                      `json:"as_of"`
	Method      string                      `json:"method"`
	Scores      map[string]map[string]int64 `json:"scores"`
	RecencyDays []kpi.ScoreDays             `json:"recency_days"`
	Segments    []kpi.RFMSegment            `json:"segments"`
}

func (r rfmAnswer) customers() (sum int64) {
	for _, n := range r.Scores["r"] {
		sum += n
	}
	return sum
}
