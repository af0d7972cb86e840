package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// TakeDirty implements settle.Store.
func (s *Store) TakeDirty(ctx context.Context, tx store.Tx, ws store.WorkspaceID, limit int) ([]settle.Dirty, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (settle.Dirty, error) {
		d := settle.Dirty{Stream: workspace.Stream{Workspace: ws}}
		var updated int64
		err := rows.Scan(&d.Record, &d.Key, &d.Deleted, &updated, &d.Sequence, &d.Data, &d.Stream.ID, &d.Stream.Connection, &d.Stream.Name, &d.Stream.Entity)
		d.UpdatedAt = fromMicros(updated)
		return d, err
	}, `SELECT r.id, r.key, r.deleted, r.updated_at, r.sequence, r.data, s.id, s.connection, s.name, s.entity
		FROM dirty d CROSS JOIN record r ON r.id = d.record CROSS JOIN stream s ON s.id = r.stream WHERE d.workspace = ? ORDER BY d.record LIMIT ?`, ws, limit)
}

// ClearDirty implements settle.Store.
func (s *Store) ClearDirty(ctx context.Context, tx store.Tx, ws store.WorkspaceID, records []int64) error {
	_, err := exec(ctx, tx, `DELETE FROM dirty WHERE workspace = ? AND record IN (SELECT value FROM json_each(?))`, ws, jsonList(records))
	return err
}

