package e2e

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/run"
)

func TestChangedRulesSayWhatTheyDoToCustomers(t *testing.T) {
	workspace := strings.Replace(shopWorkspace, ", strong: [shop.contacts]", "", 1)
	files := copyFiles(shopFiles)
	for i := range 30 {
		files["files/customers.csv"] += fmt.Sprintf("f%d,,,+79031112233\n", i)
	}
	s := newSite(t, workspace, files)
	h, stop := s.openHub(t)
	sync(t, h, run.Incremental)
	stop()

	changed := strings.Replace(workspace, "match: [email, phone]", `match: [email, phone], never_match: ["+79031112233"]`, 1)
	s.write(t, "workspaces/shop.yaml", changed)
	cfg, problems := config.Load(s.path("hub.yaml"), config.Options{LookupEnv: os.LookupEnv})
	require.Empty(t, problems)
	var log bytes.Buffer
	quiet, err := hub.Open(t.Context(), hub.Options{Config: cfg, Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	require.NoError(t, quiet.Close())
	assert.Contains(t, log.String(), "customers_before=5 customers_after=34 merges=0 merged_customers=0 splits=1 customers_from_splits=30")
	assert.NotContains(t, log.String(), "79031112233")

	h, _ = s.openHub(t)
	settleDown(t, h)
	fresh, _ := newSite(t, changed, files).openHub(t)
	sync(t, fresh, run.Incremental)
	assert.Equal(t, export(t, fresh), export(t, h))
}
