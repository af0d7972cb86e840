package kpi_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/internal/property"
)

// ids are of several parts and chunks, of nobody too.
var ids = []customer.ID{-3000, -2, -1, 0, 1, 2, 3, 15, 16, 17, 1023, 1024, 1025, 5000}

func pick[T any](random *rand.Rand, all ...T) T { return all[random.IntN(len(all))] }

// someRows makes the rows of one id; n keeps the keys of different makings apart.
func someRows(random *rand.Rand, id customer.ID, n int) kpi.Rows {
	var rows kpi.Rows
	for i := range random.IntN(6) {
		row := kpi.OrderRow{
			Customer: id, Connection: store.ConnectionID(1 + random.IntN(3)), Stream: "orders", Key: fmt.Sprintf("%d/%d/%d", n, id, i),
			On: entity.Date(10000 + random.IntN(900)), Sequence: int64(random.IntN(3)),
			Base:      pick[int64](random, 0, 1, 100, 100, 2500, 7777, -1),
			Converted: random.IntN(8) > 0, Channel: pick(random, "", "shop", "search"),
			Owner: pick(random, "", "7"), City: pick(random, "", "Пермь", "Тверь", "Уфа"),
		}
		if random.IntN(2) == 0 {
			row.At = row.On.Start(time.UTC).Add(time.Duration(random.IntN(3)) * time.Hour)
		}
		rows.Orders = append(rows.Orders, row)
	}
	for i := range random.IntN(4) {
		row := kpi.RefundRow{
			Customer: id, Connection: store.ConnectionID(1 + random.IntN(2)), Stream: "refunds", Key: fmt.Sprintf("%d/%d/%d", n, id, i),
			On: entity.Date(10000 + random.IntN(1000)), Base: pick[int64](random, 0, 1, 100, 2500), Converted: random.IntN(8) > 0,
		}
		switch {
		case random.IntN(4) == 0:
			row.Order = &store.RecordKey{Connection: 1, Stream: "orders", Key: "gone"}
		case len(rows.Orders) > 0 && random.IntN(3) > 0:
			key := keyOf(pick(random, rows.Orders...))
			row.Order = &key
		}
		rows.Refunds = append(rows.Refunds, row)
	}
	return rows
}

func flatten(rows map[customer.ID]kpi.Rows) (orders []kpi.OrderRow, refunds []kpi.RefundRow) {
	for _, of := range rows {
		orders, refunds = append(orders, of.Orders...), append(refunds, of.Refunds...)
	}
	return orders, refunds
}

func blobsOf(l *kpi.Ledger) [][]byte {
	var blobs [][]byte
	for _, chunk := range l.Chunks() {
		blobs = append(blobs, l.Encode(chunk))
	}
	return blobs
}

func someQuery(random *rand.Rand) kpi.Query {
	from := entity.Date(10000 + random.IntN(900))
	to := from + entity.Date(random.IntN(120))
	return kpi.Query{From: from, To: to, AsOf: from + entity.Date(random.IntN(300)), Window: 1 + random.IntN(150)}
}

// relativeIDs are the figures that Totals.Replace leaves alone.
var relativeIDs = map[string]bool{"top1_share": true, "top5_share": true, "top10_share": true, "hhi": true, "effective_customers": true}

func absolute(figures []kpi.Figure) []kpi.Figure {
	return slices.DeleteFunc(slices.Clone(figures), func(f kpi.Figure) bool { return relativeIDs[f.ID] })
}

