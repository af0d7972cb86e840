package kpi_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The worked examples of the articles, as formulas.
func TestArticleFormulas(t *testing.T) {
	require.Equal(t, "0.84", kpi.CRR(500, 100, 520).String())
	require.Equal(t, "0.05", kpi.Churn(1000, 50).String())
	require.Equal(t, "0.25", kpi.RepeatCustomerRate(200, 800).String())
	require.Equal(t, "4", kpi.PurchaseFrequency(1000, 250).String())
	for _, undefined := range []kpi.Value{kpi.CRR(0, 5, 5), kpi.Churn(0, 0), kpi.RepeatCustomerRate(0, 0), kpi.PurchaseFrequency(0, 0)} {
		require.False(t, undefined.Defined())
	}
}

// The same examples as ledgers whose customers make those counts.
func TestArticleExamplesFromOrders(t *testing.T) {
	t.Run("500 at the start, 520 at the end, 100 of them new", func(t *testing.T) {
		s := &shop{t: t}
		for c := 1; c <= 500; c++ {
			s.order(c, "1997-08-15", 100)
		}
		for c := 81; c <= 600; c++ { // 80 do not come back, 420 do, 100 are new
			s.order(c, "1997-11-15", 100)
		}
		requireFigures(t, s.ledger(), query(t, "1997-Q4", "", 90), map[string]string{
			"active_customers": "520", "new_customers": "100", "retained_customers": "420", "churned_customers": "80",
			"reactivated_customers": "0", "crr": "0.84", "churn": "0.16", "crr_literal": "0.84",
		})
	})
	t.Run("1000 at the start, 50 lost", func(t *testing.T) {
		s := &shop{t: t}
		for c := 1; c <= 1000; c++ {
			s.order(c, "1997-08-15", 100)
		}
		for c := 51; c <= 1000; c++ {
			s.order(c, "1997-11-15", 100)
		}
		requireFigures(t, s.ledger(), query(t, "1997-Q4", "", 90), map[string]string{"churn": "0.05", "crr": "0.95"})
	})
	t.Run("200 of 800 came back; 1000 orders of 250 buyers", func(t *testing.T) {
		s := &shop{t: t}
		for c := 1; c <= 800; c++ {
			s.order(c, "1997-01-15", 100)
		}
		for c := 1; c <= 200; c++ {
			s.order(c, "1997-02-15", 100)
		}
		requireFigures(t, s.ledger(), query(t, "1997", "", 90), map[string]string{"repeat_customer_rate": "0.25"})

		s = &shop{t: t}
		for n := range 1000 {
			s.order(n%250+1, "1997-01-15", 100)
		}
		requireFigures(t, s.ledger(), query(t, "1997-01", "", 90), map[string]string{"purchase_frequency": "4"})
	})
}

func TestRefunds(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-10", 10000)
	bought := s.order(1, "1997-01-20", 5000)
	only := s.order(2, "1997-01-25", 2000)
	s.refund(bought, 0, "1997-02-05", 2000)
	s.refund(bought, 0, "1997-02-15", 3000) // with the first, the whole order
	s.refund(only, 7, "1997-02-10", 2500)   // more than the order; the customer is the order's
	s.refund(nil, 1, "1997-02-20", -700)    // unlinked; negative read as positive
	ledger := s.ledger()

	// As of the end of January nothing is refunded.
	requireFigures(t, ledger, query(t, "1997-01", "", 90), map[string]string{
		"customers": "2", "orders": "3", "buyers": "2", "gross_revenue": "170.00", "net_revenue": "170.00",
		"average_check": "56.67", "repeat_customer_rate": "0.5", "ltv_historic": "85.00", "return_rate_orders": "0", "return_rate_money": "0",
	})
	// On the day of the first refund one order of three is touched.
	requireFigures(t, ledger, query(t, "1997-01", "1997-02-04", 90), map[string]string{"return_rate_orders": "0"})
	requireFigures(t, ledger, query(t, "1997-01", "1997-02-05", 90), map[string]string{"return_rate_orders": "0.3333333333333333"})
	// As of 14 February one order is partly refunded, and customer 2 has none left.
	requireFigures(t, ledger, query(t, "1997-01", "1997-02-14", 90), map[string]string{
		"customers": "1", "orders": "2", "buyers": "1", "gross_revenue": "170.00", "net_revenue": "170.00",
		"average_check": "75.00", "repeat_customer_rate": "1", "ltv_historic": "130.00", "active_customers": "1",
		"return_rate_orders": "0.6666666666666666",
	})
	// The day after it is void too.
	requireFigures(t, ledger, query(t, "1997-01", "1997-02-15", 90), map[string]string{
		"customers": "1", "orders": "1", "average_check": "100.00", "average_check_repeat": "–", "repeat_customer_rate": "0",
		"ltv_historic": "100.00",
	})
	// February has refunds only.
	requireFigures(t, ledger, query(t, "1997-02", "", 90), map[string]string{
		"orders": "0", "buyers": "0", "gross_revenue": "0.00", "net_revenue": "-82.00", "average_check": "–",
		"purchase_frequency": "–", "ltv_historic": "93.00", "return_rate_orders": "–", "return_rate_money": "–",
	})

	// Customer values take refunds too, and may fall below 0.
	facts := ledger.Facts(date(t, "1997-02-28"), 90)
	require.Equal(t, int64(15000), facts.Of(1).Gross)
	require.Equal(t, int64(9300), facts.Of(1).Net)
	require.Equal(t, int64(-500), facts.Of(2).Net)
	require.Zero(t, facts.Of(2).Orders)
	require.Nil(t, facts.Of(7))
}

