package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSchemasAreUpToDateAndDeterministic(t *testing.T) {
	t.Chdir("../..")
	first, err := generate()
	require.NoError(t, err)
	second, err := generate()
	require.NoError(t, err)
	require.Equal(t, first, second)

	files, err := filepath.Glob("schema/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(first), "schema/ holds another set of files than is generated")
	for name, data := range first {
		stored, err := os.ReadFile(filepath.Join("schema", name))
		require.NoError(t, err)
		require.Equal(t, string(data), string(stored), "run go generate in contracts/entity")
	}
}
