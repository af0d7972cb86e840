package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// Orders hands over the settled orders of some streams. The caller looks at the error after the sequence is done.
func (s *Store) Orders(ctx context.Context, ws store.WorkspaceID, streams []workspace.StreamID) (iter.Seq[kpi.OrderRow], *error) {
	return sequence(ctx, s.read, func(rows *sql.Rows) (o kpi.OrderRow, err error) {
		var at int64
		err = rows.Scan(&o.Customer, &o.Connection, &o.Stream, &o.Key, &at, &o.On, &o.Sequence, &o.Base, &o.Converted, &o.Amount.Minor, &o.Amount.Currency, &o.Channel, &o.Owner, &o.City)
		o.At = fromMicros(at)
		return o, err
	}, `SELECT coalesce(n.customer, 0), st.connection, st.name, r.key, o.ordered_at, o.ordered_on, o.sequence, o.base, o.converted, o.amount, o.currency, o.channel, o.owner, o.city
		FROM sale o JOIN record r ON r.id = o.record JOIN stream st ON st.id = o.stream LEFT JOIN node n ON n.id = o.node
		WHERE o.workspace = ? AND o.stream IN (SELECT value FROM json_each(?))`, ws, jsonList(streams))
}

// Refunds hands over the settled refunds of some streams, like Orders.
func (s *Store) Refunds(ctx context.Context, ws store.WorkspaceID, streams []workspace.StreamID) (iter.Seq[kpi.RefundRow], *error) {
	return sequence(ctx, s.read, func(rows *sql.Rows) (f kpi.RefundRow, err error) {
		var conn sql.NullInt64
		var stream, key sql.NullString
		err = rows.Scan(&f.Customer, &f.Connection, &f.Stream, &f.Key, &f.On, &f.Base, &f.Converted, &f.Amount.Minor, &f.Amount.Currency, &conn, &stream, &key)
		if conn.Valid {
			f.Order = &store.RecordKey{Connection: store.ConnectionID(conn.Int64), Stream: stream.String, Key: key.String}
		}
		return f, err
	}, `SELECT coalesce(n.customer, 0), st.connection, st.name, r.key, f.refunded_on, f.base, f.converted, f.amount, f.currency, os.connection, os.name, f.order_key
		FROM refund f JOIN record r ON r.id = f.record JOIN stream st ON st.id = f.stream LEFT JOIN node n ON n.id = f.node LEFT JOIN stream os ON os.id = f.order_stream
		WHERE f.workspace = ? AND f.stream IN (SELECT value FROM json_each(?))`, ws, jsonList(streams))
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

// Customers lists a workspace's customers, without aliases, by number. A retired one has no record left.
func (s *Store) Customers(ctx context.Context, ws store.WorkspaceID) ([]customer.Customer, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (customer.Customer, error) { return scanCustomer(rows) },
		customerColumns+` WHERE c.workspace = ? AND c.alias_of IS NULL AND c.retired = 0 ORDER BY c.id`, ws)
}

const customerColumns = `SELECT c.id, c.kind, c.profile, s.connection, s.name, c.anchor_key FROM customer c JOIN stream s ON s.id = c.anchor_stream`

func scanCustomer(r row) (customer.Customer, error) {
	var c customer.Customer
	var profile []byte
	if err := r.Scan(&c.ID, &c.Kind, &profile, &c.Anchor.Connection, &c.Anchor.Stream, &c.Anchor.Key); err != nil {
		return c, err
	}
	return c, json.Unmarshal(profile, &c.Profile)
}

// MemberKeys returns the record keys of each customer as "connection.stream/key", sorted.
func (s *Store) MemberKeys(ctx context.Context, ws store.WorkspaceID) (map[customer.ID][]string, error) {
	keys := map[customer.ID][]string{}
	_, err := collect(ctx, s.read, func(rows *sql.Rows) (struct{}, error) {
		var id customer.ID
		var conn, stream, key string
		err := rows.Scan(&id, &conn, &stream, &key)
		keys[id] = append(keys[id], recordName(conn, stream, key))
		return struct{}{}, err
	}, `SELECT n.customer, c.name, s.name, n.key FROM node n JOIN stream s ON s.id = n.stream JOIN connection c ON c.id = s.connection
		WHERE n.workspace = ? AND n.customer IS NOT NULL ORDER BY 1, 2, 3, 4`, ws)
	return keys, err
}

// recordName is how people and exports name a record: without numbers of the store.
func recordName(connection, stream, key string) string {
	return connection + "." + stream + "/" + key
}

// Members returns the numbers of a segment's members, ascending.
func (s *Store) Members(ctx context.Context, tx store.Tx, ws store.WorkspaceID, segment string) ([]customer.ID, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (id customer.ID, err error) { return id, rows.Scan(&id) },
		`SELECT customer FROM membership WHERE workspace = ? AND segment = ? ORDER BY customer`, ws, segment)
}

// MembershipChange is what an evaluation found of one segment.
type MembershipChange struct {
	Segment       string
	RuleHash      string
	Entered, Left []customer.ID
	Size          int
	NetValue      int64 // in minor units of the workspace's currency
	// Baseline stores the membership without events: a first evaluation, or one after the rule changed.
	Baseline bool
}

