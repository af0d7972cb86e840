package sdk

import (
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
)

// problemKinds maps the kinds of problems to the wire, and to the gRPC code that goes with them.
var problemKinds = map[ProblemKind]struct {
	wire connectorv1.Problem_Kind
	code codes.Code
}{
	ProblemAuth:          {connectorv1.Problem_KIND_AUTH, codes.Unauthenticated},
	ProblemRateLimited:   {connectorv1.Problem_KIND_RATE_LIMITED, codes.ResourceExhausted},
	ProblemInvalidConfig: {connectorv1.Problem_KIND_INVALID_CONFIG, codes.InvalidArgument},
	ProblemRejected:      {connectorv1.Problem_KIND_REJECTED, codes.FailedPrecondition},
	ProblemUpstream:      {connectorv1.Problem_KIND_UPSTREAM, codes.Unavailable},
	ProblemBug:           {connectorv1.Problem_KIND_BUG, codes.Internal},
}

// wire returns the problem in wire form; an unknown kind counts as a bug.
func (p *Problem) wire() *connectorv1.Problem {
	kind, ok := problemKinds[p.Kind]
	if !ok {
		kind = problemKinds[ProblemBug]
	}
	w := &connectorv1.Problem{
		Kind: kind.wire, Field: utf8Text(p.Field), Message: utf8Text(p.Message), Place: utf8Text(p.Place),
		Rule: utf8Text(p.Rule), RequestId: utf8Text(p.RequestID),
	}
	if p.RetryAfter > 0 {
		w.RetryAfter = durationpb.New(p.RetryAfter)
	}
	return w
}

// status returns the problem as the error of a call.
func (p *Problem) status() error {
	kind, ok := problemKinds[p.Kind]
	if !ok {
		kind = problemKinds[ProblemBug]
	}
	s := status.New(kind.code, utf8Text(p.Error()))
	detailed, err := s.WithDetails(p.wire())
	if err != nil {
		return s.Err()
	}
	return detailed.Err()
}

// utf8Text keeps one broken byte in a text from failing the whole message.
func utf8Text(s string) string { return strings.ToValidUTF8(s, "�") }

var wireModes = map[Mode]connectorv1.Mode{
	Full: connectorv1.Mode_MODE_FULL, Incremental: connectorv1.Mode_MODE_INCREMENTAL, IDs: connectorv1.Mode_MODE_IDS,
}

func modeFrom(w connectorv1.Mode) (Mode, bool) {
	if w == connectorv1.Mode_MODE_UNSPECIFIED {
		return Full, true
	}
	for mode, wire := range wireModes {
		if wire == w {
			return mode, true
		}
	}
	return "", false
}

var wireActions = map[ActionKind]connectorv1.ActionKind{
	ActionMember: connectorv1.ActionKind_ACTION_KIND_MEMBER, ActionTraits: connectorv1.ActionKind_ACTION_KIND_TRAITS,
	ActionTask: connectorv1.ActionKind_ACTION_KIND_TASK, ActionDeal: connectorv1.ActionKind_ACTION_KIND_DEAL,
	ActionSend: connectorv1.ActionKind_ACTION_KIND_SEND, ActionConfirm: connectorv1.ActionKind_ACTION_KIND_CONFIRM,
}

// describe returns the spec in wire form.
func (c Connector) describe() *connectorv1.DescribeResponse {
	d := &connectorv1.DescribeResponse{
		Name: c.Name, Version: c.Version, Title: c.Title, DocsUrl: c.Docs,
		Config: c.Config.describe(), ConfigSchema: c.Config.JSONSchema(), Auth: c.Auth.wire(), Limits: wireLimits(c.Limits),
		DataCountry: c.DataCountry, AutoMtls: c.AutoMTLS,
		HasFields: c.Fields.call != nil, HasWebhooks: c.Webhook.call != nil,
	}
	deletes := map[Deletes]connectorv1.StreamSpec_Deletes{
		Tombstones: connectorv1.StreamSpec_DELETES_TOMBSTONES, Absence: connectorv1.StreamSpec_DELETES_ABSENCE,
		ByIDs: connectorv1.StreamSpec_DELETES_IDS,
	}
	for _, s := range c.Streams {
		w := &connectorv1.StreamSpec{
			Name: s.Name, Entity: string(s.Entity), Deletes: deletes[s.Deletes], Webhooks: s.Webhooks, ByKey: s.ByKey,
			Ranges: s.Ranges, Doc: s.Doc, After: s.After,
		}
		if s.PersonKey {
			w.Key = connectorv1.StreamSpec_KEY_KIND_PERSON
		}
		for _, mode := range s.modes() {
			w.Modes = append(w.Modes, wireModes[mode])
		}
		d.Streams = append(d.Streams, w)
	}
	for _, t := range c.Targets {
		w := &connectorv1.TargetSpec{
			Kind: t.Kind, Channel: t.Channel, Readback: t.members != nil, CanCreate: t.create != nil, Identity: t.Identity,
			Traits: wireTraits(t.Traits), OpenTraits: t.OpenTraits, Idempotent: t.Idempotent, Batch: int32(t.Batch), Doc: t.Doc,
		}
		for _, kind := range t.actions() {
			w.Actions = append(w.Actions, wireActions[kind])
		}
		d.Targets = append(d.Targets, w)
	}
	return d
}

