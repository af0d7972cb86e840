package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
	"github.com/regulars/regulars/hub/workspace"
)

var _ api.Service = (*Hub)(nil)

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (h *Hub) runViews(st *state, runs []run.Run) []api.Run {
	views := make([]api.Run, 0, len(runs))
	for _, r := range runs {
		views = append(views, h.runView(st, r))
	}
	return views
}

func (h *Hub) runView(st *state, r run.Run) api.Run {
	v := api.Run{
		ID: r.ID, Connection: h.connectionName(st.ws.ID, r.Connection), Kind: r.Kind, Subject: r.Subject, Mode: r.Mode, Trigger: r.Trigger, State: r.State,
		Cause: r.Cause, CauseKind: r.CauseKind, Stalls: r.Stalls, Counts: r.Counts, Total: r.Total,
		Created: r.Created, Started: moment(r.Started), WaitUntil: moment(r.WaitUntil), Finished: moment(r.Finished),
	}
	if r.Kind == run.Activation {
		v.Result = resultMap(r.Result)
	}
	return v
}

// Runs implements api.Syncing.
func (h *Hub) Runs(ctx context.Context, name string, limit int) ([]api.Run, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	runs, err := h.store.Runs(ctx, st.ws.ID, limit)
	return h.runViews(st, runs), err
}

// GetRun implements api.Syncing.
func (h *Hub) GetRun(ctx context.Context, name string, id run.ID) (api.Run, error) {
	st, err := h.named(name)
	if err != nil {
		return api.Run{}, err
	}
	r, err := h.store.Run(ctx, nil, st.ws.ID, id)
	if err != nil {
		return api.Run{}, fmt.Errorf("run %d: %w", id, translate(err))
	}
	return h.runView(st, r), nil
}

// CancelRun implements api.Syncing.
func (h *Hub) CancelRun(ctx context.Context, name string, id run.ID) (api.Run, error) {
	st, err := h.named(name)
	if err != nil {
		return api.Run{}, err
	}
	r, err := h.engine.Cancel(ctx, st.ws.ID, id)
	if err != nil {
		return api.Run{}, fmt.Errorf("run %d: %w", id, translate(err))
	}
	h.engine.Wake()
	return h.runView(st, r), nil
}

// Standing implements api.Syncing.
func (h *Hub) Standing(ctx context.Context, name string) (api.Standing, error) {
	st, err := h.named(name)
	if err != nil {
		return api.Standing{}, err
	}
	return h.standing(ctx, st)
}

func (h *Hub) standing(ctx context.Context, st *state) (api.Standing, error) {
	s, err := h.store.Standing(ctx, st.ws.ID)
	if err != nil {
		return api.Standing{}, err
	}
	v := api.Standing{ActiveReads: s.ActiveReads, ActivePushes: s.ActivePushes, Unsettled: s.Dirty, RefreshedAt: moment(s.Refreshed.At), Refreshed: s.Refreshed.Customers, RefreshedAll: s.Refreshed.All}
	v.Idle = s.ActiveReads == 0 && s.ActivePushes == 0 && s.Dirty == 0 && !s.SettleQueued && !s.RefreshQueued && !s.FiguresDirty
	if s.Refreshed.On != nil {
		v.RefreshedOn = s.Refreshed.On.String()
	}
	return v, nil
}

// translate turns a store's error into the API's.
func translate(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return api.ErrNotFound
	}
	return err
}

func letterView(d sqlite.DeadLetter) api.DeadLetter {
	return api.DeadLetter{
		ID: d.ID, Connection: d.Connection, Stream: d.StreamName, Key: d.Key, Place: d.Place, Rule: d.Rule, Message: d.Message,
		State: d.State, Origin: string(d.Origin), Run: d.Run, Created: d.Created, Changed: d.Changed,
	}
}

// DeadLetters implements api.DeadLetters.
func (h *Hub) DeadLetters(ctx context.Context, name, letterState string, limit int) ([]api.DeadLetter, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	letters, err := h.store.DeadLetters(ctx, st.ws.ID, letterState, limit)
	if err != nil {
		return nil, err
	}
	views := make([]api.DeadLetter, 0, len(letters))
	for _, d := range letters {
		views = append(views, letterView(d))
	}
	return views, nil
}

