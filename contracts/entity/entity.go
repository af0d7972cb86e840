// Package entity holds the unified entities that connectors send and the hub keeps, as JSON on the wire. Their
// schemas are generated into schema/. A form once released is only ever added to; testdata pins it.
//
// Conventions: times are RFC 3339 in UTC; days are civil days; money is in minor units; a reference to another
// record of the same connection is {stream, key}; what has no place in the unified model goes into custom by
// the remote field's id. Unknown members are kept by nobody and break nothing. Absent means "the source does not
// say", never "empty".
package entity

import (
	"encoding/json"
	"time"

	"github.com/invopop/jsonschema"
)

// Kind names an entity in specs, cursors and tables.
type Kind string

// The entities of v1.
const (
	KindContact         Kind = "contact"
	KindCompany         Kind = "company"
	KindDeal            Kind = "deal"
	KindOrder           Kind = "order"
	KindRefund          Kind = "refund"
	KindActivity        Kind = "activity"
	KindConsent         Kind = "consent"
	KindSurveyAnswer    Kind = "survey_answer"
	KindLoyalty         Kind = "loyalty"
	KindOwner           Kind = "owner"
	KindOwnershipChange Kind = "ownership_change"
	KindRate            Kind = "rate"
	KindMember          Kind = "member"
)

// Custom holds remote fields that the unified model has no place for, by remote field id. Values are JSON
// strings, numbers, booleans, null, or arrays of strings. Numbers keep their digits (json.Number on decoding).
type Custom map[string]json.RawMessage

// JSONSchema describes the wire form.
func (Custom) JSONSchema() *jsonschema.Schema {
	scalar := []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}, {Type: "null"}}
	texts := &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "string"}}
	return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{AnyOf: append(scalar, texts)}}
}

// Ref points at another record of the same connection.
type Ref struct {
	Stream string `json:"stream"`
	Key    string `json:"key"`
}

// ID is an identifier in a namespace of its own: a loyalty card, a tax number, another system's record id.
type ID struct {
	// Kind, e.g. inn, kpp, loyalty_card, external, site_client, messenger.
	Kind string `json:"kind"`
	// Namespace separates equal values of different origins, e.g. the system that gave the id. Empty means global.
	Namespace string `json:"namespace,omitempty"`
	Value     string `json:"value"`
}

// Address is an e-mail address or a phone number with what the source says about it.
type Address struct {
	Value string `json:"value"`
	// Label as in the source, e.g. work, mobile.
	Label   string `json:"label,omitempty"`
	Primary bool   `json:"primary,omitempty"`
	// Confirmed says that the source saw the person confirm the address (double opt-in, code by SMS).
	Confirmed bool `json:"confirmed,omitempty"`
}

// Addresses makes a list of plain addresses, the first one primary. Empty values are left out.
func Addresses(values ...string) []Address {
	var list []Address
	for _, value := range values {
		if value != "" {
			list = append(list, Address{Value: value, Primary: len(list) == 0})
		}
	}
	return list
}

// Name is a person's name, whole or in parts, as the source has it.
type Name struct {
	Full   string `json:"full,omitempty"`
	First  string `json:"first,omitempty"`
	Middle string `json:"middle,omitempty" jsonschema_description:"Patronymic or middle name."`
	Last   string `json:"last,omitempty"`
}

// Place is a postal place.
type Place struct {
	Country  string `json:"country,omitempty" jsonschema_description:"ISO 3166-1 alpha-2 where the source has it, else as written."`
	Region   string `json:"region,omitempty"`
	City     string `json:"city,omitempty"`
	Postcode string `json:"postcode,omitempty"`
	Street   string `json:"street,omitempty"`
}

// Origin is where a customer, deal or order came from.
type Origin struct {
	// Channel, e.g. search, social, referral, offline.
	Channel string `json:"channel,omitempty"`
	// ChannelSource says how the channel is known: field, utm, inferred.
	ChannelSource string            `json:"channel_source,omitempty"`
	UTM           map[string]string `json:"utm,omitempty" jsonschema_description:"source, medium, campaign, content, term."`
	Referrer      string            `json:"referrer,omitempty"`
	// ClientIDs are visitor ids of analytics systems by their name, e.g. yandex_metrika, google_analytics.
	ClientIDs map[string]string `json:"client_ids,omitempty"`
}

