package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
	"github.com/regulars/regulars/hub/store/storetest"
	"github.com/regulars/regulars/internal/property"
)

func openTemp(t *testing.T, clock store.Clock) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "regulars.db"), clock)
	require.NoError(t, err)
	return s
}

func TestSQLite(t *testing.T) { storetest.Run(t, openTemp) }

func TestASecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "regulars.db")
	first, err := sqlite.Open(t.Context(), path, store.SystemClock{})
	require.NoError(t, err)
	_, err = sqlite.Open(t.Context(), path, store.SystemClock{})
	require.ErrorIs(t, err, sqlite.ErrInUse)
	require.NoError(t, first.Close())
	again, err := sqlite.Open(t.Context(), path, store.SystemClock{})
	require.NoError(t, err, "the lock goes with its holder")
	require.NoError(t, again.Close())
}

func TestPropertyOrdersDoNotDependOnArrival(t *testing.T) {
	clock := storetest.NewClock()
	s := openTemp(t, clock)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	property.Check(t, storetest.ArrivalOfOrders(s, clock))
}

func TestPropertyChangesOfOrders(t *testing.T) {
	clock := storetest.NewClock()
	s := openTemp(t, clock)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	property.Check(t, storetest.ChangesOfOrders(s, clock))
}
func TestPropertyIdentity(t *testing.T) { property.Check(t, storetest.IdentityClaim(t, openTemp)) }
