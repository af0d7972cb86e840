package runner

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin/runner"
)

const (
	// maxHandshakeLine holds an AutoMTLS certificate (about 1 KiB) with room to spare.
	maxHandshakeLine = 16 << 10
	// drainTime is how long output is still read after the process ended. More than that is only needed when a
	// descendant that left the process group holds the pipe open.
	drainTime = 250 * time.Millisecond
	// endTime is how long a process that closed its output without a handshake is given to end by itself.
	endTime = 100 * time.Millisecond
)

// child is one connector process. It is go-plugin's runner.Runner, written to keep R8 where go-plugin's own does
// not: go-plugin sees one clean line of standard output and nothing of standard error (a line {"@message": 1}
// there panics it), Kill ends the whole process group and is bounded, and neither a process nor a socket stays
// behind.
type child struct {
	path   string
	mtls   bool
	screen *screen

	// Set by prepare, before Start.
	env       []string
	socketDir string

	firstLine *io.PipeReader // what go-plugin reads
	toPlugin  *io.PipeWriter

	// exited is closed when the process is reaped, its output read and its socket folder removed.
	exited chan struct{}
	// silent is closed when the standard output ended without a first line.
	silent chan struct{}

	mu     sync.Mutex
	pid    int
	over   bool // the process has ended; its number must not be signalled any more
	killed bool
	cause  Cause // set by the first who ends the process
	status syscall.WaitStatus
	fault  *startFault // what is wrong with the handshake
	spoke  bool        // a first line was seen
}

var _ goplugin.Runner = (*child)(nil)

func newChild(path string, mtls bool, screen *screen) *child {
	c := &child{path: path, mtls: mtls, screen: screen, exited: make(chan struct{}), silent: make(chan struct{})}
	c.firstLine, c.toPlugin = io.Pipe()
	return c
}

// prepare takes over what go-plugin wants the process to be started with.
func (c *child) prepare(env []string, socketDir string) {
	c.env = append(c.env, env...)
	c.socketDir = socketDir
}

// Start implements runner.Runner. The context is not used: starting a process does not block.
func (c *child) Start(context.Context) (err error) {
	defer func() {
		if err != nil {
			_ = os.RemoveAll(c.socketDir)
		}
	}()
	stdout, stdoutEnd, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe for standard output: %w", err)
	}
	stderr, stderrEnd, err := os.Pipe()
	if err != nil {
		return errors.Join(fmt.Errorf("pipe for standard error: %w", err), stdout.Close(), stdoutEnd.Close())
	}
	cmd := &exec.Cmd{
		Path: c.path, Args: []string{c.path}, Env: c.env, Dir: "/",
		Stdout: stdoutEnd, Stderr: stderrEnd, // no Stdin: the null device
		SysProcAttr: childAttributes(),
	}
	started := make(chan error, 1)
	go c.own(cmd, stdout, stderr, started)
	if err = <-started; err != nil {
		<-c.exited
	}
	// The child has its own copies; ours would hide the end of its output.
	return errors.Join(err, stdoutEnd.Close(), stderrEnd.Close())
}

// own starts the process, waits for its end and cleans up after it. It keeps its thread for all that time: the
// kernel sends the parent-death signal when the starting thread ends, which Go may do at any time (golang/go#27505).
func (c *child) own(cmd *exec.Cmd, stdout, stderr *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.exited)
	defer func() { _ = os.RemoveAll(c.socketDir) }()
	defer func() { _, _ = stdout.Close(), stderr.Close() }()

	if err := cmd.Start(); err != nil {
		_ = c.toPlugin.Close()
		started <- err
		return
	}
	pid := cmd.Process.Pid
	confine(pid)
	c.mu.Lock()
	c.pid = pid
	unwanted := c.killed
	c.mu.Unlock()
	if unwanted {
		c.kill()
	}
	started <- nil

	var output sync.WaitGroup
	output.Go(func() { c.readStdout(stdout) })
	output.Go(func() { c.screen.copy("stderr", stderr) })

	awaitExit(pid)
	c.mu.Lock()
	c.over = true
	// Whatever the connector started itself goes with it. The group's number is safe while the leader is unreaped.
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	c.mu.Unlock()
	_ = cmd.Wait() // the status says it all
	c.mu.Lock()
	c.status, _ = cmd.ProcessState.Sys().(syscall.WaitStatus)
	c.mu.Unlock()

	c.screen.unthrottle()
	until := time.Now().Add(drainTime)
	_, _ = stdout.SetReadDeadline(until), stderr.SetReadDeadline(until)
	output.Wait()
	c.screen.flush()
}

