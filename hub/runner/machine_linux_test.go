package runner_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/runner"
)

func TestMemory(t *testing.T) {
	b := newBench(t, runner.Options{MemoryLimit: 150 << 20}, "good")
	b.run(t)
	_, err := b.Check(t.Context(), to("good"), call("hog"))
	require.Contains(t, problemOf(t, err, connector.Bug, "connector_memory").Message, "more than 150 MiB")
	b.exits.requireCauses(t, to("good"), runner.CauseMemory)
	_, err = b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
}

// A hub that is killed takes its connectors with it, and the next one sweeps away their sockets.
func TestHubIsKilled(t *testing.T) {
	folder, err := os.MkdirTemp("", "c") // t.TempDir is too long for the paths of sockets
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(folder)) }()
	require.NoError(t, os.Symlink(rogue, filepath.Join(folder, "good")))

	hub := exec.Command(os.Args[0])
	hub.Env = append(os.Environ(), hubFolder+"="+folder)
	hub.Stderr = os.Stderr
	stdin, err := hub.StdinPipe()
	require.NoError(t, err)
	stdout, err := hub.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, hub.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	wait := gone(t, pid)
	require.NoError(t, hub.Process.Kill())
	require.Error(t, hub.Wait())
	_ = stdin.Close()
	wait()

	pool, err := runner.New(runner.Options{Folder: folder, Sockets: filepath.Join(folder, "s")})
	require.NoError(t, err)
	require.NoError(t, pool.Close())
	left, err := filepath.Glob(filepath.Join(folder, "s", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// gone returns a function that waits for the end of a process, which may be anybody's child.
func gone(t *testing.T, pid int) func() {
	t.Helper()
	handle, err := unix.PidfdOpen(pid, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(handle) })
	return func() {
		t.Helper()
		require.Eventually(t, func() bool {
			ready, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, 0)
			return err == nil && ready == 1
		}, 10*time.Second, 5*time.Millisecond, "the process goes on")
	}
}

func TestConnectorsGoFirstWhenMemoryIsShort(t *testing.T) {
	b := newBench(t, runner.Options{}, "good")
	check, err := b.Check(t.Context(), to("good"), call(""))
	require.NoError(t, err)
	score, err := os.ReadFile("/proc/" + check.AccountID + "/oom_score_adj")
	require.NoError(t, err)
	require.Equal(t, "1000", strings.TrimSpace(string(score)))
	limits, err := os.ReadFile("/proc/" + check.AccountID + "/limits")
	require.NoError(t, err)
	require.Regexp(t, `Max core file size +0 +0 `, string(limits))
}

func sha256Of(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
