package sdk

import (
	"time"
)

// Record is one remote object as a unified entity.
type Record[E any] struct {
	// Key is the record's stable id within the stream: not empty, UTF-8, at most 512 bytes. A record whose key
	// breaks this is skipped with the reason.
	Key string
	// Deleted makes the record a tombstone; Entity is ignored then.
	Deleted bool
	// UpdatedAt is when the source changed or deleted the record; zero when it does not say.
	UpdatedAt time.Time
	// Entity leaves empty what the source does not say.
	Entity E
	// Sequence orders records of one day that have no time of day, e.g. the line number.
	Sequence int64
	// Place is where the record was found, e.g. "orders.csv line 12"; it holds no value of the record.
	Place string
	// MergedKeys are records that the vendor merged into this one.
	MergedKeys []string
}

// Skipped is something read that no record could be made of. It is never dropped silently: it becomes a dead
// letter that people see and can retry (R1).
type Skipped struct {
	// Key of the record, where it is known.
	Key string
	// Problem is best made by Rejected, with the place.
	Problem *Problem
	// Raw is the source's own form; it is stored like a record and never logged.
	Raw       []byte
	UpdatedAt time.Time
	Sequence  int64
}

// Page is one answer of a read function.
type Page[E any] struct {
	Records []Record[E]
	Skipped []Skipped
	// Next is where the next page starts, in a form of the connector's own (see EncodeCursor). On the last page
	// it is where the next incremental read starts.
	Next []byte
	// More says that there is a next page now.
	More bool
	// NotReadyUntil says that the vendor is still preparing the answer: the hub asks again with Next, not before.
	NotReadyUntil time.Time
	// Snapshot names the complete read the page belongs to, the same name on all its pages: records that none of
	// them returned are gone at the source. Leave it empty when that does not follow.
	Snapshot string
	// Total is how many records the vendor says there are; 0 when unknown.
	Total int64
}

// ReadRequest asks for one page.
type ReadRequest struct {
	Call
	// Mode is one of the stream's.
	Mode Mode
	// Since and Until bound a backfill, half-open; zero means unbounded.
	Since, Until time.Time
	// Cursor is a Next returned earlier, nil for the first page.
	Cursor []byte
	// Keys asks for exactly these records; those that are gone come back with Deleted.
	Keys []string
	// Target is whose members to read; set for Destination.Members alone.
	Target string
	// Max is how many records the hub wants at most. More does no harm: the SDK splits.
	Max int
}

// CheckRequest asks for a live test.
type CheckRequest struct{ Call }

// Account is what a live test found.
type Account struct {
	// ID is the vendor's id of the account. A connection stays bound to it.
	ID, Name string
	// Limits of the account's plan where they differ from the documented ones.
	Limits []Limit
	// ClockSkew is the vendor's clock minus ours.
	ClockSkew time.Duration
	// TimeZone (IANA) and Currency (ISO 4217) are the account's own settings, where the vendor tells.
	TimeZone, Currency string
}

// FieldsRequest asks for the account's custom fields.
type FieldsRequest struct {
	Call
	// Stream to look at; empty for all.
	Stream string
}

// FieldList is the answer to a FieldsRequest.
type FieldList struct{ Fields []Field }

// Field is one custom field of the account.
type Field struct {
	Stream string
	// ID is the key in an entity's Custom.
	ID, Title string
	// Type: text, integer, decimal, money, date, time, boolean, choice, choices, phone, email, url, reference, other.
	Type     string
	Choices  []Choice
	Writable bool
}

// Choice is one value of a field with a fixed list.
type Choice struct{ ID, Title string }

// WebhookRequest is a notification as the vendor sent it.
type WebhookRequest struct {
	Call
	Method string
	// URL as the vendor called it; some sign it.
	URL        string
	Header     map[string][]string
	Body       []byte
	ReceivedAt time.Time
}

// Delivery is a decoded notification.
type Delivery struct {
	// Authentic says that signature, secret and account are right. Otherwise nothing else is used.
	Authentic bool
	Notices   []Notice
	// Status and Body answer the vendor where it expects something in particular; 0 means 200.
	Status int
	Body   []byte
}

// Notice says that something happened to a record; the hub reads it by its key.
type Notice struct {
	Stream, Key string
	Deleted     bool
	At          time.Time
	MergedKeys  []string
}
