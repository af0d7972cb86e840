package runner_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/runner"
)

func TestDescribe(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	want := connector.Spec{
		Name: "rogue", Version: "1.2.3", Title: "Rogue", HasFields: true, HasWebhooks: true,
		Config: []connector.ConfigField{{Path: "do", Type: "string", DefaultJSON: `"x"`, Secret: true}},
		Streams: []connector.StreamSpec{{
			Name: "contacts", Entity: entity.KindContact, PersonKey: true, ByKey: true, Deletes: connector.DeletesAbsence,
			Modes: []connector.Mode{connector.Full, connector.Incremental},
		}},
		Targets: []connector.TargetSpec{{
			Kind: "list", Channel: "email", Readback: true, Identity: "email", Batch: 100,
			Actions: []connector.ActionKind{connector.ActionMember},
			Traits:  []connector.TraitSpec{{ID: "name", Title: "Name", Type: "text"}},
		}},
	}
	for range 3 {
		spec, err := b.Describe(t.Context(), "good")
		require.NoError(t, err)
		require.Equal(t, want, spec)
	}
	require.Equal(t, 1, b.exits.starts(), "the answer is kept")
	b.exits.requireCauses(t, runner.Connection{Connector: "good"}, runner.CauseStopped)

	// Another build under the same name is asked anew.
	path := filepath.Join(b.folder, "good")
	require.NoError(t, os.Remove(path))
	copyRogue(t, path)
	_, err := b.Describe(t.Context(), "good")
	require.NoError(t, err)
	require.Equal(t, 2, b.exits.starts())
}

func copyRogue(t *testing.T, path string) {
	t.Helper()
	binary, err := os.ReadFile(rogue)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, binary, 0o700))
}

func TestCalls(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	c := to("good")

	check, err := b.Check(t.Context(), c, call(""))
	require.NoError(t, err)
	require.Equal(t, "plain", check.AccountName)
	require.Equal(t, time.Second, check.ClockSkew)
	require.Equal(t, []*connector.Problem{{Kind: connector.InvalidConfig, Field: "do", Message: "odd thing"}}, check.Problems)

	page, err := b.Read(t.Context(), c, call(""), connector.ReadRequest{Stream: "contacts", Mode: connector.Full})
	require.NoError(t, err)
	remaining := int64(97)
	require.Equal(t, connector.Page{
		Records: []connector.Record{{Key: "k1", Data: []byte(`{}`), UpdatedAt: time.Unix(1, 0).UTC(), Sequence: 5, Place: "line 1"}},
		Skipped: []connector.Skipped{{
			Key: "k2", Raw: []byte("raw"), Problem: &connector.Problem{Kind: connector.Rejected, Message: "odd"},
		}},
		Next: connector.Cursor("c2"), More: true, Total: 9, Snapshot: "s",
		Usage: connector.Usage{Calls: 3, Remaining: &remaining, RequestIDs: []string{"r1"}},
	}, page)

	results, usage, err := b.Write(t.Context(), c, call(""), []connector.Action{
		{IdempotencyKey: "1", Target: "t", Person: connector.Person{Email: "a@example.com"}, On: true},
		{IdempotencyKey: "traits", Traits: map[string]string{"name": "Ann"}, Tags: []string{"x", "y"}},
		{IdempotencyKey: "accepted"},
		{IdempotencyKey: "rejected"},
	})
	require.NoError(t, err)
	require.Equal(t, 1, usage.Calls)
	require.Equal(t, []connector.Result{
		{State: connector.ResultOK, RemoteID: "a@example.com"},
		{State: connector.ResultOK, RemoteID: "Ann/x,y"},
		{State: connector.ResultAccepted, Handle: "h"},
		{State: connector.ResultRejected, Problem: &connector.Problem{
			Kind: connector.Rejected, Rule: "no_reason", Message: "rejected; the connector gave no reason",
		}},
	}, results)

	targets, err := b.Targets(t.Context(), c, call(""), "list", "Sleeping")
	require.NoError(t, err)
	members := int64(12)
	require.Equal(t, []connector.Target{
		{ID: "1", Name: "Sleeping", Kind: "list", Members: &members},
		{ID: "2", Name: "created ", ReadOnlyReason: "archived"}, // created by the first page only
	}, targets)

	fields, err := b.Fields(t.Context(), c, call(""), "contacts")
	require.NoError(t, err)
	require.Equal(t, []connector.Field{{
		Stream: "contacts", ID: "f1", Title: "City", Type: "choice", Writable: true, Choices: map[string]string{"1": "Tver"},
	}}, fields)

	notification := connector.WebhookRequest{
		Method: "POST", URL: "https://hub/hook", Headers: map[string][]string{"X-Key": {"a", "b"}}, Body: []byte("42"),
		ReceivedAt: time.Unix(9, 0).UTC(),
	}
	answer, err := b.Webhook(t.Context(), c, call(""), notification)
	require.NoError(t, err)
	require.Equal(t, connector.WebhookAnswer{
		Authentic: true, Status: 202, Body: []byte("POST https://hub/hook a,b"),
		Notices: []connector.Notice{{Stream: "contacts", Key: "42", Deleted: true, At: time.Unix(9, 0).UTC(), MergedKeys: []string{"m"}}},
	}, answer)
	answer, err = b.Webhook(t.Context(), c, call("forged"), notification)
	require.NoError(t, err)
	require.Equal(t, connector.WebhookAnswer{}, answer, "nothing of a forged notification is used")

	require.Equal(t, 2, b.exits.starts(), "one process to describe and one for all calls")
}

