package activation_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/activation"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
	"github.com/regulars/regulars/hub/workspace"
)

type fakeClock struct{ now time.Time }

func (c *fakeClock) Now() time.Time { return c.now }

// failer is what testing.T and rapid.T have in common.
type failer interface {
	require.TestingT
	Helper()
}

// world is a workspace with a CRM, a newsletter tool that only knows addresses, and a mailer to write to; settled by
// the real settle in a real store.
type world struct {
	t          failer
	ctx        context.Context
	clock      *fakeClock
	store      *sqlite.Store
	ws         workspace.Workspace
	crm, news  workspace.Connection
	mail       workspace.Connection
	contacts   workspace.Stream
	companies  workspace.Stream
	consents   workspace.Stream
	addresses  workspace.Stream // the newsletter tool's consents
	settler    *settle.Settler
	mailer     *mailer
	engine     *activation.Engine
	def        activation.Definition
	notReady   string
	values     map[customer.ID]map[string]string
	onHold     func() (cancel bool, err error)
	lastRun    run.Run
	trigger    string
	records    map[string]int64
	membership map[string]bool
}

const (
	listName = "Клиенты"
	segment  = "sleeping"
)

func newWorld(t *testing.T) *world {
	clock, s := openStore(t)
	return settleIn(t, s, clock, "romashka")
}

func openStore(t *testing.T) (*fakeClock, *sqlite.Store) {
	clock := &fakeClock{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), clock)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return clock, s
}

// settleIn makes a world in a workspace of its own.
func settleIn(t failer, s *sqlite.Store, clock *fakeClock, name string) *world {
	ctx := context.Background()
	w := &world{t: t, ctx: ctx, clock: clock, store: s, mailer: newMailer(), records: map[string]int64{}, membership: map[string]bool{}}
	require.NoError(t, s.InTx(ctx, func(tx store.Tx) (err error) {
		if w.ws, _, err = s.EnsureWorkspace(ctx, tx, name, time.UTC, "RUB"); err != nil {
			return err
		}
		for connName, conn := range map[string]*workspace.Connection{"crm": &w.crm, "news": &w.news, "mail": &w.mail} {
			if *conn, err = s.EnsureConnection(ctx, tx, w.ws.ID, connName, "", "test"); err != nil {
				return err
			}
		}
		for _, stream := range []struct {
			into *workspace.Stream
			conn workspace.Connection
			name string
			kind entity.Kind
		}{
			{&w.contacts, w.crm, "contacts", entity.KindContact},
			{&w.companies, w.crm, "companies", entity.KindCompany},
			{&w.consents, w.crm, "consents", entity.KindConsent},
			{&w.addresses, w.news, "consents", entity.KindConsent},
		} {
			if *stream.into, err = s.EnsureStream(ctx, tx, w.ws.ID, stream.conn.ID, stream.name, stream.kind, false); err != nil {
				return err
			}
		}
		return nil
	}))
	w.settler = &settle.Settler{Store: s, Workspace: w.ws, Rules: settle.Rules{
		Identity: identity.DefaultRules(), StrongStream: func(store.ConnectionID, string) bool { return false },
	}}
	w.def = activation.Definition{
		ID: "win-back", Segment: segment, Connection: w.mail.ID, ConnectionName: "mail", Target: listName, Mode: activation.Mirror, Channel: "email",
		Spec:   connector.TargetSpec{Kind: "list", Channel: "email", Readback: true, CanCreate: true, Identity: "email", Idempotent: true},
		Fields: map[string]string{"Name": "greeting_name"}, FirstPushApproved: true, MaxShare: activation.DefaultMaxShare, MaxCount: activation.DefaultMaxCount,
		Consent: consent.Policy{SystemOfRecord: []store.ConnectionID{w.crm.ID}},
	}
	w.engine = &activation.Engine{
		Store: s, Destination: w.mailer, Readiness: w, Fields: w, Clock: clock, Log: slog.New(slog.DiscardHandler),
		Backoff: func() backoff.BackOff { return &backoff.ZeroBackOff{} },
	}
	w.members()
	return w
}

// Ready implements activation.Readiness.
func (w *world) Ready(context.Context, workspace.Workspace, activation.Definition) (string, error) {
	return w.notReady, nil
}

// Values implements activation.FieldSource.
func (w *world) Values(context.Context, workspace.Workspace, []string, []customer.ID) (map[customer.ID]map[string]string, error) {
	return w.values, nil
}

// put stores and settles a record; a nil entity deletes it.
func (w *world) put(stream workspace.Stream, key string, e any) {
	w.t.Helper()
	put := ingest.Put{ID: w.records[stream.Name+string(rune(stream.ID))+key], Key: key, UpdatedAt: w.clock.now, Hash: []byte(key), Deleted: e == nil}
	if e != nil {
		data, err := json.Marshal(e)
		require.NoError(w.t, err)
		put.Data = data
	}
	require.NoError(w.t, w.store.InTx(w.ctx, func(tx store.Tx) error {
		ids, err := w.store.PutRecords(w.ctx, tx, stream, []ingest.Put{put})
		if err != nil {
			return err
		}
		w.records[stream.Name+string(rune(stream.ID))+key] = ids[0]
		_, err = w.settler.Batch(w.ctx, tx)
		return err
	}))
}

// person makes a contact of the CRM.
func (w *world) person(key string, emails ...string) {
	w.t.Helper()
	c := entity.Contact{Name: entity.Name{Full: "Name " + key, First: key}}
	for _, email := range emails {
		c.Emails = append(c.Emails, entity.Address{Value: email})
	}
	w.put(w.contacts, key, c)
}

