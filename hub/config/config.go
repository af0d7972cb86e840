// Package config reads hub.yaml and the workspace files: defaults, variables, secrets, inheritance, and every problem at
// once with its file, line and column. What the files may hold is declared once (hub_form.go, workspace_form.go); reading,
// JSON Schema and the keys of docs/configuration.md follow from that.
package config

import (
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// Hub is the configuration of one hub with the workspaces that are in order.
type Hub struct {
	// Path of hub.yaml, as it was given; Dir is its folder, absolute.
	Path, Dir string
	// Listen is the address of the HTTP server, host:port. Default 127.0.0.1:8080.
	Listen string
	// PublicURL is how browsers and vendors reach the hub, without a slash at the end; empty when they do not.
	PublicURL string
	// StorePath is the SQLite file, absolute; empty when StoreURL is set. Default data/regulars.db beside hub.yaml.
	StorePath string
	// StoreURL is a postgres:// address. It may hold a password.
	StoreURL Secret
	// VaultKey is for stored credentials, which come with the first connector that uses OAuth.
	VaultKey   Secret
	Connectors Connectors
	Limits     Limits
	// WorkspaceFiles are the patterns of workspace files, absolute.
	WorkspaceFiles []string
	// Workspaces in order, by name. Those with a problem are left out.
	Workspaces []Workspace
}

// Connectors says where connector executables are and what they may use.
type Connectors struct {
	// Folder of the executables, absolute; empty means connectors/ beside the program.
	Folder string
	// MaxAlive is how many connector processes run at once. Default 16.
	MaxAlive int
	// MemoryMB is the resident memory in MiB above which a connector process is ended. Default 512.
	MemoryMB int
	// Idle is how long an unused connector process stays. Default 60s.
	Idle time.Duration
	// Checksums are SHA-256 digits by connector name; an executable that differs is not started.
	Checksums map[string]string
}

// Limits bounds what the hub does at once.
type Limits struct {
	// ReadWorkers, WriteWorkers and ComputeWorkers are the jobs at once of each kind. Defaults 8, 4 and 2.
	ReadWorkers, WriteWorkers, ComputeWorkers int
	// Stop is how long a stopping hub waits for jobs under way. Default 15s.
	Stop time.Duration
}

// Workspace is one company: its connections, rules, segments and activations.
type Workspace struct {
	// Name is unique in the hub; RenamedFrom is its former name, whose data it goes on with.
	Name, RenamedFrom string
	// File is the workspace's own file as shown to people; Files are all it was read from, absolute, itself last.
	File  string
	Files []string
	// TimeZone decides where days, months and hours begin; its String is the IANA name.
	TimeZone *time.Location
	// Currency of figures, ISO 4217.
	Currency string
	// BusinessDate pins the as-of day of figures, segments and activations; nil means today.
	BusinessDate *entity.Date
	// Window is W, the days after the last order during which a customer is active. Default 90.
	Window int
	// Lifespan says how long a customer stays, for clv_simple.
	Lifespan Lifespan
	// RFM says how scores are given.
	RFM         RFM
	Connections []Connection // by name
	// CustomerFields are the workspace's own fields of customers, by name: integer, decimal, money, text, boolean, date or
	// texts. Connections fill them through Fields.
	CustomerFields map[string]string
	Orders         OrdersRule
	Rates          RatesRule
	Identity       Identity
	Consent        Consent
	Segments       []Segment    // by id
	Activations    []Activation // by id

	tree *node
}

// LifespanMethod says where the years a customer stays come from.
type LifespanMethod string

// The methods: 1 / yearly churn, the time that lost customers stayed, a given number of years.
const (
	LifespanByChurn  LifespanMethod = "churn"
	LifespanObserved LifespanMethod = "observed"
	LifespanYears    LifespanMethod = "years"
)

// Lifespan says how long a customer stays. Default by churn.
type Lifespan struct {
	Method LifespanMethod
	Years  float64 // where the method is years
}

// RFMMethod says how RFM scores are given.
type RFMMethod string

// The methods: by the share of customers who are strictly worse, by equal groups of ranks, by bounds.
const (
	RFMByShare RFMMethod = "share"
	RFMByRank  RFMMethod = "ntile"
	RFMFixed   RFMMethod = "fixed"
)

// RFM says how scores are given. The bounds are all empty, or four each, ascending.
type RFM struct {
	Method              RFMMethod
	RecencyDays, Orders []int
	// NetValue are decimals in the workspace's currency.
	NetValue []string
}

// Connection returns a connection by name.
func (w Workspace) Connection(name string) (Connection, bool) {
	for _, c := range w.Connections {
		if c.Name == name {
			return c, true
		}
	}
	return Connection{}, false
}

// Locate returns where the value of a dotted path stands, e.g. segments.sleeping.rule; of a path that is only partly
// there, the nearest key above it.
func (w Workspace) Locate(path string) Position {
	if w.tree == nil {
		return Position{File: w.File}
	}
	at, _ := w.tree.find(path) // as far as it leads
	return at.position()
}

// Problem places something found wrong later, such as an error in a rule, in the file.
func (w Workspace) Problem(path, message, suggestion string) Problem {
	return Problem{Position: w.Locate(path), Path: path, Message: message, Suggestion: suggestion}
}

// Connection is a connector configured with one account.
type Connection struct {
	// Name is unique in the workspace; RenamedFrom is its former name, whose data it goes on with.
	Name, RenamedFrom string
	// Connector is the name of the executable.
	Connector string
	// Auth are credentials the hub itself uses, such as an OAuth client's id and secret.
	Auth map[string]Secret
	// Every is the time from one sync to the next. Default 15m.
	Every time.Duration
	// Fields maps fields of the unified model to remote fields, by entity.
	Fields map[entity.Kind]map[string]string
	// Streams to read; empty means all.
	Streams []string
	// Proxy for the connector's calls; it may hold a password. Empty for none.
	Proxy Secret
	// CAFile is a PEM file of authorities to trust beside the system's, absolute; empty for none.
	CAFile string
	// Paused connections are neither read nor written.
	Paused bool

	config *node // what the connector itself is configured with, see Split
	tree   *node // the whole workspace
	path   string
}

// How often a won deal counts.
const (
	WonOnce      Won = "once"
	WonEachEntry Won = "each_entry"
)

// Won says how often a deal that is won several times is an order.
type Won string

// Party is who an order is by when it names both a contact and a company.
type Party string

// The parties of an order.
const (
	ByContact Party = "contact"
	ByCompany Party = "company"
)

// StreamRef names a stream of a connection.
type StreamRef struct{ Connection, Stream string }

// String returns "money.orders".
func (s StreamRef) String() string {
	if s == (StreamRef{}) {
		return ""
	}
	return s.Connection + "." + s.Stream
}

// OrdersRule says what an order is.
type OrdersRule struct {
	// From is the stream of orders or deals; zero when the workspace has none.
	From StreamRef
	// Won: a deal is one order, at its first win, or one per entry into a won stage. Default once.
	Won Won
	// Pipelines whose deals count, by remote id; empty means all.
	Pipelines []string
	// Customer is who the order belongs to; the other one where it is missing. Default contact.
	Customer Party
}

// RatesRule says which exchange rates are used.
type RatesRule struct {
	// From is the stream of rates; zero means all streams of rates.
	From StreamRef
}

// Identity says which records are one person.
type Identity struct {
	// Match are the kinds of identifiers that join records. Default email, phone.
	Match []string
	// NeverMatch are patterns of identifiers that join nothing, e.g. info@*.
	NeverMatch []string
	// StrongStreams have record keys that are a person's strong id; StrongKinds are kinds of ids that are.
	StrongStreams []StreamRef
	StrongKinds   []string
	// PhoneRegion is the country, ISO 3166-1, of phone numbers without a country code. Default RU.
	PhoneRegion string
	// Anonymous are patterns of names that stand for whoever comes to the till, beside those that the hub knows.
	Anonymous []string
	// Branches says whether companies with one tax number and different KPP are one customer.
	Branches Branches
}

// Branches says what the branches of one company are.
type Branches string

// What branches are.
const (
	BranchesTogether Branches = "together"
	BranchesApart    Branches = "apart"
)

// ConsentMode is what it takes to write to somebody on a channel (R4).
type ConsentMode string

// The modes of consent.
const (
	// Explicit: only with a record that allows it.
	Explicit ConsentMode = "explicit"
	// Assumed: unless a record forbids it. A decision the hub logs.
	Assumed ConsentMode = "assumed"
)

// Consent says what it takes to write to people, by channel. Explicit by default.
type Consent struct {
	Email, SMS, Messenger, Push, Phone ConsentMode
	// SystemOfRecord are the connections whose newer opt-in may undo an opt-out; empty means for each opt-out the
	// connection that holds it.
	SystemOfRecord []string
}

// Mode returns the mode of a channel; Explicit for one it does not know.
func (c Consent) Mode(channel string) ConsentMode {
	mode := map[string]ConsentMode{
		"email": c.Email, "sms": c.SMS, "messenger": c.Messenger, "push": c.Push, "phone": c.Phone,
	}[channel]
	if mode == "" {
		return Explicit
	}
	return mode
}

// Title is a name for people.
type Title struct{ RU, EN string }

// Segment is a rule that customers satisfy or not.
type Segment struct {
	ID    string
	Title Title
	// Rule in the language of segments. It is checked by the hub, which knows the fields.
	Rule string
}

// ActivationMode says what an activation may change at its target.
type ActivationMode string

// The modes of an activation.
const (
	// Mirror adds, updates and takes off.
	Mirror ActivationMode = "mirror"
	// Upsert adds and updates.
	Upsert ActivationMode = "upsert"
	// Update changes those who are there already.
	Update ActivationMode = "update"
)

// FirstPush says whether an activation's first push waits for somebody's approval (R5).
type FirstPush string

// The ways of a first push.
const (
	Ask      FirstPush = "ask"
	Approved FirstPush = "approved"
)

// Activation keeps a target elsewhere in step with a segment.
type Activation struct {
	ID string
	// Segment is the id of a segment of this workspace or of a built-in one.
	Segment string
	// To is the connection; Target the name or remote id there; Kind which kind of target, where the connector has several.
	To, Target, Kind string
	// Tag set on members, where the target has tags; empty for none.
	Tag string
	// Mode, default mirror.
	Mode ActivationMode
	// Fields of the target by the customer field or expression that fills them.
	Fields map[string]string
	// Channel consent is asked for: email, sms, messenger, push, phone, or none for what reaches nobody. Empty leaves it
	// to the connector's spec; known in neither place it is an error (R4).
	Channel string
	// Purpose consent is asked for. Default marketing.
	Purpose string
	// LegalEntity consent must have been given to; empty means any.
	LegalEntity string
	// Every is the time from one run to the next. Default 1d.
	Every time.Duration
	// At is the time of day of a run that is due every day or more seldom; nil means any.
	At *Clock
	// FirstPush, default ask.
	FirstPush FirstPush
	// MaxChangeShare (0 to 1, default 0.2) of the target's members and MaxChangeCount (default 20): a run that would add
	// or take off more than the greater of the two stops and asks (R5).
	MaxChangeShare float64
	MaxChangeCount int
	Paused         bool
}