// TestPropertyChangedLedgerIsTheBuiltOne changes customers at random: the ledger cannot be told from one built of the
// same rows, nor can its stored form, and totals follow (R2, R11).
func TestPropertyChangedLedgerIsTheBuiltOne(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		rows := map[customer.ID]kpi.Rows{}
		for _, id := range ids {
			if random.IntN(3) > 0 {
				rows[id] = someRows(random, id, 0)
			}
		}
		ledger, _ := build(t, first(flatten(rows)), second(flatten(rows)))
		queries := []kpi.Query{someQuery(random), someQuery(random), someQuery(random)}
		totals := ledger.Totals(queries[0])
		for n := range 3 {
			changed := map[customer.ID]kpi.Rows{}
			for range random.IntN(6) {
				id := pick(random, ids...)
				changed[id] = kpi.Rows{}
				if random.IntN(3) > 0 {
					changed[id] = someRows(random, id, n+1)
				}
			}
			maps.Copy(rows, changed)
			before := blobsOf(ledger)
			next, err := ledger.With(nil, changed)
			require.NoError(t, err)
			require.Equal(t, before, blobsOf(ledger), "the old ledger stays")
			totals.Replace(ledger, next, append(slices.Collect(maps.Keys(changed)), pick(random, ids...)))
			ledger = next
		}
		built, warnings := build(t, first(flatten(rows)), second(flatten(rows)))
		require.Equal(t, blobsOf(built), blobsOf(ledger))
		require.Equal(t, warnings, ledger.Warnings())
		require.Equal(t, built.Orders(), ledger.Orders())
		require.Equal(t, slices.Collect(built.All()), slices.Collect(ledger.All()))
		require.Equal(t, absolute(built.Figures(queries[0])), absolute(totals.Figures()))

		blobs := blobsOf(ledger)
		random.Shuffle(len(blobs), func(i, j int) { blobs[i], blobs[j] = blobs[j], blobs[i] })
		decoded, err := kpi.Decode("RUB", blobs)
		require.NoError(t, err)
		require.Equal(t, blobsOf(built), blobsOf(decoded))
		require.Equal(t, warnings, decoded.Warnings())
		require.Equal(t, slices.Collect(built.All()), slices.Collect(decoded.All()))
		for i, figures := range decoded.FiguresAt(queries) {
			require.Equal(t, built.Figures(queries[i]), figures)
			require.Equal(t, figures, ledger.Figures(queries[i]))
		}
		require.Equal(t, built.Facts(10800, 90), ledger.Facts(10800, 90))
		require.Equal(t, built.Facts(10800, 90), decoded.Facts(10800, 90))
	})
}

func first[A, B any](a A, _ B) A  { return a }
func second[A, B any](_ A, b B) B { return b }

// TestPropertyNobodyIsOneWhateverTheID compares sales to nobody under several ids with those under 0.
func TestPropertyNobodyIsOneWhateverTheID(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		var orders []kpi.OrderRow
		var refunds []kpi.RefundRow
		for _, id := range ids {
			rows := someRows(random, id, 0)
			orders, refunds = append(orders, rows.Orders...), append(refunds, rows.Refunds...)
		}
		spread, _ := build(t, orders, refunds)
		for i := range orders {
			orders[i].Customer = max(orders[i].Customer, 0)
		}
		for i := range refunds {
			refunds[i].Customer = max(refunds[i].Customer, 0)
		}
		together, _ := build(t, orders, refunds)
		q := someQuery(random)
		require.Equal(t, together.Figures(q), spread.Figures(q))
		require.Equal(t, together.Facts(q.AsOf, 90), spread.Facts(q.AsOf, 90))
	})
}

// TestPropertyFactsOfSome compares the facts of a few with those of all, and stored scores with fresh ones.
func TestPropertyFactsOfSome(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		rows := map[customer.ID]kpi.Rows{}
		for _, id := range ids {
			rows[id] = someRows(random, id, 0)
		}
		ledger, _ := build(t, first(flatten(rows)), second(flatten(rows)))
		asOf, window := entity.Date(10300+random.IntN(800)), 1+random.IntN(150)
		facts := ledger.Facts(asOf, window)
		scores := facts.Scores()
		var blobs [][]byte
		for _, chunk := range scores.Chunks() {
			blobs = append(blobs, scores.Encode(chunk))
		}
		random.Shuffle(len(blobs), func(i, j int) { blobs[i], blobs[j] = blobs[j], blobs[i] })
		decoded, err := kpi.DecodeScores(blobs)
		require.NoError(t, err)
		if len(blobs) > 0 {
			require.Equal(t, scores, decoded)
			require.Equal(t, facts, ledger.FactsOf(asOf, window, nil, decoded))
		}

		some := []customer.ID{pick(random, ids...), pick(random, ids...), 77}
		few := ledger.FactsOf(asOf, window, some, scores)
		require.LessOrEqual(t, len(few.Rows), 2)
		for _, id := range ids {
			want := facts.Of(id)
			if !slices.Contains(some, id) {
				want = nil
			}
			require.Equal(t, want, few.Of(id))
			if want != nil {
				rank, ok := facts.YearRank(want)
				fewRank, fewOK := few.YearRank(few.Of(id))
				require.Equal(t, ok, fewOK)
				require.InDelta(t, rank, fewRank, 0)
			}
		}
		unscored := ledger.FactsOf(asOf, window, nil, nil)
		require.Empty(t, unscored.RFMCustomers())
		for i := range unscored.Rows {
			_, ok := unscored.YearRank(&unscored.Rows[i])
			require.False(t, ok)
		}
	})
}

