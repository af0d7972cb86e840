// Package runner runs connectors: executables that speak the connector protocol over hashicorp/go-plugin, one
// process per connection in use, started on demand and stopped when idle. It keeps rule R8: whatever a connector
// does (crash, hang, flood, garbage, huge messages, a wrong executable, too much memory), the hub only sees a
// connector.Problem.
//
// A connector is started with "/" as its working folder, the null device as standard input and an environment of its
// own: nothing of the hub's but where the system's certificates and temporary files are. Its socket lies in a folder
// only the hub's user can enter.
package runner

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/store"
)

// Options say where connectors are and what they may use. Only Folder must be set.
type Options struct {
	// Folder holds the executables; a connector's name is its file's name.
	Folder string
	// Sockets is a private folder for the connectors' Unix sockets, made with mode 0700 when missing. When it is
	// empty, or too long for a socket's path (about 70 bytes), a temporary folder is used.
	Sockets string

	Clock store.Clock  // default the system's
	Log   *slog.Logger // default slog.Default()

	// MaxAlive is how many processes live at once; default 8. One more call stops the idle process that was used
	// longest ago, and else waits.
	MaxAlive int
	// Idle is how long a process stays without calls; default 60 s.
	Idle time.Duration
	// StartTimeout is how long a connector may take until it serves; default 10 s.
	StartTimeout time.Duration
	// CallTimeout is how long one call may take; default 60 s. The connector is asked to answer a little earlier
	// with what it has. A process that does not is ended, as it is taken to hang.
	CallTimeout time.Duration
	// StopTimeout bounds the end of a process: it is asked to stop, and killed after two thirds of the time;
	// default 3 s.
	StopTimeout time.Duration
	// MemoryLimit is how many bytes of memory (RSS) a process may occupy; default 512 MiB. It is watched once a
	// second while Run runs, on Linux. Go connectors are told to collect garbage at 90 % of it (GOMEMLIMIT).
	MemoryLimit int64

	// Checksums holds the SHA-256 in hexadecimal of executables by name. A connector named here is checked before
	// every start; one that is not is started unchecked.
	Checksums map[string]string
	// Observer may be nil.
	Observer Observer
}

func (o *Options) fillIn() error {
	if o.Folder == "" {
		return errors.New("no folder for connectors is given")
	}
	folder, err := filepath.Abs(o.Folder)
	if err != nil {
		return fmt.Errorf("connector folder: %w", err)
	}
	o.Folder = folder
	if info, err := os.Stat(folder); err != nil {
		return fmt.Errorf("connector folder: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("connector folder %s is not a folder", folder)
	}
	for name, sum := range o.Checksums {
		if decoded, err := hex.DecodeString(sum); err != nil || len(decoded) != 32 {
			return fmt.Errorf("checksum of connector %q: not a SHA-256 in hexadecimal (64 digits)", name)
		}
	}
	if o.Clock == nil {
		o.Clock = store.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	o.MaxAlive = orDefault(o.MaxAlive, 8)
	o.Idle = orDefault(o.Idle, time.Minute)
	o.StartTimeout = orDefault(o.StartTimeout, 10*time.Second)
	o.CallTimeout = orDefault(o.CallTimeout, time.Minute)
	o.StopTimeout = orDefault(o.StopTimeout, 3*time.Second)
	o.MemoryLimit = orDefault(o.MemoryLimit, 512<<20)
	return nil
}

func orDefault[N int | int64 | time.Duration](value, otherwise N) N {
	if value <= 0 {
		return otherwise
	}
	return value
}

// Connection names the process to use: one per connection in use, keyed by both fields.
type Connection struct {
	// ID is unique within the hub, e.g. "romashka/crm". It appears in logs.
	ID string
	// Connector is the name of the executable.
	Connector string
}

// Pool holds the connector processes. Its methods are safe for concurrent use; calls of one connection share its
// process. Every error of a call is or wraps a *connector.Problem; when the caller's context ended, it wraps the
// context's error too.
type Pool struct {
	opts    Options
	sockets *socketFolder
	slots   *semaphore.Weighted
	wg      sync.WaitGroup // one per entry

	mu      sync.Mutex
	closed  bool
	byKey   map[Connection]*entry
	entries map[*entry]struct{} // all that hold or wait for a slot, the retired ones too
	waiting int                 // entries waiting for a slot
	specs   map[string]knownSpec
	records map[string]*conduct
}

// watchEvery is how often Run looks for idle processes and at their memory.
const watchEvery = time.Second

// New returns a Pool without processes. Somebody must Run it, or Close it when it is used for a moment only.
func New(opts Options) (*Pool, error) {
	if err := opts.fillIn(); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	sockets, err := openSockets(opts.Sockets)
	if err != nil {
		return nil, fmt.Errorf("runner: folder for sockets: %w", err)
	}
	return &Pool{
		opts: opts, sockets: sockets, slots: semaphore.NewWeighted(int64(opts.MaxAlive)),
		byKey: map[Connection]*entry{}, entries: map[*entry]struct{}{},
		specs: map[string]knownSpec{}, records: map[string]*conduct{},
	}, nil
}

// Run stops idle processes and those that use too much memory until the context ends, then closes the Pool.
func (p *Pool) Run(ctx context.Context) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return p.Close()
		case <-ticker.C:
			p.watch()
		}
	}
}

