// Package api is the hub's HTTP API: the same over the local socket that the command line uses and over the
// listening address. It reaches the hub through the interfaces in this file and serves the metrics.
package api

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
)

// Errors a Service returns, wrapped with what they are about. Others are faults of the hub.
var (
	// ErrNotFound: no such workspace, connection, run, segment...
	ErrNotFound = errors.New("not found")
	// ErrRefused: the request makes no sense as things stand; the message says why and what to do.
	ErrRefused = errors.New("refused")
)

// Service is the hub as the API sees it. Workspaces are named; an empty name means the only one there is, and is
// refused when there are several.
type Service interface {
	Syncing
	DeadLetters
	Figures
	Segments
	Activations
	Customers
	Identities
	Operating
}

// Syncing starts and watches runs.
type Syncing interface {
	// Sync requests a run of every stream of the named connections (all when none is named), and returns the runs.
	Sync(ctx context.Context, workspace string, connections []string, mode run.Mode) ([]Run, error)
	Runs(ctx context.Context, workspace string, limit int) ([]Run, error)
	GetRun(ctx context.Context, workspace string, id run.ID) (Run, error)
	CancelRun(ctx context.Context, workspace string, id run.ID) (Run, error)
	// Standing tells how far processing has come; a client that waits for the end of a sync asks until Idle.
	Standing(ctx context.Context, workspace string) (Standing, error)
}

// DeadLetters shows what could not be used and takes it up again.
type DeadLetters interface {
	DeadLetters(ctx context.Context, workspace, state string, limit int) ([]DeadLetter, error)
	DeadLetter(ctx context.Context, workspace string, id int64) (DeadLetter, error)
	// RetryDeadLetters takes letters in again: those the hub refused at once, those the connector skipped by a full
	// read of their stream. No ids means all open ones.
	RetryDeadLetters(ctx context.Context, workspace string, ids []int64) (RetryReply, error)
	DropDeadLetter(ctx context.Context, workspace string, id int64) error
}

// Figures computes.
type Figures interface {
	KPIs(ctx context.Context, workspace string, request kpi.Request) (kpi.Report, error)
	// KPIsBy computes the figures for each value of a dimension.
	KPIsBy(ctx context.Context, workspace string, by kpi.Dimension, request kpi.Request) (kpi.Sliced, error)
	// KPIHistory computes one figure for so many months up to that of as-of.
	KPIHistory(ctx context.Context, workspace, id string, months int, request kpi.Request) ([]kpi.Point, error)
	// RFM and RFMCustomers score by the workspace's method, or by another one: share, ntile or fixed.
	RFM(ctx context.Context, workspace, method string, request kpi.Request) (kpi.RFM, error)
	RFMCustomers(ctx context.Context, workspace, method string, request kpi.Request) ([]RFMCustomer, error)
	Cohorts(ctx context.Context, workspace string, kind kpi.CohortKind, request kpi.Request) (kpi.Cohorts, error)
	Rolling(ctx context.Context, workspace string, kind kpi.CohortKind, request kpi.Request) (kpi.Rolling, error)
}

// Segments shows who belongs where.
type Segments interface {
	Segments(ctx context.Context, workspace string) ([]Segment, error)
	SegmentMembers(ctx context.Context, workspace, id string) ([]Member, error)
	SegmentHistory(ctx context.Context, workspace, id string, limit int) ([]MembershipEvent, error)
	// PreviewSegment evaluates a segment, or a rule that is none yet, and stores nothing. A rule that is wrong is refused
	// with the position of the mistake.
	PreviewSegment(ctx context.Context, workspace string, request PreviewRequest) (SegmentPreview, error)
}

// Activations previews, starts and stops pushes.
type Activations interface {
	Activations(ctx context.Context, workspace string) ([]Activation, error)
	PreviewActivation(ctx context.Context, workspace, id string) (Plan, error)
	RunActivation(ctx context.Context, workspace, id string) (Run, error)
	ApproveActivation(ctx context.Context, workspace, id string) (Activation, error)
	PauseActivation(ctx context.Context, workspace, id string, pause bool) (Activation, error)
	// ActivationResults lists what became of each record of a push; run 0 means the last one.
	ActivationResults(ctx context.Context, workspace, id string, run run.ID) ([]RecordResult, error)
}