// SegmentState is the last evaluation of a segment.
type SegmentState struct {
	Segment     string
	RuleHash    string
	EvaluatedOn entity.Date
	Size        int
	NetValue    int64
}

// SegmentStates lists the last evaluations by segment.
func (s *Store) SegmentStates(ctx context.Context, ws store.WorkspaceID) (map[string]SegmentState, error) {
	states := map[string]SegmentState{}
	_, err := collect(ctx, s.read, func(rows *sql.Rows) (struct{}, error) {
		var st SegmentState
		err := rows.Scan(&st.Segment, &st.RuleHash, &st.EvaluatedOn, &st.Size, &st.NetValue)
		states[st.Segment] = st
		return struct{}{}, err
	}, `SELECT segment, rule_hash, evaluated_on, size, net_value FROM segment_state WHERE workspace = ?`, ws)
	return states, err
}

// ChangeMembership stores the outcome of an evaluation. A segment whose members, rule and day stayed writes nothing.
func (s *Store) ChangeMembership(ctx context.Context, tx store.Tx, ws store.WorkspaceID, day entity.Date, c MembershipChange) error {
	now := micros(s.clock.Now())
	if len(c.Left) > 0 {
		if _, err := exec(ctx, tx, `DELETE FROM membership WHERE workspace = ? AND segment = ? AND customer IN (SELECT value FROM json_each(?))`, ws, c.Segment, jsonList(c.Left)); err != nil {
			return err
		}
	}
	if len(c.Entered) > 0 {
		if _, err := exec(ctx, tx, `INSERT INTO membership (workspace, segment, customer, entered_on, baseline) SELECT ?, ?, value, ?, ? FROM json_each(?) WHERE true ON CONFLICT DO NOTHING`,
			ws, c.Segment, day, flag(c.Baseline), jsonList(c.Entered)); err != nil {
			return err
		}
	}
	if !c.Baseline {
		for event, ids := range map[string][]customer.ID{"entered": c.Entered, "left": c.Left} {
			if len(ids) == 0 {
				continue
			}
			if _, err := exec(ctx, tx, `INSERT INTO membership_event (workspace, segment, customer, event, on_day, at) SELECT ?, ?, value, ?, ?, ? FROM json_each(?)`,
				ws, c.Segment, event, day, now, jsonList(ids)); err != nil {
				return err
			}
		}
	}
	_, err := exec(ctx, tx, `INSERT INTO segment_state (workspace, segment, rule_hash, evaluated_on, size, net_value) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (workspace, segment) DO UPDATE SET rule_hash = excluded.rule_hash, evaluated_on = excluded.evaluated_on, size = excluded.size, net_value = excluded.net_value
		WHERE rule_hash <> excluded.rule_hash OR evaluated_on <> excluded.evaluated_on OR size <> excluded.size OR net_value <> excluded.net_value`,
		ws, c.Segment, c.RuleHash, day, c.Size, c.NetValue)
	return err
}

// DropSegments forgets the memberships of segments that are not named: they are no longer defined.
func (s *Store) DropSegments(ctx context.Context, tx store.Tx, ws store.WorkspaceID, keep []string) error {
	for _, table := range []string{"membership", "segment_state"} {
		if _, err := exec(ctx, tx, `DELETE FROM `+table+` WHERE workspace = ? AND segment NOT IN (SELECT value FROM json_each(?))`, ws, jsonList(keep)); err != nil {
			return fmt.Errorf("dropping segments from %s: %w", table, err)
		}
	}
	return nil
}

// PutFigures keeps the headline figures for metrics. value is in major units; nil where undefined.
func (s *Store) PutFigures(ctx context.Context, tx store.Tx, ws store.WorkspaceID, day entity.Date, values map[string]*float64) error {
	for id, v := range values {
		if _, err := exec(ctx, tx, `INSERT INTO figure (workspace, id, on_day, value) VALUES (?, ?, ?, ?)
			ON CONFLICT (workspace, id) DO UPDATE SET on_day = excluded.on_day, value = excluded.value`, ws, id, day, v); err != nil {
			return err
		}
	}
	return nil
}

// HeadlineFigures returns the kept figures that are defined, by id.
func (s *Store) HeadlineFigures(ctx context.Context, ws store.WorkspaceID) (map[string]float64, error) {
	values := map[string]float64{}
	_, err := collect(ctx, s.read, func(rows *sql.Rows) (struct{}, error) {
		var id string
		var v float64
		err := rows.Scan(&id, &v)
		values[id] = v
		return struct{}{}, err
	}, `SELECT id, value FROM figure WHERE workspace = ? AND value IS NOT NULL`, ws)
	return values, err
}

// MembershipEvent is one customer entering or leaving a segment.
type MembershipEvent struct {
	Customer customer.ID `json:"customer"`
	Event    string      `json:"event"`
	On       entity.Date `json:"on"`
}

// MembershipEvents lists who entered and left a segment, newest first, at most limit.
func (s *Store) MembershipEvents(ctx context.Context, ws store.WorkspaceID, segment string, limit int) ([]MembershipEvent, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (e MembershipEvent, err error) {
		return e, rows.Scan(&e.Customer, &e.Event, &e.On)
	}, `SELECT customer, event, on_day FROM membership_event WHERE workspace = ? AND segment = ? ORDER BY id DESC LIMIT ?`, ws, segment, limit)
}
