package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

func date(text string) *entity.Date {
	d, err := entity.ParseDate(text)
	if err != nil {
		panic(err)
	}
	return &d
}

func noon(text string) *time.Time {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	at = at.Add(12 * time.Hour)
	return &at
}

func contactRef(key string) entity.Ref { return entity.Ref{Stream: "contacts", Key: key} }

// Deal is a deal record of contact 1 that was won for 100 roubles, unless change says otherwise.
func Deal(key string, updated int, change func(d *entity.Deal)) connector.Record {
	d := entity.Deal{Contacts: []entity.Ref{contactRef("1")}, Amount: &entity.Money{Minor: 100_00, Currency: "RUB"}, Pipeline: "sales", Stage: "won", State: entity.DealWon}
	if change != nil {
		change(&d)
	}
	return record(entity.KindDeal, key, updated, d)
}

// dealsCount makes the shop's deals the orders.
func (f *Fixture) dealsCount(each bool, pipelines ...string) {
	f.DealRule = &settle.DealRule{Connection: f.Shop.ID, Stream: "deals", EachEntry: each, Pipelines: pipelines}
}

// exported are the lines of one type in the canonical form, by key.
func (f *Fixture) exported(t require.TestingT, kind string) map[string]map[string]any {
	found := map[string]map[string]any{}
	for line := range strings.Lines(f.Export(t)) {
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &v))
		if v["type"] == kind {
			key, _ := v["key"].(string)
			found[strings.TrimPrefix(key, "shop.")] = v
		}
	}
	return found
}

func wonDeals(t *testing.T, f *Fixture) {
	f.dealsCount(false, "sales")
	closed := func(d *entity.Deal) { d.ClosedOn = date("2026-02-03") }
	f.Take(t, f.Deals,
		Deal("history", 1, func(d *entity.Deal) {
			closed(d)
			d.History = []entity.StageChange{{At: *noon("2026-01-02"), Stage: "won", State: entity.DealWon}}
			d.Lines = []entity.Line{{Name: "Tea"}}
			d.Origin.Channel = "search"
		}),
		Deal("moved", 1, func(d *entity.Deal) { closed(d); d.MovedAt = noon("2026-01-09") }),
		Deal("closed", 1, func(d *entity.Deal) { closed(d); d.Amount = nil }),
		Deal("lost", 1, func(d *entity.Deal) { closed(d); d.State = entity.DealLost }),
		Deal("other", 1, func(d *entity.Deal) { closed(d); d.Pipeline = "service" }),
		Deal("company", 1, func(d *entity.Deal) {
			closed(d)
			d.Contacts, d.Company = nil, &entity.Ref{Stream: "companies", Key: "c"}
		}),
		Deal("both", 1, func(d *entity.Deal) { closed(d); d.Company = &entity.Ref{Stream: "companies", Key: "c"} }),
		Deal("nobody", 1, func(d *entity.Deal) { closed(d); d.Contacts = nil }),
	)
	f.Settle(t)
	orders := f.exported(t, "order")
	require.Len(t, orders, 6)
	for key, want := range map[string][]any{
		"history": {"2026-01-02", "history", "100.00", "shop.contacts/1"},
		"moved":   {"2026-01-09", "moved", "100.00", "shop.contacts/1"},
		"closed":  {"2026-02-03", "closed", "0.00", "shop.contacts/1"},
		"company": {"2026-02-03", "closed", "100.00", "shop.companies/c"},
		"both":    {"2026-02-03", "closed", "100.00", "shop.contacts/1"},
		"nobody":  {"2026-02-03", "closed", "100.00", nil},
	} {
		o := orders["deals/"+key]
		assert.Equal(t, want, []any{o["ordered_on"], o["date_from"], o["amount"], o["customer"]}, key)
	}
	assert.Equal(t, "search", orders["deals/history"]["channel"])
	dates, err := f.Store.OrderDates(t.Context(), f.Workspace.ID, []workspace.StreamID{f.Deals.ID})
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"history": 1, "moved": 1, "closed": 4}, dates)

	f.Take(t, f.Deals, Deal("history", 2, func(d *entity.Deal) { closed(d); d.State = entity.DealOpen }), gone("moved", 2))
	f.Settle(t)
	orders = f.exported(t, "order")
	assert.NotContains(t, orders, "deals/history", "a deal moved out of won is no order any more")
	assert.NotContains(t, orders, "deals/moved")

	f.ByCompany = true
	f.markAll(t)
	f.Settle(t)
	assert.Equal(t, "shop.companies/c", f.exported(t, "order")["deals/both"]["customer"])
	f.DealRule = nil
	f.markAll(t)
	f.Settle(t)
	assert.Empty(t, f.exported(t, "order"), "the workspace takes its orders from elsewhere")
	assert.Empty(t, f.exported(t, "customer"), "nobody else named these customers")
}

