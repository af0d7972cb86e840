package runner_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/runner"
)

// These tests keep R8: a connector cannot hurt the hub.

func TestConnectorsThatDoNotStart(t *testing.T) {
	const sh = "#!/bin/sh\n"
	here := sh + `echo "1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/s|`
	cases := map[string]struct {
		script string // empty for the test connector under the case's name
		kind   connector.ProblemKind
		cause  runner.Cause
	}{
		"wrong-version":  {"", connector.Bug, runner.CauseProtocol},
		"slow-start":     {"", connector.Upstream, runner.CauseStartTimeout},
		"crash-start":    {"", connector.Bug, runner.CauseExit},
		"mute":           {"", connector.Upstream, runner.CauseStartTimeout},
		"hello":          {sh + "echo hello\n", connector.Bug, runner.CauseHandshake},
		"chatty":         {sh + "echo hello; exec sleep 1000\n", connector.Bug, runner.CauseHandshake},
		"silent":         {sh + "exit 0\n", connector.Bug, runner.CauseExit},
		"closed":         {sh + "exec >&-; exec sleep 1000\n", connector.Bug, runner.CauseHandshake},
		"endless":        {sh + "tr '\\0' x </dev/zero\n", connector.Bug, runner.CauseHandshake},
		"text":           {"just text", connector.Bug, runner.CauseHandshake},
		"no-interpreter": {"#!/does/not/exist\n", connector.Bug, runner.CauseHandshake},
		"tcp":            {sh + "echo '1|1|tcp|127.0.0.1:1|grpc'; exec sleep 1000\n", connector.Bug, runner.CauseHandshake},
		"elsewhere":      {sh + "echo '1|1|unix|/run/other.sock|grpc'; exec sleep 1000\n", connector.Bug, runner.CauseHandshake},
		"netrpc":         {here + "netrpc\"; exec sleep 1000\n", connector.Bug, runner.CauseProtocol},
		"no-socket":      {here + "grpc\"; exec sleep 1000\n", connector.Bug, runner.CauseHandshake},
		"suicide":        {sh + "kill -9 $$\n", connector.Bug, runner.CauseSignal},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			opts := runner.Options{StartTimeout: time.Minute}
			if c.cause == runner.CauseStartTimeout {
				opts.StartTimeout = 500 * time.Millisecond
			}
			b := newBench(t, opts)
			if c.script == "" {
				require.NoError(t, os.Symlink(rogue, filepath.Join(b.folder, name)))
			} else {
				b.script(t, name, c.script, 0o700)
			}
			_, err := b.Describe(t.Context(), name)
			problem := problemOf(t, err, c.kind, "connector_"+string(c.cause))
			require.Contains(t, problem.Message, `connector "`+name+`" did not start`)
			require.Equal(t, []runner.Cause{c.cause}, b.exits.causes(runner.Connection{Connector: name}))
			require.Zero(t, b.exits.starts())
			b.requireNoSockets(t)
		})
	}
}

func TestStartLimitIsNamed(t *testing.T) {
	b := newBench(t, runner.Options{StartTimeout: 300 * time.Millisecond}, "slow-start")
	_, err := b.Describe(t.Context(), "slow-start")
	require.ErrorContains(t, err, "it did not serve within the start limit of 300ms")
}

func TestCloseWhileStarting(t *testing.T) {
	b := newBench(t, runner.Options{StartTimeout: time.Minute}, "slow-start")
	failed := make(chan error)
	go func() {
		_, err := b.Describe(t.Context(), "slow-start")
		failed <- err
	}()
	require.EventuallyWithT(t, func(now *assert.CollectT) {
		dirs, err := filepath.Glob(filepath.Join(b.sockets, "*"))
		require.NoError(now, err)
		require.NotEmpty(now, dirs)
	}, 5*time.Second, 5*time.Millisecond)
	require.NoError(t, b.Close())
	var problem *connector.Problem
	require.ErrorAs(t, <-failed, &problem)
	require.Equal(t, connector.Upstream, problem.Kind)
}

