// Package activation keeps lists elsewhere in step with segments: it reads back who is on a target, compares that
// with the segment, the consents and the ledger of what was sent, and sends the difference through the outbox.
//
// The rules it keeps: nobody is put on a marketing target without a consent that allows it at that moment, and
// whoever refused is taken off, whatever else stands in the way (R4); nothing else changes on doubt or beyond what
// is usual without somebody's approval (R5); a push that finds nothing to change calls no write (R3); and a push cut
// off anywhere ends, when it is run again, where an undisturbed one would have (R1).
package activation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// Mode says what an activation may change at its target.
type Mode string

// The modes of an activation.
const (
	Mirror Mode = "mirror" // add, update and take off: the target becomes equal to the segment
	Upsert Mode = "upsert" // add and update; only those who refused are taken off
	Update Mode = "update" // update those who are there already; only those who refused are taken off
)

// The defaults of R5.
const (
	DefaultMaxShare = 0.2
	DefaultMaxCount = 20
)

// Definition is one activation as it is configured.
type Definition struct {
	// ID never changes.
	ID      string
	Segment string
	// Connection and its name are where it writes to, Target the name or remote id of the target there.
	Connection     store.ConnectionID
	ConnectionName string
	Target         string
	// Spec is the connector's description of this kind of target.
	Spec connector.TargetSpec
	Mode Mode // default Mirror
	// Tag set on members; empty for none.
	Tag string
	// Fields of the target, by the customer field that fills them.
	Fields map[string]string
	// Channel, Purpose and LegalEntity that consent is asked for. An empty channel is the spec's, an empty purpose
	// marketing, an empty legal entity any.
	Channel, Purpose, LegalEntity string
	Consent                       consent.Policy
	// PhoneRegion (ISO 3166-1 alpha-2) is assumed for numbers that a target gives back without a country code.
	PhoneRegion string
	// FirstPushApproved answers beforehand the question that the first push asks. It lets the first push add any
	// number; taking off more than the limit asks nevertheless.
	FirstPushApproved bool
	// MaxShare of the target's members as last read back, and MaxCount: a push that would add, or take off, more than
	// the greater of the two asks first. Zero values are 0; see DefaultMaxShare and DefaultMaxCount.
	MaxShare float64
	MaxCount int
	// Paused by the configuration: only those who refused are taken off.
	Paused bool
}

func (d Definition) channel() string {
	if d.Channel == "" {
		return d.Spec.Channel
	}
	return d.Channel
}

// batch is how many actions one call carries.
func (d Definition) batch() int {
	if d.Spec.Batch > 0 && d.Spec.Batch < maxBatch {
		return d.Spec.Batch
	}
	return maxBatch
}

const maxBatch = 500

// Destination reaches the outside system. Its errors are *connector.Problem where the system or the connector is at
// fault.
type Destination interface {
	// Targets lists the targets of a kind; with a name to create it makes that one, or finds it, and returns it alone.
	Targets(ctx context.Context, ws store.WorkspaceID, conn store.ConnectionID, kind, create string) ([]connector.Target, error)
	// Members returns a page of who is on a target.
	Members(ctx context.Context, ws store.WorkspaceID, conn store.ConnectionID, target string, cursor connector.Cursor) (connector.Page, error)
	// Write carries out actions and returns one result for each, in their order. After an error nobody knows which
	// were carried out.
	Write(ctx context.Context, ws store.WorkspaceID, conn store.ConnectionID, actions []connector.Action) ([]connector.Result, error)
}

// Readiness knows whether a workspace's data allow changes (R5): identity, order and consent streams fresh, their
// first syncs finished, settle lag 0, the segment evaluated for today. The reason is empty when they do, else it is
// for people.
type Readiness interface {
	Ready(ctx context.Context, ws workspace.Workspace, def Definition) (reason string, err error)
}

// FieldSource gives the values of customer fields that are not in the profile, such as orders or net_value, as texts.
// What a customer does not have is left out.
type FieldSource interface {
	Values(ctx context.Context, ws workspace.Workspace, fields []string, customers []customer.ID) (map[customer.ID]map[string]string, error)
}

// Observer is told how pushes end, for metrics.
type Observer interface {
	Pushed(ws workspace.Workspace, def Definition, outcome Outcome)
}

// Engine carries out activations. All fields but Backoff and Observer are needed.
type Engine struct {
	Store       Store
	Destination Destination
	Readiness   Readiness
	Fields      FieldSource
	Clock       store.Clock
	Log         *slog.Logger
	Observer    Observer
	// Backoff spaces the tries of what a target put off within one push; by default half a second, growing.
	Backoff func() backoff.BackOff
}

// tries is how often what a target put off is tried again within one push. What is left is sent by the next one.
const tries = 3

func (e *Engine) backoff() backoff.BackOff {
	if e.Backoff != nil {
		return e.Backoff()
	}
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(500*time.Millisecond), backoff.WithMaxInterval(10*time.Second))
}

