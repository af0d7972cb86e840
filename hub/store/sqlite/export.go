package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// ResolveCustomer returns the customer a number stands for now, following aliases; store.ErrNotFound for a number
// never given.
func (s *Store) ResolveCustomer(ctx context.Context, ws store.WorkspaceID, id customer.ID) (customer.ID, error) {
	var now customer.ID
	err := s.read.QueryRowContext(ctx, `WITH RECURSIVE chain(id, alias_of, depth) AS (
			SELECT id, alias_of, 0 FROM customer WHERE workspace = ?1 AND id = ?2
			UNION ALL SELECT c.id, c.alias_of, depth + 1 FROM chain JOIN customer c ON c.id = chain.alias_of AND c.workspace = ?1 WHERE depth < 100)
		SELECT id FROM chain WHERE alias_of IS NULL`, ws, id).Scan(&now)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	return now, err
}

// CountCustomers counts the customers that have a record or a reference.
func (s *Store) CountCustomers(ctx context.Context, ws store.WorkspaceID) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT count(*) FROM customer WHERE workspace = ? AND alias_of IS NULL AND retired = 0`, ws).Scan(&n)
	return n, err
}

// FindCustomers returns the customers on whose records an identifier's value or a record key stands.
func (s *Store) FindCustomers(ctx context.Context, ws store.WorkspaceID, values []string) ([]customer.ID, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (id customer.ID, err error) { return id, rows.Scan(&id) },
		`SELECT n.customer FROM identifier i JOIN node n ON n.id = i.node WHERE i.workspace = ?1 AND i.kind IN (SELECT DISTINCT kind FROM identifier WHERE workspace = ?1)
				AND i.value IN (SELECT value FROM json_each(?2)) AND n.customer IS NOT NULL
			UNION SELECT customer FROM node WHERE workspace = ?1 AND key IN (SELECT value FROM json_each(?2)) AND customer IS NOT NULL ORDER BY 1`, ws, jsonList(values))
}

// Customer returns one customer that is no alias; store.ErrNotFound when there is none.
func (s *Store) Customer(ctx context.Context, ws store.WorkspaceID, id customer.ID) (customer.Customer, error) {
	c, err := scanCustomer(s.read.QueryRowContext(ctx, customerColumns+` WHERE c.workspace = ? AND c.id = ?`, ws, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	return c, err
}

// KeysOf returns the record keys of one customer, sorted.
func (s *Store) KeysOf(ctx context.Context, ws store.WorkspaceID, id customer.ID) ([]string, error) {
	return collect(ctx, s.read, scanRecordName, `SELECT c.name, s.name, n.key FROM node n JOIN stream s ON s.id = n.stream JOIN connection c ON c.id = s.connection
		WHERE n.workspace = ? AND n.customer = ? ORDER BY 1, 2, 3`, ws, id)
}

func scanRecordName(rows *sql.Rows) (string, error) {
	var conn, stream, key string
	err := rows.Scan(&conn, &stream, &key)
	return recordName(conn, stream, key), err
}

// SegmentsOf returns the segments a customer belongs to, sorted.
func (s *Store) SegmentsOf(ctx context.Context, ws store.WorkspaceID, id customer.ID) ([]string, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (segment string, err error) { return segment, rows.Scan(&segment) },
		`SELECT segment FROM membership WHERE workspace = ? AND customer = ? ORDER BY 1`, ws, id)
}

// ExportCanonical writes all that is known of a workspace as sorted JSON lines, without numbers of the store and
// without times of the hub: two stores that went through the same data by different ways give the same bytes (R1,
// R2). Customers are named by their record keys.
func (s *Store) ExportCanonical(ctx context.Context, ws store.WorkspaceID, to io.Writer) (err error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	out := bufio.NewWriter(to)
	names, err := s.exportCustomers(ctx, tx, ws, out)
	if err != nil {
		return fmt.Errorf("exporting customers: %w", err)
	}
	for _, part := range []struct {
		what  string
		write func(context.Context, *sql.Tx, store.WorkspaceID, map[customer.ID]string, *bufio.Writer) error
	}{
		{"orders", exportOrders},
		{"refunds", exportRefunds},
		{"consents", exportConsents},
		{"refusals", exportRefusals},
		{"rates", exportRates},
		{"ownership", exportOwnership},
		{"memberships", exportMemberships},
		{"sent ledger", exportSent},
		{"dead letters", exportDeadLetters},
	} {
		if err := part.write(ctx, tx, ws, names, out); err != nil {
			return fmt.Errorf("exporting %s: %w", part.what, err)
		}
	}
	return out.Flush()
}

// exportCustomers writes customers and returns the name of each: its smallest record key.
func (s *Store) exportCustomers(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID, out *bufio.Writer) (map[customer.ID]string, error) {
	type line struct {
		Type    string          `json:"type"`
		Keys    []string        `json:"keys"`
		Kind    customer.Kind   `json:"kind"`
		Profile json.RawMessage `json:"profile"`
	}
	keys := map[customer.ID][]string{}
	_, err := collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
		var id customer.ID
		var conn, stream, key string
		err := rows.Scan(&id, &conn, &stream, &key)
		keys[id] = append(keys[id], recordName(conn, stream, key))
		return struct{}{}, err
	}, `SELECT n.customer, c.name, s.name, n.key FROM node n JOIN stream s ON s.id = n.stream JOIN connection c ON c.id = s.connection WHERE n.workspace = ? AND n.customer IS NOT NULL`, ws)
	if err != nil {
		return nil, err
	}
	names := make(map[customer.ID]string, len(keys))
	for id, list := range keys {
		slices.Sort(list)
		names[id] = list[0]
	}
	lines, err := collect(ctx, tx, func(rows *sql.Rows) (l line, err error) {
		var id customer.ID
		var profile string
		err = rows.Scan(&id, &l.Kind, &profile)
		l.Type, l.Keys, l.Profile = "customer", keys[id], json.RawMessage(profile)
		return l, err
	}, `SELECT id, kind, profile FROM customer WHERE workspace = ? AND alias_of IS NULL AND retired = 0`, ws)
	if err != nil {
		return nil, err
	}
	return names, writeSorted(out, lines)
}

func exportOrders(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID, names map[customer.ID]string, out *bufio.Writer) error {
	type line struct {
		Type      string      `json:"type"`
		Key       string      `json:"key"`
		Customer  string      `json:"customer,omitempty"`
		OrderedOn entity.Date `json:"ordered_on"`
		OrderedAt string      `json:"ordered_at,omitempty"`
		DateFrom  string      `json:"date_from,omitempty"`
		Sequence  int64       `json:"sequence"`
		Amount    string      `json:"amount"`
		Currency  string      `json:"currency"`
		Base      *int64      `json:"base,omitempty"` // minor units of the workspace's currency, where a rate was needed and found
		Channel   string      `json:"channel,omitempty"`
		Owner     string      `json:"owner,omitempty"`
		City      string      `json:"city,omitempty"`
		Lines     []saleLine  `json:"lines,omitempty"`
	}
	goods, err := saleLines(ctx, tx, ws)
	if err != nil {
		return err
	}
	lines, err := collect(ctx, tx, func(rows *sql.Rows) (l line, err error) {
		var id customer.ID
		var conn, stream, key string
		var at, minor int64
		var base sql.NullInt64
		var part salePart
		err = rows.Scan(&id, &conn, &stream, &key, &at, &l.OrderedOn, &l.Sequence, &minor, &l.Currency, &l.Channel, &l.Owner, &l.City, &l.DateFrom, &base, &part.record, &part.part)
		if base.Valid {
			l.Base = &base.Int64
		}
		l.Lines = goods[part]
		l.Type, l.Key, l.Customer, l.Amount = "order", recordName(conn, stream, key), names[id], entity.FormatMinor(minor, l.Currency)
		if at != 0 {
			l.OrderedAt = fromMicros(at).Format("2006-01-02T15:04:05.999999Z07:00")
		}
		return l, err
	}, `SELECT coalesce(n.customer, 0), c.name, st.name, `+saleKey+`, o.ordered_at, o.ordered_on, o.sequence, o.amount, o.currency, o.channel, o.owner, o.city, o.date_from,
			CASE WHEN o.needs_rate = 1 AND o.converted = 1 THEN o.base END, o.record, o.part
		FROM sale o JOIN record r ON r.id = o.record JOIN stream st ON st.id = o.stream JOIN connection c ON c.id = st.connection LEFT JOIN node n ON n.id = o.node WHERE o.workspace = ?`, ws)
	if err != nil {
		return err
	}
	return writeSorted(out, lines)
}

func exportRefunds(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID, names map[customer.ID]string, out *bufio.Writer) error {
	type line struct {
		Type       string      `json:"type"`
		Key        string      `json:"key"`
		Customer   string      `json:"customer,omitempty"`
		Order      string      `json:"order,omitempty"`
		RefundedOn entity.Date `json:"refunded_on"`
		Amount     string      `json:"amount"`
		Currency   string      `json:"currency"`
		Base       *int64      `json:"base,omitempty"`
		Idle       bool        `json:"idle,omitempty"`
	}
	lines, err := collect(ctx, tx, func(rows *sql.Rows) (l line, err error) {
		var id customer.ID
		var conn, stream, key string
		var orderStream, orderKey sql.NullString
		var minor int64
		var base sql.NullInt64
		err = rows.Scan(&id, &conn, &stream, &key, &orderStream, &orderKey, &l.RefundedOn, &minor, &l.Currency, &base, &l.Idle)
		if base.Valid {
			l.Base = &base.Int64
		}
		l.Type, l.Key, l.Customer, l.Amount = "refund", recordName(conn, stream, key), names[id], entity.FormatMinor(minor, l.Currency)
		if orderStream.Valid {
			l.Order = recordName(conn, orderStream.String, orderKey.String)
		}
		return l, err
	}, `SELECT coalesce(n.customer, 0), c.name, st.name, r.key, os.name, f.order_key, f.refunded_on, f.amount, f.currency,
			CASE WHEN f.needs_rate = 1 AND f.converted = 1 THEN f.base END, f.idle
		FROM refund f JOIN record r ON r.id = f.record JOIN stream st ON st.id = f.stream JOIN connection c ON c.id = st.connection
		LEFT JOIN node n ON n.id = f.node LEFT JOIN stream os ON os.id = f.order_stream WHERE f.workspace = ?`, ws)
	if err != nil {
		return err
	}
	return writeSorted(out, lines)
}

// salePart names one order of a record.
type salePart struct{ record, part int64 }

type saleLine struct {
	SKU      string `json:"sku,omitempty"`
	Name     string `json:"name,omitempty"`
	Category string `json:"category,omitempty"`
	Quantity string `json:"quantity,omitempty"`
	Amount   string `json:"amount,omitempty"`
	Currency string `json:"currency,omitempty"`
}

// saleLines are the lines of orders in their order.
func saleLines(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID) (map[salePart][]saleLine, error) {
	lines := map[salePart][]saleLine{}
	_, err := collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
		var part salePart
		var l saleLine
		var minor sql.NullInt64
		err := rows.Scan(&part.record, &part.part, &l.SKU, &l.Name, &l.Category, &l.Quantity, &minor, &l.Currency)
		if minor.Valid {
			l.Amount = entity.FormatMinor(minor.Int64, l.Currency)
		}
		lines[part] = append(lines[part], l)
		return struct{}{}, err
	}, `SELECT l.record, l.part, l.sku, l.name, l.category, l.quantity, l.amount, l.currency FROM sale o INDEXED BY sale_by_workspace
		CROSS JOIN sale_line l ON l.record = o.record AND l.part = o.part WHERE o.workspace = ? ORDER BY l.record, l.part, l.n`, ws)
	return lines, err
}

func exportRates(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID, _ map[customer.ID]string, out *bufio.Writer) error {
	type line struct {
		Type string      `json:"type"`
		Key  string      `json:"key"`
		On   entity.Date `json:"on"`
		From string      `json:"from"`
		To   string      `json:"to"`
		Rate string      `json:"rate"`
	}
	lines, err := collect(ctx, tx, func(rows *sql.Rows) (l line, err error) {
		var conn, stream, key string
		err = rows.Scan(&conn, &stream, &key, &l.On, &l.From, &l.To, &l.Rate)
		l.Type, l.Key = "rate", recordName(conn, stream, key)
		return l, err
	}, `SELECT c.name, st.name, r.key, t.on_day, t.from_currency, t.to_currency, t.value
		FROM rate t JOIN record r ON r.id = t.record JOIN stream st ON st.id = r.stream JOIN connection c ON c.id = st.connection WHERE t.workspace = ?`, ws)
	if err != nil {
		return err
	}
	return writeSorted(out, lines)
}

func exportOwnership(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID, _ map[customer.ID]string, out *bufio.Writer) error {
	type line struct {
		Type    string `json:"type"`
		Key     string `json:"key"`
		Subject string `json:"subject"`
		From    string `json:"from,omitempty"`
		To      string `json:"to,omitempty"`
		At      string `json:"at"`
	}
	lines, err := collect(ctx, tx, func(rows *sql.Rows) (l line, err error) {
		var conn, stream, key string
		var subject, from, to entity.Ref
		var at int64
		err = rows.Scan(&conn, &stream, &key, &subject.Stream, &subject.Key, &from.Stream, &from.Key, &to.Stream, &to.Key, &at)
		l.Type, l.Key, l.Subject, l.At = "ownership", recordName(conn, stream, key), recordName(conn, subject.Stream, subject.Key), fromMicros(at).Format("2006-01-02T15:04:05.999999Z07:00")
		if from.Key != "" {
			l.From = recordName(conn, from.Stream, from.Key)
		}
		if to.Key != "" {
			l.To = recordName(conn, to.Stream, to.Key)
		}
		return l, err
	}, `SELECT c.name, st.name, r.key, w.subject_stream, w.subject_key, w.before_stream, w.before_key, w.owner_stream, w.owner_key, w.at
		FROM ownership w JOIN record r ON r.id = w.record JOIN stream st ON st.id = r.stream JOIN connection c ON c.id = st.connection WHERE w.workspace = ?`, ws)
	if err != nil {
		return err
	}
	return writeSorted(out, lines)
}

func exportConsents(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID, names map[customer.ID]string, out *bufio.Writer) error {
	type line struct {
		Type        string `json:"type"`
		Key         string `json:"key"`
		Customer    string `json:"customer,omitempty"`
		Email       string `json:"email,omitempty"`
		Phone       string `json:"phone,omitempty"`
		Channel     string `json:"channel"`
		Purpose     string `json:"purpose,omitempty"`
		LegalEntity string `json:"legal_entity,omitempty"`
		State       string `json:"state"`
		At          string `json:"at,omitempty"`
		Source      string `json:"source,omitempty"`
		TextVersion string `json:"text_version,omitempty"`
		List        string `json:"list,omitempty"`
	}
	lines, err := collect(ctx, tx, func(rows *sql.Rows) (l line, err error) {
		var id customer.ID
		var conn, stream, key string
		var at int64
		err = rows.Scan(&id, &conn, &stream, &key, &l.Email, &l.Phone, &l.Channel, &l.Purpose, &l.LegalEntity, &l.State, &at, &l.Source, &l.TextVersion, &l.List)
		l.Type, l.Key, l.Customer = "consent", recordName(conn, stream, key), names[id]
		if at != 0 {
			l.At = fromMicros(at).Format("2006-01-02T15:04:05.999999Z07:00")
		}
		return l, err
	}, `SELECT coalesce(n.customer, 0), c.name, st.name, r.key, o.email, o.phone, o.channel, o.purpose, o.legal_entity, o.state, o.at, o.source, o.text_version, o.list
		FROM consent o JOIN record r ON r.id = o.record JOIN stream st ON st.id = o.stream JOIN connection c ON c.id = st.connection LEFT JOIN node n ON n.id = o.node WHERE o.workspace = ?`, ws)
	if err != nil {
		return err
	}
	return writeSorted(out, lines)
}

// exportRefusals writes refusals whose records are gone or have changed.
func exportRefusals(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID, _ map[customer.ID]string, out *bufio.Writer) error {
	type line struct {
		Type    string `json:"type"`
		Key     string `json:"key"`
		Contact string `json:"contact,omitempty"`
		Email   string `json:"email,omitempty"`
		Phone   string `json:"phone,omitempty"`
		Channel string `json:"channel"`
		Purpose string `json:"purpose,omitempty"`
		State   string `json:"state"`
		At      string `json:"at,omitempty"`
		List    string `json:"list,omitempty"`
	}
	lines, err := collect(ctx, tx, func(rows *sql.Rows) (l line, err error) {
		var conn, stream, key string
		var contactStream sql.NullString
		var contactKey string
		var at int64
		err = rows.Scan(&conn, &stream, &key, &contactStream, &contactKey, &l.Email, &l.Phone, &l.Channel, &l.Purpose, &l.State, &at, &l.List)
		l.Type, l.Key = "refusal", recordName(conn, stream, key)
		if contactStream.Valid {
			l.Contact = recordName(conn, contactStream.String, contactKey)
		}
		if at != 0 {
			l.At = fromMicros(at).Format("2006-01-02T15:04:05.999999Z07:00")
		}
		return l, err
	}, `SELECT c.name, s.name, f.key, cs.name, f.contact_key, f.email, f.phone, f.channel, f.purpose, f.state, f.at, f.list
		FROM refusal f JOIN stream s ON s.id = f.stream JOIN connection c ON c.id = s.connection LEFT JOIN stream cs ON cs.id = f.contact_stream
		WHERE f.workspace = ?1 AND NOT EXISTS (SELECT 1 FROM consent o JOIN record r ON r.id = o.record
			WHERE o.workspace = ?1 AND o.stream = f.stream AND r.key = f.key AND o.state = f.state AND o.at = f.at)`, ws)
	if err != nil {
		return err
	}
	return writeSorted(out, lines)
}

func exportMemberships(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID, names map[customer.ID]string, out *bufio.Writer) error {
	type line struct {
		Type     string `json:"type"`
		Segment  string `json:"segment"`
		Customer string `json:"customer"`
	}
	lines, err := collect(ctx, tx, func(rows *sql.Rows) (l line, err error) {
		var id customer.ID
		err = rows.Scan(&l.Segment, &id)
		l.Type, l.Customer = "membership", names[id]
		return l, err
	}, `SELECT segment, customer FROM membership WHERE workspace = ?`, ws)
	if err != nil {
		return err
	}
	return writeSorted(out, lines)
}

func exportSent(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID, names map[customer.ID]string, out *bufio.Writer) error {
	type line struct {
		Type       string `json:"type"`
		Connection string `json:"connection"`
		Target     string `json:"target"`
		Identity   string `json:"identity"`
		Activation string `json:"activation"`
		Customer   string `json:"customer"`
		Payload    string `json:"payload"`
	}
	lines, err := collect(ctx, tx, func(rows *sql.Rows) (l line, err error) {
		var id customer.ID
		err = rows.Scan(&l.Connection, &l.Target, &l.Identity, &l.Activation, &id, &l.Payload)
		l.Type, l.Customer = "sent", names[id]
		return l, err
	}, `SELECT c.name, s.target, s.identity, s.activation, s.customer, s.payload_hash FROM sent s JOIN connection c ON c.id = s.connection WHERE s.workspace = ?`, ws)
	if err != nil {
		return err
	}
	return writeSorted(out, lines)
}

// exportDeadLetters leaves out what settle had against versions of records that have gone: whether it ever saw them
// depends on when it ran.
func exportDeadLetters(ctx context.Context, tx *sql.Tx, ws store.WorkspaceID, _ map[customer.ID]string, out *bufio.Writer) error {
	type line struct {
		Type  string `json:"type"`
		Key   string `json:"key"`
		Rule  string `json:"rule"`
		State string `json:"state"`
		Raw   string `json:"raw"`
	}
	lines, err := collect(ctx, tx, func(rows *sql.Rows) (l line, err error) {
		var conn, stream, key string
		err = rows.Scan(&conn, &stream, &key, &l.Rule, &l.State, &l.Raw)
		l.Type, l.Key = "dead_letter", recordName(conn, stream, key)
		return l, err
	}, `SELECT c.name, s.name, d.key, d.rule, d.state, coalesce(CAST(d.raw AS TEXT), '') FROM dead_letter d JOIN stream s ON s.id = d.stream JOIN connection c ON c.id = s.connection
		WHERE d.workspace = ? AND NOT (d.run = 0 AND d.state = 'resolved')`, ws)
	if err != nil {
		return err
	}
	return writeSorted(out, lines)
}

// writeSorted writes items as JSON lines in the order of their bytes.
func writeSorted[T any](out *bufio.Writer, items []T) error {
	lines := make([][]byte, 0, len(items))
	for _, item := range items {
		var line bytes.Buffer
		enc := json.NewEncoder(&line)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(item); err != nil {
			return err
		}
		lines = append(lines, line.Bytes())
	}
	slices.SortFunc(lines, bytes.Compare)
	for _, line := range lines {
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return nil
}
