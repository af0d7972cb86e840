package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

const (
	orderColumns = `st.connection, st.name, ` + saleKey + `, o.ordered_at, o.ordered_on, o.sequence, o.base, o.converted, o.amount, o.currency, o.channel,
		CASE o.owner WHEN '' THEN '' ELSE coalesce((SELECT c.name || '.' || w.name || '/' || o.owner FROM stream w JOIN connection c ON c.id = w.connection WHERE w.id = o.owner_stream), o.owner) END, o.city`
	// refundColumns need the refund as f, its record and stream as r and st, and the order's stream as os.
	refundColumns = `st.connection, st.name, r.key, f.refunded_on, f.base, f.converted, f.amount, f.currency, os.connection, os.name, f.order_key`
)

func scanOrder(rows *sql.Rows) (o kpi.OrderRow, err error) {
	var at int64
	err = rows.Scan(&o.Customer, &o.Connection, &o.Stream, &o.Key, &at, &o.On, &o.Sequence, &o.Base, &o.Converted, &o.Amount.Minor, &o.Amount.Currency, &o.Channel, &o.Owner, &o.City)
	o.At = fromMicros(at)
	return o, err
}

func scanRefund(rows *sql.Rows) (f kpi.RefundRow, err error) {
	var conn sql.NullInt64
	var stream, key sql.NullString
	err = rows.Scan(&f.Customer, &f.Connection, &f.Stream, &f.Key, &f.On, &f.Base, &f.Converted, &f.Amount.Minor, &f.Amount.Currency, &conn, &stream, &key)
	if conn.Valid {
		f.Order = &store.RecordKey{Connection: store.ConnectionID(conn.Int64), Stream: stream.String, Key: key.String}
	}
	return f, err
}

// Orders hands over the settled orders of some streams; those to nobody known under the number of their bin. The caller
// looks at the error after the sequence is done.
func (s *Store) Orders(ctx context.Context, tx store.Tx, ws store.WorkspaceID, streams []workspace.StreamID) (iter.Seq[kpi.OrderRow], *error) {
	return sequence(ctx, s.on(tx), scanOrder, `SELECT `+ownerOf("o")+`, `+orderColumns+`
		FROM sale o JOIN record r ON r.id = o.record JOIN stream st ON st.id = o.stream LEFT JOIN node n ON n.id = o.node
		WHERE o.workspace = ? AND o.stream IN (SELECT value FROM json_each(?))`, ws, jsonList(streams))
}

// Refunds hands over the settled refunds of some streams, like Orders.
func (s *Store) Refunds(ctx context.Context, tx store.Tx, ws store.WorkspaceID, streams []workspace.StreamID) (iter.Seq[kpi.RefundRow], *error) {
	return sequence(ctx, s.on(tx), scanRefund, `SELECT `+ownerOf("f")+`, `+refundColumns+`
		FROM refund f JOIN record r ON r.id = f.record JOIN stream st ON st.id = f.stream LEFT JOIN node n ON n.id = f.node LEFT JOIN stream os ON os.id = f.order_stream
		WHERE f.workspace = ? AND f.idle = 0 AND f.stream IN (SELECT value FROM json_each(?))`, ws, jsonList(streams))
}

// mine are the sales and refunds that count for the customers and bins in ?2, of the streams of orders in ?3 and of
// refunds in ?4. A refund counts for whoever its order counts for, else for its own node's customer.
var mine = `WITH asked AS MATERIALIZED (SELECT value AS id FROM json_each(?2)),
	nodes AS MATERIALIZED (SELECT n.id AS node, asked.id AS owner FROM asked CROSS JOIN node n ON n.workspace = ?1 AND n.customer = asked.id WHERE asked.id > 0),
	sales AS MATERIALIZED (
		SELECT o.record, o.part, nodes.owner FROM nodes CROSS JOIN sale o INDEXED BY sale_by_node ON o.node = nodes.node
			WHERE o.workspace = ?1 AND o.stream IN (SELECT value FROM json_each(?3))
		UNION
		SELECT o.record, o.part, asked.id FROM asked CROSS JOIN sale o ON ` + inBin("o", "asked.id") + ` LEFT JOIN node n ON n.id = o.node
			WHERE asked.id < 0 AND n.customer IS NULL AND o.workspace = ?1 AND o.stream IN (SELECT value FROM json_each(?3)))`

