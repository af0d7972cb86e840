package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// IdentityClaim returns a claim to be checked over random histories: what people decide about records holds (R6): whatever records,
// batches, repetitions, pins and cuts came in whatever order, the store's customers are those of the pure partition,
// and after a decision was taken back every number leads to the people it led to.
func IdentityClaim[S Store](t *testing.T, open func(t *testing.T, clock store.Clock) S) func(*testing.T, *rand.Rand) {
	t.Helper()
	clock := NewClock()
	s := open(t, clock)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	n := 0
	return func(t *testing.T, random *rand.Rand) {
		t.Helper()
		n++
		f := &Fixture{Store: s, Clock: clock}
		f.fill(t, fmt.Sprintf("case-%d", n)) // workspaces never meet, so one store does for all
		h := &history{Fixture: f, random: random, versions: map[store.RecordKey][]string{}}
		for range 3 + random.IntN(6) {
			h.step(t)
		}
		f.Settle(t)
		h.agrees(t)
		h.undoes(t)
	}
}

// history is one random history of a workspace.
type history struct {
	*Fixture
	random   *rand.Rand
	clock    int
	versions map[store.RecordKey][]string // the addresses of each live record
}

var pool = []string{"a@example.com", "b@example.com", "c@example.com", "+79161234567", "+79167654321"}

func (h *history) stream(key store.RecordKey) workspace.Stream {
	if key.Connection == h.Shop.ID {
		return h.Contacts
	}
	return h.Subs
}

func (h *history) randomKey() store.RecordKey {
	conn := h.Shop.ID
	if h.random.IntN(2) == 0 {
		conn = h.Mail.ID
	}
	return store.RecordKey{Connection: conn, Stream: "contacts", Key: fmt.Sprint(h.random.IntN(4))}
}

func (h *history) step(t *testing.T) {
	t.Helper()
	switch h.random.IntN(8) {
	case 0, 1, 2, 3: // a new record or version
		h.clock++
		key := h.randomKey()
		var addresses []string
		for range 1 + h.random.IntN(2) {
			if a := pool[h.random.IntN(len(pool))]; !slices.Contains(addresses, a) {
				addresses = append(addresses, a)
			}
		}
		h.versions[key] = addresses
		rec := Contact(key.Key, h.clock, "N", addresses...)
		h.Take(t, h.stream(key), rec)
		if h.random.IntN(3) == 0 {
			h.Take(t, h.stream(key), rec) // a repetition
		}
	case 4: // gone
		h.clock++
		key := h.randomKey()
		if _, live := h.versions[key]; live {
			delete(h.versions, key)
			h.Take(t, h.stream(key), gone(key.Key, h.clock))
		}
	case 5:
		h.Settle(t)
	case 6: // a pin or cut
		a, b := h.randomKey(), h.randomKey()
		if a == b || h.node(t, a).ID == 0 || h.node(t, b).ID == 0 {
			return
		}
		kind := identity.Pinned
		if h.random.IntN(2) == 0 {
			kind = identity.Parted
		}
		h.decide(t, []identity.Decision{{Kind: kind, A: a, B: b, At: at(h.clock), Note: "seen"}}, nil)
	default: // taken back
		if standing := h.standing(t); len(standing) > 0 {
			h.decide(t, nil, standing[:1+h.random.IntN(len(standing))])
		}
	}
}

func (h *history) standing(t *testing.T) []identity.Decision {
	t.Helper()
	all, err := h.Store.Decisions(t.Context(), nil, h.Workspace.ID)
	require.NoError(t, err)
	return all
}

// node is a record's node; zero when there is none.
func (h *history) node(t *testing.T, key store.RecordKey) (node settle.Node) {
	t.Helper()
	node, err := h.Store.FindNode(t.Context(), nil, h.Workspace.ID, h.stream(key).ID, key.Key)
	if !errors.Is(err, store.ErrNotFound) {
		require.NoError(t, err)
	}
	return node
}

