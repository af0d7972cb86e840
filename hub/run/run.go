// Package run holds runs and leases: a run is one sync of one stream or one push of one activation, a lease the
// right of one worker to use a connection for it.
package run

import (
	"time"

	"github.com/regulars/regulars/hub/store"
)

// ID is the store's number for a run.
type ID int64

// Kind says what a run does.
type Kind string

// The kinds of runs.
const (
	Read       Kind = "read"       // sync of one stream
	Activation Kind = "activation" // push of one activation
)

// State is where a run stands.
type State string

// The states of a run; the first four are active, and a stream or activation has at most one active run.
const (
	Pending   State = "pending" // waits for its connection
	Queued    State = "queued"  // holds its connection, waits for a worker
	Running   State = "running"
	Waiting   State = "waiting" // until WaitUntil: a vendor's limit, an answer in preparation, or back-off
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Active says whether the run is not over.
func (s State) Active() bool {
	return s == Pending || s == Queued || s == Running || s == Waiting
}

// Mode says what a read run reads.
type Mode string

// The modes of a read run.
const (
	Incremental Mode = "incremental" // on from the cursor
	Full        Mode = "full"        // everything again, from an empty cursor
)

// Counts is what became of the records a run read (R1): Read is the sum of Stored, Unchanged, Deleted, Rejected and
// Ignored. Absent counts deletions inferred from a complete read; those records were not read.
type Counts struct {
	Read      int64 `json:"read"`
	Stored    int64 `json:"stored"`
	Unchanged int64 `json:"unchanged"`
	Deleted   int64 `json:"deleted"`
	Absent    int64 `json:"absent"`
	Rejected  int64 `json:"rejected"`
	Ignored   int64 `json:"ignored"`
}

// Add adds other to c.
func (c *Counts) Add(other Counts) {
	c.Read += other.Read
	c.Stored += other.Stored
	c.Unchanged += other.Unchanged
	c.Deleted += other.Deleted
	c.Absent += other.Absent
	c.Rejected += other.Rejected
	c.Ignored += other.Ignored
}

// Run is one sync of one stream, or one push of one activation.
type Run struct {
	ID         ID
	Workspace  store.WorkspaceID
	Connection store.ConnectionID
	Kind       Kind
	Subject    string // the stream's name or the activation's id
	Mode       Mode
	Trigger    string // schedule, hand, change, retry
	State      State
	Cause      string // why it ended badly or waits; for people
	CauseKind  string // the problem's kind, or "cancelled", "stalled"
	Cancel     bool   // somebody asked to stop it
	Attempt    int    // failed tries in a row
	Stalls     int    // times it was taken from a worker that went silent
	Pages      int64
	Total      int64 // records the source said there are; 0 unknown
	Counts     Counts
	// Result holds an activation's counts by outcome, as JSON.
	Result    string
	Created   time.Time
	Started   time.Time
	Heartbeat time.Time
	WaitUntil time.Time
	Finished  time.Time
}

// Lease is the right to use a connection for a run. Epoch grows with every new holder: a worker whose epoch is no
// longer the lease's has lost it and writes nothing more.
type Lease struct {
	Workspace  store.WorkspaceID
	Connection store.ConnectionID
	Run        ID
	Epoch      int64
	Until      time.Time // zero while the job is queued: such a lease does not lapse
}