// ofNoOrder is the SQL that says that a refund f is linked to no sale of the ledger: neither to the first of a record nor
// to a later one, whose key is KEY#2 and so on.
const ofNoOrder = `NOT EXISTS (SELECT 1 FROM record x CROSS JOIN sale y ON y.record = x.id AND y.part = 1
	WHERE x.workspace = ?1 AND x.stream = f.order_stream AND x.key = f.order_key AND y.stream IN (SELECT value FROM json_each(?3)))
	AND NOT EXISTS (SELECT 1 FROM record x CROSS JOIN sale y ON y.record = x.id AND y.part > 1
	WHERE x.workspace = ?1 AND x.stream = f.order_stream AND x.key = ` + recordOfKey + ` AND x.key || '#' || y.part = f.order_key AND y.stream IN (SELECT value FROM json_each(?3)))`

// recordOfKey is the SQL for the record key in the key of an order that a refund f names, if that is of a later one.
const recordOfKey = `substr(f.order_key, 1, max(0, length(rtrim(f.order_key, '0123456789')) - 1))`

// RowsOf returns the orders and refunds that count for some customers and bins: what a ledger holds of them.
func (s *Store) RowsOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, orders, refunds []workspace.StreamID, ids []customer.ID) (map[customer.ID]kpi.Rows, error) {
	all := make(map[customer.ID]kpi.Rows, len(ids))
	for _, id := range ids {
		all[id] = kpi.Rows{}
	}
	args := []any{ws, jsonList(ids), jsonList(orders), jsonList(refunds)}
	sold, failed := sequence(ctx, s.on(tx), scanOrder, mine+` SELECT sales.owner, `+orderColumns+` FROM sales CROSS JOIN sale o ON o.record = sales.record AND o.part = sales.part
		CROSS JOIN record r ON r.id = o.record CROSS JOIN stream st ON st.id = o.stream WHERE ?4 IS NOT NULL`, args...)
	for row := range sold {
		rows := all[row.Customer]
		rows.Orders = append(rows.Orders, row)
		all[row.Customer] = rows
	}
	if *failed != nil {
		return nil, fmt.Errorf("reading the orders of customers: %w", *failed)
	}
	returned, failed := sequence(ctx, s.on(tx), scanRefund, mine+`,
		found AS MATERIALIZED (
			SELECT f.record, sales.owner FROM sales CROSS JOIN record x ON x.id = sales.record
				CROSS JOIN refund f INDEXED BY refund_by_order ON f.workspace = ?1 AND f.order_stream = x.stream
					AND f.order_key = CASE sales.part WHEN 1 THEN x.key ELSE x.key || '#' || sales.part END AND f.order_key IS NOT NULL
			UNION SELECT f.record, nodes.owner FROM nodes CROSS JOIN refund f INDEXED BY refund_by_node ON f.node = nodes.node WHERE f.workspace = ?1 AND `+ofNoOrder+`
			UNION SELECT f.record, asked.id FROM asked CROSS JOIN refund f NOT INDEXED ON `+inBin("f", "asked.id")+` LEFT JOIN node n ON n.id = f.node
				WHERE asked.id < 0 AND n.customer IS NULL AND f.workspace = ?1 AND `+ofNoOrder+`)
		SELECT found.owner, `+refundColumns+` FROM found CROSS JOIN refund f ON f.record = found.record CROSS JOIN record r ON r.id = f.record
			CROSS JOIN stream st ON st.id = f.stream LEFT JOIN stream os ON os.id = f.order_stream WHERE f.idle = 0 AND f.stream IN (SELECT value FROM json_each(?4))`, args...)
	for row := range returned {
		rows := all[row.Customer]
		rows.Refunds = append(rows.Refunds, row)
		all[row.Customer] = rows
	}
	if *failed != nil {
		return nil, fmt.Errorf("reading the refunds of customers: %w", *failed)
	}
	return all, nil
}

// LedgerVersion returns the version of the facts that all stored chunks have taken in. It reports false when there are
// none that were made by what hash names.
func (s *Store) LedgerVersion(ctx context.Context, tx store.Tx, ws store.WorkspaceID, hash string) (version int64, found bool, err error) {
	err = s.on(tx).QueryRowContext(ctx, `SELECT ledger_version, ledger_hash = ? FROM workspace WHERE id = ?`, hash, ws).Scan(&version, &found)
	return version, found, err
}

