package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/sdk"
)

const orderHeader = "key,customer,date,amount"

func TestUnchangedFiles(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "orders-1.csv", lines(orderHeader, "1,c1,2024-03-05,10"))
	writeFile(t, folder, "orders-2.csv", lines(orderHeader, "2,c1,2024-03-05,10"))
	cfg := ordersIn(folder, nil)
	s := newSource(tableOrders)
	first := readAll(t, s, cfg, nil, 0)
	require.Len(t, first.records, 2)

	again := readAll(t, s, cfg, first.next, 0)
	assert.Empty(t, again.records)
	assert.Equal(t, 1, again.pages)
	assert.Equal(t, string(first.next), string(again.next), "nothing to do leaves the cursor as it is")

	writeFileAt(t, folder, "orders-1.csv", lines(orderHeader, "1,c1,2024-03-05,10"), testTime.Add(-time.Minute))
	touched := readAll(t, s, cfg, first.next, 0)
	assert.Empty(t, touched.records, "the same content under a new time is not read again")
	assert.NotEqual(t, string(first.next), string(touched.next), "but the time is remembered, so that the sum is taken once")
	assert.Equal(t, string(touched.next), string(readAll(t, s, cfg, touched.next, 0).next))

	writeFileAt(t, folder, "orders-2.csv", lines(orderHeader, "2,c1,2024-03-05,11"), testTime.Add(-time.Minute))
	changed := readAll(t, s, cfg, touched.next, 0)
	assert.Equal(t, []string{"2"}, changed.keys(), "only the changed file is read again")
}

// TestFreshFile: a file changed within the clock's grain keeps size and time; its content is compared then.
func TestFreshFile(t *testing.T) {
	folder := t.TempDir()
	writeFileAt(t, folder, "orders.csv", lines(orderHeader, "1,c1,2024-03-05,10"), testTime)
	cfg := ordersIn(folder, nil)
	first := readOrders(t, cfg)
	writeFileAt(t, folder, "orders.csv", lines(orderHeader, "1,c1,2024-03-05,99"), testTime)
	second := readAll(t, newSource(tableOrders), cfg, first.next, 0)
	require.Len(t, second.records, 1)
	assert.Equal(t, int64(9900), second.records[0].Entity.Amount.Minor)
}

func TestChangedConfiguration(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "orders.csv", lines(orderHeader, "1,c1,2024-03-05,10"))
	first := readOrders(t, ordersIn(folder, nil))
	cfg := ordersIn(folder, func(b *block) { b.Constant = map[string]string{"currency": "usd"} })
	second := readAll(t, newSource(tableOrders), cfg, first.next, 0)
	require.Len(t, second.records, 1, "what the files mean has changed")
	assert.Equal(t, "USD", second.records[0].Entity.Amount.Currency)
	assert.Empty(t, readAll(t, newSource(tableOrders), cfg, second.next, 0).records)
}

// TestLaterFileWins: of two files with one key the later speaks last, also when only the earlier has changed.
func TestLaterFileWins(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "orders-1.csv", lines(orderHeader, "1,c1,2024-03-05,10", "2,c2,2024-03-05,10"))
	writeFile(t, folder, "orders-2.csv", lines(orderHeader, "1,c1,2024-03-05,11", "3,c3,2024-03-05,10"))
	cfg := ordersIn(folder, nil)
	first := readOrders(t, cfg)
	assert.Empty(t, first.skipped)
	assert.Equal(t, []string{"1", "2", "1", "3"}, first.keys())
	writeFileAt(t, folder, "orders-1.csv", lines(orderHeader, "1,c1,2024-03-05,10", "2,c2,2024-03-05,12"), testTime.Add(-time.Minute))
	second := readAll(t, newSource(tableOrders), cfg, first.next, 0)
	assert.Equal(t, []string{"1", "2", "1"}, second.keys(), "of the unchanged file only the row that is affected comes again")
}

