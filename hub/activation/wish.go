package activation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// wish is somebody whom the segment wants on the target and the consents allow there.
type wish struct {
	customer customer.ID
	reason   string // why it is allowed
	given    time.Time
	source   string
	payload  payload
	hash     string
	encoded  string
}

// payload is what is sent of a member beside the identity.
type payload struct {
	Traits map[string]string `json:"traits,omitempty"`
	Tags   []string          `json:"tags,omitempty"`
}

func (p payload) empty() bool { return len(p.Traits) == 0 && len(p.Tags) == 0 }

// encode returns the payload's one form and its hash.
func (p payload) encode() (encoded, hash string, err error) {
	b, err := json.Marshal(p)
	if err != nil {
		return "", "", fmt.Errorf("encoding fields of a member: %w", err)
	}
	sum := sha256.Sum256(b)
	return string(b), hex.EncodeToString(sum[:16]), nil
}

// heldBack is somebody of the segment who is kept from the target.
type heldBack struct {
	customer customer.ID
	reason   string
}

// candidates returns the identities a customer could be put on the target under, best first.
func candidates(def Definition, c customer.Customer, keys map[customer.ID][]string) []string {
	switch def.Spec.Identity {
	case identity.EmailKind:
		return c.Emails
	case identity.PhoneKind:
		return c.Phones
	default:
		return keys[c.ID]
	}
}

// audience is a segment's members, ready to be judged.
type audience struct {
	customers  []customer.Customer // ascending
	candidates map[customer.ID][]string
}

func (e *Engine) audience(ctx context.Context, ws store.WorkspaceID, def Definition) (audience, error) {
	ids, err := e.Store.Members(ctx, nil, ws, def.Segment)
	if err != nil {
		return audience{}, fmt.Errorf("reading the members of segment %s: %w", def.Segment, err)
	}
	a := audience{candidates: make(map[customer.ID][]string, len(ids))}
	if a.customers, err = e.Store.CustomersByID(ctx, nil, ws, ids); err != nil {
		return audience{}, fmt.Errorf("reading customers: %w", err)
	}
	var keys map[customer.ID][]string
	if !def.byAddress() {
		if keys, err = e.Store.RecordKeys(ctx, nil, ws, def.Connection, def.Spec.Identity, ids); err != nil {
			return audience{}, fmt.Errorf("reading record keys of customers: %w", err)
		}
	}
	for _, c := range a.customers {
		a.candidates[c.ID] = candidates(def, c, keys)
	}
	return a, nil
}

// wishes decides who of an audience goes to the target and under which identity: of several the first that is
// allowed, in the order of the profile. Two customers with one identity make one member, that of the smaller number.
func (a audience) wishes(j *judge) (map[string]*wish, []heldBack) {
	wishes := make(map[string]*wish, len(a.customers))
	var held []heldBack
	for _, c := range a.customers {
		id, v := a.choose(c, j)
		switch {
		case id == "":
			held = append(held, heldBack{c.ID, v.reason})
		case wishes[id] != nil:
			held = append(held, heldBack{c.ID, DuplicateAddress})
		default:
			wishes[id] = &wish{customer: c.ID, reason: v.reason, given: v.given, source: v.source}
		}
	}
	return wishes, held
}

// choose returns the identity for a customer, or none and the reason.
func (a audience) choose(c customer.Customer, j *judge) (string, verdict) {
	if c.Kind == customer.Company && j.def.channel() != consent.NoChannel {
		return "", verdict{reason: CompanyCustomer}
	}
	first := verdict{reason: NoAddress}
	for i, id := range a.candidates[c.ID] {
		v := j.ask(id, c.ID)
		if v.allowed {
			// Somebody else with the same address may have refused.
			reason := j.refused(id)
			if reason == "" {
				return id, v
			}
			v = verdict{reason: reason}
		}
		if i == 0 {
			first = v
		}
	}
	return "", first
}

// fill gives wishes the fields and the tag that they are sent with.
func (e *Engine) fill(ctx context.Context, ws workspace.Workspace, def Definition, a audience, wishes map[string]*wish) error {
	byCustomer := make(map[customer.ID]string, len(wishes))
	for id, w := range wishes {
		byCustomer[w.customer] = id
	}
	var elsewhere []string
	for _, field := range def.Fields {
		if !slices.Contains(profileFields, field) && !slices.Contains(elsewhere, field) {
			elsewhere = append(elsewhere, field)
		}
	}
	var values map[customer.ID]map[string]string
	if len(elsewhere) > 0 && len(wishes) > 0 {
		slices.Sort(elsewhere)
		var err error
		if values, err = e.Fields.Values(ctx, ws, elsewhere, slices.Sorted(maps.Keys(byCustomer))); err != nil {
			return fmt.Errorf("reading the customer fields %s: %w", strings.Join(elsewhere, ", "), err)
		}
	}
	for _, c := range a.customers {
		id, wanted := byCustomer[c.ID]
		if !wanted {
			continue
		}
		w := wishes[id]
		if def.Tag != "" {
			w.payload.Tags = []string{def.Tag}
		}
		if len(def.Fields) > 0 {
			w.payload.Traits = make(map[string]string, len(def.Fields))
		}
		for trait, field := range def.Fields {
			// A field without a value is sent as an empty one, so that a value that went away goes away there too.
			value, known := profileField(def, c, id, field)
			if !known {
				value = values[c.ID][field]
			}
			w.payload.Traits[trait] = value
		}
		var err error
		if w.encoded, w.hash, err = w.payload.encode(); err != nil {
			return err
		}
	}
	return nil
}

// profileFields are the customer fields that need no FieldSource.
var profileFields = []string{"name", "greeting_name", "kind", "city", "country", "language", "channel", "birthday", "email", "phone", "tags"}

// profileField returns a field of the profile as text. An address is the one the member goes by, if it is of the kind.
func profileField(def Definition, c customer.Customer, id, field string) (value string, known bool) {
	switch field {
	case "name":
		return c.Name, true
	case "greeting_name":
		return c.Greeting, true
	case "kind":
		return string(c.Kind), true
	case "city":
		return c.City, true
	case "country":
		return c.Country, true
	case "language":
		return c.Language, true
	case "channel":
		return c.Channel, true
	case "birthday":
		switch {
		case c.Birthday == nil:
			return "", true
		case c.Birthday.Year == 0:
			return fmt.Sprintf("--%02d-%02d", c.Birthday.Month, c.Birthday.Day), true
		default:
			return fmt.Sprintf("%04d-%02d-%02d", c.Birthday.Year, c.Birthday.Month, c.Birthday.Day), true
		}
	case "email":
		return address(def, identity.EmailKind, id, c.Emails), true
	case "phone":
		return address(def, identity.PhoneKind, id, c.Phones), true
	case "tags":
		return strings.Join(c.Tags, ","), true
	default:
		return "", false
	}
}

func address(def Definition, kind, id string, all []string) string {
	switch {
	case def.Spec.Identity == kind:
		return id
	case len(all) > 0:
		return all[0]
	default:
		return ""
	}
}
