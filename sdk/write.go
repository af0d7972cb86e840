package sdk

import (
	"context"
	"slices"
	"strings"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// Remote ids of targets mean something only within a kind, but on the wire they stand alone. The first kind's ids
// go as they are, those of the others with "KIND:" before them, so that a connector that later learns a second
// kind does not change the ids it gave out.

// qualify returns the wire form of a target's id.
func (s *server) qualify(kind int, id string) string {
	if kind > 0 {
		return s.connector.Targets[kind].Kind + ":" + id
	}
	if prefix, _, ok := strings.Cut(id, ":"); ok && slices.ContainsFunc(s.connector.Targets, func(t Target) bool { return t.Kind == prefix }) {
		return s.connector.Targets[0].Kind + ":" + id
	}
	return id
}

// targetIndex finds the kind of a target and its own id.
func (s *server) targetIndex(wireID string) (int, string, error) {
	if len(s.connector.Targets) == 0 {
		return 0, "", Bug("the connector has no targets")
	}
	if prefix, id, ok := strings.Cut(wireID, ":"); ok {
		for i, t := range s.connector.Targets {
			if t.Kind == prefix {
				return i, id, nil
			}
		}
	}
	return 0, wireID, nil
}

func (s *server) target(wireID string) (Target, string, error) {
	i, id, err := s.targetIndex(wireID)
	if err != nil {
		return Target{}, "", err
	}
	return s.connector.Targets[i], id, nil
}

// Targets implements the protocol. With a name to create the answer holds just the target of that name.
func (s *server) Targets(ctx context.Context, req *connectorv1.TargetsRequest) (resp *connectorv1.TargetsResponse, err error) {
	defer s.finish(ctx, "Targets", &err)
	cfg, call, err := s.open(req, req.GetBudget())
	if err != nil {
		return nil, err
	}
	var kinds []int
	for i, t := range s.connector.Targets {
		if req.GetKind() == "" || t.Kind == req.GetKind() {
			kinds = append(kinds, i)
		}
	}
	if len(kinds) == 0 {
		return nil, Bug("the connector has no targets of kind %q, only: %s", req.GetKind(), s.kindList())
	}
	resp = &connectorv1.TargetsResponse{}
	if name := req.GetCreate(); name != "" {
		kinds = slices.DeleteFunc(kinds, func(i int) bool { return s.connector.Targets[i].create == nil })
		if len(kinds) != 1 {
			return nil, Bug("a target can be created in %d of the asked kinds; ask for one of: %s", len(kinds), s.kindList())
		}
		made, err := s.connector.Targets[kinds[0]].create(ctx, cfg, CreateRequest{Call: call, Name: name})
		if err != nil {
			return nil, err
		}
		resp.Targets = append(resp.Targets, s.wireTarget(kinds[0], made))
		resp.Usage = wireUsage(call.meter.usage())
		return resp, nil
	}
	at, err := DecodeCursor[targetsCursor](req.GetCursor())
	if err != nil {
		return nil, err
	}
	for n, i := range kinds {
		t := s.connector.Targets[i]
		if t.list == nil || (at.Kind != "" && t.Kind != at.Kind) {
			continue
		}
		list, err := t.list(ctx, cfg, TargetsRequest{Call: call, Cursor: at.Next})
		if err != nil {
			return nil, err
		}
		for _, r := range list.Targets {
			resp.Targets = append(resp.Targets, s.wireTarget(i, r))
		}
		switch {
		case list.More:
			resp.NextCursor, resp.HasMore = EncodeCursor(targetsCursor{Kind: t.Kind, Next: list.Next}), true
		case n+1 < len(kinds):
			resp.NextCursor, resp.HasMore = EncodeCursor(targetsCursor{Kind: s.connector.Targets[kinds[n+1]].Kind}), true
		}
		break
	}
	resp.Usage = wireUsage(call.meter.usage())
	return resp, nil
}

// targetsCursor walks through the kinds one after the other.
type targetsCursor struct {
	Kind string `json:"kind"`
	Next []byte `json:"next,omitempty"`
}

func (s *server) wireTarget(kind int, r RemoteTarget) *connectorv1.Target {
	return &connectorv1.Target{
		Id: s.qualify(kind, r.ID), Name: r.Name, Kind: s.connector.Targets[kind].Kind, Members: r.Members,
		Traits: wireTraits(r.Traits), ReadOnlyReason: r.ReadOnlyReason,
	}
}

// Write implements the protocol: exactly one result per action, in their order, whatever the connector does.
func (s *server) Write(ctx context.Context, req *connectorv1.WriteRequest) (resp *connectorv1.WriteResponse, err error) {
	defer s.finish(ctx, "Write", &err)
	cfg, call, err := s.open(req, req.GetBudget())
	if err != nil {
		return nil, err
	}
	call.Currency = req.GetCurrency()
	if call.Zone, err = zoneFrom(req.GetTimeZone()); err != nil {
		return nil, err
	}
	results := make([]Result, len(req.GetActions()))
	batches := make([]batch, len(s.connector.Targets))
	for i, w := range req.GetActions() {
		kind, action, err := s.route(w)
		if err != nil {
			results[i] = Failed(err)
			continue
		}
		batches[kind].actions = append(batches[kind].actions, action)
		batches[kind].places = append(batches[kind].places, i)
	}
	for kind, b := range batches {
		if len(b.actions) == 0 {
			continue
		}
		got, err := s.connector.Targets[kind].write(ctx, cfg, WriteRequest{Call: call, Actions: b.actions})
		if err != nil && len(got) == 0 && len(b.actions) == len(results) {
			return nil, err // nothing was done: a problem of the call
		}
		for n, r := range s.settle(ctx, got, len(b.actions), err) {
			results[b.places[n]] = r
		}
	}
	resp = &connectorv1.WriteResponse{Usage: wireUsage(call.meter.usage())}
	for _, r := range results {
		if r.Problem != nil {
			r.Problem = s.mask.problem(r.Problem)
		}
		resp.Results = append(resp.Results, r.wire())
	}
	return resp, nil
}

// batch is the part of a Write that goes to one kind of target; places are its actions' positions in the request.
type batch struct {
	actions []Action
	places  []int
}

// route finds the kind of target an action goes to: by its target, or without one the first that knows the action.
func (s *server) route(w *connectorv1.Action) (int, Action, error) {
	kind, id, err := s.targetIndex(w.GetTarget())
	if err != nil {
		return 0, Action{}, err
	}
	action := actionFrom(w, id)
	what := action.Kind()
	if w.GetTarget() == "" {
		kind = slices.IndexFunc(s.connector.Targets, func(t Target) bool { return slices.Contains(t.actions(), what) })
	}
	if what == "" || kind < 0 || !slices.Contains(s.connector.Targets[kind].actions(), what) {
		return 0, action, Rejected("action_unknown", "the connector cannot do this action here")
	}
	return kind, action, nil
}

// settle makes one result for each of n actions. With an error the results are those of the first actions; without
// one, another number than n leaves open what belongs to what, and none is believed.
func (s *server) settle(ctx context.Context, got []Result, n int, err error) []Result {
	if err == nil && len(got) == n {
		for i, r := range got {
			if r.State == "" {
				got[i] = Failed(Bug("the connector gave an action a result without a state"))
			} else if (r.State == StateRejected || r.State == StateRetryable) && r.Problem == nil {
				got[i].Problem = Bug("the connector does not say why the action failed")
			}
		}
		return got
	}
	rest := Bug("the connector returned %d results for %d actions, so it is unknown which were done", len(got), n)
	if err != nil {
		rest = s.report(ctx, "Write", err)
	}
	if err == nil || len(got) > n {
		got = nil
	}
	for len(got) < n {
		got = append(got, Failed(rest))
	}
	return got
}