// markAll marks every live record for settle, as a changed rule does.
func (f *Fixture) markAll(t require.TestingT) {
	f.tx(t, func(ctx context.Context, tx store.Tx) error { return f.Store.MarkAllDirty(ctx, tx, f.Workspace.ID) })
}

func dealWonAgain(t *testing.T, f *Fixture) {
	f.dealsCount(true)
	history := []entity.StageChange{
		{At: *noon("2026-01-02"), Stage: "won", State: entity.DealWon},
		{At: *noon("2026-01-20"), Stage: "new", State: entity.DealOpen},
		{At: *noon("2026-02-02"), Stage: "won", State: entity.DealWon},
		{At: *noon("2026-02-20"), Stage: "new", State: entity.DealOpen},
	}
	deal := func(updated, steps int) connector.Record {
		return Deal("d", updated, func(d *entity.Deal) {
			d.History = history[:steps]
			d.State = history[steps-1].State
			d.Stage = history[steps-1].Stage
			d.Lines = []entity.Line{{Name: "Service"}}
		})
	}
	dates := func() (all []string) {
		for _, key := range []string{"deals/d", "deals/d#2", "deals/d#3"} {
			if o, ok := f.exported(t, "order")[key]; ok {
				all = append(all, fmt.Sprint(o["ordered_on"]))
			}
		}
		return all
	}
	for steps, want := range [][]string{1: {"2026-01-02"}, 2: nil, 3: {"2026-01-02", "2026-02-02"}, 4: {"2026-01-02"}} {
		if steps > 0 {
			f.Take(t, f.Deals, deal(steps, steps))
			f.Settle(t)
			assert.Equal(t, want, dates(), "after %d steps", steps)
		}
	}
	// A refund names the second win by its own key.
	f.Take(t, f.Deals, deal(5, 3))
	f.Take(t, f.Refunds, Refund("r", 1, "2026-03-01", 100_00, "RUB", &entity.Ref{Stream: "deals", Key: "d#2"}))
	f.Settle(t)
	assert.Nil(t, f.exported(t, "refund")["refunds/r"]["idle"])
	f.Take(t, f.Deals, deal(6, 4))
	f.Settle(t)
	assert.Equal(t, true, f.exported(t, "refund")["refunds/r"]["idle"], "the win it takes back has fallen away")
}

func dealWithoutDate(t *testing.T, f *Fixture) {
	f.dealsCount(false)
	f.Take(t, f.Deals, Deal("bad", 1, nil), Deal("good", 1, func(d *entity.Deal) { d.MovedAt = noon("2026-01-09") }))
	f.Settle(t)
	assert.Len(t, f.exported(t, "order"), 1, "one holds up nobody")
	letter := f.exported(t, "dead_letter")["deals/bad"]
	assert.Equal(t, []any{"no_date", "open"}, []any{letter["rule"], letter["state"]})
	f.Take(t, f.Deals, Deal("bad", 0, nil))
	f.Settle(t)
	assert.Len(t, f.exported(t, "dead_letter"), 1, "an older version that comes late says nothing about it")
	f.Take(t, f.Deals, Deal("bad", 2, func(d *entity.Deal) { d.ClosedOn = date("2026-01-09") }))
	f.Settle(t)
	assert.Empty(t, f.exported(t, "dead_letter"))
	assert.Len(t, f.exported(t, "order"), 2)
}

