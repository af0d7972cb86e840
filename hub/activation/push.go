package activation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

const (
	// waitStep is how long a push waits before it looks again whether the data allow changes, waitFor for how long in
	// all, from the creation of its run.
	waitStep = 30 * time.Second
	waitFor  = 20 * waitStep
	// preparing is how long a tool may take to prepare its list of members.
	preparing = 2 * time.Hour
)

// triggerRetry is the trigger of a run that somebody started to send again what was rejected, or whose outcome nobody
// knows.
const triggerRetry = "retry"

// Hold renews the lease that a push works under, in the transaction it is given, and says whether somebody asked to
// stop. With store.ErrLeaseLost the push writes nothing more.
type Hold func(tx store.Tx) (cancel bool, err error)

// push is one push under way.
type push struct {
	*Engine
	ws   workspace.Workspace
	def  Definition
	run  run.Run
	hold Hold // nil for a preview, which writes nothing

	state  State
	target connector.Target
	exists bool
	back   *readback
	ledger map[string]Sent
	// unsure and pending: see sight. done counts what the run has sent to an identity with success.
	unsure  map[string]bool
	pending map[string]string
	done    map[string]int
	result  Result
	acted   bool // the outbox or the ledger was written
	changed bool // more was called for than taking off those who refused
	late    []op // refusals that became known while sending
}

// Push makes an activation's target what it should be, as far as the rules allow, and stores the result with the run.
// It may be called again for the same run after a wait, a failure or a crash, and goes on from what it finds. An error
// leaves actions whose outcome is unknown in the outbox, for the next call to find out.
func (e *Engine) Push(ctx context.Context, ws workspace.Workspace, def Definition, r run.Run, hold Hold) (Outcome, error) {
	p := &push{Engine: e, ws: ws, def: def, run: r, hold: hold}
	err := p.work(ctx)
	var stop *stopped
	var wait *waits
	out := Outcome{}
	switch {
	case err == nil:
	case errors.As(err, &stop):
		out.Cause, out.CauseKind = stop.cause, stop.kind
	case errors.As(err, &wait):
		out.WaitUntil, out.Cause, out.CauseKind = wait.until, wait.cause, wait.kind
	case errors.Is(err, errCancelled):
		out.Cancelled = true
	default:
		return Outcome{Result: p.result}, fmt.Errorf("activation %s: %w", def.ID, err)
	}
	if err := p.close(ctx, err == nil); err != nil {
		return Outcome{Result: p.result}, fmt.Errorf("activation %s: %w", def.ID, err)
	}
	out.Result = p.result
	log := e.Log.With("workspace", ws.Name, "activation", def.ID, "run", r.ID)
	switch {
	case !out.WaitUntil.IsZero():
		log.Info("push waits", "cause", out.Cause, "until", out.WaitUntil)
		return out, nil
	case out.Cause != "":
		log.Warn("push stopped short", "kind", out.CauseKind, "cause", out.Cause)
	case p.acted:
		log.Info("push over", "added", p.result.Added, "updated", p.result.Updated, "removed", p.result.Removed, "removed_opted_out", p.result.RemovedOptedOut,
			"rejected", p.result.Rejected, "retryable", p.result.Retryable)
	default:
		log.Debug("push found nothing to do")
	}
	if p.result.Assumed > 0 {
		log.Info("consent was assumed, as the workspace has decided for this channel", "channel", def.channel(), "members", p.result.Assumed)
	}
	if e.Observer != nil {
		e.Observer.Pushed(ws, def, out)
	}
	return out, nil
}

func (p *push) work(ctx context.Context) (err error) {
	p.result.Held = map[string]int{}
	if p.state, err = p.Engine.state(ctx, p.ws.ID, p.def.ID); err != nil {
		return err
	}
	blocked, err := p.blocked(ctx)
	if err != nil {
		return err
	}
	if p.mayWait(blocked) {
		// As long as nobody whom we put there has refused, there is no need to bother the tool.
		urgent, err := p.refusedOnLedger(ctx)
		if err != nil {
			return err
		}
		if !urgent {
			return p.later(blocked)
		}
	}
	if err := p.find(ctx); err != nil {
		return err
	}
	if err := p.look(ctx); err != nil {
		return err
	}
	// Reading a long list takes time, in which the data may have gone stale or moved on.
	if blocked, err = p.blocked(ctx); err != nil {
		return err
	}
	if blocked == nil && p.back.blind > 0 {
		blocked = p.blind()
	}
	if blocked != nil {
		refusals, err := p.refusalsOnly(ctx)
		if err != nil {
			return err
		}
		p.result.Planned = Counts{RemoveOptedOut: len(refusals)}
		if err := p.deliver(ctx, refusals); err != nil {
			return err
		}
		if p.mayWait(blocked) {
			return p.later(blocked)
		}
		return blocked
	}
	plan, err := p.allowed(ctx)
	if err != nil {
		return err
	}
	if !p.exists {
		if len(plan.additions) == 0 {
			return nil
		}
		if err := p.create(ctx); err != nil {
			return err
		}
		if err := p.look(ctx); err != nil {
			return err
		}
		if plan, err = p.allowed(ctx); err != nil {
			return err
		}
	}
	return p.carryOut(ctx, plan)
}

