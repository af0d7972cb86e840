package settle

import (
	"context"
	"fmt"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

// newBatch is a transaction's work before anything was taken.
func (s *Settler) newBatch(ctx context.Context, tx store.Tx) *batch {
	return &batch{Settler: s, ctx: ctx, tx: tx, ws: s.Workspace.ID, touched: map[NodeID]bool{}, loose: map[NodeID]bool{}, left: map[customer.ID]bool{}, profiles: map[customer.ID]bool{}, changed: map[customer.ID]bool{}}
}

// Reconsider partitions anew everybody whom some nodes are or could be one customer with. It is for pins and cuts that
// were made or taken back in the same transaction: the records did not change, so nothing marks them dirty.
func (s *Settler) Reconsider(ctx context.Context, tx store.Tx, nodes []NodeID) error {
	b := s.newBatch(ctx, tx)
	for _, id := range nodes {
		b.touched[id] = true
	}
	if err := b.partition(); err != nil {
		return fmt.Errorf("partitioning: %w", err)
	}
	if err := b.putProfiles(); err != nil {
		return fmt.Errorf("putting profiles together: %w", err)
	}
	if err := b.markChanged(); err != nil {
		return fmt.Errorf("marking whose facts changed: %w", err)
	}
	return nil
}

// Component is everybody whom some nodes are or could be one customer with, as the rules join them.
type Component struct {
	Nodes []Node
	Parts []identity.Part
}

// Component works out, without changing anything, who is one customer with some nodes and why (R6). tx may be nil.
func (s *Settler) Component(ctx context.Context, tx store.Tx, nodes []NodeID) (Component, error) {
	b := s.newBatch(ctx, tx)
	for _, id := range nodes {
		b.touched[id] = true
	}
	ids, err := b.closure()
	if err != nil {
		return Component{}, fmt.Errorf("looking for connected records: %w", err)
	}
	found := Component{}
	if found.Nodes, err = s.Store.Nodes(ctx, tx, b.ws, ids); err != nil {
		return Component{}, err
	}
	links, err := s.Store.Links(ctx, tx, b.ws, ids)
	if err != nil {
		return Component{}, err
	}
	pins, cuts, err := s.Store.PinsAndCuts(ctx, tx, b.ws)
	if err != nil {
		return Component{}, err
	}
	found.Parts = identity.Partition(graph(found.Nodes, links), pins, cuts, s.Rules.Identity)
	return found, nil
}
