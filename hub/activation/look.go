package activation

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/store"
)

// find looks the target up.
func (p *push) find(ctx context.Context) (err error) {
	if !p.def.Spec.Readback && p.def.channel() != consent.NoChannel {
		return &stopped{kind: CauseTarget, cause: fmt.Sprintf("connection %s cannot tell who is on target %q, so refusals made there cannot be respected; choose another kind of target", p.def.ConnectionName, p.def.Target)}
	}
	if p.target, p.exists, err = p.findTarget(ctx, p.ws.ID, p.def, p.state); err != nil {
		return err
	}
	if !p.exists && !p.def.Spec.CanCreate {
		return &stopped{kind: CauseTarget, cause: fmt.Sprintf("connection %s has no target named %q and the connector cannot create one; create it there", p.def.ConnectionName, p.def.Target)}
	}
	return nil
}

// create makes the target. What the ledger knows of an earlier one of the same id stands there no more.
func (p *push) create(ctx context.Context) (err error) {
	if p.target, err = p.createTarget(ctx, p.ws.ID, p.def); err != nil {
		return err
	}
	p.exists = true
	return p.inTx(ctx, func(tx store.Tx) error {
		return p.Store.DropTarget(ctx, tx, p.ws.ID, p.def.Connection, p.target.ID)
	})
}

// look reads back who is on the target, settles what an earlier attempt left unknown, and keeps the refusals it finds:
// all in this run, before any write (R4).
func (p *push) look(ctx context.Context) error {
	p.back, p.ledger, p.done = emptyReadback(), map[string]Sent{}, map[string]int{}
	p.result.Target = p.target.ID
	open, err := p.Store.OpenSendings(ctx, nil, p.ws.ID, p.def.ID)
	if err != nil {
		return fmt.Errorf("reading the outbox: %w", err)
	}
	if p.exists {
		if p.ledger, err = p.Store.Ledger(ctx, nil, p.ws.ID, p.def.Connection, p.target.ID); err != nil {
			return fmt.Errorf("reading the ledger: %w", err)
		}
		if err := p.readBack(ctx); err != nil {
			return err
		}
	}
	p.result.Members = p.back.on
	found := p.reconcile(open)
	refusals := p.back.remote(p.def, p.target.ID)
	if p.hold == nil {
		return nil
	}
	if err := p.keep(ctx, found, refusals); err != nil {
		return err
	}
	return p.countDone(ctx)
}

func (p *push) readBack(ctx context.Context) error {
	if !p.def.Spec.Readback {
		for id, sent := range p.ledger {
			if sent.GoneAt.IsZero() {
				p.back.members[id] = &member{on: true, persons: []connector.Person{p.def.person(id)}}
				p.back.on++
			}
		}
		return nil
	}
	var cursor connector.Cursor
	if p.hold != nil && p.state.ReadbackRun == p.run.ID {
		cursor = p.state.ReadbackCursor
	}
	back, pending, err := p.readMembers(ctx, p.ws.ID, p.def, p.target.ID, cursor)
	if err != nil {
		return err
	}
	if pending == nil {
		p.back = back
		return nil
	}
	if p.hold == nil || !p.Clock.Now().Before(p.run.Created.Add(preparing)) {
		return &stopped{kind: CauseTarget, cause: fmt.Sprintf("connection %s is still preparing the members of target %q; try again later", p.def.ConnectionName, p.def.Target)}
	}
	err = p.inTx(ctx, func(tx store.Tx) error {
		return p.changeState(ctx, tx, p.ws.ID, p.def.ID, func(s *State) error {
			s.ReadbackRun, s.ReadbackCursor = p.run.ID, pending.cursor
			return nil
		})
	})
	if err != nil {
		return err
	}
	return &waits{until: pending.until, cause: "the tool is preparing its list of members", kind: "wait"}
}

// keep stores what a look has found, if that is anything new.
func (p *push) keep(ctx context.Context, found reconciled, refusals []RemoteConsent) error {
	state := p.state
	state.ReadbackRun, state.ReadbackCursor = 0, nil
	if p.exists {
		state.Target, state.TargetName = p.target.ID, p.def.Target
	}
	if state.equal(p.state) && found.empty() && len(refusals) == 0 {
		return nil
	}
	slices.SortFunc(refusals, func(a, b RemoteConsent) int { return cmp.Compare(a.Address, b.Address) })
	err := p.inTx(ctx, func(tx store.Tx) error {
		if _, err := p.Store.PutRemoteConsents(ctx, tx, p.ws.ID, refusals); err != nil {
			return fmt.Errorf("keeping refusals found at the target: %w", err)
		}
		if err := found.store(ctx, tx, p); err != nil {
			return err
		}
		return p.changeState(ctx, tx, p.ws.ID, p.def.ID, func(s *State) error {
			s.ReadbackRun, s.ReadbackCursor, s.Target, s.TargetName = 0, nil, state.Target, state.TargetName
			return nil
		})
	})
	if err == nil {
		p.state = state
	}
	return err
}

// countDone takes over what the run has sent before it was cut off, so that its result is that of an undisturbed one.
func (p *push) countDone(ctx context.Context) error {
	sendings, err := p.Store.Sendings(ctx, p.ws.ID, p.run.ID)
	if err != nil {
		return fmt.Errorf("reading the outbox: %w", err)
	}
	p.result.Added, p.result.Updated, p.result.Removed, p.result.RemovedOptedOut = 0, 0, 0, 0
	p.result.Accepted, p.result.Rejected = 0, 0
	for _, s := range sendings {
		p.acted = true
		p.changed = p.changed || !isRefusal(s.Reason)
		if s.State == Done {
			p.done[s.Identity]++
		}
		if s.State != Retryable { // those are sent again
			p.result.count(s.Action, s.Reason, s.State)
		}
	}
	return nil
}