func (a Auth) wire() *connectorv1.Auth {
	w := &connectorv1.Auth{
		AuthorizeUrl: a.AuthorizeURL, TokenUrl: a.TokenURL, Scopes: a.Scopes, Pkce: a.PKCE, JsonBody: a.JSONBody,
		RefreshNeedsRedirect: a.RefreshNeedsRedirect, HostSuffixes: a.HostSuffixes,
	}
	switch a.Kind {
	case AuthKey:
		w.Kind = connectorv1.Auth_KIND_KEY
	case AuthOAuth2:
		w.Kind = connectorv1.Auth_KIND_OAUTH2
		w.Refresh = connectorv1.Auth_REFRESH_AHEAD
		if a.RefreshOn401 {
			w.Refresh = connectorv1.Auth_REFRESH_ON_401
		}
	}
	if a.RefreshTokenTTL > 0 {
		w.RefreshTokenTtl = durationpb.New(a.RefreshTokenTTL)
	}
	return w
}

func wireLimits(limits []Limit) []*connectorv1.Limit {
	scopes := map[LimitScope]connectorv1.Limit_Scope{
		PerAccount: connectorv1.Limit_SCOPE_ACCOUNT, PerEgressAddress: connectorv1.Limit_SCOPE_EGRESS_ADDRESS,
		PerApplication: connectorv1.Limit_SCOPE_APPLICATION,
	}
	var wire []*connectorv1.Limit
	for _, l := range limits {
		wire = append(wire, &connectorv1.Limit{
			Scope: scopes[l.Scope], Calls: int32(l.Calls), Per: durationpb.New(l.Per), Burst: int32(l.Burst),
			Concurrency: int32(l.Concurrency), Doc: l.Doc,
		})
	}
	return wire
}

func wireTraits(traits []Trait) []*connectorv1.TraitSpec {
	var wire []*connectorv1.TraitSpec
	for _, t := range traits {
		wire = append(wire, &connectorv1.TraitSpec{Id: t.ID, Title: t.Title, Type: t.Type})
	}
	return wire
}

func wireUsage(u Usage) *connectorv1.CallUsage {
	return &connectorv1.CallUsage{
		Calls: int32(min(u.Calls, math.MaxInt32)), Remaining: u.Remaining, ResetsAt: timestamp(u.ResetsAt),
		WaitUntil: timestamp(u.WaitUntil), RequestIds: u.RequestIDs,
	}
}

func budgetFrom(w *connectorv1.CallBudget) Budget {
	b := Budget{
		Calls: int(w.GetCalls()), PerSecond: w.GetPerSecond(), Burst: int(w.GetBurst()), Concurrency: int(w.GetConcurrency()),
	}
	if w.GetDeadline() != nil {
		b.Deadline = w.GetDeadline().AsTime()
	}
	return b
}

func accessFrom(w *connectorv1.Access) Access {
	a := Access{
		Token: NewSecret(w.GetToken()), BaseURL: w.GetBaseUrl(), AccountID: w.GetAccountId(),
		Proxy: NewSecret(w.GetProxy()), CAPEM: w.GetCaPem(),
	}
	if w.GetTokenExpiresAt() != nil {
		a.TokenExpiresAt = w.GetTokenExpiresAt().AsTime()
	}
	return a
}

func zoneFrom(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name) // "" is UTC
	if err != nil {
		return nil, Bug("the workspace's time zone %s is unknown to the connector", name)
	}
	return zone, nil
}