// Refund is a refund record of contact 1.
func Refund(key string, updated int, on string, minor int64, currency string, order *entity.Ref) connector.Record {
	who := contactRef("1")
	return record(entity.KindRefund, key, updated, entity.Refund{Order: order, Contact: &who, RefundedOn: date(on), Amount: entity.Money{Minor: minor, Currency: currency}})
}

// Rate is a rate record.
func Rate(key string, updated int, on, from, to, rate string) connector.Record {
	return record(entity.KindRate, key, updated, entity.Rate{On: *date(on), From: from, To: to, Rate: rate})
}

// Abroad is an order record of contact 1 in another currency.
func Abroad(key string, updated int, on string, minor int64, currency string) connector.Record {
	who := contactRef("1")
	return record(entity.KindOrder, key, updated, entity.Order{Contact: &who, OrderedOn: date(on), Amount: entity.Money{Minor: minor, Currency: currency}})
}

func conversions(t *testing.T, f *Fixture) {
	base := func(key string) any { return f.exported(t, "order")["orders/"+key]["base"] }
	f.Take(t, f.Orders, Abroad("o", 1, "2026-02-10", 10_00, "USD"), Abroad("old", 1, "2026-02-11", 10_00, "USD"), Abroad("zero", 1, "2026-02-10", 0, "USD"))
	f.Settle(t)
	assert.Nil(t, base("o"), "no rate is no sum")
	f.Take(t, f.Rates, Rate("1", 1, "2026-02-03", "USD", "RUB", "90"))
	f.Settle(t)
	assert.EqualValues(t, 900_00, base("o"), "a rate seven days old still counts, also when it comes after the order")
	assert.Nil(t, base("old"), "an older one does not")
	f.Take(t, f.Rates, Rate("2", 1, "2026-02-09", "RUB", "USD", "0.01"))
	f.Settle(t)
	assert.EqualValues(t, 1000_00, base("o"), "the last day wins, and the rate the other way round will do")
	f.Take(t, f.Rates, Rate("3", 1, "2026-02-09", "USD", "RUB", "95.5"), Rate("4", 1, "2026-02-12", "USD", "RUB", "70"))
	f.Settle(t)
	assert.EqualValues(t, 955_00, base("o"), "of one day the direct rate is taken; tomorrow's never")
	f.Take(t, f.Rates, Rate("3", 2, "2026-02-09", "USD", "RUB", "95.6"))
	f.Settle(t)
	assert.EqualValues(t, 956_00, base("o"), "a corrected rate counts as if it had come first")
	f.Take(t, f.Rates, Rate("3", 3, "2026-02-10", "EUR", "RUB", "100"))
	f.Settle(t)
	assert.EqualValues(t, 1000_00, base("o"), "a rate that has become another's is none for this pair")
	f.Take(t, f.Rates, gone("1", 2), gone("2", 2))
	f.Settle(t)
	assert.Nil(t, base("o"))
}

func refundRates(t *testing.T, f *Fixture) {
	base := func(key string) any { return f.exported(t, "refund")["refunds/"+key]["base"] }
	order := &entity.Ref{Stream: "orders", Key: "o"}
	f.Take(t, f.Rates, Rate("1", 1, "2026-02-10", "USD", "RUB", "90"), Rate("2", 1, "2026-02-20", "USD", "RUB", "100"))
	f.Take(t, f.Refunds, Refund("linked", 1, "2026-02-20", -5_00, "USD", order), Refund("alone", 1, "2026-02-20", 5_00, "USD", nil))
	f.Settle(t)
	assert.EqualValues(t, 500_00, base("linked"), "its own day while the order is not known; a negative amount is what was given back too")
	f.Take(t, f.Orders, Abroad("o", 1, "2026-02-10", 1_00, "USD"))
	f.Settle(t)
	assert.EqualValues(t, 450_00, base("linked"), "the order's day, though the order came later and was smaller")
	assert.EqualValues(t, 500_00, base("alone"))
	f.Take(t, f.Rates, Rate("1", 2, "2026-02-10", "USD", "RUB", "91"))
	f.Settle(t)
	assert.EqualValues(t, 455_00, base("linked"))
	f.Take(t, f.Orders, gone("o", 2))
	f.Settle(t)
	assert.EqualValues(t, 500_00, base("linked"))
}

