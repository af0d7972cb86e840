package sqlite

import (
	"context"
	"database/sql"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
)

// ownerOf is the SQL for whom a sale or refund counts: the customer of its node, joined as n, else, for one to nobody known, the bin
// of records it lies in. Bins are small, so that a change among such sales costs no more than one among a customer's.
func ownerOf(fact string) string {
	return `coalesce(n.customer, -1 - (` + fact + `.record >> 10))`
}

// inBin is the SQL that says that a fact's record lies in a bin.
func inBin(fact, bin string) string {
	return fact + `.record BETWEEN (-1 - ` + bin + `) << 10 AND ((-` + bin + `) << 10) - 1`
}

// OwnersOfFacts implements settle.Store.
func (s *Store) OwnersOfFacts(ctx context.Context, tx store.Tx, ws store.WorkspaceID, records []int64) ([]customer.ID, error) {
	return collect(ctx, s.on(tx), scanCustomerID, `WITH taken AS MATERIALIZED (SELECT value AS id FROM json_each(?2))
		SELECT `+ownerOf("o")+` FROM taken CROSS JOIN sale o ON o.record = taken.id LEFT JOIN node n ON n.id = o.node WHERE o.workspace = ?1
		UNION SELECT `+ownerOf("f")+` FROM taken CROSS JOIN refund f ON f.record = taken.id LEFT JOIN node n ON n.id = f.node WHERE f.workspace = ?1
		UNION SELECT `+ownerOf("o")+` FROM taken CROSS JOIN refund f ON f.record = taken.id
			CROSS JOIN record r ON r.workspace = ?1 AND r.stream = f.order_stream AND r.key IN (f.order_key, `+recordOfKey+`)
			CROSS JOIN sale o ON o.record = r.id LEFT JOIN node n ON n.id = o.node WHERE f.workspace = ?1
		UNION SELECT `+ownerOf("f")+` FROM taken CROSS JOIN record r ON r.id = taken.id
			CROSS JOIN refund f INDEXED BY refund_by_order ON f.workspace = ?1 AND f.order_stream = r.stream AND f.order_key = r.key AND f.order_key IS NOT NULL
			LEFT JOIN node n ON n.id = f.node
		UNION SELECT `+ownerOf("f")+` FROM taken CROSS JOIN record r ON r.id = taken.id
			CROSS JOIN refund f INDEXED BY refund_by_order ON f.workspace = ?1 AND f.order_stream = r.stream AND f.order_key > r.key || '#' AND f.order_key < r.key || '$'
				AND f.order_key IS NOT NULL LEFT JOIN node n ON n.id = f.node
		UNION SELECT n.customer FROM taken CROSS JOIN consent c ON c.record = taken.id CROSS JOIN node n ON n.id = c.node
			WHERE c.workspace = ?1 AND n.customer IS NOT NULL
		`+consentsBy("email")+consentsBy("mailbox")+consentsBy("phone"),
		ws, jsonList(records))
}

// consentsBy is the SQL for the customers whose address of a kind a consent record names.
func consentsBy(kind string) string {
	return ` UNION SELECT n.customer FROM taken CROSS JOIN consent c ON c.record = taken.id AND c.` + kind + ` <> ''
		CROSS JOIN identifier i ON i.workspace = ?1 AND i.kind = '` + kind + `' AND i.namespace = '' AND i.value = c.` + kind + `
		CROSS JOIN node n ON n.id = i.node WHERE c.workspace = ?1 AND n.customer IS NOT NULL`
}

func scanCustomerID(rows *sql.Rows) (id customer.ID, err error) { return id, rows.Scan(&id) }

// OwnersOfNode implements settle.Store.
func (s *Store) OwnersOfNode(ctx context.Context, tx store.Tx, ws store.WorkspaceID, node settle.NodeID) ([]customer.ID, error) {
	return collect(ctx, s.on(tx), scanCustomerID, `SELECT `+ownerOf("o")+` FROM node n CROSS JOIN sale o INDEXED BY sale_by_node ON o.node = n.id WHERE n.id = ?2 AND o.workspace = ?1
		UNION SELECT `+ownerOf("f")+` FROM node n CROSS JOIN refund f INDEXED BY refund_by_node ON f.node = n.id WHERE n.id = ?2 AND f.workspace = ?1`, ws, node)
}

// MarkChanged implements settle.Store.
func (s *Store) MarkChanged(ctx context.Context, tx store.Tx, ws store.WorkspaceID, changed []settle.Changed) error {
	for _, c := range changed {
		// Whether identity changed is remembered until a refresh has taken it in.
		if _, err := exec(ctx, tx, `INSERT INTO changed_customer (workspace, customer, version, identity) SELECT id, ?2, facts_version + 1, ?3 FROM workspace WHERE id = ?1
			ON CONFLICT (workspace, customer) DO UPDATE SET version = excluded.version, identity = max(excluded.identity,
				CASE WHEN changed_customer.version > (SELECT refreshed_version FROM workspace WHERE id = ?1) THEN changed_customer.identity ELSE 0 END)`,
			ws, c.Customer, flag(c.Identity)); err != nil {
			return err
		}
	}
	return nil
}

// ChangedSince lists whose facts changed after a version, ascending, and whether who they are did; bins of sales to
// nobody are negative. It reports false when what changed so long ago is not known any more.
func (s *Store) ChangedSince(ctx context.Context, tx store.Tx, ws store.WorkspaceID, version int64) (changed []settle.Changed, known bool, err error) {
	if err := s.on(tx).QueryRowContext(ctx, `SELECT changes_from <= ? FROM workspace WHERE id = ?`, version, ws).Scan(&known); err != nil || !known {
		return nil, false, err
	}
	changed, err = collect(ctx, s.on(tx), func(rows *sql.Rows) (c settle.Changed, err error) { return c, rows.Scan(&c.Customer, &c.Identity) },
		`SELECT customer, identity FROM changed_customer WHERE workspace = ? AND version > ? ORDER BY customer`, ws, version)
	return changed, true, err
}

// ForgetChanges drops what changed up to a version, once the chunks and the memberships have taken it in.
func (s *Store) ForgetChanges(ctx context.Context, tx store.Tx, ws store.WorkspaceID, version int64) error {
	if _, err := exec(ctx, tx, `DELETE FROM changed_customer WHERE workspace = ?1 AND version <= min(?2, (SELECT refreshed_version FROM workspace WHERE id = ?1))`, ws, version); err != nil {
		return err
	}
	_, err := exec(ctx, tx, `UPDATE workspace SET changes_from = max(changes_from, min(?2, refreshed_version)) WHERE id = ?1`, ws, version)
	return err
}
