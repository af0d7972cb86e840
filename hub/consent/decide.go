package consent

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/store"
)

// Mode says what a channel demands where nobody has refused.
type Mode string

// The modes of a channel.
const (
	// Explicit demands a permission with time and source. It is the mode of every channel not in Policy.Mode.
	Explicit Mode = "explicit"
	// Assumed takes the absence of a refusal for a permission. Each decision made that way says so.
	Assumed Mode = "assumed"
)

// Policy is what a workspace has decided about consent.
type Policy struct {
	// Mode by channel; Explicit where missing.
	Mode map[string]Mode
	// SystemOfRecord are the connections whose permissions may end a refusal. Without any, it is for each refusal
	// the connection that it came from.
	SystemOfRecord []store.ConnectionID
}

// Question asks whether a person may be written to.
type Question struct {
	Channel string
	// Purpose is Marketing when empty.
	Purpose string
	// LegalEntity that writes; empty where the workspace has only one.
	LegalEntity string
	// Address that would be written to, in normal form. Empty asks about the person at any address.
	Address string
	Now     time.Time
}

// Reason says why somebody may or may not be written to.
type Reason string

// The reasons. The first three allow.
const (
	// Permitted: there is a permission with time and source.
	Permitted Reason = "allowed"
	// AssumedPermitted: nobody has refused, and the workspace has decided that this is enough.
	AssumedPermitted Reason = "assumed"
	// NotNeeded: nothing is sent through such a target.
	NotNeeded Reason = "not_needed"

	// HasBeenErased: the person had their data erased.
	HasBeenErased Reason = "erased"
	// HasComplained: the person reported a message on this channel as spam.
	HasComplained Reason = "complained"
	// HasOptedOut: the person refused this channel for this purpose.
	HasOptedOut Reason = "opted_out"
	// HasBounced: the address does not exist.
	HasBounced Reason = "bounced"
	// NoProof: there is a permission, but without a time or a source, or dated in the future.
	NoProof Reason = "no_proof"
	// NoConsent: there is no permission for this channel, purpose, legal entity and address.
	NoConsent Reason = "no_consent"
	// ChannelUnknown: the question names no channel.
	ChannelUnknown Reason = "channel_unknown"
)

// Verdict is the answer, with the records that decided it.
type Verdict struct {
	Allowed bool
	Reason  Reason
	// Evidence: for a refusal all records that refuse for this reason; for a permission all that permit, with the
	// refusals that they ended.
	Evidence []Record
}

// Decide says whether a person may be written to, given all consent records about their records and addresses.
// The order of records does not matter, and one more refusal never allows what was not allowed before (R4):
//
//   - Erasure forbids everything for ever.
//   - A complaint forbids the channel; an opt-out the channel for its purpose, or for all where it names none,
//     whatever the list or legal entity it was meant for. Both are about the person, at every address.
//   - A hard bounce forbids the address; one that names no address forbids all, as it cannot be told which.
//   - A complaint, an opt-out or a bounce ends by one thing only: a permission that answers the question, has a
//     source and a known time strictly later than the refusal, and comes from the system of record. It must be
//     about the same list if it is about one and the refusal is too, and must name the address to end a bounce.
//     A refusal without a time never ends.
//   - Where nothing forbids, Explicit demands a permission with time and source for the channel and purpose.
//
// A permission that names an address holds for that address only, one that names a legal entity for that one only.
func Decide(policy Policy, question Question, records []Record) Verdict {
	q := asked{Question: question, policy: policy}
	q.Channel, q.Purpose = word(q.Channel), cmp.Or(word(q.Purpose), Marketing)
	records = sorted(records)

	if erased := having(records, func(r Record) bool { return r.State == Erased }); len(erased) > 0 {
		return Verdict{Reason: HasBeenErased, Evidence: erased}
	}
	switch q.Channel {
	case NoChannel:
		return Verdict{Allowed: true, Reason: NotNeeded}
	case "":
		return Verdict{Reason: ChannelUnknown}
	}

	permissions := having(records, q.permittedBy)
	proven := having(permissions, q.proven)
	ended := func(refusal Record) bool {
		return slices.ContainsFunc(proven, func(permission Record) bool { return q.ends(permission, refusal) })
	}
	refusals := having(records, q.refusedBy)
	for _, reason := range []Reason{HasComplained, HasOptedOut, HasBounced} {
		standing := having(refusals, func(r Record) bool { return refusalReason(r.State) == reason && !ended(r) })
		if len(standing) > 0 {
			return Verdict{Reason: reason, Evidence: standing}
		}
	}

	switch {
	case len(proven) > 0:
		return Verdict{Allowed: true, Reason: Permitted, Evidence: sorted(slices.Concat(proven, refusals))}
	case policy.Mode[q.Channel] == Assumed:
		return Verdict{Allowed: true, Reason: AssumedPermitted}
	case len(permissions) > 0:
		return Verdict{Reason: NoProof, Evidence: permissions}
	default:
		return Verdict{Reason: NoConsent}
	}
}