// DeadLetter implements api.DeadLetters.
func (h *Hub) DeadLetter(ctx context.Context, name string, id int64) (api.DeadLetter, error) {
	st, err := h.named(name)
	if err != nil {
		return api.DeadLetter{}, err
	}
	d, err := h.store.DeadLetter(ctx, nil, st.ws.ID, id)
	if err != nil {
		return api.DeadLetter{}, fmt.Errorf("dead letter %d: %w", id, translate(err))
	}
	v := letterView(d)
	v.Raw = string(d.Raw)
	return v, nil
}

// DropDeadLetter implements api.DeadLetters.
func (h *Hub) DropDeadLetter(ctx context.Context, name string, id int64) error {
	st, err := h.named(name)
	if err != nil {
		return err
	}
	err = h.store.InTx(ctx, func(tx store.Tx) error { return h.store.SetDeadLetterState(ctx, tx, st.ws.ID, id, "dropped") })
	if err != nil {
		return fmt.Errorf("dead letter %d: %w", id, translate(err))
	}
	return nil
}

// maxRetries bounds how many letters one retry takes up.
const maxRetries = 100_000

// RetryDeadLetters implements api.DeadLetters.
func (h *Hub) RetryDeadLetters(ctx context.Context, name string, ids []int64) (api.RetryReply, error) {
	st, err := h.named(name)
	if err != nil {
		return api.RetryReply{}, err
	}
	var letters []sqlite.DeadLetter
	if len(ids) == 0 {
		if letters, err = h.store.DeadLetters(ctx, st.ws.ID, "", maxRetries); err != nil {
			return api.RetryReply{}, err
		}
	}
	for _, id := range ids {
		d, err := h.store.DeadLetter(ctx, nil, st.ws.ID, id)
		if err != nil {
			return api.RetryReply{}, fmt.Errorf("dead letter %d: %w", id, translate(err))
		}
		letters = append(letters, d)
	}
	var reply api.RetryReply
	var rereads []run.Run
	err = h.store.InTx(ctx, func(tx store.Tx) error {
		reply, rereads = api.RetryReply{Rereads: []api.Run{}}, nil
		requested := map[workspace.StreamID]bool{}
		for _, d := range letters {
			if st.byName[d.Connection] == nil && len(ids) == 0 {
				continue // of a connection that is no longer configured
			}
			stream, err := h.store.Stream(ctx, tx, st.ws.ID, st.connectionID(d.Connection), d.StreamName)
			if err != nil {
				return err
			}
			if d.Origin == ingest.FromHub {
				resolved, err := h.retake(ctx, tx, stream, d)
				if err != nil {
					return err
				}
				if resolved {
					reply.Resolved++
				} else {
					reply.Open++
				}
				continue
			}
			// The connector could not make a record of it, so only the source can give it again.
			if err := h.store.SetDeadLetterState(ctx, tx, st.ws.ID, d.ID, "retrying"); err != nil {
				return err
			}
			if requested[stream.ID] {
				continue
			}
			requested[stream.ID] = true
			r, err := h.engine.Request(ctx, tx, run.Run{Workspace: st.ws.ID, Connection: stream.Connection, Kind: run.Read, Subject: stream.Name, Mode: run.Full, Trigger: "retry"})
			if err != nil {
				return err
			}
			rereads = append(rereads, r)
		}
		return h.engine.SettleLater(ctx, tx, st.ws.ID)
	})
	if err != nil {
		return api.RetryReply{}, err
	}
	h.engine.Wake()
	reply.Rereads = h.runViews(st, rereads)
	return reply, nil
}

