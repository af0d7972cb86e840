// Command rogue is a connector that misbehaves on demand, for the runner's tests. Its name (it is linked under
// several) says what it does when started, the configuration of a call what it does then.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

var (
	name = filepath.Base(os.Args[0])
	// go-plugin puts pipes of its own in the place of these once it serves.
	realStdout, realStderr = os.Stdout, os.Stderr
)

func main() {
	version := uint(connectorv1.ProtocolVersion)
	switch name {
	case "wrong-version":
		version++
	case "slow-start":
		forever()
	case "crash-start":
		fmt.Fprintln(os.Stderr, "panic: no luck today")
		os.Exit(3)
	case "bad-stderr":
		fmt.Fprintln(os.Stderr, `{"@message": 1}`)
	case "mute": // says where it listens and answers nothing
		listener, err := new(net.ListenConfig).Listen(context.Background(), "unix", filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s"))
		if err != nil {
			os.Exit(4)
		}
		fmt.Fprintf(os.Stdout, "1|1|unix|%s|grpc\n", listener.Addr())
		forever()
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: version, MagicCookieKey: connectorv1.MagicCookieKey, MagicCookieValue: connectorv1.MagicCookieValue,
		},
		Plugins: plugin.PluginSet{connectorv1.PluginName: service{}},
		Logger:  hclog.NewNullLogger(),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			opts = append(opts, grpc.MaxSendMsgSize(1<<30), grpc.MaxRecvMsgSize(1<<30))
			server = grpc.NewServer(opts...)
			return server
		},
	})
	if deaf {
		forever()
	}
}

var (
	server *grpc.Server
	deaf   bool
)

func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

type service struct {
	plugin.NetRPCUnsupportedPlugin
	connectorv1.UnimplementedConnectorServer
}

var _ plugin.GRPCPlugin = service{}

func (s service) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	connectorv1.RegisterConnectorServer(server, s)
	return nil
}

func (service) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// order is what the configuration of a call asks for.
type order struct {
	Do   string `json:"do"`
	Text string `json:"text"`
	File string `json:"file"`
}

func obey(ctx context.Context, config []byte) (order, error) {
	var o order
	_ = json.Unmarshal(config, &o)
	switch o.Do {
	case "exit":
		os.Exit(7)
	case "panic":
		go panic("out of order")
		forever()
	case "hang":
		forever()
	case "wait": // as a good connector does
		_ = os.WriteFile(o.File, []byte("waiting"), 0o600)
		<-ctx.Done()
		_ = os.WriteFile(o.File, []byte(ctx.Err().Error()), 0o600)
		return o, status.FromContextError(ctx.Err()).Err()
	case "freeze":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		forever() // other threads run on for a moment
	case "hog":
		hoard = make([]byte, 300<<20)
		for i := range hoard {
			hoard[i] = 1
		}
		forever()
	case "flood":
		go flood()
	case "print":
		fmt.Fprintln(realStderr, o.Text)
		fmt.Fprintln(realStdout, o.Text)
		fmt.Fprintln(os.Stderr, o.Text)
		fmt.Fprintln(os.Stdout, o.Text)
	case "deaf":
		deaf = true
		server.Stop()
	case "problem":
		return o, problem(codes.Unavailable, &connectorv1.Problem{
			Kind: connectorv1.Problem_KIND_RATE_LIMITED, Message: o.Text, RetryAfter: durationpb.New(42 * time.Second),
			RequestId: "r-1", Field: "account", Place: "line 7", Rule: "too_fast",
		})
	case "status":
		return o, status.Error(codes.NotFound, o.Text)
	case "unavailable":
		return o, status.Error(codes.Unavailable, o.Text)
	case "family": // start a process, say which, and hang
		child := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sleep", "1000")
		if err := child.Start(); err != nil {
			return o, err
		}
		_ = os.WriteFile(o.File, []byte(strconv.Itoa(child.Process.Pid)), 0o600)
		forever()
	}
	return o, nil
}

var hoard []byte

func flood() {
	line := []byte(strings.Repeat("flood ", 20) + "\n")
	for {
		_, _ = realStderr.Write(line)
		_, _ = os.Stdout.Write(line)
	}
}

func problem(code codes.Code, p *connectorv1.Problem) error {
	s, err := status.New(code, "see details").WithDetails(p)
	if err != nil {
		return err
	}
	return s.Err()
}

