package runner

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/hub/connector"
)

// deathWatch is how long after a broken connection the process is given to turn out dead.
const deathWatch = time.Second

// errCallLimit ends the context of a call that took longer than Options.CallTimeout.
var errCallLimit = errors.New("call limit")

type knownSpec struct {
	exe  executable
	spec connector.Spec
}

// Describe returns what a connector says of itself. The answer is kept for as long as the executable does not change
// (path, size, time); the process it takes is stopped at once. The result's slices are shared and not to be changed.
func (p *Pool) Describe(ctx context.Context, name string) (connector.Spec, error) {
	exe, problem := p.find(name)
	if problem != nil {
		return connector.Spec{}, problem
	}
	p.mu.Lock()
	known, ok := p.specs[name]
	p.mu.Unlock()
	if ok && known.exe == exe {
		return known.spec, nil
	}
	spec, err := do(ctx, p, Connection{Connector: name}, "Describe", nil,
		func(ctx context.Context, to *callee) (connector.Spec, error) {
			response, err := to.api.Describe(ctx, &connectorv1.DescribeRequest{})
			if err != nil {
				return connector.Spec{}, err
			}
			return to.spec(response)
		})
	if err != nil {
		return connector.Spec{}, err
	}
	p.mu.Lock()
	p.specs[name] = knownSpec{exe, spec}
	p.mu.Unlock()
	return spec, nil
}

// Check tries a configuration against the live system.
func (p *Pool) Check(ctx context.Context, c Connection, call connector.Call) (connector.CheckResult, error) {
	return do(ctx, p, c, "Check", call.Secrets, func(ctx context.Context, to *callee) (connector.CheckResult, error) {
		response, err := to.api.Check(ctx, &connectorv1.CheckRequest{
			Config: call.Config, Access: access(call), Budget: to.budget(call), Offline: call.Offline,
		})
		if err != nil {
			return connector.CheckResult{}, err
		}
		return to.checkResult(response), nil
	})
}

// Read returns one page. A record that breaks the contract is moved to the page's Skipped; a page that does is a
// Problem of kind bug.
func (p *Pool) Read(ctx context.Context, c Connection, call connector.Call, request connector.ReadRequest) (connector.Page, error) {
	return do(ctx, p, c, "Read", call.Secrets, func(ctx context.Context, to *callee) (connector.Page, error) {
		message := &connectorv1.ReadRequest{
			Config: call.Config, Access: access(call), Budget: to.budget(call),
			Stream: request.Stream, Mode: modes[request.Mode], Since: timestamp(request.Since), Until: timestamp(request.Until),
			Cursor: request.Cursor, Keys: request.Keys, Target: request.Target,
			TimeZone: call.TimeZone, Currency: call.Currency, MaxRecords: count(request.MaxRecords),
		}
		response, err := to.api.Read(ctx, message)
		if err != nil {
			return connector.Page{}, err
		}
		return to.page(response, request)
	})
}

// Write carries out actions and returns one result for each, in their order. When it fails, what became of the
// actions is unknown.
func (p *Pool) Write(ctx context.Context, c Connection, call connector.Call, actions []connector.Action) ([]connector.Result, connector.Usage, error) {
	type outcome struct {
		results []connector.Result
		usage   connector.Usage
	}
	done, err := do(ctx, p, c, "Write", call.Secrets, func(ctx context.Context, to *callee) (outcome, error) {
		response, err := to.api.Write(ctx, &connectorv1.WriteRequest{
			Config: call.Config, Access: access(call), Budget: to.budget(call), Actions: protoActions(actions),
			TimeZone: call.TimeZone, Currency: call.Currency,
		})
		if err != nil {
			return outcome{}, err
		}
		results, err := to.results(response, len(actions))
		return outcome{results, to.usage(response.GetUsage())}, err
	})
	return done.results, done.usage, err
}

