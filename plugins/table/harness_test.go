package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/sdk"
)

// testTime is the time of tests; files are older unless a test says otherwise.
var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testNow() time.Time { return testTime }

// writeFile writes a file last changed an hour before testTime.
func writeFile(t testing.TB, folder, name, content string) {
	t.Helper()
	writeFileAt(t, folder, name, content, testTime.Add(-time.Hour))
}

func writeFileAt(t testing.TB, folder, name, content string, changed time.Time) {
	t.Helper()
	path := filepath.Join(folder, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, os.Chtimes(path, changed, changed))
}

// lines joins rows to a file.
func lines(rows ...string) string { return strings.Join(rows, "\n") + "\n" }

func newSource[E any](table *table[E]) *source[E] {
	return &source[E]{table: table, sessions: &sessions{}, now: testNow}
}

func readRequest(cursor []byte, limit int) sdk.ReadRequest {
	req := sdk.ReadRequest{Mode: sdk.Incremental, Cursor: cursor, Max: limit}
	req.Zone, req.Currency = time.UTC, "RUB"
	return req
}

// reading is everything a read returned.
type reading[E any] struct {
	records   []sdk.Record[E]
	skipped   []sdk.Skipped
	snapshots []string // of its pages
	next      []byte
	pages     int
}

// readAll reads from a cursor to the end.
func readAll[E any](t testing.TB, s *source[E], cfg config, cursor []byte, limit int) reading[E] {
	t.Helper()
	var all reading[E]
	for {
		page, err := s.read(t.Context(), cfg, readRequest(cursor, limit))
		require.NoError(t, err)
		all.records = append(all.records, page.Records...)
		all.skipped = append(all.skipped, page.Skipped...)
		all.snapshots = append(all.snapshots, page.Snapshot)
		all.pages++
		all.next = page.Next
		if !page.More {
			require.True(t, page.NotReadyUntil.IsZero())
			return all
		}
		cursor = page.Next
	}
}

func (r reading[E]) keys() []string {
	keys := []string{}
	for _, record := range r.records {
		keys = append(keys, record.Key)
	}
	return keys
}

func (r reading[E]) rules() []string {
	rules := []string{}
	for _, s := range r.skipped {
		rules = append(rules, s.Problem.Place+": "+s.Problem.Rule)
	}
	return rules
}

// problemOf asserts that an error is a Problem.
func problemOf(t testing.TB, err error) *sdk.Problem {
	t.Helper()
	var p *sdk.Problem
	require.ErrorAs(t, err, &p)
	return p
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

func orderBlock() *block {
	return &block{
		File: "orders*.csv", Encoding: "utf-8", Decimal: ".",
		Columns: map[string]string{"key": "key", "customer": "customer", "ordered_on": "date", "amount": "amount"},
	}
}

func ordersIn(folder string, change func(*block)) config {
	b := orderBlock()
	if change != nil {
		change(b)
	}
	return config{Folder: sdk.Path(folder), Orders: b}
}

func readOrders(t testing.TB, cfg config) reading[entity.Order] {
	t.Helper()
	return readAll(t, newSource(tableOrders), cfg, nil, 0)
}
