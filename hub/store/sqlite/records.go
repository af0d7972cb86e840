package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// jsonList hands a list to a statement as one JSON argument for json_each.
func jsonList[T any](items []T) string {
	if items == nil {
		return "[]"
	}
	b, err := json.Marshal(items)
	if err != nil {
		panic(err) // lists of strings and numbers only
	}
	return string(b)
}

// Existing implements ingest.Store.
func (s *Store) Existing(ctx context.Context, tx store.Tx, stream workspace.Stream, keys []string) (map[string]ingest.Stored, error) {
	found := make(map[string]ingest.Stored, len(keys))
	_, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (struct{}, error) {
		var key string
		var st ingest.Stored
		var updated int64
		err := rows.Scan(&key, &st.ID, &st.Hash, &updated, &st.Sequence, &st.Deleted)
		st.UpdatedAt = fromMicros(updated)
		found[key] = st
		return struct{}{}, err
	}, `SELECT r.key, r.id, r.hash, r.updated_at, r.sequence, r.deleted FROM json_each(?) k
		CROSS JOIN record r ON r.workspace = ? AND r.stream = ? AND r.key = k.value`, jsonList(keys), stream.Workspace, stream.ID)
	return found, err
}

// PutRecords implements ingest.Store.
func (s *Store) PutRecords(ctx context.Context, tx store.Tx, stream workspace.Stream, puts []ingest.Put) (ids []int64, err error) {
	if len(puts) == 0 {
		return nil, nil
	}
	sqlTx := handle(tx)
	insert, err := sqlTx.PrepareContext(ctx, `INSERT INTO record (workspace, stream, key, deleted, updated_at, sequence, hash, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return nil, err
	}
	defer insert.Close()
	update, err := sqlTx.PrepareContext(ctx, `UPDATE record SET deleted = ?, updated_at = ?, sequence = ?, hash = ?, data = ? WHERE id = ? AND workspace = ?`)
	if err != nil {
		return nil, err
	}
	defer update.Close()
	dirty, err := sqlTx.PrepareContext(ctx, markDirty)
	if err != nil {
		return nil, err
	}
	defer dirty.Close()
	now := micros(s.clock.Now())
	for _, p := range puts {
		id := p.ID
		if id == 0 {
			result, err := insert.ExecContext(ctx, stream.Workspace, stream.ID, p.Key, flag(p.Deleted), micros(p.UpdatedAt), p.Sequence, p.Hash, p.Data)
			if err != nil {
				return nil, err
			}
			if id, err = result.LastInsertId(); err != nil {
				return nil, err
			}
		} else if _, err := update.ExecContext(ctx, flag(p.Deleted), micros(p.UpdatedAt), p.Sequence, p.Hash, p.Data, id, stream.Workspace); err != nil {
			return nil, err
		}
		if _, err := dirty.ExecContext(ctx, stream.Workspace, id, now); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

const markDirty = `INSERT INTO dirty (workspace, record, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`

// MarkAllDirty marks the live records of a workspace's streams of some entities for settle: after a change of rules
// nothing is read again (design: only marks).
func (s *Store) MarkAllDirty(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error {
	_, err := exec(ctx, tx, `INSERT INTO dirty (workspace, record, since) SELECT workspace, id, ? FROM record WHERE workspace = ? AND deleted = 0 ON CONFLICT DO NOTHING`,
		micros(s.clock.Now()), ws)
	return err
}

// MarkSeen implements ingest.Store.
func (s *Store) MarkSeen(ctx context.Context, tx store.Tx, stream workspace.Stream, records []int64) error {
	_, err := exec(ctx, tx, `INSERT INTO seen (workspace, stream, record) SELECT ?, ?, value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING`, stream.Workspace, stream.ID, jsonList(records))
	return err
}

// ForgetSeen implements ingest.Store.
func (s *Store) ForgetSeen(ctx context.Context, tx store.Tx, stream workspace.Stream) error {
	_, err := exec(ctx, tx, `DELETE FROM seen WHERE workspace = ? AND stream = ?`, stream.Workspace, stream.ID)
	return err
}

// SeenAny implements ingest.Store.
func (s *Store) SeenAny(ctx context.Context, tx store.Tx, stream workspace.Stream) (bool, error) {
	var some bool
	err := s.on(tx).QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM seen WHERE workspace = ? AND stream = ?)`, stream.Workspace, stream.ID).Scan(&some)
	return some, err
}

// DeleteUnseen implements ingest.Store.
func (s *Store) DeleteUnseen(ctx context.Context, tx store.Tx, stream workspace.Stream) (int64, error) {
	const unseen = `FROM record r WHERE r.workspace = ? AND r.stream = ? AND r.deleted = 0
		AND NOT EXISTS (SELECT 1 FROM seen s WHERE s.workspace = r.workspace AND s.stream = r.stream AND s.record = r.id)
		AND NOT EXISTS (SELECT 1 FROM seen s WHERE s.workspace = r.workspace AND s.stream = r.stream AND s.record = 0)` // 0: ingest.Keyless
	if _, err := exec(ctx, tx, `INSERT INTO dirty (workspace, record, since) SELECT r.workspace, r.id, ? `+unseen+` ON CONFLICT DO NOTHING`,
		micros(s.clock.Now()), stream.Workspace, stream.ID); err != nil {
		return 0, err
	}
	n, err := affected(ctx, tx, `UPDATE record SET deleted = 1, data = NULL, hash = x'' WHERE id IN (SELECT r.id `+unseen+`)`, stream.Workspace, stream.ID)
	if err != nil {
		return 0, err
	}
	return n, s.ForgetSeen(ctx, tx, stream)
}

// SetCursor implements ingest.Store.
func (s *Store) SetCursor(ctx context.Context, tx store.Tx, stream workspace.Stream, cursor connector.Cursor, snapshot string) error {
	_, err := exec(ctx, tx, `UPDATE stream SET cursor = ?, snapshot = ? WHERE id = ? AND workspace = ?`, []byte(cursor), snapshot, stream.ID, stream.Workspace)
	return err
}

// CompleteStream implements ingest.Store.
func (s *Store) CompleteStream(ctx context.Context, tx store.Tx, stream workspace.Stream, at time.Time) error {
	_, err := exec(ctx, tx, `UPDATE stream SET last_complete_at = ?1, first_complete_at = CASE first_complete_at WHEN 0 THEN ?1 ELSE first_complete_at END
		WHERE id = ?2 AND workspace = ?3`, micros(at), stream.ID, stream.Workspace)
	return err
}

// AddCounts implements ingest.Store.
func (s *Store) AddCounts(ctx context.Context, tx store.Tx, id run.ID, c run.Counts, total int64) error {
	_, err := exec(ctx, tx, `UPDATE run SET pages = pages + 1, attempt = 0, read = read + ?, stored = stored + ?, unchanged = unchanged + ?, deleted = deleted + ?, absent = absent + ?,
		rejected = rejected + ?, ignored = ignored + ?, total = max(total, ?), heartbeat_at = ? WHERE id = ?`,
		c.Read, c.Stored, c.Unchanged, c.Deleted, c.Absent, c.Rejected, c.Ignored, total, micros(s.clock.Now()), id)
	return err
}