// Targets lists what can be written to, of one kind or of all when kind is empty. With create, a target of that name
// is made first unless one exists.
func (p *Pool) Targets(ctx context.Context, c Connection, call connector.Call, kind, create string) ([]connector.Target, error) {
	var all []connector.Target
	var cursor []byte
	for range maxTargetPages {
		page, err := do(ctx, p, c, "Targets", call.Secrets, func(ctx context.Context, to *callee) (targetPage, error) {
			response, err := to.api.Targets(ctx, &connectorv1.TargetsRequest{
				Config: call.Config, Access: access(call), Budget: to.budget(call), Kind: kind, Create: create, Cursor: cursor,
			})
			if err != nil {
				return targetPage{}, err
			}
			return to.targets(response)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page.targets...)
		if !page.more {
			return all, nil
		}
		if len(page.next) == 0 || bytes.Equal(page.next, cursor) {
			return nil, broken("Targets", "says that there are more but its cursor does not move")
		}
		cursor, create = page.next, ""
	}
	return nil, broken("Targets", "does not end: more than %d pages", maxTargetPages)
}

// Fields discovers the custom fields of a stream, or of all when stream is empty.
func (p *Pool) Fields(ctx context.Context, c Connection, call connector.Call, stream string) ([]connector.Field, error) {
	return do(ctx, p, c, "Fields", call.Secrets, func(ctx context.Context, to *callee) ([]connector.Field, error) {
		response, err := to.api.Fields(ctx, &connectorv1.FieldsRequest{
			Config: call.Config, Access: access(call), Budget: to.budget(call), Stream: stream,
		})
		if err != nil {
			return nil, err
		}
		return to.fields(response)
	})
}

// Webhook verifies a raw notification and decodes it.
func (p *Pool) Webhook(ctx context.Context, c Connection, call connector.Call, request connector.WebhookRequest) (connector.WebhookAnswer, error) {
	return do(ctx, p, c, "Webhook", call.Secrets, func(ctx context.Context, to *callee) (connector.WebhookAnswer, error) {
		headers := make(map[string]*connectorv1.HeaderValues, len(request.Headers))
		for name, values := range request.Headers {
			headers[name] = &connectorv1.HeaderValues{Values: values}
		}
		response, err := to.api.Webhook(ctx, &connectorv1.WebhookRequest{
			Config: call.Config, Access: access(call), Method: request.Method, Url: request.URL, Headers: headers,
			Body: request.Body, ReceivedAt: timestamp(request.ReceivedAt),
		})
		if err != nil {
			return connector.WebhookAnswer{}, err
		}
		return to.webhook(response)
	})
}

// callee is the process a call goes to, for the time of the call.
type callee struct {
	api connectorv1.ConnectorClient
	decoder
	deadline time.Time // when the connector should answer with what it has
}

func (to *callee) budget(call connector.Call) *connectorv1.CallBudget {
	return &connectorv1.CallBudget{
		Calls: count(call.Budget.Calls), PerSecond: call.Budget.PerSecond, Burst: count(call.Budget.Burst),
		Concurrency: count(call.Budget.Concurrency), Deadline: timestamppb.New(to.deadline),
	}
}

// do makes one call to the connection's process within the call limit, and turns whatever goes wrong into a Problem.
func do[A any](ctx context.Context, p *Pool, c Connection, method string, secrets map[string]string,
	call func(context.Context, *callee) (A, error),
) (A, error) {
	var none A
	if c.ID == "" && method != "Describe" {
		return none, problemf(connector.Bug, "connection_id", "%s of connector %q: the connection has no id", method, c.Connector)
	}
	e, err := p.acquire(ctx, c)
	if err != nil {
		return none, err
	}
	defer p.release(e)
	if method == "Describe" {
		defer p.discard(e, CauseStopped)
	}
	e.proc.redact.add(secrets)

	limited, cancel := context.WithTimeoutCause(ctx, p.opts.CallTimeout, errCallLimit)
	defer cancel()
	end, _ := limited.Deadline()
	answer, err := call(limited, &callee{
		api: e.proc.api, decoder: decoder{e.proc.redact},
		// A tenth of the time is left for the answer's way, so that being late means to hang.
		deadline: end.Add(-time.Until(end) / 10),
	})
	if err != nil {
		return none, p.explain(ctx, limited, e, method, err)
	}
	return answer, nil
}

// explain turns the error of a call into a Problem.
func (p *Pool) explain(ctx, limited context.Context, e *entry, method string, err error) error {
	var problem *connector.Problem
	if errors.As(err, &problem) { // a fault in the answer
		return err
	}
	answer := status.Convert(err)
	for _, detail := range answer.Details() {
		if message, ok := detail.(*connectorv1.Problem); ok {
			return decoder{e.proc.redact}.problem(message)
		}
	}
	code := answer.Code()
	if code == codes.DeadlineExceeded {
		// The connector's clock may have run out a moment before ours.
		waitFor(limited.Done(), deathWatch)
	}
	switch name := e.key.Connector; {
	case ctx.Err() != nil:
		return callerGone(ctx, e.key, method)
	case errors.Is(context.Cause(limited), errCallLimit):
		p.discard(e, CauseCallTimeout)
		return problemf(connector.Upstream, "call_timeout",
			"connector %q: %s took longer than the call limit of %s; the process is stopped", name, method, p.opts.CallTimeout)
	case (code == codes.Unavailable || code == codes.Canceled) && waitFor(e.proc.child.exited, deathWatch):
		return e.proc.child.exit().problem(name, p.opts)
	case (code == codes.Unavailable || code == codes.Canceled) && e.proc.conn.GetState() != connectivity.Ready:
		// It lives, but the connection is gone; with a connection the status is the connector's own.
		p.discard(e, CauseProtocol)
		return problemf(connector.Bug, "connector_protocol", "connector %q broke off %s and is stopped", name, method)
	case code == codes.ResourceExhausted && strings.Contains(answer.Message(), "larger than max"):
		// gRPC's own words on both sides; the connection stays usable.
		return problemf(connector.Bug, "message_too_large",
			"connector %q: a message of %s is larger than the limit of %d MiB", name, method, connectorv1.MaxMessageBytes>>20)
	case code == codes.Unimplemented:
		return problemf(connector.Bug, "not_implemented", "connector %q does not implement %s", name, method)
	default:
		return problemf(connector.Bug, "no_problem", "connector %q failed in %s with status %s and no Problem: %s",
			name, method, code, decoder{e.proc.redact}.message(answer.Message()))
	}
}

// waitFor says whether the channel was closed within the limit.
func waitFor(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