func TestDeleteMissing(t *testing.T) {
	folder := t.TempDir()
	deleting := func(b *block) { b.DeleteMissing = true }
	cfg := ordersIn(folder, deleting)
	s := newSource(tableOrders)
	writeFile(t, folder, "orders-1.csv", lines(orderHeader, "1,c1,2024-03-05,10", "2,c1,2024-03-05,10", "3,c1,2024-03-05,10"))
	writeFile(t, folder, "orders-2.csv", lines(orderHeader, "4,c1,2024-03-05,10"))
	first := readAll(t, s, cfg, nil, 2)
	require.GreaterOrEqual(t, first.pages, 2)
	for _, snapshot := range first.snapshots {
		assert.Equal(t, first.snapshots[0], snapshot)
		assert.NotEmpty(t, snapshot)
	}
	unchanged := readAll(t, s, cfg, first.next, 2)
	assert.Equal(t, []string{""}, unchanged.snapshots, "nothing was read, so nothing is absent")

	writeFile(t, folder, "orders-1.csv", lines(orderHeader, "1,c1,2024-03-05,10"))
	second := readAll(t, s, cfg, first.next, 2)
	assert.Equal(t, []string{"1", "4"}, second.keys(), "any change makes it a read of all files")
	assert.NotContains(t, second.snapshots, "")
	assert.NotEqual(t, first.snapshots[0], second.snapshots[0])

	require.NoError(t, os.Remove(filepath.Join(folder, "orders-2.csv")))
	third := readAll(t, s, cfg, second.next, 2)
	assert.Equal(t, []string{"1"}, third.keys())
	assert.NotContains(t, third.snapshots, "", "a file that has gone is a change too")

	writeFile(t, folder, "orders-1.csv", lines(orderHeader, "1,c1,2024-03-05,ten"))
	fourth := readAll(t, s, cfg, third.next, 2)
	require.Len(t, fourth.skipped, 1)
	assert.Equal(t, "1", fourth.skipped[0].Key)
	assert.NotContains(t, fourth.snapshots, "", "a bad row with a key is known to be there")

	writeFile(t, folder, "orders-1.csv", lines(orderHeader, "1,\"c1,2024-03-05,1"))
	fifth := readAll(t, s, cfg, fourth.next, 2)
	assert.Empty(t, fifth.snapshots[len(fifth.snapshots)-1], "R5: a row that cannot be told might be any of those that seem absent")
}

// TestFileGoneWithoutDeleteMissing: nothing happens, and the file is forgotten.
func TestFileGoneWithoutDeleteMissing(t *testing.T) {
	folder := t.TempDir()
	cfg := ordersIn(folder, nil)
	writeFile(t, folder, "orders-1.csv", lines(orderHeader, "1,c1,2024-03-05,10"))
	writeFile(t, folder, "orders-2.csv", lines(orderHeader, "2,c1,2024-03-05,10"))
	first := readOrders(t, cfg)
	require.NoError(t, os.Remove(filepath.Join(folder, "orders-2.csv")))
	second := readAll(t, newSource(tableOrders), cfg, first.next, 0)
	assert.Empty(t, second.records)
	assert.NotContains(t, string(second.next), "orders-2.csv")
}

// TestFileChangesWhileRead: what was given out may be of the old state, so the read begins again; a file that never
// comes to rest is waited for.
func TestFileChangesWhileRead(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("fresh process=%t", fresh), func(t *testing.T) {
			folder := t.TempDir()
			cfg := ordersIn(folder, func(b *block) { b.DeleteMissing = true })
			s := newSource(tableOrders)
			rows := []string{orderHeader, "1,c1,2024-03-05,10", "2,c1,2024-03-05,10", "3,c1,2024-03-05,10"}
			writeFile(t, folder, "orders.csv", lines(rows...))
			next := func(cursor []byte) sdk.Page[entity.Order] {
				if fresh {
					s = newSource(tableOrders)
				}
				page, err := s.read(t.Context(), cfg, readRequest(cursor, 2))
				require.NoError(t, err)
				return page
			}
			page := next(nil)
			snapshots := map[string]bool{page.Snapshot: true}
			for n := 1; n <= maxRestarts; n++ {
				require.Len(t, page.Records, 2)
				writeFileAt(t, folder, "orders.csv", lines(rows...), testTime.Add(-time.Hour+time.Duration(n)*time.Minute))
				page = next(page.Next)
				if len(page.Records) == 0 {
					require.True(t, page.More)
					page = next(page.Next)
				}
				require.Equal(t, "1", page.Records[0].Key, "the read begins again")
				snapshots[page.Snapshot] = true
			}
			assert.Len(t, snapshots, maxRestarts+1, "each under a name of its own")
			writeFileAt(t, folder, "orders.csv", lines(rows...), testTime.Add(-time.Second*30))
			page = next(page.Next)
			if !fresh {
				assert.Equal(t, testTime.Add(restartWait), page.NotReadyUntil)
				assert.False(t, page.More)
				page = next(page.Next)
			}
			rest := readAll(t, s, cfg, page.Next, 2)
			assert.Equal(t, "3", rest.records[len(rest.records)-1].Key)
			assert.NotContains(t, rest.snapshots, "")
		})
	}
}

