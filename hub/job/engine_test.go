package job_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/job"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
	"github.com/regulars/regulars/hub/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is set by the test while workers read it.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// source answers reads with what the test puts into answers; with nothing there a read hangs until its context ends.
type source struct {
	calls   atomic.Int64
	answers chan func() (connector.Page, error)
}

func (s *source) ReadPage(ctx context.Context, _ workspace.Workspace, _ store.ConnectionID, _ connector.ReadRequest) (connector.Page, error) {
	s.calls.Add(1)
	select {
	case answer := <-s.answers:
		return answer()
	case <-ctx.Done():
		return connector.Page{}, ctx.Err()
	}
}

// work is the least a hub does.
type work struct {
	ws        workspace.Workspace
	refreshed atomic.Int64
}

func (w *work) Workspace(id store.WorkspaceID) (workspace.Workspace, bool) {
	return w.ws, id == w.ws.ID
}
func (w *work) Workspaces() []store.WorkspaceID { return []store.WorkspaceID{w.ws.ID} }
func (w *work) Settle(context.Context, store.Tx, store.WorkspaceID) (int, bool, error) {
	return 0, false, nil
}

func (w *work) Refresh(context.Context, store.WorkspaceID) error {
	w.refreshed.Add(1)
	return nil
}

func (w *work) Push(context.Context, store.WorkspaceID, run.Run, func(store.Tx) (bool, error)) (job.PushOutcome, error) {
	return job.PushOutcome{}, nil
}
func (w *work) Due(context.Context, time.Time) error { return nil }

type observer struct {
	stalled atomic.Int64
	ended   chan run.Run
}

func (o *observer) PageRead(workspace.Workspace, store.ConnectionID, string, time.Duration, run.Counts) {
}
func (o *observer) RunEnded(_ workspace.Workspace, r run.Run) { o.ended <- r }
func (o *observer) Stalled(workspace.Workspace, run.Run)      { o.stalled.Add(1) }
func (o *observer) Settled(workspace.Workspace, int)          {}

// bench is an engine on a real store.
type bench struct {
	store  *sqlite.Store
	engine *job.Engine
	clock  *clock
	source *source
	seen   *observer
	conn   workspace.Connection
	ws     workspace.Workspace
	stop   func()
}

func start(t *testing.T, path string) *bench {
	t.Helper()
	b := &bench{
		clock:  &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		source: &source{answers: make(chan func() (connector.Page, error), 10)},
		seen:   &observer{ended: make(chan run.Run, 10)},
	}
	var err error
	b.store, err = sqlite.Open(t.Context(), path, b.clock)
	require.NoError(t, err)
	require.NoError(t, b.store.InTx(t.Context(), func(tx store.Tx) (err error) {
		if b.ws, _, err = b.store.EnsureWorkspace(t.Context(), tx, "shop", time.UTC, "RUB"); err != nil {
			return err
		}
		if b.conn, err = b.store.EnsureConnection(t.Context(), tx, b.ws.ID, "crm", "", "crm"); err != nil {
			return err
		}
		_, err = b.store.EnsureStream(t.Context(), tx, b.ws.ID, b.conn.ID, "contacts", entity.KindContact, false)
		return err
	}))
	log := slog.New(slog.DiscardHandler)
	b.engine, err = job.New(t.Context(), job.Options{
		Store: b.store, Work: &work{ws: b.ws}, Clock: b.clock, Log: log, Observer: b.seen, StopTimeout: 5 * time.Second, Tick: 20 * time.Millisecond,
		Slicer: &ingest.Slicer{Store: b.store, Source: b.source, Observer: b.seen, Clock: b.clock, Log: log, Length: 10 * time.Second, Lease: 30 * time.Second},
		Queue: func(ctx context.Context, workers *river.Workers) (job.Queue, error) {
			return job.OpenSQLiteQueue(ctx, b.store, workers, job.Workers{Read: 4, Write: 2, Compute: 2}, log)
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.engine.Run(ctx) }()
	stopped := false
	b.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, b.store.Close())
	}
	t.Cleanup(b.stop)
	return b
}

func (b *bench) request(t *testing.T) run.Run {
	t.Helper()
	var r run.Run
	require.NoError(t, b.store.InTx(t.Context(), func(tx store.Tx) (err error) {
		r, err = b.engine.Request(t.Context(), tx, run.Run{Workspace: b.ws.ID, Connection: b.conn.ID, Kind: run.Read, Subject: "contacts", Mode: run.Incremental, Trigger: "hand"})
		return err
	}))
	return r
}

func (b *bench) calls(t *testing.T, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return b.source.calls.Load() >= n }, 10*time.Second, 5*time.Millisecond)
}

func (b *bench) run(t *testing.T, id run.ID) run.Run {
	t.Helper()
	r, err := b.store.Run(t.Context(), nil, b.ws.ID, id)
	require.NoError(t, err)
	return r
}

