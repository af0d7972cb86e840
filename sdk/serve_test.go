package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	hclog "github.com/hashicorp/go-hclog"
	plugin "github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// hubPlugin is the hub's side of the handshake.
type hubPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (hubPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (hubPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return connectorv1.NewConnectorClient(conn), nil
}

type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(data)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestServe runs a real process: it serves, survives a panic, and what it logs is one JSON line each in go-plugin's
// form, without secrets.
func TestServe(t *testing.T) {
	for _, mtls := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "AutoMTLS"}[mtls], func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = []string{actAs + "=connector"}
			var stderr buffer
			client := plugin.NewClient(&plugin.ClientConfig{
				HandshakeConfig: plugin.HandshakeConfig{
					ProtocolVersion: connectorv1.ProtocolVersion, MagicCookieKey: connectorv1.MagicCookieKey, MagicCookieValue: connectorv1.MagicCookieValue,
				},
				Plugins: plugin.PluginSet{connectorv1.PluginName: hubPlugin{}}, Cmd: cmd, SkipHostEnv: true, AutoMTLS: mtls,
				AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC}, Stderr: &stderr, Logger: hclog.NewNullLogger(),
				UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: t.TempDir()},
			})
			defer client.Kill()
			protocol, err := client.Client()
			require.NoError(t, err)
			raw, err := protocol.Dispense(connectorv1.PluginName)
			require.NoError(t, err)
			api := raw.(connectorv1.ConnectorClient)
			for range 2 {
				_, err = api.Read(t.Context(), &connectorv1.ReadRequest{
					Stream: "contacts", Access: &connectorv1.Access{Secrets: map[string]string{"token": `hush-"hush"-1`}},
				})
				require.Contains(t, requireProblem(t, err, codes.Internal).GetMessage(), "panicked")
			}
			require.NoError(t, protocol.Ping(), "a panic is no crash")
			client.Kill()

			require.NotContains(t, stderr.String(), "hush-")
			require.NotContains(t, stderr.String(), "ivan@example.com")
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			require.Len(t, lines, 4, "a line of the connector's and one of the panic, for each call:\n%s", stderr.String())
			for _, line := range lines {
				var entry map[string]any
				require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
				require.Contains(t, []any{"info", "error"}, entry["@level"])
				require.Contains(t, []any{"reading", "the connector panicked"}, entry["@message"])
				_, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", entry["@timestamp"].(string))
				require.NoError(t, err)
			}
		})
	}
}

// TestConnectorEndsWithItsHub: the pipe the orphan holds open closes when it ends.
func TestConnectorEndsWithItsHub(t *testing.T) {
	alive, held, err := os.Pipe()
	require.NoError(t, err)
	hub := exec.Command(os.Args[0])
	hub.Env = []string{actAs + "=parent", connectorv1.MagicCookieKey + "=" + connectorv1.MagicCookieValue, "TMPDIR=" + t.TempDir()}
	hub.ExtraFiles = []*os.File{held}
	require.NoError(t, hub.Run())
	require.NoError(t, held.Close())
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, alive) // ends when the last holder of the pipe does
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the connector outlives its hub")
		require.NoError(t, alive.Close())
		<-ended
	}
}

func TestWatchParentStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	watchParent(ctx, func() int { return 1 }, func() { t.Error("the parent is there") })
}

func TestByHand(t *testing.T) {
	tests := []struct {
		name, act string
		args      []string
		code      int
		want      string
	}{
		{"nothing", "connector", nil, exitUsage, "talkative 1.0.0 is a connector of Regulars"},
		{"docs", "connector", []string{"docs"}, exitOK, "# talkative\n"},
		{"schema", "connector", []string{"schema"}, exitOK, `"$schema": "https://json-schema.org/draft/2020-12/schema"`},
		{"a mistake", "connector", []string{"serve"}, exitUsage, "it can only tell about itself"},
		{"declared wrong", "broken", nil, exitBroken, "Name is empty\nVersion is empty"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], test.args...)
			cmd.Env = []string{actAs + "=" + test.act}
			out, _ := cmd.CombinedOutput()
			require.Contains(t, string(out), test.want)
			require.Equal(t, test.code, cmd.ProcessState.ExitCode())
		})
	}
}
