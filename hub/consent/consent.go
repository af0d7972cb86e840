// Package consent is the one place that decides who may be written to, on which channel and for what purpose (R4).
// It is pure: no I/O, no clock.
//
// Consents hang on records and addresses, never on customers: whoever asks hands over every consent record that
// is about one of the customer's records or addresses, however it came to be one, and Decide takes the strictest
// view of them all.
package consent

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/store"
)

// Erased is the state of a record that the hub itself keeps of an erasure. It has no channel and never ends.
const Erased entity.ConsentState = "erased"

// Words with a meaning of their own.
const (
	// Marketing is the purpose of a question, and of a permission, that names none.
	Marketing = "marketing"
	// NoChannel is the channel of targets that nobody receives anything through, as a field in a CRM; they are
	// outside R4.
	NoChannel = "none"
)

// ClockSkew is how far the clock of a source may be ahead of the hub's before a permission counts as dated in the
// future.
const ClockSkew = 5 * time.Minute

// Record is one permission or refusal.
type Record struct {
	// Key of the consent record. Several versions of one record may be handed to Decide: a permission that has
	// replaced a refusal in its source does not undo it unless the rules for that are met.
	Key store.RecordKey
	// Contact is the record of the person; nil where the source knows only an address.
	Contact *store.RecordKey
	// Email and Phone in normal form; empty where the source does not name them.
	Email, Phone string
	// Channel: email, sms, messenger, push, phone. A refusal without one counts for all channels, a permission for none.
	Channel string
	// Purpose: a refusal without one counts for all purposes, a permission for marketing.
	Purpose string
	// LegalEntity that a permission was given to; empty where the source does not say.
	LegalEntity string
	State       entity.ConsentState
	// At is when the person decided; zero when that is unknown.
	At time.Time
	// Source says where a permission was given. Without it there is no proof.
	Source string
	// TextVersion is the wording that was agreed to.
	TextVersion string
	// List the record is about in a mailing tool; empty for the whole channel. A refusal counts for the channel
	// whatever the list.
	List string
}

// New makes a record of a consent as a connector sent it. Email and phone are its addresses in normal form, empty
// where there is none or it has no normal form. Zone is the workspace's: a day without a time counts from its
// first moment for a permission, to its last for a refusal.
func New(key store.RecordKey, consent entity.Consent, email, phone string, zone *time.Location) Record {
	r := Record{
		Key:         key,
		Email:       email,
		Phone:       phone,
		Channel:     word(consent.Channel),
		Purpose:     word(consent.Purpose),
		LegalEntity: strings.TrimSpace(consent.LegalEntity),
		State:       consent.State,
		Source:      strings.TrimSpace(consent.Source),
		TextVersion: consent.TextVersion,
		List:        consent.List,
	}
	if consent.Contact != nil {
		r.Contact = &store.RecordKey{Connection: key.Connection, Stream: consent.Contact.Stream, Key: consent.Contact.Key}
	}
	switch {
	case consent.At != nil:
		r.At = consent.At.UTC()
	case consent.On != nil && consent.State == entity.OptedIn:
		r.At = consent.On.Start(zone).UTC()
	case consent.On != nil:
		r.At = (*consent.On + 1).Start(zone).Add(-time.Microsecond).UTC() // stores keep microseconds
	}
	return r
}

// OfMember makes a record of somebody's standing on a target of a mailing tool. Being subscribed there is no
// permission, because the hub may have put the person there itself; everything else is a refusal.
func OfMember(key store.RecordKey, channel string, member entity.Member, email, phone string) Record {
	r := Record{Key: key, Email: email, Phone: phone, Channel: word(channel), State: entity.Unknown}
	switch member.State {
	case entity.Subscribed:
	case entity.MemberBounced:
		r.State = entity.Bounced
	case entity.MemberComplained:
		r.State = entity.Complained
	default:
		// An unsubscribed member, and a state of a newer connector: when in doubt, nobody is written to.
		r.State = entity.OptedOut
	}
	if member.At != nil {
		r.At = member.At.UTC()
	}
	return r
}

func word(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// compare orders records by all that they say, so that evidence comes in one order whatever order it was found in.
func (r Record) compare(o Record) int {
	return cmp.Or(
		r.Key.Compare(o.Key),
		r.At.Compare(o.At),
		cmp.Compare(r.State, o.State),
		cmp.Compare(r.Channel, o.Channel),
		cmp.Compare(r.Purpose, o.Purpose),
		cmp.Compare(r.LegalEntity, o.LegalEntity),
		cmp.Compare(r.Email, o.Email),
		cmp.Compare(r.Phone, o.Phone),
		cmp.Compare(r.List, o.List),
		cmp.Compare(r.Source, o.Source),
		cmp.Compare(r.TextVersion, o.TextVersion),
		compareKeys(r.Contact, o.Contact),
	)
}

func (r Record) equal(o Record) bool { return r.compare(o) == 0 }

func compareKeys(a, b *store.RecordKey) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return a.Compare(*b)
}

// sorted returns records in one order and without repetition.
func sorted(records []Record) []Record {
	out := slices.Clone(records)
	slices.SortFunc(out, Record.compare)
	return slices.CompactFunc(out, Record.equal)
}
