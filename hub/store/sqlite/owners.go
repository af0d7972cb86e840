package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
)

// PutOwnership implements settle.Store.
func (s *Store) PutOwnership(ctx context.Context, tx store.Tx, ws store.WorkspaceID, c settle.Ownership) error {
	_, err := exec(ctx, tx, `INSERT OR REPLACE INTO ownership (record, workspace, subject_stream, subject_key, before_stream, before_key, owner_stream, owner_key, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Record, ws, c.Subject.Stream, c.Subject.Key, c.OwnerBefore.Stream, c.OwnerBefore.Key, c.Owner.Stream, c.Owner.Key, micros(c.At))
	return err
}

// DropOwnership implements settle.Store.
func (s *Store) DropOwnership(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) error {
	_, err := exec(ctx, tx, `DELETE FROM ownership WHERE record = ? AND workspace = ?`, record, ws)
	return err
}

// OwnerNames returns the names of colleagues by "connection.stream/key"; those without a name are left out.
func (s *Store) OwnerNames(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (map[string]string, error) {
	names := map[string]string{}
	_, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (struct{}, error) {
		var conn, stream, key, name string
		err := rows.Scan(&conn, &stream, &key, &name)
		if name != "" {
			names[recordName(conn, stream, key)] = name
		}
		return struct{}{}, err
	}, `SELECT c.name, st.name, r.key, coalesce(json_extract(CAST(r.data AS TEXT), '$.name'), '') FROM stream st CROSS JOIN connection c ON c.id = st.connection
		CROSS JOIN record r ON r.workspace = st.workspace AND r.stream = st.id AND r.deleted = 0 WHERE st.workspace = ? AND st.entity = ?`, ws, entity.KindOwner)
	return names, err
}

// OwnersOn returns who looked after each customer at the close of a day in a zone, as "connection.stream/key": by the
// last change of owner up to then of any of the customer's records. Before the first change that is known, it is
// whoever that change says was there before; where it does not say, and for customers without changes, the owner in
// the profile. Customers that nobody looked after are left out.
func (s *Store) OwnersOn(ctx context.Context, ws store.WorkspaceID, day entity.Date, zone *time.Location) (map[customer.ID]string, error) {
	owners, err := s.profileOwners(ctx, ws)
	if err != nil {
		return nil, err
	}
	year, month, d := day.Calendar()
	end := micros(time.Date(year, month, d+1, 0, 0, 0, 0, zone))
	began := map[customer.ID]bool{}
	set := func(id customer.ID, conn, stream, key string) {
		if key == "" {
			delete(owners, id)
			return
		}
		owners[id] = recordName(conn, stream, key)
	}
	_, err = collect(ctx, s.read, func(rows *sql.Rows) (struct{}, error) {
		var id customer.ID
		var conn, beforeStream, beforeKey, stream, key string
		var at int64
		if err := rows.Scan(&id, &conn, &beforeStream, &beforeKey, &stream, &key, &at); err != nil {
			return struct{}{}, err
		}
		first := !began[id]
		began[id] = true
		switch {
		case at < end:
			set(id, conn, stream, key)
		case first && beforeKey != "":
			set(id, conn, beforeStream, beforeKey)
		}
		return struct{}{}, nil
	}, `SELECT n.customer, c.name, w.before_stream, w.before_key, w.owner_stream, w.owner_key, w.at
		FROM ownership w INDEXED BY ownership_by_workspace CROSS JOIN record r ON r.id = w.record CROSS JOIN stream st ON st.id = r.stream CROSS JOIN connection c ON c.id = st.connection
			CROSS JOIN stream subject ON subject.workspace = w.workspace AND subject.connection = st.connection AND subject.name = w.subject_stream
			CROSS JOIN node n ON n.workspace = w.workspace AND n.stream = subject.id AND n.key = w.subject_key
		WHERE w.workspace = ? AND n.customer IS NOT NULL ORDER BY n.customer, w.at, c.name, st.name, r.key`, ws)
	return owners, err
}

// profileOwners are the owners in the profiles. A profile names an owner by stream and key; the connection is one the
// customer has records of, first of all one that is known to have such a stream.
func (s *Store) profileOwners(ctx context.Context, ws store.WorkspaceID) (map[customer.ID]string, error) {
	owners := map[customer.ID]string{}
	_, err := collect(ctx, s.read, func(rows *sql.Rows) (struct{}, error) {
		var id customer.ID
		var conn, stream, key string
		err := rows.Scan(&id, &conn, &stream, &key)
		owners[id] = recordName(conn, stream, key)
		return struct{}{}, err
	}, `SELECT p.id, substr(min((o.id IS NULL) || c.name), 2), p.stream, p.key
		FROM (SELECT id, json_extract(profile, '$.owner.stream') AS stream, json_extract(profile, '$.owner.key') AS key FROM customer
			WHERE workspace = ?1 AND alias_of IS NULL AND retired = 0 AND profile LIKE '%"owner":{%') p
		CROSS JOIN node n INDEXED BY node_by_customer ON n.workspace = ?1 AND n.customer = p.id CROSS JOIN stream st ON st.id = n.stream CROSS JOIN connection c ON c.id = st.connection
		LEFT JOIN stream o ON o.workspace = ?1 AND o.connection = st.connection AND o.name = p.stream
		WHERE p.key IS NOT NULL GROUP BY p.id`, ws)
	return owners, err
}
