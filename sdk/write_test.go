package sdk

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
)

// lists is a destination whose Write is the test's.
func lists(kind string, actions []ActionKind, write func(req WriteRequest) ([]Result, error)) Target {
	return TargetOf(Target{Kind: kind, Doc: "x", Channel: "email", Identity: "email", Actions: actions}, Destination[noConfig]{
		List: func(_ context.Context, _ noConfig, req TargetsRequest) (TargetList, error) {
			if string(req.Cursor) == "" {
				return TargetList{Targets: []RemoteTarget{{ID: "1", Name: kind + " one"}}, Next: []byte("p2"), More: true}, nil
			}
			return TargetList{Targets: []RemoteTarget{{ID: "list:2", Name: kind + " two"}}}, nil
		},
		Create: func(_ context.Context, _ noConfig, req CreateRequest) (RemoteTarget, error) {
			return RemoteTarget{ID: "made", Name: req.Name}, nil
		},
		Members: func(_ context.Context, _ noConfig, req ReadRequest) (Page[entity.Member], error) {
			return Page[entity.Member]{Records: []Record[entity.Member]{{Key: kind + " of " + req.Target, Entity: entity.Member{State: entity.Subscribed}}}}, nil
		},
		Write: func(_ context.Context, _ noConfig, req WriteRequest) ([]Result, error) { return write(req) },
	})
}

func member(target string) *connectorv1.Action {
	return &connectorv1.Action{Target: target, Person: &connectorv1.Person{Email: "a@example.com"}, Kind: &connectorv1.Action_Member{Member: &connectorv1.Member{On: true}}}
}

// TestWriteGivesOneResultPerAction whatever the connector returns for three actions.
func TestWriteGivesOneResultPerAction(t *testing.T) {
	ok, accepted := Done("1"), Accepted("h", time.Unix(5, 0))
	const (
		stateOK, stateAccepted = connectorv1.Result_STATE_OK, connectorv1.Result_STATE_ACCEPTED
		rejected, retryable    = connectorv1.Result_STATE_REJECTED, connectorv1.Result_STATE_RETRYABLE
	)
	tests := []struct {
		name    string
		results []Result
		err     error
		want    []connectorv1.Result_State
		problem string // of the last
	}{
		{"all well", []Result{ok, accepted, Unchanged("3")}, nil, []connectorv1.Result_State{stateOK, stateAccepted, stateOK}, ""},
		{"one refused", []Result{ok, ok, Failed(Rejected("no_email", "no address"))}, nil, []connectorv1.Result_State{stateOK, stateOK, rejected}, "no address"},
		{"one later", []Result{ok, ok, Failed(Upstream("down"))}, nil, []connectorv1.Result_State{stateOK, stateOK, retryable}, "down"},
		{"too few", []Result{ok, ok}, nil, []connectorv1.Result_State{retryable, retryable, retryable}, "the connector returned 2 results for 3 actions, so it is unknown which were done"},
		{"too many", []Result{ok, ok, ok, ok}, nil, []connectorv1.Result_State{retryable, retryable, retryable}, "the connector returned 4 results for 3 actions, so it is unknown which were done"},
		{"none", nil, nil, []connectorv1.Result_State{retryable, retryable, retryable}, "the connector returned 0 results for 3 actions, so it is unknown which were done"},
		{"an error after the first", []Result{ok}, Upstream("broke off"), []connectorv1.Result_State{stateOK, retryable, retryable}, "broke off"},
		{"an error of its own after the first", []Result{ok}, errors.New("PRIVATE"), []connectorv1.Result_State{stateOK, retryable, retryable}, "the connector returned an error that is no Problem (*errors.errorString); its log says more"},
		{"an error and too many", []Result{ok, ok, ok, ok}, Upstream("broke off"), []connectorv1.Result_State{retryable, retryable, retryable}, "broke off"},
		{"no state", []Result{ok, ok, {}}, nil, []connectorv1.Result_State{stateOK, stateOK, retryable}, "the connector gave an action a result without a state"},
		{"no reason", []Result{ok, ok, {State: StateRejected}}, nil, []connectorv1.Result_State{stateOK, stateOK, rejected}, "the connector does not say why the action failed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := serverOf(t, Connector{Targets: []Target{lists("list", nil, func(WriteRequest) ([]Result, error) { return test.results, test.err })}})
			resp, err := s.Write(background(), &connectorv1.WriteRequest{Actions: []*connectorv1.Action{member("1"), member("1"), member("1")}})
			require.NoError(t, err)
			var states []connectorv1.Result_State
			for _, r := range resp.GetResults() {
				states = append(states, r.GetState())
			}
			require.Equal(t, test.want, states)
			require.Equal(t, test.problem, resp.GetResults()[2].GetProblem().GetMessage())
		})
	}
}

