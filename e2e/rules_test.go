package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/run"
)

func TestABadRowIsADeadLetterAndTheRestGoesOn(t *testing.T) {
	files := copyFiles(shopFiles)
	files["files/orders.csv"] = `number,customer,date,amount
o1,1,2026-01-10,1000.00
o2,1,2026-13-01,5
o3,2,2026-02-15,-7
o4,3,2026-03-30,10.10
`
	s := newSite(t, shopWorkspace, files)
	h, _ := s.openHub(t)
	for _, r := range sync(t, h, run.Incremental) {
		require.Equal(t, run.Done, r.State, r.Cause)
		if r.Subject == "orders" {
			assert.Equal(t, run.Counts{Read: 4, Stored: 2, Rejected: 2}, r.Counts)
		}
	}
	letters, err := h.DeadLetters(t.Context(), "", "", 10)
	require.NoError(t, err)
	require.Len(t, letters, 2)
	for _, l := range letters {
		assert.Contains(t, l.Place, "orders.csv line ")
		assert.NotEmpty(t, l.Rule)
		assert.NotContains(t, l.Message, "2026-13-01", "the value itself stays out of the message")
		one, err := h.DeadLetter(t.Context(), "", l.ID)
		require.NoError(t, err)
		assert.NotEmpty(t, one.Raw, "and is kept beside it")
	}

	// Mended at the source, a retry reads the stream again and resolves the letters.
	s.write(t, "files/orders.csv", strings.NewReplacer("2026-13-01", "2026-03-01", ",-7", ",7").Replace(files["files/orders.csv"]))
	reply, err := h.RetryDeadLetters(t.Context(), "", nil)
	require.NoError(t, err)
	require.Len(t, reply.Rereads, 1)
	settleDown(t, h)
	letters, err = h.DeadLetters(t.Context(), "", "", 10)
	require.NoError(t, err)
	assert.Empty(t, letters)
	assert.Equal(t, 4, strings.Count(export(t, h), `"type":"order"`))
}

func TestWhatIsGoneFromACompleteFileIsAbsent(t *testing.T) {
	s := newSite(t, shopWorkspace, shopFiles)
	h, _ := s.openHub(t)
	sync(t, h, run.Incremental)
	s.write(t, "files/customers.csv", strings.Replace(shopFiles["files/customers.csv"], "2,Boris Ivanov,boris@example.com,\n", "", 1))
	for _, r := range sync(t, h, run.Incremental) {
		if r.Subject == "contacts" {
			assert.EqualValues(t, 1, r.Counts.Absent)
		}
	}
	assert.NotContains(t, export(t, h), "Boris")

	// A file emptied by mistake deletes nobody.
	s.write(t, "files/customers.csv", "id,name,email,phone\n")
	for _, r := range sync(t, h, run.Incremental) {
		if r.Subject == "contacts" {
			assert.Equal(t, run.Failed, r.State)
			assert.Contains(t, r.Cause, "nothing was deleted")
		}
	}
	assert.Contains(t, export(t, h), "Anna")
}

func TestAppendedOrdersChangeOnlyWhatTheyTouch(t *testing.T) {
	s := newSite(t, shopWorkspace, shopFiles)
	h, _ := s.openHub(t)
	sync(t, h, run.Incremental)
	before := export(t, h)
	s.write(t, "files/orders.csv", shopFiles["files/orders.csv"]+"o7,2,2026-03-31,90\n")
	for _, r := range sync(t, h, run.Incremental) {
		if r.Subject == "orders" {
			assert.Equal(t, run.Counts{Read: 7, Stored: 1, Unchanged: 6}, r.Counts)
		} else {
			assert.Zero(t, r.Counts.Stored)
		}
	}
	was := map[string]bool{}
	for line := range strings.Lines(before) {
		was[line] = true
	}
	for line := range strings.Lines(export(t, h)) {
		// RFM is relative: one customer's order may move others.
		if !was[line] && !strings.Contains(line, `"segment":"rfm_`) {
			assert.True(t, strings.Contains(line, "o7") || strings.Contains(line, "shop.contacts/2"), "changed without a reason: %s", line)
		}
	}
}