// Lag is how much is waiting for settle: records, and since when the oldest waits (zero for none).
func (s *Store) Lag(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (records int64, oldest time.Time, err error) {
	var since int64
	err = s.on(tx).QueryRowContext(ctx, `SELECT count(*), coalesce(min(since), 0) FROM dirty WHERE workspace = ?`, ws).Scan(&records, &since)
	return records, fromMicros(since), err
}

func (s *Store) scanNode(ctx context.Context, tx store.Tx, r row) (settle.Node, error) {
	var n settle.Node
	var stream workspace.StreamID
	var record, cust sql.NullInt64
	var person []byte
	err := r.Scan(&n.ID, &stream, &n.Key.Key, &n.Kind, &record, &cust, &n.Quarantined, &n.Anonymous, &person)
	if errors.Is(err, sql.ErrNoRows) {
		return n, store.ErrNotFound
	}
	if err != nil {
		return n, err
	}
	if n.Name, err = decodeName(person); err != nil {
		return n, err
	}
	n.Record, n.Customer = record.Int64, customer.ID(cust.Int64)
	name, err := s.nameOf(ctx, tx, stream)
	n.Key.Connection, n.Key.Stream = name.connection, name.name
	return n, err
}

const (
	nodeFields  = `SELECT n.id, n.stream, n.key, n.kind, n.record, n.customer, n.quarantined, n.anonymous, n.name FROM `
	nodeColumns = nodeFields + `node n`
	// nodesByID begins with the list of numbers: the planner would rather walk over all nodes of the workspace.
	nodesByID = nodeFields + `json_each(?) j CROSS JOIN node n ON n.id = j.value AND n.workspace = ?`
)

// EnsureNode implements settle.Store.
func (s *Store) EnsureNode(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream, key string, kind customer.Kind) (settle.Node, error) {
	of := entity.KindContact
	if kind == customer.Company {
		of = entity.KindCompany
	}
	id, err := s.referredStream(ctx, tx, ws, conn, stream, of)
	if err != nil {
		return settle.Node{}, err
	}
	node, err := s.FindNode(ctx, tx, ws, id, key)
	if !errors.Is(err, store.ErrNotFound) {
		return node, err
	}
	node = settle.Node{Key: store.RecordKey{Connection: conn, Stream: stream, Key: key}, Kind: kind}
	err = s.on(tx).QueryRowContext(ctx, `INSERT INTO node (workspace, stream, key, kind) VALUES (?, ?, ?, ?) RETURNING id`, ws, id, key, kind).Scan(&node.ID)
	return node, err
}

// FindNode implements settle.Store.
func (s *Store) FindNode(ctx context.Context, tx store.Tx, ws store.WorkspaceID, stream workspace.StreamID, key string) (settle.Node, error) {
	return s.scanNode(ctx, tx, s.on(tx).QueryRowContext(ctx, nodeColumns+` WHERE n.workspace = ? AND n.stream = ? AND n.key = ?`, ws, stream, key))
}

// SetNodeRecord implements settle.Store.
func (s *Store) SetNodeRecord(ctx context.Context, tx store.Tx, ws store.WorkspaceID, node settle.NodeID, record int64) error {
	_, err := exec(ctx, tx, `UPDATE node SET record = nullif(?, 0) WHERE id = ? AND workspace = ?`, record, node, ws)
	return err
}

// SetAnonymous implements settle.Store.
func (s *Store) SetAnonymous(ctx context.Context, tx store.Tx, ws store.WorkspaceID, node settle.NodeID, anonymous bool) error {
	_, err := exec(ctx, tx, `UPDATE node SET anonymous = ?1, customer = CASE ?1 WHEN 1 THEN NULL ELSE customer END, quarantined = 0 WHERE id = ?2 AND workspace = ?3`, flag(anonymous), node, ws)
	return err
}

// SetNodeName implements settle.Store.
func (s *Store) SetNodeName(ctx context.Context, tx store.Tx, ws store.WorkspaceID, node settle.NodeID, name entity.Name) error {
	var text []byte
	if name != (entity.Name{}) {
		var err error
		if text, err = json.Marshal(name); err != nil {
			return err
		}
	}
	_, err := exec(ctx, tx, `UPDATE node SET name = ? WHERE id = ? AND workspace = ?`, string(text), node, ws)
	return err
}

// decodeName reads a node's name; an empty text is no name.
func decodeName(text []byte) (name entity.Name, err error) {
	if len(text) == 0 {
		return name, nil
	}
	return name, json.Unmarshal(text, &name)
}

// DeleteOrphans implements settle.Store.
func (s *Store) DeleteOrphans(ctx context.Context, tx store.Tx, ws store.WorkspaceID, nodes []settle.NodeID) ([]settle.Node, error) {
	if len(nodes) == 0 {
		return nil, nil
	}
	gone, err := s.nodes(ctx, tx, nodesByID+` WHERE n.record IS NULL
		AND NOT EXISTS (SELECT 1 FROM sale WHERE node = n.id) AND NOT EXISTS (SELECT 1 FROM refund WHERE node = n.id) AND NOT EXISTS (SELECT 1 FROM consent WHERE node = n.id)`,
		jsonList(nodes), ws)
	if err != nil {
		return nil, err
	}
	ids := make([]settle.NodeID, 0, len(gone))
	for _, n := range gone {
		ids = append(ids, n.ID)
	}
	// One by one: with a list the planner would walk over all of the workspace.
	for _, id := range ids {
		if _, err := exec(ctx, tx, `DELETE FROM identifier INDEXED BY identifier_by_node WHERE workspace = ? AND node = ?`, ws, id); err != nil {
			return nil, err
		}
		if _, err := exec(ctx, tx, `DELETE FROM node WHERE workspace = ? AND id = ?`, ws, id); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

func (s *Store) nodes(ctx context.Context, tx store.Tx, query string, args ...any) ([]settle.Node, error) {
	type raw struct {
		id           settle.NodeID
		stream       workspace.StreamID
		key          string
		kind         customer.Kind
		record, cust sql.NullInt64
		quarantined  bool
		anonymous    bool
		name         []byte
	}
	// Names are looked up after the rows are closed: the transaction has one connection.
	raws, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (r raw, err error) {
		return r, rows.Scan(&r.id, &r.stream, &r.key, &r.kind, &r.record, &r.cust, &r.quarantined, &r.anonymous, &r.name)
	}, query, args...)
	if err != nil {
		return nil, err
	}
	all := make([]settle.Node, 0, len(raws))
	for _, r := range raws {
		name, err := s.nameOf(ctx, tx, r.stream)
		if err != nil {
			return nil, err
		}
		person, err := decodeName(r.name)
		if err != nil {
			return nil, err
		}
		all = append(all, settle.Node{Name: person, ID: r.id, Key: store.RecordKey{Connection: name.connection, Stream: name.name, Key: r.key}, Kind: r.kind, Record: r.record.Int64, Customer: customer.ID(r.cust.Int64), Quarantined: r.quarantined, Anonymous: r.anonymous})
	}
	return all, nil
}

// Nodes implements settle.Store. Anonymous nodes are left out: they are no part of any customer.
func (s *Store) Nodes(ctx context.Context, tx store.Tx, ws store.WorkspaceID, nodes []settle.NodeID) ([]settle.Node, error) {
	return s.nodes(ctx, tx, nodesByID+` WHERE n.anonymous = 0 ORDER BY n.id`, jsonList(nodes), ws)
}

// NodesOf implements settle.Store.
func (s *Store) NodesOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, ids []customer.ID) ([]settle.NodeID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return collect(ctx, s.on(tx), scanNodeID, `SELECT id FROM node WHERE workspace = ? AND customer IN (SELECT value FROM json_each(?)) ORDER BY id`, ws, jsonList(ids))
}

func scanNodeID(rows *sql.Rows) (id settle.NodeID, err error) { return id, rows.Scan(&id) }

// Links implements settle.Store.
func (s *Store) Links(ctx context.Context, tx store.Tx, ws store.WorkspaceID, nodes []settle.NodeID) (map[settle.NodeID][]settle.Link, error) {
	links := map[settle.NodeID][]settle.Link{}
	_, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (struct{}, error) {
		var node settle.NodeID
		var l settle.Link
		err := rows.Scan(&node, &l.Kind, &l.Namespace, &l.Value, &l.Strong, &l.Matches)
		links[node] = append(links[node], l)
		return struct{}{}, err
	}, `SELECT i.node, i.kind, i.namespace, i.value, i.strong, i.matches FROM json_each(?) j CROSS JOIN identifier i INDEXED BY identifier_by_node
			ON i.workspace = ? AND i.node = j.value ORDER BY i.node, i.kind, i.namespace, i.value`, jsonList(nodes), ws)
	return links, err
}