func TestCallsOfOneConnectionShareAProcess(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	var wg sync.WaitGroup
	pids := make([]string, 20)
	for i := range pids {
		wg.Go(func() {
			result, err := b.Check(t.Context(), to("good"), call(""))
			if err == nil {
				pids[i] = result.AccountID
			}
		})
	}
	wg.Wait()
	require.NotEmpty(t, pids[0])
	for _, pid := range pids {
		require.Equal(t, pids[0], pid)
	}
}

func TestAutoMTLS(t *testing.T) {
	b := newBench(t, runner.Options{}, "mtls")
	check, err := b.Check(t.Context(), to("mtls"), call(""))
	require.NoError(t, err)
	require.Equal(t, "tls", check.AccountName)
}

func TestProblemsOfConnectors(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	order := callWith("problem", "slow down, "+strings.Repeat("long ", 200)+"\nhush-hush", "")
	order.Secrets = map[string]string{"token": "hush-hush"}
	_, err := b.Check(t.Context(), to("good"), order)
	problem := problemOf(t, err, connector.RateLimited, "too_fast")
	require.Equal(t, 42*time.Second, problem.RetryAfter)
	require.Equal(t, "account", problem.Field)
	require.Equal(t, "line 7", problem.Place)
	require.Equal(t, "r-1", problem.RequestID)
	require.Len(t, problem.Message, 500)

	order = callWith("problem", "no access for hush-hush, a@example.com and +79161234567\n", "")
	order.Secrets = map[string]string{"token": "hush-hush"}
	_, err = b.Check(t.Context(), to("good"), order)
	require.Equal(t, "no access for [secret], [personal] and [personal] ", problemOf(t, err, connector.RateLimited, "too_fast").Message)

	_, err = b.Check(t.Context(), to("good"), callWith("status", "no such thing", ""))
	require.Equal(t, `connector "good" failed in Check with status NotFound and no Problem: no such thing`,
		problemOf(t, err, connector.Bug, "no_problem").Message)

	_, err = b.Check(t.Context(), to("good"), callWith("unavailable", "looks like a lost connection", ""))
	requireProblem(t, err, connector.Bug, "no_problem")

	_, err = b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	require.Equal(t, 2, b.exits.starts(), "no process ended for that")
}

