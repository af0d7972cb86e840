package activation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// reconciled is what looking at the target tells of sendings whose outcome nobody had learned.
type reconciled struct {
	sendings []Sending
	put      []Sent
	drop     []string
}

func (r reconciled) empty() bool { return len(r.sendings) == 0 }

func (r reconciled) store(ctx context.Context, tx store.Tx, p *push) error {
	if r.empty() {
		return nil
	}
	if err := p.Store.SetSendings(ctx, tx, p.ws.ID, r.sendings); err != nil {
		return fmt.Errorf("settling the outbox: %w", err)
	}
	if err := p.Store.DropSent(ctx, tx, p.ws.ID, p.def.Connection, p.target.ID, r.drop); err != nil {
		return fmt.Errorf("settling the ledger: %w", err)
	}
	if err := p.Store.PutSent(ctx, tx, p.ws.ID, p.def.Connection, p.target.ID, r.put); err != nil {
		return fmt.Errorf("settling the ledger: %w", err)
	}
	return nil
}

// reconcile decides by what is on the target now what became of the sendings that an earlier push left unknown: it
// was cut off during a call, or the target carries actions out later. What cannot be told from the target is superseded:
// the comparison that follows finds what is still missing, so that the target ends as if nothing had happened (R1).
func (p *push) reconcile(open []Sending) reconciled {
	p.unsure, p.pending = map[string]bool{}, map[string]string{}
	var r reconciled
	for _, s := range open {
		if s.Target != p.target.ID || s.Connection != p.def.Connection {
			s.State, s.Message = Superseded, "the activation has another target now"
			r.sendings = append(r.sendings, s)
			continue
		}
		m := p.back.members[s.Identity]
		there := m != nil && m.on
		s.Message = "found out by looking at the target"
		switch {
		case s.Action == Remove && !there:
			s.State = Done
			r.drop = append(r.drop, s.Identity)
			delete(p.ledger, s.Identity)
		case s.Action == Remove:
			s.State, s.Message = Superseded, "not carried out"
		case there && (s.Action == Add || s.State == Accepted || !p.def.Spec.Idempotent):
			// Of fields nothing can be seen: a target that took them, or that must not be told twice, is believed.
			s.State = Done
			sent := Sent{Identity: s.Identity, Activation: p.def.ID, Customer: s.Customer, PayloadHash: s.PayloadHash, SentAt: s.Created}
			r.put = append(r.put, sent)
			p.ledger[s.Identity] = sent
		case there:
			s.State, s.Message = Superseded, "sent again, as nobody knows whether it was carried out"
			p.unsure[s.Identity] = true
		case !p.def.Spec.Idempotent && s.State == Accepted && m == nil:
			p.pending[s.Identity] = AcceptedBefore
			continue
		case !p.def.Spec.Idempotent && !p.def.Spec.Readback && p.run.Trigger != triggerRetry:
			p.pending[s.Identity] = OutcomeUnknown
			continue
		default:
			s.State, s.Message = Superseded, "not carried out"
		}
		r.sendings = append(r.sendings, s)
	}
	return r
}

// line is an action as it is sent.
type line struct {
	op
	person connector.Person
	id     int64  // in the outbox
	key    string // idempotency key
}