// SetLinks implements settle.Store.
func (s *Store) SetLinks(ctx context.Context, tx store.Tx, ws store.WorkspaceID, node settle.NodeID, links []settle.Link) error {
	if _, err := exec(ctx, tx, `DELETE FROM identifier INDEXED BY identifier_by_node WHERE workspace = ? AND node = ?`, ws, node); err != nil {
		return err
	}
	for _, l := range links {
		if _, err := exec(ctx, tx, `INSERT INTO identifier (workspace, kind, namespace, value, node, strong, matches) VALUES (?, ?, ?, ?, ?, ?, ?)`, ws, l.Kind, l.Namespace, l.Value, node, flag(l.Strong), flag(l.Matches)); err != nil {
			return err
		}
	}
	return nil
}

// NodesWith implements settle.Store.
func (s *Store) NodesWith(ctx context.Context, tx store.Tx, ws store.WorkspaceID, ids []customer.Identifier) ([]settle.NodeID, error) {
	var all []settle.NodeID
	for _, id := range ids {
		nodes, err := collect(ctx, s.on(tx), scanNodeID, `SELECT node FROM identifier WHERE workspace = ? AND kind = ? AND namespace = ? AND value = ? AND matches = 1`, ws, id.Kind, id.Namespace, id.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, nodes...)
	}
	return all, nil
}

