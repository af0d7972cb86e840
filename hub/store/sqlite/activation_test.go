package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/activation"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
	"github.com/regulars/regulars/hub/workspace"
)

// stillClock stands still.
type stillClock struct{ at time.Time }

func (c stillClock) Now() time.Time { return c.at }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// client is a workspace with a CRM that knows people and a newsletter tool that knows addresses.
type client struct {
	t         *testing.T
	ctx       context.Context
	store     *sqlite.Store
	ws        workspace.Workspace
	crm, news workspace.Connection
	contacts  workspace.Stream
	consents  workspace.Stream
	addresses workspace.Stream
}

func openClients(t *testing.T, names ...string) []*client {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), stillClock{noon})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	var clients []*client
	for _, name := range names {
		c := &client{t: t, ctx: context.WithoutCancel(t.Context()), store: s}
		c.tx(func(tx store.Tx) (err error) {
			if c.ws, _, err = s.EnsureWorkspace(c.ctx, tx, name, time.UTC, "RUB"); err != nil {
				return err
			}
			if c.crm, err = s.EnsureConnection(c.ctx, tx, c.ws.ID, "crm", "", "test"); err != nil {
				return err
			}
			if c.news, err = s.EnsureConnection(c.ctx, tx, c.ws.ID, "news", "", "test"); err != nil {
				return err
			}
			if c.contacts, err = s.EnsureStream(c.ctx, tx, c.ws.ID, c.crm.ID, "contacts", entity.KindContact, false); err != nil {
				return err
			}
			if c.consents, err = s.EnsureStream(c.ctx, tx, c.ws.ID, c.crm.ID, "consents", entity.KindConsent, false); err != nil {
				return err
			}
			c.addresses, err = s.EnsureStream(c.ctx, tx, c.ws.ID, c.news.ID, "consents", entity.KindConsent, false)
			return err
		})
		clients = append(clients, c)
	}
	return clients
}

func (c *client) tx(f func(tx store.Tx) error) {
	c.t.Helper()
	require.NoError(c.t, c.store.InTx(c.ctx, f))
}

func (c *client) exec(query string, args ...any) int64 {
	c.t.Helper()
	var id int64
	c.tx(func(tx store.Tx) error {
		result, err := c.store.SQLTx(tx).ExecContext(c.ctx, query, args...)
		if err != nil {
			return err
		}
		id, err = result.LastInsertId()
		return err
	})
	return id
}

// person makes a customer of one record with addresses.
func (c *client) person(key string, addresses ...customer.Identifier) customer.ID {
	c.t.Helper()
	var id customer.ID
	c.tx(func(tx store.Tx) error {
		node, err := c.store.EnsureNode(c.ctx, tx, c.ws.ID, c.crm.ID, "contacts", key, customer.Person)
		if err != nil {
			return err
		}
		var links []settle.Link
		for _, a := range addresses {
			links = append(links, settle.Link{Identifier: a, Matches: true})
		}
		if err := c.store.SetLinks(c.ctx, tx, c.ws.ID, node.ID, links); err != nil {
			return err
		}
		if id, err = c.store.NewCustomer(c.ctx, tx, c.ws.ID, customer.Person, node.Key); err != nil {
			return err
		}
		return c.store.SetMembers(c.ctx, tx, c.ws.ID, []settle.Member{{Node: node.ID, Customer: id}})
	})
	return id
}

func email(value string) customer.Identifier { return customer.Identifier{Kind: "email", Value: value} }

func phone(value string) customer.Identifier { return customer.Identifier{Kind: "phone", Value: value} }

// consent stores a settled consent record; of is the contact's key or empty.
func (c *client) consent(stream workspace.Stream, key, of, email, phone string, state entity.ConsentState) {
	c.t.Helper()
	record := c.exec(`INSERT INTO record (workspace, stream, key, hash) VALUES (?, ?, ?, x'')`, c.ws.ID, stream.ID, key)
	var node settle.NodeID
	if of != "" {
		n, err := c.store.FindNode(c.ctx, nil, c.ws.ID, c.contacts.ID, of)
		require.NoError(c.t, err)
		node = n.ID
	}
	c.tx(func(tx store.Tx) error {
		return c.store.PutConsent(c.ctx, tx, c.ws.ID, settle.Consent{
			Record: record, Stream: stream.ID, Node: node, Email: email, Phone: phone, Channel: "email", Purpose: "marketing", State: state, At: noon, Source: "form",
		})
	})
}