func idleRefunds(t *testing.T, f *Fixture) {
	f.dealsCount(false)
	idle := func(key string) bool { return f.exported(t, "refund")["refunds/"+key]["idle"] == true }
	order := func(updated int, cancelled bool) connector.Record {
		return record(entity.KindOrder, "o", updated, entity.Order{OrderedOn: date("2026-02-01"), Amount: entity.Money{Minor: 100, Currency: "RUB"}, Cancelled: cancelled})
	}
	f.Take(t, f.Refunds, Refund("r", 1, "2026-02-20", 100, "RUB", &entity.Ref{Stream: "orders", Key: "o"}), Refund("d", 1, "2026-02-20", 100, "RUB", &entity.Ref{Stream: "deals", Key: "d"}))
	f.Settle(t)
	assert.False(t, idle("r"), "nothing is known of the order")
	f.Take(t, f.Orders, order(1, true))
	f.Take(t, f.Deals, Deal("d", 1, func(d *entity.Deal) { d.MovedAt = noon("2026-02-01") }))
	f.Settle(t)
	assert.True(t, idle("r"), "the order is cancelled: it brought nothing that could be given back")
	assert.False(t, idle("d"))
	f.Take(t, f.Orders, order(2, false))
	f.Take(t, f.Deals, Deal("d", 2, func(d *entity.Deal) { d.State = entity.DealLost }))
	f.Settle(t)
	assert.False(t, idle("r"))
	assert.True(t, idle("d"))
	f.Take(t, f.Deals, gone("d", 3))
	f.Settle(t)
	assert.False(t, idle("d"), "of a deleted deal nothing is known")
}

func badRates(t *testing.T, f *Fixture) {
	f.Take(t, f.Rates, Rate("bad", 1, "2026-02-10", "USD", "RUB", "ninety"), Rate("zero", 1, "2026-02-10", "USD", "RUB", "0"), Rate("good", 1, "2026-02-09", "USD", "RUB", "90"))
	f.Take(t, f.Orders, Abroad("o", 1, "2026-02-10", 10_00, "USD"))
	f.Settle(t)
	assert.Len(t, f.exported(t, "dead_letter"), 2)
	assert.EqualValues(t, 900_00, f.exported(t, "order")["orders/o"]["base"])
	f.Take(t, f.Rates, Rate("good", 2, "2026-02-09", "USD", "RUB", "-1"), Rate("bad", 2, "2026-02-10", "USD", "RUB", "91"))
	f.Settle(t)
	assert.EqualValues(t, 910_00, f.exported(t, "order")["orders/o"]["base"])
	assert.Len(t, f.exported(t, "rate"), 1)
}

// manyConversions has more orders wait for a rate than one batch takes.
func manyConversions(t *testing.T, f *Fixture) {
	const many = settle.BatchSize + 10
	var orders []connector.Record
	for i := range many {
		orders = append(orders, Abroad(fmt.Sprint(i), 1, "2026-02-10", 10_00, "USD"))
	}
	f.Take(t, f.Orders, orders...)
	f.Settle(t)
	f.Take(t, f.Rates, Rate("1", 1, "2026-02-10", "USD", "RUB", "90"))
	f.Settle(t)
	converted := 0
	for _, o := range f.exported(t, "order") {
		if o["base"] != nil {
			converted++
		}
	}
	assert.Equal(t, many, converted)
}

// till is the record of a contact that may stand for everybody who gave no name.
func till(updated int, anonymous bool) connector.Record {
	return record(entity.KindContact, "1", updated, entity.Contact{
		Name: entity.Name{Full: "Retail"}, Emails: []entity.Address{{Value: "till@example.com"}}, Anonymous: anonymous,
	})
}

