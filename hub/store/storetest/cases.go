package storetest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
	"github.com/regulars/regulars/internal/property"
)

func transactionIsWhole(t *testing.T, f *Fixture) {
	failure := errors.New("later failure")
	err := f.Store.InTx(t.Context(), func(tx store.Tx) error {
		if _, _, err := ingest.Apply(t.Context(), tx, f.Store, f.Contacts, []connector.Record{Contact("1", 1, "Anna", "anna@example.com")}); err != nil {
			return err
		}
		return failure
	})
	require.ErrorIs(t, err, failure)
	f.Settle(t)
	assert.Empty(t, f.Export(t))
}

func pageWithCursor(t *testing.T, f *Fixture) {
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		return f.Store.SetCursor(ctx, tx, f.Contacts, connector.Cursor("page 2"), "snap")
	})
	got, err := f.Store.Stream(t.Context(), nil, f.Workspace.ID, f.Shop.ID, "contacts")
	require.NoError(t, err)
	assert.Equal(t, connector.Cursor("page 2"), got.Cursor)
	assert.Equal(t, "snap", got.Snapshot)
	assert.True(t, got.LastComplete.IsZero())
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		return f.Store.CompleteStream(ctx, tx, f.Contacts, at(1))
	})
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		return f.Store.CompleteStream(ctx, tx, f.Contacts, at(2))
	})
	got, err = f.Store.Stream(t.Context(), nil, f.Workspace.ID, f.Shop.ID, "contacts")
	require.NoError(t, err)
	assert.Equal(t, at(1), got.FirstComplete)
	assert.Equal(t, at(2), got.LastComplete)
}

func unchangedWritesNothing(t *testing.T, f *Fixture) {
	rec := Contact("1", 1, "Anna", "anna@example.com")
	stored, _, _, _ := f.Take(t, f.Contacts, rec)
	assert.EqualValues(t, 1, stored)
	f.Settle(t)
	stored, unchanged, _, _ := f.Take(t, f.Contacts, rec)
	assert.EqualValues(t, 0, stored)
	assert.EqualValues(t, 1, unchanged)
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		dirty, err := f.Store.TakeDirty(ctx, tx, f.Workspace.ID, 10)
		assert.Empty(t, dirty, "an unchanged record is not settled again")
		return err
	})
}

func newerWins(t *testing.T, f *Fixture) {
	f.Take(t, f.Contacts, Contact("1", 2, "New", "new@example.com"))
	_, _, _, ignored := f.Take(t, f.Contacts, Contact("1", 1, "Old", "old@example.com"))
	assert.EqualValues(t, 1, ignored)
	_, _, _, ignored = f.Take(t, f.Contacts, gone("1", 1))
	assert.EqualValues(t, 1, ignored, "a deletion that is older than what is stored")
	f.Settle(t)
	assert.Contains(t, f.Export(t), "new@example.com")
	stored, _, _, _ := f.Take(t, f.Contacts, Contact("1", 2, "Equal time, later read", "later@example.com"))
	assert.EqualValues(t, 1, stored)
	_, _, deleted, _ := f.Take(t, f.Contacts, gone("1", 3))
	assert.EqualValues(t, 1, deleted)
	_, _, deleted, ignored = f.Take(t, f.Contacts, gone("1", 3))
	assert.EqualValues(t, 0, deleted)
	assert.EqualValues(t, 1, ignored)
	f.Settle(t)
	assert.NotContains(t, f.Export(t), "customer")
	f.Take(t, f.Contacts, Contact("1", 4, "Back", "back@example.com"))
	f.Settle(t)
	assert.Contains(t, f.Export(t), "back@example.com", "a live read revives")
}

