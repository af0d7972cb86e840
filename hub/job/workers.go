package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// leaseArgs names the lease a job works under; one whose epoch has passed does nothing.
type leaseArgs struct {
	Workspace  store.WorkspaceID  `json:"workspace"`
	Connection store.ConnectionID `json:"connection"`
	Run        run.ID             `json:"run"`
	Epoch      int64              `json:"epoch"`
}

type (
	readArgs   struct{ leaseArgs }
	pushArgs   struct{ leaseArgs }
	settleArgs struct {
		Workspace store.WorkspaceID `json:"workspace"`
	}
	refreshArgs struct {
		Workspace store.WorkspaceID `json:"workspace"`
	}
)

func (readArgs) Kind() string    { return "read" }
func (pushArgs) Kind() string    { return "push" }
func (settleArgs) Kind() string  { return "settle" }
func (refreshArgs) Kind() string { return "refresh" }

// under runs work while it holds the job's lease: it starts the lease, renews it at a third of its length, also
// during calls, and cuts the work when the lease is lost or the run cancelled.
func (e *Engine) under(ctx context.Context, args leaseArgs, work func(ctx context.Context, ws workspace.Workspace, r run.Run, lease run.Lease) error) error {
	lease := run.Lease{Workspace: args.Workspace, Connection: args.Connection, Run: args.Run, Epoch: args.Epoch}
	ws, configured := e.opts.Work.Workspace(args.Workspace)
	var r run.Run
	cancelled := false
	err := e.opts.Store.InTx(ctx, func(tx store.Tx) (err error) {
		if cancelled, err = e.opts.Store.HoldLease(ctx, tx, lease, e.opts.Clock.Now().Add(e.opts.Lease)); err != nil {
			return err
		}
		r, err = e.opts.Store.Run(ctx, tx, args.Workspace, args.Run)
		return err
	})
	if errors.Is(err, store.ErrLeaseLost) {
		return nil
	}
	if err != nil {
		return err
	}
	if cancelled || !configured {
		cause, kind := "cancelled by hand", "cancelled"
		if !configured {
			cause, kind = "the workspace is not in the configuration", "invalid_config"
		}
		return e.end(ctx, ws, lease, run.Cancelled, cause, kind)
	}

	working, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.mu.Lock()
	e.active[args.Run] = func() { cancel(errInterrupted) }
	e.mu.Unlock()
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		e.renew(working, lease, cancel)
	}()
	err = work(working, ws, r, lease)
	e.mu.Lock()
	delete(e.active, args.Run)
	e.mu.Unlock()
	interrupted := context.Cause(working)
	cancel(nil)
	<-renewed
	switch {
	case err == nil:
		return nil
	case errors.Is(interrupted, errInterrupted) || ctx.Err() != nil:
		// Either somebody cancelled the run, or the hub stops and the run goes on at the next start.
		return e.interrupted(context.WithoutCancel(ctx), ws, lease)
	case errors.Is(interrupted, store.ErrLeaseLost):
		return nil
	default:
		return e.failed(ctx, ws, r, lease, err)
	}
}

var errInterrupted = errors.New("interrupted")

// renew keeps the lease until ctx ends.
func (e *Engine) renew(ctx context.Context, lease run.Lease, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(e.opts.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var asked bool
		err := e.opts.Store.InTx(ctx, func(tx store.Tx) (err error) {
			asked, err = e.opts.Store.HoldLease(ctx, tx, lease, e.opts.Clock.Now().Add(e.opts.Lease))
			return err
		})
		switch {
		case errors.Is(err, store.ErrLeaseLost):
			cancel(store.ErrLeaseLost)
			return
		case asked:
			cancel(errInterrupted)
			return
		case err != nil && ctx.Err() == nil:
			e.opts.Log.Warn("renewing a lease failed; trying again", "run", lease.Run, "error", err)
		}
	}
}

// interrupted ends a run that was cancelled, and leaves one that the hub's stop cut short as it is.
func (e *Engine) interrupted(ctx context.Context, ws workspace.Workspace, lease run.Lease) error {
	r, err := e.opts.Store.Run(ctx, nil, lease.Workspace, lease.Run)
	if err != nil || !r.Cancel {
		return err
	}
	return e.end(ctx, ws, lease, run.Cancelled, "cancelled by hand", "cancelled")
}

// end closes a run, frees its connection and starts what follows.
func (e *Engine) end(ctx context.Context, ws workspace.Workspace, lease run.Lease, state run.State, cause, kind string) error {
	var ended run.Run
	err := e.opts.Store.InTx(ctx, func(tx store.Tx) (err error) {
		ended, err = e.endIn(ctx, tx, lease, state, cause, kind)
		return err
	})
	if errors.Is(err, store.ErrLeaseLost) {
		return nil
	}
	if err == nil {
		e.opts.Observer.RunEnded(ws, ended)
	}
	return err
}

