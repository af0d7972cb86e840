package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"

	hclog "github.com/hashicorp/go-hclog"
	plugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// process is one run of the executable.
type process struct {
	client   *plugin.Client
	protocol plugin.ClientProtocol
	api      connectorv1.ConnectorClient
	folder   string
}

// start makes sure that a process runs.
func (s *suite) start() error {
	if s.proc != nil && s.proc.lives() {
		return nil
	}
	s.stop()
	folder, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return fmt.Errorf("make a folder for the socket: %w", err)
	}
	cmd := exec.Command(s.c.Path) //nolint:noctx // the plugin client ends it
	cmd.Env = append(cmd.Env, s.c.Env...)
	limit := grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(connectorv1.MaxMessageBytes), grpc.MaxCallSendMsgSize(connectorv1.MaxMessageBytes))
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: connectorv1.ProtocolVersion, MagicCookieKey: connectorv1.MagicCookieKey, MagicCookieValue: connectorv1.MagicCookieValue,
		},
		Plugins:          plugin.PluginSet{connectorv1.PluginName: clientPlugin{}},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		GRPCDialOptions:  []grpc.DialOption{limit},
		SkipHostEnv:      true,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: folder},
		Stderr:           &s.logs,
		SyncStdout:       &s.logs,
		SyncStderr:       &s.logs,
		Logger:           hclog.NewNullLogger(),
	})
	p := &process{client: client, folder: folder}
	s.proc = p
	protocol, err := client.Client()
	if err != nil {
		s.stop()
		return fmt.Errorf("%w; its log: %s", err, s.logs.tail())
	}
	raw, err := protocol.Dispense(connectorv1.PluginName)
	if err != nil {
		s.stop()
		return fmt.Errorf("it does not serve %q: %w", connectorv1.PluginName, err)
	}
	api, ok := raw.(connectorv1.ConnectorClient)
	if !ok {
		s.stop()
		return fmt.Errorf("it serves %T instead of the connector protocol", raw)
	}
	p.protocol, p.api = protocol, api
	return nil
}

// restart ends the process and starts another, which must know nothing of what was before.
func (s *suite) restart() error {
	s.stop()
	return s.start()
}

func (s *suite) stop() {
	if s.proc == nil {
		return
	}
	s.proc.client.Kill()
	_ = os.RemoveAll(s.proc.folder) // a folder left behind in the system's temporary one is no finding
	s.proc = nil
}

// lives asks the process itself: go-plugin learns of its end a little later.
func (p *process) lives() bool { return p.protocol != nil && p.protocol.Ping() == nil }

// clientPlugin makes the protocol's client on go-plugin's connection.
type clientPlugin struct{ plugin.NetRPCUnsupportedPlugin }

// GRPCServer implements plugin.GRPCPlugin.
func (clientPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the conformance suite serves nothing")
}

// GRPCClient implements plugin.GRPCPlugin.
func (clientPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return connectorv1.NewConnectorClient(conn), nil
}

func (s *suite) access(secrets map[string]string) *connectorv1.Access {
	return &connectorv1.Access{Token: s.c.Token, Secrets: secrets}
}

// call runs one call with the case's timeout and keeps the text of a failure for the check of secrets.
func call[Q, A any](s *suite, method func(ctx context.Context, req Q, opts ...grpc.CallOption) (A, error), req Q) (A, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.c.Timeout)
	defer cancel()
	resp, err := method(ctx, req)
	if err != nil {
		s.said = append(s.said, err.Error())
		if p := problemIn(err); p != nil {
			s.said = append(s.said, p.String())
		}
	}
	return resp, err
}

// problemIn returns the Problem of a failed call, nil when it has none.
func problemIn(err error) *connectorv1.Problem {
	for _, detail := range status.Convert(err).Details() {
		if p, ok := detail.(*connectorv1.Problem); ok {
			return p
		}
	}
	return nil
}

// logs keeps what the connector writes to its standard error and output.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *logs) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *logs) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tail returns the last part, for messages.
func (l *logs) tail() string {
	text := strings.TrimSpace(l.all())
	if len(text) > 2000 {
		text = "… " + text[len(text)-2000:]
	}
	if text == "" {
		return "(empty)"
	}
	return text
}
