package settle

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/store"
)

// Facts of a deal that an order's date may come from.
const (
	FromHistory = "history" // its stage history: when it was won
	FromMoved   = "moved"   // when it came to its present stage
	FromClosed  = "closed"  // its close field, which in many systems is a planned, editable date
)

// DealRule says which deals are orders (kpi.md 2.1).
type DealRule struct {
	// Connection and Stream hold the deals; those of other streams are never orders.
	Connection store.ConnectionID
	Stream     string
	// EachEntry makes every winning of a deal an order of its own. Otherwise a won deal is one order, of its first win.
	EachEntry bool
	// Pipelines whose wins count, by remote id; empty means all.
	Pipelines []string
}

// win is the moment a deal was won. One of at and on is set.
type win struct {
	at   *time.Time
	on   *entity.Date
	from string
}

// wins returns the winnings of a deal that are orders, oldest first: none while it is not won and never was won twice.
//
// A winning lasts from the step into a won stage of a chosen pipeline until the deal leaves those stages; going from
// one of them to another is no new one. A deal that has left is no order any more; with EachEntry, a winning that the
// deal left to be won again stays one, and only the last of a deal that is not won now falls away. The error is an
// *ingest.Fault when a win has no date at all.
func (r DealRule) wins(d entity.Deal) ([]win, error) {
	won := d.State == entity.DealWon && r.counts(d.Pipeline)
	if !won && !r.EachEntry {
		return nil, nil
	}
	known, open := r.winnings(d)
	if won && !open {
		// The history does not reach to the present winning, or there is none.
		last, err := undocumented(d)
		switch {
		case err == nil:
			known = append(known, last)
		case r.EachEntry || len(known) == 0:
			return nil, err
		}
	}
	switch {
	case !won && len(known) > 0:
		known = known[:len(known)-1]
	case won && !r.EachEntry:
		known = known[:1]
	}
	return known, nil
}

// winnings reads the stage history. open says that the last winning in it has not ended.
func (r DealRule) winnings(d entity.Deal) (known []win, open bool) {
	// Sources promise their history oldest first; one that does not keep the promise must not lose a win.
	history := slices.Clone(d.History)
	slices.SortStableFunc(history, func(a, b entity.StageChange) int { return a.At.Compare(b.At) })
	for _, step := range history {
		entered := r.stateOf(d, step) == entity.DealWon && r.counts(pipelineOf(d, step))
		if entered && !open {
			known = append(known, win{at: &step.At, from: FromHistory})
		}
		open = entered
	}
	if open && len(known) == 1 && history[0].At.Equal(*known[0].at) && closedBefore(d, d.HistoryFrom) {
		// The history begins after the win: its first step led from one won stage to another.
		if closed, err := undocumented(entity.Deal{ClosedAt: d.ClosedAt, ClosedOn: d.ClosedOn}); err == nil {
			known[0] = closed
		}
	}
	return known, open
}

// closedBefore says that the close field lies before the moment from which the history is complete; false where either
// is not known.
func closedBefore(d entity.Deal, from *time.Time) bool {
	switch {
	case from == nil:
		return false
	case d.ClosedAt != nil:
		return d.ClosedAt.Before(*from)
	default:
		return d.ClosedOn != nil && *d.ClosedOn < entity.DateIn(*from, time.UTC)
	}
}

// stateOf is the state a step led to. A source that names the stage only is understood where it is the deal's own.
func (r DealRule) stateOf(d entity.Deal, step entity.StageChange) entity.DealState {
	if step.State == "" && step.Stage != "" && step.Stage == d.Stage && pipelineOf(d, step) == d.Pipeline {
		return d.State
	}
	return step.State
}

func pipelineOf(d entity.Deal, step entity.StageChange) string {
	if step.Pipeline == "" {
		return d.Pipeline
	}
	return step.Pipeline
}

func (r DealRule) counts(pipeline string) bool {
	return len(r.Pipelines) == 0 || slices.Contains(r.Pipelines, pipeline)
}

// undocumented dates the present winning of a deal by what else is known of it.
func undocumented(d entity.Deal) (win, error) {
	switch {
	case d.MovedAt != nil:
		return win{at: d.MovedAt, from: FromMoved}, nil
	case d.ClosedAt != nil:
		return win{at: d.ClosedAt, from: FromClosed}, nil
	case d.ClosedOn != nil:
		return win{on: d.ClosedOn, from: FromClosed}, nil
	}
	return win{}, &ingest.Fault{Rule: "no_date", Message: "the deal is won, but neither its stage history nor the time it was moved nor a close date says when; " +
		"fill in one of them at the source, and it becomes an order with the next sync"}
}

// takeDeal makes a deal's orders and has those looked at again that take their owner from it.
func (b *batch) takeDeal(d Dirty) (NodeID, bool, error) {
	var deal entity.Deal
	if err := json.Unmarshal(d.Data, &deal); err != nil {
		return 0, false, err
	}
	rule := b.Rules.Deals
	if rule == nil || rule.Connection != d.Stream.Connection || rule.Stream != d.Stream.Name {
		return 0, false, nil
	}
	wins, err := rule.wins(deal)
	if err != nil || len(wins) == 0 {
		return 0, false, err
	}
	var contact *entity.Ref
	if len(deal.Contacts) > 0 {
		contact = &deal.Contacts[0]
	}
	node, err := b.referOrder(d.Stream.Connection, contact, deal.Company)
	if err != nil {
		return 0, false, err
	}
	// CRM users leave the amount empty: such a deal is an order of 0 (kpi.md section 0).
	amount := entity.Money{Currency: b.Workspace.Currency}
	if deal.Amount != nil {
		amount = *deal.Amount
	}
	for i, won := range wins {
		sale := Sale{
			Record: d.Record, Part: i + 1, Stream: d.Stream.ID, Node: node, Sequence: d.Sequence, Amount: amount,
			Channel: deal.Origin.Channel, DateFrom: won.from, Lines: deal.Lines,
		}
		sale.setOwner(deal.Owner)
		sale.OrderedAt, sale.OrderedOn = b.when(won.at, won.on)
		if err := b.putSale(sale); err != nil {
			return 0, false, err
		}
	}
	return node, true, b.Store.DropParts(b.ctx, b.tx, b.ws, d.Record, len(wins))
}