// asked is a question with its words in normal form and the policy that answers it.
type asked struct {
	Question
	policy Policy
}

// permittedBy says whether a record is a permission that answers the question, proven or not.
func (q asked) permittedBy(r Record) bool {
	purpose := cmp.Or(word(r.Purpose), Marketing)
	return r.State == entity.OptedIn && word(r.Channel) == q.Channel && purpose == q.Purpose &&
		(r.LegalEntity == "" || q.LegalEntity == "" || r.LegalEntity == q.LegalEntity) &&
		(q.Address == "" || q.addressIn(r) == "" || q.addressIn(r) == q.Address)
}

// proven says whether a permission has what a regulator asks for, and is in force.
func (q asked) proven(permission Record) bool {
	return !permission.At.IsZero() && permission.Source != "" && !permission.At.After(q.Now.Add(ClockSkew))
}

// refusedBy says whether a record forbids what the question asks, unless it has ended.
func (q asked) refusedBy(r Record) bool {
	if channel := word(r.Channel); channel != "" && channel != q.Channel {
		return false
	}
	switch refusalReason(r.State) {
	case HasComplained:
		return true
	case HasOptedOut:
		purpose := word(r.Purpose)
		return purpose == "" || purpose == q.Purpose
	case HasBounced:
		return q.addressIn(r) == "" || q.addressIn(r) == q.Address
	default:
		return false
	}
}

// refusalReason returns what a state forbids for; empty for the two that do not forbid (entity.ConsentState). A
// state that this hub does not know, from a newer connector, counts as an opt-out.
func refusalReason(state entity.ConsentState) Reason {
	switch state {
	case entity.OptedIn, entity.Unknown:
		return ""
	case entity.Complained:
		return HasComplained
	case entity.Bounced:
		return HasBounced
	default:
		return HasOptedOut
	}
}

// ends says whether a proven permission undoes a refusal.
func (q asked) ends(permission, refusal Record) bool {
	if refusal.At.IsZero() || !permission.At.After(refusal.At) {
		return false
	}
	if refusal.State == entity.Bounced && (q.Address == "" || q.addressIn(permission) != q.Address) {
		return false
	}
	if permission.List != "" && refusal.List != "" &&
		(permission.List != refusal.List || permission.Key.Connection != refusal.Key.Connection) {
		return false
	}
	if len(q.policy.SystemOfRecord) == 0 {
		return permission.Key.Connection == refusal.Key.Connection
	}
	return slices.Contains(q.policy.SystemOfRecord, permission.Key.Connection)
}

// addressIn returns the record's address of the question's kind. A consent to text messages may come in a row
// that also has an e-mail address, which then says nothing about the phone.
func (q asked) addressIn(r Record) string {
	switch {
	case q.Address == "":
		return cmp.Or(r.Email, r.Phone)
	case strings.Contains(q.Address, "@"):
		return r.Email
	default:
		return r.Phone
	}
}

func having(records []Record, holds func(Record) bool) []Record {
	var out []Record
	for _, r := range records {
		if holds(r) {
			out = append(out, r)
		}
	}
	return out
}
