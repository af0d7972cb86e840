package sdk

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

func TestMain(m *testing.M) {
	if os.Getenv(actAs) != "" {
		act() // this process is a connector or a hub of a test
		return
	}
	goleak.VerifyTestMain(m)
}

type noConfig struct{}

// serverOf starts a fresh server, as a fresh process would have.
func serverOf(t *testing.T, c Connector) *server {
	t.Helper()
	if c.Name == "" {
		c.Name, c.Version, c.Title = "test", "1.0.0", "Test"
	}
	if c.Config.root == nil {
		c.Config = ConfigOf[noConfig]()
	}
	require.Empty(t, c.validate())
	m := &mask{}
	return newServer(c, newLogger(maskedWriter{mask: m, next: testLog{t}}, logLevel()), m)
}

// testLog shows the log of a failed test.
type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	l.t.Logf("%s", line)
	return len(line), nil
}

// requireProblem takes the Problem out of a failed call.
func requireProblem(t require.TestingT, err error, code codes.Code) *connectorv1.Problem {
	require.Error(t, err)
	s := status.Convert(err)
	require.Equal(t, code, s.Code(), s.Message())
	require.Len(t, s.Details(), 1)
	p, ok := s.Details()[0].(*connectorv1.Problem)
	require.True(t, ok)
	return p
}

func background() context.Context { return context.Background() }