func (e *Engine) endIn(ctx context.Context, tx store.Tx, lease run.Lease, state run.State, cause, kind string) (run.Run, error) {
	if err := e.opts.Store.DropLease(ctx, tx, lease); err != nil {
		return run.Run{}, err
	}
	if err := e.opts.Store.EndRun(ctx, tx, lease.Workspace, lease.Run, state, cause, kind); err != nil {
		return run.Run{}, err
	}
	ended, err := e.opts.Store.Run(ctx, tx, lease.Workspace, lease.Run)
	if err != nil {
		return run.Run{}, err
	}
	if err := e.afterRun(ctx, tx, ended); err != nil {
		return run.Run{}, err
	}
	return ended, e.dispatch(ctx, tx, lease.Connection)
}

type readWorker struct {
	river.WorkerDefaults[readArgs]
	engine *Engine
}

// Timeout leaves a slice its ten seconds and one call that is slow to end.
func (w *readWorker) Timeout(*river.Job[readArgs]) time.Duration { return 2 * time.Minute }

// NextRetry implements river.Worker.
func (w *readWorker) NextRetry(*river.Job[readArgs]) time.Time {
	return w.engine.opts.Clock.Now().Add(again)
}

func (w *readWorker) Work(ctx context.Context, job *river.Job[readArgs]) error {
	e := w.engine
	return e.under(ctx, job.Args.leaseArgs, func(ctx context.Context, ws workspace.Workspace, r run.Run, lease run.Lease) error {
		stream, err := e.opts.Store.Stream(ctx, nil, r.Workspace, r.Connection, r.Subject)
		if err != nil {
			return fmt.Errorf("looking up stream %s: %w", r.Subject, err)
		}
		var ended run.Run
		err = e.opts.Slicer.Run(ctx, ws, stream, r, lease, func(tx store.Tx, out ingest.Outcome) (err error) {
			ended = run.Run{}
			switch {
			case out.Cancelled:
				ended, err = e.endIn(ctx, tx, lease, run.Cancelled, "cancelled by hand", "cancelled")
				return err
			case out.Done:
				ended, err = e.endIn(ctx, tx, lease, run.Done, "", "")
				return err
			}
			// Settle follows the reading from slice to slice instead of waiting for its end.
			if err := e.SettleLater(ctx, tx, r.Workspace); err != nil {
				return err
			}
			if !out.WaitUntil.IsZero() {
				if err := e.opts.Store.DropLease(ctx, tx, lease); err != nil {
					return err
				}
				if err := e.opts.Store.WaitRun(ctx, tx, r.Workspace, r.ID, out.WaitUntil, 0, "the source asks to wait", "wait"); err != nil {
					return err
				}
				return e.dispatch(ctx, tx, lease.Connection)
			}
			// Back in line: a push that waits for the connection goes first, else this run is the first again.
			conn, err := e.opts.Store.Connection(ctx, tx, r.Workspace, r.Connection)
			if err != nil {
				return err
			}
			if conn.PauseReason != "" {
				ended, err = e.endIn(ctx, tx, lease, run.Cancelled, "the connection was paused: "+conn.PauseReason, "paused")
				return err
			}
			if err := e.opts.Store.DropLease(ctx, tx, lease); err != nil {
				return err
			}
			if err := e.opts.Store.PendRun(ctx, tx, r.Workspace, r.ID); err != nil {
				return err
			}
			return e.dispatch(ctx, tx, lease.Connection)
		})
		if err == nil && ended.State != "" {
			e.opts.Log.Debug("run over", "workspace", ws.Name, "run", r.ID, "stream", r.Subject, "state", ended.State, "read", ended.Counts.Read, "stored", ended.Counts.Stored)
			e.opts.Observer.RunEnded(ws, ended)
		}
		return err
	})
}

type pushWorker struct {
	river.WorkerDefaults[pushArgs]
	engine *Engine
}

// Timeout bounds one push; a cut one goes on from its outbox.
func (w *pushWorker) Timeout(*river.Job[pushArgs]) time.Duration { return 30 * time.Minute }

// NextRetry implements river.Worker.
func (w *pushWorker) NextRetry(*river.Job[pushArgs]) time.Time {
	return w.engine.opts.Clock.Now().Add(again)
}