func TestNoFile(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, ".orders.csv", lines(orderHeader))
	writeFile(t, folder, "~$orders.csv", lines(orderHeader))
	for _, deleteMissing := range []bool{false, true} {
		cfg := ordersIn(folder, func(b *block) { b.DeleteMissing, b.File = deleteMissing, "*.csv" })
		_, err := newSource(tableOrders).read(t.Context(), cfg, readRequest(nil, 0))
		p := problemOf(t, err)
		assert.Equal(t, sdk.ProblemInvalidConfig, p.Kind)
		assert.Equal(t, "orders.file", p.Field)
		assert.Contains(t, p.Message, folder)
		assert.Contains(t, p.Message, "*.csv")
	}
	cfg := ordersIn(filepath.Join(folder, "none"), nil)
	_, err := newSource(tableOrders).read(t.Context(), cfg, readRequest(nil, 0))
	assert.Equal(t, "folder", problemOf(t, err).Field)
}

func TestStreamNotInUse(t *testing.T) {
	page, err := newSource(tableDeals).read(t.Context(), ordersIn(t.TempDir(), nil), readRequest(nil, 0))
	require.NoError(t, err)
	assert.Empty(t, page.Records)
	assert.False(t, page.More)
	assert.NotEmpty(t, page.Next)
}

// hub is what the hub makes of pages: the newest version by key, and with snapshots what is absent goes.
type hub struct {
	stored map[string]string
	seen   map[string]bool
	name   string
	cursor []byte
}

func (h *hub) sync(t require.TestingT, s *source[entity.Order], cfg config, limit int, between func(page int)) {
	for n := 0; ; n++ {
		page, err := s.read(context.Background(), cfg, readRequest(h.cursor, limit))
		require.NoError(t, err)
		if page.Snapshot != h.name {
			h.name, h.seen = page.Snapshot, map[string]bool{}
		}
		for _, r := range page.Records {
			data, err := json.Marshal(r.Entity)
			require.NoError(t, err)
			h.stored[r.Key] = fmt.Sprintf("%d %s", r.Sequence, data)
			h.seen[r.Key] = true
		}
		h.cursor = page.Next
		if !page.More && page.NotReadyUntil.IsZero() {
			if h.name != "" {
				for key := range h.stored {
					if !h.seen[key] {
						delete(h.stored, key)
					}
				}
			}
			h.name = ""
			return
		}
		between(n)
	}
}

