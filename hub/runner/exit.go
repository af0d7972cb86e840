package runner

import (
	"fmt"
	"syscall"
	"time"

	"github.com/regulars/regulars/hub/connector"
)

// Cause is why a connector process ended or did not start. The set is closed, so that it can label a metric.
type Cause string

// The causes of an exit.
const (
	CauseIdle         Cause = "idle"          // nothing called it for Options.Idle
	CauseStopped      Cause = "stopped"       // the hub stops, needs its place, or found a newer executable
	CauseExit         Cause = "exit"          // it ended by itself, with whatever status
	CauseSignal       Cause = "signal"        // a signal that the hub did not send
	CauseMemory       Cause = "memory"        // above Options.MemoryLimit
	CauseStartTimeout Cause = "start_timeout" // not serving within Options.StartTimeout
	CauseCallTimeout  Cause = "call_timeout"  // a call took longer than Options.CallTimeout
	CauseHealth       Cause = "health"        // did not answer the health check before it was used again
	CauseHandshake    Cause = "handshake"     // cannot be executed, or its first line of output is no handshake
	CauseChecksum     Cause = "checksum"      // not the executable Options.Checksums names
	CauseProtocol     Cause = "protocol"      // speaks another version or protocol, or closed the connection
)

// Causes returns every cause, for metrics that want all their series from the start.
func Causes() []Cause {
	return []Cause{
		CauseIdle, CauseStopped, CauseExit, CauseSignal, CauseMemory, CauseStartTimeout, CauseCallTimeout,
		CauseHealth, CauseHandshake, CauseChecksum, CauseProtocol,
	}
}

// crash says whether an exit counts towards quarantine. A slow call does not: a vendor that hangs for one account
// must not take the connector from all the others.
func (c Cause) crash() bool {
	switch c {
	case CauseExit, CauseSignal, CauseMemory, CauseStartTimeout, CauseHandshake, CauseProtocol:
		return true
	default:
		return false
	}
}

// expected says whether an exit is part of normal work.
func (c Cause) expected() bool { return c == CauseIdle || c == CauseStopped }

// Exit is the end of a connector process, or of the attempt to start one.
type Exit struct {
	Cause Cause
	// Code is the exit status with CauseExit.
	Code int
	// Signal is its name with CauseSignal, e.g. "killed".
	Signal string
	// Lived is the time since the start; 0 when the process never served.
	Lived time.Duration
	// Quarantined says that this exit put the connector into quarantine.
	Quarantined bool

	signal syscall.Signal
}

// String says in words how the process ended.
func (e Exit) String() string {
	switch e.Cause {
	case CauseExit:
		return fmt.Sprintf("exit status %d", e.Code)
	case CauseSignal:
		return "signal: " + e.Signal
	default:
		return string(e.Cause)
	}
}

// Observer is told when connector processes start and end, for metrics and the run log. Its methods are called
// from several goroutines and must not block or call the Pool.
type Observer interface {
	// Started is called when a process serves.
	Started(Connection)
	// Exited is called once for every process that ended and every start that failed.
	Exited(Connection, Exit)
}

type nobody struct{}

func (nobody) Started(Connection)      {}
func (nobody) Exited(Connection, Exit) {}

// problem says what an exit in the middle of a call means for the caller.
func (e Exit) problem(name string, limits Options) *connector.Problem {
	switch e.Cause {
	case CauseExit:
		return problemf(connector.Bug, "connector_exited",
			"connector %q ended during the call (exit status %d); its last lines are in the hub's log", name, e.Code)
	case CauseSignal:
		// From outside (an administrator, the kernel short of memory) or the connector's own fault.
		kind := connector.Bug
		switch e.signal {
		case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
			kind = connector.Upstream
		}
		return problemf(kind, "connector_killed",
			"connector %q was ended by a signal during the call (%s); if the hub's log says nothing, look at the "+
				"system's log for lack of memory", name, e.Signal)
	case CauseMemory:
		return problemf(connector.Bug, "connector_memory",
			"connector %q was stopped: it used more than %d MiB of memory", name, limits.MemoryLimit>>20)
	case CauseCallTimeout:
		return problemf(connector.Upstream, "connector_stopped",
			"connector %q was stopped, as another of its calls took longer than the call limit of %s", name, limits.CallTimeout)
	case CauseProtocol:
		return problemf(connector.Bug, "connector_protocol",
			"connector %q closed the connection in the middle of a call", name)
	default:
		return problemf(connector.Upstream, "connector_stopped", "connector %q was stopped during the call (%s)", name, e.Cause)
	}
}

func problemf(kind connector.ProblemKind, rule, format string, args ...any) *connector.Problem {
	return &connector.Problem{Kind: kind, Rule: rule, Message: fmt.Sprintf(format, args...)}
}