// retake takes a record in again that the hub refused, and says whether it is stored now.
func (h *Hub) retake(ctx context.Context, tx store.Tx, stream workspace.Stream, d sqlite.DeadLetter) (bool, error) {
	data, err := ingest.Canonical(stream.Entity, d.Raw)
	if err != nil {
		return false, nil //nolint:nilerr // not a failure of the retry: the letter stays open with its reason
	}
	if d.Run == 0 {
		// Settle could not use the stored record, so settle must look at it again; it closes the letter if it can.
		return false, h.store.MarkDirty(ctx, tx, stream.Workspace, stream.ID, d.Key)
	}
	record := connector.Record{Key: d.Key, UpdatedAt: d.UpdatedAt, Data: data, Sequence: d.Sequence, Place: d.Place}
	if _, _, err := ingest.Apply(ctx, tx, h.store, stream, []connector.Record{record}); err != nil {
		return false, err
	}
	return true, h.store.SetDeadLetterState(ctx, tx, stream.Workspace, d.ID, "resolved")
}

func (st *state) connectionID(name string) store.ConnectionID {
	if c, ok := st.byName[name]; ok {
		return c.row.ID
	}
	return 0
}

// chooseOne finds "connection" or "connection.stream".
func (st *state) chooseOne(name string) (*connection, error) {
	if c, ok := st.byName[name]; ok {
		return c, nil
	}
	if connectionName, stream, found := strings.Cut(name, "."); found {
		if c, ok := st.byName[connectionName]; ok {
			i := slices.IndexFunc(c.streams, func(s workspace.Stream) bool { return s.Name == stream })
			if i < 0 {
				return nil, fmt.Errorf("stream %q of connection %s: %w", stream, connectionName, api.ErrNotFound)
			}
			narrowed := *c
			narrowed.streams = c.streams[i : i+1]
			return &narrowed, nil
		}
	}
	return nil, fmt.Errorf("connection %q: %w", name, api.ErrNotFound)
}

// Connections implements api.Operating.
func (h *Hub) Connections(ctx context.Context, name string) ([]api.Connection, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	return h.connectionViews(ctx, st)
}

func (h *Hub) connectionViews(ctx context.Context, st *state) ([]api.Connection, error) {
	rows, err := h.store.Connections(ctx, nil, st.ws.ID)
	if err != nil {
		return nil, err
	}
	streams, err := h.store.Streams(ctx, nil, st.ws.ID)
	if err != nil {
		return nil, err
	}
	letters, err := h.store.OpenDeadLetters(ctx, st.ws.ID)
	if err != nil {
		return nil, err
	}
	last, err := h.store.LastRuns(ctx, st.ws.ID)
	if err != nil {
		return nil, err
	}
	views := []api.Connection{}
	for _, row := range rows {
		c, configured := st.connections[row.ID]
		if !configured {
			continue
		}
		v := api.Connection{Name: row.Name, Connector: row.Connector, Account: row.Account, Paused: row.PauseReason, Every: c.cfg.Every.String(), Streams: []api.Stream{}}
		for _, s := range streams {
			if s.Connection != row.ID || s.Virtual {
				continue
			}
			one := api.Stream{Name: s.Name, Entity: s.Entity, Fresh: h.fresh(c, s), LastComplete: moment(s.LastComplete), DeadLetters: letters[[2]string{row.Name, s.Name}]}
			for _, r := range last {
				if r.Kind == run.Read && r.Connection == row.ID && r.Subject == s.Name {
					lastRun := h.runView(st, r)
					one.LastRun = &lastRun
				}
			}
			v.Streams = append(v.Streams, one)
		}
		views = append(views, v)
	}
	return views, nil
}

// fresh says whether a stream's last complete success is recent enough to act on.
func (h *Hub) fresh(c *connection, s workspace.Stream) bool {
	return !s.LastComplete.IsZero() && h.clock.Now().Sub(s.LastComplete) <= workspace.FreshFor(c.cfg.Every)
}