// Close stops all processes, also those with calls under way, and waits for their end for at most StopTimeout. Calls
// are refused from then on. It may be called more than once.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	for e := range p.entries {
		p.retire(e, CauseStopped)
		e.stop()
	}
	p.mu.Unlock()

	gone := make(chan struct{})
	go func() {
		p.wg.Wait()
		close(gone)
	}()
	// A process is killed within StopTimeout; the second is for the kernel and for reading the rest of its output.
	limit := time.NewTimer(p.opts.StopTimeout + time.Second)
	defer limit.Stop()
	select {
	case <-gone:
		return p.sockets.close()
	case <-limit.C:
		return fmt.Errorf("runner: connectors were still running after the stop limit of %s", p.opts.StopTimeout)
	}
}

func (p *Pool) watch() {
	now := p.opts.Clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := range p.entries {
		if e.serving && e.calls == 0 && now.Sub(e.lastUsed) >= p.opts.Idle {
			p.retire(e, CauseIdle)
		}
		if e.child == nil {
			continue
		}
		if pid, alive := e.child.alive(); alive && residentMemory(pid) > p.opts.MemoryLimit {
			e.child.end(CauseMemory)
			e.child.kill()
		}
	}
}

// executable is a connector's file as it was seen; another size or time is another build.
type executable struct {
	path     string
	size     int64
	modified int64 // ns
}

// find returns a connector's executable.
func (p *Pool) find(name string) (executable, *connector.Problem) {
	fault := func(rule, format string, args ...any) (executable, *connector.Problem) {
		problem := problemf(connector.InvalidConfig, rule, format, args...)
		problem.Field = "connector"
		return executable{}, problem
	}
	if !validName(name) {
		return fault("connector_name", "not a connector's name: it is the name of a file in the connector folder, without a path")
	}
	path := filepath.Join(p.opts.Folder, name)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault("connector_missing", "there is no connector %q in the connector folder; install it or correct the name", name)
	case err != nil:
		return fault("connector_missing", "connector %q cannot be looked at: %v", name, err)
	case !isExecutable(info):
		return fault("connector_not_executable", "connector %q is not an executable file; make it one with chmod +x if it should be", name)
	}
	return executable{path: path, size: info.Size(), modified: info.ModTime().UnixNano()}, nil
}

// List returns the names of the executables in the connector folder, sorted.
func (p *Pool) List() ([]string, error) {
	files, err := os.ReadDir(p.opts.Folder)
	if err != nil {
		return nil, fmt.Errorf("connector folder: %w", err)
	}
	var names []string
	for _, file := range files {
		info, err := os.Stat(filepath.Join(p.opts.Folder, file.Name()))
		if err == nil && validName(file.Name()) && isExecutable(info) {
			names = append(names, file.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func isExecutable(info fs.FileInfo) bool { return info.Mode().IsRegular() && info.Mode()&0o111 != 0 }

// validName keeps a name from leaving the folder and from making a mess of logs and metrics.
func validName(name string) bool {
	return name != "" && len(name) <= 64 && name[0] != '.' && name[0] != '-' &&
		strings.IndexFunc(name, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.'
		}) < 0
}
