package runner_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/runner"
)

func benchPool(b *testing.B) *runner.Pool {
	b.Helper()
	folder := b.TempDir()
	require.NoError(b, os.Symlink(rogue, filepath.Join(folder, "good")))
	pool, err := runner.New(runner.Options{Folder: folder})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, pool.Close()) })
	_, err = pool.Describe(b.Context(), "good")
	require.NoError(b, err)
	return pool
}

// The aim is 100 ms from nothing to the first answer.
func BenchmarkColdStart(b *testing.B) {
	pool := benchPool(b)
	for i := 0; b.Loop(); i++ {
		_, err := pool.Check(b.Context(), runner.Connection{ID: string(rune('a' + i)), Connector: "good"}, connector.Call{})
		require.NoError(b, err)
	}
}

func BenchmarkRead(b *testing.B) {
	pool := benchPool(b)
	for b.Loop() {
		page, err := pool.Read(b.Context(), to("good"), call("full"), connector.ReadRequest{Stream: "contacts"})
		require.NoError(b, err)
		require.Len(b, page.Records, 500)
	}
	b.ReportMetric(float64(500*b.N)/b.Elapsed().Seconds(), "records/s")
}
