package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/run"
)

func TestAnUnmergeHoldsUntilItIsTakenBack(t *testing.T) {
	files := copyFiles(shopFiles)
	files["files/customers.csv"] += "71,Anna Twin,twin@example.com,\n72,A. Twin,twin@example.com,\n"
	s := newSite(t, strings.Replace(shopWorkspace, ", strong: [shop.contacts]", "", 1), files)
	h, _ := s.openHub(t)
	sync(t, h, run.Incremental)
	pair := api.ExplainRequest{Query: "shop.contacts/71", Other: "shop.contacts/72"}
	explain := func() api.PairExplanation {
		t.Helper()
		x, err := h.ExplainCustomer(t.Context(), "", pair)
		require.NoError(t, err)
		require.NotNil(t, x.Pair)
		return *x.Pair
	}
	decide := func(action string, records ...string) error {
		_, err := h.Decide(t.Context(), "", api.DecisionRequest{Action: action, Records: records, Note: "sisters"})
		settleDown(t, h)
		return err
	}
	joined := explain()
	require.True(t, joined.Same, joined.Reason)
	require.Len(t, joined.Path, 1)
	assert.Equal(t, "email", joined.Path[0].Strength)
	before := export(t, h)

	require.NoError(t, decide(api.Unmerge, "shop.contacts/72"))
	sync(t, h, run.Full)
	apart := explain()
	assert.False(t, apart.Same)
	assert.Equal(t, "cut", apart.Reason)
	assert.NotEqual(t, apart.Customer, apart.OtherCustomer)
	decisions, err := h.Decisions(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, decisions, 1)
	assert.Equal(t, "shop.contacts/72", decisions[0].Record, "the one that was taken out")
	assert.Equal(t, "sisters", decisions[0].Note)

	require.ErrorIs(t, decide(api.Pin, "shop.contacts/71", "shop.contacts/72"), api.ErrRefused, "a cut stands above a pin")
	require.ErrorIs(t, decide(api.Unmerge, "shop.contacts/72"), api.ErrRefused, "nothing to take it out of")
	require.ErrorIs(t, decide(api.Unpin, "shop.contacts/71", "shop.contacts/72"), api.ErrRefused, "no such pin")
	require.ErrorIs(t, decide(api.UndoUnmerge, "shop.contacts/71"), api.ErrRefused, "it was the other that was taken out")
	require.ErrorIs(t, decide(api.Unmerge, "shop.contacts/none"), api.ErrNotFound)
	require.ErrorIs(t, decide(api.Unmerge, "twin@example.com"), api.ErrNotFound)

	require.NoError(t, decide(api.UndoUnmerge, "shop.contacts/72"))
	assert.Equal(t, joined, explain())
	assert.Equal(t, before, export(t, h), "taken back, all is as it was")

	require.NoError(t, decide(api.Pin, "shop.contacts/71", "shop.contacts/72"))
	assert.Equal(t, "pin", explain().Path[0].Strength)
	require.ErrorIs(t, decide(api.Unmerge, "shop.contacts/72"), api.ErrRefused, "they are pinned")
	require.NoError(t, decide(api.Unpin, "shop.contacts/71", "shop.contacts/72"))
}
