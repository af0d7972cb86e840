package kpi_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
)

// drawDay draws a day on which a query's answer may hang: around the ends of its periods and windows, or any.
func drawDay(t *rapid.T, q kpi.Query, label string) entity.Date {
	if rapid.IntRange(0, 2).Draw(t, label+" anywhere") == 0 {
		return q.AsOf - entity.Date(rapid.Int32Range(-20, 800).Draw(t, label))
	}
	window := entity.Date(q.WindowDays())
	previousFrom, _ := kpi.PreviousLike(q.From, q.To)
	edge := rapid.SampledFrom([]entity.Date{
		q.AsOf, q.From, q.To, previousFrom, q.AsOf - 364, q.AsOf - entity.Date(q.Window) + 1, q.AsOf - 2*entity.Date(q.Window) + 1,
		q.From - window, min(q.To, q.AsOf) - window + 1,
	}).Draw(t, label+" edge")
	return edge + entity.Date(rapid.Int32Range(-1, 1).Draw(t, label))
}

// drawRows draws a small shop with few customers, so that everything collides with everything.
func drawRows(t *rapid.T, q kpi.Query) ([]kpi.OrderRow, []kpi.RefundRow) {
	var orders []kpi.OrderRow
	customers := rapid.IntRange(1, 12).Draw(t, "customers")
	for i := range rapid.IntRange(0, 40).Draw(t, "orders") {
		row := kpi.OrderRow{
			Customer:   customer.ID(rapid.IntRange(0, customers).Draw(t, "customer")),
			Connection: store.ConnectionID(rapid.IntRange(1, 2).Draw(t, "connection")), Stream: "orders", Key: fmt.Sprintf("o%03d", i),
			On:       drawDay(t, q, "on"),
			Sequence: rapid.Int64Range(0, 2).Draw(t, "sequence"),
			Base:     rapid.SampledFrom([]int64{0, 1, 99, 100, 100, 2500, 7777}).Draw(t, "base"),
			// Mostly with a rate.
			Converted: rapid.IntRange(0, 9).Draw(t, "rate") > 0,
			Channel:   rapid.SampledFrom([]string{"", "search", "shop"}).Draw(t, "channel"),
			Owner:     rapid.SampledFrom([]string{"", "7"}).Draw(t, "owner"),
			City:      rapid.SampledFrom([]string{"", "Тверь"}).Draw(t, "city"),
		}
		if i > 0 && rapid.Bool().Draw(t, "after the last") {
			gap := rapid.SampledFrom([]entity.Date{0, 0, 1, 30, 31, 60, 61, 90, 91, 180, 181, 365, 366}).Draw(t, "gap")
			row.On, row.Customer = orders[i-1].On+gap, orders[i-1].Customer
		}
		if rapid.Bool().Draw(t, "with time") {
			row.At = row.On.Start(time.UTC).Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "hour")) * time.Hour)
		}
		orders = append(orders, row)
	}
	var refunds []kpi.RefundRow
	for i := range rapid.IntRange(0, 15).Draw(t, "refunds") {
		row := kpi.RefundRow{
			Customer: customer.ID(rapid.IntRange(0, customers).Draw(t, "refunded customer")), Connection: 1, Stream: "refunds",
			Key: fmt.Sprintf("r%03d", i), On: drawDay(t, q, "refunded on"),
			Base:      rapid.SampledFrom([]int64{0, 1, 50, 100, 2500, -2500}).Draw(t, "refunded"),
			Converted: rapid.IntRange(0, 9).Draw(t, "refund rate") > 0,
		}
		switch link := rapid.IntRange(0, 3).Draw(t, "link"); {
		case link == 0:
			row.Order = &store.RecordKey{Connection: 1, Stream: "orders", Key: "gone"}
		case link > 1 && len(orders) > 0:
			order := rapid.SampledFrom(orders).Draw(t, "order")
			key := keyOf(order)
			row.Order, row.Converted = &key, order.Converted // a refund uses its order's rate
		}
		refunds = append(refunds, row)
	}
	return orders, refunds
}

