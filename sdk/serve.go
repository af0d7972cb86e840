package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	plugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// Serve runs the connector until the hub stops it. It never returns: main should consist of it. Started by hand,
// the executable prints its documentation instead.
func Serve(c Connector) {
	os.Exit(run(c, os.Args[1:], os.Stdout, os.Stderr))
}

// exit codes of a connector that does not serve.
const (
	exitOK     = 0
	exitBroken = 1 // the Connector itself has mistakes
	exitUsage  = 2
	exitOrphan = 3 // the hub is gone
)

func run(c Connector, args []string, stdout, stderr *os.File) int {
	if faults := c.validate(); len(faults) > 0 {
		fmt.Fprintf(stderr, "The connector %s is declared wrong:\n%v\n", c.Name, errors.Join(faults...))
		return exitBroken
	}
	if os.Getenv(connectorv1.MagicCookieKey) != connectorv1.MagicCookieValue {
		return byHand(c, args, stdout, stderr)
	}
	// go-plugin replaces os.Stderr; logs keep to the one the hub gave us.
	m := &mask{}
	out := maskedWriter{mask: m, next: stderr}
	log := newLogger(out, logLevel())
	slog.SetDefault(log)
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchParent(ctx, os.Getppid, func() {
			log.Error("the hub is gone; the connector ends")
			os.Exit(exitOrphan)
		})
	}()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: connectorv1.ProtocolVersion, MagicCookieKey: connectorv1.MagicCookieKey, MagicCookieValue: connectorv1.MagicCookieValue,
		},
		Plugins:    plugin.PluginSet{connectorv1.PluginName: &service{server: newServer(c, log, m)}},
		GRPCServer: grpcServer,
		Logger:     pluginLogger(out),
	})
	cancel()
	<-watched
	return exitOK
}

func grpcServer(opts []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(connectorv1.MaxMessageBytes), grpc.MaxSendMsgSize(connectorv1.MaxMessageBytes))...)
}

// service is the go-plugin side of a server. Only the hub has a client.
type service struct {
	plugin.NetRPCUnsupportedPlugin
	server *server
}

// GRPCServer implements plugin.GRPCPlugin.
func (s *service) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error {
	connectorv1.RegisterConnectorServer(g, s.server)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (s *service) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a connector has no client")
}

// parentInterval is how soon an orphan notices. The hub's parent-death signal is quicker where it works.
const parentInterval = time.Second

// watchParent calls orphaned once the process has another parent than at its start.
func watchParent(ctx context.Context, parent func() int, orphaned func()) {
	first := parent()
	tick := time.NewTicker(parentInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if parent() != first {
				orphaned()
				return
			}
		}
	}
}

// byHand answers a person who starts the executable.
func byHand(c Connector, args []string, stdout, stderr io.Writer) int {
	var text string
	switch {
	case len(args) == 1 && args[0] == "docs":
		text = c.Markdown()
	case len(args) == 1 && args[0] == "schema":
		text = string(c.Config.JSONSchema()) + "\n"
	default:
		fmt.Fprintf(stderr, "%s %s is a connector of Regulars: put it into the hub's connector folder.\n"+
			"By itself it can only tell about itself:\n  docs     its documentation, as Markdown\n  schema   the JSON Schema of its configuration\n", c.Name, c.Version)
		return exitUsage
	}
	if _, err := io.WriteString(stdout, text); err != nil {
		return exitBroken
	}
	return exitOK
}
