package runner

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	goplugin "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// process is a connector that serves.
type process struct {
	child  *child
	client *plugin.Client
	conn   *grpc.ClientConn
	api    connectorv1.ConnectorClient
	redact *redactor
}

// launch starts an entry's process and waits until it serves.
func (p *Pool) launch(e *entry) (*process, *startFault) {
	if sum := p.opts.Checksums[e.key.Connector]; sum != "" {
		if fault := verify(e.exe.path, sum); fault != nil {
			return nil, fault
		}
	}
	if err := p.sockets.make(); err != nil {
		return nil, &startFault{CauseHandshake, fmt.Sprintf("folder for its socket: %v", err)}
	}
	redact := newRedactor()
	log := p.opts.Log.With("connector", e.key.Connector, "connection", e.key.ID)
	child := newChild(e.exe.path, e.mtls, newScreen(log, redact))
	child.env = environment(p.opts.MemoryLimit)
	client := plugin.NewClient(p.clientConfig(child, e.mtls))
	p.mu.Lock()
	e.child = child
	p.mu.Unlock()

	// Both end the process, upon which everything below returns.
	late := time.AfterFunc(p.opts.StartTimeout, func() {
		child.end(CauseStartTimeout)
		child.kill()
	})
	defer late.Stop()
	unwanted := context.AfterFunc(e.stopping, func() {
		child.end(CauseStopped)
		child.kill()
	})
	defer unwanted()

	proc, err := connect(child, client, redact)
	if err == nil && late.Stop() {
		return proc, nil
	}
	return nil, p.failed(child, client, err)
}

// connect starts the process and returns it once it answers a health check.
func connect(child *child, client *plugin.Client, redact *redactor) (*process, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, err
	}
	over, ok := protocol.(*plugin.GRPCClient)
	if !ok {
		return nil, errors.New("not gRPC")
	}
	proc := &process{
		child: child, client: client, conn: over.Conn, redact: redact, api: connectorv1.NewConnectorClient(over.Conn),
	}
	return proc, proc.check(child.screen.alive)
}

// failed ends a process that did not come to serve, and says why it did not.
func (p *Pool) failed(child *child, client *plugin.Client, err error) *startFault {
	if child.ID() == "" {
		return &startFault{CauseHandshake, fmt.Sprintf("it cannot be executed: %v", err)}
	}
	child.mu.Lock()
	fault, spoke := child.fault, child.spoke
	child.mu.Unlock()
	if fault != nil {
		child.end(fault.cause)
	}
	child.kill()
	client.Kill()
	<-child.exited
	switch cause := child.exitCause(); {
	case fault != nil:
		return fault
	case cause == CauseStartTimeout:
		return &startFault{cause, fmt.Sprintf("it did not serve within the start limit of %s", p.opts.StartTimeout)}
	case cause != "":
		return &startFault{cause, fmt.Sprintf("it was ended while it started (%s)", cause)}
	}
	switch exit := child.exit(); {
	case exit.Cause == CauseExit || exit.Cause == CauseSignal:
		return &startFault{exit.Cause, fmt.Sprintf("it ended before it served (%s); its last lines are in the hub's log", exit)}
	case !spoke:
		return &startFault{CauseHandshake, "it closed its standard output without a go-plugin handshake; is it a connector?"}
	default:
		return &startFault{CauseHandshake, "it does not answer on the socket it named"}
	}
}

func (p *Pool) clientConfig(child *child, mtls bool) *plugin.ClientConfig {
	return &plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  connectorv1.ProtocolVersion,
			MagicCookieKey:   connectorv1.MagicCookieKey,
			MagicCookieValue: connectorv1.MagicCookieValue,
		},
		Plugins: plugin.PluginSet{connectorv1.PluginName: hubSide{}},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, socketDir string) (goplugin.Runner, error) {
			child.prepare(cmd.Env, socketDir)
			return child, nil
		},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(), // the Pool says what matters
		AutoMTLS:         mtls,
		SkipHostEnv:      true,
		StartTimeout:     p.opts.StartTimeout,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: p.sockets.path},
		// What a connector's process prints after the handshake comes this way when it is written in Go.
		SyncStdout: child.screen.writer("stdout"),
		SyncStderr: child.screen.writer("stderr"),
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(
				grpc.MaxCallRecvMsgSize(connectorv1.MaxMessageBytes), grpc.MaxCallSendMsgSize(connectorv1.MaxMessageBytes)),
			grpc.WithMaxHeaderListSize(64 << 10),
			grpc.WithChainStreamInterceptor(guardStreams),
		},
	}
}

