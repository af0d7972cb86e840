package settle

import (
	"fmt"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

// partition recomputes whole every component that the batch touched, and gives the parts their lasting ids.
func (b *batch) partition() error {
	remains, err := b.Store.NodesOf(b.ctx, b.tx, b.ws, sorted(b.left))
	if err != nil {
		return err
	}
	for _, id := range remains {
		b.touched[id] = true
	}
	if len(b.touched) == 0 && len(b.left) == 0 {
		return nil
	}
	ids, err := b.closure()
	if err != nil {
		return err
	}
	nodes, err := b.Store.Nodes(b.ctx, b.tx, b.ws, ids)
	if err != nil {
		return err
	}
	links, err := b.Store.Links(b.ctx, b.tx, b.ws, ids)
	if err != nil {
		return err
	}
	pins, cuts, err := b.Store.PinsAndCuts(b.ctx, b.tx, b.ws)
	if err != nil {
		return err
	}
	byKey := make(map[store.RecordKey]Node, len(nodes))
	for _, node := range nodes {
		byKey[node.Key] = node
	}
	parts := identity.Partition(graph(nodes, links), pins, cuts, b.Rules.Identity)
	holders, err := b.Store.Holders(b.ctx, b.tx, b.ws, nodes, sorted(b.left))
	if err != nil {
		return err
	}
	assignments, retired := identity.Assign(parts, holders)
	was := make(map[customer.ID]identity.Holder, len(holders))
	for _, h := range holders {
		was[h.ID] = h
	}
	for i, part := range parts {
		if err := b.settlePart(part, assignments[i], byKey, was); err != nil {
			return err
		}
	}
	if err := b.Store.SetMembers(b.ctx, b.tx, b.ws, b.moved); err != nil {
		return fmt.Errorf("moving records to their customers: %w", err)
	}
	for _, id := range retired {
		delete(b.profiles, id)
		b.change(id, false)
		if err := b.Store.Retire(b.ctx, b.tx, b.ws, id); err != nil {
			return fmt.Errorf("retiring a customer: %w", err)
		}
	}
	return nil
}

// graph is what identity sees of nodes.
func graph(nodes []Node, links map[NodeID][]Link) []identity.Node {
	all := make([]identity.Node, 0, len(nodes))
	for _, node := range nodes {
		one := identity.Node{Key: node.Key, Kind: node.Kind}
		if node.Name != (entity.Name{}) {
			one.Names = []entity.Name{node.Name}
		}
		for _, link := range links[node.ID] {
			one.Identifiers = append(one.Identifiers, link.Identifier)
		}
		all = append(all, one)
	}
	return all
}

// closure walks from the touched nodes to everything that could be one customer with them.
func (b *batch) closure() ([]NodeID, error) {
	frontier := sorted(b.touched)
	known := make(map[NodeID]bool, len(frontier))
	for _, id := range frontier {
		known[id] = true
	}
	for len(frontier) > 0 {
		next, err := b.Store.Neighbours(b.ctx, b.tx, b.ws, frontier)
		if err != nil {
			return nil, err
		}
		frontier = frontier[:0]
		for _, id := range next {
			if !known[id] {
				known[id] = true
				frontier = append(frontier, id)
			}
		}
	}
	return sorted(known), nil
}

// settlePart writes one part where it differs from what is stored.
func (b *batch) settlePart(part identity.Part, to identity.Assignment, byKey map[store.RecordKey]Node, was map[customer.ID]identity.Holder) error {
	id := to.ID
	if id == 0 {
		var err error
		if id, err = b.Store.NewCustomer(b.ctx, b.tx, b.ws, part.Kind, to.Anchor); err != nil {
			return fmt.Errorf("adding a customer: %w", err)
		}
	} else if old := was[id]; old.Anchor != to.Anchor || old.AliasOf != 0 || len(old.Members) == 0 {
		if err := b.Store.SetCustomer(b.ctx, b.tx, b.ws, id, part.Kind, to.Anchor); err != nil {
			return err
		}
	}
	for _, alias := range to.Aliases {
		delete(b.profiles, alias)
		if was[alias].AliasOf == id {
			continue
		}
		if err := b.Store.SetAlias(b.ctx, b.tx, b.ws, alias, id); err != nil {
			return err
		}
	}
	for _, key := range part.Members {
		node := byKey[key]
		if node.Customer == id && node.Quarantined == part.Quarantined {
			continue
		}
		b.moved = append(b.moved, Member{Node: node.ID, Customer: id, Quarantined: part.Quarantined})
		b.profiles[id] = true
		// A record that comes new is the customer's doing; one that changes hands is ours.
		joined := node.Customer != 0 && node.Customer != id
		b.change(id, joined)
		if joined {
			b.profiles[node.Customer] = true
			b.change(node.Customer, true)
		}
	}
	return nil
}

// putProfiles puts the profiles together anew of customers whose records changed.
func (b *batch) putProfiles() error {
	ids := sorted(b.profiles)
	sources, err := b.Store.ProfileSources(b.ctx, b.tx, b.ws, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		var records []identity.Source
		for _, raw := range sources[id] {
			source, err := b.source(raw.Entity, raw)
			if err != nil {
				return err
			}
			records = append(records, source)
		}
		changed, err := b.Store.SetProfile(b.ctx, b.tx, b.ws, id, identity.Profile(records, b.Rules.Identity))
		if err != nil {
			return err
		}
		if changed {
			b.change(id, false)
		}
	}
	return nil
}