func anonymousOrders(t *testing.T, f *Fixture) {
	state := func() [2]any {
		return [2]any{f.exported(t, "order")["orders/o"]["customer"], len(f.exported(t, "customer"))}
	}
	f.Take(t, f.Orders, Order("o", 1, "1", "2026-01-05", 100))
	f.Settle(t)
	assert.Equal(t, [2]any{"shop.contacts/1", 1}, state(), "somebody, as far as is known")
	f.Take(t, f.Contacts, till(1, true))
	f.Settle(t)
	assert.Equal(t, [2]any{nil, 0}, state(), "the order stays, without a customer")
	f.Take(t, f.Orders, Order("later", 1, "1", "2026-01-06", 100))
	f.Settle(t)
	assert.Nil(t, f.exported(t, "order")["orders/later"]["customer"])
	f.Take(t, f.Subs, Contact("7", 1, "Anna", "till@example.com"))
	f.Settle(t)
	assert.Nil(t, f.exported(t, "order")["orders/o"]["customer"], "nobody is joined with it")
	f.Take(t, f.Contacts, till(2, false))
	f.Settle(t)
	assert.Equal(t, "mail.contacts/7", state()[0], "an ordinary record again, and Anna's")
	f.Take(t, f.Contacts, till(3, true))
	f.Settle(t)
	assert.Equal(t, [2]any{nil, 1}, state())
	assert.Contains(t, f.Export(t), `"keys":["mail.contacts/7"]`, "Anna is there without it")
	assert.NotContains(t, f.Export(t), "Retail", "and her profile too")
	f.Take(t, f.Contacts, gone("1", 4))
	f.Settle(t)
	assert.Equal(t, "shop.contacts/1", state()[0], "nothing is known of it any more")
}

func goods(t *testing.T, f *Fixture) {
	who := contactRef("1")
	order := func(key string, cancelled bool, lines ...entity.Line) connector.Record {
		return record(entity.KindOrder, key, 1, entity.Order{Contact: &who, OrderedOn: date("2026-02-01"), Amount: entity.Money{Minor: 100, Currency: "RUB"}, Cancelled: cancelled, Lines: lines})
	}
	f.Take(t, f.Orders,
		order("a", false, entity.Line{SKU: "T-1", Name: "Tea", Category: "Drinks", Quantity: "0.250", Amount: &entity.Money{Minor: 100, Currency: "RUB"}}, entity.Line{Name: "Cup"}),
		order("b", false, entity.Line{SKU: "T-1", Category: "Drinks"}),
		order("c", true, entity.Line{Name: "Kettle"}),
		Order("d", 1, "2", "2026-02-01", 100))
	f.Settle(t)
	one := f.customerOf(t, "1")
	want := customer.Goods{Products: []string{"Cup", "T-1", "Tea"}, Categories: []string{"Drinks"}}
	for _, ids := range [][]customer.ID{nil, {one}, {one, f.customerOf(t, "2")}} {
		got, err := f.Store.ProductsOf(t.Context(), nil, f.Workspace.ID, []workspace.StreamID{f.Orders.ID}, ids)
		require.NoError(t, err)
		assert.Equal(t, map[customer.ID]customer.Goods{one: want}, got)
	}
	got, err := f.Store.ProductsOf(t.Context(), nil, f.Workspace.ID, []workspace.StreamID{f.Deals.ID}, nil)
	require.NoError(t, err)
	assert.Empty(t, got, "orders of other streams")
	assert.Equal(t, []any{
		map[string]any{"sku": "T-1", "name": "Tea", "category": "Drinks", "quantity": "0.250", "amount": "1.00", "currency": "RUB"}, map[string]any{"name": "Cup"},
	}, f.exported(t, "order")["orders/a"]["lines"])
	f.Take(t, f.Orders, Order("a", 2, "1", "2026-02-01", 100), gone("b", 2))
	f.Settle(t)
	got, err = f.Store.ProductsOf(t.Context(), nil, f.Workspace.ID, []workspace.StreamID{f.Orders.ID}, nil)
	require.NoError(t, err)
	assert.Empty(t, got, "lines go with their order")
}