func TestBrokenAnswers(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	c := to("good")

	page, err := b.Read(t.Context(), c, call("junk"), connector.ReadRequest{Stream: "contacts", Mode: connector.Full})
	require.NoError(t, err)
	var kept, rules []string
	for _, record := range page.Records {
		kept = append(kept, record.Key)
	}
	for _, skipped := range page.Skipped {
		rules = append(rules, skipped.Problem.Rule)
		require.LessOrEqual(t, len(skipped.Key), connectorv1.MaxKeyBytes)
		require.NotContains(t, skipped.Key, "\x00")
	}
	require.Equal(t, []string{"k1", "gone"}, kept)
	require.True(t, page.Records[1].Deleted)
	require.Equal(t, []string{
		"key_empty", "key_too_long", "key_not_text", "data_missing", "updated_at_invalid", "merged_key_empty", "op_unknown", "",
	}, rules)

	for _, order := range []string{"too-many", "long-cursor", "stuck"} {
		_, err := b.Read(t.Context(), c, call(order), connector.ReadRequest{Stream: "contacts", Cursor: connector.Cursor("c1")})
		requireProblem(t, err, connector.Bug, "contract")
	}
	_, _, err = b.Write(t.Context(), c, call("fewer"), make([]connector.Action, 3))
	require.Equal(t, "the connector's answer to Write holds 2 results for 3 actions", problemOf(t, err, connector.Bug, "contract").Message)

	results, _, err := b.Write(t.Context(), c, call(""), []connector.Action{{IdempotencyKey: "accepted-badly"}, {IdempotencyKey: "unknown"}})
	require.NoError(t, err)
	require.Equal(t, connector.ResultRetryable, results[0].State)
	require.Equal(t, connector.Bug, results[0].Problem.Kind)
	require.Equal(t, connector.ResultRetryable, results[1].State)

	_, err = b.Targets(t.Context(), c, call("endless"), "", "")
	requireProblem(t, err, connector.Bug, "contract")
}

func TestMessageSize(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	page, err := b.Read(t.Context(), to("good"), call("large"), connector.ReadRequest{Stream: "contacts"})
	require.NoError(t, err, "the largest record passes")
	require.Len(t, page.Records[0].Data, connectorv1.MaxRecordBytes)

	_, err = b.Read(t.Context(), to("good"), call("huge"), connector.ReadRequest{Stream: "contacts"})
	requireProblem(t, err, connector.Bug, "message_too_large")
	_, err = b.Read(t.Context(), to("good"), callWith("", strings.Repeat("x", connectorv1.MaxMessageBytes), ""), connector.ReadRequest{})
	requireProblem(t, err, connector.Bug, "message_too_large")

	_, err = b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	require.Equal(t, 2, b.exits.starts(), "the process goes on")
}

func TestCallerGivesUp(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	note := filepath.Join(b.folder, "note")
	requireNote := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool {
			text, err := os.ReadFile(note)
			return err == nil && string(text) == want
		}, 30*time.Second, 5*time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := b.Check(ctx, to("good"), callWith("wait", "", note))
		failed <- err
	}()
	requireNote("waiting")
	cancel()
	err := <-failed
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, `connector "good": the caller gave up during Check`, problemOf(t, err, connector.Upstream, "caller_gone").Message)
	requireNote("context canceled") // the connector is told

	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = b.Check(short, to("good"), call("hang"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Contains(t, problemOf(t, err, connector.Upstream, "caller_gone").Message, "the caller's deadline passed")

	_, err = b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	require.Equal(t, 2, b.exits.starts(), "the process goes on")
}

func TestNames(t *testing.T) {
	b := newBench(t, runner.Options{}, "good", "mtls")
	b.script(t, "readme.txt", "not a connector", 0o600)
	b.script(t, ".hidden", "#!/bin/sh\n", 0o700)
	names, err := b.List()
	require.NoError(t, err)
	require.Equal(t, []string{"good", "mtls"}, names)

	for name, rule := range map[string]string{
		"": "connector_name", "../good": "connector_name", "a/b": "connector_name", ".hidden": "connector_name",
		"absent": "connector_missing", "readme.txt": "connector_not_executable", "sockets": "connector_not_executable",
	} {
		_, err := b.Check(t.Context(), runner.Connection{ID: "c", Connector: name}, call(""))
		require.Equal(t, "connector", problemOf(t, err, connector.InvalidConfig, rule).Field, name)
	}
	_, err = b.Check(t.Context(), runner.Connection{Connector: "good"}, call(""))
	requireProblem(t, err, connector.Bug, "connection_id")
}

func TestOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, opts := range map[string]runner.Options{
		"no folder":    {},
		"absent":       {Folder: "/does/not/exist"},
		"a file":       {Folder: file},
		"no checksum":  {Folder: t.TempDir(), Checksums: map[string]string{"x": "abc"}},
		"socket place": {Folder: t.TempDir(), Sockets: file},
	} {
		_, err := runner.New(opts)
		require.Error(t, err, name)
	}
}

