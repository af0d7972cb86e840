// Package job turns what is due into work: runs into slices under leases, marks into settle and refresh, schedules
// into runs. River carries the jobs; whether something is due, and who may work on it, is decided by our own tables
// and clock alone.
package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/riverqueue/river"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// Store is what the engine needs of the store.
type Store interface {
	InTx(ctx context.Context, f func(tx store.Tx) error) error
	AddRun(ctx context.Context, tx store.Tx, r run.Run) (run.Run, bool, error)
	Run(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID) (run.Run, error)
	NextRun(ctx context.Context, tx store.Tx, conn store.ConnectionID) (run.Run, bool, error)
	TakeLease(ctx context.Context, tx store.Tx, r run.Run) (run.Lease, error)
	HoldLease(ctx context.Context, tx store.Tx, lease run.Lease, until time.Time) (bool, error)
	// PendRun puts a run back in line for its connection.
	PendRun(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID) error
	DropLease(ctx context.Context, tx store.Tx, lease run.Lease) error
	Leases(ctx context.Context, tx store.Tx, lapsedAt time.Time) ([]run.Lease, error)
	MarkStalled(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID) error
	EndRun(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID, state run.State, cause, causeKind string) error
	WaitRun(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID, until time.Time, attempt int, cause, causeKind string) error
	WakeRuns(ctx context.Context, tx store.Tx, now time.Time) ([]store.ConnectionID, error)
	PendingConnections(ctx context.Context, tx store.Tx) ([]store.ConnectionID, error)
	CancelRun(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID) (run.Run, error)
	PauseConnection(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id store.ConnectionID, reason string) error
	Connection(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id store.ConnectionID) (workspace.Connection, error)
	Stream(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, name string) (workspace.Stream, error)

	// ClaimSettle marks a settle job of the workspace as queued; false when nothing is dirty or one is queued already.
	ClaimSettle(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (bool, error)
	ReleaseSettle(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error
	// ClaimRefresh marks a refresh job as queued when figures are out of date, nothing waits for settle and no read is
	// under way; false otherwise.
	ClaimRefresh(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (bool, error)
	// BeginRefresh takes figures for up to date from now on; EndRefresh ends the refresh job's claim.
	BeginRefresh(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error
	EndRefresh(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error
	MarkFiguresDirty(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error
	// ResetQueued forgets which settle and refresh jobs an earlier process had queued.
	ResetQueued(ctx context.Context, tx store.Tx) error
	// Neglected lists the workspaces with dirty records or figures and no job for them in the queue.
	Neglected(ctx context.Context, tx store.Tx) (settle, refresh []store.WorkspaceID, err error)
	// Unsettled lists workspaces with dirty records.
	Unsettled(ctx context.Context, tx store.Tx) ([]store.WorkspaceID, error)
	LockWorkspace(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error
}

// Work is what the jobs do, for one workspace at a time. Workspace says false for one that is not configured now.
type Work interface {
	Workspace(id store.WorkspaceID) (workspace.Workspace, bool)
	Workspaces() []store.WorkspaceID
	// Settle settles one batch in the transaction and returns how many records it took.
	Settle(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (taken int, more bool, err error)
	// Refresh recomputes figures and segments.
	Refresh(ctx context.Context, ws store.WorkspaceID) error
	// Push carries out an activation run and says how it went. hold is called between calls to the destination: it
	// renews the lease in the transaction it is given and reports a cancel.
	Push(ctx context.Context, ws store.WorkspaceID, r run.Run, hold func(tx store.Tx) (cancel bool, err error)) (PushOutcome, error)
	// Due turns a tick into runs: schedules and local midnights.
	Due(ctx context.Context, now time.Time) error
}

// PushOutcome is how a push ended.
type PushOutcome struct {
	WaitUntil time.Time // not zero: conditions are not met yet; try again then
	Cancelled bool
	Cause     string // not empty: it stopped and asks a person
	CauseKind string
}

// Observer is told what happens, for metrics.
type Observer interface {
	RunEnded(ws workspace.Workspace, r run.Run)
	Stalled(ws workspace.Workspace, r run.Run)
	Settled(ws workspace.Workspace, records int)
}

// Options are an engine's parts and bounds.
type Options struct {
	Store    Store
	Queue    func(ctx context.Context, workers *river.Workers) (Queue, error)
	Slicer   *ingest.Slicer
	Work     Work
	Clock    store.Clock
	Log      *slog.Logger
	Observer Observer
	// Schedules lets the engine start what is due. Off for a hub that lives for one command.
	Schedules   bool
	Lease       time.Duration // default 30 s; renewed at a third of it
	StopTimeout time.Duration // how long running jobs may finish at the end; default 20 s
	Tick        time.Duration // default 1 s
}

// Engine runs the jobs of one hub.
type Engine struct {
	opts   Options
	queue  Queue
	mu     sync.Mutex
	active map[run.ID]context.CancelFunc
	ticked atomic.Int64 // unix microseconds of the last tick
	wake   chan struct{}
}

// New prepares an engine.
func New(ctx context.Context, o Options) (*Engine, error) {
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	if o.StopTimeout == 0 {
		o.StopTimeout = 20 * time.Second
	}
	if o.Tick == 0 {
		o.Tick = time.Second
	}
	e := &Engine{opts: o, active: map[run.ID]context.CancelFunc{}, wake: make(chan struct{}, 1)}
	workers := river.NewWorkers()
	for _, err := range []error{
		river.AddWorkerSafely(workers, &readWorker{engine: e}),
		river.AddWorkerSafely(workers, &pushWorker{engine: e}),
		river.AddWorkerSafely(workers, &settleWorker{engine: e}),
		river.AddWorkerSafely(workers, &refreshWorker{engine: e}),
	} {
		if err != nil {
			return nil, fmt.Errorf("preparing workers: %w", err)
		}
	}
	queue, err := o.Queue(ctx, workers)
	if err != nil {
		return nil, err
	}
	e.queue = queue
	return e, nil
}

// Depth counts waiting and running jobs by queue.
func (e *Engine) Depth(ctx context.Context) (map[string]int64, error) { return e.queue.Depth(ctx) }

// TickAge is how long ago the scheduler last looked; zero before its first look.
func (e *Engine) TickAge() time.Duration {
	last := e.ticked.Load()
	if last == 0 {
		return 0
	}
	return e.opts.Clock.Now().Sub(time.UnixMicro(last))
}

// Run takes up what an earlier process left, then works until ctx ends. It returns when all its jobs have stopped.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.takeOver(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it began: nothing runs yet
		}
		return fmt.Errorf("taking up unfinished work: %w", err)
	}
	if err := e.queue.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("starting the job queue: %w", err)
	}
	defer e.cancelAll()
	ticker := time.NewTicker(e.opts.Tick)
	defer ticker.Stop()
	for {
		if err := e.tick(ctx); err != nil && ctx.Err() == nil {
			e.opts.Log.Error("scheduler tick failed; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.opts.StopTimeout)
			defer cancel()
			// Calls under way are interrupted: their page is read again at the next start, and nothing is lost.
			e.cancelAll()
			return e.queue.Stop(stop)
		case <-e.wake:
		case <-ticker.C:
		}
	}
}

// Wake makes the scheduler look now instead of at its next tick.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Engine) cancelAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, cancel := range e.active {
		cancel()
	}
}

// takeOver re-enqueues everything an earlier process of this store had in hand. On a store with one hub all leases
// are from the dead process, so nobody waits for them to lapse.
func (e *Engine) takeOver(ctx context.Context) error {
	return e.opts.Store.InTx(ctx, func(tx store.Tx) error {
		leases, err := e.opts.Store.Leases(ctx, tx, time.Time{})
		if err != nil {
			return err
		}
		for _, lease := range leases {
			if err := e.retake(ctx, tx, lease); err != nil {
				return err
			}
		}
		if err := e.opts.Store.ResetQueued(ctx, tx); err != nil {
			return err
		}
		unsettled, err := e.opts.Store.Unsettled(ctx, tx)
		if err != nil {
			return err
		}
		for _, ws := range unsettled {
			if err := e.SettleLater(ctx, tx, ws); err != nil {
				return err
			}
		}
		for _, ws := range e.opts.Work.Workspaces() {
			if err := e.RefreshLater(ctx, tx, ws); err != nil {
				return err
			}
		}
		return nil
	})
}

// retake gives a run a new lease and a new job.
func (e *Engine) retake(ctx context.Context, tx store.Tx, old run.Lease) error {
	r, err := e.opts.Store.Run(ctx, tx, old.Workspace, old.Run)
	if err != nil {
		return err
	}
	lease, err := e.opts.Store.TakeLease(ctx, tx, r)
	if err != nil {
		return err
	}
	return e.enqueue(ctx, tx, r, lease)
}

// patience is how often the queue starts a job again that failed for want of the store (a full disk, say). What a
// source or target is at fault for is decided by our own tables and fails no job.
const patience = 10_000

// again is when a job that failed is started again.
const again = 5 * time.Second

func (e *Engine) enqueue(ctx context.Context, tx store.Tx, r run.Run, lease run.Lease) error {
	args := leaseArgs{Workspace: lease.Workspace, Connection: lease.Connection, Run: lease.Run, Epoch: lease.Epoch}
	if r.Kind == run.Activation {
		return e.queue.Enqueue(ctx, tx, pushArgs{args}, &river.InsertOpts{Queue: writeQueue, MaxAttempts: patience})
	}
	return e.queue.Enqueue(ctx, tx, readArgs{args}, &river.InsertOpts{Queue: readQueue, MaxAttempts: patience})
}

// Request records a run and gives it its connection when that is free. A stream or activation that has an active
// run gets no second one; the active one is returned.
func (e *Engine) Request(ctx context.Context, tx store.Tx, r run.Run) (run.Run, error) {
	active, _, err := e.opts.Store.AddRun(ctx, tx, r)
	if err != nil {
		return run.Run{}, err
	}
	return active, e.dispatch(ctx, tx, r.Connection)
}

// dispatch hands a free connection to the run that waits for it.
func (e *Engine) dispatch(ctx context.Context, tx store.Tx, conn store.ConnectionID) error {
	next, found, err := e.opts.Store.NextRun(ctx, tx, conn)
	if err != nil || !found {
		return err
	}
	lease, err := e.opts.Store.TakeLease(ctx, tx, next)
	if err != nil {
		return err
	}
	return e.enqueue(ctx, tx, next, lease)
}

// Cancel asks a run to stop. One that waits ends at once; one that works is interrupted and ends as soon as it
// notices.
func (e *Engine) Cancel(ctx context.Context, ws store.WorkspaceID, id run.ID) (run.Run, error) {
	var r run.Run
	err := e.opts.Store.InTx(ctx, func(tx store.Tx) (err error) {
		r, err = e.opts.Store.CancelRun(ctx, tx, ws, id)
		return err
	})
	if err != nil {
		return r, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if cancel, ok := e.active[id]; ok {
		cancel()
	}
	return r, nil
}

// SettleLater enqueues settle for a workspace, unless it is.
func (e *Engine) SettleLater(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error {
	claimed, err := e.opts.Store.ClaimSettle(ctx, tx, ws)
	if err != nil || !claimed {
		return err
	}
	return e.queue.Enqueue(ctx, tx, settleArgs{Workspace: ws}, &river.InsertOpts{Queue: computeQueue, MaxAttempts: patience})
}

// RefreshLater enqueues a refresh of figures and segments when it is time for one.
func (e *Engine) RefreshLater(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error {
	claimed, err := e.opts.Store.ClaimRefresh(ctx, tx, ws)
	if err != nil || !claimed {
		return err
	}
	return e.queue.Enqueue(ctx, tx, refreshArgs{Workspace: ws}, &river.InsertOpts{Queue: computeQueue, MaxAttempts: patience})
}

// tick takes over lapsed leases, wakes runs whose time has come, and starts what is due.
func (e *Engine) tick(ctx context.Context) error {
	now := e.opts.Clock.Now()
	var stalled []run.Run
	err := e.opts.Store.InTx(ctx, func(tx store.Tx) error {
		lapsed, err := e.opts.Store.Leases(ctx, tx, now)
		if err != nil {
			return err
		}
		for _, lease := range lapsed {
			if err := e.opts.Store.MarkStalled(ctx, tx, lease.Workspace, lease.Run); err != nil {
				return err
			}
			r, err := e.opts.Store.Run(ctx, tx, lease.Workspace, lease.Run)
			if err != nil {
				return err
			}
			stalled = append(stalled, r)
			if err := e.retake(ctx, tx, lease); err != nil {
				return err
			}
		}
		if _, err := e.opts.Store.WakeRuns(ctx, tx, now); err != nil {
			return err
		}
		waiting, err := e.opts.Store.PendingConnections(ctx, tx)
		if err != nil {
			return err
		}
		for _, conn := range waiting {
			if err := e.dispatch(ctx, tx, conn); err != nil {
				return err
			}
		}
		// A run that waits or was cut short has left marks, and may have kept a refresh from being asked for.
		settle, refresh, err := e.opts.Store.Neglected(ctx, tx)
		if err != nil {
			return err
		}
		for _, ws := range settle {
			if err := e.SettleLater(ctx, tx, ws); err != nil {
				return err
			}
		}
		for _, ws := range refresh {
			if err := e.RefreshLater(ctx, tx, ws); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range stalled {
		ws, _ := e.opts.Work.Workspace(r.Workspace)
		e.opts.Log.Warn("run stalled; another worker takes over", "workspace", ws.Name, "run", r.ID, "subject", r.Subject)
		e.opts.Observer.Stalled(ws, r)
	}
	if e.opts.Schedules {
		if err := e.opts.Work.Due(ctx, now); err != nil {
			return err
		}
	}
	e.ticked.Store(now.UnixMicro())
	return nil
}

// maxAttempts is how often in a row a run tries after the same kind of failure before it ends as failed.
var maxAttempts = map[connector.ProblemKind]int{connector.Upstream: 8, connector.Bug: 3}

// delay is how long to wait after a number of failed tries in a row: about 2 s, growing to 10 min.
func delay(attempt int) time.Duration {
	b := backoff.NewExponentialBackOff(backoff.WithInitialInterval(2*time.Second), backoff.WithMultiplier(2), backoff.WithMaxInterval(10*time.Minute), backoff.WithMaxElapsedTime(0))
	wait := b.NextBackOff()
	for range attempt {
		wait = b.NextBackOff()
	}
	return wait
}

// failed decides what becomes of a run after an error, by its kind, in a transaction of its own.
func (e *Engine) failed(ctx context.Context, ws workspace.Workspace, r run.Run, lease run.Lease, cause error) error {
	if errors.Is(cause, store.ErrLeaseLost) {
		return nil // somebody else has it now
	}
	p := ingest.AsProblem(cause)
	now := e.opts.Clock.Now()
	var ended run.Run
	err := e.opts.Store.InTx(ctx, func(tx store.Tx) error {
		ended = run.Run{}
		current, err := e.opts.Store.Run(ctx, tx, lease.Workspace, lease.Run)
		if err != nil {
			return err
		}
		if err := e.opts.Store.DropLease(ctx, tx, lease); err != nil {
			return err
		}
		attempt := current.Attempt + 1
		wait := time.Duration(-1)
		switch p.Kind {
		case connector.RateLimited:
			// Being asked to wait is not a failure.
			attempt, wait = current.Attempt, max(p.RetryAfter, time.Second)
		case connector.Auth, connector.InvalidConfig:
			if err := e.opts.Store.PauseConnection(ctx, tx, lease.Workspace, lease.Connection, p.Error()); err != nil {
				return err
			}
		case connector.Upstream, connector.Bug:
			if attempt < maxAttempts[p.Kind] {
				wait = max(p.RetryAfter, delay(attempt))
			}
		}
		switch {
		case current.Cancel:
			err = e.opts.Store.EndRun(ctx, tx, lease.Workspace, lease.Run, run.Cancelled, "cancelled by hand", "cancelled")
		case wait >= 0:
			return errors.Join(e.opts.Store.WaitRun(ctx, tx, lease.Workspace, lease.Run, now.Add(wait), attempt, p.Error(), string(p.Kind)), e.dispatch(ctx, tx, lease.Connection))
		default:
			err = e.opts.Store.EndRun(ctx, tx, lease.Workspace, lease.Run, run.Failed, p.Error(), string(p.Kind))
		}
		if err != nil {
			return err
		}
		if ended, err = e.opts.Store.Run(ctx, tx, lease.Workspace, lease.Run); err != nil {
			return err
		}
		if err := e.afterRun(ctx, tx, ended); err != nil {
			return err
		}
		return e.dispatch(ctx, tx, lease.Connection)
	})
	if errors.Is(err, store.ErrLeaseLost) {
		return nil
	}
	if err != nil {
		return err
	}
	log := e.opts.Log.With("workspace", ws.Name, "run", r.ID, "subject", r.Subject, "kind", p.Kind)
	if ended.State == run.Failed {
		log.Error("run failed", "cause", p.Error())
		e.opts.Observer.RunEnded(ws, ended)
	} else if ended.State == "" {
		log.Info("run waits", "cause", p.Error())
	}
	return nil
}

// afterRun starts what follows from a read run that is over: settle for what it brought, or a refresh.
func (e *Engine) afterRun(ctx context.Context, tx store.Tx, r run.Run) error {
	if r.Kind != run.Read {
		return nil
	}
	if err := e.SettleLater(ctx, tx, r.Workspace); err != nil {
		return err
	}
	return e.RefreshLater(ctx, tx, r.Workspace)
}
