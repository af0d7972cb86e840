package sdk

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// Connector says what a connector is and can do. It is written down once and given to Serve.
type Connector struct {
	// Name as in the configuration's "connector:", lower case, e.g. "amocrm".
	Name string
	// Version is the connector's own release, semantic versioning.
	Version string
	// Title is for people, one line.
	Title string
	// Docs is the address of the connector's documentation; may be empty.
	Docs string
	// Config is made by ConfigOf and shared by every function below.
	Config Config
	// Streams are made by StreamOf.
	Streams []Stream
	// Targets are made by TargetOf. Only append to them: what the first one's ids look like depends on it.
	Targets []Target
	// Offers says which streams a configuration has, see OffersOf; without it, all.
	Offers OffersFunc
	// Check tries the live system, see CheckOf. The configuration is validated before it in any case.
	Check CheckFunc
	// Fields discovers custom fields, see FieldsOf.
	Fields FieldsFunc
	// Webhook verifies and decodes notifications, see WebhookOf.
	Webhook WebhookFunc
	// Auth says how the hub gets access; the zero value means by secrets of the configuration alone.
	Auth Auth
	// Limits are those the vendor documents.
	Limits []Limit
	// DataCountry is where personal data is processed (ISO 3166-1 alpha-2); empty when the installation decides.
	DataCountry string
	// AutoMTLS asks the hub to encrypt the socket between the two processes.
	AutoMTLS bool
}

// Mode is how a stream is read.
type Mode string

// The modes of reading.
const (
	// Full reads everything, from the start.
	Full Mode = "full"
	// Incremental reads what changed since the cursor.
	Incremental Mode = "incremental"
	// IDs reads only the keys of what exists now; the SDK drops the entities.
	IDs Mode = "ids"
)

// Deletes is how a stream's deletions can be seen.
type Deletes string

// The ways deletions are seen.
const (
	// Unseen: the source does not tell.
	Unseen Deletes = ""
	// Tombstones: records with Deleted arrive in incremental reads.
	Tombstones Deletes = "tombstones"
	// Absence: what a complete read (see Page.Snapshot) does not return is gone.
	Absence Deletes = "absence"
	// ByIDs: a read in mode IDs returns the keys that live.
	ByIDs Deletes = "ids"
)

// Stream is one kind of record of the source.
type Stream struct {
	// Name is unique within the connector, e.g. "contacts". "members" is taken: it reads targets.
	Name string
	// Entity is set by StreamOf from the type of the records.
	Entity entity.Kind
	// Doc says in one line what the records are.
	Doc string
	// Modes the read function understands; empty means Full.
	Modes []Mode
	// Deletes says how deletions are seen.
	Deletes Deletes
	// PersonKey says that the record key is a strong id: two keys are two people (or companies).
	PersonKey bool
	// ByKey says that ReadRequest.Keys works.
	ByKey bool
	// Ranges says that ReadRequest.Since and Until work.
	Ranges bool
	// Webhooks says that the Webhook function knows notifications of this stream.
	Webhooks bool
	// After names the streams this one's references point at; the hub reads those first.
	After []string

	config reflect.Type
	read   readFunc
}

// readFunc is a typed read function with its types hidden: cfg holds the struct that ConfigOf was made for.
type readFunc func(ctx context.Context, cfg reflect.Value, req ReadRequest) (answer, error)

// StreamOf joins a stream's description with the function that reads it. The entity follows from the type of
// the records.
//
// The function returns the page that req.Cursor points at (nil: the first). It may return as many records as the
// vendor's answer holds; the SDK gives them out in pages of the protocol's size. Called again with the same
// request it should return the same page, as far as the source allows.
func StreamOf[C, E any](s Stream, read func(ctx context.Context, cfg C, req ReadRequest) (Page[E], error)) Stream {
	s.config = reflect.TypeFor[C]()
	s.Entity, _ = kindOf[E]()
	s.read = typedRead(read)
	return s
}