// Streams of go-plugin's own that it opens to every plugin.
const (
	brokerStream = "/plugin.GRPCBroker/StartStream"
	stdioStream  = "/plugin.GRPCStdio/StreamStdio"
)

// guardStreams keeps go-plugin's own streams harmless. Connectors open no connections back to the hub, so the broker
// is left out: go-plugin starts a goroutine for each message a plugin sends there. A stream of output that cannot be
// opened, as plugins in other languages may not serve it, reads as unavailable: go-plugin carries on then, while
// on other errors it loses the connection it has made.
func guardStreams(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer,
	opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	switch method {
	case brokerStream:
		return nil, status.Error(codes.Unimplemented, "the hub offers no connections to connectors")
	case stdioStream:
		stream, err := open(ctx, desc, cc, method, opts...)
		if err != nil {
			return nil, status.Error(codes.Unavailable, "no stream of output")
		}
		return outputStream{stream}, nil
	default:
		return open(ctx, desc, cc, method, opts...)
	}
}

type outputStream struct{ grpc.ClientStream }

func (s outputStream) SendMsg(m any) error {
	if err := s.ClientStream.SendMsg(m); err != nil {
		return status.Error(codes.Unavailable, "no stream of output")
	}
	return nil
}

// hubSide is the plugin set's member. The Pool uses the connection itself and dispenses nothing.
type hubSide struct{ plugin.NetRPCUnsupportedPlugin }

// GRPCServer implements plugin.GRPCPlugin; the hub serves no connector.
func (hubSide) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the hub does not serve connectors")
}

// GRPCClient implements plugin.GRPCPlugin.
func (hubSide) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return connectorv1.NewConnectorClient(conn), nil
}

// environment is all that a connector sees beside go-plugin's variables. There is no HOME, and TZ is the same
// everywhere: a connector is told the workspace's zone with each call.
func environment(memory int64) []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8",
		"TZ=UTC",
		fmt.Sprintf("GOMEMLIMIT=%d", memory/10*9),
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// verify compares an executable with its checksum. As with go-plugin's own check, whoever may write to the connector
// folder can still swap the file between the check and the start; the folder must be the administrator's.
func verify(path, sum string) *startFault {
	file, err := os.Open(path)
	if err != nil {
		return &startFault{CauseChecksum, fmt.Sprintf("its checksum cannot be taken: %v", err)}
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return &startFault{CauseChecksum, fmt.Sprintf("its checksum cannot be taken: %v", err)}
	}
	want, _ := hex.DecodeString(sum) // checked by Options.fillIn
	if subtle.ConstantTimeCompare(hash.Sum(nil), want) != 1 {
		return &startFault{CauseChecksum, "it is not the executable whose checksum is configured; install the right build or correct the checksum"}
	}
	return nil
}

// check asks the process whether it serves.
func (p *process) check(ctx context.Context) error {
	answer, err := grpc_health_v1.NewHealthClient(p.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil {
		return err
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return errors.New("not serving")
	}
	return nil
}

// healthy says whether the process answers within the limit.
func (p *process) healthy(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return p.check(ctx) == nil
}

// close ends the process within the limit and waits for its end: it is asked first and killed when it does not
// listen, or at once when it has shown that it does not.
func (p *process) close(limit time.Duration) {
	patience := limit * 2 / 3
	if exit := p.child.exitCause(); exit == CauseCallTimeout || exit == CauseHealth || exit == CauseProtocol {
		patience = 0
	}
	// go-plugin's Kill asks without a deadline: only the end of the process makes it return.
	impatient := time.AfterFunc(patience, p.child.kill)
	defer impatient.Stop()
	p.client.Kill()
	<-p.child.exited
}