// go-plugin as it comes panics on this line of standard error.
func TestPoisonousLogLine(t *testing.T) {
	b := newBench(t, runner.Options{}, "bad-stderr")
	_, err := b.Check(t.Context(), to("bad-stderr"), callWith("print", `{"@message": 1}`, ""))
	require.NoError(t, err)
	require.EventuallyWithT(t, func(now *assert.CollectT) {
		require.Contains(now, b.log.String(), `line="{\"@message\": 1}"`)
	}, 5*time.Second, 5*time.Millisecond)
}

func TestLogIsScreened(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	order := callWith("print", `{"@level":"warn","@message":"refused hush \"hush\"","who":"ann@example.com","url":"/x?key=hush+%22hush%22"}`, "")
	order.Secrets = map[string]string{"token": `hush "hush"`}
	_, err := b.Check(t.Context(), to("good"), order)
	require.NoError(t, err)
	const line = `level=WARN msg="connector log" connector=good connection=romashka/good stream=%s line="refused [secret]" ` +
		`fields="{\"url\":\"/x?key=[secret]\",\"who\":\"[personal]\"}"`
	require.EventuallyWithT(t, func(now *assert.CollectT) {
		// Twice each: before go-plugin takes the process's output over, and after.
		require.Equal(now, 2, b.log.lines(strings.ReplaceAll(line, "%s", "stderr")), b.log.String())
		require.Equal(now, 2, b.log.lines(strings.ReplaceAll(line, "%s", "stdout")), b.log.String())
	}, 5*time.Second, 5*time.Millisecond)
	require.NotContains(t, b.log.String(), "hush")
}

func TestLogFlood(t *testing.T) {
	b := newBench(t, runner.Options{StopTimeout: time.Second}, "good")
	for range 50 { // each order starts one more flood
		_, err := b.Check(t.Context(), to("good"), call("flood"))
		require.NoError(t, err)
	}
	for range 50 {
		_, err := b.Check(t.Context(), to("good"), call(""))
		require.NoError(t, err, "calls are served all the same")
	}
	begun := time.Now()
	require.NoError(t, b.Close())
	require.Less(t, time.Since(begun), 2*time.Second)
	require.Less(t, b.log.lines("connector log\""), 1000)
	require.NotZero(t, b.log.lines("connector log lines dropped"))
}

func TestEnvironment(t *testing.T) {
	t.Setenv("REGULARS_VAULT_KEY", "top secret")
	t.Setenv("SSL_CERT_FILE", "/etc/own-ca.pem")
	b := newBench(t, runner.Options{MemoryLimit: 100 << 20}, "good")
	order := call("")
	order.Secrets = map[string]string{"token": "t"}
	order.Budget.Calls = 7
	check, err := b.Check(t.Context(), to("good"), order)
	require.NoError(t, err)
	var seen struct {
		Env           []string
		Folder, Stdin string
		Secrets       map[string]string
		Calls         int
		Deadline      time.Time
	}
	require.NoError(t, json.Unmarshal(check.Config, &seen))
	allowed := []string{
		"PATH", "LANG", "TZ", "GOMEMLIMIT", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR", "REGULARS_CONNECTOR",
		"PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR",
	}
	for _, variable := range seen.Env {
		name, _, _ := strings.Cut(variable, "=")
		require.Contains(t, allowed, name)
	}
	require.Contains(t, seen.Env, "SSL_CERT_FILE=/etc/own-ca.pem")
	require.Contains(t, seen.Env, "GOMEMLIMIT="+strconv.Itoa((100<<20)/10*9))
	require.Equal(t, "/", seen.Folder)
	require.Equal(t, os.DevNull, seen.Stdin)
	require.Equal(t, map[string]string{"token": "t"}, seen.Secrets)
	require.Equal(t, 7, seen.Calls)
	require.WithinDuration(t, time.Now().Add(54*time.Second), seen.Deadline, 6*time.Second)
}

