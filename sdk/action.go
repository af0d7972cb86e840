package sdk

import (
	"strconv"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// WriteRequest asks to carry out actions.
type WriteRequest struct {
	Call
	Actions []Action
}

// Action is one thing to do. Exactly one of the pointers is set.
type Action struct {
	// Key is the idempotency key: repeating an action with the same key has no further effect.
	Key string
	// Target is a RemoteTarget.ID; empty for actions that need none.
	Target  string
	Person  Person
	Member  *Member
	Traits  *Traits
	Task    *Task
	Deal    *Deal
	Send    *Send
	Confirm *Confirm
}

// Kind tells which of the pointers is set; empty for an action this SDK does not know.
func (a Action) Kind() ActionKind {
	switch {
	case a.Member != nil:
		return ActionMember
	case a.Traits != nil:
		return ActionTraits
	case a.Task != nil:
		return ActionTask
	case a.Deal != nil:
		return ActionDeal
	case a.Send != nil:
		return ActionSend
	case a.Confirm != nil:
		return ActionConfirm
	default:
		return ""
	}
}

// Person is how the remote system recognises somebody. At least one field is set.
type Person struct {
	// RemoteKey is the record's key in Stream, where the destination is also a source.
	RemoteKey, Stream string
	Email             string
	// Phone is E.164.
	Phone string
	IDs   map[string]string
}

// Member puts a person on a target (On) or takes them off it, which is never an unsubscribe (R4).
type Member struct {
	On     bool
	Traits map[string]Value
	Tags   []string
	// ConsentedAt, ConsentSource and ConsentIP prove the consent to tools that take it.
	ConsentedAt              time.Time
	ConsentSource, ConsentIP string
}

// Traits changes attributes and tags of a person.
type Traits struct {
	Set                 map[string]Value
	Unset               []string
	AddTags, RemoveTags []string
}

// Task gives a colleague something to do about a person.
type Task struct {
	Text, Kind string
	DueAt      time.Time
	// Owner is a remote id; empty lets the connector pick the record's owner.
	Owner string
}

// Deal opens a deal with a person.
type Deal struct {
	Title, Pipeline, Stage, Owner string
	Amount                        *entity.Money
	Fields                        map[string]Value
}

// Send sends a prepared message.
type Send struct {
	Template  string
	At        time.Time
	Sender    string
	Variables map[string]Value
	// Tag of the target to send to, where the tool can.
	Tag string
}

// Confirm asks what became of an accepted action.
type Confirm struct{ Handle string }

// ValueKind says which field of a Value is set.
type ValueKind string

// The kinds of values.
const (
	ValueText    ValueKind = "text"
	ValueInteger ValueKind = "integer"
	ValueDecimal ValueKind = "decimal"
	ValueDate    ValueKind = "date"
	ValueBoolean ValueKind = "boolean"
	ValueTime    ValueKind = "time"
	ValueTexts   ValueKind = "texts"
)

// Value is a trait's value.
type Value struct {
	Kind ValueKind
	// Text holds text, and decimals as "12.50".
	Text    string
	Integer int64
	Date    entity.Date
	Boolean bool
	Time    time.Time
	Texts   []string
}

// String returns the value as plain text: decimals with a point, days as 2006-01-02, times as RFC 3339 in UTC.
func (v Value) String() string {
	switch v.Kind {
	case ValueInteger:
		return strconv.FormatInt(v.Integer, 10)
	case ValueDate:
		return v.Date.String()
	case ValueBoolean:
		return strconv.FormatBool(v.Boolean)
	case ValueTime:
		return v.Time.UTC().Format(time.RFC3339)
	case ValueTexts:
		return strings.Join(v.Texts, ", ")
	default:
		return v.Text
	}
}

// ResultState is what became of an action.
type ResultState string

// The states of a result.
const (
	StateOK ResultState = "ok"
	// StateAccepted: taken but not done yet; the hub sends Confirm with Handle, not before ConfirmAfter.
	StateAccepted ResultState = "accepted"
	// StateRejected will not work unchanged.
	StateRejected ResultState = "rejected"
	// StateRetryable is not done, but may work later.
	StateRetryable ResultState = "retryable"
)

// Result is the outcome of one action.
type Result struct {
	State        ResultState
	RemoteID     string
	Problem      *Problem
	Handle       string
	ConfirmAfter time.Time
	// Unchanged says that nothing had to be done.
	Unchanged bool
}

// Done says that the action was carried out. The remote id may be empty.
func Done(remoteID string) Result { return Result{State: StateOK, RemoteID: remoteID} }

// Unchanged says that nothing had to be done, e.g. the person is on the list already.
func Unchanged(remoteID string) Result {
	return Result{State: StateOK, RemoteID: remoteID, Unchanged: true}
}

// Accepted says that the vendor took the action and will do it later.
func Accepted(handle string, confirmAfter time.Time) Result {
	return Result{State: StateAccepted, Handle: handle, ConfirmAfter: confirmAfter}
}

// Failed says that the action was not carried out. Problems of kind rejected and invalid_config will not work
// unchanged, all others may work later.
func Failed(err error) Result {
	p := problemOf(err)
	if p.Kind == ProblemRejected || p.Kind == ProblemInvalidConfig {
		return Result{State: StateRejected, Problem: p}
	}
	return Result{State: StateRetryable, Problem: p}
}
