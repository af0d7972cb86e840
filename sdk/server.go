package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// membersStream is served from Destination.Members.
const membersStream = connectorv1.MembersStream

// server answers the protocol's calls from a Connector. It keeps nothing a fresh process would miss.
type server struct {
	connectorv1.UnimplementedConnectorServer
	connector Connector
	log       *slog.Logger
	mask      *mask
	shelf     shelf
}

func newServer(c Connector, log *slog.Logger, m *mask) *server {
	return &server{connector: c, log: log, mask: m}
}

// request is what all requests but Describe have in common.
type request interface {
	GetConfig() []byte
	GetAccess() *connectorv1.Access
}

// open decodes what every call carries. An invalid configuration is the call's problem.
func (s *server) open(req request, budget *connectorv1.CallBudget) (reflect.Value, Call, error) {
	s.mask.add(req.GetAccess())
	cfg, problems := s.connector.Config.decode(req.GetConfig(), req.GetAccess().GetSecrets())
	switch len(problems) {
	case 0:
		return cfg, newCall(req.GetAccess(), budget), nil
	case 1:
		return cfg, Call{}, problems[0]
	default:
		first := *problems[0]
		first.Message = fmt.Sprintf("%s (and %d problems more; Check tells all)", first.Message, len(problems)-1)
		return cfg, Call{}, &first
	}
}

func newCall(access *connectorv1.Access, budget *connectorv1.CallBudget) Call {
	b := budgetFrom(budget)
	return Call{Access: accessFrom(access), Budget: b, Zone: time.UTC, meter: newMeter(b)}
}

// finish is deferred by every call: a panic of the connector fails the call and not the process, and whatever
// error there is leaves as a status with one Problem.
func (s *server) finish(ctx context.Context, call string, err *error) {
	if r := recover(); r != nil {
		s.log.ErrorContext(ctx, "the connector panicked", "call", call, "panic", scrub(s.mask.text(fmt.Sprint(r))), "stack", string(debug.Stack()))
		*err = Bug("the connector panicked in %s; its log has the stack", call)
	}
	if *err != nil {
		*err = s.report(ctx, call, *err).status()
	}
}

// report turns an error into a Problem fit to leave, and logs what the Problem leaves out.
func (s *server) report(ctx context.Context, call string, err error) *Problem {
	if _, ok := errors.AsType[*Problem](err); !ok {
		s.log.ErrorContext(ctx, "a call failed", "call", call, "error", scrub(s.mask.text(err.Error())))
	}
	return s.mask.problem(problemOf(err))
}

// Describe implements the protocol.
func (s *server) Describe(ctx context.Context, _ *connectorv1.DescribeRequest) (resp *connectorv1.DescribeResponse, err error) {
	defer s.finish(ctx, "Describe", &err)
	return s.connector.describe(), nil
}

// Check implements the protocol: first the configuration, then, if it is right and the hub wants it, the system.
func (s *server) Check(ctx context.Context, req *connectorv1.CheckRequest) (resp *connectorv1.CheckResponse, err error) {
	defer s.finish(ctx, "Check", &err)
	s.mask.add(req.GetAccess())
	resp = &connectorv1.CheckResponse{}
	cfg, problems := s.connector.Config.decode(req.GetConfig(), req.GetAccess().GetSecrets())
	if len(problems) > 0 {
		for _, p := range problems {
			resp.Problems = append(resp.Problems, s.mask.problem(p).wire())
		}
		return resp, nil
	}
	if resp.Config, err = s.connector.Config.encode(cfg); err != nil {
		return nil, err
	}
	if s.connector.Offers.call != nil {
		resp.Offer = &connectorv1.Offer{Streams: s.connector.Offers.call(cfg)}
	}
	if req.GetOffline() || s.connector.Check.call == nil {
		return resp, nil
	}
	call := newCall(req.GetAccess(), req.GetBudget())
	account, checkErr := s.connector.Check.call(ctx, cfg, CheckRequest{Call: call})
	resp.Usage = wireUsage(call.meter.usage())
	for _, one := range flatten(checkErr) {
		resp.Problems = append(resp.Problems, s.report(ctx, "Check", one).wire())
	}
	resp.AccountId, resp.AccountName = account.ID, account.Name
	resp.Limits = wireLimits(account.Limits)
	resp.TimeZone, resp.Currency = account.TimeZone, account.Currency
	if account.ClockSkew != 0 {
		resp.ClockSkew = durationpb.New(account.ClockSkew)
	}
	return resp, nil
}

// Fields implements the protocol.
func (s *server) Fields(ctx context.Context, req *connectorv1.FieldsRequest) (resp *connectorv1.FieldsResponse, err error) {
	defer s.finish(ctx, "Fields", &err)
	if s.connector.Fields.call == nil {
		return &connectorv1.FieldsResponse{}, nil
	}
	cfg, call, err := s.open(req, req.GetBudget())
	if err != nil {
		return nil, err
	}
	list, err := s.connector.Fields.call(ctx, cfg, FieldsRequest{Call: call, Stream: req.GetStream()})
	if err != nil {
		return nil, err
	}
	resp = &connectorv1.FieldsResponse{Usage: wireUsage(call.meter.usage())}
	for _, f := range list.Fields {
		w := &connectorv1.Field{Stream: f.Stream, Id: f.ID, Title: f.Title, Type: f.Type, Writable: f.Writable}
		for _, c := range f.Choices {
			w.Choices = append(w.Choices, &connectorv1.Choice{Id: c.ID, Title: c.Title})
		}
		resp.Fields = append(resp.Fields, w)
	}
	return resp, nil
}

// Webhook implements the protocol. Of a notification that is not authentic nothing is passed on.
func (s *server) Webhook(ctx context.Context, req *connectorv1.WebhookRequest) (resp *connectorv1.WebhookResponse, err error) {
	defer s.finish(ctx, "Webhook", &err)
	if s.connector.Webhook.call == nil {
		return nil, Bug("the connector takes no webhooks")
	}
	cfg, call, err := s.open(req, nil)
	if err != nil {
		return nil, err
	}
	in := WebhookRequest{Call: call, Method: req.GetMethod(), URL: req.GetUrl(), Header: map[string][]string{}, Body: req.GetBody()}
	for name, values := range req.GetHeaders() {
		in.Header[name] = values.GetValues()
	}
	if req.GetReceivedAt() != nil {
		in.ReceivedAt = req.GetReceivedAt().AsTime()
	}
	d, err := s.connector.Webhook.call(ctx, cfg, in)
	if err != nil {
		return nil, err
	}
	resp = &connectorv1.WebhookResponse{Authentic: d.Authentic, Status: int32(d.Status), Body: d.Body}
	if !d.Authentic {
		return resp, nil
	}
	for _, n := range d.Notices {
		if p := faultOfKey(n.Key); p != nil {
			return nil, Bug("a notice of the stream %s: %s", n.Stream, p.Message)
		}
		w := &connectorv1.Notice{Stream: n.Stream, Key: n.Key, Op: connectorv1.Record_OP_UPSERT, At: timestamp(n.At), MergedKeys: n.MergedKeys}
		if n.Deleted {
			w.Op = connectorv1.Record_OP_DELETE
		}
		resp.Notices = append(resp.Notices, w)
	}
	return resp, nil
}

// kindList names the target kinds for messages.
func (s *server) kindList() string {
	var kinds []string
	for _, t := range s.connector.Targets {
		kinds = append(kinds, t.Kind)
	}
	return strings.Join(kinds, ", ")
}
