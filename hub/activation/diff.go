package activation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
)

// op is one action on one member, ready to be sent.
type op struct {
	action   Action
	id       string
	customer customer.ID
	reason   string
	persons  []connector.Person // the spellings to take off; one for other actions
	wish     *wish              // nil for a removal
	before   string
}

// rejection is an action that would be refused again.
type rejection struct {
	id     string
	action Action
	hash   string
}

// sight is all that a plan is made from.
type sight struct {
	def    Definition
	now    time.Time
	back   *readback
	ledger map[string]Sent
	wishes map[string]*wish
	// refused says why an identity must not be there; empty where it may.
	refused func(id string) string
	owner   func(id string) customer.ID
	// unsure are identities that something was sent to without learning the outcome, so what the ledger says of their
	// fields may be wrong; pending are additions that must not be sent again yet, with the reason.
	unsure   map[string]bool
	pending  map[string]string
	rejected map[rejection]bool
	// done are identities that this run has sent something to already, before it was cut off.
	done map[string]bool
}

// plan is the difference between a target and what it should be. Everything in it is ordered by identity.
type plan struct {
	refusals, removals, additions, updates []op
	// adopted are lines of the ledger to write without sending anything, dropped those to delete.
	adopted []Sent
	dropped []string
	held    map[string]int
	kept    int // members that stay as they are
	assumed int
}

func (p *plan) counts() Counts {
	return Counts{Add: len(p.additions), Update: len(p.updates), Remove: len(p.removals), RemoveOptedOut: len(p.refusals)}
}

