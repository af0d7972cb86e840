package settle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// SourcedNode is a node with what is stored of its record; Raw.Data is nil for a placeholder.
type SourcedNode struct {
	Node
	Raw RawSource
}

// NodePlace is where a walk over all nodes has come; zero is the beginning.
type NodePlace struct {
	Stream workspace.StreamID
	Key    string
}

// PreviewStore is what a preview reads.
type PreviewStore interface {
	// SourcedNodes returns the next nodes of a walk over the workspace, and where the walk then is; none at its end.
	SourcedNodes(ctx context.Context, tx store.Tx, ws store.WorkspaceID, after NodePlace, limit int) ([]SourcedNode, NodePlace, error)
	PinsAndCuts(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([]identity.Pin, []identity.Cut, error)
}

// RulesPreview is what rules would do to the customers of now.
type RulesPreview struct {
	identity.Preview
	// Before and After count the customers.
	Before, After int
	// Merged counts the customers of now that would be joined with others, Parted those that the splits would leave.
	// They say how far a change reaches: one customer that falls into thirty is a single split.
	Merged, Parted int
}

// previewPage is how many nodes a preview reads at once.
const previewPage = 5000

// Preview works out, without changing anything, what the settler's rules would make of all records of the workspace,
// and compares that with the customers of now. It keeps up to samples examples of merges and of splits.
func (s *Settler) Preview(ctx context.Context, tx store.Tx, from PreviewStore, samples int) (RulesPreview, error) {
	b := s.newBatch(ctx, tx)
	var nodes []identity.Node
	now := map[customer.ID]int{} // index into before
	var before []identity.Part
	var at NodePlace
	for {
		page, next, err := from.SourcedNodes(ctx, tx, b.ws, at, previewPage)
		if err != nil {
			return RulesPreview{}, fmt.Errorf("reading the records of customers: %w", err)
		}
		if len(page) == 0 {
			break
		}
		at = next
		for _, node := range page {
			if node.Customer != 0 && !node.Anonymous {
				i, known := now[node.Customer]
				if !known {
					i = len(before)
					now[node.Customer] = i
					before = append(before, identity.Part{Kind: node.Kind})
				}
				before[i].Members = append(before[i].Members, node.Key)
			}
			seen, counts, err := b.seen(node)
			if err != nil {
				return RulesPreview{}, err
			}
			if counts {
				nodes = append(nodes, seen)
			}
		}
	}
	pins, cuts, err := from.PinsAndCuts(ctx, tx, b.ws)
	if err != nil {
		return RulesPreview{}, fmt.Errorf("reading pins and cuts: %w", err)
	}
	after := identity.Partition(nodes, pins, cuts, b.Rules.Identity)
	p := RulesPreview{Before: len(before), After: len(after), Preview: identity.Compare(before, after, math.MaxInt)}
	p.MergeSamples, p.Merged = atMost(p.MergeSamples, samples)
	p.SplitSamples, p.Parted = atMost(p.SplitSamples, samples)
	return p, nil
}

// seen is what identity sees of a node by the rules; false when it stands for nobody.
func (b *batch) seen(node SourcedNode) (identity.Node, bool, error) {
	one := identity.Node{Key: node.Key, Kind: node.Kind}
	source := identity.Source{Key: node.Key}
	if node.Raw.Data != nil {
		var err error
		source, err = b.source(node.Raw.Entity, node.Raw)
		var syntax *json.SyntaxError
		var wrongType *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax), errors.As(err, &wrongType):
			source = identity.Source{Key: node.Key} // settle keeps such a record aside; it must not hold up the rest
		case err != nil:
			return one, false, err
		}
	}
	if anonymous(source) {
		return one, false, nil
	}
	if source.Contact != nil && source.Contact.Name != (entity.Name{}) {
		one.Names = []entity.Name{source.Contact.Name}
	}
	for _, link := range b.links(source) {
		one.Identifiers = append(one.Identifiers, link.Identifier)
	}
	return one, true, nil
}

// atMost keeps some examples and counts the parts of all.
func atMost(all [][]store.RecordKey, samples int) ([][]store.RecordKey, int) {
	parts := 0
	for _, one := range all {
		parts += len(one)
	}
	return all[:min(len(all), max(samples, 0))], parts
}
