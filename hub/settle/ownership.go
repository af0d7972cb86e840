package settle

import (
	"encoding/json"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// Ownership says who looked after a record of the same connection from a moment on.
type Ownership struct {
	Record             int64
	Subject            entity.Ref
	OwnerBefore, Owner entity.Ref // zero for nobody, or not known
	At                 time.Time
}

// takeOwnership keeps a change of owner. Which customer it is about is looked up when it is asked for, so a change may
// come before the record it names.
func (b *batch) takeOwnership(d Dirty) error {
	if d.Deleted {
		return b.Store.DropOwnership(b.ctx, b.tx, b.ws, d.Record)
	}
	var c entity.OwnershipChange
	if err := json.Unmarshal(d.Data, &c); err != nil {
		return err
	}
	change := Ownership{Record: d.Record, Subject: c.Record, At: c.At}
	if c.From != nil {
		change.OwnerBefore = *c.From
	}
	if c.To != nil {
		change.Owner = *c.To
	}
	return b.Store.PutOwnership(b.ctx, b.tx, b.ws, change)
}