// LedgerChunks returns the stored chunks of the ledger.
func (s *Store) LedgerChunks(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([][]byte, error) {
	return collect(ctx, s.on(tx), scanBlob, `SELECT data FROM ledger_chunk WHERE workspace = ? ORDER BY chunk`, ws)
}

func scanBlob(rows *sql.Rows) (blob []byte, err error) { return blob, rows.Scan(&blob) }

// BeginLedger makes the caller the one who writes chunks: whoever began before gets store.ErrLeaseLost from now on.
func (s *Store) BeginLedger(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (writer int64, err error) {
	err = s.on(tx).QueryRowContext(ctx, `UPDATE workspace SET ledger_writer = ledger_writer + 1 WHERE id = ? RETURNING ledger_writer`, ws).Scan(&writer)
	return writer, err
}

func (s *Store) checkLedgerWriter(ctx context.Context, tx store.Tx, ws store.WorkspaceID, writer int64) error {
	var mine bool
	if err := s.on(tx).QueryRowContext(ctx, `SELECT ledger_writer = ? FROM workspace WHERE id = ?`, writer, ws).Scan(&mine); err != nil {
		return err
	}
	if !mine {
		return store.ErrLeaseLost
	}
	return nil
}

// DropLedger forgets the stored chunks. Those that are put after it count from SealLedger on.
func (s *Store) DropLedger(ctx context.Context, tx store.Tx, ws store.WorkspaceID) error {
	if _, err := exec(ctx, tx, `DELETE FROM ledger_chunk WHERE workspace = ?`, ws); err != nil {
		return err
	}
	_, err := exec(ctx, tx, `UPDATE workspace SET ledger_hash = '' WHERE id = ?`, ws)
	return err
}

// PutLedgerChunks stores chunks; one without data is gone.
func (s *Store) PutLedgerChunks(ctx context.Context, tx store.Tx, ws store.WorkspaceID, writer int64, chunks map[int64][]byte) error {
	if err := s.checkLedgerWriter(ctx, tx, ws, writer); err != nil {
		return err
	}
	return putChunks(ctx, tx, "ledger_chunk", ws, chunks)
}

func putChunks(ctx context.Context, tx store.Tx, table string, ws store.WorkspaceID, chunks map[int64][]byte) error {
	for chunk, data := range chunks {
		var err error
		if len(data) == 0 {
			_, err = exec(ctx, tx, `DELETE FROM `+table+` WHERE workspace = ? AND chunk = ?`, ws, chunk)
		} else {
			_, err = exec(ctx, tx, `INSERT OR REPLACE INTO `+table+` (workspace, chunk, data) VALUES (?, ?, ?)`, ws, chunk, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SealLedger says that all chunks are there, made by what hash names, and have taken in what changed up to a version.
func (s *Store) SealLedger(ctx context.Context, tx store.Tx, ws store.WorkspaceID, writer int64, hash string, version int64) error {
	if err := s.checkLedgerWriter(ctx, tx, ws, writer); err != nil {
		return err
	}
	_, err := exec(ctx, tx, `UPDATE workspace SET ledger_hash = ?, ledger_version = ? WHERE id = ?`, hash, version, ws)
	return err
}

// ScoreChunks returns the frozen scores, by chunk.
func (s *Store) ScoreChunks(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([][]byte, error) {
	return collect(ctx, s.on(tx), scanBlob, `SELECT data FROM score_chunk WHERE workspace = ? ORDER BY chunk`, ws)
}

// PutScores replaces the frozen scores.
func (s *Store) PutScores(ctx context.Context, tx store.Tx, ws store.WorkspaceID, chunks map[int64][]byte) error {
	if _, err := exec(ctx, tx, `DELETE FROM score_chunk WHERE workspace = ?`, ws); err != nil {
		return err
	}
	return putChunks(ctx, tx, "score_chunk", ws, chunks)
}

// sequence turns a query into a sequence; the pointer holds the error once the sequence is over.
func sequence[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) (iter.Seq[T], *error) {
	failed := new(error)
	return func(yield func(T) bool) {
		rows, err := q.QueryContext(ctx, query, args...)
		if err != nil {
			*failed = err
			return
		}
		defer func() {
			if err := rows.Close(); err != nil && *failed == nil {
				*failed = err
			}
		}()
		for rows.Next() {
			one, err := scan(rows)
			if err != nil {
				*failed = err
				return
			}
			if !yield(one) {
				return
			}
		}
		*failed = rows.Err()
	}, failed
}
