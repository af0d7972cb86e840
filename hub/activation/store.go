package activation

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
)

// Store is what activations need of the store. A nil transaction reads what is committed. Look-ups of many take them
// at once: a segment of 100,000 costs a handful of queries.
type Store interface {
	InTx(ctx context.Context, f func(tx store.Tx) error) error
	SetRunResult(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID, result string) error

	// Members returns the numbers of a segment's members, ascending.
	Members(ctx context.Context, tx store.Tx, ws store.WorkspaceID, segment string) ([]customer.ID, error)
	// SegmentEvaluated says whether a segment was ever evaluated, so that no members means nobody.
	SegmentEvaluated(ctx context.Context, ws store.WorkspaceID, segment string) (bool, error)
	// CustomersByID returns those of the customers that exist, by number.
	CustomersByID(ctx context.Context, tx store.Tx, ws store.WorkspaceID, ids []customer.ID) ([]customer.Customer, error)
	// RecordKeys returns the keys of customers' live records in one stream, sorted.
	RecordKeys(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream string, ids []customer.ID) (map[customer.ID][]string, error)
	// AddressOwners returns the customers that have an address (kind identity.EmailKind or PhoneKind), ascending.
	AddressOwners(ctx context.Context, tx store.Tx, ws store.WorkspaceID, kind string, addresses []string) (map[string][]customer.ID, error)
	// RecordOwners returns the customers that records of a stream belong to.
	RecordOwners(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream string, keys []string) (map[string][]customer.ID, error)

	// Consents returns all that is known of customers' permissions and refusals: records about their records, about
	// their addresses, also from other connections, and what destinations said of their addresses.
	Consents(ctx context.Context, tx store.Tx, ws store.WorkspaceID, ids []customer.ID) (map[customer.ID][]consent.Record, error)
	// AddressConsents returns the same for addresses, whoever has them.
	AddressConsents(ctx context.Context, tx store.Tx, ws store.WorkspaceID, addresses []string) (map[string][]consent.Record, error)
	// PutRemoteConsents keeps what a destination said, and never forgets a refusal. It returns how many rows changed.
	PutRemoteConsents(ctx context.Context, tx store.Tx, ws store.WorkspaceID, refusals []RemoteConsent) (int64, error)

	ActivationState(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id string) (State, error)
	PutActivationState(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id string, state State) error

	// OpenSendings returns the activation's sendings whose outcome is not known, in state Intent or Accepted.
	OpenSendings(ctx context.Context, tx store.Tx, ws store.WorkspaceID, activation string) ([]Sending, error)
	// AddSendings adds intents and returns their numbers.
	AddSendings(ctx context.Context, tx store.Tx, ws store.WorkspaceID, sendings []Sending) ([]int64, error)
	// SetSendings stores the State, Message and Rule of sendings by their ID.
	SetSendings(ctx context.Context, tx store.Tx, ws store.WorkspaceID, sendings []Sending) error
	// Rejections returns the sendings that the target rejected and that no later success for the same identity has
	// made obsolete.
	Rejections(ctx context.Context, tx store.Tx, ws store.WorkspaceID, activation string, conn store.ConnectionID, target string) ([]Sending, error)
	// Sendings returns all of a run, in order.
	Sendings(ctx context.Context, ws store.WorkspaceID, id run.ID) ([]Sending, error)
	// Flush makes what is committed survive a loss of power.
	Flush(ctx context.Context) error

	// Ledger returns what stands at a target because it was sent, by identity.
	Ledger(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, target string) (map[string]Sent, error)
	PutSent(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, target string, sent []Sent) error
	DropSent(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, target string, identities []string) error
	// DropTarget forgets all that was sent to a target that no longer exists.
	DropTarget(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, target string) error
}

