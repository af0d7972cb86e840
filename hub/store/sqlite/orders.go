package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// saleKey is the key of an order, of a sale o with its record r: the record's, with "#2" and so on for the later wins of
// a deal.
const saleKey = `(CASE o.part WHEN 1 THEN r.key ELSE r.key || '#' || o.part END)`

// partOf splits the key of an order of a record that gives several.
func partOf(key string) (record string, part int, ok bool) {
	i := strings.LastIndexByte(key, '#')
	if i < 0 {
		return "", 0, false
	}
	part, err := strconv.Atoi(key[i+1:])
	return key[:i], part, err == nil && part > 1
}

// PutSale implements settle.Store.
func (s *Store) PutSale(ctx context.Context, tx store.Tx, ws store.WorkspaceID, v settle.Sale) error {
	var owners, deals sql.NullInt64
	var deal sql.NullString
	if v.Owner != "" {
		id, err := s.besides(ctx, tx, ws, v.Stream, v.OwnerStream, entity.KindOwner)
		if err != nil {
			return err
		}
		owners = id
	}
	if v.Deal != nil {
		id, err := s.besides(ctx, tx, ws, v.Stream, v.Deal.Stream, entity.KindDeal)
		if err != nil {
			return err
		}
		deals, deal = id, sql.NullString{String: v.Deal.Key, Valid: true}
	}
	_, err := exec(ctx, tx, `INSERT OR REPLACE INTO sale (record, part, workspace, stream, node, ordered_at, ordered_on, date_from, sequence, amount, currency, base, converted, needs_rate, channel, owner_stream, owner, deal_stream, deal_key, city)
		VALUES (?, ?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.Record, v.Part, ws, v.Stream, v.Node, micros(v.OrderedAt), v.OrderedOn, v.DateFrom, v.Sequence, v.Amount.Minor, v.Amount.Currency, v.Base, flag(v.Converted), flag(v.NeedsRate),
		v.Channel, owners, v.Owner, deals, deal, v.City)
	if err != nil {
		return err
	}
	for i, line := range v.Lines {
		var amount sql.NullInt64
		currency := ""
		if line.Amount != nil {
			amount, currency = sql.NullInt64{Int64: line.Amount.Minor, Valid: true}, line.Amount.Currency
		}
		if _, err := exec(ctx, tx, `INSERT INTO sale_line (record, part, n, workspace, sku, name, category, quantity, amount, currency) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			v.Record, v.Part, i+1, ws, line.SKU, line.Name, line.Category, line.Quantity, amount, currency); err != nil {
			return err
		}
	}
	return nil
}

// besides is the number of a stream of the same connection as another, which a reference names.
func (s *Store) besides(ctx context.Context, tx store.Tx, ws store.WorkspaceID, of workspace.StreamID, name string, kind entity.Kind) (sql.NullInt64, error) {
	n, err := s.nameOf(ctx, tx, of)
	if err != nil {
		return sql.NullInt64{}, err
	}
	id, err := s.referredStream(ctx, tx, ws, n.connection, name, kind)
	return sql.NullInt64{Int64: int64(id), Valid: err == nil}, err
}

// DropParts implements settle.Store.
func (s *Store) DropParts(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64, kept int) error {
	_, err := exec(ctx, tx, `DELETE FROM sale WHERE record = ? AND part > ? AND workspace = ?`, record, kept, ws)
	return err
}

// OrderOf implements settle.Store.
func (s *Store) OrderOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream, key string) (settle.OrderOf, error) {
	order, err := s.orderOf(ctx, tx, ws, conn, stream, key, 1)
	if record, part, ok := partOf(key); ok && errors.Is(err, store.ErrNotFound) {
		order, err = s.orderOf(ctx, tx, ws, conn, stream, record, part)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return order, err
}

func (s *Store) orderOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream, key string, part int) (order settle.OrderOf, err error) {
	var on sql.NullInt64
	err = s.on(tx).QueryRowContext(ctx, `SELECT r.deleted = 0, o.ordered_on FROM stream st CROSS JOIN record r ON r.workspace = st.workspace AND r.stream = st.id AND r.key = ?
		LEFT JOIN sale o ON o.record = r.id AND o.part = ? WHERE st.workspace = ? AND st.connection = ? AND st.name = ?`, key, part, ws, conn, stream).Scan(&order.Live, &on)
	if errors.Is(err, sql.ErrNoRows) {
		return order, store.ErrNotFound
	}
	order.Sale, order.OrderedOn = on.Valid, entity.Date(on.Int64)
	return order, err
}

// LiveData implements settle.Store.
func (s *Store) LiveData(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream, key string) (data []byte, err error) {
	err = s.on(tx).QueryRowContext(ctx, `SELECT r.data FROM stream st CROSS JOIN record r ON r.workspace = st.workspace AND r.stream = st.id AND r.key = ? AND r.deleted = 0
		WHERE st.workspace = ? AND st.connection = ? AND st.name = ?`, key, ws, conn, stream).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	return data, err
}

// DropLines implements settle.Store.
func (s *Store) DropLines(ctx context.Context, tx store.Tx, ws store.WorkspaceID, records []int64) error {
	_, err := exec(ctx, tx, `DELETE FROM sale_line WHERE workspace = ? AND record IN (SELECT value FROM json_each(?))`, ws, jsonList(records))
	return err
}