func TestWriteFailsAsAWholeWhenNothingWasDone(t *testing.T) {
	s := serverOf(t, Connector{Targets: []Target{lists("list", nil, func(WriteRequest) ([]Result, error) { return nil, RateLimited(time.Minute, "wait") })}})
	_, err := s.Write(background(), &connectorv1.WriteRequest{Actions: []*connectorv1.Action{member("1")}})
	p := requireProblem(t, err, codes.ResourceExhausted)
	require.Equal(t, int64(60), p.GetRetryAfter().GetSeconds())

	s = serverOf(t, Connector{Targets: []Target{lists("list", nil, func(WriteRequest) ([]Result, error) { panic("x") })}})
	_, err = s.Write(background(), &connectorv1.WriteRequest{Actions: []*connectorv1.Action{member("1")}})
	requireProblem(t, err, codes.Internal)
}

// TestWriteRoutesByKind: several kinds of targets share one message, and each action finds its own.
func TestWriteRoutesByKind(t *testing.T) {
	seen := map[string][]string{}
	record := func(kind string) func(req WriteRequest) ([]Result, error) {
		return func(req WriteRequest) ([]Result, error) {
			var results []Result
			for _, a := range req.Actions {
				seen[kind] = append(seen[kind], a.Target+"/"+string(a.Kind()))
				results = append(results, Done(kind))
			}
			return results, nil
		}
	}
	s := serverOf(t, Connector{Targets: []Target{
		lists("list", nil, record("list")),
		lists("crm", []ActionKind{ActionTask, ActionMember}, record("crm")),
		lists("down", []ActionKind{ActionSend}, func(WriteRequest) ([]Result, error) { return nil, Upstream("down") }),
	}})
	resp, err := s.Write(background(), &connectorv1.WriteRequest{Actions: []*connectorv1.Action{
		member("crm:77"), member("5"), member("list:5"), member("a:b"),
		{Kind: &connectorv1.Action_Task{Task: &connectorv1.Task{Text: "call"}}},
		{Target: "down:1", Kind: &connectorv1.Action_Send{Send: &connectorv1.Send{}}},
		{Target: "5", Kind: &connectorv1.Action_Send{Send: &connectorv1.Send{}}},
		{Target: "5"},
		{Target: "5", Kind: &connectorv1.Action_Member{Member: &connectorv1.Member{Traits: map[string]*connectorv1.Value{"x": {}}}}},
	}})
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"list": {"5/member", "5/member", "a:b/member"}, "crm": {"77/member", "/task"}}, seen)
	var got []string
	for _, r := range resp.GetResults() {
		got = append(got, r.GetRemoteId()+r.GetProblem().GetMessage())
	}
	unknown := "the connector cannot do this action here"
	require.Equal(t, []string{"crm", "list", "list", "list", "crm", "down", unknown, unknown, unknown}, got)
}