func absence(t *testing.T, f *Fixture) {
	f.Take(t, f.Contacts, Contact("1", 1, "Anna"), Contact("2", 1, "Boris"), Contact("3", 1, "Vera"))
	ctx := t.Context()
	f.tx(t, func(_ context.Context, tx store.Tx) error {
		found, err := f.Store.Existing(ctx, tx, f.Contacts, []string{"1", "3", "none"})
		require.NoError(t, err)
		require.Len(t, found, 2)
		require.NoError(t, f.Store.MarkSeen(ctx, tx, f.Contacts, []int64{found["1"].ID, found["3"].ID, found["3"].ID}))
		some, err := f.Store.SeenAny(ctx, tx, f.Contacts)
		assert.True(t, some)
		return err
	})
	f.tx(t, func(_ context.Context, tx store.Tx) error {
		n, err := f.Store.DeleteUnseen(ctx, tx, f.Contacts)
		assert.EqualValues(t, 1, n)
		return err
	})
	f.tx(t, func(_ context.Context, tx store.Tx) error {
		some, err := f.Store.SeenAny(ctx, tx, f.Contacts)
		assert.False(t, some, "the next complete read begins with nobody seen")
		return err
	})
	f.Settle(t)
	export := f.Export(t)
	assert.Contains(t, export, "shop.contacts/1")
	assert.NotContains(t, export, "shop.contacts/2")
}

func deadLetters(t *testing.T, f *Fixture) {
	letter := ingest.DeadLetter{Stream: f.Orders.ID, Key: "7", Fingerprint: []byte("f1"), Origin: ingest.FromHub, Rule: "amount_negative", Message: "m", Raw: []byte("{}"), Run: 1}
	put := func() {
		f.tx(t, func(ctx context.Context, tx store.Tx) error {
			return f.Store.PutDeadLetters(ctx, tx, f.Workspace.ID, []ingest.DeadLetter{letter})
		})
	}
	put()
	put()
	assert.Equal(t, 1, strings.Count(f.Export(t), `"dead_letter"`), "the same fault twice is one letter")
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		return f.Store.ResolveDeadLetters(ctx, tx, f.Orders, []string{"7"})
	})
	assert.Contains(t, f.Export(t), `"state":"resolved"`)
	put()
	assert.Contains(t, f.Export(t), `"state":"open"`, "it opens again when it comes again")
}

func addRun(t *testing.T, f *Fixture, stream string) (r run.Run, added bool) {
	f.tx(t, func(ctx context.Context, tx store.Tx) (err error) {
		r, added, err = f.Store.AddRun(ctx, tx, run.Run{Workspace: f.Workspace.ID, Connection: f.Shop.ID, Kind: run.Read, Subject: stream, Mode: run.Incremental, Trigger: "hand"})
		return err
	})
	return r, added
}

func leaseHolder(t *testing.T, f *Fixture) {
	r, _ := addRun(t, f, "contacts")
	var first, second run.Lease
	f.tx(t, func(ctx context.Context, tx store.Tx) (err error) {
		first, err = f.Store.TakeLease(ctx, tx, r)
		return err
	})
	hold := func(l run.Lease) (cancel bool, err error) {
		err = f.Store.InTx(t.Context(), func(tx store.Tx) (err error) {
			cancel, err = f.Store.HoldLease(t.Context(), tx, l, f.Clock.T.Add(30*time.Second))
			return err
		})
		return cancel, err
	}
	lapsed := func(now time.Time) (n int) {
		f.tx(t, func(ctx context.Context, tx store.Tx) error {
			leases, err := f.Store.Leases(ctx, tx, now)
			n = len(leases)
			return err
		})
		return n
	}
	assert.Equal(t, 0, lapsed(f.Clock.T.Add(24*time.Hour)), "a queued lease does not lapse")
	_, err := hold(first)
	require.NoError(t, err)
	assert.Equal(t, 0, lapsed(f.Clock.T.Add(29*time.Second)))
	assert.Equal(t, 1, lapsed(f.Clock.T.Add(31*time.Second)))
	f.tx(t, func(ctx context.Context, tx store.Tx) (err error) {
		second, err = f.Store.TakeLease(ctx, tx, r)
		return err
	})
	assert.Greater(t, second.Epoch, first.Epoch)
	_, err = hold(first)
	require.ErrorIs(t, err, store.ErrLeaseLost, "the old holder writes nothing more")
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		_, err := f.Store.CancelRun(ctx, tx, f.Workspace.ID, r.ID)
		return err
	})
	cancel, err := hold(second)
	require.NoError(t, err)
	assert.True(t, cancel)
	f.tx(t, func(ctx context.Context, tx store.Tx) error { return f.Store.DropLease(ctx, tx, second) })
	_, err = hold(second)
	require.ErrorIs(t, err, store.ErrLeaseLost)
	var third run.Lease
	f.tx(t, func(ctx context.Context, tx store.Tx) (err error) {
		third, err = f.Store.TakeLease(ctx, tx, r)
		return err
	})
	assert.Greater(t, third.Epoch, second.Epoch, "an epoch is never given twice")
}