func keys(records []consent.Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, fmt.Sprintf("%s/%s %s", r.Key.Stream, r.Key.Key, r.State))
	}
	return all
}

func TestConsentsAreFoundWhereverTheyHang(t *testing.T) {
	clients := openClients(t, "one", "two")
	c, other := clients[0], clients[1]
	anna := c.person("a", email("anna@x.ru"), email("a2@x.ru"), phone("+79000000001"))
	boris := c.person("b", email("boris@x.ru"))
	stranger := other.person("a", email("anna@x.ru"))

	c.consent(c.consents, "of-record", "a", "", "", entity.OptedIn)
	c.consent(c.addresses, "of-address", "", "a2@x.ru", "", entity.OptedOut)
	c.consent(c.addresses, "of-phone", "", "", "+79000000001", entity.Complained)
	c.consent(c.addresses, "of-nobody", "", "nobody@x.ru", "", entity.OptedOut)
	c.consent(c.consents, "gone", "a", "", "", entity.OptedOut)
	c.consent(c.addresses, "gone-address", "", "anna@x.ru", "", entity.Bounced)
	c.tx(func(tx store.Tx) error {
		for _, key := range []string{"gone", "gone-address"} {
			var record int64
			if err := c.store.SQLTx(tx).QueryRowContext(c.ctx, `SELECT id FROM record WHERE key = ?`, key).Scan(&record); err != nil {
				return err
			}
			if err := c.store.DropFact(c.ctx, tx, c.ws.ID, record); err != nil {
				return err
			}
		}
		_, err := c.store.PutRemoteConsents(c.ctx, tx, c.ws.ID, []activation.RemoteConsent{
			{Connection: c.news.ID, Target: "l", Channel: "email", Address: "anna@x.ru", State: entity.Complained, At: noon},
			{Connection: c.crm.ID, Target: "l", Channel: "email", Address: activation.RecordAddress(c.crm.ID, "contacts", "b"), State: entity.OptedOut},
			{Connection: c.news.ID, Target: "l", Channel: "email", Address: activation.RecordAddress(c.news.ID, "contacts", "b"), State: entity.Complained},
		})
		return err
	})

	found, err := c.store.Consents(c.ctx, nil, c.ws.ID, []customer.ID{anna, boris})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{
		"consents/of-record opted_in", "consents/of-address opted_out", "consents/of-phone complained",
		"consents/gone opted_out", "consents/gone-address bounced", "members/l/anna@x.ru complained",
	}, keys(found[anna]))
	assert.Len(t, found[boris], 1, "a record of the same key elsewhere is another one")
	for _, r := range found[anna] {
		if r.Key.Key == "of-record" {
			assert.Equal(t, consent.Record{
				Key:     store.RecordKey{Connection: c.crm.ID, Stream: "consents", Key: "of-record"},
				Contact: &store.RecordKey{Connection: c.crm.ID, Stream: "contacts", Key: "a"},
				Channel: "email", Purpose: "marketing", State: entity.OptedIn, At: noon, Source: "form",
			}, r)
		}
	}

	byAddress, err := c.store.AddressConsents(c.ctx, nil, c.ws.ID, []string{"anna@x.ru", "nobody@x.ru", "+79000000001", "unheard@x.ru"})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"consents/gone-address bounced", "members/l/anna@x.ru complained"}, keys(byAddress["anna@x.ru"]))
	assert.Equal(t, []string{"consents/of-nobody opted_out"}, keys(byAddress["nobody@x.ru"]))
	assert.Equal(t, []string{"consents/of-phone complained"}, keys(byAddress["+79000000001"]))
	assert.NotContains(t, byAddress, "unheard@x.ru")

	t.Run("workspaces never meet", func(t *testing.T) {
		found, err := other.store.Consents(other.ctx, nil, other.ws.ID, []customer.ID{stranger, anna})
		require.NoError(t, err)
		assert.Empty(t, found)
		byAddress, err := other.store.AddressConsents(other.ctx, nil, other.ws.ID, []string{"anna@x.ru"})
		require.NoError(t, err)
		assert.Empty(t, byAddress)
		owners, err := other.store.AddressOwners(other.ctx, nil, other.ws.ID, "email", []string{"anna@x.ru", "boris@x.ru"})
		require.NoError(t, err)
		assert.Equal(t, map[string][]customer.ID{"anna@x.ru": {stranger}}, owners)
	})
	t.Run("in a transaction too", func(t *testing.T) {
		c.tx(func(tx store.Tx) error {
			again, err := c.store.Consents(c.ctx, tx, c.ws.ID, []customer.ID{anna, boris})
			assert.Equal(t, found, again)
			return err
		})
	})
}