func TestAFirstPushAsksAndALargeOneToo(t *testing.T) {
	workspace := strings.Replace(shopWorkspace, "first_push: approved, ", "", 1)
	files := copyFiles(shopFiles)
	var customers, orders, newsletter strings.Builder
	for i := range 60 {
		fmt.Fprintf(&customers, "n%d,Name %d,n%d@example.com,\n", i, i, i)
		fmt.Fprintf(&newsletter, "n%d@example.com,subscribed,2026-01-01T10:00:00Z,checkout\n", i)
		if i < 30 {
			fmt.Fprintf(&orders, "m%d,n%d,2026-03-01,10\n", i, i)
		}
	}
	files["files/customers.csv"] += customers.String()
	files["files/newsletter.csv"] += newsletter.String()
	files["files/orders.csv"] += orders.String()
	s := newSite(t, workspace, files)
	h, _ := s.openHub(t)
	sync(t, h, run.Incremental)

	plan, err := h.PreviewActivation(t.Context(), "", "buyers")
	require.NoError(t, err)
	assert.Equal(t, 32, plan.Adds)
	assert.NotEmpty(t, plan.Stop)
	asked := push(t, h, "buyers")
	assert.Contains(t, asked.Cause, "approve")
	assert.NoFileExists(t, s.path("lists/buyers.csv"), "nothing travels before the approval")
	_, err = h.ApproveActivation(t.Context(), "", "buyers")
	require.NoError(t, err)
	pushed := push(t, h, "buyers")
	require.Empty(t, pushed.Cause)
	assert.EqualValues(t, 32, pushed.Result["added"])

	// 30 more at once are over the limit of max(20 %, 20).
	for i := 30; i < 60; i++ {
		fmt.Fprintf(&orders, "m%d,n%d,2026-03-01,10\n", i, i)
	}
	s.write(t, "files/orders.csv", shopFiles["files/orders.csv"]+orders.String())
	sync(t, h, run.Incremental)
	held := push(t, h, "buyers")
	assert.NotEmpty(t, held.Cause)
	assert.Len(t, listed(t, s), 32)
	_, err = h.ApproveActivation(t.Context(), "", "buyers")
	require.NoError(t, err)
	push(t, h, "buyers")
	assert.Len(t, listed(t, s), 62)
}

// listed are the members in the list's file.
func listed(t *testing.T, s site) []string {
	t.Helper()
	var members []string
	for line := range strings.Lines(s.read(t, "lists/buyers.csv")) {
		if strings.Contains(line, "@") {
			members = append(members, line)
		}
	}
	return members
}

func TestAPausedConnectionSaysWhyAndGoesOn(t *testing.T) {
	s := newSite(t, shopWorkspace, shopFiles)
	h, _ := s.openHub(t)
	_, err := h.PauseConnection(t.Context(), "", "shop", true)
	require.NoError(t, err)
	_, err = h.Sync(t.Context(), "", []string{"shop"}, run.Incremental)
	require.ErrorIs(t, err, api.ErrRefused)
	assert.Contains(t, err.Error(), "connection resume shop")
	_, err = h.PauseConnection(t.Context(), "", "shop", false)
	require.NoError(t, err)
	runs, err := h.Sync(t.Context(), "", []string{"shop"}, run.Incremental)
	require.NoError(t, err)
	assert.Len(t, runs, 2)
	settleDown(t, h)
}

func TestAMappedFieldFillsTheProfile(t *testing.T) {
	workspace := strings.Replace(shopWorkspace, "delete_missing: true}", "custom: {level: level}}", 1)
	workspace = strings.Replace(workspace, "    every: 1h\n  newsletter:", "    every: 1h\n    fields: {contact: {city: level}}\n  newsletter:", 1)
	files := copyFiles(shopFiles)
	files["files/customers.csv"] = "id,name,email,phone,level\n1,Anna,anna@example.com,,Kazan\n"
	s := newSite(t, workspace, files)
	h, _ := s.openHub(t)
	sync(t, h, run.Incremental)
	assert.Contains(t, export(t, h), `"city":"Kazan"`)
}

func copyFiles(files map[string]string) map[string]string {
	copied := map[string]string{}
	for name, text := range files {
		copied[name] = text
	}
	return copied
}

func TestAFaultStopsAConnectionUntilSomebodyTriesAgain(t *testing.T) {
	files := copyFiles(shopFiles)
	files["files/orders.csv"] = strings.Replace(files["files/orders.csv"], "amount", "sum", 1)
	s := newSite(t, shopWorkspace, files)
	h, _ := s.openHub(t)
	for _, r := range sync(t, h, run.Incremental) {
		if r.Subject == "orders" {
			assert.Equal(t, run.Failed, r.State)
			assert.Contains(t, r.Cause, `has no column "amount"`)
		}
	}
	connections, err := h.Connections(t.Context(), "")
	require.NoError(t, err)
	for _, c := range connections {
		if c.Name == "shop" {
			assert.Contains(t, c.Paused, `has no column "amount"`, "a schedule would fail again and again")
		}
	}
	s.write(t, "files/orders.csv", shopFiles["files/orders.csv"])
	for _, r := range sync(t, h, run.Incremental) {
		assert.Equal(t, run.Done, r.State, r.Cause)
	}
	assert.Contains(t, export(t, h), "shop.orders/o6")
}