// customerOf is the customer that a contact of the shop belongs to.
func (f *Fixture) customerOf(t require.TestingT, key string) (id customer.ID) {
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		node, err := f.Store.FindNode(ctx, tx, f.Workspace.ID, f.Contacts.ID, key)
		id = node.Customer
		return err
	})
	return id
}

func ownerRef(key string) *entity.Ref { return &entity.Ref{Stream: "owners", Key: key} }

func owners(t *testing.T, f *Fixture) {
	change := func(key, contact string, at time.Time, from, to *entity.Ref) connector.Record {
		return record(entity.KindOwnershipChange, key, 1, entity.OwnershipChange{Record: contactRef(contact), From: from, To: to, At: at})
	}
	owned := func(key string, owner *entity.Ref) connector.Record {
		return record(entity.KindContact, key, 1, entity.Contact{Name: entity.Name{Full: "Name " + key}, Owner: owner})
	}
	// In Moscow the 2nd of January ends at 21:00 UTC.
	moscow, err := time.LoadLocation("Europe/Moscow")
	require.NoError(t, err)
	evening := time.Date(2026, 1, 2, 20, 59, 0, 0, time.UTC)
	f.Take(t, f.Changes, change("1", "1", evening, ownerRef("a"), ownerRef("b")), change("2", "1", evening.Add(time.Minute), ownerRef("b"), nil), change("3", "2", evening, nil, ownerRef("b")))
	f.Take(t, f.Contacts, owned("1", nil), owned("2", ownerRef("c")), owned("3", ownerRef("c")), owned("4", nil))
	f.Take(t, f.Owners, record(entity.KindOwner, "a", 1, entity.Owner{Name: "Alla"}), record(entity.KindOwner, "b", 1, entity.Owner{}), record(entity.KindOwner, "c", 1, entity.Owner{Name: "Clara"}))
	f.Settle(t)
	names, err := f.Store.OwnerNames(t.Context(), nil, f.Workspace.ID)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"shop.owners/a": "Alla", "shop.owners/c": "Clara"}, names)
	for day, want := range map[string][]string{
		"2026-01-01": {"a", "c", "c", ""},
		"2026-01-02": {"b", "b", "c", ""},
		"2026-01-03": {"", "b", "c", ""},
	} {
		got, err := f.Store.OwnersOn(t.Context(), f.Workspace.ID, *date(day), moscow)
		require.NoError(t, err)
		for i, owner := range want {
			if owner != "" {
				owner = "shop.owners/" + owner
			}
			assert.Equal(t, owner, got[f.customerOf(t, fmt.Sprint(i+1))], "customer %d on %s", i+1, day)
		}
	}
	f.Take(t, f.Changes, gone("2", 2))
	f.Settle(t)
	got, err := f.Store.OwnersOn(t.Context(), f.Workspace.ID, *date("2026-01-03"), moscow)
	require.NoError(t, err)
	assert.Equal(t, "shop.owners/b", got[f.customerOf(t, "1")])
}

func orderOwners(t *testing.T, f *Fixture) {
	owner := func(key string) any { return f.exported(t, "order")["orders/"+key]["owner"] }
	order := func(key string, own *entity.Ref) connector.Record {
		return record(entity.KindOrder, key, 1, entity.Order{OrderedOn: date("2026-02-01"), Amount: entity.Money{Minor: 100, Currency: "RUB"}, Owner: own, Deal: &entity.Ref{Stream: "deals", Key: "d"}})
	}
	f.Take(t, f.Orders, order("own", ownerRef("a")), order("deal's", nil))
	f.Settle(t)
	assert.Equal(t, []any{"a", nil}, []any{owner("own"), owner("deal's")})
	f.Take(t, f.Deals, Deal("d", 1, func(d *entity.Deal) { d.Owner = ownerRef("b") }))
	f.Settle(t)
	assert.Equal(t, []any{"a", "b"}, []any{owner("own"), owner("deal's")}, "the deal came later")
	f.Take(t, f.Deals, gone("d", 2))
	f.Settle(t)
	assert.Equal(t, []any{"a", nil}, []any{owner("own"), owner("deal's")})
}