func (w *pushWorker) Work(ctx context.Context, job *river.Job[pushArgs]) error {
	e := w.engine
	return e.under(ctx, job.Args.leaseArgs, func(ctx context.Context, ws workspace.Workspace, r run.Run, lease run.Lease) error {
		out, err := e.opts.Work.Push(ctx, r.Workspace, r, func(tx store.Tx) (bool, error) {
			return e.opts.Store.HoldLease(ctx, tx, lease, e.opts.Clock.Now().Add(e.opts.Lease))
		})
		switch {
		case err != nil:
			return err
		case out.Cancelled:
			return e.end(ctx, ws, lease, run.Cancelled, "cancelled by hand", "cancelled")
		case !out.WaitUntil.IsZero():
			return e.opts.Store.InTx(ctx, func(tx store.Tx) error {
				if err := e.opts.Store.DropLease(ctx, tx, lease); err != nil {
					return err
				}
				if err := e.opts.Store.WaitRun(ctx, tx, r.Workspace, r.ID, out.WaitUntil, r.Attempt, out.Cause, out.CauseKind); err != nil {
					return err
				}
				return e.dispatch(ctx, tx, lease.Connection)
			})
		default:
			return e.end(ctx, ws, lease, run.Done, out.Cause, out.CauseKind)
		}
	})
}

type settleWorker struct {
	river.WorkerDefaults[settleArgs]
	engine *Engine
}

// settleFor is how long one settle job goes on from batch to batch before others get their turn.
const settleFor = 10 * time.Second

// Timeout bounds one settle job; it ends long before, unless a batch drags everybody who shares an identifier along.
func (w *settleWorker) Timeout(*river.Job[settleArgs]) time.Duration { return 10 * time.Minute }

// NextRetry implements river.Worker.
func (w *settleWorker) NextRetry(*river.Job[settleArgs]) time.Time {
	return w.engine.opts.Clock.Now().Add(again)
}

func (w *settleWorker) Work(ctx context.Context, job *river.Job[settleArgs]) error {
	e, id := w.engine, job.Args.Workspace
	ws, configured := e.opts.Work.Workspace(id)
	if !configured {
		return e.opts.Store.InTx(ctx, func(tx store.Tx) error { return e.opts.Store.ReleaseSettle(ctx, tx, id) })
	}
	end := e.opts.Clock.Now().Add(settleFor)
	for over := false; !over; {
		taken := 0
		err := e.opts.Store.InTx(ctx, func(tx store.Tx) error {
			if err := e.opts.Store.LockWorkspace(ctx, tx, id); err != nil {
				return err
			}
			var more bool
			var err error
			taken, more, err = e.opts.Work.Settle(ctx, tx, id)
			if err != nil {
				return err
			}
			if taken > 0 {
				if err := e.opts.Store.MarkFiguresDirty(ctx, tx, id); err != nil {
					return err
				}
			}
			over = !more || !e.opts.Clock.Now().Before(end)
			switch {
			case !more:
				if err := e.opts.Store.ReleaseSettle(ctx, tx, id); err != nil {
					return err
				}
				return e.RefreshLater(ctx, tx, id)
			case over:
				return e.queue.Enqueue(ctx, tx, settleArgs{Workspace: id}, &river.InsertOpts{Queue: computeQueue, MaxAttempts: patience})
			}
			return nil
		})
		if err != nil {
			e.opts.Log.Error("settle failed; trying again", "workspace", ws.Name, "error", err)
			return err
		}
		e.opts.Observer.Settled(ws, taken)
	}
	return nil
}

type refreshWorker struct {
	river.WorkerDefaults[refreshArgs]
	engine *Engine
}

// Timeout bounds one refresh of figures and segments.
func (w *refreshWorker) Timeout(*river.Job[refreshArgs]) time.Duration { return 15 * time.Minute }

// NextRetry implements river.Worker.
func (w *refreshWorker) NextRetry(*river.Job[refreshArgs]) time.Time {
	return w.engine.opts.Clock.Now().Add(again)
}

func (w *refreshWorker) Work(ctx context.Context, job *river.Job[refreshArgs]) error {
	e, id := w.engine, job.Args.Workspace
	ws, configured := e.opts.Work.Workspace(id)
	// Begun before the work: what changes while it runs marks figures anew, and none of it is missed.
	if err := e.opts.Store.InTx(ctx, func(tx store.Tx) error { return e.opts.Store.BeginRefresh(ctx, tx, id) }); err != nil {
		return err
	}
	if configured {
		if err := e.opts.Work.Refresh(ctx, id); err != nil {
			e.opts.Log.Error("refreshing figures and segments failed; trying again", "workspace", ws.Name, "error", err)
			mark := e.opts.Store.InTx(context.WithoutCancel(ctx), func(tx store.Tx) error { return e.opts.Store.MarkFiguresDirty(ctx, tx, id) })
			return errors.Join(err, mark)
		}
	}
	return e.opts.Store.InTx(ctx, func(tx store.Tx) error {
		if err := e.opts.Store.EndRefresh(ctx, tx, id); err != nil {
			return err
		}
		return e.RefreshLater(ctx, tx, id)
	})
}