func TestDeathInACall(t *testing.T) {
	cases := map[string]struct {
		kind  connector.ProblemKind
		rule  string
		cause runner.Cause
		words string
	}{
		"exit":  {connector.Bug, "connector_exited", runner.CauseExit, "exit status 7"},
		"panic": {connector.Bug, "connector_exited", runner.CauseExit, "exit status 2"},
		"deaf":  {connector.Bug, "connector_protocol", runner.CauseProtocol, "broke off Check"},
	}
	for do, c := range cases {
		t.Run(do, func(t *testing.T) {
			b := newBench(t, runner.Options{}, "good")
			_, err := b.Check(t.Context(), to("good"), call(do))
			require.Contains(t, problemOf(t, err, c.kind, c.rule).Message, c.words)
			b.exits.requireCauses(t, to("good"), c.cause)
			b.requireNoSockets(t)
			_, err = b.Check(t.Context(), to("good"), call(""))
			require.NoError(t, err, "the next call starts it anew")
		})
	}
}

func TestKilledInACall(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	check, err := b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	pid, err := strconv.Atoi(check.AccountID)
	require.NoError(t, err)

	note := filepath.Join(b.folder, "family")
	failed := make(chan error)
	go func() {
		_, err := b.Check(t.Context(), to("good"), callWith("family", "", note))
		failed <- err
	}()
	var relative int
	require.EventuallyWithT(t, func(now *assert.CollectT) {
		text, err := os.ReadFile(note)
		require.NoError(now, err)
		relative, err = strconv.Atoi(string(text))
		require.NoError(now, err)
	}, 5*time.Second, 5*time.Millisecond)
	relativeGone := gone(t, relative)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	problem := problemOf(t, <-failed, connector.Upstream, "connector_killed")
	require.Contains(t, problem.Message, "killed")
	b.requireNoSockets(t)
	relativeGone()

	again, err := b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	require.NotEqual(t, check.AccountID, again.AccountID)
	b.exits.requireCauses(t, to("good"), runner.CauseSignal)
}

// A process killed while nobody calls it is started anew without anybody noticing.
func TestKilledBetweenCalls(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	for range 3 {
		check, err := b.Check(t.Context(), to("good"), call(""))
		require.NoError(t, err)
		pid, err := strconv.Atoi(check.AccountID)
		require.NoError(t, err)
		wait := gone(t, pid)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		wait()
	}
}

func TestHang(t *testing.T) {
	b := newBench(t, runner.Options{CallTimeout: 400 * time.Millisecond}, "good")
	_, err := b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	_, err = b.Check(t.Context(), to("good"), call("hang"))
	require.Contains(t, problemOf(t, err, connector.Upstream, "call_timeout").Message, "Check took longer than the call limit of 400ms")
	_, err = b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	b.exits.requireCauses(t, to("good"), runner.CauseCallTimeout)
}

// go-plugin as it comes hangs for ever when it is to end a stopped process.
func TestFrozenProcess(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		b := newBench(t, runner.Options{StopTimeout: time.Second}, "good")
		check, err := b.Check(t.Context(), to("good"), call(""))
		require.NoError(t, err)
		freeze(t, check.AccountID)
		begun := time.Now()
		require.NoError(t, b.Close())
		require.Less(t, time.Since(begun), 1500*time.Millisecond)
		b.exits.requireCauses(t, to("good"), runner.CauseStopped)
		b.requireNoSockets(t)
	})
	t.Run("used again", func(t *testing.T) {
		b := newBench(t, runner.Options{}, "good")
		check, err := b.Check(t.Context(), to("good"), call(""))
		require.NoError(t, err)
		freeze(t, check.AccountID)
		b.clock.advance(10 * time.Second)
		again, err := b.Check(t.Context(), to("good"), call(""))
		require.NoError(t, err, "the health check finds it out")
		require.NotEqual(t, check.AccountID, again.AccountID)
		b.exits.requireCauses(t, to("good"), runner.CauseHealth)
	})
	t.Run("in a call", func(t *testing.T) {
		b := newBench(t, runner.Options{CallTimeout: 400 * time.Millisecond}, "good")
		_, err := b.Check(t.Context(), to("good"), call(""))
		require.NoError(t, err)
		_, err = b.Check(t.Context(), to("good"), call("freeze"))
		requireProblem(t, err, connector.Upstream, "call_timeout")
		b.exits.requireCauses(t, to("good"), runner.CauseCallTimeout)
	})
}

