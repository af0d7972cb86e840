package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
	"github.com/regulars/regulars/internal/property"
)

// keptLedger is a ledger that takes in who changed, as the hub keeps one.
type keptLedger struct {
	ledger  *kpi.Ledger
	version int64
}

func (f *Fixture) ledgerStreams() (orders, refunds []workspace.StreamID) {
	return []workspace.StreamID{f.Orders.ID, f.Deals.ID}, []workspace.StreamID{f.Refunds.ID}
}

// Ledger is made of all rows.
func (f *Fixture) Ledger(t require.TestingT) (l *kpi.Ledger) {
	orders, refunds := f.ledgerStreams()
	require.NoError(t, f.Store.InView(context.Background(), func(tx store.Tx) error {
		sold, soldErr := f.Store.Orders(context.Background(), tx, f.Workspace.ID, orders)
		returned, returnedErr := f.Store.Refunds(context.Background(), tx, f.Workspace.ID, refunds)
		var err error
		l, _, err = kpi.Build("RUB", time.UTC, sold, returned)
		require.NoError(t, *soldErr)
		require.NoError(t, *returnedErr)
		return err
	}))
	return l
}

// takeIn brings the kept ledger up to date and returns who changed.
func (k *keptLedger) takeIn(t require.TestingT, f *Fixture) []customer.ID {
	ctx := context.Background()
	orders, refunds := f.ledgerStreams()
	var ids []customer.ID
	require.NoError(t, f.Store.InView(ctx, func(tx store.Tx) error {
		changed, known, err := f.Store.ChangedSince(ctx, tx, f.Workspace.ID, k.version)
		require.NoError(t, err)
		require.True(t, known)
		for _, c := range changed {
			ids = append(ids, c.Customer)
		}
		rows, err := f.Store.RowsOf(ctx, tx, f.Workspace.ID, orders, refunds, ids)
		require.NoError(t, err)
		k.ledger, err = k.ledger.With(time.UTC, rows)
		require.NoError(t, err)
		k.version, err = f.Store.FactsVersion(ctx, tx, f.Workspace.ID)
		return err
	}))
	return ids
}

// columns is a ledger as bytes.
func columns(l *kpi.Ledger) map[int64]string {
	all := map[int64]string{}
	for _, chunk := range l.Chunks() {
		all[chunk] = string(l.Encode(chunk))
	}
	return all
}

// changesAreEnough keeps a ledger by taking in who changed after random changes, and compares it, byte by byte, with
// one that is made of all rows.
func changesAreEnough(t *testing.T, f *Fixture) {
	n := 0
	property.Draw(t, func(rt *rapid.T) {
		n++
		one := &Fixture{Store: f.Store, Clock: f.Clock}
		one.fill(t, fmt.Sprintf("w%d", n))
		kept := keptLedger{ledger: one.Ledger(rt)}
		for _, v := range rapid.Permutation(drawVersions(rt, f)).Draw(rt, "order") {
			one.Take(rt, one.same(v.stream), v.record)
			if rapid.IntRange(0, 2).Draw(rt, "settle now") == 0 {
				one.Settle(rt)
				kept.takeIn(rt, one)
			}
		}
		one.Settle(rt)
		kept.takeIn(rt, one)
		require.Equal(rt, columns(one.Ledger(rt)), columns(kept.ledger))
	})
}

// ChangesOfOrders is a claim for random cases like changesAreEnough, about deals, rates, refunds and people who turn out to
// be nobody.
func ChangesOfOrders(s Store, clock *Clock) func(t *testing.T, random *rand.Rand) {
	n := 0
	return func(t *testing.T, random *rand.Rand) {
		t.Helper()
		n++
		f := &Fixture{Store: s, Clock: clock, ByCompany: random.IntN(4) == 0}
		f.fill(t, fmt.Sprintf("c%d", n))
		f.dealsCount(random.IntN(2) == 0)
		kept := keptLedger{ledger: f.Ledger(t)}
		for part := range slices.Chunk(randomVersions(random), 3) {
			f.takeAll(t, random, part)
			f.Settle(t)
			kept.takeIn(t, f)
		}
		require.Equal(t, columns(f.Ledger(t)), columns(kept.ledger))
	}
}

// changesAreFew counts whom a change marks: those it is about and nobody else.
func changesAreFew(t *testing.T, f *Fixture) {
	var contacts, orders []connector.Record
	for i := range 500 {
		contacts = append(contacts, Contact(fmt.Sprint(i), 1, "Somebody", fmt.Sprintf("c%d@example.com", i)))
		orders = append(orders, Order(fmt.Sprintf("o%d", i), 1, fmt.Sprint(i), "2026-02-01", 1000), Order(fmt.Sprintf("n%d", i), 1, "", "2026-02-01", 10))
	}
	for _, page := range []struct {
		stream  workspace.Stream
		records []connector.Record
	}{{f.Contacts, contacts}, {f.Orders, orders}} {
		for part := range slices.Chunk(page.records, 250) {
			f.Take(t, page.stream, part...)
		}
	}
	f.Settle(t)
	kept := keptLedger{ledger: f.Ledger(t)}
	all := kept.takeIn(t, f)
	people := len(all) - len(slices.DeleteFunc(slices.Clone(all), func(id customer.ID) bool { return id > 0 }))
	assert.Equal(t, 500, people)

	f.Settle(t)
	assert.Empty(t, kept.takeIn(t, f), "nothing changed")

	f.Take(t, f.Orders, Order("o7", 2, "7", "2026-02-02", 2000))
	f.Settle(t)
	assert.Len(t, kept.takeIn(t, f), 1, "another amount: its customer")

	f.Take(t, f.Orders, Order("o8", 2, "9", "2026-02-01", 1000))
	f.Settle(t)
	assert.Len(t, kept.takeIn(t, f), 2, "another customer: both")

	f.Take(t, f.Orders, Order("n3", 2, "", "2026-02-02", 20))
	f.Settle(t)
	assert.Len(t, kept.takeIn(t, f), 1, "a sale to nobody: its bin")

	f.Take(t, f.Refunds, refundBy("r1", 1, "o11", "12", "2026-02-03", 100))
	f.Settle(t)
	assert.Len(t, kept.takeIn(t, f), 2, "a refund: whose order it is, and whom it names")

	f.Take(t, f.Contacts, Contact("20", 2, "Somebody else", "c20@example.com"))
	f.Settle(t)
	assert.Len(t, kept.takeIn(t, f), 1, "another name: the customer")

	f.Take(t, f.Contacts, Contact("21", 2, "Somebody", "c22@example.com"))
	f.Settle(t)
	assert.Len(t, kept.takeIn(t, f), 2, "two become one: both numbers")
	require.Equal(t, columns(f.Ledger(t)), columns(kept.ledger))
}