func drawQuery(t *rapid.T) kpi.Query {
	from := entity.Date(rapid.Int32Range(0, 800).Draw(t, "from"))
	q := kpi.Query{From: from, To: from + entity.Date(rapid.Int32Range(0, 200).Draw(t, "length"))}
	if rapid.Bool().Draw(t, "calendar month") {
		year, month, _ := from.Calendar()
		q.From, q.To = entity.NewDate(year, month, 1), entity.NewDate(year, month+1, 1)-1
	}
	q.AsOf = q.To
	if rapid.Bool().Draw(t, "as of another day") {
		q.AsOf = q.From + entity.Date(rapid.Int32Range(0, 400).Draw(t, "as of"))
	}
	q.Window = rapid.IntRange(1, 200).Draw(t, "window")
	q.Lifespan = rapid.SampledFrom([]kpi.Lifespan{
		{}, {Method: kpi.LifespanByChurn}, {Method: kpi.LifespanObserved}, {Method: kpi.LifespanYears, Years: 2.5},
	}).Draw(t, "lifespan")
	return q
}

// TestFiguresMatchTheDefinitions compares every figure and every customer's facts with the reference.
func TestFiguresMatchTheDefinitions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := drawQuery(rt)
		orders, refunds := drawRows(rt, q)
		ledger, _ := build(t, orders, refunds)
		ref := newReference(orders, refunds, q.AsOf)
		require.Equal(rt, ref.figures(q), values(ledger, q))

		facts := ledger.Facts(q.AsOf, q.Window)
		got := map[customer.ID]string{}
		for _, row := range facts.Rows {
			require.Equal(rt, row.Orders == 0, row.Group == kpi.NoGroup)
			if row.Orders > 0 {
				got[row.Customer] = fmt.Sprint(
					int(row.Orders), row.FirstOn, row.LastOn, int(row.SinceLast), row.Gross, row.Net, row.NetYear,
					int(row.YearAbove), int(row.PurchaseDays), int(row.Recent), int(row.Earlier), row.Lifecycle.String(),
					int64(row.R), int64(row.F), int64(row.M),
				)
			}
		}
		require.Equal(rt, ref.facts(q.Window), got)
		require.Len(rt, got, facts.Ranked)
	})
}

// TestIdentities checks what must hold whatever the rows are (R9).
func TestIdentities(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := drawQuery(rt)
		orders, refunds := drawRows(rt, q)
		ledger, _ := build(t, orders, refunds)
		figures := map[string]kpi.Figure{}
		for _, figure := range ledger.Figures(q) {
			figures[figure.ID] = figure
			if share, ok := figure.Value.Float(); ok && figure.Unit == kpi.UnitShare &&
				figure.ID != "crr_literal" && figure.ID != "return_rate_money" {
				require.True(rt, 0 <= share && share <= 1, figure.ID)
			}
		}
		number := func(id string) float64 {
			n, ok := figures[id].Value.Float()
			require.True(rt, ok, id)
			return n
		}
		require.InDelta(rt, number("active_customers"),
			number("retained_customers")+number("new_customers")+number("reactivated_customers"), 0)
		if figures["crr"].Value.Defined() {
			require.InDelta(rt, 1, number("crr")+number("churn"), 1e-12)
			start, _ := figures["crr"].Denominator.Float()
			require.InDelta(rt, start, number("retained_customers")+number("churned_customers"), 0)
		}
		require.InDelta(rt, number("new_customers"), number("new_buyers"), 0, "who joins in the period is active at its end")
		require.LessOrEqual(rt, number("buyers"), number("customers"))
		require.LessOrEqual(rt, number("orders_without_customer"), number("orders"))

		// Two halves of a period make the whole, as of one day.
		half := q
		half.To = q.From + (q.To-q.From)/2
		rest := q
		rest.From = half.To + 1
		if rest.From <= rest.To {
			whole, a, b := values(ledger, q), ledger.Figures(half), ledger.Figures(rest)
			for i, entry := range kpi.Catalogue() {
				switch entry.ID {
				case "orders", "gross_revenue", "net_revenue", "new_customers", "orders_without_customer", "revenue_without_customer":
					x, _ := a[i].Value.Float()
					y, _ := b[i].Value.Float()
					require.InDelta(rt, number(entry.ID), x+y, 1e-6, "%s of %s", entry.ID, whole[entry.ID])
				}
			}
		}
	})
}

