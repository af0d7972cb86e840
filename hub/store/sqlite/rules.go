package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// HasCustomers says whether a workspace has had a customer yet.
func (s *Store) HasCustomers(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (has bool, err error) {
	err = s.on(tx).QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM node INDEXED BY node_by_customer WHERE workspace = ? AND customer IS NOT NULL)`, ws).Scan(&has)
	return has, err
}

// SourcedNodes implements settle.PreviewStore.
func (s *Store) SourcedNodes(ctx context.Context, tx store.Tx, ws store.WorkspaceID, after settle.NodePlace, limit int) ([]settle.SourcedNode, settle.NodePlace, error) {
	type raw struct {
		node    settle.SourcedNode
		stream  workspace.StreamID
		name    []byte
		updated int64
	}
	raws, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (r raw, err error) {
		var cust sql.NullInt64
		err = rows.Scan(&r.node.ID, &r.stream, &r.node.Key.Key, &r.node.Kind, &cust, &r.node.Anonymous, &r.name, &r.node.Record, &r.updated, &r.node.Raw.Data)
		r.node.Customer = customer.ID(cust.Int64)
		return r, err
	}, `SELECT n.id, n.stream, n.key, n.kind, n.customer, n.anonymous, n.name, coalesce(r.id, 0), coalesce(r.updated_at, 0), r.data
		FROM node n LEFT JOIN record r ON r.id = n.record AND r.workspace = n.workspace AND r.deleted = 0
		WHERE n.workspace = ? AND (n.stream, n.key) > (?, ?) ORDER BY n.stream, n.key LIMIT ?`, ws, after.Stream, after.Key, limit)
	if err != nil {
		return nil, after, err
	}
	// Names are looked up after the rows are closed: the transaction has one connection.
	all := make([]settle.SourcedNode, 0, len(raws))
	for _, r := range raws {
		name, err := s.nameOf(ctx, tx, r.stream)
		if err != nil {
			return nil, after, err
		}
		node := r.node
		node.Key.Connection, node.Key.Stream = name.connection, name.name
		if node.Name, err = decodeName(r.name); err != nil {
			return nil, after, err
		}
		node.Raw.Key, node.Raw.UpdatedAt, node.Raw.Entity = node.Key, fromMicros(r.updated), entity.KindContact
		if node.Kind == customer.Company {
			node.Raw.Entity = entity.KindCompany
		}
		all = append(all, node)
		after = settle.NodePlace{Stream: r.stream, Key: node.Key.Key}
	}
	return all, after, nil
}

// IdentifierUse is how widely an address is used, and whether it joins records by the rules in force.
type IdentifierUse struct {
	identity.IdentifierStats
	Matches bool
}

// maxNames is how many different names of one address are told apart.
const maxNames = 100

// SharedIdentifiers returns the e-mail addresses, mailboxes and phone numbers that at least so many records carry. Two
// names are different when they are of different people (identity.SameName); at most maxNames are counted.
func (s *Store) SharedIdentifiers(ctx context.Context, tx store.Tx, ws store.WorkspaceID, least int) ([]IdentifierUse, error) {
	var all []IdentifierUse
	var names []entity.Name
	customers := map[int64]bool{}
	_, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (struct{}, error) {
		var kind, value string
		var cust sql.NullInt64
		var text []byte
		var matches bool
		if err := rows.Scan(&kind, &value, &matches, &cust, &text); err != nil {
			return struct{}{}, err
		}
		if n := len(all); n == 0 || all[n-1].Kind != kind || all[n-1].Value != value {
			all = append(all, IdentifierUse{IdentifierStats: identity.IdentifierStats{Kind: kind, Value: value}})
			names = names[:0]
			clear(customers)
		}
		use := &all[len(all)-1]
		use.Records++
		use.Matches = use.Matches || matches
		if cust.Valid && !customers[cust.Int64] {
			customers[cust.Int64] = true
			use.Customers++
		}
		if len(text) == 0 || len(names) >= maxNames {
			return struct{}{}, nil
		}
		var name entity.Name
		if err := json.Unmarshal(text, &name); err != nil {
			return struct{}{}, fmt.Errorf("decoding a record's name: %w", err)
		}
		for _, known := range names {
			if identity.SameName(known, name) != identity.DifferentNames {
				return struct{}{}, nil
			}
		}
		names = append(names, name)
		use.Names = len(names)
		return struct{}{}, nil
	}, `WITH shared AS MATERIALIZED (SELECT kind, namespace, value FROM identifier WHERE workspace = ?1 AND kind IN (?3, ?4, ?5)
			GROUP BY kind, namespace, value HAVING count(*) >= ?2)
		SELECT i.kind, i.value, i.matches, n.customer, n.name FROM shared f
			CROSS JOIN identifier i ON i.workspace = ?1 AND i.kind = f.kind AND i.namespace = f.namespace AND i.value = f.value
			CROSS JOIN node n ON n.id = i.node AND n.workspace = ?1
		ORDER BY i.kind, i.value, n.id`, ws, least, identity.EmailKind, identity.MailboxKind, identity.PhoneKind)
	return all, err
}
