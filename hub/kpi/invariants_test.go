package kpi_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/internal/property"
)

// drawnShop is a random shop with a query that its rows crowd around.
type drawnShop struct {
	query   kpi.Query
	orders  []kpi.OrderRow
	refunds []kpi.RefundRow
}

var anyShop = rapid.Custom(func(t *rapid.T) drawnShop {
	q := drawQuery(t)
	orders, refunds := drawRows(t, q)
	return drawnShop{q, orders, refunds}
})

func randomShop(random *rand.Rand) drawnShop { return anyShop.Example(int(random.Int32())) }

// numbers are the defined values by id.
func numbers(figures []kpi.Figure) map[string]float64 {
	read := map[string]float64{}
	for _, figure := range figures {
		if f, ok := figure.Value.Float(); ok {
			read[figure.ID] = f
		}
	}
	return read
}

// requireIdentities checks what holds of the figures of any orders (R9, kpi.md 2.4).
func requireIdentities(t *testing.T, figures []kpi.Figure) {
	t.Helper()
	n := numbers(figures)
	require.InDelta(t, n["active_customers"], n["retained_customers"]+n["new_customers"]+n["reactivated_customers"], 0)
	if crr, ok := n["crr"]; ok {
		require.InDelta(t, 1, crr+n["churn"], 1e-12)
	}
	require.GreaterOrEqual(t, n["gross_revenue"], n["net_revenue"])
	require.GreaterOrEqual(t, n["gross_revenue"], n["revenue_without_customer"])
	require.LessOrEqual(t, n["new_buyers"], n["buyers"])
	require.LessOrEqual(t, n["buyers"], n["customers"])
	require.LessOrEqual(t, n["buyers"]+n["orders_without_customer"], n["orders"])
	for _, figure := range figures {
		share, ok := figure.Value.Float()
		if ok && figure.Unit == kpi.UnitShare && figure.ID != "crr_literal" && figure.ID != "return_rate_money" {
			require.True(t, 0 <= share && share <= 1, figure.ID)
		}
		if figure.ID == "churn" && figure.Denominator.Defined() {
			start, _ := figure.Denominator.Float()
			require.InDelta(t, n["churned_customers"], start-n["retained_customers"], 0)
		}
	}
}

func TestPropertyIdentities(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		s := randomShop(random)
		ledger, _ := build(t, s.orders, s.refunds)
		requireIdentities(t, ledger.Figures(s.query))
	})
}

func TestPropertyMonthsMakeTheYear(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		s := randomShop(random)
		ledger, _ := build(t, s.orders, s.refunds)
		year, _, _ := s.query.AsOf.Calendar()
		whole := s.query
		whole.From, whole.To = entity.NewDate(year, 1, 1), entity.NewDate(year+1, 1, 1)-1
		sums := map[string]float64{}
		for month := whole.From; month <= whole.AsOf; {
			next := month + 31
			_, _, day := next.Calendar()
			next -= entity.Date(day - 1)
			one := whole
			one.From, one.To = month, next-1
			for id, n := range numbers(ledger.Figures(one)) {
				sums[id] += n
			}
			month = next
		}
		for id, n := range numbers(ledger.Figures(whole)) {
			switch id {
			case "orders", "orders_without_customer", "gross_revenue", "net_revenue", "revenue_without_customer", "new_buyers":
				require.InDelta(t, n, sums[id], 1e-6, id)
			}
		}
	})
}

func TestPropertyOrderOfRowsDoesNotMatter(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		s := randomShop(random)
		everything := func() string {
			ledger, _ := build(t, s.orders, s.refunds)
			all := []any{ledger.Report(s.query), ledger.Origins(s.query)}
			for _, kind := range kpi.CohortKinds() {
				all = append(all, ledger.Cohorts(kind, s.query.AsOf), ledger.Rolling(kind, s.query.AsOf))
			}
			for _, method := range []kpi.ScoringMethod{kpi.ScoringByShare, kpi.ScoringByRank, kpi.ScoringByThreshold} {
				all = append(all, ledger.FactsScored(s.query.AsOf, s.query.Window, kpi.Scoring{Method: method}).RFMCustomers())
			}
			text, err := json.Marshal(all)
			require.NoError(t, err)
			return string(text)
		}
		want := everything()
		random.Shuffle(len(s.orders), func(i, j int) { s.orders[i], s.orders[j] = s.orders[j], s.orders[i] })
		random.Shuffle(len(s.refunds), func(i, j int) { s.refunds[i], s.refunds[j] = s.refunds[j], s.refunds[i] })
		require.Equal(t, want, everything())
	})
}

