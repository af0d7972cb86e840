package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/store/sqlite"
	"github.com/regulars/regulars/hub/store/storetest"
)

// BenchmarkSettle stores and settles contacts and orders, in pages as a source hands them over.
func BenchmarkSettle(b *testing.B) {
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), storetest.NewClock())
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	f := storetest.NewFixture(b, s, storetest.NewClock())
	const page = 500
	records := 0
	for b.Loop() {
		n := records / 2
		contacts, orders := make([]connector.Record, 0, page), make([]connector.Record, 0, page)
		for i := range page {
			key := fmt.Sprint(n + i)
			contacts = append(contacts, storetest.Contact(key, 1, "Somebody", "c"+key+"@example.com"))
			orders = append(orders, storetest.Order("o"+key, 1, fmt.Sprint((n+i)*7919%(n+page)), "2026-02-01", 1000))
		}
		f.Take(b, f.Contacts, contacts...)
		f.Take(b, f.Orders, orders...)
		f.Settle(b)
		records += 2 * page
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