func TestWritePassesActionsOn(t *testing.T) {
	var got []Action
	all := []ActionKind{ActionMember, ActionTraits, ActionTask, ActionDeal, ActionSend, ActionConfirm}
	s := serverOf(t, Connector{Targets: []Target{lists("list", all, func(req WriteRequest) ([]Result, error) {
		got = req.Actions
		require.Equal(t, "Asia/Tokyo RUB", req.Zone.String()+" "+req.Currency)
		return make([]Result, len(req.Actions)), nil
	})}})
	at := timestamppb.New(time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC))
	values := map[string]*connectorv1.Value{
		"text": {Kind: &connectorv1.Value_Text{Text: "t"}}, "integer": {Kind: &connectorv1.Value_Integer{Integer: 9007199254740993}},
		"decimal": {Kind: &connectorv1.Value_Decimal{Decimal: "12.50"}}, "date": {Kind: &connectorv1.Value_Date{Date: "2024-02-29"}},
		"boolean": {Kind: &connectorv1.Value_Boolean{Boolean: true}}, "time": {Kind: &connectorv1.Value_Time{Time: at}},
		"texts": {Kind: &connectorv1.Value_Texts{Texts: &connectorv1.Texts{Items: []string{"a", "b"}}}},
	}
	_, err := s.Write(background(), &connectorv1.WriteRequest{TimeZone: "Asia/Tokyo", Currency: "RUB", Actions: []*connectorv1.Action{
		{
			IdempotencyKey: "i", Target: "1", Person: &connectorv1.Person{RemoteKey: "r", Stream: "s", Email: "e", Phone: "p", Ids: map[string]string{"a": "b"}},
			Kind: &connectorv1.Action_Member{Member: &connectorv1.Member{On: true, Traits: values, Tags: []string{"vip"}, ConsentedAt: at, ConsentSource: "form", ConsentIp: "ip"}},
		},
		{Kind: &connectorv1.Action_Traits{Traits: &connectorv1.Traits{Set: values, Unset: []string{"u"}, AddTags: []string{"a"}, RemoveTags: []string{"r"}}}},
		{Kind: &connectorv1.Action_Task{Task: &connectorv1.Task{Text: "t", Kind: "k", DueAt: at, Owner: "o"}}},
		{Kind: &connectorv1.Action_Deal{Deal: &connectorv1.Deal{Title: "t", Pipeline: "p", Stage: "s", Owner: "o", Amount: &connectorv1.Money{Minor: 5, Currency: "RUB"}, Fields: values}}},
		{Kind: &connectorv1.Action_Send{Send: &connectorv1.Send{Template: "t", At: at, Sender: "s", Variables: values, Tag: "g"}}},
		{Kind: &connectorv1.Action_Confirm{Confirm: &connectorv1.Confirm{Handle: "h"}}},
	}})
	require.NoError(t, err)
	texts := map[string]string{}
	for id, v := range got[0].Member.Traits {
		texts[id] = v.String()
	}
	require.Equal(t, map[string]string{
		"text": "t", "integer": "9007199254740993", "decimal": "12.50", "date": "2024-02-29", "boolean": "true", "time": "2024-05-01T10:00:00Z", "texts": "a, b",
	}, texts)
	v := got[0].Member.Traits
	when := at.AsTime()
	require.Equal(t, []Action{
		{
			Key: "i", Target: "1", Person: Person{RemoteKey: "r", Stream: "s", Email: "e", Phone: "p", IDs: map[string]string{"a": "b"}},
			Member: &Member{On: true, Traits: v, Tags: []string{"vip"}, ConsentedAt: when, ConsentSource: "form", ConsentIP: "ip"},
		},
		{Traits: &Traits{Set: v, Unset: []string{"u"}, AddTags: []string{"a"}, RemoveTags: []string{"r"}}},
		{Task: &Task{Text: "t", Kind: "k", DueAt: when, Owner: "o"}},
		{Deal: &Deal{Title: "t", Pipeline: "p", Stage: "s", Owner: "o", Amount: &entity.Money{Minor: 5, Currency: "RUB"}, Fields: v}},
		{Send: &Send{Template: "t", At: when, Sender: "s", Variables: v, Tag: "g"}},
		{Confirm: &Confirm{Handle: "h"}},
	}, got)
}

func TestTargets(t *testing.T) {
	none := func(WriteRequest) ([]Result, error) { return nil, nil }
	s := serverOf(t, Connector{Targets: []Target{lists("list", nil, none), lists("tag", nil, none)}})
	collect := func(kind string) []string {
		var ids []string
		var cursor []byte
		for {
			resp, err := s.Targets(background(), &connectorv1.TargetsRequest{Kind: kind, Cursor: cursor})
			require.NoError(t, err)
			for _, target := range resp.GetTargets() {
				ids = append(ids, target.GetId()+" "+target.GetKind()+" "+target.GetName())
			}
			if cursor = resp.GetNextCursor(); !resp.GetHasMore() {
				return ids
			}
		}
	}
	require.Equal(t, []string{"1 list list one", "list:list:2 list list two", "tag:1 tag tag one", "tag:list:2 tag tag two"}, collect(""))
	require.Equal(t, []string{"tag:1 tag tag one", "tag:list:2 tag tag two"}, collect("tag"))

	for wire, want := range map[string]string{"1": "list of 1", "list:list:2": "list of list:2", "tag:1": "tag of 1", "tag:list:2": "tag of list:2"} {
		page, err := s.Read(background(), &connectorv1.ReadRequest{Stream: "members", Target: wire})
		require.NoError(t, err)
		require.Equal(t, want, page.GetRecords()[0].GetKey())
	}

	made, err := s.Targets(background(), &connectorv1.TargetsRequest{Kind: "tag", Create: "VIP"})
	require.NoError(t, err)
	require.Equal(t, "tag:made", made.GetTargets()[0].GetId())
	require.Len(t, made.GetTargets(), 1)

	_, err = s.Targets(background(), &connectorv1.TargetsRequest{Create: "VIP"})
	requireProblem(t, err, codes.Internal)
	_, err = s.Targets(background(), &connectorv1.TargetsRequest{Kind: "board"})
	require.Contains(t, requireProblem(t, err, codes.Internal).GetMessage(), "only: list, tag")
}
