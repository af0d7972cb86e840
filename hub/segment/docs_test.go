package segment_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/segment"
)

// TestEveryFieldIsExplained keeps the page for readers complete, and its example rules right.
func TestEveryFieldIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/kpis.md")
	require.NoError(t, err)
	for _, field := range segment.Fields() {
		require.Contains(t, string(page), "`"+field.Name+"`")
	}
	for _, definition := range segment.Builtins() {
		require.Contains(t, string(page), "`"+definition.ID+"`")
	}
	language := newLanguage(t)
	for _, rule := range []string{
		"lifecycle == 'dormant' && net_value > 50000",
		"city in ['Москва', 'Тверь'] and not ('wholesale' in tags)",
		"orders >= 3 and days_since_last_order > 2 * mean_gap_days",
		"last_order_on < date('1998-01-01') or orders == 0",
	} {
		require.Contains(t, string(page), "    "+rule+"\n")
		_, err := language.Compile(rule)
		require.NoError(t, err)
	}
}
