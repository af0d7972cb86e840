package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/store"
)

// LockWorkspace keeps settle to one at a time per workspace. The one writing connection already does.
func (s *Store) LockWorkspace(context.Context, store.Tx, store.WorkspaceID) error { return nil }

// ClaimSettle implements job.Store.
func (s *Store) ClaimSettle(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (bool, error) {
	n, err := affected(ctx, tx, `UPDATE workspace SET settle_queued = 1 WHERE id = ?1 AND settle_queued = 0 AND EXISTS (SELECT 1 FROM dirty WHERE workspace = ?1)`, ws)
	return n > 0, err
}

// ReleaseSettle implements job.Store.
func (s *Store) ReleaseSettle(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error {
	_, err := exec(ctx, tx, `UPDATE workspace SET settle_queued = 0 WHERE id = ?`, ws)
	return err
}

// ClaimRefresh implements job.Store.
func (s *Store) ClaimRefresh(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (bool, error) {
	n, err := affected(ctx, tx, `UPDATE workspace SET refresh_queued = 1 WHERE id = ?1 AND figures_dirty = 1 AND refresh_queued = 0
		AND NOT EXISTS (SELECT 1 FROM dirty WHERE workspace = ?1)
		AND NOT EXISTS (SELECT 1 FROM run r JOIN connection c ON c.id = r.connection WHERE r.workspace = ?1 AND r.kind = 'read'
			AND (r.state IN ('queued', 'running') OR (r.state = 'pending' AND c.pause_reason = '')))`, ws)
	return n > 0, err
}

// BeginRefresh implements job.Store. What changes from here on asks for another refresh.
func (s *Store) BeginRefresh(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error {
	_, err := exec(ctx, tx, `UPDATE workspace SET figures_dirty = 0 WHERE id = ?`, ws)
	return err
}

// EndRefresh implements job.Store.
func (s *Store) EndRefresh(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error {
	_, err := exec(ctx, tx, `UPDATE workspace SET refresh_queued = 0 WHERE id = ?`, ws)
	return err
}

// MarkFiguresDirty implements job.Store.
func (s *Store) MarkFiguresDirty(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error {
	_, err := exec(ctx, tx, `UPDATE workspace SET figures_dirty = 1, facts_version = facts_version + 1 WHERE id = ?`, ws)
	return err
}

// FactsVersion grows with every change of what figures are made from.
func (s *Store) FactsVersion(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (version int64, err error) {
	err = s.on(tx).QueryRowContext(ctx, `SELECT facts_version FROM workspace WHERE id = ?`, ws).Scan(&version)
	return version, err
}

// Unsettled implements job.Store.
func (s *Store) Unsettled(ctx context.Context, tx store.Tx) ([]store.WorkspaceID, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (id store.WorkspaceID, err error) { return id, rows.Scan(&id) }, `SELECT DISTINCT workspace FROM dirty`)
}

// Neglected implements job.Store.
func (s *Store) Neglected(ctx context.Context, tx store.Tx) (settle, refresh []store.WorkspaceID, err error) {
	scan := func(rows *sql.Rows) (id store.WorkspaceID, err error) { return id, rows.Scan(&id) }
	settle, err = collect(ctx, s.on(tx), scan, `SELECT id FROM workspace w WHERE settle_queued = 0 AND EXISTS (SELECT 1 FROM dirty WHERE workspace = w.id)`)
	if err != nil {
		return nil, nil, err
	}
	refresh, err = collect(ctx, s.on(tx), scan, `SELECT id FROM workspace WHERE refresh_queued = 0 AND figures_dirty = 1 AND retired = 0`)
	return settle, refresh, err
}

// ResetQueued forgets which settle and refresh jobs were queued by an earlier process; what is due is queued again.
func (s *Store) ResetQueued(ctx context.Context, tx store.Tx) error {
	_, err := exec(ctx, tx, `UPDATE workspace SET settle_queued = 0, figures_dirty = CASE refresh_queued WHEN 1 THEN 1 ELSE figures_dirty END, refresh_queued = 0 WHERE settle_queued = 1 OR refresh_queued = 1`)
	return err
}

// Standing is where a workspace's processing stands.
type Standing struct {
	ActiveReads, ActivePushes int64
	Dirty                     int64
	FiguresDirty              bool
	SettleQueued              bool
	RefreshQueued             bool
	RefreshedOn               *entity.Date
	RefreshedAt               time.Time
}

// Standing tells how far a workspace's processing has come.
func (s *Store) Standing(ctx context.Context, ws store.WorkspaceID) (Standing, error) {
	var st Standing
	var on, at sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT
			(SELECT count(*) FROM run r JOIN connection c ON c.id = r.connection WHERE r.workspace = w.id AND r.kind = 'read' AND (r.state IN ('queued', 'running') OR (r.state = 'pending' AND c.pause_reason = ''))),
			(SELECT count(*) FROM run r JOIN connection c ON c.id = r.connection WHERE r.workspace = w.id AND r.kind = 'activation' AND (r.state IN ('queued', 'running') OR (r.state = 'pending' AND c.pause_reason = ''))),
			(SELECT count(*) FROM dirty WHERE workspace = w.id), figures_dirty, settle_queued, refresh_queued, refreshed_on, refreshed_at
		FROM workspace w WHERE id = ?`, ws).
		Scan(&st.ActiveReads, &st.ActivePushes, &st.Dirty, &st.FiguresDirty, &st.SettleQueued, &st.RefreshQueued, &on, &at)
	if on.Valid {
		day := entity.Date(on.Int64)
		st.RefreshedOn = &day
	}
	st.RefreshedAt = fromMicros(at.Int64)
	return st, err
}

// SetRefreshed records for which day figures and segments were refreshed.
func (s *Store) SetRefreshed(ctx context.Context, tx store.Tx, ws store.WorkspaceID, day entity.Date, at time.Time) error {
	_, err := exec(ctx, tx, `UPDATE workspace SET refreshed_on = ?, refreshed_at = ? WHERE id = ?`, day, micros(at), ws)
	return err
}