func typedRead[C, E any](read func(ctx context.Context, cfg C, req ReadRequest) (Page[E], error)) readFunc {
	return func(ctx context.Context, cfg reflect.Value, req ReadRequest) (answer, error) {
		page, err := read(ctx, cfg.Interface().(C), req)
		if err != nil {
			return answer{}, err
		}
		return encodePage(page, req), nil
	}
}

// kindOf tells which entity a type is.
func kindOf[E any]() (entity.Kind, bool) {
	switch any(*new(E)).(type) {
	case entity.Contact:
		return entity.KindContact, true
	case entity.Company:
		return entity.KindCompany, true
	case entity.Deal:
		return entity.KindDeal, true
	case entity.Order:
		return entity.KindOrder, true
	case entity.Refund:
		return entity.KindRefund, true
	case entity.Activity:
		return entity.KindActivity, true
	case entity.Consent:
		return entity.KindConsent, true
	case entity.SurveyAnswer:
		return entity.KindSurveyAnswer, true
	case entity.Loyalty:
		return entity.KindLoyalty, true
	case entity.Owner:
		return entity.KindOwner, true
	case entity.OwnershipChange:
		return entity.KindOwnershipChange, true
	case entity.Rate:
		return entity.KindRate, true
	case entity.Member:
		return entity.KindMember, true
	default:
		return "", false
	}
}

// OffersFunc is made by OffersOf.
type OffersFunc struct {
	config reflect.Type
	call   func(cfg reflect.Value) []string
}

// OffersOf wraps the choice of streams that a valid configuration has, by name, for connectors whose streams depend
// on it. It makes no network call. The hub reads only these.
func OffersOf[C any](offers func(cfg C) []string) OffersFunc {
	return OffersFunc{
		config: reflect.TypeFor[C](),
		call:   func(cfg reflect.Value) []string { return offers(cfg.Interface().(C)) },
	}
}

// CheckFunc is made by CheckOf.
type CheckFunc struct {
	config reflect.Type
	call   func(ctx context.Context, cfg reflect.Value, req CheckRequest) (Account, error)
}

// CheckOf wraps a live test: it asks the vendor whose account the access is for. Several faults are returned
// together with errors.Join; each should be a *Problem. It runs only on a valid configuration.
func CheckOf[C any](check func(ctx context.Context, cfg C, req CheckRequest) (Account, error)) CheckFunc {
	return CheckFunc{
		config: reflect.TypeFor[C](),
		call: func(ctx context.Context, cfg reflect.Value, req CheckRequest) (Account, error) {
			return check(ctx, cfg.Interface().(C), req)
		},
	}
}

// FieldsFunc is made by FieldsOf.
type FieldsFunc struct {
	config reflect.Type
	call   func(ctx context.Context, cfg reflect.Value, req FieldsRequest) (FieldList, error)
}

// FieldsOf wraps the discovery of the account's custom fields.
func FieldsOf[C any](fields func(ctx context.Context, cfg C, req FieldsRequest) (FieldList, error)) FieldsFunc {
	return FieldsFunc{
		config: reflect.TypeFor[C](),
		call: func(ctx context.Context, cfg reflect.Value, req FieldsRequest) (FieldList, error) {
			return fields(ctx, cfg.Interface().(C), req)
		},
	}
}

// WebhookFunc is made by WebhookOf.
type WebhookFunc struct {
	config reflect.Type
	call   func(ctx context.Context, cfg reflect.Value, req WebhookRequest) (Delivery, error)
}

// WebhookOf wraps the decoding of a notification. It must make no network call.
func WebhookOf[C any](webhook func(ctx context.Context, cfg C, req WebhookRequest) (Delivery, error)) WebhookFunc {
	return WebhookFunc{
		config: reflect.TypeFor[C](),
		call: func(ctx context.Context, cfg reflect.Value, req WebhookRequest) (Delivery, error) {
			return webhook(ctx, cfg.Interface().(C), req)
		},
	}
}

// AuthKind is how the hub gets access to an account.
type AuthKind string