// TestPropertyCohorts checks the identities of kpi.md 2.5.
func TestPropertyCohorts(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		s := randomShop(random)
		ledger, _ := build(t, s.orders, s.refunds)
		asOf := s.query.AsOf
		classic, unbounded := ledger.Cohorts(kpi.Classic, asOf).Cohorts, ledger.Cohorts(kpi.Unbounded, asOf).Cohorts
		cumulative, ltv := ledger.Cohorts(kpi.Cumulative, asOf).Cohorts, ledger.Cohorts(kpi.LTV, asOf).Cohorts
		float := func(v kpi.Value) float64 {
			f, ok := v.Float()
			require.True(t, ok)
			return f
		}
		sizes, active := int64(0), map[entity.Date]float64{}
		for i, cohort := range classic {
			sizes += cohort.Size
			for _, other := range []kpi.Cohort{unbounded[i], cumulative[i], ltv[i]} {
				require.Equal(t, []any{cohort.Month, cohort.Size, len(cohort.Counts)}, []any{other.Month, other.Size, len(other.Values)})
			}
			month, _, err := kpi.ParsePeriod(cohort.Month)
			require.NoError(t, err)
			for k, count := range cohort.Counts {
				year, m, _ := month.Calendar()
				active[entity.NewDate(year, m+time.Month(k), 1)] += float(count)
				require.LessOrEqual(t, float(count), float(unbounded[i].Counts[k]))
				if k == 0 {
					require.InDelta(t, 1, float(cohort.Values[0]), 0)
					require.InDelta(t, 1, float(unbounded[i].Values[0]), 0)
					continue
				}
				require.LessOrEqual(t, float(unbounded[i].Counts[k]), float(unbounded[i].Counts[k-1]))
				require.GreaterOrEqual(t, float(cumulative[i].Counts[k]), float(cumulative[i].Counts[k-1]))
			}
		}
		require.InDelta(t, numbers(ledger.Figures(s.query))["customers"], float64(sizes), 0)
		for from, n := range active {
			year, m, _ := from.Calendar()
			q := kpi.Query{AsOf: asOf, From: from, To: entity.NewDate(year, m+1, 1) - 1, Window: 90}
			require.InDelta(t, numbers(ledger.Figures(q))["buyers"], n, 0)
		}

		observed := ledger.Rolling(kpi.Classic, asOf).Buckets
		for k, bucket := range observed {
			require.LessOrEqual(t, float(bucket.Count), float64(bucket.Observed))
			if k > 0 {
				require.LessOrEqual(t, bucket.Observed, observed[k-1].Observed)
			}
		}
	})
}

// TestPropertySlicesMakeTheWhole divides the customers, and the orders by connection.
func TestPropertySlicesMakeTheWhole(t *testing.T) {
	additive := []string{
		"orders", "orders_without_customer", "gross_revenue", "net_revenue", "revenue_without_customer", "loyal_revenue", "churned_value",
		"customers", "buyers", "new_buyers", "active_customers", "new_customers", "reactivated_customers", "churned_customers", "retained_customers",
	}
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		s := randomShop(random)
		ledger, _ := build(t, s.orders, s.refunds)
		whole := numbers(ledger.Figures(s.query))
		groups := []string{"a", "b", "c", ""}
		of := map[customer.ID]string{}
		byCustomer := ledger.By(s.query, func(id customer.ID) []string {
			if _, drawn := of[id]; !drawn {
				of[id] = groups[random.IntN(len(groups))]
			}
			if of[id] == "" {
				return nil
			}
			return []string{of[id]}
		})
		byConnection := ledger.ByConnection(s.query, func(id store.ConnectionID) string { return strconv.Itoa(int(id)) })
		for i, parts := range [][]kpi.Slice{byCustomer, byConnection} {
			sums := map[string]float64{}
			for _, slice := range parts {
				requireIdentities(t, slice.KPIs)
				for id, n := range numbers(slice.KPIs) {
					sums[id] += n
				}
			}
			ids := additive
			if i == 1 {
				ids = additive[:5]
			}
			for _, id := range ids {
				require.InDelta(t, whole[id], sums[id], 1e-6, id)
			}
		}

		// Everybody in one group is the whole.
		s.orders = slices.DeleteFunc(s.orders, func(o kpi.OrderRow) bool { return o.Customer == 0 })
		s.refunds = slices.DeleteFunc(s.refunds, func(r kpi.RefundRow) bool { return r.Customer == 0 })
		ledger, _ = build(t, s.orders, s.refunds)
		for _, slice := range ledger.By(s.query, func(customer.ID) []string { return []string{"all"} }) {
			require.Equal(t, ledger.Figures(s.query), slice.KPIs)
		}
	})
}
