package kpi_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/kpi"
)

// TestEveryFigureIsExplained keeps the page for readers complete.
func TestEveryFigureIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/kpis.md")
	require.NoError(t, err)
	for _, entry := range kpi.Catalogue() {
		require.Contains(t, string(page), "`"+entry.ID+"`")
	}
	for _, group := range kpi.Groups() {
		require.Contains(t, string(page), "`"+group.String()+"`")
	}
}