// The kinds of authentication.
const (
	// AuthNone needs no credentials, or only configuration fields of type Secret.
	AuthNone AuthKind = ""
	// AuthKey is a key that lives in a configuration field of type Secret.
	AuthKey AuthKind = "key"
	// AuthOAuth2 makes the hub keep OAuth2 tokens and hand over Access.Token.
	AuthOAuth2 AuthKind = "oauth2"
)

// Auth says how the hub gets access. All but Kind concerns OAuth2 alone.
type Auth struct {
	Kind                   AuthKind
	AuthorizeURL, TokenURL string
	Scopes                 []string
	// RefreshOn401 refreshes only after the vendor answered 401, instead of before the token expires.
	RefreshOn401 bool
	PKCE         bool
	// JSONBody: the token endpoint wants JSON.
	JSONBody bool
	// RefreshNeedsRedirect: the token endpoint wants redirect_uri in a refresh too.
	RefreshNeedsRedirect bool
	// HostSuffixes the account's address may have, e.g. ".amocrm.ru".
	HostSuffixes []string
	// RefreshTokenTTL is how long a refresh token lives unused; 0 when it does not expire.
	RefreshTokenTTL time.Duration
}

// LimitScope is what a vendor counts calls by.
type LimitScope string

// The scopes of limits.
const (
	PerAccount       LimitScope = "account"
	PerEgressAddress LimitScope = "egress_address"
	PerApplication   LimitScope = "application"
)

// Limit is one limit the vendor documents: Calls per Per.
type Limit struct {
	Scope       LimitScope
	Calls       int
	Per         time.Duration
	Burst       int
	Concurrency int
	Doc         string
}

// validate finds the mistakes an author can make in a Connector; they are the same at every start.
func (c Connector) validate() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		fault("Name is empty")
	}
	if c.Version == "" {
		fault("Version is empty")
	}
	if c.Config.root == nil {
		fault("Config is empty; use sdk.ConfigOf[yourConfig]()")
		return faults
	}
	faults = append(faults, c.Config.faults...)
	same := func(where string, got reflect.Type) {
		if got != nil && got != c.Config.typ {
			fault("%s takes a %v, but Config is made of %v", where, got, c.Config.typ)
		}
	}
	names := map[string]bool{}
	for _, s := range c.Streams {
		same("stream "+s.Name, s.config)
		switch {
		case s.Name == "":
			fault("a stream has no Name")
		case s.Name == membersStream:
			fault("the stream name %q is taken by the members of targets", membersStream)
		case s.read == nil:
			fault("stream %s is not made by sdk.StreamOf", s.Name)
		case s.Entity == "":
			fault("stream %s returns a type that is no entity", s.Name)
		case names[s.Name]:
			fault("two streams are called %s", s.Name)
		}
		names[s.Name] = true
		for _, mode := range s.Modes {
			if _, ok := wireModes[mode]; !ok {
				fault("stream %s has the unknown mode %q", s.Name, mode)
			}
		}
		if s.Deletes == ByIDs && !s.has(IDs) {
			fault("stream %s sees deletions by ids, but has no mode IDs", s.Name)
		}
	}
	for _, s := range c.Streams {
		for _, after := range s.After {
			if !names[after] {
				fault("stream %s comes after %s, which does not exist", s.Name, after)
			}
		}
	}
	kinds := map[string]bool{}
	for _, t := range c.Targets {
		same("target "+t.Kind, t.config)
		faults = append(faults, t.validate()...)
		if kinds[t.Kind] {
			fault("two targets are of kind %s", t.Kind)
		}
		kinds[t.Kind] = true
	}
	same("Offers", c.Offers.config)
	same("Check", c.Check.config)
	same("Fields", c.Fields.config)
	same("Webhook", c.Webhook.config)
	return faults
}

func (s Stream) modes() []Mode {
	if len(s.Modes) == 0 {
		return []Mode{Full}
	}
	return s.Modes
}

func (s Stream) has(mode Mode) bool {
	return slices.Contains(s.modes(), mode)
}
