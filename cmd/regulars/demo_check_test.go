//go:build !race

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The same hub runs the same demo in TestDemo, where the race detector watches it.
func TestDemoCheck(t *testing.T) {
	stdout, stderr := awaiting("nothing"), awaiting("nothing")
	code := program(t.Context(), connectors(t), stdout, stderr, "demo", "--check")
	require.Equal(t, exitOK, code, "%s\n%s", stdout, stderr)
	require.Contains(t, stdout.String(), "expected values are as they should be")
}