func TestARemoteRefusalIsNeverForgotten(t *testing.T) {
	c := openClients(t, "one")[0]
	put := func(state entity.ConsentState, at time.Time) (changed int64) {
		c.tx(func(tx store.Tx) (err error) {
			changed, err = c.store.PutRemoteConsents(c.ctx, tx, c.ws.ID, []activation.RemoteConsent{{Connection: c.news.ID, Target: "l", Channel: "email", Address: "a@x.ru", State: state, At: at}})
			return err
		})
		return changed
	}
	states := func() []string {
		all, err := c.store.RemoteConsents(c.ctx, c.ws.ID)
		require.NoError(t, err)
		var found []string
		for _, r := range all {
			found = append(found, fmt.Sprint(r.State, " ", !r.At.IsZero() && r.At.Equal(noon.Add(time.Hour))))
		}
		return found
	}
	assert.EqualValues(t, 1, put(entity.OptedOut, noon))
	assert.Zero(t, put(entity.OptedOut, noon), "the same again writes nothing (R3)")
	assert.Zero(t, put(entity.OptedOut, noon.Add(-time.Hour)), "an earlier time says less")
	assert.EqualValues(t, 1, put(entity.OptedOut, noon.Add(time.Hour)))
	assert.EqualValues(t, 1, put(entity.Bounced, noon), "another kind stands beside it")
	assert.Equal(t, []string{"bounced false", "opted_out true"}, states())
	assert.EqualValues(t, 1, put(entity.OptedOut, time.Time{}), "an unknown time is the strictest")
	assert.Zero(t, put(entity.OptedOut, noon.Add(time.Hour)))
	assert.Equal(t, []string{"bounced false", "opted_out false"}, states())
}

func TestOwnersAndRecordKeys(t *testing.T) {
	c := openClients(t, "one")[0]
	anna := c.person("a", email("shared@x.ru"))
	boris := c.person("b", email("shared@x.ru"), phone("+79000000002"))
	c.exec(`UPDATE node SET record = 1 WHERE key = 'a'`) // boris is a reference only, without a record
	owners, err := c.store.AddressOwners(c.ctx, nil, c.ws.ID, "email", []string{"shared@x.ru", "+79000000002"})
	require.NoError(t, err)
	assert.Equal(t, map[string][]customer.ID{"shared@x.ru": {anna, boris}}, owners)
	byRecord, err := c.store.RecordOwners(c.ctx, nil, c.ws.ID, c.crm.ID, "contacts", []string{"b", "x"})
	require.NoError(t, err)
	assert.Equal(t, map[string][]customer.ID{"b": {boris}}, byRecord)
	byRecord, err = c.store.RecordOwners(c.ctx, nil, c.ws.ID, c.news.ID, "contacts", []string{"b"})
	require.NoError(t, err)
	assert.Empty(t, byRecord)
	recordKeys, err := c.store.RecordKeys(c.ctx, nil, c.ws.ID, c.crm.ID, "contacts", []customer.ID{anna, boris})
	require.NoError(t, err)
	assert.Equal(t, map[customer.ID][]string{anna: {"a"}}, recordKeys)

	c.exec(`UPDATE customer SET alias_of = ? WHERE id = ?`, anna, boris)
	customers, err := c.store.CustomersByID(c.ctx, nil, c.ws.ID, []customer.ID{boris, anna, 99})
	require.NoError(t, err)
	require.Len(t, customers, 1)
	assert.Equal(t, anna, customers[0].ID)
}

