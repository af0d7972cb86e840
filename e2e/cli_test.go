package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exit runs the program and returns its exit code with what it printed.
func (s site) exit(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd, out, problems := s.command(ctx, args...)
	err := cmd.Run()
	require.NotNil(t, cmd.ProcessState, "%v", err)
	require.NoError(t, ctx.Err(), "regulars %v did not end", args)
	return cmd.ProcessState.ExitCode(), out.String(), problems.String()
}

func TestConfigCheckAsksTheConnectors(t *testing.T) {
	s := newSite(t, strings.Replace(shopWorkspace, "columns: {key: id, name: name", "columns: {key: id, nmae: name", 1), shopFiles)
	code, out, _ := s.exit(t, "config", "check")
	assert.Equal(t, 2, code)
	assert.Regexp(t, `workspaces/shop\.yaml:10:\d+: connections\.shop\.config\.contacts\.columns\.nmae: .*name`, out)

	s = newSite(t, strings.Replace(shopWorkspace, "from: shop.orders", "from: shop.order", 1), shopFiles)
	code, out, _ = s.exit(t, "config", "check")
	assert.Equal(t, 2, code)
	assert.Contains(t, out, "orders.from")

	s = newSite(t, shopWorkspace, shopFiles)
	code, out, _ = s.exit(t, "config", "check")
	assert.Equal(t, 0, code, out)
}

func TestASyncEndsWhenItsFirstStreamFails(t *testing.T) {
	files := copyFiles(shopFiles)
	delete(files, "files/customers.csv")
	s := newSite(t, shopWorkspace, files)
	code, out, _ := s.exit(t, "sync")
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "customers.csv")
	assert.Contains(t, out, "not begun: the connection is paused")
	s.write(t, "files/customers.csv", shopFiles["files/customers.csv"])
	code, out, _ = s.exit(t, "sync")
	assert.Equal(t, 0, code, out)
}

func TestAHeldPushIsToldByTheExitCode(t *testing.T) {
	s := newSite(t, strings.Replace(shopWorkspace, "first_push: approved, ", "", 1), shopFiles)
	s.run(t, "sync")
	code, out, _ := s.exit(t, "activation", "run", "buyers")
	assert.Equal(t, 1, code, out)
	s.run(t, "activation", "approve", "buyers")
	code, out, _ = s.exit(t, "activation", "run", "buyers")
	assert.Equal(t, 0, code, out)
}