// CheckConnection implements api.Operating.
func (h *Hub) CheckConnection(ctx context.Context, name, conn string) (api.CheckReply, error) {
	st, err := h.named(name)
	if err != nil {
		return api.CheckReply{}, err
	}
	c, ok := st.byName[conn]
	if !ok {
		return api.CheckReply{}, fmt.Errorf("connection %q: %w", conn, api.ErrNotFound)
	}
	reply := api.CheckReply{Problems: []string{}}
	if !c.usable() {
		reply.Problems = append(reply.Problems, c.problem.Error())
		return reply, nil
	}
	result, err := h.pool.Check(ctx, c.process(st), c.call(st))
	if err != nil {
		result.Problems = append(result.Problems, asProblem(err))
	}
	for _, p := range result.Problems {
		if p.Field != "" {
			reply.Problems = append(reply.Problems, c.cfg.Problem(p.Field, p.Message, "").String())
		} else {
			reply.Problems = append(reply.Problems, p.Error())
		}
	}
	reply.OK = len(reply.Problems) == 0
	reply.AccountID, reply.AccountName = result.AccountID, result.AccountName
	if result.ClockSkew != 0 {
		reply.ClockSkew = result.ClockSkew.String()
	}
	return reply, nil
}

// PauseConnection implements api.Operating.
func (h *Hub) PauseConnection(ctx context.Context, name, conn string, pause bool) (api.Connection, error) {
	st, err := h.named(name)
	if err != nil {
		return api.Connection{}, err
	}
	c, ok := st.byName[conn]
	if !ok {
		return api.Connection{}, fmt.Errorf("connection %q: %w", conn, api.ErrNotFound)
	}
	reason := ""
	switch {
	case pause:
		reason = pausedByHand + "; go on with `regulars connection resume " + conn + "`"
	case c.problem != nil:
		return api.Connection{}, fmt.Errorf("%w: %s", api.ErrRefused, c.problem.Error())
	case c.cfg.Paused:
		return api.Connection{}, fmt.Errorf("%w: connection %s is paused in the configuration; remove `paused: true` there", api.ErrRefused, conn)
	}
	if err := h.store.InTx(ctx, func(tx store.Tx) error { return h.store.PauseConnection(ctx, tx, st.ws.ID, c.row.ID, reason) }); err != nil {
		return api.Connection{}, err
	}
	h.engine.Wake()
	views, err := h.connectionViews(ctx, st)
	if err != nil {
		return api.Connection{}, err
	}
	for _, v := range views {
		if v.Name == conn {
			return v, nil
		}
	}
	return api.Connection{}, fmt.Errorf("connection %q: %w", conn, api.ErrNotFound)
}

// Connectors implements api.Operating.
func (h *Hub) Connectors(ctx context.Context) ([]api.Connector, error) {
	names, err := h.pool.List()
	if err != nil {
		return nil, err
	}
	all := []api.Connector{}
	for _, name := range names {
		one := api.Connector{Name: name}
		spec, err := h.pool.Describe(ctx, name)
		if err != nil {
			one.Problem = err.Error()
		}
		one.Version, one.Title = spec.Version, spec.Title
		if q, yes := h.pool.Quarantined(name); yes {
			one.Quarantined = fmt.Sprintf("since %s: %s; release it with `regulars connector release %s`, or install another build", q.Since.UTC().Format("2006-01-02 15:04"), q.Last, name)
		}
		all = append(all, one)
	}
	return all, nil
}

// Connector implements api.Operating.
func (h *Hub) Connector(ctx context.Context, name string) (connector.Spec, error) {
	names, err := h.pool.List()
	if err != nil {
		return connector.Spec{}, err
	}
	if !slices.Contains(names, name) {
		return connector.Spec{}, fmt.Errorf("connector %q: %w; installed are: %s", name, api.ErrNotFound, strings.Join(names, ", "))
	}
	return h.pool.Describe(ctx, name)
}

// ReleaseConnector implements api.Operating.
func (h *Hub) ReleaseConnector(_ context.Context, name string) error {
	if !h.pool.Release(name) {
		return fmt.Errorf("%w: connector %s is not in quarantine", api.ErrRefused, name)
	}
	return nil
}

// Ready implements api.Operating.
func (h *Hub) Ready(ctx context.Context) error {
	h.mu.RLock()
	running := h.running
	h.mu.RUnlock()
	if !running {
		return fmt.Errorf("%w: the hub is starting or stopping", api.ErrRefused)
	}
	_, err := h.store.Workspaces(ctx)
	return err
}