// Neighbours implements settle.Store.
func (s *Store) Neighbours(ctx context.Context, tx store.Tx, ws store.WorkspaceID, nodes []settle.NodeID) ([]settle.NodeID, error) {
	// CROSS JOIN keeps the order of the joins: without statistics the planner may begin with the whole workspace.
	return collect(ctx, s.on(tx), scanNodeID, `WITH f AS MATERIALIZED (SELECT value AS node FROM json_each(?2)),
			i AS MATERIALIZED (SELECT DISTINCT h.kind, h.namespace, h.value FROM f CROSS JOIN identifier h INDEXED BY identifier_by_node
				ON h.workspace = ?1 AND h.node = f.node AND h.matches = 1)
		SELECT o.node FROM i CROSS JOIN identifier o ON o.workspace = ?1 AND o.kind = i.kind AND o.namespace = i.namespace AND o.value = i.value AND o.matches = 1
		UNION SELECT o.id FROM f CROSS JOIN node n ON n.id = f.node AND n.workspace = ?1 CROSS JOIN node o ON o.workspace = ?1 AND o.customer = n.customer
		UNION SELECT b.id FROM identity_pin p CROSS JOIN node a ON a.workspace = ?1 AND a.stream = p.a_stream AND a.key = p.a_key
			CROSS JOIN node b ON b.workspace = ?1 AND b.stream = p.b_stream AND b.key = p.b_key WHERE p.workspace = ?1 AND a.id IN (SELECT node FROM f)
		UNION SELECT a.id FROM identity_pin p CROSS JOIN node b ON b.workspace = ?1 AND b.stream = p.b_stream AND b.key = p.b_key
			CROSS JOIN node a ON a.workspace = ?1 AND a.stream = p.a_stream AND a.key = p.a_key WHERE p.workspace = ?1 AND b.id IN (SELECT node FROM f)`,
		ws, jsonList(nodes))
}

// PinsAndCuts implements settle.Store.
func (s *Store) PinsAndCuts(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([]identity.Pin, []identity.Cut, error) {
	pins, err := s.recordPairs(ctx, tx, ws, "identity_pin")
	if err != nil {
		return nil, nil, err
	}
	cuts, err := s.recordPairs(ctx, tx, ws, "identity_cut")
	if err != nil {
		return nil, nil, err
	}
	var p []identity.Pin
	for _, pair := range pins {
		p = append(p, identity.Pin{A: pair[0], B: pair[1]})
	}
	var c []identity.Cut
	for _, pair := range cuts {
		c = append(c, identity.Cut{A: pair[0], B: pair[1]})
	}
	return p, c, nil
}

func (s *Store) recordPairs(ctx context.Context, tx store.Tx, ws store.WorkspaceID, table string) ([][2]store.RecordKey, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (p [2]store.RecordKey, err error) {
		return p, rows.Scan(&p[0].Connection, &p[0].Stream, &p[0].Key, &p[1].Connection, &p[1].Stream, &p[1].Key)
	}, `SELECT a.connection, a.name, p.a_key, b.connection, b.name, p.b_key FROM `+table+` p JOIN stream a ON a.id = p.a_stream JOIN stream b ON b.id = p.b_stream WHERE p.workspace = ?`, ws)
}

// Holders implements settle.Store.
func (s *Store) Holders(ctx context.Context, tx store.Tx, ws store.WorkspaceID, nodes []settle.Node, also []customer.ID) ([]identity.Holder, error) {
	ids := make([]int64, 0, len(nodes))
	members := map[customer.ID][]store.RecordKey{}
	for _, n := range nodes {
		ids = append(ids, int64(n.ID))
		if n.Customer != 0 {
			members[n.Customer] = append(members[n.Customer], n.Key) // nodes come by number: oldest first
		}
	}
	type raw struct {
		holder identity.Holder
		stream workspace.StreamID
	}
	raws, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (r raw, err error) {
		var aliasOf sql.NullInt64
		err = rows.Scan(&r.holder.ID, &r.stream, &r.holder.Anchor.Key, &aliasOf)
		r.holder.AliasOf = customer.ID(aliasOf.Int64)
		return r, err
	}, `WITH RECURSIVE
			part AS MATERIALIZED (SELECT n.id, n.stream, n.key, n.customer FROM json_each(?2) j CROSS JOIN node n ON n.id = j.value AND n.workspace = ?1),
			claim(id) AS (
				SELECT customer FROM part WHERE customer IS NOT NULL
				UNION SELECT value FROM json_each(?3)
				UNION SELECT c.id FROM part CROSS JOIN customer c INDEXED BY customer_by_anchor ON c.workspace = ?1 AND c.anchor_stream = part.stream AND c.anchor_key = part.key
				UNION SELECT c.id FROM claim CROSS JOIN customer c INDEXED BY customer_by_alias ON c.workspace = ?1 AND c.alias_of = claim.id)
		SELECT c.id, c.anchor_stream, c.anchor_key, c.alias_of FROM claim CROSS JOIN customer c ON c.id = claim.id WHERE c.workspace = ?1 ORDER BY c.id`,
		ws, jsonList(ids), jsonList(also))
	if err != nil {
		return nil, err
	}
	holders := make([]identity.Holder, 0, len(raws))
	for _, r := range raws {
		name, err := s.nameOf(ctx, tx, r.stream)
		if err != nil {
			return nil, err
		}
		r.holder.Anchor.Connection, r.holder.Anchor.Stream = name.connection, name.name
		r.holder.Members = members[r.holder.ID]
		holders = append(holders, r.holder)
	}
	return holders, nil
}