// blocked says what keeps the activation from any change but taking off those who refused; nil for nothing.
func (p *push) blocked(ctx context.Context) (*stopped, error) {
	switch {
	case p.def.Paused:
		return &stopped{kind: CausePaused, cause: "paused in the configuration"}, nil
	case p.state.PauseReason != "":
		return &stopped{kind: CausePaused, cause: p.state.PauseReason}, nil
	}
	known, err := p.Store.SegmentEvaluated(ctx, p.ws.ID, p.def.Segment)
	if err != nil {
		return nil, fmt.Errorf("reading the state of segment %s: %w", p.def.Segment, err)
	}
	if !known {
		return &stopped{kind: CauseNotReady, cause: fmt.Sprintf("segment %s has not been evaluated yet", p.def.Segment)}, nil
	}
	reason, err := p.Readiness.Ready(ctx, p.ws, p.def)
	if err != nil {
		return nil, fmt.Errorf("finding out whether the data are fresh: %w", err)
	}
	if reason != "" {
		return &stopped{kind: CauseNotReady, cause: reason}, nil
	}
	return nil, nil
}

// blind says that some of the target's members could not be read.
func (p *push) blind() *stopped {
	return &stopped{kind: CauseTarget, cause: fmt.Sprintf("%d members of target %q could not be read, so nobody knows who of them has refused; put them right there", p.back.blind, p.def.Target)}
}

func (p *push) mayWait(blocked *stopped) bool {
	return blocked != nil && blocked.kind == CauseNotReady && p.Clock.Now().Before(p.run.Created.Add(waitFor))
}

func (p *push) later(blocked *stopped) error {
	return &waits{until: p.Clock.Now().Add(waitStep), cause: blocked.cause, kind: blocked.kind}
}

// refusedOnLedger says whether somebody whom we put on the target has refused since.
func (p *push) refusedOnLedger(ctx context.Context) (bool, error) {
	if p.state.Target == "" {
		return false, nil
	}
	ledger, err := p.Store.Ledger(ctx, nil, p.ws.ID, p.def.Connection, p.state.Target)
	if err != nil {
		return false, fmt.Errorf("reading the ledger: %w", err)
	}
	var ids []string
	for id, sent := range ledger {
		if sent.GoneAt.IsZero() {
			ids = append(ids, id)
		}
	}
	j, err := p.judge(ctx, nil, p.ws.ID, p.def, ids, nil, nil)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(ids, func(id string) bool { return j.refused(id) != "" }), nil
}

// inTx runs f in a transaction under the lease, unless somebody has cancelled the run.
func (p *push) inTx(ctx context.Context, f func(tx store.Tx) error) error {
	return p.Store.InTx(ctx, func(tx store.Tx) error {
		cancel, err := p.hold(tx)
		if err != nil {
			return err
		}
		if cancel {
			return errCancelled
		}
		return f(tx)
	})
}

func (r *Result) count(action Action, reason string, state SendingState) {
	switch state {
	case Accepted:
		r.Accepted++
	case Rejected:
		r.Rejected++
	case Retryable:
		r.Retryable++
	case Done:
		switch {
		case action == Add:
			r.Added++
		case action == Change:
			r.Updated++
		case isRefusal(reason):
			r.RemovedOptedOut++
		default:
			r.Removed++
		}
	}
}

// refusalsOnly plans for when nothing else may be changed.
func (p *push) refusalsOnly(ctx context.Context) ([]op, error) {
	s := p.sight(nil)
	ids := slices.Sorted(maps.Keys(p.back.members))
	j, err := p.judge(ctx, nil, p.ws.ID, p.def, ids, nil, p.back.refusals)
	if err != nil {
		return nil, err
	}
	s.owner = j.owner
	var refusals []op
	for _, id := range ids {
		if m := p.back.members[id]; m.on {
			if reason := j.refused(id); reason != "" {
				refusals = append(refusals, s.removal(id, m, p.ledger[id], reason))
			}
		}
	}
	return refusals, nil
}

func (p *push) sight(wishes map[string]*wish) *sight {
	s := &sight{
		def: p.def, now: p.Clock.Now().Truncate(time.Microsecond), back: p.back, ledger: p.ledger, wishes: wishes, unsure: p.unsure, pending: p.pending,
		rejected: map[rejection]bool{}, done: map[string]bool{},
	}
	for id := range p.done {
		s.done[id] = true
	}
	return s
}