// TestOrderOfRowsDoesNotMatter is R2: the ledger and all it gives are the same to the byte.
func TestOrderOfRowsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := drawQuery(rt)
		orders, refunds := drawRows(rt, q)
		ledger, warnings := build(t, orders, refunds)
		facts := ledger.Facts(q.AsOf, q.Window)
		want, err := json.Marshal([]any{ledger.Report(q), facts, facts.RFM(), facts.RFMCustomers(), warnings})
		require.NoError(rt, err)

		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "shuffle"), 0))
		random.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })
		random.Shuffle(len(refunds), func(i, j int) { refunds[i], refunds[j] = refunds[j], refunds[i] })
		again, warnings := build(t, orders, refunds)
		require.Equal(rt, ledger, again)
		facts = again.Facts(q.AsOf, q.Window)
		got, err := json.Marshal([]any{again.Report(q), facts, facts.RFM(), facts.RFMCustomers(), warnings})
		require.NoError(rt, err)
		require.Equal(rt, string(want), string(got))
	})
}

// TestLedgerKeepsTheRows walks over the ledger and finds every row again.
func TestLedgerKeepsTheRows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		orders, refunds := drawRows(rt, drawQuery(rt))
		ledger, _ := build(t, orders, refunds)
		count := map[kpi.Order]int{}
		for _, row := range orders {
			count[kpi.Order{
				Customer: row.Customer, On: row.On, Base: money(row.Converted, row.Base), Converted: row.Converted,
				Channel: row.Channel, Owner: row.Owner, City: row.City,
			}]++
		}
		for order := range ledger.All() {
			order.Void, order.VoidOn = false, 0
			count[order]--
		}
		for order, n := range count {
			require.Zero(rt, n, "%+v", order)
		}
		require.Equal(rt, len(orders), ledger.Orders())
	})
}

// bigShop is a million orders of a hundred thousand customers over three years, in no order.
func bigShop() []kpi.OrderRow {
	random := rand.New(rand.NewPCG(1, 2))
	channels := []string{"search", "social", "offline", ""}
	rows := make([]kpi.OrderRow, 1_000_000)
	for i := range rows {
		rows[i] = kpi.OrderRow{
			Customer: customer.ID(random.IntN(100_000) + 1), Connection: 1, Stream: "orders", Key: fmt.Sprint(i),
			On: entity.Date(18000 + random.IntN(1100)), Sequence: int64(i), Base: random.Int64N(1_000_000), Converted: true,
			Channel: channels[random.IntN(len(channels))],
		}
	}
	return rows
}

func BenchmarkBuild(b *testing.B) {
	rows := bigShop()
	b.ReportAllocs()
	for b.Loop() {
		build(b, rows, nil)
	}
}

func BenchmarkFigures(b *testing.B) {
	ledger, _ := build(b, bigShop(), nil)
	q := kpi.Query{AsOf: 19000, From: 18910, To: 19000, Window: 90}
	b.ReportAllocs()
	for b.Loop() {
		ledger.Figures(q)
	}
}

func BenchmarkFacts(b *testing.B) {
	ledger, _ := build(b, bigShop(), nil)
	b.ReportAllocs()
	for b.Loop() {
		ledger.Facts(19000, 90)
	}
}