// TestSyncsAgree: whatever happens to the files between and during syncs, and however often the process starts anew, the
// hub ends with what one read of the last state gives: exactly that with delete_missing, and at least that without.
func TestSyncsAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		folder, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(rt, err)
		deleting, keyed := rapid.Bool().Draw(rt, "delete_missing"), rapid.Bool().Draw(rt, "keyed")
		cfg := ordersIn(folder, func(b *block) {
			b.DeleteMissing = deleting
			if !keyed {
				delete(b.Columns, "key")
			}
		})
		clock := testTime.Add(-24 * time.Hour)
		files := map[string][]string{"orders-0.csv": nil}
		change := func() {
			name := fmt.Sprintf("orders-%d.csv", rapid.IntRange(0, 2).Draw(rt, "file"))
			rows := files[name]
			switch what := rapid.IntRange(0, 9).Draw(rt, "what"); {
			case what == 0 && len(files) > 1 && deleting:
				delete(files, name)
				require.NoError(rt, os.RemoveAll(filepath.Join(folder, name)))
				return
			case what <= 2 && len(rows) > 0 && deleting:
				at := rapid.IntRange(0, len(rows)-1).Draw(rt, "row")
				rows = append(append([]string{}, rows[:at]...), rows[at+1:]...)
			case what <= 6 || len(rows) == 0:
				for range rapid.IntRange(1, 4).Draw(rt, "rows") {
					rows = append(rows, fmt.Sprintf("%d,c%d,2024-03-0%d,%d", rapid.IntRange(1, 30).Draw(rt, "key"),
						rapid.IntRange(1, 2).Draw(rt, "customer"), rapid.IntRange(1, 2).Draw(rt, "day"), rapid.IntRange(1, 2).Draw(rt, "amount")))
				}
			}
			files[name] = rows
			clock = clock.Add(time.Minute)
			var b bytes.Buffer
			b.WriteString(orderHeader + "\n")
			for _, row := range rows {
				b.WriteString(row + "\n")
			}
			path := filepath.Join(folder, name)
			require.NoError(rt, os.WriteFile(path, b.Bytes(), 0o600))
			require.NoError(rt, os.Chtimes(path, clock, clock))
		}
		change()
		for len(files) == 0 || func() bool { _, err := os.Stat(filepath.Join(folder, "orders-0.csv")); return err != nil }() {
			files["orders-0.csv"] = nil
			require.NoError(rt, os.WriteFile(filepath.Join(folder, "orders-0.csv"), []byte(orderHeader+"\n"), 0o600))
			require.NoError(rt, os.Chtimes(filepath.Join(folder, "orders-0.csv"), clock, clock))
		}
		s := newSource(tableOrders)
		h := &hub{stored: map[string]string{}, seen: map[string]bool{}}
		limit := rapid.IntRange(1, 5).Draw(rt, "page")
		for range rapid.IntRange(1, 5).Draw(rt, "syncs") {
			h.sync(rt, s, cfg, limit, func(page int) {
				switch rapid.IntRange(0, 6).Draw(rt, "between") {
				case 0:
					s = newSource(tableOrders) // the process was stopped
				case 1:
					if page < 20 {
						change()
					}
				}
			})
			for range rapid.IntRange(0, 2).Draw(rt, "changes") {
				change()
			}
		}
		h.sync(rt, s, cfg, limit, func(int) {})
		want := &hub{stored: map[string]string{}, seen: map[string]bool{}}
		want.sync(rt, newSource(tableOrders), cfg, 0, func(int) {})
		if deleting {
			require.Equal(rt, want.stored, h.stored)
			return
		}
		for key, stored := range want.stored {
			require.Equal(rt, stored, h.stored[key], key)
		}
	})
}

// TestRowsGivenAgainAffectLaterFiles: a row of an unchanged file that comes again for its day would win over what a
// later file says under its key, unless that comes again too.
func TestRowsGivenAgainAffectLaterFiles(t *testing.T) {
	folder := t.TempDir()
	cfg := ordersIn(folder, nil)
	writeFile(t, folder, "orders-1.csv", lines(orderHeader, "9,c3,2024-03-01,1"))
	writeFile(t, folder, "orders-2.csv", lines(orderHeader, "1,c1,2024-03-01,1"))
	writeFile(t, folder, "orders-3.csv", lines(orderHeader, "1,c2,2024-03-02,2"))
	first := readOrders(t, cfg)
	writeFile(t, folder, "orders-1.csv", lines(orderHeader, "9,c3,2024-03-01,1", "8,c1,2024-03-01,1"))
	second := readAll(t, newSource(tableOrders), cfg, first.next, 0)
	assert.Equal(t, []string{"9", "8", "1", "1"}, second.keys())
	assert.Equal(t, []int64{1, 1, 2, 1}, []int64{second.records[0].Sequence, second.records[1].Sequence, second.records[2].Sequence, second.records[3].Sequence})
}
