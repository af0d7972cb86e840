package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/regulars/regulars/hub/activation"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

// lookUp is how many keys one look-up hands over at once: enough for few queries, little enough for short ones.
const lookUp = 20_000

// consentTable is a table of consent records, as c: the columns of a record beside the key that it is looked up for,
// and the tables these need.
type consentTable struct{ name, columns, joins, contact string }

var consentTables = []consentTable{
	{
		name:    `consent`,
		columns: `s.connection, s.name, r.key, ns.connection, ns.name, n.key, c.email, c.phone, c.channel, c.purpose, c.legal_entity, c.state, c.at, c.source, c.text_version, c.list`,
		joins:   `CROSS JOIN record r ON r.id = c.record CROSS JOIN stream s ON s.id = c.stream LEFT JOIN node n ON n.id = c.node LEFT JOIN stream ns ON ns.id = n.stream`,
		contact: `c.node = o.id`,
	},
	{ // refusals that their record no longer holds
		name:    `refusal`,
		columns: `s.connection, s.name, c.key, ns.connection, ns.name, nullif(c.contact_key, ''), c.email, c.phone, c.channel, c.purpose, c.legal_entity, c.state, c.at, c.source, '', c.list`,
		joins:   `CROSS JOIN stream s ON s.id = c.stream LEFT JOIN stream ns ON ns.id = c.contact_stream`,
		contact: `c.workspace = ?1 AND c.contact_stream = o.stream AND c.contact_key = o.key AND c.contact_key <> ''`,
	},
}

// scanConsent reads a row of a key and a consentTable's columns.
func scanConsent[K any](rows *sql.Rows, key *K) (consent.Record, error) {
	var r consent.Record
	var connection sql.NullInt64
	var stream, contact sql.NullString
	var at int64
	err := rows.Scan(key, &r.Key.Connection, &r.Key.Stream, &r.Key.Key, &connection, &stream, &contact,
		&r.Email, &r.Phone, &r.Channel, &r.Purpose, &r.LegalEntity, &r.State, &at, &r.Source, &r.TextVersion, &r.List)
	r.At = fromMicros(at)
	if contact.Valid {
		r.Contact = &store.RecordKey{Connection: store.ConnectionID(connection.Int64), Stream: stream.String, Key: contact.String}
	}
	return r, err
}

// scanRemoteConsent reads a row of a key and a destination's word on an address.
func scanRemoteConsent[K any](rows *sql.Rows, key *K) (consent.Record, error) {
	var r consent.Record
	var target, address string
	var at int64
	if err := rows.Scan(key, &r.Key.Connection, &target, &r.Channel, &address, &r.State, &at); err != nil {
		return r, err
	}
	r.At = fromMicros(at)
	r.Key.Stream, r.Key.Key = connector.MembersStream, target+"/"+address
	switch {
	case len(address) > 4 && address[:4] == "key:": // no address of a person has a colon
	case address != "" && address[0] == '+':
		r.Phone = address
	default:
		r.Email = address
	}
	return r, nil
}

