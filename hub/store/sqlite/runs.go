package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
)

const runColumns = `SELECT id, workspace, connection, kind, subject, mode, trigger, state, cause, cause_kind, cancel, attempt, stalls, pages, total,
	read, stored, unchanged, deleted, absent, rejected, ignored, result, created_at, started_at, heartbeat_at, wait_until, finished_at FROM run`

func scanRun(r row) (run.Run, error) {
	var v run.Run
	var created, started, heartbeat, wait, finished int64
	err := r.Scan(&v.ID, &v.Workspace, &v.Connection, &v.Kind, &v.Subject, &v.Mode, &v.Trigger, &v.State, &v.Cause, &v.CauseKind, &v.Cancel, &v.Attempt, &v.Stalls, &v.Pages, &v.Total,
		&v.Counts.Read, &v.Counts.Stored, &v.Counts.Unchanged, &v.Counts.Deleted, &v.Counts.Absent, &v.Counts.Rejected, &v.Counts.Ignored, &v.Result,
		&created, &started, &heartbeat, &wait, &finished)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	v.Created, v.Started, v.Heartbeat, v.WaitUntil, v.Finished = fromMicros(created), fromMicros(started), fromMicros(heartbeat), fromMicros(wait), fromMicros(finished)
	return v, err
}

// AddRun records a run that waits for its connection. When one for the same stream or activation is active, that
// one is returned instead and added is false.
func (s *Store) AddRun(ctx context.Context, tx store.Tx, r run.Run) (_ run.Run, added bool, err error) {
	n, err := affected(ctx, tx, `INSERT INTO run (workspace, connection, kind, subject, mode, trigger, state, created_at) VALUES (?, ?, ?, ?, ?, ?, 'pending', ?) ON CONFLICT DO NOTHING`,
		r.Workspace, r.Connection, r.Kind, r.Subject, r.Mode, r.Trigger, micros(s.clock.Now()))
	if err != nil {
		return run.Run{}, false, err
	}
	if n == 0 && r.Mode == run.Full {
		// One that has not begun reads everything instead.
		if _, err := exec(ctx, tx, `UPDATE run SET mode = 'full' WHERE workspace = ? AND connection = ? AND kind = ? AND subject = ? AND state IN ('pending', 'waiting') AND pages = 0`,
			r.Workspace, r.Connection, r.Kind, r.Subject); err != nil {
			return run.Run{}, false, err
		}
	}
	active, err := scanRun(s.on(tx).QueryRowContext(ctx, runColumns+` WHERE workspace = ? AND connection = ? AND kind = ? AND subject = ? AND state IN ('pending', 'queued', 'running', 'waiting')`,
		r.Workspace, r.Connection, r.Kind, r.Subject))
	return active, n > 0, err
}

// Run returns a run of a workspace; store.ErrNotFound when there is none.
func (s *Store) Run(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID) (run.Run, error) {
	return scanRun(s.on(tx).QueryRowContext(ctx, runColumns+` WHERE workspace = ? AND id = ?`, ws, id))
}

// Runs lists a workspace's runs, newest first, at most limit.
func (s *Store) Runs(ctx context.Context, ws store.WorkspaceID, limit int) ([]run.Run, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (run.Run, error) { return scanRun(rows) }, runColumns+` WHERE workspace = ? ORDER BY id DESC LIMIT ?`, ws, limit)
}

// ActiveRuns lists the runs of a workspace that are not over.
func (s *Store) ActiveRuns(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([]run.Run, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (run.Run, error) { return scanRun(rows) },
		runColumns+` WHERE workspace = ? AND state IN ('pending', 'queued', 'running', 'waiting') ORDER BY id`, ws)
}

// LastRuns returns for each connection, kind and subject its newest run that is over.
func (s *Store) LastRuns(ctx context.Context, ws store.WorkspaceID) ([]run.Run, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (run.Run, error) { return scanRun(rows) },
		runColumns+` WHERE id IN (SELECT max(id) FROM run WHERE workspace = ? AND state IN ('done', 'failed', 'cancelled') GROUP BY connection, kind, subject)`, ws)
}

// NextRun returns the run that may use a free connection next: pushes before reads, older before newer, none of a
// paused connection. found is false when the connection is held or nothing waits.
func (s *Store) NextRun(ctx context.Context, tx store.Tx, conn store.ConnectionID) (next run.Run, found bool, err error) {
	next, err = scanRun(s.on(tx).QueryRowContext(ctx, runColumns+` WHERE connection = ?1 AND state = 'pending'
		AND NOT EXISTS (SELECT 1 FROM lease WHERE connection = ?1)
		AND EXISTS (SELECT 1 FROM connection WHERE id = ?1 AND pause_reason = '')
		ORDER BY kind = 'read', id LIMIT 1`, conn))
	if errors.Is(err, store.ErrNotFound) {
		return run.Run{}, false, nil
	}
	return next, err == nil, err
}