// readStdout checks the first line, passes it to go-plugin when it is sound, and sends the rest to the log.
func (c *child) readStdout(stdout io.Reader) {
	reader := bufio.NewReaderSize(stdout, maxHandshakeLine)
	line, err := reader.ReadSlice('\n')
	if err == nil || len(line) > 0 {
		clean, fault := readHandshake(string(line), c.socketDir, c.mtls)
		c.mu.Lock()
		c.spoke, c.fault = true, fault
		c.mu.Unlock()
		if fault != nil {
			clean = "" // go-plugin gives up on an empty line at once
		}
		_, _ = io.WriteString(c.toPlugin, clean+"\n")
	} else {
		close(c.silent)
	}
	_ = c.toPlugin.Close()
	c.screen.copy("stdout", reader)
}

// end sets why the process is ended, unless it has ended or somebody else came first.
func (c *child) end(cause Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over && c.cause == "" {
		c.cause = cause
	}
}

// kill ends the whole process group at once, or as soon as it is started. A stopped process (SIGSTOP) ends too. It
// does not wait.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.killed = true
	if c.pid != 0 {
		_ = syscall.Kill(-c.pid, syscall.SIGKILL)
	}
}

// alive returns the process's number, or false when there is none (any more).
func (c *child) alive() (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pid, c.pid != 0 && !c.over && !hasEnded(c.pid)
}

// exitCause returns why the process is being ended; empty when nobody ends it.
func (c *child) exitCause() Cause {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// exit says how the process ended; call it after exited is closed.
func (c *child) exit() Exit {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cause != "":
		return Exit{Cause: c.cause}
	case c.status.Signaled() && c.killed && c.status.Signal() == syscall.SIGKILL:
		return Exit{Cause: CauseStopped}
	case c.status.Signaled():
		return Exit{Cause: CauseSignal, Signal: c.status.Signal().String(), signal: c.status.Signal()}
	default:
		return Exit{Cause: CauseExit, Code: c.status.ExitStatus()}
	}
}

// Wait implements runner.Runner.
func (c *child) Wait(ctx context.Context) error {
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kill implements runner.Runner. It returns once the process is gone, which the kernel does not delay but for a
// process in an uninterruptible system call; the Pool's own stop limit covers that.
func (c *child) Kill(ctx context.Context) error {
	if c.ID() == "" {
		return nil
	}
	select {
	case <-c.silent:
		// It closed its output, most likely as it is about to end. A moment to do so tells how.
		waitFor(c.exited, endTime)
	default:
	}
	c.kill()
	return c.Wait(ctx)
}

// Stdout implements runner.Runner: the handshake line and nothing else.
func (c *child) Stdout() io.ReadCloser { return c.firstLine }

// Stderr implements runner.Runner: nothing, as the screen reads it.
func (c *child) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name implements runner.Runner.
func (c *child) Name() string { return filepath.Base(c.path) }

// Diagnose implements runner.Runner; the Pool's own problems say more.
func (c *child) Diagnose(context.Context) string { return "" }

// ID implements runner.Runner: the process's number, empty before the start.
func (c *child) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pid == 0 {
		return ""
	}
	return strconv.Itoa(c.pid)
}

// PluginToHost implements runner.Runner; readHandshake has checked the address.
func (c *child) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin implements runner.Runner. A connector is never offered an address of the hub's.
func (c *child) HostToPlugin(string, string) (string, string, error) {
	return "", "", &net.AddrError{Err: "connectors do not call the hub"}
}