func (service) Describe(context.Context, *connectorv1.DescribeRequest) (*connectorv1.DescribeResponse, error) {
	return &connectorv1.DescribeResponse{
		Name: "rogue", Version: "1.2.3", Title: "Rogue", AutoMtls: name == "mtls", HasWebhooks: true, HasFields: true,
		Config: []*connectorv1.ConfigField{{Path: "do", Type: connectorv1.ConfigField_TYPE_STRING, DefaultJson: `"x"`, Secret: true}},
		Streams: []*connectorv1.StreamSpec{{
			Name: "contacts", Entity: "contact", Key: connectorv1.StreamSpec_KEY_KIND_PERSON, ByKey: true,
			Modes:   []connectorv1.Mode{connectorv1.Mode_MODE_FULL, connectorv1.Mode_MODE_INCREMENTAL},
			Deletes: connectorv1.StreamSpec_DELETES_ABSENCE,
		}},
		Targets: []*connectorv1.TargetSpec{{
			Kind: "list", Channel: "email", Readback: true, Identity: "email", Batch: 100,
			Actions: []connectorv1.ActionKind{connectorv1.ActionKind_ACTION_KIND_MEMBER},
			Traits:  []*connectorv1.TraitSpec{{Id: "name", Title: "Name", Type: "text"}},
		}},
	}, nil
}

// Check answers with the process's number as the account's id, the kind of connection as its name, and the
// process's environment and the call's parameters as the configuration.
func (service) Check(ctx context.Context, r *connectorv1.CheckRequest) (*connectorv1.CheckResponse, error) {
	if _, err := obey(ctx, r.GetConfig()); err != nil {
		return nil, err
	}
	security := "plain"
	if p, ok := peer.FromContext(ctx); ok {
		if _, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			security = "tls"
		}
	}
	folder, _ := os.Getwd()
	stdin, _ := os.Readlink("/proc/self/fd/0")
	seen, _ := json.Marshal(map[string]any{
		"env": os.Environ(), "folder": folder, "stdin": stdin, "secrets": r.GetAccess().GetSecrets(),
		"calls": r.GetBudget().GetCalls(), "deadline": r.GetBudget().GetDeadline().AsTime(),
	})
	return &connectorv1.CheckResponse{
		AccountId: strconv.Itoa(os.Getpid()), AccountName: security, Config: seen, ClockSkew: durationpb.New(time.Second),
		Problems: []*connectorv1.Problem{{Kind: connectorv1.Problem_KIND_INVALID_CONFIG, Field: "do", Message: "odd\nthing"}},
	}, nil
}

func (service) Read(ctx context.Context, r *connectorv1.ReadRequest) (*connectorv1.ReadResponse, error) {
	o, err := obey(ctx, r.GetConfig())
	if err != nil {
		return nil, err
	}
	good := &connectorv1.Record{Key: "k1", Data: []byte(`{}`), UpdatedAt: timestamppb.New(time.Unix(1, 0)), Sequence: 5, Place: "line 1"}
	page := &connectorv1.ReadResponse{
		Records: []*connectorv1.Record{good}, NextCursor: []byte("c2"), HasMore: true, Total: 9, Snapshot: "s",
		Usage: &connectorv1.CallUsage{Calls: 3, Remaining: new(int64(97)), RequestIds: []string{"r1"}},
		Skipped: []*connectorv1.Skipped{{
			Key: "k2", Raw: []byte("raw"), Problem: &connectorv1.Problem{Kind: connectorv1.Problem_KIND_REJECTED, Message: "odd"},
		}},
	}
	switch o.Do {
	case "huge":
		good.Data = make([]byte, connectorv1.MaxMessageBytes+1)
	case "large":
		good.Data = make([]byte, connectorv1.MaxRecordBytes)
	case "junk":
		page.Records = append(page.Records,
			&connectorv1.Record{Data: []byte(`{}`)},
			&connectorv1.Record{Key: strings.Repeat("k", connectorv1.MaxKeyBytes+1), Data: []byte(`{}`)},
			&connectorv1.Record{Key: "zero\x00", Data: []byte(`{}`)},
			&connectorv1.Record{Key: "nodata"},
			&connectorv1.Record{Key: "late", Data: []byte(`{}`), UpdatedAt: &timestamppb.Timestamp{Seconds: 1 << 60}},
			&connectorv1.Record{Key: "merged", Data: []byte(`{}`), MergedKeys: []string{""}},
			&connectorv1.Record{Key: "op", Data: []byte(`{}`), Op: 77},
			&connectorv1.Record{Key: "gone", Op: connectorv1.Record_OP_DELETE},
		)
	case "full":
		for len(page.Records) < connectorv1.MaxPageRecords {
			page.Records = append(page.Records, &connectorv1.Record{Key: "k", Data: make([]byte, 400)})
		}
	case "too-many":
		page.Records = make([]*connectorv1.Record, connectorv1.MaxPageRecords+1)
		for i := range page.Records {
			page.Records[i] = good
		}
	case "long-cursor":
		page.NextCursor = make([]byte, connectorv1.MaxCursorBytes+1)
	case "stuck":
		page.NextCursor = r.GetCursor()
	}
	return page, nil
}

