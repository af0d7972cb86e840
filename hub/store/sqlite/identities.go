package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// Decisions lists a workspace's pins and cuts, oldest first. They stay when the records they name are gone.
func (s *Store) Decisions(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([]identity.Decision, error) {
	all, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (d identity.Decision, err error) {
		var at int64
		var taken string
		err = rows.Scan(&d.Kind, &d.A.Connection, &d.A.Stream, &d.A.Key, &d.B.Connection, &d.B.Stream, &d.B.Key, &at, &d.Note, &taken)
		d.At = fromMicros(at)
		if taken == "b" {
			d.A, d.B = d.B, d.A
		}
		return d, err
	}, `SELECT 'pin', a.connection, a.name, p.a_key, b.connection, b.name, p.b_key, p.decided_at, p.note, ''
			FROM identity_pin p JOIN stream a ON a.id = p.a_stream JOIN stream b ON b.id = p.b_stream WHERE p.workspace = ?1
		UNION ALL SELECT 'cut', a.connection, a.name, p.a_key, b.connection, b.name, p.b_key, p.decided_at, p.note, p.taken
			FROM identity_cut p JOIN stream a ON a.id = p.a_stream JOIN stream b ON b.id = p.b_stream WHERE p.workspace = ?1`, ws)
	slices.SortStableFunc(all, func(x, y identity.Decision) int {
		return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Kind, y.Kind), x.A.Compare(y.A), x.B.Compare(y.B))
	})
	return all, err
}

// PutDecision keeps a decision; one that stands already stays as it was first made. store.ErrNotFound: a stream is
// unknown.
func (s *Store) PutDecision(ctx context.Context, tx store.Tx, ws store.WorkspaceID, d identity.Decision) error {
	a, b, swapped, err := s.decisionEnds(ctx, tx, ws, d)
	if err != nil {
		return err
	}
	if d.Kind == identity.Pinned {
		_, err = exec(ctx, tx, `INSERT OR IGNORE INTO identity_pin (workspace, a_stream, a_key, b_stream, b_key, decided_at, note) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			ws, a.stream, a.key, b.stream, b.key, micros(d.At), d.Note)
		return err
	}
	taken := "a"
	if swapped {
		taken = "b"
	}
	_, err = exec(ctx, tx, `INSERT OR IGNORE INTO identity_cut (workspace, a_stream, a_key, b_stream, b_key, decided_at, note, taken) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		ws, a.stream, a.key, b.stream, b.key, micros(d.At), d.Note, taken)
	return err
}

// DropDecision takes a decision back, whichever way round it names its records.
func (s *Store) DropDecision(ctx context.Context, tx store.Tx, ws store.WorkspaceID, d identity.Decision) error {
	a, b, _, err := s.decisionEnds(ctx, tx, ws, d)
	if err != nil {
		return err
	}
	table := "identity_cut"
	if d.Kind == identity.Pinned {
		table = "identity_pin"
	}
	_, err = exec(ctx, tx, `DELETE FROM `+table+` WHERE workspace = ?1 AND ((a_stream = ?2 AND a_key = ?3 AND b_stream = ?4 AND b_key = ?5)
		OR (a_stream = ?4 AND a_key = ?5 AND b_stream = ?2 AND b_key = ?3))`, ws, a.stream, a.key, b.stream, b.key)
	return err
}

type recordPlace struct {
	stream workspace.StreamID
	key    string
}

// decisionEnds are the two records as they are stored: the smaller first, so that a pair has one row.
func (s *Store) decisionEnds(ctx context.Context, tx store.Tx, ws store.WorkspaceID, d identity.Decision) (a, b recordPlace, swapped bool, err error) {
	a.key, b.key = d.A.Key, d.B.Key
	if a.stream, err = s.streamOf(ctx, tx, ws, d.A); err != nil {
		return a, b, false, err
	}
	if b.stream, err = s.streamOf(ctx, tx, ws, d.B); err != nil {
		return a, b, false, err
	}
	if d.A.Compare(d.B) > 0 {
		return b, a, true, nil
	}
	return a, b, false, nil
}

// FormerIDs returns the customer numbers that stand for a customer now, ascending.
func (s *Store) FormerIDs(ctx context.Context, ws store.WorkspaceID, id customer.ID) ([]customer.ID, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (alias customer.ID, err error) { return alias, rows.Scan(&alias) },
		`WITH RECURSIVE former(id) AS (SELECT ?2 UNION SELECT c.id FROM former CROSS JOIN customer c INDEXED BY customer_by_alias ON c.workspace = ?1 AND c.alias_of = former.id)
		SELECT id FROM former WHERE id <> ?2 ORDER BY 1`, ws, id)
}
