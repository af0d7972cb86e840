package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/regulars/regulars/hub/connector"
)

const (
	// healthAfter is how long a process may have been without calls and still be used unchecked.
	healthAfter = 5 * time.Second
	// healthTimeout bounds the check.
	healthTimeout = 2 * time.Second
)

// entry is one process from the wish for it to its end. Its life is one goroutine, Pool.live.
type entry struct {
	key  Connection // with an empty ID for a process that only describes
	exe  executable
	mtls bool

	stopping context.Context // ends when the process should
	stop     context.CancelFunc
	ready    chan struct{} // closed when the start has succeeded or failed
	// Valid once ready is closed: proc, or why there is none.
	proc     *process
	err      error
	unwanted bool // it was retired before it had begun

	// The rest is guarded by Pool.mu.
	child    *child // from the moment there may be one
	queued   bool   // waits for a slot
	serving  bool
	calls    int // callers that use it or wait for it
	lastUsed time.Time
	retired  bool // gets no further calls; stops when it has none
	cause    Cause
}

// acquire returns the connection's process, started when need be and checked after a pause. The caller releases it.
func (p *Pool) acquire(ctx context.Context, c Connection) (*entry, error) {
	mtls := false
	if c.ID != "" {
		spec, err := p.Describe(ctx, c.Connector)
		if err != nil {
			return nil, err
		}
		mtls = spec.AutoMTLS
	}
	for {
		exe, problem := p.find(c.Connector)
		if problem != nil {
			return nil, problem
		}
		e, pause, problem := p.reserve(c, exe, mtls)
		if problem != nil {
			return nil, problem
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			p.release(e)
			return nil, callerGone(ctx, c, "the start of the process")
		}
		switch alive := e.alive(); {
		case e.err != nil:
			p.release(e)
			return nil, e.err
		case e.unwanted || !alive: // another try starts another
		case pause < healthAfter || e.proc.healthy(ctx, healthTimeout):
			return e, nil
		case ctx.Err() != nil:
			p.release(e)
			return nil, callerGone(ctx, c, "the health check of the process")
		}
		p.discard(e, CauseHealth)
		p.release(e)
	}
}

// alive says whether the entry's process came up and has not ended; call it once ready is closed.
func (e *entry) alive() bool {
	if e.proc == nil {
		return false
	}
	_, alive := e.proc.child.alive()
	return alive
}

// reserve counts the caller in on the connection's process, which is a new one when there is none to use, and says
// how long that was not used.
func (p *Pool) reserve(c Connection, exe executable, mtls bool) (*entry, time.Duration, *connector.Problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, 0, problemf(connector.Upstream, "hub_stopping", "the hub is stopping")
	}
	if held := p.held(c.Connector, exe); held != nil {
		return nil, 0, held.problem(c.Connector)
	}
	e := p.byKey[c]
	if e != nil && e.exe != exe {
		p.retire(e, CauseStopped) // another build was installed
		e = nil
	}
	var pause time.Duration
	switch {
	case e == nil:
		e = p.open(c, exe, mtls)
	case e.serving && e.calls == 0:
		pause = p.opts.Clock.Now().Sub(e.lastUsed)
	}
	e.calls++
	return e, pause, nil
}

// open begins an entry's life. The caller holds p.mu.
func (p *Pool) open(c Connection, exe executable, mtls bool) *entry {
	e := &entry{key: c, exe: exe, mtls: mtls, ready: make(chan struct{}), queued: true}
	e.stopping, e.stop = context.WithCancel(context.Background())
	p.byKey[c] = e
	p.entries[e] = struct{}{}
	p.wg.Go(func() { p.live(e) })
	return e
}

// release ends what acquire and reserve began.
func (p *Pool) release(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.calls--
	e.lastUsed = p.opts.Clock.Now()
	switch {
	case e.calls > 0:
	case e.retired:
		e.stop()
	case e.queued:
		p.retire(e, CauseStopped) // nobody waits for it any more
	case e.serving && p.waiting > p.leaving():
		p.retire(e, CauseStopped) // somebody else waits for its place
	}
}

// retire takes an entry out of use; it stops once it has no calls. The caller holds p.mu.
func (p *Pool) retire(e *entry, cause Cause) {
	if e.retired {
		return
	}
	e.retired, e.cause = true, cause
	if p.byKey[e.key] == e {
		delete(p.byKey, e.key)
	}
	if e.calls == 0 {
		e.stop()
	}
}