// compare makes the plan.
func (s *sight) compare() *plan {
	p := &plan{held: map[string]int{}}
	ids := make([]string, 0, len(s.back.members)+len(s.wishes))
	ids = slices.AppendSeq(ids, maps.Keys(s.back.members))
	for id := range s.wishes {
		if s.back.members[id] == nil {
			ids = append(ids, id)
		}
	}
	for id := range s.ledger {
		if s.back.members[id] == nil && s.wishes[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		m, w := s.back.members[id], s.wishes[id]
		switch {
		case m != nil && m.on:
			s.present(p, id, m, w)
		case w != nil:
			s.wanted(p, id, m, w)
		default:
			s.gone(p, id, m)
		}
	}
	if n := s.back.unidentified; n > 0 {
		p.held[Unidentified] += n
	}
	return p
}

// present plans for somebody who is on the target.
func (s *sight) present(p *plan, id string, m *member, w *wish) {
	sent, known := s.ledger[id]
	if reason := s.refused(id); reason != "" {
		p.refusals = append(p.refusals, s.removal(id, m, sent, reason))
		return
	}
	if s.back.unreadable[id] {
		p.held[Unreadable]++
		return
	}
	if w == nil {
		switch {
		case s.def.Mode == Upsert || s.def.Mode == Update:
		case s.rejected[rejection{id, Remove, ""}]:
			p.held[RejectedBefore]++
		default:
			p.removals = append(p.removals, s.removal(id, m, sent, LeftSegment))
		}
		return
	}
	s.count(p, w)
	switch {
	case !known && !s.unsure[id] && w.payload.empty():
		// They came there without us, just as they should be.
		p.adopted = append(p.adopted, Sent{Identity: id, Activation: s.def.ID, Customer: w.customer, PayloadHash: w.hash, SentAt: s.now})
		p.kept++
	case !known || s.unsure[id] || sent.PayloadHash != w.hash:
		if s.rejected[rejection{id, Change, w.hash}] {
			p.held[RejectedBefore]++
			return
		}
		p.updates = append(p.updates, op{action: Change, id: id, customer: w.customer, reason: NewFields, persons: m.persons[:1], wish: w, before: m.before})
	default:
		if !s.done[id] {
			p.kept++
		}
		if !sent.GoneAt.IsZero() || sent.Customer != w.customer || sent.Activation != s.def.ID {
			sent.GoneAt, sent.Customer, sent.Activation = time.Time{}, w.customer, s.def.ID
			p.adopted = append(p.adopted, sent)
		}
	}
}

// wanted plans for somebody who should be on the target and is not, or is there as one not to be written to.
func (s *sight) wanted(p *plan, id string, m *member, w *wish) {
	sent, known := s.ledger[id]
	switch {
	case s.back.unreadable[id]:
		p.held[Unreadable]++
	case s.pending[id] != "":
		p.held[s.pending[id]]++
	case m != nil && known && !sent.SentAt.Before(m.refused):
		// A newer permission has put them on the target already, and the tool keeps its own mind.
		p.held[RefusedThere]++
	case m == nil && known:
		p.held[RemovedByHand]++
		s.markGone(p, sent)
	case s.def.Mode == Update:
		p.held[NotThere]++
	case s.rejected[rejection{id, Add, w.hash}]:
		p.held[RejectedBefore]++
	default:
		s.count(p, w)
		p.additions = append(p.additions, op{action: Add, id: id, customer: w.customer, reason: w.reason, persons: []connector.Person{s.def.person(id)}, wish: w})
	}
}

// gone plans for somebody whom we had put on the target, who is not there, and need not be.
func (s *sight) gone(p *plan, id string, m *member) {
	sent, known := s.ledger[id]
	switch {
	case !known:
	case m != nil:
		// They refused there; what the tool keeps of them is theirs.
		p.dropped = append(p.dropped, id)
	default:
		// The line stays, so that who was removed by hand stays removed should they come back into the segment.
		s.markGone(p, sent)
	}
}

func (s *sight) markGone(p *plan, sent Sent) {
	if sent.GoneAt.IsZero() {
		sent.GoneAt = s.now
		p.adopted = append(p.adopted, sent)
	}
}

func (s *sight) count(p *plan, w *wish) {
	if w.reason == string(consent.AssumedPermitted) {
		p.assumed++
	}
}

func (s *sight) removal(id string, m *member, sent Sent, reason string) op {
	return op{action: Remove, id: id, customer: cmp.Or(sent.Customer, s.owner(id)), reason: reason, persons: m.persons, before: m.before}
}

// limit is how many members a push may add, or take off, without asking (R5).
func (d Definition) limit(members int) int {
	// A share of 0.29 is a little less than 29 of 100 in binary.
	return max(int(d.MaxShare*float64(members)+1e-9), d.MaxCount)
}

// hold says why a plan must wait for a person; empty when it need not (R5). What takes off those who refused is never
// part of the question.
func (d Definition) hold(p *plan, members int, state State) string {
	adds, removals := len(p.additions), len(p.removals)
	first := state.FirstDone.IsZero()
	if first && !d.FirstPushApproved && state.ApprovedAt.IsZero() {
		if adds+removals+len(p.updates) == 0 {
			return ""
		}
		return fmt.Sprintf("the first push would add %d, update %d and take off %d of the %d members of target %q; %s",
			adds, len(p.updates), removals, members, d.Target, d.howToApprove())
	}
	limit := d.limit(members)
	maxAdds, maxRemovals := limit, limit
	if state.ApprovedRun != 0 {
		maxAdds, maxRemovals = max(limit, state.ApprovedAdds), max(limit, state.ApprovedRemovals)
	}
	if first && (d.FirstPushApproved || state.ApprovedRun == 0) {
		// Approved before there was a plan: an empty list may be filled, but nobody has looked at whom it would take off.
		maxAdds = adds
	}
	if adds <= maxAdds && removals <= maxRemovals {
		return ""
	}
	return fmt.Sprintf("it would add %d and take off %d of the %d members of target %q, and more than %d of either need an approval; %s",
		adds, removals, members, d.Target, limit, d.howToApprove())
}

func (d Definition) howToApprove() string {
	return fmt.Sprintf("look at it with `regulars activation preview %s` and let it pass with `regulars activation approve %s`", d.ID, d.ID)
}