// Customers finds people and says what is known of them.
type Customers interface {
	// FindCustomers looks an e-mail address, a phone number, a record key or a customer number up.
	FindCustomers(ctx context.Context, workspace, query string) ([]CustomerCard, error)
	// Customer is the whole card of one customer; of a number that was merged, of the customer it stands for.
	Customer(ctx context.Context, workspace string, id customer.ID) (FullCard, error)
	MayContact(ctx context.Context, workspace string, id customer.ID, channel, purpose string) (Verdict, error)
	// Export writes the canonical form: sorted JSON lines without numbers of the store and without times of the hub.
	Export(ctx context.Context, workspace string, to io.Writer) error
}

// Operating keeps the hub running.
type Operating interface {
	Status(ctx context.Context) (Status, error)
	Connections(ctx context.Context, workspace string) ([]Connection, error)
	CheckConnection(ctx context.Context, workspace, name string) (CheckReply, error)
	PauseConnection(ctx context.Context, workspace, name string, pause bool) (Connection, error)
	Connectors(ctx context.Context) ([]Connector, error)
	Connector(ctx context.Context, name string) (connector.Spec, error)
	ReleaseConnector(ctx context.Context, name string) error
	// Ready says why the hub should get no traffic yet; nil when it is ready.
	Ready(ctx context.Context) error
	// Samples is what gauges show at the moment of a scrape.
	Samples(ctx context.Context) (Samples, error)
}

// Run is one sync of one stream, or one push of one activation.
type Run struct {
	ID         run.ID     `json:"id"`
	Connection string     `json:"connection"`
	Kind       run.Kind   `json:"kind"`
	Subject    string     `json:"subject" doc:"Stream or activation."`
	Mode       run.Mode   `json:"mode,omitempty"`
	Trigger    string     `json:"trigger"`
	State      run.State  `json:"state"`
	Cause      string     `json:"cause,omitempty" doc:"Why it ended badly or waits."`
	CauseKind  string     `json:"cause_kind,omitempty"`
	Stalls     int        `json:"stalls,omitempty"`
	Counts     run.Counts `json:"counts"`
	Total      int64      `json:"total,omitempty" doc:"Records the source said there are."`
	// Result holds a push's counts by outcome and reason.
	Result    map[string]int64 `json:"result,omitempty"`
	Created   time.Time        `json:"created"`
	Started   *time.Time       `json:"started,omitempty"`
	WaitUntil *time.Time       `json:"wait_until,omitempty"`
	Finished  *time.Time       `json:"finished,omitempty"`
}

// Standing is where a workspace's processing stands.
type Standing struct {
	Idle         bool       `json:"idle" doc:"Nothing is read, settled, refreshed or pushed, and nothing waits for it."`
	ActiveReads  int64      `json:"active_reads"`
	ActivePushes int64      `json:"active_pushes"`
	Unsettled    int64      `json:"unsettled" doc:"Records waiting for settle."`
	RefreshedOn  string     `json:"refreshed_on,omitempty" doc:"As-of day of the last evaluation of figures and segments."`
	RefreshedAt  *time.Time `json:"refreshed_at,omitempty"`
	// Refreshed says how much work the last evaluation was (R11).
	Refreshed    int64 `json:"refreshed_customers" doc:"Customers the last evaluation looked at."`
	RefreshedAll bool  `json:"refreshed_all" doc:"The last evaluation looked at everybody: a new day, new rules or a large change."`
}

// DeadLetter is a record kept aside with its reason.
type DeadLetter struct {
	ID         int64     `json:"id"`
	Connection string    `json:"connection"`
	Stream     string    `json:"stream"`
	Key        string    `json:"key,omitempty"`
	Place      string    `json:"place,omitempty"`
	Rule       string    `json:"rule"`
	Message    string    `json:"message"`
	State      string    `json:"state"`
	Origin     string    `json:"origin"`
	Run        run.ID    `json:"run"`
	Created    time.Time `json:"created"`
	Changed    time.Time `json:"changed"`
	// Raw is the record as it came; only when one letter is shown.
	Raw string `json:"raw,omitempty"`
}

// RetryReply says what became of a retry.
type RetryReply struct {
	Resolved int   `json:"resolved" doc:"Letters whose record is stored now."`
	Open     int   `json:"open" doc:"Letters whose record still cannot be used."`
	Rereads  []Run `json:"rereads" doc:"Full reads started for letters the connector skipped."`
}

// RFMCustomer is one line of rfm --customers.
type RFMCustomer struct {
	kpi.RFMCustomer
	Keys []string `json:"keys"`
}

