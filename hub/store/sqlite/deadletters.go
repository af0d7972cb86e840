package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// PutDeadLetters implements ingest.Store. The same record with the same fault is one letter, however often it is
// read; one that was resolved or under retry opens again, one that was dropped stays dropped.
func (s *Store) PutDeadLetters(ctx context.Context, tx store.Tx, ws store.WorkspaceID, letters []ingest.DeadLetter) error {
	now := micros(s.clock.Now())
	for _, l := range letters {
		_, err := exec(ctx, tx, `INSERT INTO dead_letter (workspace, stream, key, fingerprint, origin, place, rule, message, raw, updated_at, sequence, run, state, created_at, changed_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?)
			ON CONFLICT (workspace, stream, fingerprint) DO UPDATE SET place = excluded.place, message = excluded.message, run = excluded.run, changed_at = excluded.changed_at,
				state = CASE state WHEN 'dropped' THEN 'dropped' ELSE 'open' END
			WHERE state <> 'open' OR place <> excluded.place`,
			ws, l.Stream, l.Key, l.Fingerprint, l.Origin, l.Place, l.Rule, l.Message, l.Raw, micros(l.UpdatedAt), l.Sequence, l.Run, now, now)
		if err != nil {
			return err
		}
	}
	return nil
}

// ResolveDeadLetters implements ingest.Store. Letters of settle, which belong to no run, stay: that a record arrived
// whole says nothing about them.
func (s *Store) ResolveDeadLetters(ctx context.Context, tx store.Tx, stream workspace.Stream, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	var some bool
	err := s.on(tx).QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM dead_letter WHERE workspace = ? AND stream = ? AND state IN ('open', 'retrying') AND key <> '' AND run <> 0)`, stream.Workspace, stream.ID).Scan(&some)
	if err != nil || !some {
		return err
	}
	_, err = exec(ctx, tx, `UPDATE dead_letter SET state = 'resolved', changed_at = ? WHERE workspace = ? AND stream = ? AND state IN ('open', 'retrying') AND run <> 0
		AND key IN (SELECT value FROM json_each(?))`, micros(s.clock.Now()), stream.Workspace, stream.ID, jsonList(keys))
	return err
}

// ResolveSettleLetters implements settle.Store.
func (s *Store) ResolveSettleLetters(ctx context.Context, tx store.Tx, ws store.WorkspaceID, records []int64) error {
	_, err := exec(ctx, tx, `UPDATE dead_letter SET state = 'resolved', changed_at = ?1 WHERE id IN (
		SELECT d.id FROM json_each(?3) j CROSS JOIN record r ON r.id = j.value CROSS JOIN dead_letter d INDEXED BY dead_letter_open
			ON d.workspace = ?2 AND d.stream = r.stream AND d.key = r.key AND d.state IN ('open', 'retrying') WHERE d.run = 0)`, micros(s.clock.Now()), ws, jsonList(records))
	return err
}

// ResolveRetried implements ingest.Store.
func (s *Store) ResolveRetried(ctx context.Context, tx store.Tx, stream workspace.Stream) error {
	_, err := exec(ctx, tx, `UPDATE dead_letter SET state = 'resolved', changed_at = ? WHERE workspace = ? AND stream = ? AND state = 'retrying'`,
		micros(s.clock.Now()), stream.Workspace, stream.ID)
	return err
}

// DeadLetter is a letter as it is listed.
type DeadLetter struct {
	ID         int64
	Connection string
	StreamName string
	State      string
	Created    time.Time
	Changed    time.Time
	ingest.DeadLetter
}

const deadLetterColumns = `SELECT d.id, d.stream, d.key, d.origin, d.place, d.rule, d.message, d.raw, d.updated_at, d.sequence, d.run, d.state, d.created_at, d.changed_at, c.name, s.name
	FROM dead_letter d JOIN stream s ON s.id = d.stream JOIN connection c ON c.id = s.connection`

func scanDeadLetter(r row) (DeadLetter, error) {
	var d DeadLetter
	var updated, created, changed, runID int64
	err := r.Scan(&d.ID, &d.Stream, &d.Key, &d.Origin, &d.Place, &d.Rule, &d.Message, &d.Raw, &updated, &d.Sequence, &runID, &d.State, &created, &changed, &d.Connection, &d.StreamName)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	d.UpdatedAt, d.Created, d.Changed, d.Run = fromMicros(updated), fromMicros(created), fromMicros(changed), run.ID(runID)
	return d, err
}

// DeadLetters lists a workspace's letters in a state ("" for open and retrying), newest first, at most limit.
func (s *Store) DeadLetters(ctx context.Context, ws store.WorkspaceID, state string, limit int) ([]DeadLetter, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (DeadLetter, error) { return scanDeadLetter(rows) },
		deadLetterColumns+` WHERE d.workspace = ? AND (d.state = ?2 OR (?2 = '' AND d.state IN ('open', 'retrying'))) ORDER BY d.id DESC LIMIT ?3`, ws, state, limit)
}

// DeadLetter returns one letter; store.ErrNotFound when there is none.
func (s *Store) DeadLetter(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id int64) (DeadLetter, error) {
	return scanDeadLetter(s.on(tx).QueryRowContext(ctx, deadLetterColumns+` WHERE d.workspace = ? AND d.id = ?`, ws, id))
}

// SetDeadLetterState moves a letter to another state.
func (s *Store) SetDeadLetterState(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id int64, state string) error {
	n, err := affected(ctx, tx, `UPDATE dead_letter SET state = ?, changed_at = ? WHERE workspace = ? AND id = ?`, state, micros(s.clock.Now()), ws, id)
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	return err
}

// OpenDeadLetters counts open letters by connection and stream name.
func (s *Store) OpenDeadLetters(ctx context.Context, ws store.WorkspaceID) (map[[2]string]int64, error) {
	open := map[[2]string]int64{}
	_, err := collect(ctx, s.read, func(rows *sql.Rows) (struct{}, error) {
		var conn, stream string
		var n int64
		err := rows.Scan(&conn, &stream, &n)
		open[[2]string{conn, stream}] = n
		return struct{}{}, err
	}, `SELECT c.name, s.name, count(*) FROM dead_letter d JOIN stream s ON s.id = d.stream JOIN connection c ON c.id = s.connection
		WHERE d.workspace = ? AND d.state IN ('open', 'retrying') GROUP BY 1, 2`, ws)
	return open, err
}
