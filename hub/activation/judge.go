package activation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

// byAddress says whether the target recognises its members by an address, not by the key of a record.
func (d Definition) byAddress() bool {
	return d.Spec.Identity == identity.EmailKind || d.Spec.Identity == identity.PhoneKind
}

// consentAddress is the address under which consents about an identity are kept.
func (d Definition) consentAddress(id string) string {
	if d.byAddress() {
		return id
	}
	return RecordAddress(d.Connection, d.Spec.Identity, id)
}

// person is how the target is told of an identity.
func (d Definition) person(id string) connector.Person {
	switch d.Spec.Identity {
	case identity.EmailKind:
		return connector.Person{Email: id}
	case identity.PhoneKind:
		return connector.Person{Phone: id}
	default:
		return connector.Person{RemoteKey: id, Stream: d.Spec.Identity}
	}
}

// reached is the kind of address that the channel reaches people at; empty where it reaches the person.
func (d Definition) reached() string {
	switch d.channel() {
	case "email":
		return identity.EmailKind
	case "sms", "phone":
		return identity.PhoneKind
	default:
		return ""
	}
}

// judge answers for a set of identities whether they may be on the target (R4). It holds what is known of them and of
// everybody they belong to, so that a refusal counts for all addresses of the person and for all people of an address.
type judge struct {
	def      Definition
	now      time.Time
	owners   map[string][]customer.ID
	people   map[customer.ID][]consent.Record
	at       map[string][]consent.Record // by consentAddress
	profiles map[customer.ID]customer.Customer
	answers  map[string]string // of refused, by identity
}

// judge loads what is known of identities, of those they belong to and of customers. refusals are what the target
// itself says, by identity: it was read back in this push, so it counts even before it is stored.
func (e *Engine) judge(ctx context.Context, tx store.Tx, ws store.WorkspaceID, def Definition, ids []string, customers []customer.Customer, refusals map[string][]consent.Record) (*judge, error) {
	j := &judge{def: def, now: e.Clock.Now(), profiles: make(map[customer.ID]customer.Customer, len(customers)), answers: map[string]string{}}
	var err error
	if def.byAddress() {
		j.owners, err = e.Store.AddressOwners(ctx, tx, ws, def.Spec.Identity, ids)
	} else {
		j.owners, err = e.Store.RecordOwners(ctx, tx, ws, def.Connection, def.Spec.Identity, ids)
	}
	if err != nil {
		return nil, fmt.Errorf("finding whose identities they are: %w", err)
	}
	everybody := make([]customer.ID, 0, len(customers))
	for _, c := range customers {
		j.profiles[c.ID] = c
		everybody = append(everybody, c.ID)
	}
	for _, owners := range j.owners {
		everybody = append(everybody, owners...)
	}
	slices.Sort(everybody)
	everybody = slices.Compact(everybody)
	if j.people, err = e.Store.Consents(ctx, tx, ws, everybody); err != nil {
		return nil, fmt.Errorf("reading consents of customers: %w", err)
	}
	addresses := make([]string, 0, len(ids))
	for _, id := range ids {
		addresses = append(addresses, def.consentAddress(id))
	}
	if j.at, err = e.Store.AddressConsents(ctx, tx, ws, addresses); err != nil {
		return nil, fmt.Errorf("reading consents of addresses: %w", err)
	}
	for id, records := range refusals {
		address := def.consentAddress(id)
		j.at[address] = append(j.at[address], records...)
		for _, owner := range j.owners[id] {
			j.people[owner] = append(j.people[owner], records...)
		}
	}
	if def.byAddress() {
		return j, nil
	}
	var strangers []customer.ID
	for _, id := range everybody {
		if _, known := j.profiles[id]; !known {
			strangers = append(strangers, id)
		}
	}
	others, err := e.Store.CustomersByID(ctx, tx, ws, strangers)
	if err != nil {
		return nil, fmt.Errorf("reading customers: %w", err)
	}
	for _, c := range others {
		j.profiles[c.ID] = c
	}
	return j, nil
}

// verdict is an answer with the permission that it rests on, if any.
type verdict struct {
	allowed bool
	reason  string
	given   time.Time
	source  string
}

func (j *judge) decide(address string, records []consent.Record) verdict {
	v := consent.Decide(j.def.Consent, consent.Question{
		Channel: j.def.channel(), Purpose: j.def.Purpose, LegalEntity: j.def.LegalEntity, Address: address, Now: j.now,
	}, records)
	out := verdict{allowed: v.Allowed, reason: string(v.Reason)}
	if v.Allowed {
		for _, r := range v.Evidence {
			if r.State == entity.OptedIn && r.At.After(out.given) {
				out.given, out.source = r.At, r.Source
			}
		}
	}
	return out
}

// ask says whether a customer may be on the target under an identity.
func (j *judge) ask(id string, owner customer.ID) verdict {
	records := slices.Concat(j.people[owner], j.at[j.def.consentAddress(id)])
	if j.def.byAddress() && (j.def.reached() == "" || j.def.reached() == j.def.Spec.Identity) {
		return j.decide(id, records)
	}
	if j.def.reached() == "" {
		return j.decide("", records)
	}
	// The target knows the person by something else than the address it reaches them at, so which of their addresses it
	// would take is not ours to know: each must be allowed.
	profile := j.profiles[owner]
	addresses := profile.Emails
	if j.def.reached() == identity.PhoneKind {
		addresses = profile.Phones
	}
	if len(addresses) == 0 {
		if v := j.decide("", records); isRefusal(v.reason) {
			return v
		}
		return verdict{reason: NoAddress}
	}
	var first verdict
	for i, address := range addresses {
		v := j.decide(address, records)
		if !v.allowed {
			return v
		}
		if i == 0 {
			first = v
		}
	}
	return first
}

// refused says for which reason somebody who has the identity, or the identity itself, must not be on the target,
// whatever others have permitted; empty where there is none.
func (j *judge) refused(id string) string {
	if reason, known := j.answers[id]; known {
		return reason
	}
	reason := ""
	owners := j.owners[id]
	if len(owners) == 0 {
		address := ""
		if j.def.byAddress() {
			address = id
		}
		if v := j.decide(address, j.at[j.def.consentAddress(id)]); isRefusal(v.reason) {
			reason = v.reason
		}
	}
	for _, owner := range owners {
		if v := j.ask(id, owner); isRefusal(v.reason) {
			reason = v.reason
			break
		}
	}
	j.answers[id] = reason
	return reason
}

// isRefusal says whether a reason takes people off a target, always and uncounted (R4, R5). The absence of a
// permission does not: that is a change of what is known, and counts as any other.
func isRefusal(reason string) bool {
	switch consent.Reason(reason) {
	case consent.HasBeenErased, consent.HasComplained, consent.HasOptedOut, consent.HasBounced:
		return true
	}
	return false
}