// says records what a contact decided about marketing by e-mail, now.
func (w *world) says(key string, state entity.ConsentState) {
	w.t.Helper()
	w.tick()
	at := w.clock.now
	w.put(w.consents, key+at.Format(time.RFC3339Nano), entity.Consent{Contact: &entity.Ref{Stream: "contacts", Key: key}, Channel: "email", Purpose: "marketing", State: state, At: &at, Source: "form"})
}

// willing makes contacts that have agreed, all members of the segment.
func (w *world) willing(keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		w.person(key, key+"@x.ru")
		w.says(key, entity.OptedIn)
	}
	w.members(append(w.segment(), keys...)...)
}

func (w *world) tick() { w.clock.now = w.clock.now.Add(time.Minute) }

// id returns the customer of a contact.
func (w *world) id(key string) customer.ID {
	w.t.Helper()
	return w.idIn(w.contacts, key)
}

func (w *world) idIn(stream workspace.Stream, key string) customer.ID {
	w.t.Helper()
	node, err := w.store.FindNode(w.ctx, nil, w.ws.ID, stream.ID, key)
	require.NoError(w.t, err)
	return node.Customer
}

func (w *world) segment() []string {
	var keys []string
	for key, in := range w.membership {
		if in {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// members makes contacts the only members of the segment.
func (w *world) members(keys ...string) {
	w.t.Helper()
	clear(w.membership)
	var ids []customer.ID
	for _, key := range keys {
		w.membership[key] = true
		ids = append(ids, w.id(key))
	}
	w.customers(ids...)
}

func (w *world) customers(ids ...customer.ID) {
	w.t.Helper()
	before, err := w.store.Members(w.ctx, nil, w.ws.ID, segment)
	require.NoError(w.t, err)
	change := sqlite.MembershipChange{Segment: segment, RuleHash: "r", Size: len(ids), Baseline: true}
	for _, id := range ids {
		if !slices.Contains(before, id) && !slices.Contains(change.Entered, id) {
			change.Entered = append(change.Entered, id)
		}
	}
	for _, id := range before {
		if !slices.Contains(ids, id) {
			change.Left = append(change.Left, id)
		}
	}
	require.NoError(w.t, w.store.InTx(w.ctx, func(tx store.Tx) error {
		return w.store.ChangeMembership(w.ctx, tx, w.ws.ID, entity.DateIn(w.clock.now, time.UTC), change)
	}))
}

// newRun begins a run of the activation.
func (w *world) newRun() run.Run {
	w.t.Helper()
	w.tick()
	var r run.Run
	require.NoError(w.t, w.store.InTx(w.ctx, func(tx store.Tx) (err error) {
		r, _, err = w.store.AddRun(w.ctx, tx, run.Run{Workspace: w.ws.ID, Connection: w.mail.ID, Kind: run.Activation, Subject: w.def.ID, Trigger: w.trigger})
		return err
	}))
	w.lastRun = r
	return r
}

// pushRun calls Push for a run, as the job does.
func (w *world) pushRun(r run.Run) (activation.Outcome, error) {
	out, err := w.engine.Push(w.ctx, w.ws, w.def, r, func(store.Tx) (bool, error) {
		if w.onHold != nil {
			return w.onHold()
		}
		return false, nil
	})
	if err == nil && out.WaitUntil.IsZero() {
		w.end(r)
	}
	return out, err
}

func (w *world) end(r run.Run) {
	w.t.Helper()
	require.NoError(w.t, w.store.InTx(w.ctx, func(tx store.Tx) error {
		return w.store.EndRun(w.ctx, tx, w.ws.ID, r.ID, run.Done, "", "")
	}))
}

// push makes one run from beginning to end.
func (w *world) push() activation.Outcome {
	w.t.Helper()
	out, err := w.pushRun(w.newRun())
	require.NoError(w.t, err)
	return out
}

// idle pushes and demands that nothing is called for (R3).
func (w *world) idle() {
	w.t.Helper()
	writes, rows := w.mailer.writes, w.domainRows()
	out := w.push()
	require.Empty(w.t, out.Cause)
	require.Equal(w.t, writes, w.mailer.writes, "a second push must not write")
	require.Equal(w.t, rows, w.domainRows(), "a second push must not change a domain row")
}

// domainRows is all that activations keep, but for times of bookkeeping.
func (w *world) domainRows() string {
	w.t.Helper()
	var all string
	require.NoError(w.t, w.store.InTx(w.ctx, func(tx store.Tx) error {
		return w.store.SQLTx(tx).QueryRowContext(w.ctx, `SELECT
			(SELECT coalesce(group_concat(identity || activation || customer || payload_hash || sent_at || gone_at, ';'), '') FROM sent WHERE workspace = ?1) || '|' ||
			(SELECT coalesce(group_concat(id || state || message, ';'), '') FROM outbox WHERE workspace = ?1) || '|' ||
			(SELECT coalesce(group_concat(address || state || at, ';'), '') FROM remote_consent WHERE workspace = ?1) || '|' ||
			(SELECT coalesce(group_concat(approved_at || held || target, ';'), '') FROM activation_state WHERE workspace = ?1)`, w.ws.ID).Scan(&all)
	}))
	return all
}

func (w *world) ledger() []string {
	w.t.Helper()
	lines, err := w.store.SentLedger(w.ctx, w.ws.ID)
	require.NoError(w.t, err)
	var ids []string
	for _, l := range lines {
		if !l.Gone {
			ids = append(ids, l.Identity)
		}
	}
	return ids
}

// knowsRefusal says whether the store has kept a refusal that the mailer reported.
func (w *world) knowsRefusal(address string) bool {
	w.t.Helper()
	all, err := w.store.RemoteConsents(w.ctx, w.ws.ID)
	require.NoError(w.t, err)
	return slices.ContainsFunc(all, func(r activation.RemoteConsent) bool { return r.Address == address })
}
