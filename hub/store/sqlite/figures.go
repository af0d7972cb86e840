package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// Customers lists a workspace's customers, without aliases, by number. A retired one has no record left.
func (s *Store) Customers(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([]customer.Customer, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (customer.Customer, error) { return scanCustomer(rows) },
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

// MemberKeys returns the record keys of each customer as "connection.stream/key", sorted: of all customers, or, where
// among is not nil, of these.
func (s *Store) MemberKeys(ctx context.Context, ws store.WorkspaceID, among []customer.ID) (map[customer.ID][]string, error) {
	from, args := `node n`, []any{ws}
	if among != nil {
		from, args = `json_each(?2) j CROSS JOIN node n ON n.workspace = ?1 AND n.customer = j.value`, append(args, jsonList(among))
	}
	keys := map[customer.ID][]string{}
	_, err := collect(ctx, s.read, func(rows *sql.Rows) (struct{}, error) {
		var id customer.ID
		var conn, stream, key string
		err := rows.Scan(&id, &conn, &stream, &key)
		keys[id] = append(keys[id], recordName(conn, stream, key))
		return struct{}{}, err
	}, `SELECT n.customer, c.name, s.name, n.key FROM `+from+` CROSS JOIN stream s ON s.id = n.stream CROSS JOIN connection c ON c.id = s.connection
		WHERE n.workspace = ?1 AND n.customer IS NOT NULL ORDER BY 1, 2, 3, 4`, args...)
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
	// Net is the net value, in minor units, of those who entered and of members whose value changed.
	Net map[customer.ID]int64
	// Size and NetValue are the whole segment's after the change.
	Size     int
	NetValue int64
	// Baseline stores the membership without events: a first evaluation, or one after the rule changed.
	Baseline bool
	// Quiet are customers without events: who they are changed, not what they did.
	Quiet map[customer.ID]bool
	// Why says for an event, as JSON, what the rule saw; nil for nothing to say.
	Why func(customer.ID) string
}

// rows are the customers with their net value and whether they are there without an event, for json_each.
func (c MembershipChange) rows(ids []customer.ID) [][3]int64 {
	rows := make([][3]int64, 0, len(ids))
	for _, id := range ids {
		rows = append(rows, [3]int64{int64(id), c.Net[id], int64(flag(c.Baseline || c.Quiet[id]))})
	}
	return rows
}

// Members of a segment with their net value in minor units.
type memberNet struct {
	segment string
	id      customer.ID
	net     int64
}

// MembersNet returns the members of each segment with the net value they were last seen with: all members, or, where
// among is not nil, those of these numbers.
func (s *Store) MembersNet(ctx context.Context, tx store.Tx, ws store.WorkspaceID, among []customer.ID) (map[string]map[customer.ID]int64, error) {
	query, args := `SELECT segment, customer, net FROM membership WHERE workspace = ?`, []any{ws}
	if among != nil {
		query, args = `SELECT m.segment, m.customer, m.net FROM json_each(?2) j CROSS JOIN membership m INDEXED BY membership_by_customer ON m.workspace = ?1 AND m.customer = j.value`, []any{ws, jsonList(among)}
	}
	all := map[string]map[customer.ID]int64{}
	_, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (struct{}, error) {
		var m memberNet
		err := rows.Scan(&m.segment, &m.id, &m.net)
		if all[m.segment] == nil {
			all[m.segment] = map[customer.ID]int64{}
		}
		all[m.segment][m.id] = m.net
		return struct{}{}, err
	}, query, args...)
	return all, err
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
func (s *Store) SegmentStates(ctx context.Context, tx store.Tx, ws store.WorkspaceID) (map[string]SegmentState, error) {
	states := map[string]SegmentState{}
	_, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (struct{}, error) {
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
	// A first evaluation enters hundreds of thousands: they go in by one statement, not one each. Members keep the day they
	// entered on.
	members := slices.Compact(slices.Sorted(slices.Values(slices.AppendSeq(slices.Clone(c.Entered), maps.Keys(c.Net)))))
	if len(members) > 0 {
		if _, err := exec(ctx, tx, `INSERT INTO membership (workspace, segment, customer, entered_on, baseline, net)
			SELECT ?, ?, value ->> 0, ?, value ->> 2, value ->> 1 FROM json_each(?) WHERE true
			ON CONFLICT (workspace, segment, customer) DO UPDATE SET net = excluded.net WHERE net <> excluded.net`,
			ws, c.Segment, day, jsonList(c.rows(members))); err != nil {
			return err
		}
	}
	if !c.Baseline {
		for _, happened := range []struct {
			event string
			ids   []customer.ID
		}{{"entered", c.Entered}, {"left", c.Left}} {
			events := make([][2]any, 0, len(happened.ids))
			for _, id := range happened.ids {
				if c.Quiet[id] {
					continue
				}
				why := ""
				if c.Why != nil {
					why = c.Why(id)
				}
				events = append(events, [2]any{id, why})
			}
			if len(events) == 0 {
				continue
			}
			if _, err := exec(ctx, tx, `INSERT INTO membership_event (workspace, segment, customer, event, on_day, at, why)
				SELECT ?, ?, value ->> 0, ?, ?, ?, value ->> 1 FROM json_each(?)`, ws, c.Segment, happened.event, day, now, jsonList(events)); err != nil {
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

// DoubtSegment notes that a segment's members may not be those of its rule: the rule failed for somebody.
func (s *Store) DoubtSegment(ctx context.Context, tx store.Tx, ws store.WorkspaceID, segment string) error {
	_, err := exec(ctx, tx, `UPDATE segment_state SET rule_hash = '' WHERE workspace = ? AND segment = ?`, ws, segment)
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
	Segment  string
	Customer customer.ID
	Event    string
	On       entity.Date
	At       time.Time
	// Why is JSON of what the rule saw; empty where nothing is known.
	Why string
}

// MembershipEvents lists who entered and left a segment, newest first, at most limit.
func (s *Store) MembershipEvents(ctx context.Context, ws store.WorkspaceID, segment string, limit int) ([]MembershipEvent, error) {
	return collect(ctx, s.read, scanMembershipEvent,
		membershipEvents+` WHERE workspace = ? AND segment = ? ORDER BY id DESC LIMIT ?`, ws, segment, limit)
}

// MembershipEventsOf lists which segments a customer entered and left, newest first, at most limit.
func (s *Store) MembershipEventsOf(ctx context.Context, ws store.WorkspaceID, id customer.ID, limit int) ([]MembershipEvent, error) {
	return collect(ctx, s.read, scanMembershipEvent,
		membershipEvents+` WHERE workspace = ? AND customer = ? ORDER BY id DESC LIMIT ?`, ws, id, limit)
}

const membershipEvents = `SELECT segment, customer, event, on_day, at, why FROM membership_event`

func scanMembershipEvent(rows *sql.Rows) (e MembershipEvent, err error) {
	var at int64
	err = rows.Scan(&e.Segment, &e.Customer, &e.Event, &e.On, &at, &e.Why)
	e.At = fromMicros(at)
	return e, err
}
