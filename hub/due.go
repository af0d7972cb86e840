package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
)

// The kinds of schedule entries.
const (
	scheduleSync       = "sync"       // subject: the connection
	scheduleActivation = "activation" // subject: the activation
)

// Due implements job.Work: it starts what the schedule says, and a refresh where a local day has begun. A schedule
// that fell behind (the hub was down) runs once, not once per missed time.
func (h *Hub) Due(ctx context.Context, now time.Time) error {
	err := h.store.InTx(ctx, func(tx store.Tx) error {
		due, err := h.store.DueSchedules(ctx, tx, now)
		if err != nil {
			return err
		}
		for _, entry := range due {
			st, ok := h.state(entry.Workspace)
			if !ok {
				continue // its workspace is not configured now
			}
			if err := h.startDue(ctx, tx, st, entry, now); err != nil {
				return fmt.Errorf("starting %s %s of workspace %s: %w", entry.Kind, entry.Subject, st.ws.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return h.refreshNewDays(ctx)
}

func (h *Hub) startDue(ctx context.Context, tx store.Tx, st *state, entry sqlite.ScheduleEntry, now time.Time) error {
	switch entry.Kind {
	case scheduleSync:
		c, ok := st.byName[entry.Subject]
		if !ok {
			return h.store.DropSchedule(ctx, tx, entry.Workspace, entry.Kind, entry.Subject)
		}
		if _, err := h.requestReads(ctx, tx, st, c, run.Incremental, "schedule"); err != nil {
			return err
		}
		return h.store.SetScheduleNext(ctx, tx, entry, now.Add(entry.Every))
	case scheduleActivation:
		a, ok := st.activation(entry.Subject)
		if !ok {
			return h.store.DropSchedule(ctx, tx, entry.Workspace, entry.Kind, entry.Subject)
		}
		if err := h.requestPush(ctx, tx, st, a, "schedule"); err != nil {
			return err
		}
		return h.store.SetScheduleNext(ctx, tx, entry, nextAt(now, entry.Every, a.At, st.ws.Zone))
	default:
		return fmt.Errorf("unknown kind of schedule %q", entry.Kind)
	}
}

// requestReads requests a run of every stream a connection offers. A paused connection gets none: its runs would
// pile up behind the pause.
func (h *Hub) requestReads(ctx context.Context, tx store.Tx, st *state, c *connection, mode run.Mode, trigger string) ([]run.Run, error) {
	row, err := h.store.Connection(ctx, tx, st.ws.ID, c.row.ID)
	if err != nil || row.PauseReason != "" {
		return nil, err
	}
	var runs []run.Run
	for _, stream := range c.streams {
		r, err := h.engine.Request(ctx, tx, run.Run{Workspace: st.ws.ID, Connection: c.row.ID, Kind: run.Read, Subject: stream.Name, Mode: mode, Trigger: trigger})
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// refreshNewDays asks for a refresh where the as-of day is not the one figures were refreshed for.
func (h *Hub) refreshNewDays(ctx context.Context) error {
	for _, st := range h.all() {
		st.ledger.dropIdle(h.clock.Now())
		day := h.asOf(st)
		if !st.ledger.newDay(day) {
			continue
		}
		standing, err := h.store.Standing(ctx, st.ws.ID)
		if err != nil {
			return err
		}
		if standing.Refreshed.On == nil || *standing.Refreshed.On == day {
			st.ledger.saw(day)
			continue
		}
		err = h.store.InTx(ctx, func(tx store.Tx) error {
			if err := h.store.MarkFiguresDirty(ctx, tx, st.ws.ID); err != nil {
				return err
			}
			return h.engine.RefreshLater(ctx, tx, st.ws.ID)
		})
		if err != nil {
			return err
		}
		st.ledger.saw(day)
	}
	return nil
}

// Sync implements api.Syncing.
func (h *Hub) Sync(ctx context.Context, name string, connections []string, mode run.Mode) ([]api.Run, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	chosen, err := st.choose(connections)
	if err != nil {
		return nil, err
	}
	var runs []run.Run
	err = h.store.InTx(ctx, func(tx store.Tx) error {
		runs = runs[:0]
		var paused []string
		for _, c := range chosen {
			row, err := h.store.Connection(ctx, tx, st.ws.ID, c.row.ID)
			if err != nil {
				return err
			}
			if row.PauseReason != "" && c.usable() && !decided(row.PauseReason) {
				// A fault stopped it, and somebody asks to try again: perhaps it is mended.
				if err := h.store.PauseConnection(ctx, tx, st.ws.ID, row.ID, ""); err != nil {
					return err
				}
				row.PauseReason = ""
			}
			if row.PauseReason != "" {
				paused = append(paused, fmt.Sprintf("connection %s is paused: %s", row.Name, row.PauseReason))
				continue
			}
			some, err := h.requestReads(ctx, tx, st, c, mode, "hand")
			if err != nil {
				return err
			}
			runs = append(runs, some...)
		}
		if len(paused) > 0 && (len(runs) == 0 || len(connections) > 0) {
			return fmt.Errorf("%w: %s", api.ErrRefused, strings.Join(paused, "; "))
		}
		// Whatever an earlier process left to be done is done with it.
		if err := h.engine.SettleLater(ctx, tx, st.ws.ID); err != nil {
			return err
		}
		return h.engine.RefreshLater(ctx, tx, st.ws.ID)
	})
	if err != nil {
		return nil, err
	}
	h.engine.Wake()
	return h.runViews(st, runs), nil
}

// choose returns the named connections, "connection.stream" narrowed to the stream, or all that offer streams.
func (st *state) choose(names []string) ([]*connection, error) {
	if len(names) == 0 {
		var all []*connection
		for _, c := range st.byName {
			if len(c.streams) > 0 || c.problem != nil {
				all = append(all, c)
			}
		}
		slices.SortFunc(all, func(a, b *connection) int { return int(a.row.ID - b.row.ID) })
		return all, nil
	}
	var chosen []*connection
	for _, name := range names {
		c, err := st.chooseOne(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}