// Contact is a person as one system knows them.
type Contact struct {
	Name      Name      `json:"name,omitzero"`
	Emails    []Address `json:"emails,omitempty"`
	Phones    []Address `json:"phones,omitempty"`
	IDs       []ID      `json:"ids,omitempty"`
	Companies []Ref     `json:"companies,omitempty" jsonschema_description:"Where the person works; the first is the main one."`
	Owner     *Ref      `json:"owner,omitempty"`
	Birthday  *Birthday `json:"birthday,omitempty"`
	Gender    string    `json:"gender,omitempty" jsonschema:"enum=female,enum=male,enum=other"`
	Language  string    `json:"language,omitempty" jsonschema_description:"BCP 47."`
	TimeZone  string    `json:"time_zone,omitempty" jsonschema_description:"IANA name."`
	Place     Place     `json:"place,omitzero"`
	Position  string    `json:"position,omitempty"`
	Tags      []string  `json:"tags,omitempty"`
	Origin    Origin    `json:"origin,omitzero"`
	// Anonymous says that the record stands for many people or nobody, e.g. the till's retail customer.
	Anonymous bool       `json:"anonymous,omitempty"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
	Custom    Custom     `json:"custom,omitempty"`
}

// Birthday is a day of birth; the year may be unknown (0).
type Birthday struct {
	Year  int `json:"year,omitempty"`
	Month int `json:"month" jsonschema:"minimum=1,maximum=12"`
	Day   int `json:"day" jsonschema:"minimum=1,maximum=31"`
}

// Company is an organisation as one system knows it.
type Company struct {
	Name string `json:"name,omitempty"`
	// IDs: tax numbers go here as kind inn (with kpp beside it), ogrn, vat.
	IDs       []ID       `json:"ids,omitempty"`
	Emails    []Address  `json:"emails,omitempty"`
	Phones    []Address  `json:"phones,omitempty"`
	Websites  []string   `json:"websites,omitempty"`
	Contacts  []Ref      `json:"contacts,omitempty" jsonschema_description:"The people, where the company's side holds the link."`
	Parent    *Ref       `json:"parent,omitempty"`
	Owner     *Ref       `json:"owner,omitempty"`
	Place     Place      `json:"place,omitzero"`
	Industry  string     `json:"industry,omitempty"`
	Tags      []string   `json:"tags,omitempty"`
	Origin    Origin     `json:"origin,omitzero"`
	Anonymous bool       `json:"anonymous,omitempty"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
	Custom    Custom     `json:"custom,omitempty"`
}

