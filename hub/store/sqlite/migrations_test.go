package sqlite

import (
	"bytes"
	"database/sql"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/store"
)

// TestOrdersOutliveTheMigration begins with a store of the first form that holds an order and a refund.
func TestOrdersOutliveTheMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "regulars.db")
	db, err := sql.Open("sqlite", dsn(path, "immediate", []string{"foreign_keys(1)"}))
	require.NoError(t, err)
	files, err := fs.Sub(migrations, "migrations")
	require.NoError(t, err)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	_, err = provider.UpTo(t.Context(), 1)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `
		INSERT INTO workspace (id, name, currency) VALUES (1, 'w', 'RUB');
		INSERT INTO connection (id, workspace, name, connector) VALUES (1, 1, 'shop', 'table');
		INSERT INTO stream (id, workspace, connection, name, entity) VALUES (1, 1, 1, 'orders', 'order'), (2, 1, 1, 'refunds', 'refund'), (3, 1, 1, 'contacts', 'contact');
		INSERT INTO record (id, workspace, stream, key, hash, data) VALUES (1, 1, 1, 'o', x'', x'7b7d'), (2, 1, 2, 'r', x'', x'7b7d');
		INSERT INTO customer (id, workspace, kind, anchor_stream, anchor_key) VALUES (1, 1, 'person', 3, 'c');
		INSERT INTO node (id, workspace, stream, key, kind, customer) VALUES (1, 1, 3, 'c', 'person', 1);
		INSERT INTO sale (record, workspace, stream, node, ordered_at, ordered_on, sequence, amount, currency, base, converted, channel, owner, city)
			VALUES (1, 1, 1, 1, 1000000, 20000, 7, 12345, 'RUB', 12345, 1, 'search', 'a', 'Tver');
		INSERT INTO refund (record, workspace, stream, node, order_stream, order_key, refunded_on, amount, currency, base, converted) VALUES (2, 1, 2, 1, 1, 'o', 20001, 45, 'RUB', 45, 1)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())

	s, err := Open(t.Context(), path, store.SystemClock{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	var out bytes.Buffer
	require.NoError(t, s.ExportCanonical(t.Context(), 1, &out))
	//nolint:testifylint // lines of JSON, compared to the byte
	assert.Equal(t, `{"type":"customer","keys":["shop.contacts/c"],"kind":"person","profile":{}}
{"type":"order","key":"shop.orders/o","customer":"shop.contacts/c","ordered_on":"2024-10-04","ordered_at":"1970-01-01T00:00:01Z","sequence":7,"amount":"123.45","currency":"RUB","channel":"search","owner":"a","city":"Tver"}
{"type":"refund","key":"shop.refunds/r","customer":"shop.contacts/c","order":"shop.orders/o","refunded_on":"2024-10-05","amount":"0.45","currency":"RUB"}
`, out.String())
	var indexes int
	require.NoError(t, s.read.QueryRowContext(t.Context(), `SELECT count(*) FROM sqlite_master WHERE type = 'index' AND tbl_name = 'sale' AND sql IS NOT NULL`).Scan(&indexes))
	assert.Equal(t, 4, indexes)
}