// Export implements api.Customers.
func (h *Hub) Export(ctx context.Context, name string, to io.Writer) error {
	st, err := h.named(name)
	if err != nil {
		return err
	}
	return h.store.ExportCanonical(ctx, st.ws.ID, to)
}

// Status implements api.Operating.
func (h *Hub) Status(ctx context.Context) (api.Status, error) {
	h.mu.RLock()
	status := api.Status{Version: h.opts.Version, Problems: slices.Clone(h.problems), Workspaces: []api.WorkspaceStatus{}}
	h.mu.RUnlock()
	if status.Problems == nil {
		status.Problems = []string{}
	}
	for _, st := range h.all() {
		v := api.WorkspaceStatus{Name: st.ws.Name}
		var err error
		if v.Standing, err = h.standing(ctx, st); err != nil {
			return status, err
		}
		if v.Connections, err = h.connectionViews(ctx, st); err != nil {
			return status, err
		}
		if v.Customers, err = h.store.CountCustomers(ctx, st.ws.ID); err != nil {
			return status, err
		}
		v.Health = health(v)
		for _, c := range v.Connections {
			for _, s := range c.Streams {
				v.DeadLetters += s.DeadLetters
			}
		}
		status.Workspaces = append(status.Workspaces, v)
	}
	slices.SortStableFunc(status.Workspaces, func(a, b api.WorkspaceStatus) int {
		return slices.Index(worstFirst, a.Health) - slices.Index(worstFirst, b.Health)
	})
	return status, nil
}

var worstFirst = []string{"failing", "paused", "behind", "ok"}

func health(v api.WorkspaceStatus) string {
	result := "ok"
	worse := func(h string) {
		if slices.Index(worstFirst, h) < slices.Index(worstFirst, result) {
			result = h
		}
	}
	for _, c := range v.Connections {
		if c.Paused != "" {
			worse("paused")
		}
		for _, s := range c.Streams {
			if s.LastRun != nil && s.LastRun.State == run.Failed {
				worse("failing")
			}
			if !s.Fresh {
				worse("behind")
			}
		}
	}
	return result
}

// Samples implements api.Operating.
func (h *Hub) Samples(ctx context.Context) (api.Samples, error) {
	samples := api.Samples{TickAge: h.engine.TickAge(), StoreBytes: h.store.Size()}
	var err error
	if samples.QueueDepth, err = h.engine.Depth(ctx); err != nil {
		return samples, err
	}
	for _, st := range h.all() {
		one := api.WorkspaceSample{Name: st.ws.Name, ActiveRuns: map[run.State]int64{}, SegmentSizes: map[string]int{}, Paused: map[string]bool{}, Held: map[string]bool{}}
		records, oldest, err := h.store.Lag(ctx, nil, st.ws.ID)
		if err != nil {
			return samples, err
		}
		one.Unsettled = records
		if records > 0 {
			one.SettleLag = h.clock.Now().Sub(oldest)
		}
		active, err := h.store.ActiveRuns(ctx, nil, st.ws.ID)
		if err != nil {
			return samples, err
		}
		for _, r := range active {
			one.ActiveRuns[r.State]++
		}
		connections, err := h.connectionViews(ctx, st)
		if err != nil {
			return samples, err
		}
		for _, c := range connections {
			one.Paused[c.Name] = c.Paused != ""
			for _, s := range c.Streams {
				sample := api.StreamSample{Connection: c.Name, Stream: s.Name, Fresh: s.Fresh, DeadLetters: s.DeadLetters}
				if s.LastComplete != nil {
					sample.LastComplete = *s.LastComplete
				}
				one.Streams = append(one.Streams, sample)
			}
		}
		states, err := h.store.SegmentStates(ctx, nil, st.ws.ID)
		if err != nil {
			return samples, err
		}
		for id, s := range states {
			one.SegmentSizes[id] = s.Size
		}
		if one.KPIs, err = h.store.HeadlineFigures(ctx, st.ws.ID); err != nil {
			return samples, err
		}
		if err := h.sampleActivations(ctx, st, one.Held); err != nil {
			return samples, err
		}
		samples.Workspaces = append(samples.Workspaces, one)
	}
	return samples, nil
}