// Segment is a segment with its size at the last evaluation.
type Segment struct {
	ID          string            `json:"id"`
	Title       map[string]string `json:"title"`
	Size        int               `json:"size"`
	ManagedBy   string            `json:"managed_by"`
	Rule        string            `json:"rule,omitempty"`
	NetValue    string            `json:"net_value" doc:"Decimal, in the workspace's currency."`
	EvaluatedOn string            `json:"evaluated_on,omitempty"`
	Problem     string            `json:"problem,omitempty"`
}

// PreviewRequest asks whom a segment would hold now.
type PreviewRequest struct {
	Segment string `json:"segment,omitempty" doc:"Id of a segment; or else give a rule."`
	Rule    string `json:"rule,omitempty" doc:"Condition over customer fields."`
	Sample  int    `json:"sample,omitempty" minimum:"0" maximum:"1000" doc:"How many members to show; 10 when 0."`
}

// SegmentPreview is whom a rule would hold now.
type SegmentPreview struct {
	Segment string `json:"segment,omitempty"`
	Rule    string `json:"rule,omitempty"`
	AsOf    string `json:"as_of"`
	Size    int    `json:"size"`
	// Customers is how many there are in all.
	Customers int    `json:"customers"`
	NetValue  string `json:"net_value" doc:"Of the members, decimal, in the workspace's currency."`
	// Enter and Leave compare with the members of the last evaluation; only of a segment.
	Enter *int `json:"enter,omitempty" doc:"Who would enter since the last evaluation of the segment."`
	Leave *int `json:"leave,omitempty" doc:"Who would leave."`
	// Overlap lists the other segments that hold some of the members, the largest overlap first.
	Overlap []SegmentOverlap `json:"overlap"`
	Sample  []SampleMember   `json:"sample" doc:"Some of the members, spread evenly, with the fields that the rule names."`
}

// SegmentOverlap is how many members a rule shares with a segment.
type SegmentOverlap struct {
	Segment string `json:"segment"`
	Both    int    `json:"both"`
	Size    int    `json:"size" doc:"Of the other segment."`
}

// SampleMember is one member of a preview.
type SampleMember struct {
	Customer customer.ID    `json:"customer"`
	Name     string         `json:"name,omitempty"`
	Keys     []string       `json:"keys"`
	Fields   map[string]any `json:"fields"`
}

// Member is one line of segment show --members.
type Member struct {
	Customer customer.ID `json:"customer"`
	Keys     []string    `json:"keys"`
}

// MembershipEvent is one customer entering or leaving a segment.
type MembershipEvent struct {
	Segment  string      `json:"segment"`
	Customer customer.ID `json:"customer"`
	Event    string      `json:"event" enum:"entered,left"`
	On       entity.Date `json:"on" doc:"As-of day of the evaluation."`
	At       time.Time   `json:"at"`
	Why      *Why        `json:"why,omitempty"`
}

// Why is what made an evaluation put a customer into a segment or take one out.
type Why struct {
	Because string `json:"because" enum:"data,time,ranks" doc:"data: the customer's own orders, profile or consents changed; time: a day passed; ranks: others changed, and with them ranks and scores."`
	// Fields are the customer fields the rule names, as it saw them; money in major units.
	Fields map[string]any `json:"fields,omitempty" doc:"The customer fields that the rule names, with what it saw."`
}

// Activation is an activation with its standing.
type Activation struct {
	ID         string     `json:"id"`
	Segment    string     `json:"segment"`
	Connection string     `json:"connection"`
	Target     string     `json:"target"`
	Mode       string     `json:"mode"`
	Channel    string     `json:"channel"`
	Purpose    string     `json:"purpose"`
	Approved   bool       `json:"approved"`
	Held       string     `json:"held,omitempty" doc:"Why it waits for a person."`
	Paused     string     `json:"paused,omitempty"`
	LastDone   *time.Time `json:"last_done,omitempty"`
	LastRun    *Run       `json:"last_run,omitempty"`
	Problem    string     `json:"problem,omitempty"`
}

// Plan is what a push would do now.
type Plan struct {
	Activation  string           `json:"activation"`
	Target      string           `json:"target"`
	SegmentSize int              `json:"segment_size"`
	Members     int              `json:"members" doc:"On the target now."`
	Adds        int              `json:"adds"`
	Updates     int              `json:"updates"`
	Removes     int              `json:"removes"`
	Unchanged   int              `json:"unchanged"`
	Held        map[string]int64 `json:"held" doc:"People of the segment who are not put on the target, by reason."`
	// Stop says why a push would stop and ask (R5); empty when it would go through.
	Stop string `json:"stop,omitempty"`
}