// Deal is a sale in progress, won or lost. Whether a won deal is an order is the workspace's rule.
type Deal struct {
	Title string `json:"title,omitempty"`
	// Contacts, main one first, and the company the deal is with.
	Contacts  []Ref      `json:"contacts,omitempty"`
	Company   *Ref       `json:"company,omitempty"`
	Amount    *Money     `json:"amount,omitempty"`
	Discount  *Money     `json:"discount,omitempty"`
	Lines     []Line     `json:"lines,omitempty"`
	Pipeline  string     `json:"pipeline,omitempty" jsonschema_description:"Remote id."`
	Stage     string     `json:"stage,omitempty" jsonschema_description:"Remote id."`
	State     DealState  `json:"state,omitempty" jsonschema:"enum=open,enum=won,enum=lost"`
	MovedAt   *time.Time `json:"moved_at,omitempty" jsonschema_description:"When the deal entered its present stage."`
	ClosedAt  *time.Time `json:"closed_at,omitempty" jsonschema_description:"The close field, which in many systems is a planned, editable date."`
	ClosedOn  *Date      `json:"closed_on,omitempty"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
	// History is complete from HistoryFrom on, oldest first; absent when the source has none.
	History     []StageChange `json:"history,omitempty"`
	HistoryFrom *time.Time    `json:"history_from,omitempty"`
	LossReason  string        `json:"loss_reason,omitempty"`
	PromoCode   string        `json:"promo_code,omitempty"`
	Origin      Origin        `json:"origin,omitzero"`
	Owner       *Ref          `json:"owner,omitempty"`
	Tags        []string      `json:"tags,omitempty"`
	Custom      Custom        `json:"custom,omitempty"`
}

// DealState is where a deal stands, whatever the pipeline calls it.
type DealState string

// The states of a deal.
const (
	DealOpen DealState = "open"
	DealWon  DealState = "won"
	DealLost DealState = "lost"
)

// StageChange is one step of a deal.
type StageChange struct {
	At       time.Time `json:"at"`
	Pipeline string    `json:"pipeline,omitempty"`
	Stage    string    `json:"stage"`
	State    DealState `json:"state,omitempty" jsonschema:"enum=open,enum=won,enum=lost"`
	By       *Ref      `json:"by,omitempty"`
}

// Line is one position of an order or deal.
type Line struct {
	SKU      string `json:"sku,omitempty"`
	Name     string `json:"name,omitempty"`
	Category string `json:"category,omitempty"`
	// Quantity as a decimal string; goods are sold by weight too.
	Quantity string `json:"quantity,omitempty"`
	// Amount of the whole line after its discount.
	Amount   *Money `json:"amount,omitempty"`
	Discount *Money `json:"discount,omitempty"`
	Custom   Custom `json:"custom,omitempty"`
}

// VAT says whether an order's amounts hold value added tax.
type VAT string

// The values of VAT.
const (
	VATIncluded VAT = "included"
	VATExcluded VAT = "excluded"
)

// Order is a paid (or otherwise valid) purchase. Exactly one of OrderedAt and OrderedOn is needed; a day alone
// never shifts with time zones.
type Order struct {
	// Number as people see it; the record key is the id.
	Number string `json:"number,omitempty"`
	// Contact and Company the order is by; both absent for a sale to nobody known.
	Contact   *Ref       `json:"contact,omitempty"`
	Company   *Ref       `json:"company,omitempty"`
	OrderedAt *time.Time `json:"ordered_at,omitempty"`
	OrderedOn *Date      `json:"ordered_on,omitempty"`
	// DateFrom says which fact of the source the date was taken from.
	DateFrom string `json:"date_from,omitempty"`
	// Amount paid, after discounts; never negative. Zero is a valid order.
	Amount    Money  `json:"amount"`
	Discount  *Money `json:"discount,omitempty"`
	Shipping  *Money `json:"shipping,omitempty"`
	VAT       VAT    `json:"vat,omitempty" jsonschema:"enum=included,enum=excluded"`
	VATAmount *Money `json:"vat_amount,omitempty"`
	PromoCode string `json:"promo_code,omitempty"`
	Origin    Origin `json:"origin,omitzero"`
	Owner     *Ref   `json:"owner,omitempty"`
	Deal      *Ref   `json:"deal,omitempty"`
	Lines     []Line `json:"lines,omitempty"`
	City      string `json:"city,omitempty"`
	// Cancelled says that the order is none (any more), though the source still lists it.
	Cancelled bool   `json:"cancelled,omitempty"`
	Custom    Custom `json:"custom,omitempty"`
}

// Refund is money given back. Amount is positive.
type Refund struct {
	// Order that is refunded; absent when the source does not link them.
	Order      *Ref       `json:"order,omitempty"`
	Contact    *Ref       `json:"contact,omitempty"`
	Company    *Ref       `json:"company,omitempty"`
	RefundedAt *time.Time `json:"refunded_at,omitempty"`
	RefundedOn *Date      `json:"refunded_on,omitempty"`
	Amount     Money      `json:"amount"`
	Reason     string     `json:"reason,omitempty"`
	Lines      []Line     `json:"lines,omitempty"`
	Custom     Custom     `json:"custom,omitempty"`
}

// Activity is something that happened with a person: a call, a message, a visit, an e-mail opened.
type Activity struct {
	// Type: call, message, meeting, task, ticket, complaint, review, visit, email_sent, email_opened, email_clicked, note, other.
	Type      string `json:"type"`
	Direction string `json:"direction,omitempty" jsonschema:"enum=in,enum=out"`
	// Channel: phone, email, sms, whatsapp, telegram, chat, site, ...
	Channel string     `json:"channel,omitempty"`
	Contact *Ref       `json:"contact,omitempty"`
	Company *Ref       `json:"company,omitempty"`
	Deal    *Ref       `json:"deal,omitempty"`
	Owner   *Ref       `json:"owner,omitempty"`
	Email   string     `json:"email,omitempty" jsonschema_description:"Address it concerned, where no record is known."`
	Phone   string     `json:"phone,omitempty"`
	At      time.Time  `json:"at"`
	DueAt   *time.Time `json:"due_at,omitempty"`
	DoneAt  *time.Time `json:"done_at,omitempty"`
	// AnsweredAt is the first answer to an incoming contact.
	AnsweredAt      *time.Time `json:"answered_at,omitempty"`
	DurationSeconds int        `json:"duration_seconds,omitempty"`
	Campaign        string     `json:"campaign,omitempty" jsonschema_description:"Remote id of the mailing."`
	Outcome         string     `json:"outcome,omitempty"`
	Rating          *int       `json:"rating,omitempty"`
	Custom          Custom     `json:"custom,omitempty"`
}

// ConsentState is what a person decided, or what became of an address.
type ConsentState string

// The states of a consent. All but OptedIn and Unknown forbid.
const (
	OptedIn    ConsentState = "opted_in"
	OptedOut   ConsentState = "opted_out"
	Complained ConsentState = "complained"
	Bounced    ConsentState = "bounced"
	// Unknown is a record that neither allows nor forbids, e.g. "not asked".
	Unknown ConsentState = "unknown"
)

// Consent is one record of permission or refusal. It is about a contact, or about an address alone.
type Consent struct {
	Contact *Ref   `json:"contact,omitempty"`
	Email   string `json:"email,omitempty"`
	Phone   string `json:"phone,omitempty"`
	// Channel: email, sms, messenger, push, phone.
	Channel string `json:"channel"`
	// Purpose: marketing unless the source says otherwise.
	Purpose     string       `json:"purpose,omitempty"`
	LegalEntity string       `json:"legal_entity,omitempty"`
	State       ConsentState `json:"state" jsonschema:"enum=opted_in,enum=opted_out,enum=complained,enum=bounced,enum=unknown"`
	// At is when the person decided. A source that does not know leaves it out.
	At *time.Time `json:"at,omitempty"`
	On *Date      `json:"on,omitempty"`
	// Source: where it was given, e.g. the form or the shop.
	Source      string `json:"source,omitempty"`
	TextVersion string `json:"text_version,omitempty" jsonschema_description:"Which wording was agreed to."`
	IP          string `json:"ip,omitempty"`
	// List the record belongs to in a mailing tool, where it is about one list only.
	List   string `json:"list,omitempty"`
	Custom Custom `json:"custom,omitempty"`
}

// SurveyAnswer is one answer to a question with a scale.
type SurveyAnswer struct {
	Contact  *Ref      `json:"contact,omitempty"`
	Email    string    `json:"email,omitempty"`
	Phone    string    `json:"phone,omitempty"`
	Order    *Ref      `json:"order,omitempty"`
	Survey   string    `json:"survey,omitempty"`
	Question string    `json:"question,omitempty" jsonschema_description:"nps, csat, or the source's own id."`
	Score    *int      `json:"score,omitempty"`
	ScaleMin int       `json:"scale_min,omitempty"`
	ScaleMax int       `json:"scale_max,omitempty"`
	Text     string    `json:"text,omitempty"`
	At       time.Time `json:"at"`
	Custom   Custom    `json:"custom,omitempty"`
}

// Loyalty is a person's membership in a loyalty programme.
type Loyalty struct {
	Contact      *Ref       `json:"contact,omitempty"`
	Program      string     `json:"program,omitempty"`
	Card         string     `json:"card,omitempty"`
	Tier         string     `json:"tier,omitempty"`
	Balance      string     `json:"balance,omitempty" jsonschema_description:"Points, decimal string."`
	Earned       string     `json:"earned,omitempty" jsonschema_description:"Points issued so far."`
	Spent        string     `json:"spent,omitempty" jsonschema_description:"Points redeemed so far."`
	JoinedAt     *time.Time `json:"joined_at,omitempty"`
	LeftAt       *time.Time `json:"left_at,omitempty"`
	LastEarnedAt *time.Time `json:"last_earned_at,omitempty"`
	LastSpentAt  *time.Time `json:"last_spent_at,omitempty"`
	Custom       Custom     `json:"custom,omitempty"`
}

// Owner is a colleague who looks after customers.
type Owner struct {
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Team   string `json:"team,omitempty"`
	Active *bool  `json:"active,omitempty"`
	Custom Custom `json:"custom,omitempty"`
}

// OwnershipChange says who looked after a record from a moment on; figures by manager need it as of a date.
type OwnershipChange struct {
	Record Ref       `json:"record"`
	From   *Ref      `json:"from,omitempty"`
	To     *Ref      `json:"to,omitempty"`
	At     time.Time `json:"at"`
	Custom Custom    `json:"custom,omitempty"`
}

// Rate is an exchange rate: one unit of From costs Rate units of To on a day.
type Rate struct {
	On     Date   `json:"on"`
	From   string `json:"from" jsonschema:"pattern=^[A-Z]{3}$"`
	To     string `json:"to" jsonschema:"pattern=^[A-Z]{3}$"`
	Rate   string `json:"rate" jsonschema_description:"Decimal string."`
	Custom Custom `json:"custom,omitempty"`
}

// MemberState is a member's standing on a target as the tool reports it.
type MemberState string

// The states of a member. Only Subscribed counts as being on the target.
const (
	Subscribed       MemberState = "subscribed"
	Unsubscribed     MemberState = "unsubscribed"
	MemberBounced    MemberState = "bounced"
	MemberComplained MemberState = "complained"
)

// Member is somebody on a target, as read back with the stream "members".
type Member struct {
	Email string      `json:"email,omitempty"`
	Phone string      `json:"phone,omitempty"`
	IDs   []ID        `json:"ids,omitempty"`
	State MemberState `json:"state" jsonschema:"enum=subscribed,enum=unsubscribed,enum=bounced,enum=complained"`
	// At is when the member came to this state.
	At     *time.Time `json:"at,omitempty"`
	Tags   []string   `json:"tags,omitempty"`
	Custom Custom     `json:"custom,omitempty"`
}