// TestPropertyNextChange looks at the following days one by one: nothing absolute changes before NextChange, and for
// customers without refunds and zero amounts something does on it.
func TestPropertyNextChange(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		id := customer.ID(5)
		rows := someRows(random, id, 0)
		plain := random.IntN(2) == 0
		if plain {
			rows.Refunds = nil
			for i := range rows.Orders {
				rows.Orders[i].Base, rows.Orders[i].Converted = 100, true
			}
		}
		ledger, _ := build(t, rows.Orders, rows.Refunds)
		asOf, window := entity.Date(10000+random.IntN(1000)), 1+random.IntN(200)
		at := func(day entity.Date) kpi.Fact {
			facts := ledger.FactsOf(day, window, []customer.ID{id}, nil)
			if len(facts.Rows) == 0 {
				return kpi.Fact{NextChange: kpi.Never}
			}
			return facts.Rows[0]
		}
		now := at(asOf)
		same := func(day entity.Date) bool {
			then := at(day)
			then.NextChange, then.SinceLast = now.NextChange, now.SinceLast
			return then == now
		}
		for day := asOf + 1; day < min(now.NextChange, asOf+1500); day++ {
			require.True(t, same(day), "day %d of %d", day-asOf, now.NextChange-asOf)
		}
		if plain && now.NextChange != kpi.Never {
			require.False(t, same(now.NextChange))
		}
	})
}

func TestDamagedBlobsAreRefused(t *testing.T) {
	ledger, _ := build(t, goldenRows().Orders, goldenRows().Refunds)
	blobs := blobsOf(ledger)
	_, err := kpi.Decode("RUB", append(blobs, blobs[0]))
	require.ErrorIs(t, err, kpi.ErrBlob)
	_, err = kpi.Decode("EUR", blobs)
	require.ErrorIs(t, err, kpi.ErrBlob)
	_, err = kpi.DecodeScores(blobs)
	require.ErrorIs(t, err, kpi.ErrBlob)
	for i := range blobs[0] {
		damaged := bytes.Clone(blobs[0])
		damaged[i] ^= 0x10
		_, err := kpi.Decode("RUB", [][]byte{damaged})
		require.ErrorIs(t, err, kpi.ErrBlob, "byte %d", i)
		_, err = kpi.Decode("RUB", [][]byte{blobs[0][:i]})
		require.ErrorIs(t, err, kpi.ErrBlob, "cut at %d", i)
	}
	empty, err := kpi.Decode("RUB", nil)
	require.NoError(t, err)
	require.Zero(t, empty.Orders())
	require.Nil(t, empty.Encode(0))

	facts := ledger.Facts(10100, 90)
	other := ledger.Facts(10101, 90)
	_, err = kpi.DecodeScores([][]byte{facts.Scores().Encode(0), other.Scores().Encode(1)})
	require.ErrorIs(t, err, kpi.ErrBlob)
}

func TestChangesThatDoNotFitASumAreRefused(t *testing.T) {
	row := func(id customer.ID) kpi.Rows {
		return kpi.Rows{Orders: []kpi.OrderRow{{Customer: id, Connection: 1, Stream: "orders", Key: "1", Base: 1 << 62, Converted: true}}}
	}
	ledger, _ := build(t, row(1).Orders, nil)
	_, err := ledger.With(nil, map[customer.ID]kpi.Rows{1: row(1)})
	require.NoError(t, err)
	_, err = ledger.With(nil, map[customer.ID]kpi.Rows{1: {}, 2000: row(2000)})
	require.NoError(t, err)
	_, err = ledger.With(nil, map[customer.ID]kpi.Rows{2000: row(2000)})
	require.ErrorIs(t, err, kpi.ErrTooMuchMoney)
}

// goldenRows have something in every column, in two chunks.
func goldenRows() kpi.Rows {
	random := rand.New(rand.NewPCG(3, 3))
	var all kpi.Rows
	for _, id := range []customer.ID{0, 1, 2, 15, 16, 1023, 1024} {
		rows := someRows(random, id, 0)
		all.Orders, all.Refunds = append(all.Orders, rows.Orders...), append(all.Refunds, rows.Refunds...)
	}
	all.Orders = append(all.Orders, kpi.OrderRow{Customer: 40, Base: -1, Converted: true})
	return all
}

