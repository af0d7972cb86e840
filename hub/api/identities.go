package api

import (
	"context"
	"net/http"
	"time"

	"github.com/regulars/regulars/hub/customer"
)

// Identities explains who is one customer and takes people's decisions about it (R6).
type Identities interface {
	ExplainCustomer(ctx context.Context, workspace string, request ExplainRequest) (Explanation, error)
	Decide(ctx context.Context, workspace string, request DecisionRequest) (Decided, error)
	// Decisions lists all that people have decided about records, oldest first.
	Decisions(ctx context.Context, workspace string) ([]Decision, error)
	// PreviewIdentity tells what other rules would make of the customers there are; nothing is changed.
	PreviewIdentity(ctx context.Context, workspace string, rules IdentityRules) (IdentityPreview, error)
	// JunkIdentifiers proposes identifiers that stand for many people or nobody, of those on at least so many records.
	JunkIdentifiers(ctx context.Context, workspace string, least int) ([]JunkIdentifier, error)
}

// IdentityRules are the rules of a workspace's "identity"; what is left out has its default.
type IdentityRules struct {
	Match       []string `json:"match,omitempty" yaml:"match" doc:"email, phone; both when left out."`
	NeverMatch  []string `json:"never_match,omitempty" yaml:"never_match"`
	Strong      []string `json:"strong,omitempty" yaml:"strong" doc:"Streams, connection.stream, and kinds of ids."`
	Anonymous   []string `json:"anonymous,omitempty" yaml:"anonymous"`
	Branches    string   `json:"branches,omitempty" yaml:"branches" enum:"together,apart"`
	PhoneRegion string   `json:"phone_region,omitempty" yaml:"phone_region"`
}

// IdentityPreview is what rules would do.
type IdentityPreview struct {
	Before  int        `json:"customers_before"`
	After   int        `json:"customers_after"`
	Merges  int        `json:"merges" doc:"Customers that would be made of several."`
	Merged  int        `json:"merged_customers" doc:"Customers that would be joined with others."`
	Splits  int        `json:"splits" doc:"Customers that would fall apart."`
	Parted  int        `json:"customers_from_splits"`
	Joined  [][]string `json:"merge_samples" doc:"The first record of each customer that would be joined."`
	Divided [][]string `json:"split_samples" doc:"The first record of each customer that would come of one."`
}

// JunkIdentifier is a proposal for identity.never_match.
type JunkIdentifier struct {
	Kind      string `json:"kind"`
	Value     string `json:"value"`
	Reason    string `json:"reason" enum:"shape,own,frequency"`
	Records   int    `json:"records"`
	Names     int    `json:"names" doc:"Different people by name."`
	Customers int    `json:"customers"`
	Ignored   bool   `json:"ignored" doc:"It joins nothing already."`
}

// ExplainRequest says whom to explain. It travels in a body, as addresses of requests end up in logs (R12).
type ExplainRequest struct {
	Query string `json:"query" minLength:"1" doc:"A customer number, an address or a record; a record in full, CONNECTION.STREAM/KEY, when other is given."`
	Other string `json:"other,omitempty" doc:"A second record in full: why the two are, or are not, one customer."`
}

// Explanation says why some records are one customer.
type Explanation struct {
	Customer      customer.ID       `json:"customer"`
	Kind          customer.Kind     `json:"kind"`
	FormerIDs     []customer.ID     `json:"former_ids" doc:"Numbers of customers that were merged into this one."`
	Records       []ExplainedRecord `json:"records"`
	Evidence      []JoinEvidence    `json:"evidence" doc:"The joins that made the customer, in the order they were made."`
	Refused       []JoinRefusal     `json:"refused" doc:"Evidence that was not followed."`
	Decisions     []Decision        `json:"decisions" doc:"Pins and cuts that name its records."`
	Quarantine    string            `json:"quarantine,omitempty" enum:"too_many_records,strong_id_shared"`
	ComponentSize int               `json:"component_size,omitempty" doc:"Of a quarantined customer: how many records evidence ties together."`
	Pair          *PairExplanation  `json:"pair,omitempty" doc:"When two records were named."`
}

// ExplainedRecord is one record of a customer.
type ExplainedRecord struct {
	Record      string `json:"record"`
	Placeholder bool   `json:"placeholder,omitempty" doc:"Others refer to it; it has not come, or is gone."`
	Quarantined bool   `json:"quarantined,omitempty"`
}

