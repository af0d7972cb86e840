//go:build unix && !linux

package runner

import "syscall"

// Elsewhere than on Linux the runner is for development: a connector notices the hub's end by the SDK's own watch,
// and its memory is bounded by GOMEMLIMIT alone.

func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func confine(int) {}

func awaitExit(int) {}

func hasEnded(int) bool { return false }

func residentMemory(int) int64 { return 0 }