// TestStoredForm pins the form of blobs: those stored by the last release must still be read, or have another version.
func TestStoredForm(t *testing.T) {
	ledger, _ := build(t, goldenRows().Orders, goldenRows().Refunds)
	var got bytes.Buffer
	for _, chunk := range ledger.Chunks() {
		fmt.Fprintf(&got, "ledger chunk %d\n%s", chunk, hex.Dump(ledger.Encode(chunk)))
	}
	scores := ledger.Facts(11000, 90).Scores()
	for _, chunk := range scores.Chunks() {
		fmt.Fprintf(&got, "scores chunk %d\n%s", chunk, hex.Dump(scores.Encode(chunk)))
	}
	const path = "testdata/blobs_v1.txt"
	if *update {
		require.NoError(t, os.WriteFile(path, got.Bytes(), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

// FuzzDecode gives Decode damaged columns under a right checksum.
func FuzzDecode(f *testing.F) {
	ledger, _ := build(f, goldenRows().Orders, goldenRows().Refunds)
	for _, blob := range blobsOf(ledger) {
		f.Add(blob[8:])
	}
	for _, chunk := range ledger.Facts(11000, 90).Scores().Chunks() {
		f.Add(ledger.Facts(11000, 90).Scores().Encode(chunk)[8:])
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if ledger, err := kpi.Decode("RUB", [][]byte{kpi.Sealed("RLG1", payload)}); err == nil {
			for _, chunk := range ledger.Chunks() {
				again, err := kpi.Decode("RUB", [][]byte{ledger.Encode(chunk)})
				require.NoError(t, err)
				require.Equal(t, ledger.Encode(chunk), again.Encode(chunk))
			}
			ledger.Figures(kpi.Query{AsOf: 10300, From: 10200, To: 10300})
			ledger.Facts(10300, 90)
			for range ledger.All() {
				continue
			}
		}
		if scores, err := kpi.DecodeScores([][]byte{kpi.Sealed("RSC1", payload)}); err == nil {
			for _, chunk := range scores.Chunks() {
				scores.Encode(chunk)
			}
		}
	})
}

// hugeShop is a shop of a million customers with ten orders each.
func hugeShop(b *testing.B) *kpi.Ledger {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	channels := []string{"search", "social", "offline", ""}
	cities := []string{"Пермь", "Тверь", "Уфа", "Омск", "Казань"}
	var blobs [][]byte
	for chunk := range int64(1_000_000 >> 10) {
		builder := kpi.NewBuilder("RUB", nil)
		for id := max(chunk<<10, 1); id < (chunk+1)<<10; id++ {
			for i := range 10 {
				builder.AddOrder(kpi.OrderRow{
					Customer: customer.ID(id), Connection: 1, Stream: "orders", Key: fmt.Sprint(i),
					On: entity.Date(18000 + random.IntN(1100)), Base: random.Int64N(1_000_000), Converted: true,
					Channel: pick(random, channels...), Owner: pick(random, "7", "8", "9"), City: pick(random, cities...),
				})
			}
		}
		part, _, err := builder.Ledger()
		require.NoError(b, err)
		blobs = append(blobs, part.Encode(chunk))
	}
	b.ResetTimer()
	ledger, err := kpi.Decode("RUB", blobs)
	require.NoError(b, err)
	return ledger
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func BenchmarkHugeDecode(b *testing.B) {
	blobs := blobsOf(hugeShop(b))
	size := 0
	for _, blob := range blobs {
		size += len(blob)
	}
	before := heap()
	var ledger *kpi.Ledger
	b.ResetTimer()
	for range b.N {
		var err error
		ledger, err = kpi.Decode("RUB", blobs)
		require.NoError(b, err)
	}
	b.StopTimer()
	b.ReportMetric(float64(heap()-before)/float64(ledger.Orders()), "heapB/order")
	runtime.KeepAlive(blobs)
	b.ReportMetric(float64(size)/float64(ledger.Orders()), "blobB/order")
}

func BenchmarkHugeWith(b *testing.B) {
	ledger := hugeShop(b)
	random := rand.New(rand.NewPCG(5, 6))
	changed := map[customer.ID]kpi.Rows{}
	for len(changed) < 1000 {
		id := customer.ID(1 + random.IntN(999_000))
		changed[id] = someRows(random, id, 1)
	}
	b.Run("with", func(b *testing.B) {
		for b.Loop() {
			_, err := ledger.With(nil, changed)
			require.NoError(b, err)
		}
	})
	next, err := ledger.With(nil, changed)
	require.NoError(b, err)
	all := slices.Collect(maps.Keys(changed))
	totals := ledger.Totals(kpi.Query{AsOf: 19000, From: 18910, To: 19000, Window: 90})
	b.Run("replace", func(b *testing.B) {
		for b.Loop() {
			totals.Replace(ledger, next, all)
			totals.Replace(next, ledger, all)
		}
	})
	b.Run("figures", func(b *testing.B) {
		for b.Loop() {
			ledger.Figures(totals.Query())
		}
	})
	b.Run("figures at five", func(b *testing.B) {
		for b.Loop() {
			ledger.FiguresAt(slices.Repeat([]kpi.Query{totals.Query()}, 5))
		}
	})
	b.Run("facts", func(b *testing.B) {
		for b.Loop() {
			ledger.Facts(19000, 90)
		}
	})
}