// State is what the store keeps of an activation between its pushes.
type State struct {
	// ApprovedAt is when somebody approved the first push; zero before that.
	ApprovedAt time.Time
	// ApprovedRun is the run whose held plan was approved, up to ApprovedAdds and ApprovedRemovals, for one push.
	ApprovedRun                    run.ID
	ApprovedAdds, ApprovedRemovals int
	// Held is not empty while a plan waits for a person; it says why. HeldRun made the plan.
	Held                   string
	HeldRun                run.ID
	HeldAdds, HeldRemovals int
	PauseReason            string // not empty: paused
	// Target is the remote id found under TargetName, the target's name in the configuration.
	Target, TargetName string
	// ReadbackRun waits for the tool to prepare its members, to be asked for with ReadbackCursor.
	ReadbackRun    run.ID
	ReadbackCursor connector.Cursor
	// FirstDone is when the first push that had anything to do was complete, LastDone the last of any; zero before.
	FirstDone, LastDone time.Time
}

func (s State) equal(o State) bool {
	same := bytes.Equal(s.ReadbackCursor, o.ReadbackCursor) && s.ApprovedAt.Equal(o.ApprovedAt) && s.FirstDone.Equal(o.FirstDone) && s.LastDone.Equal(o.LastDone)
	return same && s.ApprovedRun == o.ApprovedRun && s.ApprovedAdds == o.ApprovedAdds && s.ApprovedRemovals == o.ApprovedRemovals &&
		s.Held == o.Held && s.HeldRun == o.HeldRun && s.HeldAdds == o.HeldAdds && s.HeldRemovals == o.HeldRemovals &&
		s.PauseReason == o.PauseReason && s.Target == o.Target && s.TargetName == o.TargetName && s.ReadbackRun == o.ReadbackRun
}

// RemoteConsent is a refusal as a destination reported it of a member.
type RemoteConsent struct {
	Connection store.ConnectionID
	Target     string
	Channel    string
	// Address in normal form, or RecordAddress where members are known by their record.
	Address string
	State   entity.ConsentState
	At      time.Time // zero when the tool does not say
}

// RecordAddress stands for an address where a destination knows its members by the key of their record.
func RecordAddress(conn store.ConnectionID, stream, key string) string {
	return fmt.Sprintf("key:%d/%s/%s", conn, stream, key)
}

// Action is what is done to one member.
type Action string

// The actions.
const (
	Add    Action = "add"
	Change Action = "update"
	Remove Action = "remove"
)

// SendingState is what became of a sending.
type SendingState string

// The states of a sending.
const (
	Intent     SendingState = "intent"   // about to be sent, or sent with nobody knowing the outcome
	Done       SendingState = "ok"       //
	Accepted   SendingState = "accepted" // the target does it later; looking at its members tells when it has
	Rejected   SendingState = "rejected"
	Retryable  SendingState = "retryable"
	Superseded SendingState = "superseded" // the outcome was never learned; a later look at the target decided anew
)

// Sending is one line of the outbox: an action on one member, written before the call to the target. Identity,
// Payload and Before are personal data and stay out of logs.
type Sending struct {
	ID             int64              `json:"id"`
	Run            run.ID             `json:"run"`
	Activation     string             `json:"activation"`
	Connection     store.ConnectionID `json:"-"`
	Target         string             `json:"target"`
	Identity       string             `json:"identity"` // address in normal form or remote record key
	Customer       customer.ID        `json:"customer"` // 0 for a member that is no customer
	Action         Action             `json:"action"`
	Reason         string             `json:"reason"`
	Payload        string             `json:"payload"` // fields and tags, as JSON
	PayloadHash    string             `json:"-"`
	Before         string             `json:"before"` // the member before, as JSON; empty where nobody was
	IdempotencyKey string             `json:"-"`
	State          SendingState       `json:"state"`
	Message        string             `json:"message,omitempty"` // the target's answer
	Rule           string             `json:"rule,omitempty"`
	Created        time.Time          `json:"created_at"`
	Finished       time.Time          `json:"finished_at,omitzero"`
}

// Sent is one line of the ledger.
type Sent struct {
	Identity    string
	Activation  string
	Customer    customer.ID
	PayloadHash string
	SentAt      time.Time
	// GoneAt is when it was first seen that somebody had taken them off at the target; zero while they stand there.
	GoneAt time.Time
}

// LedgerLine is a line of the ledger with the connection's name, for exports.
type LedgerLine struct {
	Connection, Target, Identity, Activation, PayloadHash string
	Gone                                                  bool
}

// Membership is one customer's membership in a segment, for exports.
type Membership struct {
	Segment   string
	Customer  customer.ID
	EnteredOn entity.Date
}