func TestActivationStateRoundTrip(t *testing.T) {
	clients := openClients(t, "one", "two")
	c := clients[0]
	state, err := c.store.ActivationState(c.ctx, nil, c.ws.ID, "win-back")
	require.NoError(t, err)
	assert.Equal(t, activation.State{}, state)
	want := activation.State{
		ApprovedAt: noon, ApprovedRun: 1, ApprovedAdds: 2, ApprovedRemovals: 3, Held: "why", HeldRun: 4, HeldAdds: 5, HeldRemovals: 6, PauseReason: "off",
		Target: "l1", TargetName: "Клиенты", ReadbackRun: 7, ReadbackCursor: []byte{1}, FirstDone: noon, LastDone: noon.Add(time.Hour),
	}
	for range 2 {
		c.tx(func(tx store.Tx) error { return c.store.PutActivationState(c.ctx, tx, c.ws.ID, "win-back", want) })
	}
	state, err = c.store.ActivationState(c.ctx, nil, c.ws.ID, "win-back")
	require.NoError(t, err)
	assert.Equal(t, want, state)
	state, err = c.store.ActivationState(c.ctx, nil, clients[1].ws.ID, "win-back")
	require.NoError(t, err)
	assert.Equal(t, activation.State{}, state)
}

func TestOutboxAndLedger(t *testing.T) {
	clients := openClients(t, "one", "two")
	c := clients[0]
	sending := func(run run.ID, id string, state activation.SendingState) activation.Sending {
		return activation.Sending{
			Run: run, Activation: "win-back", Connection: c.news.ID, Target: "l", Identity: id, Customer: 7, Action: activation.Add, Reason: "allowed", Payload: "{}", PayloadHash: "h",
			Before: "", IdempotencyKey: "k" + id, State: state,
		}
	}
	var ids []int64
	c.tx(func(tx store.Tx) (err error) {
		ids, err = c.store.AddSendings(c.ctx, tx, c.ws.ID, []activation.Sending{
			sending(1, "a", activation.Intent), sending(1, "b", activation.Accepted), sending(1, "c", activation.Rejected), sending(1, "d", activation.Rejected), sending(2, "d", activation.Done),
		})
		return err
	})
	identities := func(all []activation.Sending, err error) []string {
		require.NoError(t, err)
		var found []string
		for _, s := range all {
			found = append(found, s.Identity)
		}
		return found
	}
	assert.Equal(t, []string{"a", "b"}, identities(c.store.OpenSendings(c.ctx, nil, c.ws.ID, "win-back")))
	assert.Empty(t, identities(c.store.OpenSendings(c.ctx, nil, clients[1].ws.ID, "win-back")))
	assert.Equal(t, []string{"c"}, identities(c.store.Rejections(c.ctx, nil, c.ws.ID, "win-back", c.news.ID, "l")), "a later success makes a rejection obsolete")
	assert.Empty(t, identities(c.store.Rejections(c.ctx, nil, c.ws.ID, "win-back", c.news.ID, "other")))
	assert.Equal(t, []string{"a", "b", "c", "d"}, identities(c.store.Sendings(c.ctx, c.ws.ID, 1)))
	assert.Equal(t, []string{"d", "d"}, identities(c.store.SendingsTo(c.ctx, c.ws.ID, "win-back", "d")))

	c.tx(func(tx store.Tx) error {
		return c.store.SetSendings(c.ctx, tx, c.ws.ID, []activation.Sending{{ID: ids[0], State: activation.Rejected, Message: "no", Rule: "mx"}})
	})
	all, err := c.store.Sendings(c.ctx, c.ws.ID, 1)
	require.NoError(t, err)
	want := sending(1, "a", activation.Rejected)
	want.ID, want.Message, want.Rule, want.Created, want.Finished = ids[0], "no", "mx", noon, noon
	assert.Equal(t, want, all[0])

	sent := []activation.Sent{
		{Identity: "b", Activation: "win-back", Customer: 2, PayloadHash: "h", SentAt: noon},
		{Identity: "a", Activation: "win-back", Customer: 1, PayloadHash: "h", SentAt: noon, GoneAt: noon},
	}
	c.tx(func(tx store.Tx) error {
		if err := c.store.PutSent(c.ctx, tx, c.ws.ID, c.news.ID, "l", sent); err != nil {
			return err
		}
		return c.store.PutSent(c.ctx, tx, c.ws.ID, c.crm.ID, "l", sent[:1])
	})
	ledger, err := c.store.Ledger(c.ctx, nil, c.ws.ID, c.news.ID, "l")
	require.NoError(t, err)
	assert.Equal(t, map[string]activation.Sent{"a": sent[1], "b": sent[0]}, ledger)
	lines, err := c.store.SentLedger(c.ctx, c.ws.ID)
	require.NoError(t, err)
	assert.Equal(t, []activation.LedgerLine{
		{Connection: "crm", Target: "l", Identity: "b", Activation: "win-back", PayloadHash: "h"},
		{Connection: "news", Target: "l", Identity: "a", Activation: "win-back", PayloadHash: "h", Gone: true},
		{Connection: "news", Target: "l", Identity: "b", Activation: "win-back", PayloadHash: "h"},
	}, lines)
	c.tx(func(tx store.Tx) error {
		return c.store.DropSent(c.ctx, tx, c.ws.ID, c.news.ID, "l", []string{"a", "x"})
	})
	c.tx(func(tx store.Tx) error { return c.store.DropTarget(c.ctx, tx, c.ws.ID, c.crm.ID, "l") })
	lines, err = c.store.SentLedger(c.ctx, c.ws.ID)
	require.NoError(t, err)
	assert.Len(t, lines, 1)
	require.NoError(t, c.store.Flush(c.ctx))
}