// JoinEvidence is evidence that two records are one customer.
type JoinEvidence struct {
	Strength  string `json:"strength"`
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Value     string `json:"value,omitempty"`
	Record    string `json:"record"`
	Other     string `json:"other"`
}

// JoinRefusal is evidence that was not followed, and why.
type JoinRefusal struct {
	JoinEvidence
	Reason   string      `json:"reason" enum:"cut,different_strong_ids,person_and_company"`
	IDKind   string      `json:"id_kind,omitempty" doc:"The strong id that differs."`
	Customer customer.ID `json:"customer" doc:"Whom it would have joined."`
}

// PairExplanation says why two records are, or are not, one customer.
type PairExplanation struct {
	Same          bool           `json:"same"`
	Customer      customer.ID    `json:"customer"`
	OtherCustomer customer.ID    `json:"other_customer"`
	Reason        string         `json:"reason" enum:"joined,cut,different_strong_ids,person_and_company,quarantined,no_evidence"`
	Path          []JoinEvidence `json:"path" doc:"The chain of joins from one to the other."`
	Refused       []JoinRefusal  `json:"refused" doc:"Evidence between the two customers that was not followed."`
}

// The actions of a DecisionRequest.
const (
	Unmerge     = "unmerge"
	UndoUnmerge = "undo_unmerge"
	Pin         = "pin"
	Unpin       = "unpin"
	Uncut       = "uncut"
)

// DecisionRequest is what somebody decides about records.
type DecisionRequest struct {
	Action  string   `json:"action" enum:"unmerge,undo_unmerge,pin,unpin,uncut"`
	Records []string `json:"records" minItems:"1" maxItems:"200" doc:"In full, CONNECTION.STREAM/KEY; two for pin, unpin and uncut."`
	Note    string   `json:"note,omitempty" maxLength:"500" doc:"Why."`
}

// Decision is a pin, two records are one customer, or a cut, they are two.
type Decision struct {
	Kind   string     `json:"kind" enum:"pin,cut"`
	Record string     `json:"record" doc:"Of a cut: the one that was taken out."`
	Other  string     `json:"other"`
	At     *time.Time `json:"at,omitempty"`
	Note   string     `json:"note,omitempty"`
}

// Decided says what became of a decision.
type Decided struct {
	Records   []MovedRecord `json:"records"`
	Decisions []Decision    `json:"decisions" doc:"Those that were made or taken back."`
}

// MovedRecord is a record that a decision names, with its customer before and after.
type MovedRecord struct {
	Record string      `json:"record"`
	Before customer.ID `json:"before"`
	Now    customer.ID `json:"now"`
}

func (r *router) identities() {
	type explain struct {
		InWorkspace
		Body ExplainRequest
	}
	type decide struct {
		InWorkspace
		Body DecisionRequest
	}
	operate(r, http.MethodPost, workspacePath+"/customers/explain", "explain-customer", "Tell why records are one customer", func(ctx context.Context, in *explain) (Explanation, error) {
		return r.service.ExplainCustomer(ctx, in.name(), in.Body)
	})
	operate(r, http.MethodPost, workspacePath+"/customers/decide", "decide-identity", "Keep records together or apart, or take that back", func(ctx context.Context, in *decide) (Decided, error) {
		return r.service.Decide(ctx, in.name(), in.Body)
	})
	type preview struct {
		InWorkspace
		Body IdentityRules
	}
	type junk struct {
		InWorkspace
		Least int `query:"least" minimum:"2" default:"3" doc:"Records that carry it at least."`
	}
	operate(r, http.MethodPost, workspacePath+"/identity/preview", "preview-identity", "Tell what other rules would make of the customers", func(ctx context.Context, in *preview) (IdentityPreview, error) {
		return r.service.PreviewIdentity(ctx, in.name(), in.Body)
	})
	operate(r, http.MethodGet, workspacePath+"/identity/junk", "list-junk-identifiers", "Propose identifiers that should join nothing", func(ctx context.Context, in *junk) ([]JunkIdentifier, error) {
		return list(r.service.JunkIdentifiers(ctx, in.name(), in.Least))
	})
	operate(r, http.MethodGet, workspacePath+"/customers/decisions", "list-identity-decisions", "List pins and cuts, oldest first", func(ctx context.Context, in *InWorkspace) ([]Decision, error) {
		return list(r.service.Decisions(ctx, in.name()))
	})
}