func TestRefundsOfTheYearGoByOrder(t *testing.T) {
	s := &shop{t: t}
	old := s.order(1, "1997-01-10", 10000)
	fresh := s.order(1, "1998-01-10", 5000)
	s.refund(old, 0, "1998-02-01", 4000)   // belongs to the order before the year
	s.refund(fresh, 0, "1998-02-01", 1000) // belongs to the order within
	s.refund(nil, 1, "1998-02-02", 300)    // has only its own date
	facts := s.ledger().Facts(date(t, "1998-03-01"), 90)
	require.Equal(t, int64(3700), facts.Of(1).NetYear)
	require.Equal(t, int64(9700), facts.Of(1).Net)
}

func TestVoidOrders(t *testing.T) {
	eur := func(minor int64) entity.Money { return entity.Money{Minor: minor, Currency: "EUR"} }
	usd := func(minor int64) entity.Money { return entity.Money{Minor: minor, Currency: "USD"} }
	type refund struct {
		base      int64
		amount    entity.Money
		converted bool
	}
	for _, c := range []struct {
		name    string
		order   refund
		refunds []refund
		void    bool
	}{
		{"zero amount, never", refund{0, entity.Money{}, true}, []refund{{0, entity.Money{}, true}, {100, entity.Money{}, true}}, false},
		{"one minor unit short", refund{100, entity.Money{}, true}, []refund{{99, entity.Money{}, true}}, false},
		{"reached", refund{100, entity.Money{}, true}, []refund{{40, entity.Money{}, true}, {60, entity.Money{}, true}}, true},
		{
			"reached in the source's money, short by rounding",
			refund{100050, eur(1001), true},
			[]refund{{50024, eur(500), true}, {50025, eur(501), true}},
			true,
		},
		{"short in the source's money, reached by rounding", refund{100, eur(1000), true}, []refund{{100, eur(999), true}}, false},
		{"no rate", refund{0, eur(1000), false}, []refund{{0, eur(1000), false}}, true},
		{"no rate and no amount", refund{0, entity.Money{}, false}, []refund{{0, entity.Money{}, false}}, false},
		{"another currency, reached", refund{9000, eur(100), true}, []refund{{4000, usd(50), true}, {5000, eur(50), true}}, true},
		{"another currency, short", refund{9000, eur(100), true}, []refund{{4000, usd(500), true}}, false},
		{"another currency, no rate", refund{9000, eur(100), true}, []refund{{0, usd(500), false}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &shop{t: t}
			key := s.order(1, "1997-01-10", c.order.base)
			s.orders[0].Amount, s.orders[0].Converted = c.order.amount, c.order.converted
			for i, r := range c.refunds {
				s.refund(key, 0, "1997-01-20", r.base)
				s.refunds[i].Amount, s.refunds[i].Converted = r.amount, r.converted
			}
			for order := range s.ledger().All() {
				require.Equal(t, c.void, order.Void)
				if c.void {
					require.Equal(t, date(t, "1997-01-20"), order.VoidOn)
				}
			}
		})
	}
}

func TestOrdersWithoutARate(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-10", 10000)
	s.order(1, "1997-01-11", 777)
	s.orders[1].Converted = false
	s.refund(nil, 1, "1997-01-12", 555)
	s.refunds[0].Converted = false
	ledger, warnings := s.ledgerAndWarnings()
	require.Equal(t, kpi.Warnings{UnconvertedOrders: 1, UnconvertedRefunds: 1}, warnings)
	requireFigures(t, ledger, query(t, "1997-01", "", 90), map[string]string{
		"orders": "2", "gross_revenue": "100.00", "net_revenue": "100.00", "average_check": "100.00", "average_check_repeat": "–",
		"purchase_frequency": "2", "repeat_customer_rate": "1", "ltv_historic": "100.00",
	})
}