// deliver sends actions in batches. Each batch is written to the outbox before the call and settled after it.
func (p *push) deliver(ctx context.Context, ops []op) error {
	var lines []line
	for _, o := range ops {
		p.acted = true
		for _, person := range o.persons {
			lines = append(lines, line{op: o, person: person, key: p.idempotencyKey(o, person)})
		}
	}
	for batch := range slices.Chunk(lines, p.def.batch()) {
		if err := p.send(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// idempotencyKey names an action within its run, which its time of creation tells from the runs of another store. An
// action that the run has done before and undone since is another one.
func (p *push) idempotencyKey(o op, person connector.Person) string {
	hash := ""
	if o.wish != nil {
		hash = o.wish.hash
	}
	parts := []string{
		p.ws.Name, p.def.ID, p.target.ID, o.id, person.Email, person.Phone, person.RemoteKey, string(o.action), hash,
		fmt.Sprint(p.run.ID, p.run.Created.UnixMicro(), p.done[o.id]),
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// send sends one batch, and again what the target puts off.
func (p *push) send(ctx context.Context, batch []line) error {
	open, err := p.intend(ctx, batch)
	if err != nil {
		return err
	}
	pause := p.backoff()
	for try := 0; len(open) > 0; try++ {
		if !p.def.Spec.Idempotent {
			// Such an action must not be sent again after a loss of power for want of its intent.
			if err := p.Store.Flush(ctx); err != nil {
				return fmt.Errorf("flushing the outbox: %w", err)
			}
		}
		results, err := p.write(ctx, open)
		if err != nil {
			return err
		}
		last := try == tries
		wait := pause.NextBackOff()
		for _, r := range results {
			if r.State == connector.ResultRetryable && r.Problem != nil {
				wait = max(wait, r.Problem.RetryAfter)
			}
		}
		last = last || wait < 0 || wait > maxPause
		if open, err = p.settle(ctx, open, results, last); err != nil {
			return err
		}
		if len(open) == 0 || last {
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		if open, err = p.reopen(ctx, open); err != nil {
			return err
		}
	}
	return nil
}

// maxPause is the longest a push holds its worker for what a target put off.
const maxPause = 30 * time.Second

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// write makes the call. An error leaves the intents open.
func (p *push) write(ctx context.Context, lines []line) ([]connector.Result, error) {
	actions := make([]connector.Action, 0, len(lines))
	for _, l := range lines {
		a := connector.Action{IdempotencyKey: l.key, Target: p.target.ID, Person: l.person, On: l.action != Remove}
		if l.wish != nil {
			a.Traits, a.Tags, a.ConsentedAt, a.ConsentSource = l.wish.payload.Traits, l.wish.payload.Tags, l.wish.given, l.wish.source
		}
		actions = append(actions, a)
	}
	results, err := p.Destination.Write(ctx, p.ws.ID, p.def.Connection, actions)
	if err != nil {
		return nil, fmt.Errorf("writing to the target: %w", err)
	}
	if len(results) != len(actions) {
		return nil, &connector.Problem{Kind: connector.Bug, Rule: "one_result_per_action", Message: fmt.Sprintf("the connector answered %d actions with %d results", len(actions), len(results))}
	}
	return results, nil
}

// intend writes a batch to the outbox. Who may be written to is asked again in the same transaction, as a refusal may
// have come since the plan was made (R4); such actions are left out.
func (p *push) intend(ctx context.Context, batch []line) ([]line, error) {
	var open []line
	var held []heldLine
	err := p.inTx(ctx, func(tx store.Tx) (err error) {
		if open, held, err = p.recheck(ctx, tx, batch); err != nil {
			return err
		}
		sendings := make([]Sending, 0, len(open))
		for _, l := range open {
			s := Sending{
				Run: p.run.ID, Activation: p.def.ID, Connection: p.def.Connection, Target: p.target.ID, Identity: l.op.id, Customer: l.customer,
				Action: l.action, Reason: l.reason, Before: l.before, IdempotencyKey: l.key, State: Intent, Payload: "{}",
			}
			if l.wish != nil {
				s.Payload, s.PayloadHash = l.wish.encoded, l.wish.hash
			}
			sendings = append(sendings, s)
		}
		ids, err := p.Store.AddSendings(ctx, tx, p.ws.ID, sendings)
		if err != nil {
			return fmt.Errorf("writing the outbox: %w", err)
		}
		for i := range open {
			open[i].id = ids[i]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.putAside(held)
	return open, nil
}

// reopen makes what the target put off intents again, asking once more who may be written to.
func (p *push) reopen(ctx context.Context, lines []line) (open []line, err error) {
	var held []heldLine
	err = p.inTx(ctx, func(tx store.Tx) (err error) {
		if open, held, err = p.recheck(ctx, tx, lines); err != nil {
			return err
		}
		var sendings []Sending
		for _, l := range open {
			sendings = append(sendings, Sending{ID: l.id, State: Intent})
		}
		for _, h := range held {
			sendings = append(sendings, Sending{ID: h.line.id, State: Superseded, Rule: h.reason, Message: "not sent again: consent no longer allows it"})
		}
		if err := p.Store.SetSendings(ctx, tx, p.ws.ID, sendings); err != nil {
			return fmt.Errorf("writing the outbox: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.putAside(held)
	return open, nil
}

// heldLine is an action that consent no longer allows.
type heldLine struct {
	line   line
	reason string
}

// recheck asks for those that would be put or kept on the target whether that is allowed at this moment.
func (p *push) recheck(ctx context.Context, tx store.Tx, lines []line) (open []line, held []heldLine, err error) {
	var ids []string
	var people []customer.ID
	for _, l := range lines {
		if l.action != Remove {
			ids = append(ids, l.op.id)
			people = append(people, l.customer)
		}
	}
	if len(ids) == 0 {
		return slices.Clone(lines), nil, nil
	}
	slices.Sort(people)
	customers, err := p.Store.CustomersByID(ctx, tx, p.ws.ID, slices.Compact(people))
	if err != nil {
		return nil, nil, fmt.Errorf("reading customers: %w", err)
	}
	j, err := p.judge(ctx, tx, p.ws.ID, p.def, ids, customers, p.back.refusalsOf(ids))
	if err != nil {
		return nil, nil, err
	}
	for _, l := range lines {
		if l.action == Remove {
			open = append(open, l)
			continue
		}
		v := j.ask(l.op.id, l.customer)
		if reason := j.refused(l.op.id); reason != "" {
			v = verdict{reason: reason}
		}
		if v.allowed {
			open = append(open, l)
		} else {
			held = append(held, heldLine{l, v.reason})
		}
	}
	return open, held, nil
}

// putAside counts actions that were not sent. Who refused while being on the target is taken off before the push ends.
func (p *push) putAside(held []heldLine) {
	for _, h := range held {
		p.result.Held[h.reason]++
		id := h.line.op.id
		if m := p.back.members[id]; m != nil && m.on && isRefusal(h.reason) {
			p.late = append(p.late, op{action: Remove, id: id, customer: h.line.customer, reason: h.reason, persons: m.persons, before: m.before})
		}
	}
}

// settle records what the target answered, and the ledger with it. What it put off stays open unless this was the last
// try.
func (p *push) settle(ctx context.Context, lines []line, results []connector.Result, last bool) (open []line, err error) {
	now := p.Clock.Now().Truncate(time.Microsecond)
	var sendings []Sending
	var put []Sent
	var drop []string
	result, counted := p.result, []string{}
	for i, r := range results {
		l := lines[i]
		s := Sending{ID: l.id, State: Retryable}
		if r.Problem != nil {
			s.Message, s.Rule = r.Problem.Error(), r.Problem.Rule
		}
		switch r.State {
		case connector.ResultOK:
			s.State = Done
			counted = append(counted, l.op.id)
			if l.action == Remove {
				drop = append(drop, l.op.id)
			} else {
				put = append(put, Sent{Identity: l.op.id, Activation: p.def.ID, Customer: l.customer, PayloadHash: l.wish.hash, SentAt: now})
			}
		case connector.ResultAccepted:
			s.State = Accepted
		case connector.ResultRejected:
			s.State = Rejected
		default:
			open = append(open, l)
		}
		sendings = append(sendings, s)
		if s.State != Retryable || last {
			result.count(l.action, l.reason, s.State)
		}
	}
	encoded, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	cancelled := false
	err = p.Store.InTx(ctx, func(tx store.Tx) (err error) {
		// The call is over: what it did is recorded even when somebody has cancelled meanwhile.
		if cancelled, err = p.hold(tx); err != nil {
			return err
		}
		err = errors.Join(
			p.Store.SetSendings(ctx, tx, p.ws.ID, sendings),
			p.Store.DropSent(ctx, tx, p.ws.ID, p.def.Connection, p.target.ID, drop),
			p.Store.PutSent(ctx, tx, p.ws.ID, p.def.Connection, p.target.ID, put),
			p.Store.SetRunResult(ctx, tx, p.ws.ID, p.run.ID, string(encoded)),
		)
		if err != nil {
			return fmt.Errorf("recording the target's answer: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.result = result
	for _, id := range counted {
		p.done[id]++
	}
	if cancelled {
		return nil, errCancelled
	}
	return open, nil
}

// refusalsOf are what the target said of some identities.
func (b *readback) refusalsOf(ids []string) map[string][]consent.Record {
	found := map[string][]consent.Record{}
	for _, id := range ids {
		if records, ok := b.refusals[id]; ok {
			found[id] = records
		}
	}
	return found
}
