// Package hub assembles a hub: it opens the store, prepares the connectors, brings the store in line with the
// configuration, and runs the jobs until it is told to stop.
package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/activation"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/job"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/runner"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
	"github.com/regulars/regulars/hub/workspace"
)

// Options are what a hub is opened with.
type Options struct {
	Config *config.Hub
	// Problems are what was wrong when the configuration was loaded; they are shown beside what the hub finds itself.
	Problems config.Problems
	Version  string
	Clock    store.Clock // default the system's
	Log      *slog.Logger
	Metrics  *api.Metrics
	// Schedules lets the hub start what is due. Off for a hub that lives for one command.
	Schedules bool
}

// Hub is one hub on one store.
type Hub struct {
	opts   Options
	clock  store.Clock
	log    *slog.Logger
	store  *sqlite.Store
	pool   *runner.Pool
	engine *job.Engine
	pushes *activation.Engine

	mu       sync.RWMutex
	states   map[store.WorkspaceID]*state
	problems []string
	running  bool
}

// sliceLength is how long one slice of a sync reads before others get their turn (design: jobs are short).
const sliceLength = 10 * time.Second

// leaseLength is how long a silent worker keeps a connection.
const leaseLength = 30 * time.Second

// Open opens the store and applies the configuration. Faults of single connections, segments and activations do not
// keep it from opening: they are in Status. A store in use by another process is sqlite.ErrInUse.
func Open(ctx context.Context, o Options) (_ *Hub, err error) {
	if o.Clock == nil {
		o.Clock = store.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = api.NewMetrics(o.Version)
	}
	if o.Config.StorePath == "" {
		return nil, errors.New("store: a postgres:// address is configured, and this version keeps its data in SQLite only; give the path of a file")
	}
	h := &Hub{opts: o, clock: o.Clock, log: o.Log, states: map[store.WorkspaceID]*state{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.store, err = sqlite.Open(ctx, o.Config.StorePath, o.Clock); err != nil {
		return nil, err
	}
	h.pool, err = runner.New(runner.Options{
		Folder: o.Config.Connectors.Folder, Sockets: filepath.Join(filepath.Dir(o.Config.StorePath), "sockets"),
		Clock: o.Clock, Log: o.Log, MaxAlive: o.Config.Connectors.MaxAlive, Idle: o.Config.Connectors.Idle,
		MemoryLimit: int64(o.Config.Connectors.MemoryMB) << 20, Checksums: o.Config.Connectors.Checksums, Observer: processObserver{o.Metrics},
	})
	if err != nil {
		return nil, err
	}
	h.pushes = h.newPushes()
	limits := o.Config.Limits
	h.engine, err = job.New(ctx, job.Options{
		Store: h.store, Clock: o.Clock, Log: o.Log, Work: h, Observer: o.Metrics, Schedules: o.Schedules, Lease: leaseLength, StopTimeout: limits.Stop,
		Slicer: &ingest.Slicer{
			Store: h.store, Source: remote{h}, Observer: observer{h}, Clock: o.Clock, Log: o.Log, Length: sliceLength, Lease: leaseLength,
			Yield: func(ctx context.Context, conn store.ConnectionID) bool {
				waits, err := h.store.WaitingPush(ctx, conn)
				return err == nil && waits
			},
		},
		Queue: func(ctx context.Context, workers *river.Workers) (job.Queue, error) {
			return job.OpenSQLiteQueue(ctx, h.store, workers, job.Workers{Read: limits.ReadWorkers, Write: limits.WriteWorkers, Compute: limits.ComputeWorkers}, o.Log)
		},
	})
	if err != nil {
		return nil, err
	}
	return h, h.applyAll(ctx)
}

// CheckConfig asks the connectors what they say to a configuration, compiles its segments and looks at what refers to
// what, without a store and without reaching any outside system. The folder of connectors must be set.
func CheckConfig(ctx context.Context, cfg *config.Hub, log *slog.Logger) (problems config.Problems, err error) {
	pool, err := runner.New(runner.Options{Folder: cfg.Connectors.Folder, Log: log, Checksums: cfg.Connectors.Checksums})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	h := &Hub{pool: pool, log: log}
	for _, ws := range cfg.Workspaces {
		prepared, found := h.prepare(ctx, ws)
		problems = append(problems, found...)
		_, set, found := segments(ws)
		problems = append(problems, found...)
		_, found = identityPatterns(ws)
		problems = append(problems, found...)
		problems = append(problems, ordersProblems(ws, prepared)...)
		problems = append(problems, ratesProblems(ws, prepared)...)
		st := &state{cfg: ws, set: set, byName: map[string]*connection{}}
		for _, c := range prepared {
			st.byName[c.cfg.Name] = c
		}
		for _, a := range ws.Activations {
			if _, err := st.define(a); err != nil && st.byName[a.To] != nil && st.byName[a.To].usable() {
				problems = append(problems, ws.Problem("activations."+a.ID, err.Error(), ""))
			}
		}
	}
	return problems, nil
}

// applyAll brings every workspace of the configuration into the store.
func (h *Hub) applyAll(ctx context.Context) error {
	states := map[store.WorkspaceID]*state{}
	var problems []string
	for _, p := range h.opts.Problems {
		problems = append(problems, p.String())
	}
	var names []string
	for _, cfg := range h.opts.Config.Workspaces {
		st, found, err := h.apply(ctx, cfg)
		for _, p := range found {
			problems = append(problems, p.String())
			h.log.Warn("configuration problem", "workspace", cfg.Name, "problem", p.String())
		}
		if err != nil {
			return err
		}
		states[st.ws.ID] = st
		names = append(names, cfg.Name)
	}
	if err := h.store.InTx(ctx, func(tx store.Tx) error { return h.store.RetireWorkspaces(ctx, tx, names) }); err != nil {
		return err
	}
	if err := h.store.Refresh(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states, h.problems = states, problems
	return nil
}

// Run works until ctx ends, then lets what is under way finish for a bounded time.
func (h *Hub) Run(ctx context.Context) error {
	h.setRunning(true)
	defer h.setRunning(false)
	// The connectors outlive the jobs: a job that finishes its page still needs its process.
	processes, stopProcesses := context.WithCancel(context.WithoutCancel(ctx))
	var g errgroup.Group
	g.Go(func() error { return h.pool.Run(processes) })
	g.Go(func() error {
		defer stopProcesses()
		return h.engine.Run(ctx)
	})
	return g.Wait()
}

func (h *Hub) setRunning(running bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = running
}

// Close lets go of the store and ends the connectors' processes. Run must have returned.
func (h *Hub) Close() error {
	var errs []error
	if h.pool != nil {
		errs = append(errs, h.pool.Close())
	}
	if h.store != nil {
		errs = append(errs, h.store.Close())
	}
	return errors.Join(errs...)
}

func (h *Hub) state(id store.WorkspaceID) (*state, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	st, ok := h.states[id]
	return st, ok
}

// all returns the workspaces by name.
func (h *Hub) all() []*state {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return slices.SortedFunc(maps.Values(h.states), func(a, b *state) int {
		if a.ws.Name < b.ws.Name {
			return -1
		}
		return 1
	})
}

// named finds a workspace by name; an empty name means the only one there is.
func (h *Hub) named(name string) (*state, error) {
	all := h.all()
	if name == "" {
		switch len(all) {
		case 0:
			return nil, fmt.Errorf("%w: the configuration has no workspace in order; see `regulars config check`", api.ErrRefused)
		case 1:
			return all[0], nil
		default:
			return nil, fmt.Errorf("%w: there are %d workspaces; name one with --workspace", api.ErrRefused, len(all))
		}
	}
	for _, st := range all {
		if st.ws.Name == name {
			return st, nil
		}
	}
	return nil, fmt.Errorf("workspace %q: %w", name, api.ErrNotFound)
}

// Workspace implements job.Work.
func (h *Hub) Workspace(id store.WorkspaceID) (workspace.Workspace, bool) {
	st, ok := h.state(id)
	if !ok {
		return workspace.Workspace{}, false
	}
	return st.ws, true
}

// Workspaces implements job.Work.
func (h *Hub) Workspaces() []store.WorkspaceID {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return slices.Sorted(maps.Keys(h.states))
}

// Settle implements job.Work.
func (h *Hub) Settle(ctx context.Context, tx store.Tx, id store.WorkspaceID) (int, bool, error) {
	st, ok := h.state(id)
	if !ok {
		return 0, false, nil
	}
	taken, err := (&settle.Settler{Store: h.store, Workspace: st.ws, Rules: st.rules}).Batch(ctx, tx)
	return taken, taken == settle.BatchSize, err
}

// processObserver tells metrics of connector processes.
type processObserver struct{ metrics *api.Metrics }

// Started implements runner.Observer.
func (o processObserver) Started(c runner.Connection) {
	all := runner.Causes()
	causes := make([]string, 0, len(all))
	for _, cause := range all {
		causes = append(causes, string(cause))
	}
	o.metrics.ConnectorStarted(c.Connector, causes)
}

// Exited implements runner.Observer.
func (o processObserver) Exited(c runner.Connection, exit runner.Exit) {
	o.metrics.ConnectorExited(c.Connector, string(exit.Cause))
}

// observer gives metrics the names behind numbers.
type observer struct{ hub *Hub }

// PageRead implements ingest.Observer.
func (o observer) PageRead(ws workspace.Workspace, conn store.ConnectionID, stream string, took time.Duration, counts run.Counts) {
	o.hub.opts.Metrics.PageRead(ws.Name, o.hub.connectionName(ws.ID, conn), stream, took, counts)
}

func (h *Hub) connectionName(ws store.WorkspaceID, conn store.ConnectionID) string {
	if st, ok := h.state(ws); ok {
		if c, ok := st.connections[conn]; ok {
			return c.row.Name
		}
	}
	return ""
}

// asOf is the business day figures, segments and activations are made for: pinned, or today in the workspace's zone.
func (h *Hub) asOf(st *state) entity.Date {
	if st.cfg.BusinessDate != nil {
		return *st.cfg.BusinessDate
	}
	return entity.DateIn(h.clock.Now(), st.ws.Zone)
}