func oneActiveRun(t *testing.T, f *Fixture) {
	first, added := addRun(t, f, "contacts")
	assert.True(t, added)
	again, added := addRun(t, f, "contacts")
	assert.False(t, added)
	assert.Equal(t, first.ID, again.ID)
	_, added = addRun(t, f, "orders")
	assert.True(t, added)
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		return f.Store.EndRun(ctx, tx, f.Workspace.ID, first.ID, run.Done, "", "")
	})
	next, added := addRun(t, f, "contacts")
	assert.True(t, added)
	assert.NotEqual(t, first.ID, next.ID)
}

func runsWait(t *testing.T, f *Fixture) {
	first, _ := addRun(t, f, "contacts")
	second, _ := addRun(t, f, "orders")
	next := func() (r run.Run, found bool) {
		f.tx(t, func(ctx context.Context, tx store.Tx) (err error) {
			r, found, err = f.Store.NextRun(ctx, tx, f.Shop.ID)
			return err
		})
		return r, found
	}
	r, found := next()
	require.True(t, found)
	assert.Equal(t, first.ID, r.ID)
	var lease run.Lease
	f.tx(t, func(ctx context.Context, tx store.Tx) (err error) {
		lease, err = f.Store.TakeLease(ctx, tx, first)
		return err
	})
	_, found = next()
	assert.False(t, found, "the connection is held")
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		if err := f.Store.DropLease(ctx, tx, lease); err != nil {
			return err
		}
		return f.Store.WaitRun(ctx, tx, f.Workspace.ID, first.ID, f.Clock.T.Add(time.Minute), 1, "wait", "rate_limited")
	})
	r, found = next()
	require.True(t, found)
	assert.Equal(t, second.ID, r.ID, "while one waits, the next may go")
	wake := func(now time.Time) (n int) {
		f.tx(t, func(ctx context.Context, tx store.Tx) error {
			conns, err := f.Store.WakeRuns(ctx, tx, now)
			n = len(conns)
			return err
		})
		return n
	}
	assert.Equal(t, 0, wake(f.Clock.T.Add(59*time.Second)))
	assert.Equal(t, 1, wake(f.Clock.T.Add(time.Minute)))
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		return f.Store.PauseConnection(ctx, tx, f.Workspace.ID, f.Shop.ID, "token revoked")
	})
	_, found = next()
	assert.False(t, found, "a paused connection gets nothing")
	left, err := f.Store.Run(t.Context(), nil, f.Workspace.ID, second.ID)
	require.NoError(t, err)
	assert.Equal(t, run.Cancelled, left.State, "what waited for it has ended")
	assert.Contains(t, left.Cause, "token revoked")
}

func workspacesNeverMeet(t *testing.T, f *Fixture) {
	other := &Fixture{Store: f.Store, Clock: f.Clock}
	other.fill(t, "vasilek")
	for _, one := range []*Fixture{f, other} {
		one.Take(t, one.Contacts, Contact("1", 1, "Same person", "same@example.com", "+79161234567"))
		one.Take(t, one.Orders, Order("1", 1, "1", "2026-01-05", 1000))
		one.Take(t, one.Consents, consentRecord("1", 1, "same@example.com", entity.OptedOut))
		one.Settle(t)
	}
	assert.Equal(t, f.Export(t), other.Export(t))
	assert.Equal(t, 1, strings.Count(f.Export(t), `"type":"customer"`))
	other.Take(t, other.Contacts, gone("1", 2))
	other.Take(t, other.Orders, gone("1", 2))
	other.Settle(t)
	assert.Contains(t, f.Export(t), "Same person")
	assert.NotContains(t, other.Export(t), "Same person")
	_, err := f.Store.Run(t.Context(), nil, other.Workspace.ID, 1)
	require.ErrorIs(t, err, store.ErrNotFound)
}

