// Package customer holds the unified model: customers, the identifiers that point at them, and their orders.
// Types and invariants only, no I/O.
package customer

import (
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/store"
)

// ID is a customer's number in the store. It stays when records come and go; a merged customer's number stays
// valid as an alias for ever.
type ID int64

// Kind separates people from companies; the two never merge.
type Kind string

// The kinds of customers.
const (
	Person  Kind = "person"
	Company Kind = "company"
)

// Identifier points at a customer: an e-mail address, a phone number, a strong id.
type Identifier struct {
	// Kind: email, phone, or the kind of an id.
	Kind string
	// Namespace separates equal values of different origins; empty for e-mail and phone.
	Namespace string
	// Value in normal form.
	Value string
	// Strong identifiers identify one person for certain: two different values of one kind and namespace are two people.
	Strong bool
}

// Compare orders identifiers by kind, namespace and value.
func (i Identifier) Compare(o Identifier) int {
	for _, pair := range [...][2]string{{i.Kind, o.Kind}, {i.Namespace, o.Namespace}, {i.Value, o.Value}} {
		if pair[0] < pair[1] {
			return -1
		}
		if pair[0] > pair[1] {
			return 1
		}
	}
	return 0
}

// Customer is the unified profile of one person or company.
type Customer struct {
	ID     ID
	Kind   Kind
	Anchor store.RecordKey // the oldest record; the part that holds it keeps the id
	Profile
}

// Profile is what survives of a customer's records: of each field the value of the newest record that has one
// (ties: the smaller record key).
type Profile struct {
	Name     string           `json:"name,omitempty"`
	Greeting string           `json:"greeting_name,omitempty"`
	Emails   []string         `json:"emails,omitempty"` // normal form, primary first
	Phones   []string         `json:"phones,omitempty"` // E.164, primary first
	City     string           `json:"city,omitempty"`
	Country  string           `json:"country,omitempty"`
	Language string           `json:"language,omitempty"`
	Birthday *entity.Birthday `json:"birthday,omitempty"`
	Channel  string           `json:"channel,omitempty"`
	Owner    *entity.Ref      `json:"owner,omitempty"`
	Tags     []string         `json:"tags,omitempty"`
	// Custom are the workspace's own fields by name, as the sources have them.
	Custom entity.Custom `json:"custom,omitempty"`
}

// Order is a valid purchase as figures use it.
type Order struct {
	Key store.RecordKey
	// Node is the record the order names as its customer; nil for a sale to nobody known.
	Node *store.RecordKey
	// OrderedAt is zero when the source knows only the day.
	OrderedAt time.Time
	OrderedOn entity.Date // civil day in the workspace's zone
	Sequence  int64       // position in the source where there is no time of day
	Amount    entity.Money
	// Base is the amount in minor units of the workspace's currency; meaningless while Converted is false.
	Base      int64
	Converted bool
}

// Goods are what a customer has bought, each list sorted and without repetition.
type Goods struct {
	// Products by article number and by name: of one that has both, both are listed.
	Products   []string
	Categories []string
}

// Refund is money given back.
type Refund struct {
	Key        store.RecordKey
	Node       *store.RecordKey
	Order      *store.RecordKey // nil when the source does not link them
	RefundedOn entity.Date
	Amount     entity.Money
	Base       int64
	Converted  bool
}