// plan compares the target with what it should be.
func (p *push) plan(ctx context.Context) (*plan, []heldBack, error) {
	a, err := p.audience(ctx, p.ws.ID, p.def)
	if err != nil {
		return nil, nil, err
	}
	ids := slices.Collect(maps.Keys(p.back.members))
	for _, c := range a.customers {
		ids = append(ids, a.candidates[c.ID]...)
	}
	slices.Sort(ids)
	j, err := p.judge(ctx, nil, p.ws.ID, p.def, slices.Compact(ids), a.customers, p.back.refusals)
	if err != nil {
		return nil, nil, err
	}
	wishes, held := a.wishes(j)
	if err := p.fill(ctx, p.ws, p.def, a, wishes); err != nil {
		return nil, nil, err
	}
	s := p.sight(wishes)
	s.refused, s.owner = j.refused, j.owner
	// Somebody who asks for a retry believes that the reason of the rejection is gone.
	if p.exists && p.run.Trigger != triggerRetry {
		rejections, err := p.Store.Rejections(ctx, nil, p.ws.ID, p.def.ID, p.def.Connection, p.target.ID)
		if err != nil {
			return nil, nil, fmt.Errorf("reading rejections: %w", err)
		}
		for _, r := range rejections {
			s.rejected[rejection{r.Identity, r.Action, r.PayloadHash}] = true
		}
	}
	plan := s.compare()
	p.result.Segment, p.result.Unchanged, p.result.Assumed, p.result.Planned = len(a.customers), plan.kept, plan.assumed, plan.counts()
	p.result.Held = plan.held
	for _, h := range held {
		p.result.Held[h.reason]++
	}
	return plan, held, nil
}

// allowed makes a plan, takes off those who refused, and asks whether the rest may be carried out.
func (p *push) allowed(ctx context.Context) (*plan, error) {
	plan, _, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.deliver(ctx, plan.refusals); err != nil {
		return nil, err
	}
	cause := p.def.hold(plan, p.back.on, p.state)
	if cause == "" {
		return plan, nil
	}
	err = p.inTx(ctx, func(tx store.Tx) error {
		return p.changeState(ctx, tx, p.ws.ID, p.def.ID, func(s *State) error {
			if s.Held != cause || s.HeldAdds != len(plan.additions) || s.HeldRemovals != len(plan.removals) {
				s.Held, s.HeldRun, s.HeldAdds, s.HeldRemovals = cause, p.run.ID, len(plan.additions), len(plan.removals)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return nil, &stopped{kind: CauseHeld, cause: cause}
}

// carryOut sends a plan that may be carried out.
func (p *push) carryOut(ctx context.Context, plan *plan) error {
	if len(plan.adopted)+len(plan.dropped) > 0 {
		p.acted = true
		err := p.inTx(ctx, func(tx store.Tx) error {
			if err := p.Store.DropSent(ctx, tx, p.ws.ID, p.def.Connection, p.target.ID, plan.dropped); err != nil {
				return fmt.Errorf("updating the ledger: %w", err)
			}
			if err := p.Store.PutSent(ctx, tx, p.ws.ID, p.def.Connection, p.target.ID, plan.adopted); err != nil {
				return fmt.Errorf("updating the ledger: %w", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	p.changed = p.changed || len(plan.removals)+len(plan.additions)+len(plan.updates) > 0
	// First those who leave: they make room in tools that count members.
	for _, ops := range [][]op{plan.removals, plan.additions, plan.updates} {
		if err := p.deliver(ctx, ops); err != nil {
			return err
		}
	}
	late := p.late
	p.late = nil
	return p.deliver(ctx, late)
}

// close stores the result with the run and, after a complete push, what the next one starts from.
func (p *push) close(ctx context.Context, complete bool) error {
	encoded, err := json.Marshal(p.result)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	return p.Store.InTx(ctx, func(tx store.Tx) error {
		// All is done by now: a cancel that comes this late changes nothing.
		if _, err := p.hold(tx); err != nil {
			return err
		}
		if err := p.Store.SetRunResult(ctx, tx, p.ws.ID, p.run.ID, string(encoded)); err != nil {
			return fmt.Errorf("storing the result: %w", err)
		}
		if !complete {
			return nil
		}
		return p.changeState(ctx, tx, p.ws.ID, p.def.ID, func(s *State) error {
			s.LastDone = p.Clock.Now().Truncate(time.Microsecond)
			if s.FirstDone.IsZero() && p.changed {
				s.FirstDone = s.LastDone
			}
			s.Held, s.HeldRun, s.HeldAdds, s.HeldRemovals = "", 0, 0, 0
			if p.result.Retryable == 0 {
				// An approval is for one push; what the target put off still belongs to it.
				s.ApprovedRun, s.ApprovedAdds, s.ApprovedRemovals = 0, 0, 0
			}
			return nil
		})
	})
}

func (j *judge) owner(id string) customer.ID {
	if owners := j.owners[id]; len(owners) > 0 {
		return owners[0]
	}
	return 0
}