func TestMembershipsAreListedInOrder(t *testing.T) {
	c := openClients(t, "one")[0]
	for _, m := range []struct {
		segment string
		id      customer.ID
	}{{"b", 1}, {"a", 2}, {"a", 1}} {
		c.tx(func(tx store.Tx) error {
			return c.store.ChangeMembership(c.ctx, tx, c.ws.ID, 100, sqlite.MembershipChange{Segment: m.segment, RuleHash: "r", Entered: []customer.ID{m.id}, Size: 1, Baseline: true})
		})
	}
	all, err := c.store.Memberships(c.ctx, c.ws.ID)
	require.NoError(t, err)
	assert.Equal(t, []activation.Membership{{Segment: "a", Customer: 1, EnteredOn: 100}, {Segment: "a", Customer: 2, EnteredOn: 100}, {Segment: "b", Customer: 1, EnteredOn: 100}}, all)
	known, err := c.store.SegmentEvaluated(c.ctx, c.ws.ID, "a")
	require.NoError(t, err)
	assert.True(t, known)
	known, err = c.store.SegmentEvaluated(c.ctx, c.ws.ID, "c")
	require.NoError(t, err)
	assert.False(t, known)
}

// BenchmarkConsents loads the consents of a segment of 100,000, each with a record and an address, as a push does.
func BenchmarkConsents(b *testing.B) {
	const n = 100_000
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "store.db"), stillClock{noon})
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Close()) }()
	require.NoError(b, s.InTx(b.Context(), func(tx store.Tx) error {
		for _, q := range strings.Split(`INSERT INTO workspace (id, name) VALUES (1, 'w');
			INSERT INTO connection (id, workspace, name, connector) VALUES (1, 1, 'crm', 'x');
			INSERT INTO stream (id, workspace, connection, name, entity) VALUES (1, 1, 1, 'contacts', 'contact'), (2, 1, 1, 'consents', 'consent');
			WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000) INSERT INTO node (id, workspace, stream, key, kind, customer) SELECT i, 1, 1, 'k' || i, 'person', i FROM c;
			WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000) INSERT INTO identifier (workspace, kind, namespace, value, node, strong, matches) SELECT 1, 'email', '', 'p' || i || '@x.ru', i, 0, 1 FROM c;
			WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000) INSERT INTO record (id, workspace, stream, key, hash) SELECT i, 1, 2, 'c' || i, x'' FROM c;
			INSERT INTO consent (record, workspace, stream, node, email, channel, purpose, state) SELECT id, 1, 2, CASE id % 2 WHEN 0 THEN id END, CASE id % 2 WHEN 0 THEN '' ELSE 'p' || id || '@x.ru' END, 'email', 'marketing', 'opted_in' FROM record`, ";") {
			if _, err := s.SQLTx(tx).ExecContext(b.Context(), q); err != nil {
				return err
			}
		}
		return nil
	}))
	ids, addresses := make([]customer.ID, n), make([]string, n)
	for i := range n {
		ids[i], addresses[i] = customer.ID(i+1), fmt.Sprintf("p%d@x.ru", i+1)
	}
	for b.Loop() {
		found, err := s.Consents(b.Context(), nil, 1, ids)
		require.NoError(b, err)
		require.Len(b, found, n)
		_, err = s.AddressConsents(b.Context(), nil, 1, addresses)
		require.NoError(b, err)
		_, err = s.AddressOwners(b.Context(), nil, 1, "email", addresses)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "us/customer")
}