// NewCustomer implements settle.Store.
func (s *Store) NewCustomer(ctx context.Context, tx store.Tx, ws store.WorkspaceID, kind customer.Kind, anchor store.RecordKey) (id customer.ID, err error) {
	stream, err := s.streamOf(ctx, tx, ws, anchor)
	if err != nil {
		return 0, err
	}
	err = s.on(tx).QueryRowContext(ctx, `INSERT INTO customer (workspace, kind, anchor_stream, anchor_key) VALUES (?, ?, ?, ?) RETURNING id`, ws, kind, stream, anchor.Key).Scan(&id)
	return id, err
}

// SetCustomer implements settle.Store.
func (s *Store) SetCustomer(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id customer.ID, kind customer.Kind, anchor store.RecordKey) error {
	stream, err := s.streamOf(ctx, tx, ws, anchor)
	if err != nil {
		return err
	}
	_, err = exec(ctx, tx, `UPDATE customer SET kind = ?, anchor_stream = ?, anchor_key = ?, alias_of = NULL, retired = 0 WHERE id = ? AND workspace = ?`, kind, stream, anchor.Key, id, ws)
	return err
}

// SetAlias implements settle.Store.
func (s *Store) SetAlias(ctx context.Context, tx store.Tx, ws store.WorkspaceID, alias, of customer.ID) error {
	_, err := exec(ctx, tx, `UPDATE customer SET alias_of = ?, retired = 0 WHERE id = ? AND workspace = ?`, of, alias, ws)
	return err
}

// Retire implements settle.Store. The number stays, so that it can come back with its records.
func (s *Store) Retire(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id customer.ID) error {
	_, err := exec(ctx, tx, `UPDATE customer SET retired = 1, alias_of = NULL, profile = '{}' WHERE id = ? AND workspace = ?`, id, ws)
	return err
}

// SetMembers implements settle.Store.
func (s *Store) SetMembers(ctx context.Context, tx store.Tx, ws store.WorkspaceID, members []settle.Member) error {
	for _, m := range members {
		if _, err := exec(ctx, tx, `UPDATE node SET customer = ?, quarantined = ? WHERE workspace = ? AND id = ?`, m.Customer, flag(m.Quarantined), ws, m.Node); err != nil {
			return err
		}
	}
	return nil
}

// ProfileSources implements settle.Store.
func (s *Store) ProfileSources(ctx context.Context, tx store.Tx, ws store.WorkspaceID, ids []customer.ID) (map[customer.ID][]settle.RawSource, error) {
	sources := map[customer.ID][]settle.RawSource{}
	if len(ids) == 0 {
		return sources, nil
	}
	type raw struct {
		id      customer.ID
		stream  workspace.StreamID
		entity  entity.Kind
		key     string
		updated int64
		data    []byte
	}
	raws, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (r raw, err error) {
		return r, rows.Scan(&r.id, &r.stream, &r.entity, &r.key, &r.updated, &r.data)
	}, `SELECT n.customer, n.stream, s.entity, r.key, r.updated_at, r.data FROM node n JOIN record r ON r.id = n.record JOIN stream s ON s.id = n.stream
		WHERE n.workspace = ? AND n.customer IN (SELECT value FROM json_each(?)) AND r.deleted = 0`, ws, jsonList(ids))
	if err != nil {
		return nil, err
	}
	for _, r := range raws {
		name, err := s.nameOf(ctx, tx, r.stream)
		if err != nil {
			return nil, err
		}
		sources[r.id] = append(sources[r.id], settle.RawSource{
			Key: store.RecordKey{Connection: name.connection, Stream: name.name, Key: r.key}, Entity: r.entity, UpdatedAt: fromMicros(r.updated), Data: r.data,
		})
	}
	return sources, nil
}

