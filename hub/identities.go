package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

func (h *Hub) settler(st *state) *settle.Settler {
	return &settle.Settler{Store: h.store, Workspace: st.ws, Rules: st.rules}
}

// errUnknownRecord refuses a name that stands for no contact or company; the name itself may be an address (R12).
func errUnknownRecord(position int) error {
	return fmt.Errorf("record %d: %w: name a contact or company in full, CONNECTION.STREAM/KEY, as regulars customer show lists them", position+1, api.ErrNotFound)
}

// recordNodes finds the nodes of records that are named in full.
func (h *Hub) recordNodes(ctx context.Context, tx store.Tx, st *state, names []string) ([]settle.Node, error) {
	nodes := make([]settle.Node, 0, len(names))
	for i, name := range names {
		place, key, named := strings.Cut(strings.TrimSpace(name), "/")
		connection, stream, full := strings.Cut(place, ".")
		if !named || !full {
			return nil, errUnknownRecord(i)
		}
		conns, err := h.store.Connections(ctx, tx, st.ws.ID)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(conns, func(c workspace.Connection) bool { return c.Name == connection })
		if at < 0 {
			return nil, errUnknownRecord(i)
		}
		of, err := h.store.Stream(ctx, tx, st.ws.ID, conns[at].ID, stream)
		if errors.Is(err, store.ErrNotFound) {
			return nil, errUnknownRecord(i)
		}
		if err != nil {
			return nil, err
		}
		node, err := h.store.FindNode(ctx, tx, st.ws.ID, of.ID, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil, errUnknownRecord(i)
		}
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// Decide implements api.Identities. The decision and what follows from it happen in one transaction; figures and
// segments follow.
func (h *Hub) Decide(ctx context.Context, name string, request api.DecisionRequest) (api.Decided, error) {
	st, err := h.named(name)
	if err != nil {
		return api.Decided{}, err
	}
	reply := api.Decided{Records: []api.MovedRecord{}, Decisions: []api.Decision{}}
	err = h.store.InTx(ctx, func(tx store.Tx) error {
		if err := h.store.LockWorkspace(ctx, tx, st.ws.ID); err != nil {
			return err
		}
		nodes, err := h.recordNodes(ctx, tx, st, request.Records)
		if err != nil {
			return err
		}
		made, dropped, err := h.decisions(ctx, tx, st, request, nodes)
		if err != nil {
			return err
		}
		for _, d := range dropped {
			if err := h.store.DropDecision(ctx, tx, st.ws.ID, d); err != nil {
				return err
			}
		}
		for _, d := range made {
			if err := h.store.PutDecision(ctx, tx, st.ws.ID, d); err != nil {
				return err
			}
		}
		touched, err := h.nodesNamed(ctx, tx, st, nodes, slices.Concat(made, dropped))
		if err != nil {
			return err
		}
		ids := make([]settle.NodeID, 0, len(touched))
		for _, node := range touched {
			ids = append(ids, node.ID)
		}
		if err := h.settler(st).Reconsider(ctx, tx, ids); err != nil {
			return err
		}
		now, err := h.store.Nodes(ctx, tx, st.ws.ID, ids)
		if err != nil {
			return err
		}
		for _, node := range now {
			before := slices.IndexFunc(touched, func(old settle.Node) bool { return old.ID == node.ID })
			reply.Records = append(reply.Records, api.MovedRecord{Record: h.recordName(st, node.Key), Before: touched[before].Customer, Now: node.Customer})
		}
		for _, d := range slices.Concat(made, dropped) {
			reply.Decisions = append(reply.Decisions, h.decisionView(st, d))
		}
		if err := h.store.MarkFiguresDirty(ctx, tx, st.ws.ID); err != nil {
			return err
		}
		return h.engine.RefreshLater(ctx, tx, st.ws.ID)
	})
	if err != nil {
		return api.Decided{}, err
	}
	h.engine.Wake()
	return reply, nil
}

// nodesNamed adds to some nodes those that decisions name and that exist.
func (h *Hub) nodesNamed(ctx context.Context, tx store.Tx, st *state, nodes []settle.Node, decisions []identity.Decision) ([]settle.Node, error) {
	all := slices.Clone(nodes)
	for _, d := range decisions {
		for _, key := range []store.RecordKey{d.A, d.B} {
			if slices.ContainsFunc(all, func(n settle.Node) bool { return n.Key == key }) {
				continue
			}
			of, err := h.store.Stream(ctx, tx, st.ws.ID, key.Connection, key.Stream)
			if err != nil {
				return nil, err
			}
			node, err := h.store.FindNode(ctx, tx, st.ws.ID, of.ID, key.Key)
			if errors.Is(err, store.ErrNotFound) {
				continue // its record is gone; the decision outlives it
			}
			if err != nil {
				return nil, err
			}
			all = append(all, node)
		}
	}
	return all, nil
}

// decisions are the pins and cuts that a request makes and takes back.
func (h *Hub) decisions(ctx context.Context, tx store.Tx, st *state, request api.DecisionRequest, nodes []settle.Node) (made, dropped []identity.Decision, err error) {
	standing, err := h.store.Decisions(ctx, tx, st.ws.ID)
	if err != nil {
		return nil, nil, err
	}
	if request.Action != api.Unmerge && request.Action != api.UndoUnmerge {
		if len(nodes) != 2 || nodes[0].ID == nodes[1].ID {
			return nil, nil, fmt.Errorf("%w: name two different records", api.ErrRefused)
		}
	}
	switch request.Action {
	case api.Unmerge:
		made, err = h.unmerge(ctx, tx, st, nodes, standing)
	case api.UndoUnmerge:
		for _, d := range standing {
			if d.Kind == identity.Parted && slices.ContainsFunc(nodes, func(n settle.Node) bool { return n.Key == d.A }) {
				dropped = append(dropped, d)
			}
		}
		if len(dropped) == 0 {
			err = fmt.Errorf("%w: none of these records was unmerged; regulars customer pins lists all decisions", api.ErrRefused)
		}
	case api.Pin:
		made, err = h.pin(ctx, tx, st, nodes, standing)
	default:
		kind := identity.Pinned
		if request.Action == api.Uncut {
			kind = identity.Parted
		}
		for _, d := range standing {
			if d.Kind == kind && d.Names(nodes[0].Key, nodes[1].Key) {
				dropped = append(dropped, d)
			}
		}
		if len(dropped) == 0 {
			err = fmt.Errorf("%w: there is no %s between these records; regulars customer pins lists all decisions", api.ErrRefused, kind)
		}
	}
	for i := range made {
		made[i].At, made[i].Note = h.clock.Now().UTC(), request.Note
	}
	return made, dropped, err
}

// unmerge cuts the nodes from every other node of their customers, not only from those that evidence ties them to
// today: a record that comes later may tie any of them together, and no such path may lead back (R6). The nodes
// named together stay together as far as evidence holds them.
func (h *Hub) unmerge(ctx context.Context, tx store.Tx, st *state, nodes []settle.Node, standing []identity.Decision) ([]identity.Decision, error) {
	var made []identity.Decision
	for _, node := range nodes {
		ids, err := h.store.NodesOf(ctx, tx, st.ws.ID, []customer.ID{node.Customer})
		if err != nil {
			return nil, err
		}
		rest, err := h.store.Nodes(ctx, tx, st.ws.ID, ids)
		if err != nil {
			return nil, err
		}
		rest = slices.DeleteFunc(rest, func(o settle.Node) bool {
			return slices.ContainsFunc(nodes, func(n settle.Node) bool { return n.ID == o.ID })
		})
		if len(rest) == 0 {
			return nil, fmt.Errorf("%w: customer %d has no other records, so there is nothing to take these out of", api.ErrRefused, node.Customer)
		}
		for _, other := range rest {
			if slices.ContainsFunc(standing, func(d identity.Decision) bool { return d.Kind == identity.Pinned && d.Names(node.Key, other.Key) }) {
				return nil, fmt.Errorf("%w: %s and %s are pinned together; first run regulars customer unpin with the two", api.ErrRefused, h.recordName(st, node.Key), h.recordName(st, other.Key))
			}
			made = append(made, identity.Decision{Kind: identity.Parted, A: node.Key, B: other.Key})
		}
	}
	return made, nil
}

// pin keeps two nodes together. A cut stands above a pin (identity.Partition), so one that would defeat it is refused
// here instead of being kept without effect.
func (h *Hub) pin(ctx context.Context, tx store.Tx, st *state, nodes []settle.Node, standing []identity.Decision) ([]identity.Decision, error) {
	if nodes[0].Kind != nodes[1].Kind {
		return nil, fmt.Errorf("%w: a person and a company are never one customer", api.ErrRefused)
	}
	var sides [2]map[store.RecordKey]bool
	for i, node := range nodes {
		ids, err := h.store.NodesOf(ctx, tx, st.ws.ID, []customer.ID{node.Customer})
		if err != nil {
			return nil, err
		}
		members, err := h.store.Nodes(ctx, tx, st.ws.ID, ids)
		if err != nil {
			return nil, err
		}
		sides[i] = map[store.RecordKey]bool{node.Key: true}
		for _, m := range members {
			sides[i][m.Key] = true
		}
	}
	for _, d := range standing {
		if d.Kind == identity.Parted && ((sides[0][d.A] && sides[1][d.B]) || (sides[1][d.A] && sides[0][d.B])) {
			return nil, fmt.Errorf("%w: %s and %s are cut apart, and a cut stands above a pin; first run regulars customer unmerge --undo %s", api.ErrRefused,
				h.recordName(st, d.A), h.recordName(st, d.B), h.recordName(st, d.A))
		}
	}
	return []identity.Decision{{Kind: identity.Pinned, A: nodes[0].Key, B: nodes[1].Key}}, nil
}

func (h *Hub) decisionView(st *state, d identity.Decision) api.Decision {
	return api.Decision{Kind: string(d.Kind), Record: h.recordName(st, d.A), Other: h.recordName(st, d.B), At: moment(d.At), Note: d.Note}
}

// Decisions implements api.Identities.
func (h *Hub) Decisions(ctx context.Context, name string) ([]api.Decision, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	standing, err := h.store.Decisions(ctx, nil, st.ws.ID)
	if err != nil {
		return nil, err
	}
	all := make([]api.Decision, 0, len(standing))
	for _, d := range standing {
		all = append(all, h.decisionView(st, d))
	}
	return all, nil
}

// ExplainCustomer implements api.Identities.
func (h *Hub) ExplainCustomer(ctx context.Context, name string, request api.ExplainRequest) (api.Explanation, error) {
	st, err := h.named(name)
	if err != nil {
		return api.Explanation{}, err
	}
	id, seeds, err := h.explained(ctx, st, request)
	if err != nil {
		return api.Explanation{}, err
	}
	return h.explain(ctx, st, id, seeds)
}

// explain says why a customer is one, and, of two nodes where these are given, why they are or are not.
func (h *Hub) explain(ctx context.Context, st *state, id customer.ID, seeds []settle.Node) (api.Explanation, error) {
	ids, err := h.store.NodesOf(ctx, nil, st.ws.ID, []customer.ID{id})
	if err != nil {
		return api.Explanation{}, err
	}
	for _, node := range seeds {
		ids = append(ids, node.ID)
	}
	found, err := h.settler(st).Component(ctx, nil, ids)
	if err != nil {
		return api.Explanation{}, err
	}
	standing, err := h.store.Decisions(ctx, nil, st.ws.ID)
	if err != nil {
		return api.Explanation{}, err
	}
	x := api.Explanation{Customer: id, Records: []api.ExplainedRecord{}, Evidence: []api.JoinEvidence{}, Refused: []api.JoinRefusal{}, Decisions: []api.Decision{}}
	if x.FormerIDs, err = h.store.FormerIDs(ctx, st.ws.ID, id); err != nil {
		return api.Explanation{}, err
	}
	if x.FormerIDs == nil {
		x.FormerIDs = []customer.ID{}
	}
	owner := make(map[store.RecordKey]customer.ID, len(found.Nodes))
	for _, node := range found.Nodes {
		owner[node.Key] = node.Customer
		if node.Customer == id {
			x.Kind = node.Kind
			x.Records = append(x.Records, api.ExplainedRecord{Record: h.recordName(st, node.Key), Placeholder: node.Record == 0, Quarantined: node.Quarantined})
		}
	}
	for _, part := range found.Parts {
		if !slices.ContainsFunc(part.Members, func(k store.RecordKey) bool { return owner[k] == id }) {
			continue
		}
		if part.Quarantined {
			x.Quarantine, x.ComponentSize = string(part.Reason), part.ComponentSize
		}
		for _, edge := range part.Evidence {
			x.Evidence = append(x.Evidence, h.evidenceView(st, edge))
		}
		for _, refusal := range part.Refused {
			x.Refused = append(x.Refused, h.refusalView(st, refusal, owner, id))
		}
	}
	for _, d := range standing {
		if owner[d.A] == id || owner[d.B] == id {
			x.Decisions = append(x.Decisions, h.decisionView(st, d))
		}
	}
	if len(seeds) == 2 {
		x.Pair = h.pairView(st, seeds, found.Parts, standing)
	}
	return x, nil
}

// explained finds the customer a request is about, and its records where two are named.
func (h *Hub) explained(ctx context.Context, st *state, request api.ExplainRequest) (customer.ID, []settle.Node, error) {
	if request.Other != "" {
		seeds, err := h.recordNodes(ctx, nil, st, []string{request.Query, request.Other})
		if err != nil {
			return 0, nil, err
		}
		return seeds[0].Customer, seeds, nil
	}
	cards, err := h.FindCustomers(ctx, st.ws.Name, request.Query)
	if err != nil {
		return 0, nil, err
	}
	switch len(cards) {
	case 0:
		return 0, nil, fmt.Errorf("customer: %w", api.ErrNotFound)
	case 1:
		if cards[0].AliasOf != 0 {
			return cards[0].AliasOf, nil, nil
		}
		return cards[0].ID, nil, nil
	}
	numbers := make([]string, 0, len(cards))
	for _, c := range cards {
		// A number that is also a record key means the number.
		if fmt.Sprint(c.ID) == strings.TrimSpace(request.Query) {
			return c.ID, nil, nil
		}
		numbers = append(numbers, fmt.Sprint(c.ID))
	}
	return 0, nil, fmt.Errorf("%w: this is found on customers %s; name one of them", api.ErrRefused, strings.Join(numbers, ", "))
}

func (h *Hub) evidenceView(st *state, edge identity.Edge) api.JoinEvidence {
	return api.JoinEvidence{
		Strength: edge.Strength.String(), Kind: edge.Identifier.Kind, Namespace: edge.Identifier.Namespace, Value: edge.Identifier.Value,
		Record: h.recordName(st, edge.A), Other: h.recordName(st, edge.B),
	}
}

func (h *Hub) refusalView(st *state, r identity.Refusal, owner map[store.RecordKey]customer.ID, id customer.ID) api.JoinRefusal {
	view := api.JoinRefusal{JoinEvidence: h.evidenceView(st, r.Edge), Reason: string(r.Reason), IDKind: r.IDKind, Customer: owner[r.B]}
	if view.Customer == id {
		view.Customer = owner[r.A]
	}
	return view
}

// pairView says why two records are, or are not, one customer.
func (h *Hub) pairView(st *state, seeds []settle.Node, parts []identity.Part, standing []identity.Decision) *api.PairExplanation {
	a, b := seeds[0].Key, seeds[1].Key
	partOf := func(key store.RecordKey) *identity.Part {
		at := slices.IndexFunc(parts, func(p identity.Part) bool { return slices.Contains(p.Members, key) })
		if at < 0 {
			return nil
		}
		return &parts[at]
	}
	pair := &api.PairExplanation{Customer: seeds[0].Customer, OtherCustomer: seeds[1].Customer, Path: []api.JoinEvidence{}, Refused: []api.JoinRefusal{}}
	first, second := partOf(a), partOf(b)
	if first == nil || second == nil {
		pair.Reason = "no_evidence"
		return pair
	}
	if first == second {
		pair.Same, pair.Reason = true, "joined"
		for _, edge := range path(first.Evidence, a, b) {
			pair.Path = append(pair.Path, h.evidenceView(st, edge))
		}
		return pair
	}
	owner := map[store.RecordKey]customer.ID{}
	for _, m := range first.Members {
		owner[m] = seeds[0].Customer
	}
	for _, m := range second.Members {
		owner[m] = seeds[1].Customer
	}
	for _, r := range first.Refused {
		if slices.Contains(second.Members, r.A) || slices.Contains(second.Members, r.B) {
			pair.Refused = append(pair.Refused, h.refusalView(st, r, owner, seeds[0].Customer))
		}
	}
	between := func(d identity.Decision) bool {
		return d.Kind == identity.Parted && ((slices.Contains(first.Members, d.A) && slices.Contains(second.Members, d.B)) ||
			(slices.Contains(second.Members, d.A) && slices.Contains(first.Members, d.B)))
	}
	switch {
	case slices.ContainsFunc(standing, between):
		pair.Reason = string(identity.RefusedCut)
	case len(pair.Refused) > 0:
		pair.Reason = pair.Refused[0].Reason
	case seeds[0].Kind != seeds[1].Kind:
		pair.Reason = string(identity.RefusedKinds)
	case first.Quarantined || second.Quarantined:
		pair.Reason = "quarantined"
	default:
		pair.Reason = "no_evidence"
	}
	return pair
}

// path is the chain of joins from one record to another; the joins of a part make a tree.
func path(evidence []identity.Edge, from, to store.RecordKey) []identity.Edge {
	type step struct {
		edge identity.Edge
		from store.RecordKey
	}
	reached := map[store.RecordKey]step{from: {}}
	for frontier := []store.RecordKey{from}; len(frontier) > 0; frontier = frontier[1:] {
		here := frontier[0]
		for _, edge := range evidence {
			next := edge.B
			switch here {
			case edge.A:
			case edge.B:
				next = edge.A
			default:
				continue
			}
			if _, seen := reached[next]; !seen {
				reached[next] = step{edge, here}
				frontier = append(frontier, next)
			}
		}
	}
	var chain []identity.Edge
	for here := to; here != from; here = reached[here].from {
		if _, seen := reached[here]; !seen {
			return nil
		}
		chain = append(chain, reached[here].edge)
	}
	slices.Reverse(chain)
	return chain
}
