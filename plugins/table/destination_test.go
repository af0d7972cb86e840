package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/sdk"
)

func on(target, email string) sdk.Action {
	return sdk.Action{Target: target, Person: sdk.Person{Email: email}, Member: &sdk.Member{On: true}}
}

func off(target, email string) sdk.Action {
	return sdk.Action{Target: target, Person: sdk.Person{Email: email}, Member: &sdk.Member{}}
}

// outcomes are the states of results, with the rule of those that failed.
func outcomes(results []sdk.Result) []string {
	var all []string
	for _, r := range results {
		switch {
		case r.Problem != nil:
			all = append(all, string(r.State)+" "+r.Problem.Rule)
		case r.Unchanged:
			all = append(all, "unchanged")
		default:
			all = append(all, string(r.State))
		}
	}
	return all
}

func TestDestination(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lists")
	cfg := config{Targets: &targets{Folder: sdk.Path(path)}}
	do := func(actions ...sdk.Action) []string {
		results, err := write(t.Context(), cfg, sdk.WriteRequest{Actions: actions})
		require.NoError(t, err)
		return outcomes(results)
	}
	content := func(name string) string {
		data, err := os.ReadFile(filepath.Join(path, name))
		require.NoError(t, err)
		return string(data)
	}
	assert.Equal(t, []string{"rejected target_missing"}, do(on("win-back", "a@example.com")))

	created, err := createTarget(t.Context(), cfg, sdk.CreateRequest{Name: "win-back.csv"})
	require.NoError(t, err)
	assert.Equal(t, sdk.RemoteTarget{ID: "win-back", Name: "win-back"}, created)
	_, err = createTarget(t.Context(), cfg, sdk.CreateRequest{Name: "win-back"})
	require.NoError(t, err)
	_, err = createTarget(t.Context(), cfg, sdk.CreateRequest{Name: "../win-back"})
	assert.Equal(t, "target_name", problemOf(t, err).Rule)
	assert.Equal(t, "email,phone,name\n", content("win-back.csv"))

	anna := on("win-back", "Anna@Example.com")
	anna.Person.Phone = "+79990000001"
	anna.Member.Traits = map[string]sdk.Value{
		"Name": {Kind: sdk.ValueText, Text: "Anna"}, "orders": {Kind: sdk.ValueInteger, Integer: 3},
		"last": {Kind: sdk.ValueDate, Date: entity.NewDate(2024, 3, 5)},
	}
	anna.Member.Tags = []string{"sleepy"}
	reserved := on("win-back", "x@example.com")
	reserved.Member.Traits = map[string]sdk.Value{"state": {Kind: sdk.ValueText, Text: "x"}}
	task := sdk.Action{Target: "win-back", Person: sdk.Person{Email: "x@example.com"}, Task: &sdk.Task{Text: "x"}}
	assert.Equal(t,
		[]string{"ok", "ok", "unchanged", "unchanged", "rejected email_missing", "rejected trait_name", "rejected action_unknown", "rejected target_missing", "rejected target_name"},
		do(on("win-back", "bob@example.com"), anna, anna, off("win-back", "nobody@example.com"), on("win-back", " "), reserved, task,
			on("none", "a@example.com"), on("../none", "a@example.com")))
	assert.Equal(t, "email,phone,name,last,orders,tags\n"+
		"anna@example.com,+79990000001,Anna,2024-03-05,3,sleepy\nbob@example.com,,,,,\n", content("win-back.csv"))

	require.NoError(t, os.WriteFile(filepath.Join(path, "b.csv"), []byte("email;state\nA@example.com;\nb@example.com;unsubscribed\n;\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(path, "c.csv"), []byte("mail\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(path, "d.csv"), []byte("email\n\"a\"@example.com\n"), 0o600))
	assert.Equal(t, []string{"rejected unsubscribed", "unchanged", "rejected target_header", "retryable "},
		do(on("b", "b@example.com"), off("b", "b@example.com"), on("c", "a@example.com"), on("d", "a@example.com")))

	list, err := listTargets(t.Context(), cfg, sdk.TargetsRequest{})
	require.NoError(t, err)
	require.Len(t, list.Targets, 4)
	two := int64(2)
	assert.Equal(t, sdk.RemoteTarget{ID: "win-back", Name: "win-back", Members: &two}, list.Targets[3])
	assert.Contains(t, list.Targets[1].ReadOnlyReason, "email")
	assert.Contains(t, list.Targets[2].ReadOnlyReason, "line 2")

	read := func(target string) sdk.Page[entity.Member] {
		page, err := members(t.Context(), cfg, sdk.ReadRequest{Target: target})
		require.NoError(t, err)
		return page
	}
	page := read("win-back")
	require.Len(t, page.Records, 2)
	assert.Equal(t, sdk.Record[entity.Member]{
		Key: "anna@example.com", Place: "win-back.csv line 2",
		Entity: entity.Member{Email: "anna@example.com", Phone: "+79990000001", State: entity.Subscribed, Tags: []string{"sleepy"}},
	}, page.Records[0])
	assert.NotEmpty(t, page.Snapshot)
	page = read("b")
	assert.Equal(t, entity.Unsubscribed, page.Records[1].Entity.State)
	page = read("d")
	require.Len(t, page.Skipped, 1)
	assert.Equal(t, "d.csv line 2", page.Skipped[0].Problem.Place)
	assert.Empty(t, page.Snapshot, "somebody on the list could not be told")
	_, err = members(t.Context(), cfg, sdk.ReadRequest{Target: "none"})
	assert.Equal(t, "target_missing", problemOf(t, err).Rule)

	assert.Equal(t, []string{"ok", "ok", "unchanged"},
		do(off("win-back", "anna@example.com"), off("win-back", "BOB@example.com"), off("win-back", "bob@example.com")))
	assert.Empty(t, read("win-back").Records)

	_, err = write(t.Context(), config{}, sdk.WriteRequest{Actions: []sdk.Action{anna}})
	assert.Equal(t, "targets", problemOf(t, err).Field)
}

// TestFailedWriteFailsAll: when the file cannot be replaced, no action on it was carried out.
func TestFailedWriteFailsAll(t *testing.T) {
	path := t.TempDir()
	cfg := config{Targets: &targets{Folder: sdk.Path(path)}}
	_, err := createTarget(t.Context(), cfg, sdk.CreateRequest{Name: "a"})
	require.NoError(t, err)
	// A folder in the temporary file's place, with something in it, cannot be replaced.
	require.NoError(t, os.MkdirAll(filepath.Join(path, ".a.csv.tmp", "x"), 0o750))
	results, err := write(t.Context(), cfg, sdk.WriteRequest{Actions: []sdk.Action{on("a", "a@example.com"), off("a", "b@example.com")}})
	require.NoError(t, err)
	for _, r := range results {
		assert.Equal(t, sdk.StateRetryable, r.State)
		assert.Equal(t, sdk.ProblemUpstream, r.Problem.Kind)
	}
	data, err := os.ReadFile(filepath.Join(path, "a.csv"))
	require.NoError(t, err)
	assert.Equal(t, "email,phone,name\n", string(data))
}