// SetProfile implements settle.Store. An unchanged profile writes nothing (R3).
func (s *Store) SetProfile(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id customer.ID, profile customer.Profile) (bool, error) {
	b, err := json.Marshal(profile)
	if err != nil {
		return false, err
	}
	n, err := affected(ctx, tx, `UPDATE customer SET profile = ?1 WHERE id = ?2 AND workspace = ?3 AND profile <> ?1`, string(b), id, ws)
	return n > 0, err
}

// NodeOfFact implements settle.Store.
func (s *Store) NodeOfFact(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) (settle.NodeID, error) {
	var node sql.NullInt64
	err := s.on(tx).QueryRowContext(ctx, `SELECT node FROM sale WHERE record = ?1 AND workspace = ?2 UNION ALL SELECT node FROM refund WHERE record = ?1 AND workspace = ?2
		UNION ALL SELECT node FROM consent WHERE record = ?1 AND workspace = ?2`, record, ws).Scan(&node)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return settle.NodeID(node.Int64), err
}

// PutRefund implements settle.Store.
func (s *Store) PutRefund(ctx context.Context, tx store.Tx, ws store.WorkspaceID, v settle.Refund) error {
	var orders sql.NullInt64
	var order sql.NullString
	if v.OrderStream != "" {
		id, err := s.besides(ctx, tx, ws, v.Stream, v.OrderStream, entity.KindOrder)
		if err != nil {
			return err
		}
		orders, order = id, sql.NullString{String: v.OrderKey, Valid: true}
	}
	_, err := exec(ctx, tx, `INSERT OR REPLACE INTO refund (record, workspace, stream, node, order_stream, order_key, refunded_on, amount, currency, base, converted, needs_rate, rate_on, idle)
		VALUES (?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.Record, ws, v.Stream, v.Node, orders, order, v.RefundedOn, v.Amount.Minor, v.Amount.Currency, v.Base, flag(v.Converted), flag(v.NeedsRate), v.RateOn, flag(v.Idle))
	return err
}

// PutConsent implements settle.Store.
func (s *Store) PutConsent(ctx context.Context, tx store.Tx, ws store.WorkspaceID, v settle.Consent) error {
	if err := keepRefusal(ctx, tx, ws, v.Record); err != nil {
		return err
	}
	_, err := exec(ctx, tx, `INSERT OR REPLACE INTO consent (record, workspace, stream, node, email, mailbox, phone, channel, purpose, legal_entity, state, at, source, text_version, list)
		VALUES (?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.Record, ws, v.Stream, v.Node, v.Email, mailboxOf(v.Email), v.Phone, v.Channel, v.Purpose, v.LegalEntity, v.State, micros(v.At), v.Source, v.TextVersion, v.List)
	return err
}

// keepRefusal saves what a consent record refused before the record is changed or dropped. One that stays as it was
// is saved too, and then counts once: Decide takes versions of one record for what they are.
func keepRefusal(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) error {
	_, err := exec(ctx, tx, `INSERT OR IGNORE INTO refusal (workspace, stream, key, contact_stream, contact_key, email, mailbox, phone, channel, purpose, legal_entity, state, at, source, list)
		SELECT c.workspace, c.stream, r.key, coalesce(n.stream, 0), coalesce(n.key, ''), c.email, c.mailbox, c.phone, c.channel, c.purpose, c.legal_entity, c.state, c.at, c.source, c.list
		FROM consent c JOIN record r ON r.id = c.record LEFT JOIN node n ON n.id = c.node
		WHERE c.record = ? AND c.workspace = ? AND c.state NOT IN ('opted_in', 'unknown')`, record, ws)
	return err
}

// DropFact implements settle.Store.
func (s *Store) DropFact(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) error {
	if err := keepRefusal(ctx, tx, ws, record); err != nil {
		return err
	}
	for _, table := range []string{"sale", "refund", "consent"} {
		if _, err := exec(ctx, tx, `DELETE FROM `+table+` WHERE record = ? AND workspace = ?`, record, ws); err != nil {
			return err
		}
	}
	return nil
}