// TakeLease gives a run its connection under a new epoch and marks it queued. The lease does not lapse until a worker
// starts it.
func (s *Store) TakeLease(ctx context.Context, tx store.Tx, r run.Run) (run.Lease, error) {
	lease := run.Lease{Workspace: r.Workspace, Connection: r.Connection, Run: r.ID}
	err := s.on(tx).QueryRowContext(ctx, `INSERT INTO lease_epoch (connection, epoch) VALUES (?, 1) ON CONFLICT (connection) DO UPDATE SET epoch = epoch + 1 RETURNING epoch`, r.Connection).Scan(&lease.Epoch)
	if err != nil {
		return lease, err
	}
	if _, err := exec(ctx, tx, `INSERT INTO lease (connection, workspace, run, epoch, until) VALUES (?, ?, ?, ?, 0)
		ON CONFLICT (connection) DO UPDATE SET workspace = excluded.workspace, run = excluded.run, epoch = excluded.epoch, until = 0`, r.Connection, r.Workspace, r.ID, lease.Epoch); err != nil {
		return lease, err
	}
	_, err = exec(ctx, tx, `UPDATE run SET state = 'queued' WHERE id = ? AND workspace = ?`, r.ID, r.Workspace)
	return lease, err
}

// HoldLease implements ingest.Store.
func (s *Store) HoldLease(ctx context.Context, tx store.Tx, lease run.Lease, until time.Time) (cancel bool, err error) {
	n, err := affected(ctx, tx, `UPDATE lease SET until = ? WHERE connection = ? AND run = ? AND epoch = ?`, micros(until), lease.Connection, lease.Run, lease.Epoch)
	if err != nil {
		return false, err
	}
	if n == 0 {
		return false, store.ErrLeaseLost
	}
	now := micros(s.clock.Now())
	err = s.on(tx).QueryRowContext(ctx, `UPDATE run SET state = 'running', heartbeat_at = ?1, started_at = CASE started_at WHEN 0 THEN ?1 ELSE started_at END, wait_until = 0
		WHERE id = ?2 AND workspace = ?3 RETURNING cancel`, now, lease.Run, lease.Workspace).Scan(&cancel)
	return cancel, err
}

// PendRun implements job.Store.
func (s *Store) PendRun(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID) error {
	_, err := exec(ctx, tx, `UPDATE run SET state = 'pending' WHERE id = ? AND workspace = ?`, id, ws)
	return err
}

// DropLease frees the connection.
func (s *Store) DropLease(ctx context.Context, tx store.Tx, lease run.Lease) error {
	n, err := affected(ctx, tx, `DELETE FROM lease WHERE connection = ? AND run = ? AND epoch = ?`, lease.Connection, lease.Run, lease.Epoch)
	if err == nil && n == 0 {
		err = store.ErrLeaseLost
	}
	return err
}

// Leases lists the leases in force. With lapsedAt not zero only those that have lapsed by then.
func (s *Store) Leases(ctx context.Context, tx store.Tx, lapsedAt time.Time) ([]run.Lease, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (run.Lease, error) {
		var l run.Lease
		var until int64
		err := rows.Scan(&l.Connection, &l.Workspace, &l.Run, &l.Epoch, &until)
		l.Until = fromMicros(until)
		return l, err
	}, `SELECT connection, workspace, run, epoch, until FROM lease WHERE ?1 = 0 OR (until > 0 AND until < ?1) ORDER BY connection`, micros(lapsedAt))
}

// MarkStalled counts a run as taken from a silent worker.
func (s *Store) MarkStalled(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID) error {
	_, err := exec(ctx, tx, `UPDATE run SET stalls = stalls + 1, cause = 'stalled: the worker gave no sign of life; taken over', cause_kind = 'stalled' WHERE id = ? AND workspace = ?`, id, ws)
	return err
}

// EndRun closes a run. cause is for people and empty when all went well.
func (s *Store) EndRun(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID, state run.State, cause, causeKind string) error {
	_, err := exec(ctx, tx, `UPDATE run SET state = ?, cause = ?, cause_kind = ?, wait_until = 0, finished_at = ?, started_at = CASE started_at WHEN 0 THEN created_at ELSE started_at END
		WHERE id = ? AND workspace = ?`, state, cause, causeKind, micros(s.clock.Now()), id, ws)
	return err
}

// WaitRun puts a run aside until a moment.
func (s *Store) WaitRun(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID, until time.Time, attempt int, cause, causeKind string) error {
	_, err := exec(ctx, tx, `UPDATE run SET state = 'waiting', wait_until = ?, attempt = ?, cause = ?, cause_kind = ? WHERE id = ? AND workspace = ?`, micros(until), attempt, cause, causeKind, id, ws)
	return err
}

// WakeRuns makes runs pending whose time has come, and returns their connections.
func (s *Store) WakeRuns(ctx context.Context, tx store.Tx, now time.Time) ([]store.ConnectionID, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (id store.ConnectionID, err error) { return id, rows.Scan(&id) },
		`UPDATE run SET state = 'pending', wait_until = 0, cause = '', cause_kind = '' WHERE state = 'waiting' AND wait_until <= ? RETURNING connection`, micros(now))
}

