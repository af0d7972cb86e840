package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// Source is one record that a customer is made of.
type Source struct {
	// Record in full, CONNECTION.STREAM/KEY.
	Record string
	// UpdatedAt is the source's own time of the last change in UTC; zero where the source does not say.
	UpdatedAt time.Time
	// Placeholder: others refer to the record, which has not come or is gone.
	Placeholder bool
	Quarantined bool
}

// SourcesOf lists the records that a customer is made of, sorted by name.
func (s *Store) SourcesOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id customer.ID) ([]Source, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (found Source, err error) {
		var conn, stream, key string
		var at int64
		err = rows.Scan(&conn, &stream, &key, &at, &found.Placeholder, &found.Quarantined)
		found.Record, found.UpdatedAt = recordName(conn, stream, key), fromMicros(at)
		return found, err
	}, `SELECT c.name, s.name, n.key, coalesce(r.updated_at, 0), n.record IS NULL, n.quarantined
		FROM node n INDEXED BY node_by_customer CROSS JOIN stream s ON s.id = n.stream CROSS JOIN connection c ON c.id = s.connection LEFT JOIN record r ON r.id = n.record
		WHERE n.workspace = ? AND n.customer = ? ORDER BY 1, 2, 3`, ws, id)
}

// DatesFrom says of a customer's orders which fact of the source their date was taken from, as far as that is known.
func (s *Store) DatesFrom(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id customer.ID) (map[store.RecordKey]string, error) {
	from := map[store.RecordKey]string{}
	_, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (struct{}, error) {
		var key store.RecordKey
		var fact string
		err := rows.Scan(&key.Connection, &key.Stream, &key.Key, &fact)
		from[key] = fact
		return struct{}{}, err
	}, `SELECT st.connection, st.name, `+saleKey+`, o.date_from
		FROM node n INDEXED BY node_by_customer CROSS JOIN sale o INDEXED BY sale_by_node ON o.node = n.id CROSS JOIN record r ON r.id = o.record CROSS JOIN stream st ON st.id = o.stream
		WHERE n.workspace = ?1 AND n.customer = ?2 AND o.workspace = ?1 AND o.date_from <> ''`, ws, id)
	return from, err
}

// Membership is a segment that a customer belongs to.
type Membership struct {
	Segment   string
	EnteredOn entity.Date // as-of day of the evaluation that put the customer in
	// Baseline: it held of the customer when the segment was first evaluated, or when who the customer is changed.
	Baseline bool
}

// MembershipsOf lists the segments that a customer belongs to, sorted.
func (s *Store) MembershipsOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id customer.ID) ([]Membership, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (m Membership, err error) {
		return m, rows.Scan(&m.Segment, &m.EnteredOn, &m.Baseline)
	}, `SELECT segment, entered_on, baseline FROM membership INDEXED BY membership_by_customer WHERE workspace = ? AND customer = ? ORDER BY 1`, ws, id)
}
