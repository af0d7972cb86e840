package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// ArrivalOfOrders is a claim for random cases: orders, refunds, rates and owners come out the same whatever the order,
// batching and repetition in which versions of deals, orders, refunds, rates and contacts arrive (R2).
func ArrivalOfOrders(s Store, clock *Clock) func(t *testing.T, random *rand.Rand) {
	n := 0
	return func(t *testing.T, random *rand.Rand) {
		t.Helper()
		n++
		versions := randomVersions(random)
		each, pipelines := random.IntN(2) == 0, [][]string{nil, {"sales"}}[random.IntN(2)]
		byCompany := random.IntN(4) == 0
		var exports [2]string
		for i := range exports {
			f := &Fixture{Store: s, Clock: clock, ByCompany: byCompany}
			f.fill(t, fmt.Sprintf("w%d-%d", n, i))
			f.dealsCount(each, pipelines...)
			order := slices.Clone(versions)
			if i > 0 {
				random.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
				for range random.IntN(4) {
					order = append(order, versions[random.IntN(len(versions))])
				}
			}
			f.takeAll(t, random, order)
			exports[i] = f.Export(t)
		}
		require.Equal(t, exports[0], exports[1])
	}
}

// arrival is one version of one record of a stream by name.
type arrival struct {
	stream string
	record connector.Record
}

// takeAll takes versions one after the other and settles now and then, and at the end.
func (f *Fixture) takeAll(t *testing.T, random *rand.Rand, order []arrival) {
	byName := map[string]workspace.Stream{}
	for _, stream := range []workspace.Stream{f.Contacts, f.Orders, f.Deals, f.Refunds, f.Rates, f.Changes} {
		byName[stream.Name] = stream
	}
	settler := &settle.Settler{Store: f.Store, Workspace: f.Workspace, Rules: f.Rules()}
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		for i, v := range order {
			if _, _, err := ingest.Apply(ctx, tx, f.Store, byName[v.stream], []connector.Record{v.record}); err != nil {
				return err
			}
			if i < len(order)-1 && random.IntN(3) > 0 {
				continue
			}
			taken, err := settler.Batch(ctx, tx)
			if err != nil {
				return err
			}
			require.Less(t, taken, settle.BatchSize)
			again, err := f.Store.TakeDirty(ctx, tx, f.Workspace.ID, 1)
			require.Empty(t, again, "a batch that was not full leaves nothing")
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func one[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

// randomVersions makes up a few records and their changes. Each version has a time of its own, so that which one is newer
// is never a tie.
func randomVersions(random *rand.Rand) []arrival {
	day := func() string { return fmt.Sprintf("2026-02-%02d", 1+random.IntN(12)) }
	money := func() entity.Money {
		return entity.Money{Minor: random.Int64N(3) * 10_01, Currency: one(random, "RUB", "USD", "USD", "EUR")}
	}
	person := func() *entity.Ref {
		return one(random, nil, &entity.Ref{Stream: "contacts", Key: "1"}, &entity.Ref{Stream: "contacts", Key: "2"})
	}
	var versions []arrival
	for i := range 3 + random.IntN(9) {
		when, key := i+1, one(random, "1", "2")
		stream := one(random, "deals", "deals", "orders", "refunds", "rates", "contacts", "changes")
		if random.IntN(6) == 0 {
			versions = append(versions, arrival{stream, gone(key, when)})
			continue
		}
		var made connector.Record
		switch stream {
		case "deals":
			made = randomDeal(random, key, when, person(), money(), day)
		case "orders":
			o := entity.Order{OrderedOn: date(day()), Amount: money(), Contact: person(), Cancelled: random.IntN(4) == 0, Owner: one(random, nil, ownerRef("a"))}
			o.Deal = one(random, nil, &entity.Ref{Stream: "deals", Key: "1"})
			made = record(entity.KindOrder, key, when, o)
		case "refunds":
			of := one(random, nil, &entity.Ref{Stream: "orders", Key: "1"}, &entity.Ref{Stream: "deals", Key: "1"}, &entity.Ref{Stream: "deals", Key: "1#2"})
			made = record(entity.KindRefund, key, when, entity.Refund{Order: of, Contact: person(), RefundedOn: date(day()), Amount: money()})
		case "rates":
			pair := one(random, [2]string{"USD", "RUB"}, [2]string{"RUB", "USD"}, [2]string{"EUR", "RUB"})
			made = Rate(key, when, day(), pair[0], pair[1], one(random, "90", "91.5", "0.0123", "none"))
		case "contacts":
			c := entity.Contact{Name: entity.Name{Full: "Name " + key}, Anonymous: random.IntN(3) == 0}
			c.Emails = entity.Addresses(one(random, "", "a@example.com", "b@example.com"))
			made = record(entity.KindContact, key, when, c)
		case "changes":
			made = record(entity.KindOwnershipChange, key, when, entity.OwnershipChange{Record: contactRef("1"), To: one(random, nil, ownerRef("a"), ownerRef("b")), At: *noon(day())})
		}
		versions = append(versions, arrival{stream, made})
	}
	return versions
}

func randomDeal(random *rand.Rand, key string, when int, contact *entity.Ref, amount entity.Money, day func() string) connector.Record {
	moment := func() *time.Time { return one(random, nil, noon(day())) }
	d := entity.Deal{State: one(random, entity.DealWon, entity.DealWon, entity.DealLost), Pipeline: one(random, "sales", "sales", "service"), MovedAt: moment(), ClosedAt: moment(), HistoryFrom: moment()}
	if contact != nil {
		d.Contacts = []entity.Ref{*contact}
	}
	if random.IntN(3) > 0 {
		d.Amount = &amount
	}
	for range random.IntN(5) {
		d.History = append(d.History, entity.StageChange{At: *noon(day()), Stage: "s", State: one(random, entity.DealOpen, entity.DealWon)})
	}
	if random.IntN(3) == 0 {
		d.Lines = []entity.Line{{Name: "Tea"}}
	}
	d.Company = one(random, nil, &entity.Ref{Stream: "companies", Key: "c"})
	d.Owner = one(random, nil, ownerRef("a"), ownerRef("b"))
	return record(entity.KindDeal, key, when, d)
}
