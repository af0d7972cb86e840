package activation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// Approval is what an approval lets pass.
type Approval struct {
	// First says that it was the question of the first push. Without a plan to look at, that push may add any number,
	// but take off no more than the limit.
	First bool `json:"first"`
	// Add and Remove are the counts of the held plan; the next push may do up to these, once.
	Add    int `json:"add"`
	Remove int `json:"remove"`
}

// Approve lets the plan pass that an activation is held with, up to its counts and for one push, or its first push
// before there was a plan. ErrNothingToApprove says that it waits for nobody.
func (e *Engine) Approve(ctx context.Context, ws store.WorkspaceID, id string) (Approval, error) {
	var approval Approval
	err := e.Store.InTx(ctx, func(tx store.Tx) error {
		return e.changeState(ctx, tx, ws, id, func(s *State) error {
			first := s.FirstDone.IsZero() && s.ApprovedAt.IsZero()
			approval = Approval{First: first, Add: s.HeldAdds, Remove: s.HeldRemovals}
			if s.Held == "" && !first {
				return ErrNothingToApprove
			}
			if s.Held != "" {
				s.ApprovedRun, s.ApprovedAdds, s.ApprovedRemovals = s.HeldRun, s.HeldAdds, s.HeldRemovals
			}
			if first {
				s.ApprovedAt = e.Clock.Now().Truncate(time.Microsecond)
			}
			s.Held, s.HeldRun, s.HeldAdds, s.HeldRemovals = "", 0, 0, 0
			return nil
		})
	})
	return approval, err
}

// Pause stops an activation from any change but taking off those who refused. The reason is for people.
func (e *Engine) Pause(ctx context.Context, ws store.WorkspaceID, id, reason string) error {
	if reason == "" {
		return errors.New("a pause needs a reason")
	}
	return e.setPause(ctx, ws, id, reason)
}

// Resume ends a pause; it does nothing to an activation that is not paused.
func (e *Engine) Resume(ctx context.Context, ws store.WorkspaceID, id string) error {
	return e.setPause(ctx, ws, id, "")
}

func (e *Engine) setPause(ctx context.Context, ws store.WorkspaceID, id, reason string) error {
	return e.Store.InTx(ctx, func(tx store.Tx) error {
		return e.changeState(ctx, tx, ws, id, func(s *State) error {
			s.PauseReason = reason
			return nil
		})
	})
}

// State returns where an activation stands.
func (e *Engine) State(ctx context.Context, ws store.WorkspaceID, id string) (State, error) {
	return e.state(ctx, ws, id)
}

// Plan is what a push would do. Identities are personal data: they are for the operator, not for logs.
type Plan struct {
	Target    string         `json:"target"`              // as configured
	TargetID  string         `json:"target_id,omitempty"` // empty: it does not exist yet and would be created
	Segment   int            `json:"segment"`
	Members   int            `json:"members"` // on the target now
	Counts    Counts         `json:"counts"`
	Unchanged int            `json:"unchanged"`
	Held      map[string]int `json:"held"`
	// Blocked and Hold are not empty when the push would stop before all but taking off those who refused: Blocked for
	// want of fresh data or because of a pause, Hold for an approval.
	Blocked  string       `json:"blocked,omitempty"`
	Hold     string       `json:"hold,omitempty"`
	Changes  []PlanChange `json:"changes"`   // in the order of sending
	HeldBack []HeldOfPlan `json:"held_back"` // members of the segment kept from the target, by customer
}

// PlanChange is one action of a plan.
type PlanChange struct {
	Customer customer.ID `json:"customer"` // 0 for a member that is no customer
	Identity string      `json:"identity"`
	Action   Action      `json:"action"`
	Reason   string      `json:"reason"`
}

// HeldOfPlan is one customer kept from the target.
type HeldOfPlan struct {
	Customer customer.ID `json:"customer"`
	Reason   string      `json:"reason"`
}

// Preview says what a push would do now. It reads the target, and changes nothing there or here.
func (e *Engine) Preview(ctx context.Context, ws workspace.Workspace, def Definition) (Plan, error) {
	p := &push{Engine: e, ws: ws, def: def, run: run.Run{Workspace: ws.ID, Connection: def.Connection, Kind: run.Activation, Subject: def.ID}}
	fail := func(err error) (Plan, error) { return Plan{}, fmt.Errorf("activation %s: %w", def.ID, err) }
	var err error
	if p.state, err = e.state(ctx, ws.ID, def.ID); err != nil {
		return fail(err)
	}
	blocked, err := p.blocked(ctx)
	if err != nil {
		return fail(err)
	}
	if err := p.find(ctx); err != nil {
		return fail(err)
	}
	if err := p.look(ctx); err != nil {
		return fail(err)
	}
	made, held, err := p.plan(ctx)
	if err != nil {
		return fail(err)
	}
	out := Plan{
		Target: def.Target, TargetID: p.target.ID, Segment: p.result.Segment, Members: p.back.on, Counts: made.counts(), Unchanged: made.kept,
		Held: made.held, Hold: def.hold(made, p.back.on, p.state), Changes: []PlanChange{}, HeldBack: []HeldOfPlan{},
	}
	if blocked != nil {
		out.Blocked = blocked.cause
	}
	if blocked == nil && p.back.blind > 0 {
		out.Blocked = p.blind().cause
	}
	for _, op := range slices.Concat(made.refusals, made.removals, made.additions, made.updates) {
		out.Changes = append(out.Changes, PlanChange{Customer: op.customer, Identity: op.id, Action: op.action, Reason: op.reason})
	}
	for _, h := range held {
		out.HeldBack = append(out.HeldBack, HeldOfPlan{h.customer, h.reason})
	}
	slices.SortStableFunc(out.HeldBack, func(a, b HeldOfPlan) int { return int(a.Customer - b.Customer) })
	return out, nil
}
