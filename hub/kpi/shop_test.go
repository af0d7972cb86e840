package kpi_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
)

// shop gathers rows for a small ledger in roubles.
type shop struct {
	t       testing.TB
	orders  []kpi.OrderRow
	refunds []kpi.RefundRow
}

func date(t testing.TB, s string) entity.Date {
	t.Helper()
	d, err := entity.ParseDate(s)
	require.NoError(t, err)
	return d
}

// order adds an order of a customer (0: none) in minor units and returns its key.
func (s *shop) order(customerID int, on string, minor int64) *store.RecordKey {
	n := int64(len(s.orders) + 1)
	key := store.RecordKey{Connection: 1, Stream: "orders", Key: fmt.Sprintf("o%04d", n)}
	s.orders = append(s.orders, kpi.OrderRow{
		Customer: customer.ID(customerID), Connection: key.Connection, Stream: key.Stream, Key: key.Key,
		On: date(s.t, on), Sequence: n, Base: minor, Converted: true,
	})
	return &key
}

// refund adds a refund of an order, or of a customer where there is none.
func (s *shop) refund(order *store.RecordKey, customerID int, on string, minor int64) {
	s.refunds = append(s.refunds, kpi.RefundRow{
		Customer: customer.ID(customerID), Connection: 1, Stream: "refunds", Key: fmt.Sprintf("r%04d", len(s.refunds)+1),
		On: date(s.t, on), Base: minor, Converted: true, Order: order,
	})
}

func (s *shop) ledger() *kpi.Ledger {
	ledger, _ := s.ledgerAndWarnings()
	return ledger
}

func (s *shop) ledgerAndWarnings() (*kpi.Ledger, kpi.Warnings) {
	return build(s.t, s.orders, s.refunds)
}

func build(t testing.TB, orders []kpi.OrderRow, refunds []kpi.RefundRow) (*kpi.Ledger, kpi.Warnings) {
	t.Helper()
	b := kpi.NewBuilder("RUB", nil)
	for _, row := range orders {
		b.AddOrder(row)
	}
	for _, row := range refunds {
		b.AddRefund(row)
	}
	ledger, warnings, err := b.Ledger()
	require.NoError(t, err)
	return ledger, warnings
}

// query is that of a period, such as 1997-Q4, and an as-of; both may be empty for the defaults.
func query(t testing.TB, period, asOf string, window int) kpi.Query {
	t.Helper()
	q, err := kpi.Resolve(kpi.Request{Period: period, AsOf: asOf, Window: window, Today: date(t, "2026-01-01")})
	require.NoError(t, err)
	return q
}

// values returns the figures as they read, by id.
func values(ledger *kpi.Ledger, q kpi.Query) map[string]string {
	read := map[string]string{}
	for _, figure := range ledger.Figures(q) {
		read[figure.ID] = figure.Value.String()
	}
	return read
}

// requireFigures compares some of the figures.
func requireFigures(t testing.TB, ledger *kpi.Ledger, q kpi.Query, want map[string]string) {
	t.Helper()
	got := values(ledger, q)
	for id, value := range want {
		require.Equal(t, value, got[id], id)
	}
}