// version is one version of one record of a stream.
type version struct {
	stream workspace.Stream
	record connector.Record
}

// orderDoesNotMatter takes the same versions in random orders, batches and repetitions, and compares the outcome.
func orderDoesNotMatter(t *testing.T, f *Fixture) {
	n := 0
	property.Draw(t, func(rt *rapid.T) {
		n++
		versions := drawVersions(rt, f)
		exports := make([]string, 2)
		for i := range exports {
			one := &Fixture{Store: f.Store, Clock: f.Clock}
			one.fill(t, fmt.Sprintf("w%d-%d", n, i))
			order := versions
			if i > 0 {
				order = rapid.Permutation(versions).Draw(rt, "order")
				order = append(order, rapid.SliceOfN(rapid.SampledFrom(versions), 0, 5).Draw(rt, "repeated")...)
			}
			for _, v := range order {
				one.Take(rt, one.same(v.stream), v.record)
				if rapid.IntRange(0, 3).Draw(rt, "settle now") == 0 {
					one.Settle(rt)
				}
			}
			one.Settle(rt)
			exports[i] = one.Export(rt)
		}
		require.Equal(rt, exports[0], exports[1])
	})
}

// same is the stream of this fixture that plays the part a stream plays in another.
func (f *Fixture) same(s workspace.Stream) workspace.Stream {
	for _, own := range []workspace.Stream{f.Contacts, f.Orders, f.Refunds, f.Subs, f.Consents} {
		if own.Name == s.Name && (own.Connection == f.Shop.ID) == (s.Snapshot == "shop") {
			return own
		}
	}
	panic("no such stream in the fixture")
}

// drawVersions makes up people with shared addresses, their orders, and changes and deletions of both. Each version
// has a time of its own, so that which one is newer is never a tie.
func drawVersions(rt *rapid.T, f *Fixture) []version {
	shop, subs, orders, refunds := f.Contacts, f.Subs, f.Orders, f.Refunds
	shop.Snapshot, orders.Snapshot, refunds.Snapshot = "shop", "shop", "shop" // marks the connection for same
	addresses := []string{"a@example.com", "b@example.com", "c@example.com", "+79161234567", "+79161234568", "+79161234569"}
	var all []version
	count := rapid.IntRange(1, 12).Draw(rt, "versions")
	for i := range count {
		when := i + 1
		key := rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(rt, "key")
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(addresses), 0, 2, rapid.ID[string]).Draw(rt, "addresses")
		switch rapid.IntRange(0, 7).Draw(rt, "what") {
		case 0, 1:
			all = append(all, version{shop, Contact(key, when, "Shop "+key, some...)})
		case 2:
			all = append(all, version{subs, Contact(key, when, "Sub "+key, some...)})
		case 3:
			all = append(all, version{rapid.SampledFrom([]workspace.Stream{shop, subs}).Draw(rt, "where"), gone(key, when)})
		case 4:
			all = append(all, version{orders, Order("o"+key, when, rapid.SampledFrom([]string{"", "1", "2", "5"}).Draw(rt, "buyer"), "2026-02-01", int64(when)*100)})
		case 5:
			all = append(all, version{orders, gone("o"+key, when)})
		case 6:
			order := rapid.SampledFrom([]string{"", "o1", "o2", "o9"}).Draw(rt, "refunded")
			all = append(all, version{refunds, refundBy("r"+key, when, order, rapid.SampledFrom([]string{"", "1", "3"}).Draw(rt, "returner"), "2026-02-03", int64(when)*50)})
		default:
			all = append(all, version{refunds, gone("r"+key, when)})
		}
	}
	return all
}

var customerNumber = regexp.MustCompile(`"customer":(\d+)`)

