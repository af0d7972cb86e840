package sdk

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
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

// Target is one kind of thing that can be written to: lists, tags, the CRM itself.
type Target struct {
	// Kind is unique within the connector, e.g. "list".
	Kind string
	// Channel: email, sms, messenger, push, phone or none. Consent is decided per channel; none lies outside it.
	// Empty leaves it to the activation's configuration.
	Channel string
	// Doc says in one line what it is.
	Doc string
	// Actions that Write understands; empty means ActionMember.
	Actions []ActionKind
	// Identity is what identifies a member: email, phone, or the name of the stream whose record key does.
	Identity string
	// Traits the target knows. OpenTraits means that it takes any others too.
	Traits     []Trait
	OpenTraits bool
	// Idempotent says that repeating an action changes nothing more.
	Idempotent bool
	// Batch is how many actions per Write are best; 0 means 500.
	Batch int

	config             reflect.Type
	canCreate, canRead bool
	list               func(ctx context.Context, cfg reflect.Value, req TargetsRequest) (TargetList, error)
	create             func(ctx context.Context, cfg reflect.Value, req CreateRequest) (RemoteTarget, error)
	members            readFunc
	write              func(ctx context.Context, cfg reflect.Value, req WriteRequest) ([]Result, error)
}

// Trait is one attribute a target keeps of its members.
type Trait struct {
	ID, Title string
	// Type: text, integer, decimal, date, boolean.
	Type string
}

// Destination holds the functions behind a target. Write is needed, List is unless every action names no target;
// without Create targets are made by hand, without Members nothing can be read back.
type Destination[C any] struct {
	// List returns the targets that exist.
	List func(ctx context.Context, cfg C, req TargetsRequest) (TargetList, error)
	// Create makes a target unless one of the name exists, and returns it in both cases.
	Create func(ctx context.Context, cfg C, req CreateRequest) (RemoteTarget, error)
	// Members returns a page of who is on req.Target, as the read function of a stream does.
	Members func(ctx context.Context, cfg C, req ReadRequest) (Page[entity.Member], error)
	// Write carries out actions and returns one result for each, in their order. With an error it may return
	// results for the first few actions: the rest count as failed with that error.
	Write func(ctx context.Context, cfg C, req WriteRequest) ([]Result, error)
}

// TargetOf joins a target's description with the functions behind it.
func TargetOf[C any](t Target, d Destination[C]) Target {
	t.config = reflect.TypeFor[C]()
	t.canCreate, t.canRead = d.Create != nil, d.Members != nil
	if d.List != nil {
		t.list = func(ctx context.Context, cfg reflect.Value, req TargetsRequest) (TargetList, error) {
			return d.List(ctx, cfg.Interface().(C), req)
		}
	}
	if d.Create != nil {
		t.create = func(ctx context.Context, cfg reflect.Value, req CreateRequest) (RemoteTarget, error) {
			return d.Create(ctx, cfg.Interface().(C), req)
		}
	}
	if d.Members != nil {
		t.members = typedRead(d.Members)
	}
	if d.Write != nil {
		t.write = func(ctx context.Context, cfg reflect.Value, req WriteRequest) ([]Result, error) {
			return d.Write(ctx, cfg.Interface().(C), req)
		}
	}
	return t
}

func (t Target) validate() []error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("target %s: "+format, append([]any{t.Kind}, args...)...))
	}
	if t.Kind == "" {
		fault("Kind is empty")
	}
	if t.write == nil {
		fault("it has no Write function; use sdk.TargetOf")
	}
	if t.Channel != "" && !slices.Contains([]string{"email", "sms", "messenger", "push", "phone", "none"}, t.Channel) {
		fault("the channel %q is unknown", t.Channel)
	}
	if slices.Contains(t.actions(), ActionMember) && t.Identity == "" {
		fault("Identity is empty, but it has members")
	}
	return faults
}

func (t Target) actions() []ActionKind {
	if len(t.Actions) == 0 {
		return []ActionKind{ActionMember}
	}
	return t.Actions
}

// TargetsRequest asks which targets exist.
type TargetsRequest struct {
	Call
	// Cursor is a Next returned earlier, nil for the first page.
	Cursor []byte
}

// TargetList is one page of targets.
type TargetList struct {
	Targets []RemoteTarget
	Next    []byte
	More    bool
}

// CreateRequest asks for a target of a name.
type CreateRequest struct {
	Call
	Name string
}

// RemoteTarget is one list, tag or board that exists.
type RemoteTarget struct {
	// ID is the remote id, as it comes in Action.Target and ReadRequest.Target.
	ID, Name string
	// Members as the tool counts them; nil when it does not say.
	Members *int64
	// Traits of this very target, beside those of its kind.
	Traits []Trait
	// ReadOnlyReason says why it cannot be written to; empty when it can.
	ReadOnlyReason string
}
