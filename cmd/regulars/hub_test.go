package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/configs/demo"
)

func TestSocketPath(t *testing.T) {
	require.Equal(t, "/data/regulars.db.sock", socketPath("/data/regulars.db"))
	long := "/" + strings.Repeat("a", 120) + "/regulars.db"
	require.LessOrEqual(t, len(socketPath(long)), maxSocketPath)
	again := "/" + strings.Repeat("a", 120) + "/regulars.db"
	require.Equal(t, socketPath(long), socketPath(again))
	require.NotEqual(t, socketPath(long), socketPath(long+"2"))
}

func TestSocketIsForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, err := dialSocket(t.Context(), path)
	require.ErrorIs(t, err, errNoHub)

	listener, err := listenSocket(t.Context(), path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	// A hub that is killed leaves its socket behind.
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, listener.Close())
	_, err = os.Stat(path)
	require.NoError(t, err)
	_, err = dialSocket(t.Context(), path)
	require.ErrorIs(t, err, errNoHub)
	listener, err = listenSocket(t.Context(), path)
	require.NoError(t, err)
	conn, err := dialSocket(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, listener.Close())
}

func TestSocketFolderOfSomebodyElse(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path := socketPath("/" + strings.Repeat("a", 120))
	folder := filepath.Dir(path)
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, os.Chmod(folder, 0o777))
	_, err := listenSocket(t.Context(), path)
	require.ErrorContains(t, err, "not yours alone")
}

func TestInProcess(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Kind", "test")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(text)
	})
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	transport := &inProcess{handler: mux}
	defer transport.Wait()
	do := func(ctx context.Context, path, body string) (status int, kind, text string, err error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://hub"+path, strings.NewReader(body))
		require.NoError(t, err)
		response, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			return 0, "", "", err
		}
		read, err := io.ReadAll(response.Body)
		require.NoError(t, response.Body.Close())
		return response.StatusCode, response.Header.Get("X-Kind"), string(read), err
	}
	status, kind, text, err := do(t.Context(), "/ok", "body")
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, status)
	require.Equal(t, "test", kind)
	require.Equal(t, "body", text)
	status, _, text, err = do(t.Context(), "/empty", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, text)
	_, _, text, err = do(t.Context(), "/cut", "")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, "half", text)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _, err = do(ctx, "/slow", "")
	require.ErrorIs(t, err, context.Canceled)
}

// A copy of the demo's files must not overwrite what was added to them.
func TestDemoFiles(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "config")
	require.NoError(t, writeDemo(folder))
	hub, err := os.ReadFile(filepath.Join(folder, "hub.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(hub), "store: ../regulars.db\n")
	require.NotContains(t, string(hub), "bin/connectors")
	orders := filepath.Join(folder, "shop", "orders.csv")
	require.NoError(t, os.WriteFile(orders, []byte("mine"), 0o644))
	require.NoError(t, os.Remove(filepath.Join(folder, "hub.yaml")))
	require.NoError(t, writeDemo(folder))
	text, err := os.ReadFile(orders)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
	_, err = os.Stat(filepath.Join(folder, "hub.yaml"))
	require.NoError(t, err)
	for name := range demoPaths {
		_, err := demo.Files.ReadFile(name)
		require.NoError(t, err, name)
	}
}

// output is written by the program and watched by a test.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen chan struct{} // closed when awaited has appeared
	want string
}

func awaiting(text string) *output { return &output{want: text, seen: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	had := strings.Contains(o.text.String(), o.want)
	n, err := o.text.Write(p)
	if !had && strings.Contains(o.text.String(), o.want) {
		close(o.seen)
	}
	return n, err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// program runs a command line against a real hub.
func program(ctx context.Context, folder string, stdout, stderr io.Writer, args ...string) int {
	s := system()
	s.stdout, s.stderr, s.terminal, s.connectors = stdout, stderr, false, folder
	s.getenv = func(string) string { return "" }
	return execute(ctx, args, s)
}

// The whole way: a first demo, a command to the running hub, a second hub refused, a stop, a command without a hub, an
// order that is appended, and a second demo that finds nothing to do.
func TestDemo(t *testing.T) {
	folder := connectors(t)
	data := t.TempDir()
	config := filepath.Join(data, "config")
	one := func(code int, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		got := program(t.Context(), folder, &stdout, &stderr, append([]string{"--config", config}, args...)...)
		require.Equal(t, code, got, "%v\n%s\n%s", args, stdout.String(), stderr.String())
		return stdout.String() + stderr.String()
	}
	start := func() (*output, func()) {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		stdout, stderr, ended := awaiting("Ctrl-C ends it"), awaiting("nothing"), make(chan int, 1)
		go func() {
			ended <- program(ctx, folder, stdout, stderr, "demo", "--data", data, "--listen", "127.0.0.1:0")
		}()
		select {
		case <-stdout.seen:
		case code := <-ended:
			stop()
			require.FailNow(t, "the demo ended", "%d\n%s\n%s", code, stdout, stderr)
		case <-time.After(2 * time.Minute):
			stop()
			<-ended
			require.FailNow(t, "the demo did not come to its end", "%s\n%s", stdout, stderr)
		}
		return stdout, func() {
			stop()
			require.Equal(t, exitOK, <-ended, stderr.String())
		}
	}

	first, stop := start()
	require.Contains(t, first.String(), "== What was pushed")
	require.NotContains(t, first.String(), "Nothing to do")
	list, err := os.ReadFile(filepath.Join(data, "lists", "win-back.csv"))
	require.NoError(t, err)
	require.Greater(t, bytes.Count(list, []byte("\n")), 10)

	require.Contains(t, one(exitOK, "status"), "demo: ok")
	require.Contains(t, one(exitOK, "activation", "results", "win-back", "--workspace", "demo"), "add")
	require.Contains(t, one(exitFailed, "run", "list", "--workspace", "other"), "not found")
	require.Contains(t, one(exitFailed, "serve", "--listen", "127.0.0.1:0"), "two hubs on one store are refused")
	stop()

	// Without a hub the command brings its own.
	require.Contains(t, one(exitOK, "sync"), "nothing had changed")
	orders, err := os.OpenFile(filepath.Join(config, "shop", "orders.csv"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = orders.WriteString("00004,1998-06-30,1,19.99\n")
	require.NoError(t, err)
	require.NoError(t, orders.Close())
	require.Contains(t, one(exitOK, "sync", "shop.orders", "--json"), `"stored": 1,`)

	second, stop := start()
	require.Contains(t, second.String(), "Nothing to do")
	stop()
	_, err = os.Stat(filepath.Join(data, "regulars.db.sock"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// The ways a demo may differ from what is expected.
func TestDifferences(t *testing.T) {
	require.True(t, sameValue([]byte("0.1"), []byte("0.10000000000000001")))
	require.False(t, sameValue([]byte("0.1"), []byte("0.1000001")))
	require.False(t, sameValue([]byte(`"5.00"`), []byte(`"5.01"`)))
	require.False(t, sameValue([]byte("0"), []byte("null")))
	require.True(t, sameValue([]byte("null"), []byte("null")))
	first := map[string]int64{"added": 5, "members": 0, "held_no_consent": 3}
	second := map[string]int64{"unchanged": 5, "members": 5, "held_no_consent": 3}
	require.Equal(t, onceDone(first), onceDone(second))
}