func numbersStay(t *testing.T, f *Fixture) {
	numbers := func(records ...store.RecordKey) (ids []int64) {
		f.tx(t, func(ctx context.Context, tx store.Tx) error {
			for _, k := range records {
				stream, err := f.Store.Stream(ctx, tx, f.Workspace.ID, k.Connection, k.Stream)
				require.NoError(t, err)
				node, err := f.Store.FindNode(ctx, tx, f.Workspace.ID, stream.ID, k.Key)
				require.NoError(t, err)
				ids = append(ids, int64(node.Customer))
			}
			return nil
		})
		return ids
	}
	anna := store.RecordKey{Connection: f.Shop.ID, Stream: "contacts", Key: "1"}
	twin := store.RecordKey{Connection: f.Mail.ID, Stream: "contacts", Key: "1"}
	f.Take(t, f.Contacts, Contact("1", 1, "Anna", "anna@example.com"))
	f.Settle(t)
	f.Take(t, f.Subs, Contact("1", 1, "A.", "+79161234567"))
	f.Settle(t)
	before := numbers(anna, twin)
	assert.NotEqual(t, before[0], before[1])
	f.Take(t, f.Subs, Contact("1", 2, "A.", "+79161234567", "anna@example.com"))
	f.Settle(t)
	joined := numbers(anna, twin)
	assert.Equal(t, []int64{before[0], before[0]}, joined, "the older number stays")
	f.Take(t, f.Subs, Contact("1", 3, "A.", "+79161234567"))
	f.Settle(t)
	assert.Equal(t, before, numbers(anna, twin), "a split gives the numbers back")
	assert.Empty(t, customerNumber.FindString(f.Export(t)), "exports hold no numbers of the store")
}

func placeholder(t *testing.T, f *Fixture) {
	f.Take(t, f.Orders, Order("o1", 1, "9", "2026-01-05", 500), Order("o2", 1, "", "2026-01-05", 700))
	f.Settle(t)
	export := f.Export(t)
	assert.Contains(t, export, `{"type":"customer","keys":["shop.contacts/9"]`)
	assert.Equal(t, 1, strings.Count(export, `"type":"customer"`), "a sale to nobody known makes no customer")
	f.Take(t, f.Contacts, Contact("9", 1, "Nina", "nina@example.com"))
	f.Settle(t)
	assert.Contains(t, f.Export(t), "nina@example.com")
	f.Take(t, f.Contacts, gone("9", 2))
	f.Settle(t)
	export = f.Export(t)
	assert.Contains(t, export, "shop.contacts/9", "the order still names them")
	assert.NotContains(t, export, "nina@example.com")
	f.Take(t, f.Orders, gone("o1", 2))
	f.Settle(t)
	assert.NotContains(t, f.Export(t), "shop.contacts/9")
}

func refusalsStay(t *testing.T, f *Fixture) {
	f.Take(t, f.Consents, consentRecord("1", 1, "anna@example.com", entity.OptedOut))
	f.Settle(t)
	f.Take(t, f.Consents, gone("1", 2))
	f.Settle(t)
	assert.Contains(t, f.Export(t), `"type":"refusal"`)
	assert.NotContains(t, f.Export(t), `"type":"consent"`)
}

func badRecordHoldsUpNobody(t *testing.T, f *Fixture) {
	bad := Contact("bad", 1, "Bad")
	bad.Data = []byte(`{"name": 7}`)
	f.Take(t, f.Contacts, bad, Contact("good", 1, "Good"))
	f.Settle(t)
	export := f.Export(t)
	assert.Contains(t, export, "shop.contacts/good")
	assert.Contains(t, export, `"rule":"json_type"`)
}

func settleClaimedOnce(t *testing.T, f *Fixture) {
	claim := func() (claimed bool) {
		f.tx(t, func(ctx context.Context, tx store.Tx) (err error) {
			claimed, err = f.Store.ClaimSettle(ctx, tx, f.Workspace.ID)
			return err
		})
		return claimed
	}
	assert.False(t, claim(), "nothing is dirty")
	f.Take(t, f.Contacts, Contact("1", 1, "Anna"))
	assert.True(t, claim())
	assert.False(t, claim(), "it is queued already")
	f.tx(t, func(ctx context.Context, tx store.Tx) error { return f.Store.ReleaseSettle(ctx, tx, f.Workspace.ID) })
	assert.True(t, claim())
	refresh := func() (claimed bool) {
		f.tx(t, func(ctx context.Context, tx store.Tx) (err error) {
			claimed, err = f.Store.ClaimRefresh(ctx, tx, f.Workspace.ID)
			return err
		})
		return claimed
	}
	assert.False(t, refresh(), "figures wait for settle")
	f.Settle(t)
	assert.True(t, refresh())
}
