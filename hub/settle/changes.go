package settle

import (
	"fmt"

	"github.com/regulars/regulars/hub/customer"
)

// noteOwners notes whom the facts of the batch's records count for. It is called before the batch changes them and
// after: a sale that moves changes both sides.
func (b *batch) noteOwners(records []int64) error {
	owners, err := b.Store.OwnersOfFacts(b.ctx, b.tx, b.ws, records)
	if err != nil {
		return fmt.Errorf("looking up whom facts count for: %w", err)
	}
	for _, id := range owners {
		b.change(id, false)
	}
	return nil
}

func (b *batch) noteOwnersOfNode(node NodeID) error {
	owners, err := b.Store.OwnersOfNode(b.ctx, b.tx, b.ws, node)
	if err != nil {
		return fmt.Errorf("looking up whom a record's facts count for: %w", err)
	}
	for _, id := range owners {
		b.change(id, false)
	}
	return nil
}

func (b *batch) change(id customer.ID, identity bool) { b.changed[id] = b.changed[id] || identity }

func (b *batch) markChanged() error {
	changed := make([]Changed, 0, len(b.changed))
	for _, id := range sorted(b.changed) {
		changed = append(changed, Changed{Customer: id, Identity: b.changed[id]})
	}
	return b.Store.MarkChanged(b.ctx, b.tx, b.ws, changed)
}