func freeze(t *testing.T, pid string) {
	t.Helper()
	number, err := strconv.Atoi(pid)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(number, syscall.SIGSTOP))
	// The signal returns before every thread has stopped, and one that has not may still answer.
	require.Eventually(t, func() bool {
		threads, err := filepath.Glob(filepath.Join("/proc", pid, "task", "*", "stat"))
		require.NoError(t, err)
		for _, thread := range threads {
			stat, err := os.ReadFile(thread)
			if err != nil || !strings.Contains(string(stat), ") T ") {
				return false
			}
		}
		return len(threads) > 0
	}, 5*time.Second, time.Millisecond)
}

func TestCloseInACall(t *testing.T) {
	b := newBench(t, runner.Options{StopTimeout: time.Second}, "good")
	failed := make(chan error)
	note := filepath.Join(b.folder, "family")
	go func() {
		_, err := b.Check(t.Context(), to("good"), callWith("family", "", note))
		failed <- err
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(note); return err == nil }, 5*time.Second, 5*time.Millisecond)
	require.NoError(t, b.Close())
	var problem *connector.Problem
	require.ErrorAs(t, <-failed, &problem)
	require.Equal(t, connector.Upstream, problem.Kind)
}

func TestChecksum(t *testing.T) {
	wrong := strings.Repeat("00", 32)
	b := newBench(t, runner.Options{Checksums: map[string]string{"good": wrong}}, "good", "mtls")
	_, err := b.Describe(t.Context(), "good")
	requireProblem(t, err, connector.Bug, "connector_checksum")
	require.Equal(t, []runner.Cause{runner.CauseChecksum}, b.exits.causes(runner.Connection{Connector: "good"}))
	_, err = b.Describe(t.Context(), "mtls")
	require.NoError(t, err, "one without a checksum is not checked")

	right := newBench(t, runner.Options{Checksums: map[string]string{"good": sha256Of(t, rogue)}}, "good")
	_, err = right.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
}

func TestQuarantine(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	crash := func() error {
		_, err := b.Check(t.Context(), to("good"), call("exit"))
		return err
	}
	for i := range 4 {
		requireProblem(t, crash(), connector.Bug, "connector_exited")
		b.exits.requireCauses(t, to("good"), slices.Repeat([]runner.Cause{runner.CauseExit}, i+1)...)
	}
	// The first of them is forgotten by now.
	b.clock.advance(11 * time.Minute)
	for i := range 5 {
		_, held := b.Quarantined("good")
		require.False(t, held)
		requireProblem(t, crash(), connector.Bug, "connector_exited")
		b.exits.requireCauses(t, to("good"), slices.Repeat([]runner.Cause{runner.CauseExit}, i+5)...)
	}
	starts := b.exits.starts()
	problem := problemOf(t, crash(), connector.Upstream, "connector_quarantined")
	require.Contains(t, problem.Message, "exit status 7")
	require.Contains(t, problem.Message, "regulars connector release good")
	require.Equal(t, starts, b.exits.starts(), "nothing is started")
	require.Equal(t, 1, b.log.lines("connector quarantined"))

	quarantine, held := b.Quarantined("good")
	require.True(t, held)
	require.Equal(t, b.clock.Now(), quarantine.Since)
	require.True(t, b.Release("good"))
	require.False(t, b.Release("good"))
	_, err := b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)

	// Another build releases itself.
	for range 5 {
		requireProblem(t, crash(), connector.Bug, "connector_exited")
	}
	require.EventuallyWithT(t, func(now *assert.CollectT) {
		_, held := b.Quarantined("good")
		require.True(now, held)
	}, 5*time.Second, 5*time.Millisecond)
	path := filepath.Join(b.folder, "good")
	require.NoError(t, os.Remove(path))
	copyRogue(t, path)
	_, err = b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
}

func TestRunStopsEverything(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	_, err := b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, []runner.Cause{runner.CauseStopped}, b.exits.causes(to("good")))
	_, err = b.Check(t.Context(), to("good"), call(""))
	requireProblem(t, err, connector.Upstream, "hub_stopping")
}