// discard retires the entry of a process that can no longer be trusted to answer.
func (p *Pool) discard(e *entry, cause Cause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retire(e, cause)
}

// leaving counts the entries that will give up their slot soon. The caller holds p.mu.
func (p *Pool) leaving() int {
	count := 0
	for e := range p.entries {
		if e.retired && e.calls == 0 && !e.queued {
			count++
		}
	}
	return count
}

// live is the life of an entry: wait for a slot, start, serve, stop.
func (p *Pool) live(e *entry) {
	if !p.enter(e) {
		e.unwanted = true
		p.leave(e)
		close(e.ready)
		return
	}
	defer p.slots.Release(1)
	proc, fault := p.launch(e)
	if fault != nil {
		exit := Exit{Cause: fault.cause}
		e.err = fault.problem(e.key.Connector)
		p.ended(e, exit, fault.message)
		close(e.ready)
		return
	}
	begun := time.Now()
	p.mu.Lock()
	e.proc, e.serving, e.lastUsed = proc, true, p.opts.Clock.Now()
	p.mu.Unlock()
	p.opts.Observer.Started(e.key)
	p.opts.Log.Debug("connector started", "connector", e.key.Connector, "connection", e.key.ID, "pid", proc.child.ID())
	close(e.ready)

	select {
	case <-proc.child.exited:
	case <-e.stopping.Done():
		p.mu.Lock()
		cause := e.cause
		p.mu.Unlock()
		proc.child.end(cause)
	}
	proc.close(p.opts.StopTimeout)
	exit := proc.child.exit()
	exit.Lived = time.Since(begun)
	p.ended(e, exit, exit.String())
}

// enter waits for a slot, and has the idle process that was used longest ago make room. It returns false when the
// entry is to stop before it has begun.
func (p *Pool) enter(e *entry) bool {
	if !p.slots.TryAcquire(1) {
		p.mu.Lock()
		p.waiting++
		if p.waiting > p.leaving() {
			p.evict()
		}
		p.mu.Unlock()
		err := p.slots.Acquire(e.stopping, 1)
		p.mu.Lock()
		p.waiting--
		p.mu.Unlock()
		if err != nil {
			return false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.retired {
		p.slots.Release(1)
		return false
	}
	e.queued = false
	return true
}

// evict retires the process that has been idle longest, if any is. The caller holds p.mu.
func (p *Pool) evict() {
	var oldest *entry
	for e := range p.entries {
		if e.serving && !e.retired && e.calls == 0 && (oldest == nil || e.lastUsed.Before(oldest.lastUsed)) {
			oldest = e
		}
	}
	if oldest != nil {
		p.retire(oldest, CauseStopped)
	}
}

// leave takes an entry out of the books.
func (p *Pool) leave(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retire(e, CauseStopped)
	delete(p.entries, e)
	e.serving = false
	e.stop()
}

// ended books the end of a process, or of an attempt to start one.
func (p *Pool) ended(e *entry, exit Exit, detail string) {
	p.mu.Lock()
	exit.Quarantined = p.note(e.key.Connector, e.exe, exit)
	p.mu.Unlock()
	p.leave(e)
	log := p.opts.Log.With("connector", e.key.Connector, "connection", e.key.ID, "cause", string(exit.Cause), "detail", detail)
	switch {
	case exit.Quarantined:
		log.Error("connector quarantined")
	case exit.Cause.expected():
		log.Debug("connector ended")
	default:
		log.Warn("connector ended")
	}
	p.opts.Observer.Exited(e.key, exit)
}

func (f *startFault) problem(name string) *connector.Problem {
	kind := connector.Bug
	if f.cause == CauseStartTimeout || f.cause == CauseStopped {
		kind = connector.Upstream
	}
	return problemf(kind, "connector_"+string(f.cause), "connector %q did not start: %s", name, f.message)
}

// callerGone is the error for a caller whose own context ended, which is nobody's fault here.
func callerGone(ctx context.Context, c Connection, during string) error {
	what := "the caller gave up"
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		what = "the caller's deadline passed"
	}
	problem := problemf(connector.Upstream, "caller_gone", "connector %q: %s during %s", c.Connector, what, during)
	return fmt.Errorf("%w (%w)", problem, ctx.Err())
}