// MarkRefunds implements settle.Store.
func (s *Store) MarkRefunds(ctx context.Context, tx store.Tx, ws store.WorkspaceID, orders []settle.OrderName) (int64, error) {
	if len(orders) == 0 {
		return 0, nil
	}
	return affected(ctx, tx, `INSERT INTO dirty (workspace, record, since)
		SELECT f.workspace, f.record, ?3 FROM json_each(?2) j
			CROSS JOIN refund f INDEXED BY refund_by_order ON f.workspace = ?1 AND f.order_stream = j.value->>'s' AND f.order_key = j.value->>'k'
			CROSS JOIN record r ON r.workspace = ?1 AND r.stream = f.order_stream AND r.key = f.order_key LEFT JOIN sale o ON o.record = r.id AND o.part = 1
		WHERE f.idle <> (r.deleted = 0 AND o.record IS NULL) OR (f.needs_rate = 1 AND f.rate_on <> coalesce(o.ordered_on, f.refunded_on))
		ON CONFLICT DO NOTHING`, ws, jsonList(orders), micros(s.clock.Now()))
}

// MarkOfDeals implements settle.Store. Refunds of later wins are few and marked in any case.
func (s *Store) MarkOfDeals(ctx context.Context, tx store.Tx, ws store.WorkspaceID, deals []settle.OrderName) (int64, error) {
	if len(deals) == 0 {
		return 0, nil
	}
	return affected(ctx, tx, `INSERT INTO dirty (workspace, record, since)
		SELECT o.workspace, o.record, ?3 FROM json_each(?2) j CROSS JOIN sale o INDEXED BY sale_by_deal ON o.workspace = ?1 AND o.deal_stream = j.value->>'s' AND o.deal_key = j.value->>'k'
		UNION ALL SELECT f.workspace, f.record, ?3 FROM json_each(?2) j CROSS JOIN refund f INDEXED BY refund_by_order
			ON f.workspace = ?1 AND f.order_stream = j.value->>'s' AND f.order_key > (j.value->>'k') || '#' AND f.order_key < (j.value->>'k') || '$'
		ON CONFLICT DO NOTHING`, ws, jsonList(deals), micros(s.clock.Now()))
}

// MarkDirty marks one record for settle; nothing happens when it is not stored.
func (s *Store) MarkDirty(ctx context.Context, tx store.Tx, ws store.WorkspaceID, stream workspace.StreamID, key string) error {
	_, err := exec(ctx, tx, `INSERT INTO dirty (workspace, record, since) SELECT workspace, id, ? FROM record WHERE workspace = ? AND stream = ? AND key = ? ON CONFLICT DO NOTHING`,
		micros(s.clock.Now()), ws, stream, key)
	return err
}

// ProductsOf returns what customers have bought in the orders of some streams, as far as these have lines: all orders
// that are not cancelled, refunded ones too. ids nil stands for everybody; customers without lines are left out.
func (s *Store) ProductsOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, streams []workspace.StreamID, ids []customer.ID) (map[customer.ID]customer.Goods, error) {
	// CROSS JOIN keeps the order of the joins: a few customers must not cost a walk over all lines.
	from, args := `FROM json_each(?2) s CROSS JOIN sale o INDEXED BY sale_by_workspace ON o.workspace = ?1 AND o.stream = s.value
		CROSS JOIN sale_line l ON l.record = o.record AND l.part = o.part CROSS JOIN node n ON n.id = o.node`, []any{ws, jsonList(streams)}
	if ids != nil {
		from = `FROM json_each(?3) j CROSS JOIN node n INDEXED BY node_by_customer ON n.workspace = ?1 AND n.customer = j.value
			CROSS JOIN sale o INDEXED BY sale_by_node ON o.node = n.id CROSS JOIN sale_line l ON l.record = o.record AND l.part = o.part`
		args = append(args, jsonList(ids))
	}
	goods := map[customer.ID]customer.Goods{}
	_, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (struct{}, error) {
		var id customer.ID
		var sku, name, category string
		err := rows.Scan(&id, &sku, &name, &category)
		g := goods[id]
		for _, product := range []string{sku, name} {
			if product != "" {
				g.Products = append(g.Products, product)
			}
		}
		if category != "" {
			g.Categories = append(g.Categories, category)
		}
		goods[id] = g
		return struct{}{}, err
	}, `SELECT DISTINCT n.customer, l.sku, l.name, l.category `+from+`
		WHERE l.workspace = ?1 AND o.workspace = ?1 AND n.workspace = ?1 AND n.customer IS NOT NULL AND o.stream IN (SELECT value FROM json_each(?2))`, args...)
	for id, g := range goods {
		slices.Sort(g.Products)
		slices.Sort(g.Categories)
		goods[id] = customer.Goods{Products: slices.Compact(g.Products), Categories: slices.Compact(g.Categories)}
	}
	return goods, err
}

// OrderDates counts the orders of some streams by the fact their date was taken from; "" stands for the source's own
// date of an order.
func (s *Store) OrderDates(ctx context.Context, ws store.WorkspaceID, streams []workspace.StreamID) (map[string]int64, error) {
	counts := map[string]int64{}
	_, err := collect(ctx, s.read, func(rows *sql.Rows) (struct{}, error) {
		var from string
		var n int64
		err := rows.Scan(&from, &n)
		counts[from] = n
		return struct{}{}, err
	}, `SELECT o.date_from, count(*) FROM sale o WHERE o.workspace = ? AND o.stream IN (SELECT value FROM json_each(?)) GROUP BY 1`, ws, jsonList(streams))
	return counts, err
}