// Outcome is how a push ended.
type Outcome struct {
	// WaitUntil is not zero when the push has not ended: it is to be called again for the same run then.
	WaitUntil time.Time
	Cancelled bool
	// Cause is not empty when it stopped short, and says what to do; CauseKind is one of the Cause constants.
	Cause, CauseKind string
	Result           Result
}

// The kinds of causes for which a push stops short.
const (
	CauseNotReady = "not_ready" // the workspace's data are not in a state to act on
	CauseHeld     = "held"      // it waits for an approval
	CausePaused   = "paused"
	CauseTarget   = "target" // the target cannot be found, written to or read back
)

// Result is a push in numbers, as stored with its run. Added to Retryable count actions by what became of them,
// over all attempts of the run; the others count people.
type Result struct {
	Target  string `json:"target,omitempty"` // remote id
	Segment int    `json:"segment"`          // members of the segment
	Members int    `json:"members"`          // of the target, before the push
	Planned Counts `json:"planned"`          // what the last look at the target called for

	Added           int `json:"added"`
	Updated         int `json:"updated"`
	Removed         int `json:"removed"`
	RemovedOptedOut int `json:"removed_opted_out"` // because they refused, complained, bounced or were erased
	Accepted        int `json:"accepted"`          // taken by the target, not yet seen there
	Rejected        int `json:"rejected"`
	Retryable       int `json:"retryable"` // put off by the target; the next push tries again

	Unchanged int `json:"unchanged"`
	// Assumed counts members put or kept on the target without a permission, as the workspace has decided for the
	// channel.
	Assumed int `json:"assumed,omitempty"`
	// Held counts people who are kept from, or left alone at, the target, by reason.
	Held map[string]int `json:"held"`
}

// Tally returns the outcomes of the result by name: those of actions, unchanged, and held_REASON for every reason that
// holds somebody. The names are a closed set, fit for metrics.
func (r Result) Tally() map[string]int {
	tally := map[string]int{
		"added": r.Added, "updated": r.Updated, "removed": r.Removed, "removed_opted_out": r.RemovedOptedOut,
		"accepted": r.Accepted, "rejected": r.Rejected, "retryable": r.Retryable, "unchanged": r.Unchanged,
	}
	for reason, n := range r.Held {
		tally["held_"+reason] = n
	}
	return tally
}

// Counts are numbers of actions.
type Counts struct {
	Add            int `json:"add"`
	Update         int `json:"update"`
	Remove         int `json:"remove"`
	RemoveOptedOut int `json:"remove_opted_out"`
}

// Reasons for which somebody is kept from a target, or left alone there, beside those of package consent.
const (
	NoAddress        = "no_address"        // nothing the target could recognise them by
	DuplicateAddress = "duplicate_address" // the address is another customer's too, who has it on the target
	CompanyCustomer  = "company"           // a company; its people are not written to yet
	RemovedByHand    = "removed_by_hand"   // somebody took off at the target whom we had put there
	RefusedThere     = "refused_there"     // we put them on, and the target still says they are not to be written to
	RejectedBefore   = "rejected"          // the target refused just this action in an earlier push
	AcceptedBefore   = "accepted"          // the target took it earlier and has not carried it out yet
	OutcomeUnknown   = "outcome_unknown"   // the hub was cut off while sending; the target can neither be asked nor told again
	Unreadable       = "unreadable"        // what the target says of them could not be understood
	Unidentified     = "unidentified"      // on the target without what it recognises people by
	NotThere         = "not_there"         // mode update, and they are not on the target
)

// Reasons of actions, beside those of package consent.
const (
	LeftSegment = "left_segment" // on the target, and not, or not any more, whom the segment calls for
	NewFields   = "fields"       // fields or tag differ from what was sent, or that is unknown
)

// ErrNothingToApprove says that an activation waits for nobody.
var ErrNothingToApprove = errors.New("the activation does not wait for an approval")

// state returns an activation's state, the zero State for one that has none yet.
func (e *Engine) state(ctx context.Context, ws store.WorkspaceID, id string) (State, error) {
	state, err := e.Store.ActivationState(ctx, nil, ws, id)
	if err != nil {
		return State{}, fmt.Errorf("reading the state of activation %s: %w", id, err)
	}
	return state, nil
}

// changeState changes an activation's state in a transaction; one that stays the same writes nothing (R3).
func (e *Engine) changeState(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id string, change func(*State) error) error {
	state, err := e.Store.ActivationState(ctx, tx, ws, id)
	if err != nil {
		return fmt.Errorf("reading the state of activation %s: %w", id, err)
	}
	before := state
	if err := change(&state); err != nil {
		return err
	}
	if state.equal(before) {
		return nil
	}
	if err := e.Store.PutActivationState(ctx, tx, ws, id, state); err != nil {
		return fmt.Errorf("storing the state of activation %s: %w", id, err)
	}
	return nil
}

// Results lists what was sent in a run and what became of it, in the order of sending.
func (e *Engine) Results(ctx context.Context, ws store.WorkspaceID, id run.ID) ([]Sending, error) {
	return e.Store.Sendings(ctx, ws, id)
}