func (b *bench) ended(t *testing.T) run.Run {
	t.Helper()
	select {
	case r := <-b.seen.ended:
		return r
	case <-time.After(10 * time.Second):
		t.Fatal("no run ended")
		return run.Run{}
	}
}

func page(keys ...string) func() (connector.Page, error) {
	return func() (connector.Page, error) {
		p := connector.Page{Next: connector.Cursor("end")}
		for _, key := range keys {
			data, err := json.Marshal(entity.Contact{Name: entity.Name{Full: key}})
			if err != nil {
				return p, err
			}
			p.Records = append(p.Records, connector.Record{Key: key, Data: data})
		}
		return p, nil
	}
}

func problem(p *connector.Problem) func() (connector.Page, error) {
	return func() (connector.Page, error) { return connector.Page{}, p }
}

func file(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "regulars.db")
}

func TestARunEndsWithItsLastPage(t *testing.T) {
	b := start(t, file(t))
	b.source.answers <- page("1", "2")
	b.request(t)
	r := b.ended(t)
	assert.Equal(t, run.Done, r.State)
	assert.Equal(t, run.Counts{Read: 2, Stored: 2}, r.Counts)
}

func TestAStalledRunIsTakenOver(t *testing.T) {
	b := start(t, file(t))
	r := b.request(t)
	b.calls(t, 1)
	b.clock.advance(31 * time.Second) // the worker hangs in its call and renews nothing
	b.calls(t, 2)
	b.source.answers <- page("1")
	b.source.answers <- page("1") // the first worker may take one; it has lost the lease and stores nothing
	ended := b.ended(t)
	assert.Equal(t, r.ID, ended.ID)
	assert.Equal(t, run.Done, ended.State)
	assert.Equal(t, 1, ended.Stalls)
	assert.EqualValues(t, 1, b.seen.stalled.Load())
	assert.EqualValues(t, 1, ended.Counts.Read, "what the first worker read is not counted twice")
}

func TestARunningRunCanBeCancelled(t *testing.T) {
	b := start(t, file(t))
	r := b.request(t)
	b.calls(t, 1)
	_, err := b.engine.Cancel(t.Context(), b.ws.ID, r.ID)
	require.NoError(t, err)
	ended := b.ended(t)
	assert.Equal(t, run.Cancelled, ended.State)
	b.source.answers <- page("1")
	assert.NotEqual(t, r.ID, b.request(t).ID, "the stream is free for another run")
	assert.Equal(t, run.Done, b.ended(t).State)
}

func TestBeingAskedToWaitIsNoFailure(t *testing.T) {
	b := start(t, file(t))
	b.source.answers <- problem(&connector.Problem{Kind: connector.RateLimited, RetryAfter: time.Minute, Message: "429"})
	r := b.request(t)
	require.Eventually(t, func() bool { return b.run(t, r.ID).State == run.Waiting }, 10*time.Second, 5*time.Millisecond)
	assert.Equal(t, 0, b.run(t, r.ID).Attempt)
	b.source.answers <- page("1")
	b.clock.advance(time.Minute)
	assert.Equal(t, run.Done, b.ended(t).State)
}

func TestAnUpstreamFaultIsTriedAgainAndThenFails(t *testing.T) {
	b := start(t, file(t))
	r := b.request(t)
	for attempt := 1; attempt < 8; attempt++ {
		b.source.answers <- problem(&connector.Problem{Kind: connector.Upstream, Message: "502"})
		require.Eventually(t, func() bool { return b.run(t, r.ID).Attempt == attempt }, 10*time.Second, 5*time.Millisecond)
		b.clock.advance(time.Hour)
	}
	b.source.answers <- problem(&connector.Problem{Kind: connector.Upstream, Message: "502"})
	ended := b.ended(t)
	assert.Equal(t, run.Failed, ended.State)
	assert.Equal(t, "502", ended.Cause)
}

func TestLostCredentialsPauseTheConnection(t *testing.T) {
	b := start(t, file(t))
	b.source.answers <- problem(&connector.Problem{Kind: connector.Auth, Message: "the token was revoked; authorize again"})
	b.request(t)
	assert.Equal(t, run.Failed, b.ended(t).State)
	conn, err := b.store.Connection(t.Context(), nil, b.ws.ID, b.conn.ID)
	require.NoError(t, err)
	assert.Contains(t, conn.PauseReason, "authorize again")
}

func TestAStoppedHubGoesOnWhereItWas(t *testing.T) {
	path := file(t)
	first := start(t, path)
	r := first.request(t)
	first.calls(t, 1)
	first.stop()
	second := start(t, path)
	second.source.answers <- page("1")
	ended := second.ended(t)
	assert.Equal(t, r.ID, ended.ID)
	assert.Equal(t, run.Done, ended.State)
}