func TestZeroAmounts(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-10", 0)
	s.order(1, "1997-01-11", 101)
	ledger, warnings := s.ledgerAndWarnings()
	require.Equal(t, kpi.Warnings{ZeroOrders: 1}, warnings)
	requireFigures(t, ledger, query(t, "1997-01", "", 90), map[string]string{
		"orders": "2", "average_check": "0.51", "average_check_first": "0.00", "average_check_repeat": "1.01",
	})
}

func TestOrdersOfNobody(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-10", 10000)
	s.order(0, "1997-01-11", 3000)
	void := s.order(0, "1997-01-12", 500)
	s.refund(void, 1, "1997-01-13", 500) // the order's customer is nobody, not 1
	requireFigures(t, s.ledger(), query(t, "1997-01", "", 90), map[string]string{
		"customers": "1", "orders": "2", "buyers": "1", "gross_revenue": "135.00", "net_revenue": "130.00",
		"orders_without_customer": "1", "revenue_without_customer": "35.00", "average_check": "100.00",
		"purchase_frequency": "1", "ltv_historic": "100.00", "top1_share": "1",
	})
}

func TestSeveralOrdersOnOneDay(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Moscow")
	require.NoError(t, err)
	at := func(text string) time.Time {
		moment, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		require.NoError(t, err)
		return moment
	}
	row := func(key string, moment time.Time, sequence, minor int64) kpi.OrderRow {
		return kpi.OrderRow{Customer: 1, Connection: 1, Stream: "orders", Key: key, At: moment, On: 9870, Sequence: sequence, Base: minor, Converted: true}
	}
	require.Equal(t, "1997-01-09", entity.Date(9870).String())
	for _, c := range []struct {
		name  string
		rows  []kpi.OrderRow
		first string
	}{
		{"the earlier moment", []kpi.OrderRow{row("a", at("1997-01-09 12:00"), 1, 100), row("b", at("1997-01-09 11:00"), 2, 200)}, "2.00"},
		{"no moment is the start of the day", []kpi.OrderRow{row("a", at("1997-01-09 00:01"), 1, 100), row("b", time.Time{}, 2, 200)}, "2.00"},
		{"midnight is no earlier", []kpi.OrderRow{row("a", at("1997-01-09 00:00"), 1, 100), row("b", time.Time{}, 2, 200)}, "1.00"},
		{"then the sequence", []kpi.OrderRow{row("a", time.Time{}, 2, 100), row("b", time.Time{}, 1, 200)}, "2.00"},
		{"then the key", []kpi.OrderRow{row("b", time.Time{}, 1, 100), row("a", time.Time{}, 1, 200)}, "2.00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := kpi.NewBuilder("RUB", zone)
			for _, row := range c.rows {
				b.AddOrder(row)
			}
			ledger, _, err := b.Ledger()
			require.NoError(t, err)
			requireFigures(t, ledger, query(t, "1997-01", "", 90), map[string]string{
				"average_check_first": c.first, "orders": "2", "repeat_customer_rate": "1", "repeat_within_30d": "–",
			})
			require.Equal(t, int32(1), ledger.Facts(9870, 90).Of(1).PurchaseDays)
		})
	}
}

func TestTheActiveBase(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-07-03", 100) // exactly 90 days before October: active at its start
	s.order(2, "1997-07-02", 100) // a day too early
	s.order(2, "1997-12-31", 100) // so reactivated
	s.order(3, "1997-10-01", 100) // new
	s.order(4, "1997-09-30", 100) // retained
	s.order(4, "1997-10-02", 100)
	undone := s.order(5, "1997-10-01", 100) // new, wholly refunded later
	s.refund(undone, 0, "1998-01-01", 100)
	q := query(t, "1997-10", "", 90)
	requireFigures(t, s.ledger(), q, map[string]string{
		"active_customers": "3", "new_customers": "2", "retained_customers": "1", "churned_customers": "1", "reactivated_customers": "0",
		"crr": "0.5", "churn": "0.5", "crr_literal": "0.5", "new_buyers": "2", "returning_buyers_share": "0.3333333333333333",
		"period_retention": "1",
	})
	// A quarter is longer than the window, which therefore grows to its 92 days.
	report := s.ledger().Report(query(t, "1997-Q4", "", 90))
	require.Equal(t, 92, report.WindowDays)
	requireFigures(t, s.ledger(), query(t, "1997-Q4", "", 90), map[string]string{
		"active_customers": "4", "retained_customers": "2", "reactivated_customers": "0", "new_customers": "2", "churned_customers": "1",
	})
	// Seen from the new year, the refund has undone customer 5.
	requireFigures(t, s.ledger(), query(t, "1997-Q4", "1998-01-01", 90), map[string]string{"active_customers": "3", "new_customers": "1"})
}

