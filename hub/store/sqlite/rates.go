package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
)

// RateOf implements settle.Store.
func (s *Store) RateOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) (settle.Rate, bool, error) {
	rate := settle.Rate{Record: record}
	err := s.on(tx).QueryRowContext(ctx, `SELECT on_day, from_currency, to_currency, value FROM rate WHERE record = ? AND workspace = ?`, record, ws).
		Scan(&rate.On, &rate.From, &rate.To, &rate.Value)
	if errors.Is(err, sql.ErrNoRows) {
		return rate, false, nil
	}
	return rate, err == nil, err
}

// PutRate implements settle.Store.
func (s *Store) PutRate(ctx context.Context, tx store.Tx, ws store.WorkspaceID, r settle.Rate) error {
	_, err := exec(ctx, tx, `INSERT OR REPLACE INTO rate (record, workspace, on_day, from_currency, to_currency, value) VALUES (?, ?, ?, ?, ?, ?)`, r.Record, ws, r.On, r.From, r.To, r.Value)
	return err
}

// DropRate implements settle.Store.
func (s *Store) DropRate(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) error {
	_, err := exec(ctx, tx, `DELETE FROM rate WHERE record = ? AND workspace = ?`, record, ws)
	return err
}

// RateOn implements settle.Store.
func (s *Store) RateOn(ctx context.Context, tx store.Tx, ws store.WorkspaceID, from, to string, day entity.Date, maxAge int) (value string, inverse, found bool, err error) {
	err = s.on(tx).QueryRowContext(ctx, `SELECT q.value, q.inverse FROM (
			SELECT on_day, 0 AS inverse, value, record FROM rate INDEXED BY rate_by_pair WHERE workspace = ?1 AND from_currency = ?2 AND to_currency = ?3 AND on_day BETWEEN ?4 AND ?5
			UNION ALL SELECT on_day, 1, value, record FROM rate INDEXED BY rate_by_pair WHERE workspace = ?1 AND from_currency = ?3 AND to_currency = ?2 AND on_day BETWEEN ?4 AND ?5) q
		CROSS JOIN record r ON r.id = q.record CROSS JOIN stream st ON st.id = r.stream CROSS JOIN connection c ON c.id = st.connection
		ORDER BY q.on_day DESC, q.inverse, c.name, st.name, r.key LIMIT 1`, ws, from, to, int64(day)-int64(maxAge), day).Scan(&value, &inverse)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, false, nil
	}
	return value, inverse, err == nil, err
}

// MarkConversions implements settle.Store.
func (s *Store) MarkConversions(ctx context.Context, tx store.Tx, ws store.WorkspaceID, currencies []string, from, to entity.Date) (int64, error) {
	return affected(ctx, tx, `INSERT INTO dirty (workspace, record, since)
		SELECT o.workspace, o.record, ?5 FROM json_each(?2) c CROSS JOIN sale o INDEXED BY sale_by_rate ON o.workspace = ?1 AND o.currency = c.value AND o.ordered_on BETWEEN ?3 AND ?4 WHERE o.needs_rate = 1
		UNION ALL SELECT f.workspace, f.record, ?5 FROM json_each(?2) c CROSS JOIN refund f INDEXED BY refund_by_rate ON f.workspace = ?1 AND f.currency = c.value AND f.rate_on BETWEEN ?3 AND ?4 WHERE f.needs_rate = 1
		ON CONFLICT DO NOTHING`, ws, jsonList(currencies), from, to, micros(s.clock.Now()))
}