// actionFrom reads an action. An action of a kind or with a value this SDK does not know keeps no kind at all, so
// that it is refused and never half done.
func actionFrom(w *connectorv1.Action, target string) Action {
	p := w.GetPerson()
	a := Action{
		Key: w.GetIdempotencyKey(), Target: target,
		Person: Person{RemoteKey: p.GetRemoteKey(), Stream: p.GetStream(), Email: p.GetEmail(), Phone: p.GetPhone(), IDs: p.GetIds()},
	}
	switch k := w.GetKind().(type) {
	case *connectorv1.Action_Member:
		m := k.Member
		values, ok := valuesFrom(m.GetTraits())
		if !ok {
			return a
		}
		a.Member = &Member{
			On: m.GetOn(), Traits: values, Tags: m.GetTags(), ConsentSource: m.GetConsentSource(), ConsentIP: m.GetConsentIp(),
		}
		if m.GetConsentedAt() != nil {
			a.Member.ConsentedAt = m.GetConsentedAt().AsTime()
		}
	case *connectorv1.Action_Traits:
		if values, ok := valuesFrom(k.Traits.GetSet()); ok {
			a.Traits = &Traits{Set: values, Unset: k.Traits.GetUnset(), AddTags: k.Traits.GetAddTags(), RemoveTags: k.Traits.GetRemoveTags()}
		}
	case *connectorv1.Action_Task:
		a.Task = &Task{Text: k.Task.GetText(), Kind: k.Task.GetKind(), Owner: k.Task.GetOwner()}
		if k.Task.GetDueAt() != nil {
			a.Task.DueAt = k.Task.GetDueAt().AsTime()
		}
	case *connectorv1.Action_Deal:
		values, ok := valuesFrom(k.Deal.GetFields())
		if !ok {
			return a
		}
		a.Deal = &Deal{Title: k.Deal.GetTitle(), Pipeline: k.Deal.GetPipeline(), Stage: k.Deal.GetStage(), Owner: k.Deal.GetOwner(), Fields: values}
		if m := k.Deal.GetAmount(); m != nil {
			a.Deal.Amount = &entity.Money{Minor: m.GetMinor(), Currency: m.GetCurrency()}
		}
	case *connectorv1.Action_Send:
		values, ok := valuesFrom(k.Send.GetVariables())
		if !ok {
			return a
		}
		a.Send = &Send{Template: k.Send.GetTemplate(), Sender: k.Send.GetSender(), Variables: values, Tag: k.Send.GetTag()}
		if k.Send.GetAt() != nil {
			a.Send.At = k.Send.GetAt().AsTime()
		}
	case *connectorv1.Action_Confirm:
		a.Confirm = &Confirm{Handle: k.Confirm.GetHandle()}
	}
	return a
}

// valuesFrom returns false when a value is of a kind this SDK does not know.
func valuesFrom(wire map[string]*connectorv1.Value) (map[string]Value, bool) {
	if len(wire) == 0 {
		return nil, true
	}
	values := make(map[string]Value, len(wire))
	for id, w := range wire {
		switch k := w.GetKind().(type) {
		case *connectorv1.Value_Text:
			values[id] = Value{Kind: ValueText, Text: k.Text}
		case *connectorv1.Value_Integer:
			values[id] = Value{Kind: ValueInteger, Integer: k.Integer}
		case *connectorv1.Value_Decimal:
			values[id] = Value{Kind: ValueDecimal, Text: k.Decimal}
		case *connectorv1.Value_Date:
			date, err := entity.ParseDate(k.Date)
			if err != nil {
				return nil, false
			}
			values[id] = Value{Kind: ValueDate, Date: date}
		case *connectorv1.Value_Boolean:
			values[id] = Value{Kind: ValueBoolean, Boolean: k.Boolean}
		case *connectorv1.Value_Time:
			values[id] = Value{Kind: ValueTime, Time: k.Time.AsTime()}
		case *connectorv1.Value_Texts:
			values[id] = Value{Kind: ValueTexts, Texts: k.Texts.GetItems()}
		default:
			return nil, false
		}
	}
	return values, true
}

func (r Result) wire() *connectorv1.Result {
	states := map[ResultState]connectorv1.Result_State{
		StateOK: connectorv1.Result_STATE_OK, StateAccepted: connectorv1.Result_STATE_ACCEPTED,
		StateRejected: connectorv1.Result_STATE_REJECTED, StateRetryable: connectorv1.Result_STATE_RETRYABLE,
	}
	w := &connectorv1.Result{
		State: states[r.State], RemoteId: utf8Text(r.RemoteID), Handle: r.Handle, ConfirmAfter: timestamp(r.ConfirmAfter), Unchanged: r.Unchanged,
	}
	if r.Problem != nil {
		w.Problem = r.Problem.wire()
	}
	return w
}