func TestLongSocketFolder(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.Symlink(rogue, filepath.Join(folder, "good")))
	pool, err := runner.New(runner.Options{Folder: folder, Sockets: filepath.Join(folder, strings.Repeat("long", 30))})
	require.NoError(t, err)
	_, err = pool.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	require.NoError(t, pool.Close())
	require.NoError(t, pool.Close(), "a second time")
	_, err = pool.Check(t.Context(), to("good"), call(""))
	requireProblem(t, err, connector.Upstream, "hub_stopping")
}

// What a killed hub left is swept away by the next one, but not while somebody uses the folder.
func TestSocketsLeftBehind(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	info, err := os.Stat(b.sockets)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	left := filepath.Join(b.sockets, "plugin-dir1234")
	require.NoError(t, os.Mkdir(left, 0o700))
	second, err := runner.New(runner.Options{Folder: b.folder, Sockets: b.sockets})
	require.NoError(t, err)
	require.DirExists(t, left)
	require.NoError(t, second.Close())
	require.NoError(t, b.Close())

	third, err := runner.New(runner.Options{Folder: b.folder, Sockets: b.sockets})
	require.NoError(t, err)
	require.NoDirExists(t, left)
	require.NoError(t, third.Close())
}

func TestIdleProcessIsStopped(t *testing.T) {
	b := newBench(t, runner.Options{Idle: time.Minute}, "good")
	b.run(t)
	_, err := b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	b.clock.advance(time.Minute)
	b.exits.requireCauses(t, to("good"), runner.CauseIdle)
	b.requireNoSockets(t)
}

func TestNewBuildIsUsed(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	before, err := b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	path := filepath.Join(b.folder, "good")
	require.NoError(t, os.Remove(path))
	copyRogue(t, path)
	after, err := b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	require.NotEqual(t, before.AccountID, after.AccountID)
	b.exits.requireCauses(t, to("good"), runner.CauseStopped)
}

func TestMaxAlive(t *testing.T) {
	b := newBench(t, runner.Options{MaxAlive: 2}, "good")
	connections := []runner.Connection{{ID: "1", Connector: "good"}, {ID: "2", Connector: "good"}, {ID: "3", Connector: "good"}}
	for _, c := range connections {
		_, err := b.Check(t.Context(), c, call(""))
		require.NoError(t, err)
		b.clock.advance(time.Second)
	}
	b.exits.requireCauses(t, connections[0], runner.CauseStopped) // unused for longest
	require.Empty(t, b.exits.causes(connections[1]))

	// All are busy: a further call waits until one is free, or its caller's patience ends.
	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	for _, c := range connections[1:] {
		busy.Go(func() { _, _ = b.Check(ctx, c, call("hang")) })
	}
	require.EventuallyWithT(t, func(now *assert.CollectT) {
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := b.Check(short, connections[0], call(""))
		require.ErrorIs(now, err, context.DeadlineExceeded)
	}, 5*time.Second, 10*time.Millisecond)
	served := make(chan error)
	go func() {
		_, err := b.Check(t.Context(), connections[0], call(""))
		served <- err
	}()
	cancel()
	busy.Wait()
	require.NoError(t, <-served)
}

func TestManyConnectionsOnFewSlots(t *testing.T) {
	b := newBench(t, runner.Options{MaxAlive: 2}, "good")
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			for range 3 {
				if _, err := b.Check(t.Context(), runner.Connection{ID: string(rune('a' + i)), Connector: "good"}, call("")); err != nil {
					errs[i] = err
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}
