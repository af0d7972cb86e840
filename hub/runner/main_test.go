package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/runner"
)

// rogue is the path of the connector built from internal/rogue.
var rogue string

func TestMain(m *testing.M) {
	if folder := os.Getenv(hubFolder); folder != "" {
		runHub(folder)
		return
	}
	dir, err := os.MkdirTemp("", "rogue")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	rogue = filepath.Join(dir, "rogue")
	build := exec.Command("go", "build", "-o", rogue, "./internal/rogue")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the test connector:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// hubFolder is the variable that makes the test binary a small hub with the connectors of that folder.
const hubFolder = "REGULARS_RUNNER_TEST_HUB"

// runHub starts a connector, says its process's number, and goes on until it is killed.
func runHub(folder string) {
	pool, err := runner.New(runner.Options{Folder: folder, Sockets: filepath.Join(folder, "s")})
	if err == nil {
		var result connector.CheckResult
		result, err = pool.Check(context.Background(), runner.Connection{ID: "c", Connector: "good"}, connector.Call{})
		fmt.Fprintln(os.Stdout, result.AccountID)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // for ever: the test keeps it open
}

// bench is a Pool with what a test looks at around it.
type bench struct {
	*runner.Pool
	folder, sockets string
	clock           *clock
	exits           *exits
	log             *lockedBuffer
}

// newBench returns a Pool whose folder holds the test connector under the given names.
func newBench(t *testing.T, opts runner.Options, names ...string) *bench {
	t.Helper()
	folder, err := os.MkdirTemp("", "c") // t.TempDir is too long for the paths of sockets
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	for _, name := range names {
		require.NoError(t, os.Symlink(rogue, filepath.Join(folder, name)))
	}
	b := &bench{
		folder: folder, sockets: filepath.Join(folder, "sockets"), log: &lockedBuffer{}, exits: &exits{},
		clock: &clock{now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
	}
	opts.Folder, opts.Sockets, opts.Clock, opts.Observer = b.folder, b.sockets, b.clock, b.exits
	opts.Log = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.Pool, err = runner.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, b.Close())
		b.requireNoSockets(t)
	})
	return b
}

// run runs the Pool until the test ends.
func (b *bench) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

func (b *bench) script(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(b.folder, name), []byte(text), mode))
}

func (b *bench) requireNoSockets(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(b.sockets, "*"))
	require.NoError(t, err)
	require.Empty(t, left, "sockets left behind")
}

func call(do string) connector.Call { return callWith(do, "", "") }

func callWith(do, text, file string) connector.Call {
	config, _ := json.Marshal(map[string]string{"do": do, "text": text, "file": file})
	return connector.Call{Config: config}
}

func to(name string) runner.Connection {
	return runner.Connection{ID: "romashka/" + name, Connector: name}
}

// requireProblem requires an error to hold a Problem of a kind and rule.
func requireProblem(t *testing.T, err error, kind connector.ProblemKind, rule string) {
	t.Helper()
	_ = problemOf(t, err, kind, rule)
}

// problemOf returns the Problem of an error, required to be of a kind and rule.
func problemOf(t *testing.T, err error, kind connector.ProblemKind, rule string) *connector.Problem {
	t.Helper()
	var problem *connector.Problem
	require.ErrorAs(t, err, &problem)
	require.Equal(t, string(kind)+" "+rule, string(problem.Kind)+" "+problem.Rule, problem.Message)
	return problem
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// exits is an Observer that writes down what it sees.
type exits struct {
	mu      sync.Mutex
	started int
	seen    []runner.Exit
	of      []runner.Connection
}

func (e *exits) Started(runner.Connection) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.started++
}

func (e *exits) Exited(c runner.Connection, exit runner.Exit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen, e.of = append(e.seen, exit), append(e.of, c)
}

func (e *exits) starts() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.started
}

// causes returns the causes of the exits of a connection's processes.
func (e *exits) causes(c runner.Connection) []runner.Cause {
	e.mu.Lock()
	defer e.mu.Unlock()
	var causes []runner.Cause
	for i, exit := range e.seen {
		if e.of[i] == c {
			causes = append(causes, exit.Cause)
		}
	}
	return causes
}

// requireCauses waits for the exits of a connection's processes.
func (e *exits) requireCauses(t *testing.T, c runner.Connection, want ...runner.Cause) {
	t.Helper()
	require.EventuallyWithT(t, func(now *assert.CollectT) { require.Equal(now, want, e.causes(c)) }, 10*time.Second, 5*time.Millisecond)
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *lockedBuffer) lines(containing string) int {
	count := 0
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, containing) {
			count++
		}
	}
	return count
}
