package activation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

// stopped ends a push short of its work, with a cause for people.
type stopped struct{ cause, kind string }

func (s *stopped) Error() string { return s.cause }

// waits puts a push off.
type waits struct {
	until time.Time
	cause string
	kind  string
}

func (w *waits) Error() string { return w.cause }

// errCancelled ends a push that somebody cancelled.
var errCancelled = errors.New("cancelled by hand")

// findTarget looks the target up, by the remote id it was found under before, by remote id or by name. found is
// false when there is none yet.
func (e *Engine) findTarget(ctx context.Context, ws store.WorkspaceID, def Definition, state State) (target connector.Target, found bool, err error) {
	all, err := e.Destination.Targets(ctx, ws, def.Connection, def.Spec.Kind, "")
	if err != nil {
		return target, false, fmt.Errorf("listing targets: %w", err)
	}
	var named []connector.Target
	for _, t := range all {
		switch {
		// A target that was renamed there stays the same one.
		case state.Target != "" && t.ID == state.Target && state.TargetName == def.Target, t.ID == def.Target:
			return t, true, writable(def, t)
		case t.Name == def.Target:
			named = append(named, t)
		}
	}
	switch len(named) {
	case 0:
		return target, false, nil
	case 1:
		return named[0], true, writable(def, named[0])
	default:
		return target, false, &stopped{kind: CauseTarget, cause: fmt.Sprintf("%d targets of connection %s are named %q: give the id of one instead of the name", len(named), def.ConnectionName, def.Target)}
	}
}

func writable(def Definition, t connector.Target) error {
	if t.ReadOnlyReason == "" {
		return nil
	}
	return &stopped{kind: CauseTarget, cause: fmt.Sprintf("target %q of connection %s cannot be written to: %s", def.Target, def.ConnectionName, t.ReadOnlyReason)}
}

// createTarget makes the target.
func (e *Engine) createTarget(ctx context.Context, ws store.WorkspaceID, def Definition) (connector.Target, error) {
	made, err := e.Destination.Targets(ctx, ws, def.Connection, def.Spec.Kind, def.Target)
	if err != nil {
		return connector.Target{}, fmt.Errorf("creating the target: %w", err)
	}
	if len(made) != 1 {
		return connector.Target{}, &connector.Problem{Kind: connector.Bug, Rule: "one_target_created", Message: fmt.Sprintf("the connector answered the creation of a target with %d targets instead of one", len(made))}
	}
	return made[0], writable(def, made[0])
}

// member is somebody on the target, with all the spellings the target has them under.
type member struct {
	on      bool               // may receive what is sent there
	persons []connector.Person // each spelling of one who is on
	refused time.Time          // the latest refusal there, of one who is not on
	before  string             // as JSON, for an undo
}

// readback is who is on the target.
type readback struct {
	members  map[string]*member
	refusals map[string][]consent.Record
	on       int
	// unreadable are those that the connector could make nothing of; blind counts those it could not even name.
	unreadable   map[string]bool
	blind        int
	unidentified int
}

func emptyReadback() *readback {
	return &readback{members: map[string]*member{}, refusals: map[string][]consent.Record{}, unreadable: map[string]bool{}}
}

// readMembers reads everybody on the target, from a cursor where the tool was preparing its answer.
func (e *Engine) readMembers(ctx context.Context, ws store.WorkspaceID, def Definition, target string, cursor connector.Cursor) (*readback, *notReady, error) {
	back := emptyReadback()
	for read := 0; ; {
		page, err := e.Destination.Members(ctx, ws, def.Connection, target, cursor)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the members of the target: %w", err)
		}
		read += len(page.Records) + len(page.Skipped)
		if !page.NotReadyUntil.IsZero() {
			if read > 0 {
				return nil, nil, &connector.Problem{Kind: connector.Upstream, Rule: "members_not_ready", Message: "the list of members stopped being available half-way"}
			}
			return nil, &notReady{until: page.NotReadyUntil, cursor: page.Next}, nil
		}
		for _, record := range page.Records {
			if err := back.add(def, target, record); err != nil {
				return nil, nil, err
			}
		}
		for _, skipped := range page.Skipped {
			if skipped.Key == "" {
				back.blind++
				continue
			}
			id, _ := def.normal(skipped.Key)
			back.unreadable[id] = true
		}
		if !page.More {
			return back, nil, nil
		}
		if bytes.Equal(page.Next, cursor) {
			return nil, nil, &connector.Problem{Kind: connector.Bug, Rule: "cursor_moves", Message: "reading members does not get on: the connector returned the cursor it was given"}
		}
		cursor = page.Next
	}
}

// notReady says when to ask again, and with what, for a list of members that the tool is preparing.
type notReady struct {
	until  time.Time
	cursor connector.Cursor
}

// normal returns the identity in which members are compared. What has no normal form stays as it is, so that it can
// be told from others and taken off.
func (d Definition) normal(s string) (id string, ok bool) {
	switch d.Spec.Identity {
	case identity.EmailKind:
		if id, ok = identity.Email(s); ok {
			return id, true
		}
	case identity.PhoneKind:
		if id, ok = identity.Phone(s, d.PhoneRegion); ok {
			return id, true
		}
	default:
		return s, s != ""
	}
	s = strings.ToLower(strings.TrimSpace(s))
	return s, s != ""
}

func (b *readback) add(def Definition, target string, record connector.Record) error {
	if record.Deleted {
		return nil
	}
	var m entity.Member
	if err := json.Unmarshal(record.Data, &m); err != nil {
		// The decoder's message may quote the data (R12).
		return &connector.Problem{Kind: connector.Bug, Rule: "member_schema", Place: record.Place, Message: "a member of the target does not have the form of a member"}
	}
	written := record.Key
	switch def.Spec.Identity {
	case identity.EmailKind:
		written = m.Email
	case identity.PhoneKind:
		written = m.Phone
	}
	id, ok := def.normal(written)
	if !ok {
		b.unidentified++
		return nil
	}
	one := b.members[id]
	if one == nil {
		one = &member{}
		b.members[id] = one
	}
	email, _ := identity.Email(m.Email)
	phone, _ := identity.Phone(m.Phone, def.PhoneRegion)
	standing := consent.OfMember(store.RecordKey{Connection: def.Connection, Stream: connector.MembersStream, Key: target + "/" + def.consentAddress(id)}, def.channel(), m, email, phone)
	standing.At = standing.At.Truncate(time.Microsecond) // as it is stored
	if standing.State != entity.Unknown && def.channel() != consent.NoChannel {
		b.refusals[id] = append(b.refusals[id], standing)
		if standing.At.After(one.refused) {
			one.refused = standing.At
		}
		return nil
	}
	if !one.on {
		one.on = true
		b.on++
		before, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("encoding a member of the target: %w", err)
		}
		one.before = string(before)
	}
	one.persons = append(one.persons, def.person(written))
	return nil
}

// remote returns the refusals as they are stored.
func (b *readback) remote(def Definition, target string) []RemoteConsent {
	var all []RemoteConsent
	for id, records := range b.refusals {
		for _, r := range records {
			one := RemoteConsent{Connection: def.Connection, Target: target, Channel: def.channel(), Address: def.consentAddress(id), State: r.State, At: r.At}
			all = append(all, one)
		}
	}
	return all
}
