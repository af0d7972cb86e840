// Package e2e tests Regulars across its borders: a real hub, real connector processes, a real store.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/regulars/regulars/hub"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
)

// bin holds the programs under test, built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "regulars-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		for target, pkg := range map[string]string{"regulars": "../cmd/regulars", "connectors/table": "../plugins/table"} {
			build := exec.Command("go", "build", "-o", filepath.Join(dir, target), pkg)
			if out, err := build.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "building %s: %v\n%s", pkg, err, out)
				return 1
			}
		}
		code := m.Run()
		if code == 0 {
			if err := goleak.Find(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		return code
	}())
}

// site is a folder with a configuration and the files it names.
type site struct{ dir string }

const hubYAML = `listen: 127.0.0.1:0
store: regulars.db
`

func newSite(t *testing.T, workspace string, files map[string]string) site {
	t.Helper()
	s := site{dir: t.TempDir()}
	s.write(t, "hub.yaml", hubYAML+"connectors: {folder: "+filepath.Join(bin, "connectors")+"}\n")
	s.write(t, "workspaces/shop.yaml", workspace)
	for name, text := range files {
		s.write(t, name, text)
	}
	return s
}

func (s site) path(name string) string { return filepath.Join(s.dir, name) }

func (s site) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	require.NoError(t, os.WriteFile(s.path(name), []byte(text), 0o600))
}

func (s site) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(s.path(name))
	require.NoError(t, err)
	return string(text)
}

// openHub opens a hub on the site and runs it until the test ends or stop is called.
func (s site) openHub(t *testing.T) (h *hub.Hub, stop func()) {
	t.Helper()
	return s.openHubAt(t, nil)
}

// openHubAt is openHub with a clock and what is due by it; nil is the real one and no schedules.
func (s site) openHubAt(t *testing.T, clock store.Clock) (h *hub.Hub, stop func()) {
	t.Helper()
	cfg, problems := config.Load(s.path("hub.yaml"), config.Options{LookupEnv: os.LookupEnv})
	require.NotNil(t, cfg, "%v", problems)
	require.Empty(t, problems)
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelDebug
	}
	h, err := hub.Open(t.Context(), hub.Options{Config: cfg, Clock: clock, Schedules: clock != nil, Log: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: level}))})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(t, errors.Join(<-done, h.Close()))
	}
	t.Cleanup(stop)
	return h, stop
}

// testLog writes log lines to the test.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(string(bytes.TrimRight(p, "\n")))
	return len(p), nil
}

// sync requests a run of every stream and waits until all that follows from it is done.
func sync(t *testing.T, h *hub.Hub, mode run.Mode) []api.Run {
	t.Helper()
	runs, err := h.Sync(t.Context(), "", nil, mode)
	require.NoError(t, err)
	settleDown(t, h)
	for i, r := range runs {
		runs[i], err = h.GetRun(t.Context(), "", r.ID)
		require.NoError(t, err)
	}
	return runs
}

func settleDown(t *testing.T, h *hub.Hub) {
	t.Helper()
	require.Eventually(t, func() bool {
		st, err := h.Standing(t.Context(), "")
		require.NoError(t, err)
		return st.Idle
	}, 3*time.Minute, 20*time.Millisecond)
}

// push runs an activation and waits for its end.
func push(t *testing.T, h *hub.Hub, id string) api.Run {
	t.Helper()
	r, err := h.RunActivation(t.Context(), "", id)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		r, err = h.GetRun(t.Context(), "", r.ID)
		require.NoError(t, err)
		return !r.State.Active()
	}, time.Minute, 20*time.Millisecond)
	return r
}

func export(t *testing.T, h *hub.Hub) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, h.Export(t.Context(), "", &out))
	return out.String()
}