func TestRepeatWithin(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-01", 100)
	s.order(1, "1997-01-31", 100) // after 30 days
	s.order(2, "1997-01-01", 100)
	s.order(2, "1997-02-01", 100) // after 31
	s.order(3, "1997-03-01", 100) // not observed for 30 days yet
	s.order(3, "1997-03-01", 100)
	requireFigures(t, s.ledger(), query(t, "1997-03", "1997-03-30", 90), map[string]string{
		"repeat_within_30d": "0.5", "repeat_within_60d": "1", "repeat_within_90d": "–",
	})
	requireFigures(t, s.ledger(), query(t, "1997-03", "1997-03-31", 90), map[string]string{"repeat_within_30d": "0.6666666666666666"})
}

func TestConcentration(t *testing.T) {
	s := &shop{t: t}
	for c, minor := range []int64{5000, 3000, 2000, 0} {
		s.order(c+1, "1997-06-01", minor)
	}
	s.order(5, "1996-05-01", 90000) // more than a year ago
	requireFigures(t, s.ledger(), query(t, "1997-06", "", 90), map[string]string{
		"top1_share": "0.5", "top5_share": "1", "top10_share": "1", "hhi": "3800", "effective_customers": "2.6315789473684212",
	})
}

func TestAnUnfinishedPeriod(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-10", 100)
	s.order(1, "1997-01-20", 100)
	q := query(t, "1997-01", "1997-01-15", 90)
	for _, figure := range s.ledger().Figures(q) {
		require.False(t, figure.Complete, figure.ID)
	}
	requireFigures(t, s.ledger(), q, map[string]string{"orders": "1", "gross_revenue": "1.00", "repeat_customer_rate": "0"})
	for _, figure := range s.ledger().Figures(query(t, "1997-01", "", 90)) {
		require.True(t, figure.Complete, figure.ID)
	}
}

func TestBuilderWarnsAndRefuses(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-10", -100)
	unknown := store.RecordKey{Connection: 1, Stream: "orders", Key: "o0099"}
	s.refund(&unknown, 2, "1997-01-11", 100)
	ledger, warnings := s.ledgerAndWarnings()
	require.Equal(t, kpi.Warnings{NegativeOrders: 1, UnknownRefundOrders: 1}, warnings)
	require.Zero(t, ledger.Orders())
	requireFigures(t, ledger, query(t, "1997-01", "", 90), map[string]string{"net_revenue": "-1.00", "customers": "0", "ltv_historic": "–"})

	s = &shop{t: t}
	s.order(1, "1997-01-10", 1<<62)
	s.order(1, "1997-01-11", 1<<62+1)
	b := kpi.NewBuilder("RUB", nil)
	for _, row := range s.orders {
		b.AddOrder(row)
	}
	_, _, err := b.Ledger()
	require.ErrorIs(t, err, kpi.ErrTooMuchMoney)
	require.ErrorContains(t, err, `"o0002"`)
}

// TestReportForm pins the JSON forms that scripts rely on.
func TestReportForm(t *testing.T) {
	s := &shop{t: t}
	s.order(1, "1997-01-10", 10000)
	s.order(1, "1997-01-20", 5001)
	s.order(2, "1997-01-25", 2000)
	golden(t, "testdata/report.json", s.ledger().Report(query(t, "1997-01", "", 0)))
	golden(t, "testdata/report_empty.json", (&shop{t: t}).ledger().Report(query(t, "1997-01", "", 0)))
	facts := s.ledger().Facts(date(t, "1997-01-31"), 0)
	golden(t, "testdata/rfm.json", facts.RFM())
	golden(t, "testdata/rfm_customers.json", facts.RFMCustomers())
}

func golden(t *testing.T, path string, value any) {
	t.Helper()
	got, err := json.MarshalIndent(value, "", "  ")
	require.NoError(t, err)
	got = append(got, '\n')
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestCatalogue(t *testing.T) {
	main := 0
	seen := map[string]bool{}
	for _, entry := range kpi.Catalogue() {
		require.NotEmpty(t, entry.Title.RU)
		require.NotEmpty(t, entry.Title.EN)
		require.False(t, seen[entry.ID], entry.ID)
		seen[entry.ID] = true
		if entry.Main {
			main++
		}
		described, ok := kpi.Describe(entry.ID)
		require.True(t, ok)
		require.Equal(t, entry, described)
	}
	require.Equal(t, 11, main)
	_, ok := kpi.Describe("nonsense")
	require.False(t, ok)
}
