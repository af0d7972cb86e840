// Package storetest is the suite every store passes: what the hub's parts rely on, in a form that can be read as the
// store's contract.
package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/job"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// Store is a store as the hub uses it.
type Store interface {
	ingest.Store
	settle.Store
	job.Store
	EnsureWorkspace(ctx context.Context, tx store.Tx, name string, zone *time.Location, currency string) (workspace.Workspace, bool, error)
	EnsureConnection(ctx context.Context, tx store.Tx, ws store.WorkspaceID, name, renamedFrom, connector string) (workspace.Connection, error)
	EnsureStream(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, name string, kind entity.Kind, personKey bool) (workspace.Stream, error)
	MarkAllDirty(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error
	ProductsOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, streams []workspace.StreamID, ids []customer.ID) (map[customer.ID]customer.Goods, error)
	OrderDates(ctx context.Context, ws store.WorkspaceID, streams []workspace.StreamID) (map[string]int64, error)
	OwnersOn(ctx context.Context, ws store.WorkspaceID, day entity.Date, zone *time.Location) (map[customer.ID]string, error)
	OwnerNames(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (map[string]string, error)
	ResolveCustomer(ctx context.Context, ws store.WorkspaceID, id customer.ID) (customer.ID, error)
	Decisions(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([]identity.Decision, error)
	PutDecision(ctx context.Context, tx store.Tx, ws store.WorkspaceID, d identity.Decision) error
	DropDecision(ctx context.Context, tx store.Tx, ws store.WorkspaceID, d identity.Decision) error
	ExportCanonical(ctx context.Context, ws store.WorkspaceID, to io.Writer) error
	InView(ctx context.Context, f func(tx store.Tx) error) error
	FactsVersion(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (int64, error)
	ChangedSince(ctx context.Context, tx store.Tx, ws store.WorkspaceID, version int64) ([]settle.Changed, bool, error)
	Orders(ctx context.Context, tx store.Tx, ws store.WorkspaceID, streams []workspace.StreamID) (iter.Seq[kpi.OrderRow], *error)
	Refunds(ctx context.Context, tx store.Tx, ws store.WorkspaceID, streams []workspace.StreamID) (iter.Seq[kpi.RefundRow], *error)
	RowsOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, orders, refunds []workspace.StreamID, ids []customer.ID) (map[customer.ID]kpi.Rows, error)
	Close() error
}

// Clock is a clock that tests set.
type Clock struct{ T time.Time }

// Now implements store.Clock.
func (c *Clock) Now() time.Time { return c.T }

// NewClock starts at a fixed moment.
func NewClock() *Clock { return &Clock{T: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

// Run runs the suite. open returns an empty store on the clock.
func Run[S Store](t *testing.T, open func(t *testing.T, clock store.Clock) S) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, f *Fixture){
		"a transaction is whole":                transactionIsWhole,
		"a page is stored with its cursor":      pageWithCursor,
		"unchanged records write nothing (R3)":  unchangedWritesNothing,
		"a newer version wins (R2)":             newerWins,
		"what a complete read lacks is absent":  absence,
		"dead letters: one per fault":           deadLetters,
		"a lease has one holder":                leaseHolder,
		"one active run per stream":             oneActiveRun,
		"runs wait their turn":                  runsWait,
		"workspaces never meet (R10)":           workspacesNeverMeet,
		"order of arrival does not matter (R2)": orderDoesNotMatter,
		"who changed is enough to know (R11)":   changesAreEnough,
		"few changes are little work (R11)":     changesAreFew,
		"customers keep their numbers":          numbersStay,
		"a placeholder becomes a person":        placeholder,
		"refusals outlive their records (R4)":   refusalsStay,
		"a bad record holds up nobody (R1)":     badRecordHoldsUpNobody,
		"settle is claimed once":                settleClaimedOnce,
		"won deals are orders":                  wonDeals,
		"a deal that is won again and again":    dealWonAgain,
		"a won deal without a date":             dealWithoutDate,
		"amounts in other currencies":           conversions,
		"refunds use their order's rate":        refundRates,
		"refunds of what is no order":           idleRefunds,
		"rates that cannot be used":             badRates,
		"many orders wait for one rate":         manyConversions,
		"orders of nobody":                      anonymousOrders,
		"what customers bought":                 goods,
		"who looked after whom":                 owners,
		"the owner of an order":                 orderOwners,
	} {
		t.Run(name, func(t *testing.T) {
			clock := NewClock()
			s := open(t, clock)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			test(t, NewFixture(t, s, clock))
		})
	}
}

// Fixture is a workspace with a shop and a newsletter in a store.
type Fixture struct {
	Store     Store
	Clock     *Clock
	Workspace workspace.Workspace
	Shop      workspace.Connection
	Mail      workspace.Connection
	Contacts  workspace.Stream // of the shop
	Orders    workspace.Stream
	Subs      workspace.Stream // contacts of the newsletter
	Consents  workspace.Stream
	Deals     workspace.Stream // of the shop, as what follows
	Refunds   workspace.Stream
	Rates     workspace.Stream
	Owners    workspace.Stream
	Changes   workspace.Stream // of owners
	// DealRule says which deals are orders; nil for none.
	DealRule *settle.DealRule
	// ByCompany makes the company of an order its customer.
	ByCompany bool
}

// NewFixture fills an empty store.
func NewFixture(t testing.TB, s Store, clock *Clock) *Fixture {
	t.Helper()
	f := &Fixture{Store: s, Clock: clock}
	f.fill(t, "romashka")
	return f
}

func (f *Fixture) fill(t testing.TB, name string) {
	t.Helper()
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		var err error
		if f.Workspace, _, err = f.Store.EnsureWorkspace(ctx, tx, name, time.UTC, "RUB"); err != nil {
			return err
		}
		if f.Shop, err = f.Store.EnsureConnection(ctx, tx, f.Workspace.ID, "shop", "", "table"); err != nil {
			return err
		}
		if f.Mail, err = f.Store.EnsureConnection(ctx, tx, f.Workspace.ID, "mail", "", "table"); err != nil {
			return err
		}
		for _, want := range []struct {
			stream *workspace.Stream
			conn   store.ConnectionID
			name   string
			kind   entity.Kind
		}{
			{&f.Contacts, f.Shop.ID, "contacts", entity.KindContact},
			{&f.Orders, f.Shop.ID, "orders", entity.KindOrder},
			{&f.Subs, f.Mail.ID, "contacts", entity.KindContact},
			{&f.Consents, f.Mail.ID, "consents", entity.KindConsent},
			{&f.Deals, f.Shop.ID, "deals", entity.KindDeal},
			{&f.Refunds, f.Shop.ID, "refunds", entity.KindRefund},
			{&f.Rates, f.Shop.ID, "rates", entity.KindRate},
			{&f.Owners, f.Shop.ID, "owners", entity.KindOwner},
			{&f.Changes, f.Shop.ID, "changes", entity.KindOwnershipChange},
		} {
			if *want.stream, err = f.Store.EnsureStream(ctx, tx, f.Workspace.ID, want.conn, want.name, want.kind, false); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *Fixture) tx(t require.TestingT, do func(ctx context.Context, tx store.Tx) error) {
	ctx := context.Background()
	require.NoError(t, f.Store.InTx(ctx, func(tx store.Tx) error { return do(ctx, tx) }))
}

// Take stores records as one page of a stream.
func (f *Fixture) Take(t require.TestingT, stream workspace.Stream, records ...connector.Record) (stored, unchanged, deleted, ignored int64) {
	f.tx(t, func(ctx context.Context, tx store.Tx) error {
		counts, _, err := ingest.Apply(ctx, tx, f.Store, stream, records)
		stored, unchanged, deleted, ignored = counts.Stored, counts.Unchanged, counts.Deleted, counts.Ignored
		return err
	})
	return stored, unchanged, deleted, ignored
}

// Rules match by e-mail and phone.
func (f *Fixture) Rules() settle.Rules {
	rules := identity.DefaultRules()
	rules.PhoneRegion = "RU"
	return settle.Rules{Identity: rules, StrongStream: func(store.ConnectionID, string) bool { return false }, Deals: f.DealRule, ByCompany: f.ByCompany}
}

// Settle settles until nothing is dirty.
func (f *Fixture) Settle(t require.TestingT) {
	settler := &settle.Settler{Store: f.Store, Workspace: f.Workspace, Rules: f.Rules()}
	for taken := settle.BatchSize; taken == settle.BatchSize; {
		f.tx(t, func(ctx context.Context, tx store.Tx) (err error) {
			if taken, err = settler.Batch(ctx, tx); err != nil {
				return err
			}
			return f.Store.MarkFiguresDirty(ctx, tx, f.Workspace.ID)
		})
	}
}

// Export is the canonical form of the workspace.
func (f *Fixture) Export(t require.TestingT) string {
	var out bytes.Buffer
	require.NoError(t, f.Store.ExportCanonical(context.Background(), f.Workspace.ID, &out))
	return out.String()
}

// at is a moment some hours after the fixture's beginning.
func at(hours int) time.Time { return NewClock().T.Add(time.Duration(hours) * time.Hour) }

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// Contact is a contact record with addresses.
func Contact(key string, updated int, name string, addresses ...string) connector.Record {
	c := entity.Contact{Name: entity.Name{Full: name}}
	for _, a := range addresses {
		if bytes.ContainsRune([]byte(a), '@') {
			c.Emails = append(c.Emails, entity.Address{Value: a})
		} else {
			c.Phones = append(c.Phones, entity.Address{Value: a})
		}
	}
	return record(entity.KindContact, key, updated, c)
}

// Order is an order record of a contact.
func Order(key string, updated int, contact, day string, minor int64) connector.Record {
	on, err := entity.ParseDate(day)
	if err != nil {
		panic(err)
	}
	o := entity.Order{OrderedOn: &on, Amount: entity.Money{Minor: minor, Currency: "RUB"}}
	if contact != "" {
		o.Contact = &entity.Ref{Stream: "contacts", Key: contact}
	}
	return record(entity.KindOrder, key, updated, o)
}

// refundBy is a refund record, of an order or of a contact or of nobody.
func refundBy(key string, updated int, order, contact, day string, minor int64) connector.Record {
	on, err := entity.ParseDate(day)
	if err != nil {
		panic(err)
	}
	r := entity.Refund{RefundedOn: &on, Amount: entity.Money{Minor: minor, Currency: "RUB"}}
	if order != "" {
		r.Order = &entity.Ref{Stream: "orders", Key: order}
	}
	if contact != "" {
		r.Contact = &entity.Ref{Stream: "contacts", Key: contact}
	}
	return record(entity.KindRefund, key, updated, r)
}

func consentRecord(key string, updated int, email string, state entity.ConsentState) connector.Record {
	when := at(updated)
	return record(entity.KindConsent, key, updated, entity.Consent{Email: email, Channel: "email", State: state, At: &when, Source: "form"})
}

func record(kind entity.Kind, key string, updated int, e any) connector.Record {
	data, err := ingest.Canonical(kind, encode(e))
	if err != nil {
		panic(fmt.Sprintf("record of a test: %v", err))
	}
	return connector.Record{Key: key, UpdatedAt: at(updated), Data: data}
}

// gone is a tombstone.
func gone(key string, updated int) connector.Record {
	return connector.Record{Key: key, UpdatedAt: at(updated), Deleted: true}
}
