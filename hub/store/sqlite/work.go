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
	Refreshed                 Refreshed
}

// Standing tells how far a workspace's processing has come.
func (s *Store) Standing(ctx context.Context, ws store.WorkspaceID) (Standing, error) {
	var st Standing
	err := s.read.QueryRowContext(ctx, `SELECT
			(SELECT count(*) FROM run r JOIN connection c ON c.id = r.connection WHERE r.workspace = w.id AND r.kind = 'read' AND (r.state IN ('queued', 'running') OR (r.state = 'pending' AND c.pause_reason = ''))),
			(SELECT count(*) FROM run r JOIN connection c ON c.id = r.connection WHERE r.workspace = w.id AND r.kind = 'activation' AND (r.state IN ('queued', 'running') OR (r.state = 'pending' AND c.pause_reason = ''))),
			(SELECT count(*) FROM dirty WHERE workspace = w.id), figures_dirty, settle_queued, refresh_queued
		FROM workspace w WHERE id = ?`, ws).
		Scan(&st.ActiveReads, &st.ActivePushes, &st.Dirty, &st.FiguresDirty, &st.SettleQueued, &st.RefreshQueued)
	if err != nil {
		return st, err
	}
	st.Refreshed, err = s.Refreshed(ctx, nil, ws)
	return st, err
}

// Refreshed is what a refresh of figures and segments took in.
type Refreshed struct {
	// On is the as-of day; nil before the first.
	On *entity.Date
	At time.Time
	// Version of the facts it was made from; -1 before the first.
	Version int64
	// Hash of the rules that everybody was last looked at by.
	Hash string
	// Customers it worked on, and whether these were all.
	Customers int64
	All       bool
	// MovingIn says that first syncs were not over, so that who came was there before.
	MovingIn bool
}

// Refreshed tells of the last refresh.
func (s *Store) Refreshed(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (Refreshed, error) {
	var r Refreshed
	var on, at sql.NullInt64
	err := s.on(tx).QueryRowContext(ctx, `SELECT refreshed_on, refreshed_at, refreshed_version, refreshed_hash, refreshed_customers, refreshed_all, moving_in FROM workspace WHERE id = ?`, ws).
		Scan(&on, &at, &r.Version, &r.Hash, &r.Customers, &r.All, &r.MovingIn)
	if on.Valid {
		day := entity.Date(on.Int64)
		r.On = &day
	}
	r.At = fromMicros(at.Int64)
	return r, err
}

// SetRefreshed records a refresh.
func (s *Store) SetRefreshed(ctx context.Context, tx store.Tx, ws store.WorkspaceID, r Refreshed) error {
	_, err := exec(ctx, tx, `UPDATE workspace SET refreshed_on = ?, refreshed_at = ?, refreshed_version = ?, refreshed_hash = ?, refreshed_customers = ?, refreshed_all = ?, moving_in = ? WHERE id = ?`,
		*r.On, micros(r.At), r.Version, r.Hash, r.Customers, flag(r.All), flag(r.MovingIn), ws)
	return err
}