// PendingConnections lists connections that are free, not paused and have a run waiting for them.
func (s *Store) PendingConnections(ctx context.Context, tx store.Tx) ([]store.ConnectionID, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (id store.ConnectionID, err error) { return id, rows.Scan(&id) },
		`SELECT DISTINCT r.connection FROM run r JOIN connection c ON c.id = r.connection WHERE r.state = 'pending' AND c.pause_reason = ''
			AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.connection = r.connection)`)
}

// WaitingPush says whether a push waits for a connection, so that a read yields to it.
func (s *Store) WaitingPush(ctx context.Context, conn store.ConnectionID) (bool, error) {
	var waits bool
	err := s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM run WHERE connection = ? AND kind = 'activation' AND state = 'pending')`, conn).Scan(&waits)
	return waits, err
}

// CancelRun asks a run to stop; one that waits ends at once. It returns the run as it stands after.
func (s *Store) CancelRun(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID) (run.Run, error) {
	if _, err := exec(ctx, tx, `UPDATE run SET cancel = 1 WHERE id = ? AND workspace = ? AND state IN ('pending', 'queued', 'running', 'waiting')`, id, ws); err != nil {
		return run.Run{}, err
	}
	if _, err := exec(ctx, tx, `UPDATE run SET state = 'cancelled', cause = 'cancelled by hand', cause_kind = 'cancelled', finished_at = ? WHERE id = ? AND workspace = ? AND state IN ('pending', 'waiting')`,
		micros(s.clock.Now()), id, ws); err != nil {
		return run.Run{}, err
	}
	return s.Run(ctx, tx, ws, id)
}

// SetRunResult stores an activation run's counts as JSON.
func (s *Store) SetRunResult(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id run.ID, result string) error {
	_, err := exec(ctx, tx, `UPDATE run SET result = ?, heartbeat_at = ? WHERE id = ? AND workspace = ?`, result, micros(s.clock.Now()), id, ws)
	return err
}

// ScheduleEntry is one line of the schedule table.
type ScheduleEntry struct {
	Workspace store.WorkspaceID
	Kind      string // sync, activation
	Subject   string
	Every     time.Duration
	At        string
	NextAt    time.Time
}

// PutSchedule sets an entry's rhythm. A new one is first due at next; of a known one with the same rhythm the due
// time stays.
func (s *Store) PutSchedule(ctx context.Context, tx store.Tx, e ScheduleEntry) error {
	_, err := exec(ctx, tx, `INSERT INTO schedule (workspace, kind, subject, every, at, next_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (workspace, kind, subject) DO UPDATE SET every = excluded.every, at = excluded.at, next_at = excluded.next_at WHERE every <> excluded.every OR at <> excluded.at`,
		e.Workspace, e.Kind, e.Subject, e.Every.Microseconds(), e.At, micros(e.NextAt))
	return err
}

// DropSchedules removes a workspace's entries of a kind whose subjects are not named.
func (s *Store) DropSchedules(ctx context.Context, tx store.Tx, ws store.WorkspaceID, kind string, keep []string) error {
	_, err := exec(ctx, tx, `DELETE FROM schedule WHERE workspace = ? AND kind = ? AND subject NOT IN (SELECT value FROM json_each(?))`, ws, kind, jsonList(keep))
	return err
}

func scanSchedule(rows *sql.Rows) (ScheduleEntry, error) {
	var e ScheduleEntry
	var every, next int64
	err := rows.Scan(&e.Workspace, &e.Kind, &e.Subject, &every, &e.At, &next)
	e.Every, e.NextAt = time.Duration(every)*time.Microsecond, fromMicros(next)
	return e, err
}

// DueSchedules lists the entries that are due.
func (s *Store) DueSchedules(ctx context.Context, tx store.Tx, now time.Time) ([]ScheduleEntry, error) {
	return collect(ctx, s.on(tx), scanSchedule, `SELECT workspace, kind, subject, every, at, next_at FROM schedule WHERE next_at <= ? ORDER BY next_at`, micros(now))
}

// SetScheduleNext moves an entry's due time.
func (s *Store) SetScheduleNext(ctx context.Context, tx store.Tx, e ScheduleEntry, next time.Time) error {
	_, err := exec(ctx, tx, `UPDATE schedule SET next_at = ? WHERE workspace = ? AND kind = ? AND subject = ?`, micros(next), e.Workspace, e.Kind, e.Subject)
	return err
}

// DropSchedule removes one entry.
func (s *Store) DropSchedule(ctx context.Context, tx store.Tx, ws store.WorkspaceID, kind, subject string) error {
	_, err := exec(ctx, tx, `DELETE FROM schedule WHERE workspace = ? AND kind = ? AND subject = ?`, ws, kind, subject)
	return err
}