// decide makes and takes back decisions as the hub does: with their consequences in one transaction.
func (h *history) decide(t *testing.T, made, dropped []identity.Decision) {
	t.Helper()
	var nodes []settle.NodeID
	for _, d := range slices.Concat(made, dropped) {
		for _, key := range []store.RecordKey{d.A, d.B} {
			if node := h.node(t, key); node.ID != 0 {
				nodes = append(nodes, node.ID)
			}
		}
	}
	h.tx(t, func(ctx context.Context, tx store.Tx) error {
		for _, d := range dropped {
			if err := h.Store.DropDecision(ctx, tx, h.Workspace.ID, d); err != nil {
				return err
			}
		}
		for _, d := range made {
			if err := h.Store.PutDecision(ctx, tx, h.Workspace.ID, d); err != nil {
				return err
			}
		}
		settler := &settle.Settler{Store: h.Store, Workspace: h.Workspace, Rules: h.Rules()}
		return settler.Reconsider(ctx, tx, nodes)
	})
}

// owners are the customers of the live records.
func (h *history) owners(t *testing.T) map[store.RecordKey]customer.ID {
	t.Helper()
	all := map[store.RecordKey]customer.ID{}
	for key := range h.versions {
		all[key] = h.node(t, key).Customer
		require.NotZero(t, all[key])
	}
	return all
}

// agrees compares the customers of the store with the partition of all live records at once.
func (h *history) agrees(t *testing.T) {
	t.Helper()
	rules := h.Rules().Identity
	var nodes []identity.Node
	for key, addresses := range h.versions {
		contact := &entity.Contact{}
		for _, a := range addresses {
			if a[0] == '+' {
				contact.Phones = append(contact.Phones, entity.Address{Value: a})
			} else {
				contact.Emails = append(contact.Emails, entity.Address{Value: a})
			}
		}
		nodes = append(nodes, identity.Node{Key: key, Kind: customer.Person, Identifiers: identity.Identifiers(identity.Source{Key: key, Contact: contact}, rules)})
	}
	var pins []identity.Pin
	var cuts []identity.Cut
	for _, d := range h.standing(t) {
		if d.Kind == identity.Pinned {
			pins = append(pins, identity.Pin{A: d.A, B: d.B})
		} else {
			cuts = append(cuts, identity.Cut{A: d.A, B: d.B})
		}
	}
	owners, taken := h.owners(t), map[customer.ID]bool{}
	for _, part := range identity.Partition(nodes, pins, cuts, rules) {
		id := owners[part.Members[0]]
		require.False(t, taken[id], "two parts have one number")
		taken[id] = true
		for _, member := range part.Members {
			require.Equal(t, id, owners[member], "a part has one number")
		}
	}
}

// undoes takes a record out of its customer, reads everything again, and takes it back.
func (h *history) undoes(t *testing.T) {
	t.Helper()
	before := h.owners(t)
	standing := h.standing(t)
	var cuts []identity.Decision
	for taken, id := range before {
		for other, owner := range before {
			d := identity.Decision{Kind: identity.Parted, A: taken, B: other}
			if other != taken && owner == id && !slices.ContainsFunc(standing, func(s identity.Decision) bool { return s.Kind == identity.Parted && s.Names(taken, other) }) {
				cuts = append(cuts, d)
			}
		}
		if len(cuts) > 0 {
			break
		}
	}
	if len(cuts) == 0 {
		return
	}
	h.decide(t, cuts, nil)
	h.agrees(t)
	h.clock++
	for key, addresses := range h.versions {
		h.Take(t, h.stream(key), Contact(key.Key, h.clock, "again", addresses...))
	}
	h.Settle(t)
	h.agrees(t)
	apart := h.owners(t)
	for _, cut := range cuts {
		require.NotEqual(t, apart[cut.A], apart[cut.B], "what was taken out stays out")
	}
	h.decide(t, nil, cuts)
	h.agrees(t)
	for key, now := range h.owners(t) {
		leads, err := h.Store.ResolveCustomer(t.Context(), h.Workspace.ID, before[key])
		require.NoError(t, err)
		// The cut may have given a former number back to the people of its anchor, so it may not be the same number.
		require.Equal(t, now, leads, "taken back, every number leads to the people it led to")
	}
}
