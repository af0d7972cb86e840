// Package connector holds the hub's words for connectors: what a connector says of itself, the records it
// returns and the problems it reports. Types only; hub/runner speaks the protocol.
package connector

import (
	"fmt"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// Cursor says where a stream's next page starts. It is opaque to the hub and is stored in the transaction that
// stores the page it belongs to, so a crash can repeat a page but never skip one (R1).
type Cursor []byte

// Mode is how a stream is read.
type Mode string

// The modes of reading.
const (
	Full        Mode = "full"
	Incremental Mode = "incremental"
	IDs         Mode = "ids"
)

// Deletes is how a stream's deletions are seen.
type Deletes string

// The ways deletions are seen.
const (
	DeletesUnseen     Deletes = ""
	DeletesTombstones Deletes = "tombstones"
	DeletesAbsence    Deletes = "absence"
	DeletesIDs        Deletes = "ids"
)

// ActionKind is what can be done at a target.
type ActionKind string

// The kinds of actions.
const (
	ActionMember  ActionKind = "member"
	ActionTraits  ActionKind = "traits"
	ActionTask    ActionKind = "task"
	ActionDeal    ActionKind = "deal"
	ActionSend    ActionKind = "send"
	ActionConfirm ActionKind = "confirm"
)

// MembersStream is the stream that reads who is on a target.
const MembersStream = "members"

// Spec is a connector's description of itself.
type Spec struct {
	Name, Version, Title, DocsURL string
	Config                        []ConfigField
	ConfigSchema                  []byte // JSON Schema, draft 2020-12
	Streams                       []StreamSpec
	Targets                       []TargetSpec
	DataCountry                   string
	AutoMTLS                      bool
	HasFields, HasWebhooks        bool
}

// Stream returns the spec of a stream by name.
func (s Spec) Stream(name string) (StreamSpec, bool) {
	for _, stream := range s.Streams {
		if stream.Name == name {
			return stream, true
		}
	}
	return StreamSpec{}, false
}

// ConfigField is one place in a connector's configuration; Path is dotted, "*" stands for any key of a map.
type ConfigField struct {
	Path, Type, Doc      string
	Required, Secret     bool
	DefaultJSON, Example string
	OneOf                []string
}

// FieldPath is the ConfigField.Type of a path, which is read relative to the file that names it.
const FieldPath = "path"

// StreamSpec describes one stream.
type StreamSpec struct {
	Name   string
	Entity entity.Kind
	// PersonKey says that the record key is a person's strong id.
	PersonKey bool
	Modes     []Mode
	Deletes   Deletes
	Webhooks  bool
	ByKey     bool
	Ranges    bool
	Doc       string
	After     []string // streams to read first
}

// TargetSpec describes one kind of target.
type TargetSpec struct {
	Kind       string
	Channel    string // email, sms, messenger, push, phone or none
	Actions    []ActionKind
	Readback   bool
	CanCreate  bool
	Identity   string // email, phone or a stream's name
	Traits     []TraitSpec
	OpenTraits bool
	Idempotent bool
	Batch      int
	Doc        string
}

// TraitSpec is one attribute a target keeps of its members.
type TraitSpec struct{ ID, Title, Type string }

// Call is what every call to a configured connector carries.
type Call struct {
	Config   []byte            // JSON, secrets left out
	Secrets  map[string]string // by dotted path of the field
	TimeZone string            // the workspace's, IANA
	Currency string            // the workspace's, ISO 4217
	Budget   Budget
	// Offline asks Check to look at the configuration only and to make no network call.
	Offline bool
}

// Budget bounds the vendor calls of one call to a connector; zero values mean no limit.
type Budget struct {
	Calls       int
	PerSecond   float64
	Burst       int
	Concurrency int
}

// Usage is what a call used and what the vendor said remains.
type Usage struct {
	Calls      int
	Remaining  *int64
	WaitUntil  time.Time // zero when there is no need to wait
	RequestIDs []string
}

// CheckResult is the outcome of a live test of a connection.
type CheckResult struct {
	Problems               []*Problem
	AccountID, AccountName string
	ClockSkew              time.Duration
	TimeZone, Currency     string
	// Config is the checked configuration as JSON with defaults filled in, secrets left out.
	Config []byte
	Usage  Usage
	// Streams of the spec that this configuration and account offer; nil means all of them.
	Streams []string
}

// ReadRequest asks for one page.
type ReadRequest struct {
	Stream       string
	Mode         Mode
	Cursor       Cursor
	Since, Until time.Time // zero means unbounded
	Keys         []string  // read exactly these
	Target       string    // with MembersStream
	MaxRecords   int       // 0 means 500
}

// Page is one answer of a stream.
type Page struct {
	Records []Record
	Skipped []Skipped
	Next    Cursor
	More    bool
	// NotReadyUntil is set while the vendor prepares an asynchronous answer; ask again with Next then.
	NotReadyUntil time.Time
	Usage         Usage
	// Snapshot names the complete read the page belongs to; empty when what is not returned may still exist.
	Snapshot string
	Total    int64
}

// Record is one remote object as a unified entity.
type Record struct {
	Key       string
	Deleted   bool
	UpdatedAt time.Time // zero when the source does not say
	Data      []byte    // the entity as JSON
	// Sequence orders records of one day that have no time of day; it is not part of the content.
	Sequence   int64
	Place      string // e.g. "orders.csv line 12"
	MergedKeys []string
}

// Skipped is something a connector read but could make no record of.
type Skipped struct {
	Key       string
	Problem   *Problem
	Raw       []byte
	UpdatedAt time.Time
	Sequence  int64
}

// Person is how a remote system recognises somebody.
type Person struct {
	RemoteKey, Stream string
	Email, Phone      string
}

// Action is one write of kind ActionMember: put a person on a target or take them off it. Other kinds join as
// further fields.
type Action struct {
	IdempotencyKey string
	Target         string
	Person         Person
	On             bool
	Traits         map[string]string
	Tags           []string
	ConsentedAt    time.Time
	ConsentSource  string
}

// ResultState is what became of an action.
type ResultState string

// The states of a result.
const (
	ResultOK        ResultState = "ok"
	ResultAccepted  ResultState = "accepted"
	ResultRejected  ResultState = "rejected"
	ResultRetryable ResultState = "retryable"
)

// Result is the outcome of one action.
type Result struct {
	State        ResultState
	RemoteID     string
	Problem      *Problem
	Handle       string
	ConfirmAfter time.Time
	Unchanged    bool
}

// Target is something that can be written to.
type Target struct {
	ID, Name, Kind string
	Members        *int64
	ReadOnlyReason string
}

// Field is a custom field of the remote account.
type Field struct {
	Stream, ID, Title, Type string
	Choices                 map[string]string
	Writable                bool
}

// WebhookRequest is a raw notification as a vendor sent it.
type WebhookRequest struct {
	Method     string
	URL        string // the full address called, as some vendors sign it
	Headers    map[string][]string
	Body       []byte
	ReceivedAt time.Time
}

// WebhookAnswer is what a connector made of a notification. When it is not authentic nothing else is set.
type WebhookAnswer struct {
	Authentic bool
	Notices   []Notice
	Status    int // what to answer the vendor; 0 means 200
	Body      []byte
}

// Notice says that something happened to one record; the hub reads it by key.
type Notice struct {
	Stream, Key string
	Deleted     bool
	At          time.Time // zero when the vendor does not say
	MergedKeys  []string
}

// ProblemKind decides what the hub does about a problem.
type ProblemKind string

// The kinds of problems.
const (
	Auth          ProblemKind = "auth"           // the connection pauses
	RateLimited   ProblemKind = "rate_limited"   // wait; not a failed attempt
	InvalidConfig ProblemKind = "invalid_config" // the connection pauses
	Rejected      ProblemKind = "rejected"       // this record or action only
	Upstream      ProblemKind = "upstream"       // retried with back-off
	Bug           ProblemKind = "bug"            // retried, then stopped
)

// Problem is an error of a connector or of its process. Message is for people and holds neither secrets nor
// personal data.
type Problem struct {
	Kind       ProblemKind
	RetryAfter time.Duration
	Field      string // dotted path of the configuration field at fault
	Message    string
	Place      string // e.g. "orders.csv line 12, column amount"
	Rule       string // short stable name of the broken rule
	RequestID  string
}

// Error implements error.
func (p *Problem) Error() string {
	switch {
	case p.Place != "" && strings.HasPrefix(p.Message, p.Place):
		return p.Message
	case p.Place != "":
		return fmt.Sprintf("%s: %s", p.Place, p.Message)
	case p.Field != "":
		return fmt.Sprintf("%s: %s", p.Field, p.Message)
	default:
		return p.Message
	}
}
