package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

func TestSharedIdentifiersFindACallTrackingNumber(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "regulars.db"), store.SystemClock{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	do := func(query string, args ...any) {
		t.Helper()
		_, err := s.write.ExecContext(t.Context(), query, args...)
		require.NoError(t, err)
	}
	do(`INSERT INTO workspace (id, name, currency) VALUES (1, 'w', 'RUB'), (2, 'other', 'RUB')`)
	do(`INSERT INTO connection (id, workspace, name, connector) VALUES (1, 1, 'shop', 'table')`)
	do(`INSERT INTO stream (id, workspace, connection, name, entity) VALUES (1, 1, 1, 'contacts', 'contact')`)
	names := []string{"Anna Petrova", "Boris Ivanov", "Vera Orlova", "Gleb Smirnov", "Dmitry Volkov", "Elena Kozlova", "Igor Zaytsev", "Kirill Sokolov", "Larisa Popova", "Maria Lebedeva", "Nikolay Morozov", "Olga Novikova"}
	for i, name := range names {
		do(`INSERT INTO node (id, workspace, stream, key, kind, customer, name) VALUES (?, 1, 1, ?, 'person', ?, ?)`, i+1, fmt.Sprint(i), i+1, fmt.Sprintf(`{"full":%q}`, name))
		do(`INSERT INTO identifier (workspace, kind, namespace, value, node, strong, matches) VALUES (1, 'phone', '', '+74951234500', ?, 0, 1)`, i+1)
		if i < 2 {
			do(`INSERT INTO identifier (workspace, kind, namespace, value, node, strong, matches) VALUES (1, 'email', '', 'two@example.com', ?, 0, 1)`, i+1)
		}
	}
	all, err := s.SharedIdentifiers(t.Context(), nil, 1, 3)
	require.NoError(t, err)
	want := IdentifierUse{IdentifierStats: identity.IdentifierStats{Kind: identity.PhoneKind, Value: "+74951234500", Records: 12, Names: 12, Customers: 12}, Matches: true}
	require.Equal(t, []IdentifierUse{want}, all)
	assert.Equal(t, []identity.Junk{{IdentifierStats: want.IdentifierStats, Reason: identity.JunkFrequency}}, identity.FindJunk([]identity.IdentifierStats{all[0].IdentifierStats}, identity.Shop{}))
	others, err := s.SharedIdentifiers(t.Context(), nil, 2, 3)
	require.NoError(t, err)
	assert.Empty(t, others, "R10")
}
