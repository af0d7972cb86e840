package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
)

// generateOrders makes an order log of a few orders per customer, sorted by customer as CDNOW's is.
func generateOrders(rows int, key bool) string {
	var b strings.Builder
	b.Grow(rows * 48)
	b.WriteString("key,customer,date,amount\n")
	for i := range rows {
		id := ""
		if key {
			id = fmt.Sprintf("A-%08d", i)
		}
		fmt.Fprintf(&b, "%s,%06d,20%02d-%02d-%02d,%d.%02d\n", id, i/4, 20+i%5, 1+i%12, 1+i*7%28, i%9000, i%100)
	}
	return b.String()
}

func BenchmarkRead(b *testing.B) {
	const rows = 200_000
	for _, keyed := range []bool{true, false} {
		b.Run(fmt.Sprintf("keyed=%t", keyed), func(b *testing.B) {
			folder := b.TempDir()
			writeFile(b, folder, "orders.csv", generateOrders(rows, keyed))
			cfg := ordersIn(folder, func(o *block) {
				if !keyed {
					delete(o.Columns, "key")
				}
			})
			b.ReportAllocs()
			for b.Loop() {
				require.Equal(b, rows, countRecords(b, newSource(tableOrders), cfg))
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// countRecords reads everything and keeps nothing, as the SDK does.
func countRecords(b *testing.B, s *source[entity.Order], cfg config) int {
	b.Helper()
	var cursor []byte
	for n := 0; ; {
		page, err := s.read(b.Context(), cfg, readRequest(cursor, 0))
		require.NoError(b, err)
		n += len(page.Records)
		if !page.More {
			return n
		}
		cursor = page.Next
	}
}

func BenchmarkUnchanged(b *testing.B) {
	folder := b.TempDir()
	writeFile(b, folder, "orders.csv", generateOrders(200_000, true))
	cfg := ordersIn(folder, nil)
	s := newSource(tableOrders)
	next := readAll(b, s, cfg, nil, 0).next
	for b.Loop() {
		require.Empty(b, readAll(b, s, cfg, next, 0).records)
	}
}