func (service) Write(ctx context.Context, r *connectorv1.WriteRequest) (*connectorv1.WriteResponse, error) {
	o, err := obey(ctx, r.GetConfig())
	if err != nil {
		return nil, err
	}
	response := &connectorv1.WriteResponse{Usage: &connectorv1.CallUsage{Calls: 1}}
	for _, action := range r.GetActions() {
		result := &connectorv1.Result{State: connectorv1.Result_STATE_OK, RemoteId: action.GetPerson().GetEmail()}
		switch action.GetIdempotencyKey() {
		case "accepted":
			result = &connectorv1.Result{State: connectorv1.Result_STATE_ACCEPTED, Handle: "h"}
		case "accepted-badly":
			result = &connectorv1.Result{State: connectorv1.Result_STATE_ACCEPTED}
		case "rejected":
			result = &connectorv1.Result{State: connectorv1.Result_STATE_REJECTED}
		case "unknown":
			result = &connectorv1.Result{State: 99}
		case "traits":
			result.RemoteId = action.GetMember().GetTraits()["name"].GetText() + "/" + strings.Join(action.GetMember().GetTags(), ",")
		}
		response.Results = append(response.Results, result)
	}
	if o.Do == "fewer" {
		response.Results = response.Results[1:]
	}
	return response, nil
}

func (service) Targets(ctx context.Context, r *connectorv1.TargetsRequest) (*connectorv1.TargetsResponse, error) {
	o, err := obey(ctx, r.GetConfig())
	if err != nil {
		return nil, err
	}
	switch {
	case o.Do == "endless":
		return &connectorv1.TargetsResponse{HasMore: true, NextCursor: []byte("same")}, nil
	case len(r.GetCursor()) == 0:
		first := &connectorv1.Target{Id: "1", Name: r.GetCreate(), Kind: r.GetKind(), Members: new(int64(12))}
		return &connectorv1.TargetsResponse{Targets: []*connectorv1.Target{first}, HasMore: true, NextCursor: []byte("2")}, nil
	default:
		second := &connectorv1.Target{Id: "2", Name: "created " + r.GetCreate(), ReadOnlyReason: "archived"}
		return &connectorv1.TargetsResponse{Targets: []*connectorv1.Target{second}}, nil
	}
}

func (service) Fields(_ context.Context, r *connectorv1.FieldsRequest) (*connectorv1.FieldsResponse, error) {
	return &connectorv1.FieldsResponse{Fields: []*connectorv1.Field{{
		Stream: r.GetStream(), Id: "f1", Title: "City", Type: "choice", Writable: true,
		Choices: []*connectorv1.Choice{{Id: "1", Title: "Tver"}},
	}}}, nil
}

func (service) Webhook(ctx context.Context, r *connectorv1.WebhookRequest) (*connectorv1.WebhookResponse, error) {
	o, err := obey(ctx, r.GetConfig())
	if err != nil {
		return nil, err
	}
	notice := &connectorv1.Notice{
		Stream: "contacts", Key: string(r.GetBody()), Op: connectorv1.Record_OP_DELETE, At: r.GetReceivedAt(), MergedKeys: []string{"m"},
	}
	return &connectorv1.WebhookResponse{
		Authentic: o.Do != "forged", Notices: []*connectorv1.Notice{notice}, Status: 202,
		Body: []byte(r.GetMethod() + " " + r.GetUrl() + " " + strings.Join(r.GetHeaders()["X-Key"].GetValues(), ",")),
	}, nil
}