// RecordResult is what became of one record of a push.
type RecordResult struct {
	Customer customer.ID `json:"customer"`
	Identity string      `json:"identity"`
	Action   string      `json:"action"`
	Reason   string      `json:"reason,omitempty"`
	State    string      `json:"state"`
	Message  string      `json:"message,omitempty"`
}

// CustomerCard is what is known of a customer.
type CustomerCard struct {
	ID      customer.ID   `json:"id"`
	AliasOf customer.ID   `json:"alias_of,omitempty" doc:"The customer this number was merged into."`
	Kind    customer.Kind `json:"kind"`
	customer.Profile
	Keys     []string `json:"keys"`
	Segments []string `json:"segments"`
}

// Verdict says whether somebody may be written to, and by which records.
type Verdict struct {
	Customer customer.ID       `json:"customer"`
	Channel  string            `json:"channel"`
	Purpose  string            `json:"purpose"`
	Allowed  bool              `json:"allowed"`
	Reason   string            `json:"reason"`
	Evidence []ConsentEvidence `json:"evidence"`
}

// ConsentEvidence is one record a verdict rests on.
type ConsentEvidence struct {
	Record      string     `json:"record"`
	State       string     `json:"state"`
	At          *time.Time `json:"at,omitempty"`
	Source      string     `json:"source,omitempty"`
	TextVersion string     `json:"text_version,omitempty"`
}

// Status is all workspaces of the hub, worst first.
type Status struct {
	Version    string            `json:"version"`
	Problems   []string          `json:"problems" doc:"What is wrong in the configuration, with its place."`
	Workspaces []WorkspaceStatus `json:"workspaces"`
}

// WorkspaceStatus is one workspace at a glance.
type WorkspaceStatus struct {
	Name        string       `json:"name"`
	Health      string       `json:"health" enum:"ok,behind,paused,failing"`
	Customers   int64        `json:"customers"`
	Standing    Standing     `json:"standing"`
	DeadLetters int64        `json:"dead_letters"`
	Connections []Connection `json:"connections"`
}

// Connection is a connection with its streams.
type Connection struct {
	Name      string   `json:"name"`
	Connector string   `json:"connector"`
	Account   string   `json:"account,omitempty"`
	Paused    string   `json:"paused,omitempty" doc:"Why, and what to do."`
	Every     string   `json:"every"`
	Streams   []Stream `json:"streams"`
}

// Stream is a stream with its freshness.
type Stream struct {
	Name         string      `json:"name"`
	Entity       entity.Kind `json:"entity"`
	Fresh        bool        `json:"fresh"`
	LastComplete *time.Time  `json:"last_complete,omitempty"`
	DeadLetters  int64       `json:"dead_letters"`
	LastRun      *Run        `json:"last_run,omitempty"`
}

// CheckReply is the outcome of a live test.
type CheckReply struct {
	OK          bool     `json:"ok"`
	Problems    []string `json:"problems"`
	AccountID   string   `json:"account_id,omitempty"`
	AccountName string   `json:"account_name,omitempty"`
	ClockSkew   string   `json:"clock_skew,omitempty"`
}

// Connector is an installed connector.
type Connector struct {
	Name        string `json:"name"`
	Version     string `json:"version,omitempty"`
	Title       string `json:"title,omitempty"`
	Problem     string `json:"problem,omitempty"`
	Quarantined string `json:"quarantined,omitempty"`
}

// Samples is what gauges show at the moment of a scrape.
type Samples struct {
	QueueDepth map[string]int64 // by queue
	TickAge    time.Duration
	StoreBytes int64
	Workspaces []WorkspaceSample
}

// WorkspaceSample is one workspace's gauges.
type WorkspaceSample struct {
	Name         string
	SettleLag    time.Duration // age of the oldest unsettled record
	Unsettled    int64
	ActiveRuns   map[run.State]int64
	Streams      []StreamSample
	SegmentSizes map[string]int
	KPIs         map[string]float64 // by id, money in major units
	Paused       map[string]bool    // by connection
	Held         map[string]bool    // by activation
}

// StreamSample is one stream's gauges.
type StreamSample struct {
	Connection, Stream string
	LastComplete       time.Time // zero before the first
	Fresh              bool
	DeadLetters        int64
}