// Consents returns what is known of customers' permissions and refusals: consent records about their records,
// consent records about their addresses from whatever connection, refusals whose records are gone, and what
// destinations said of their addresses.
func (s *Store) Consents(ctx context.Context, tx store.Tx, ws store.WorkspaceID, ids []customer.ID) (map[customer.ID][]consent.Record, error) {
	const nodes = ` FROM json_each(?2) j CROSS JOIN node o ON o.workspace = ?1 AND o.customer = j.value `
	const address = `CROSS JOIN identifier i INDEXED BY identifier_by_node ON i.workspace = ?1 AND i.node = o.id AND i.kind `
	found := make(map[customer.ID][]consent.Record, len(ids))
	for part := range slices.Chunk(ids, lookUp) {
		list := jsonList(part)
		for _, t := range consentTables {
			for _, from := range []string{
				`CROSS JOIN ` + t.name + ` c ON ` + t.contact,
				// By the address itself, and by its mailbox, which other spellings share. An address whose mailbox has one
				// spelling is its own mailbox.
				address + `IN ('email', 'mailbox') CROSS JOIN ` + t.name + ` c ON c.workspace = ?1 AND c.mailbox = i.value AND c.mailbox <> ''`,
				address + `= 'email' CROSS JOIN ` + t.name + ` c ON c.workspace = ?1 AND c.email = i.value AND c.email <> '' AND c.mailbox <> c.email`,
				address + `= 'phone' CROSS JOIN ` + t.name + ` c ON c.workspace = ?1 AND c.phone = i.value AND c.phone <> ''`,
			} {
				if err := gather(ctx, s.on(tx), found, scanConsent, `SELECT o.customer, `+t.columns+nodes+from+` `+t.joins, ws, list); err != nil {
					return nil, err
				}
			}
		}
		err := gather(ctx, s.on(tx), found, scanRemoteConsent, `SELECT o.customer, c.connection, c.target, c.channel, c.address, c.state, c.at`+nodes+`
				`+address+`IN ('email', 'phone') CROSS JOIN remote_consent c ON c.workspace = ?1 AND c.address = i.value
			UNION SELECT o.customer, c.connection, c.target, c.channel, c.address, c.state, c.at`+nodes+`
				`+address+`= 'mailbox' CROSS JOIN remote_consent c ON c.workspace = ?1 AND c.mailbox = i.value AND c.mailbox <> ''
			UNION ALL SELECT o.customer, c.connection, c.target, c.channel, c.address, c.state, c.at`+nodes+`
				CROSS JOIN stream st ON st.id = o.stream CROSS JOIN remote_consent c ON c.workspace = ?1 AND c.address = 'key:' || st.connection || '/' || st.name || '/' || o.key`, ws, list)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// AddressConsents returns what is known of addresses in normal form, or of those that activation.RecordAddress makes,
// whoever has them.
func (s *Store) AddressConsents(ctx context.Context, tx store.Tx, ws store.WorkspaceID, addresses []string) (map[string][]consent.Record, error) {
	found := map[string][]consent.Record{}
	for part := range slices.Chunk(addresses, lookUp) {
		list := jsonList(spelled(part))
		for _, t := range consentTables {
			for _, of := range []string{"c.mailbox = j.value ->> 'mailbox' AND c.mailbox <> ''", "c.email = j.value ->> 'address' AND c.email <> '' AND c.mailbox <> j.value ->> 'mailbox'", "c.phone = j.value ->> 'address' AND c.phone <> ''"} {
				err := gather(ctx, s.on(tx), found, scanConsent, `SELECT j.value ->> 'address', `+t.columns+` FROM json_each(?2) j
					CROSS JOIN `+t.name+` c ON c.workspace = ?1 AND `+of+` `+t.joins, ws, list)
				if err != nil {
					return nil, err
				}
			}
		}
		err := gather(ctx, s.on(tx), found, scanRemoteConsent, `SELECT j.value ->> 'address', c.connection, c.target, c.channel, c.address, c.state, c.at FROM json_each(?2) j
			CROSS JOIN remote_consent c ON c.workspace = ?1 AND c.address = j.value ->> 'address'
			UNION SELECT j.value ->> 'address', c.connection, c.target, c.channel, c.address, c.state, c.at FROM json_each(?2) j
			CROSS JOIN remote_consent c ON c.workspace = ?1 AND c.mailbox = j.value ->> 'mailbox' AND c.mailbox <> '' `, ws, list)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// spelling is an address with the mailbox it is one spelling of; the mailbox is empty where it is no e-mail address.
type spelling struct {
	Address string `json:"address"`
	Mailbox string `json:"mailbox"`
}

func spelled(addresses []string) []spelling {
	all := make([]spelling, 0, len(addresses))
	for _, a := range addresses {
		all = append(all, spelling{Address: a, Mailbox: mailboxOf(a)})
	}
	return all
}

func mailboxOf(address string) string {
	if !strings.Contains(address, "@") || strings.HasPrefix(address, "key:") {
		return ""
	}
	return identity.Mailbox(address)
}

// gather adds the rows of a query to what was found by key; the first column is the key.
func gather[K comparable, V any](ctx context.Context, q querier, found map[K][]V, scan func(*sql.Rows, *K) (V, error), query string, args ...any) error {
	_, err := collect(ctx, q, func(rows *sql.Rows) (struct{}, error) {
		var key K
		v, err := scan(rows, &key)
		found[key] = append(found[key], v)
		return struct{}{}, err
	}, query, args...)
	return err
}

// PutRemoteConsents implements activation.Store. A refusal is never forgotten: of one kind at one address the latest
// time counts, and an unknown time outlasts any, as nothing ends such a refusal (R4).
func (s *Store) PutRemoteConsents(ctx context.Context, tx store.Tx, ws store.WorkspaceID, refusals []activation.RemoteConsent) (changed int64, err error) {
	if len(refusals) == 0 {
		return 0, nil
	}
	put, err := handle(tx).PrepareContext(ctx, `INSERT INTO remote_consent (workspace, connection, target, channel, address, mailbox, state, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (workspace, connection, target, channel, address, state) DO UPDATE SET at = excluded.at, mailbox = excluded.mailbox WHERE at <> 0 AND (excluded.at = 0 OR excluded.at > at)`)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, put.Close()) }()
	for _, r := range refusals {
		result, err := put.ExecContext(ctx, ws, r.Connection, r.Target, r.Channel, r.Address, mailboxOf(r.Address), r.State, micros(r.At))
		if err != nil {
			return 0, fmt.Errorf("keeping a refusal: %w", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		changed += n
	}
	return changed, nil
}

// AddressOwners implements activation.Store.
func (s *Store) AddressOwners(ctx context.Context, tx store.Tx, ws store.WorkspaceID, kind string, addresses []string) (map[string][]customer.ID, error) {
	return s.owners(ctx, tx, addresses, `SELECT DISTINCT j.value, n.customer FROM json_each(?1) j CROSS JOIN identifier i ON i.workspace = ?2 AND i.kind = ?3 AND i.namespace = '' AND i.value = j.value
		CROSS JOIN node n ON n.id = i.node WHERE n.customer IS NOT NULL ORDER BY 1, 2`, ws, kind)
}

// RecordOwners implements activation.Store.
func (s *Store) RecordOwners(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream string, keys []string) (map[string][]customer.ID, error) {
	return s.owners(ctx, tx, keys, `SELECT j.value, n.customer FROM stream st CROSS JOIN json_each(?1) j CROSS JOIN node n ON n.workspace = ?2 AND n.stream = st.id AND n.key = j.value
		WHERE st.workspace = ?2 AND st.connection = ?3 AND st.name = ?4 AND n.customer IS NOT NULL ORDER BY 1, 2`, ws, conn, stream)
}

// owners runs a look-up of customers by text keys, which are its first argument.
func (s *Store) owners(ctx context.Context, tx store.Tx, keys []string, query string, args ...any) (map[string][]customer.ID, error) {
	found := make(map[string][]customer.ID, len(keys))
	for part := range slices.Chunk(keys, lookUp) {
		err := gather(ctx, s.on(tx), found, func(rows *sql.Rows, key *string) (id customer.ID, err error) { return id, rows.Scan(key, &id) }, query, append([]any{jsonList(part)}, args...)...)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// RecordKeys implements activation.Store.
func (s *Store) RecordKeys(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream string, ids []customer.ID) (map[customer.ID][]string, error) {
	found := make(map[customer.ID][]string, len(ids))
	for part := range slices.Chunk(ids, lookUp) {
		err := gather(ctx, s.on(tx), found, func(rows *sql.Rows, id *customer.ID) (key string, err error) { return key, rows.Scan(id, &key) },
			`SELECT n.customer, n.key FROM json_each(?1) j CROSS JOIN node n ON n.workspace = ?2 AND n.customer = j.value CROSS JOIN stream st ON st.id = n.stream
			WHERE st.connection = ?3 AND st.name = ?4 AND n.record IS NOT NULL ORDER BY 1, 2`, jsonList(part), ws, conn, stream)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// CustomersByID implements activation.Store. Aliases and customers without a record left are not returned.
func (s *Store) CustomersByID(ctx context.Context, tx store.Tx, ws store.WorkspaceID, ids []customer.ID) ([]customer.Customer, error) {
	found := make([]customer.Customer, 0, len(ids))
	for part := range slices.Chunk(slices.Sorted(slices.Values(ids)), lookUp) {
		some, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (customer.Customer, error) { return scanCustomer(rows) },
			`SELECT c.id, c.kind, c.profile, s.connection, s.name, c.anchor_key FROM json_each(?2) j CROSS JOIN customer c ON c.id = j.value
				CROSS JOIN stream s ON s.id = c.anchor_stream WHERE c.workspace = ?1 AND c.alias_of IS NULL AND c.retired = 0 ORDER BY c.id`, ws, jsonList(part))
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}
