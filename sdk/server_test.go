package sdk

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
)

type key struct {
	Token Secret `cfg:"token" doc:"The key." validate:"required"`
	Site  string `cfg:"site" doc:"The site." validate:"required,url"`
	Every Days   `cfg:"every" doc:"How often." default:"1"`
}

func full() Connector {
	read := func(context.Context, key, ReadRequest) (Page[entity.Contact], error) {
		return Page[entity.Contact]{}, nil
	}
	return Connector{
		Name: "full", Version: "1.2.3", Title: "Everything", Docs: "https://example.com/full", Config: ConfigOf[key](), DataCountry: "RU", AutoMTLS: true,
		Auth: Auth{
			Kind: AuthOAuth2, AuthorizeURL: "https://example.com/a", TokenURL: "https://example.com/t", Scopes: []string{"read"}, RefreshOn401: true,
			PKCE: true, HostSuffixes: []string{".example.com"}, RefreshTokenTTL: 90 * 24 * time.Hour,
		},
		Limits: []Limit{{Scope: PerAccount, Calls: 7, Per: time.Second, Concurrency: 2, Doc: "The docs say so."}},
		Streams: []Stream{
			StreamOf(Stream{Name: "people", Doc: "People.", Modes: []Mode{Full, Incremental, IDs}, Deletes: ByIDs, PersonKey: true, ByKey: true, Ranges: true, Webhooks: true}, read),
			StreamOf(Stream{Name: "orders", Doc: "Orders.", Deletes: Absence, After: []string{"people"}},
				func(context.Context, key, ReadRequest) (Page[entity.Order], error) { return Page[entity.Order]{}, nil }),
		},
		Targets: []Target{TargetOf(Target{
			Kind: "list", Channel: "email", Doc: "Lists.", Identity: "email", Traits: []Trait{{ID: "name", Title: "Name", Type: "text"}}, Idempotent: true, Batch: 100,
		}, Destination[key]{
			Write: func(context.Context, key, WriteRequest) ([]Result, error) { return nil, nil },
			Members: func(context.Context, key, ReadRequest) (Page[entity.Member], error) {
				return Page[entity.Member]{}, nil
			},
		})},
		Check: CheckOf(func(_ context.Context, _ key, req CheckRequest) (Account, error) {
			req.Spent(Usage{Calls: 1})
			return Account{ID: "a-1", Name: "Shop", TimeZone: "Europe/Moscow", Currency: "RUB", ClockSkew: -3 * time.Second, Limits: []Limit{{Scope: PerAccount, Calls: 9, Per: time.Second}}}, nil
		}),
		Offers: OffersOf(func(cfg key) []string {
			if cfg.Every > 1 {
				return []string{}
			}
			return []string{"people"}
		}),
		Fields: FieldsOf(func(_ context.Context, _ key, req FieldsRequest) (FieldList, error) {
			return FieldList{Fields: []Field{{Stream: req.Stream, ID: "1", Title: "City", Type: "choice", Choices: []Choice{{ID: "c", Title: "Kazan"}}, Writable: true}}}, nil
		}),
		Webhook: WebhookOf(func(_ context.Context, _ key, req WebhookRequest) (Delivery, error) {
			if req.Header["X-Sign"][0] != "right" {
				return Delivery{Status: 403, Notices: []Notice{{Stream: "people", Key: "1"}}}, nil
			}
			return Delivery{Authentic: true, Notices: []Notice{{Stream: "people", Key: string(req.Body), Deleted: true, At: req.ReceivedAt}}}, nil
		}),
	}
}

// TestDescribeGolden pins the description: the hub and other languages read it.
func TestDescribeGolden(t *testing.T) {
	spec, err := serverOf(t, full()).Describe(background(), &connectorv1.DescribeRequest{})
	require.NoError(t, err)
	spec.ConfigSchema = nil // pinned by the test of configurations
	// protojson varies its spacing on purpose; taking it out leaves the content.
	text := strings.ReplaceAll(protojson.MarshalOptions{Multiline: true, Indent: "  "}.Format(spec), ":  ", ": ")
	golden(t, "describe.json", []byte(text+"\n"))
	golden(t, "connector.md", []byte(full().Markdown()))
}

func TestCheck(t *testing.T) {
	right := []byte(`{"site": "https://example.com"}`)
	access := &connectorv1.Access{Secrets: map[string]string{"token": "hush-hush-1"}}
	s := serverOf(t, full())

	resp, err := s.Check(background(), &connectorv1.CheckRequest{Config: right, Access: access})
	require.NoError(t, err)
	require.Empty(t, resp.GetProblems())
	require.Equal(t, "a-1 Shop Europe/Moscow RUB", strings.Join([]string{resp.GetAccountId(), resp.GetAccountName(), resp.GetTimeZone(), resp.GetCurrency()}, " "))
	require.Equal(t, int64(-3), resp.GetClockSkew().GetSeconds())
	require.Equal(t, int32(1), resp.GetUsage().GetCalls())
	require.JSONEq(t, `{"site": "https://example.com", "every": 1}`, string(resp.GetConfig()))

	resp, err = s.Check(background(), &connectorv1.CheckRequest{Config: right, Access: access, Offline: true})
	require.NoError(t, err)
	require.Empty(t, resp.GetAccountId(), "offline asks nobody")
	require.Equal(t, []string{"people"}, resp.GetOffer().GetStreams())

	resp, err = s.Check(background(), &connectorv1.CheckRequest{Config: []byte(`{"site": "https://example.com", "every": 2}`), Access: access, Offline: true})
	require.NoError(t, err)
	require.NotNil(t, resp.GetOffer(), "no stream at all is not the same as all of them")
	require.Empty(t, resp.GetOffer().GetStreams())

	resp, err = s.Check(background(), &connectorv1.CheckRequest{Config: []byte(`{"site": 1, "nope": 2}`)})
	require.NoError(t, err)
	var fields []string
	for _, p := range resp.GetProblems() {
		fields = append(fields, p.GetField())
	}
	require.ElementsMatch(t, []string{"nope", "site", "token"}, fields)
	require.Nil(t, resp.GetOffer())
	require.Empty(t, resp.GetAccountId(), "a wrong configuration asks nobody")
}

func TestCheckTellsAllProblems(t *testing.T) {
	c := full()
	c.Check = CheckOf(func(context.Context, key, CheckRequest) (Account, error) {
		return Account{}, errors.Join(InvalidConfig("site", "hush-hush-1 is no shop"), errors.Join(Unauthorized("no right to read orders"), errors.New("PRIVATE")))
	})
	resp, err := serverOf(t, c).Check(background(), &connectorv1.CheckRequest{
		Config: []byte(`{"site": "https://example.com"}`), Access: &connectorv1.Access{Secrets: map[string]string{"token": "hush-hush-1"}},
	})
	require.NoError(t, err)
	var got []string
	for _, p := range resp.GetProblems() {
		got = append(got, p.GetKind().String()+" "+p.GetMessage())
	}
	require.Equal(t, []string{
		"KIND_INVALID_CONFIG [secret] is no shop", "KIND_AUTH no right to read orders",
		"KIND_BUG the connector returned an error that is no Problem (*errors.errorString); its log says more",
	}, got)
}

func TestWrongConfigurationStopsEveryCall(t *testing.T) {
	s := serverOf(t, full())
	calls := map[string]func() error{
		"read":    func() error { _, err := s.Read(background(), &connectorv1.ReadRequest{Stream: "people"}); return err },
		"write":   func() error { _, err := s.Write(background(), &connectorv1.WriteRequest{}); return err },
		"targets": func() error { _, err := s.Targets(background(), &connectorv1.TargetsRequest{}); return err },
		"fields":  func() error { _, err := s.Fields(background(), &connectorv1.FieldsRequest{}); return err },
		"webhook": func() error { _, err := s.Webhook(background(), &connectorv1.WebhookRequest{}); return err },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			p := requireProblem(t, call(), codes.InvalidArgument)
			require.Equal(t, "is required (and 1 problems more; Check tells all)", p.GetMessage())
			require.Equal(t, "token", p.GetField())
		})
	}
}

func TestFieldsAndWebhook(t *testing.T) {
	s := serverOf(t, full())
	config, access := []byte(`{"site": "https://example.com"}`), &connectorv1.Access{Secrets: map[string]string{"token": "t"}}
	fields, err := s.Fields(background(), &connectorv1.FieldsRequest{Config: config, Access: access, Stream: "people"})
	require.NoError(t, err)
	require.Equal(t, "City", fields.GetFields()[0].GetTitle())
	require.Equal(t, "Kazan", fields.GetFields()[0].GetChoices()[0].GetTitle())

	hook := func(sign, body string) (*connectorv1.WebhookResponse, error) {
		return s.Webhook(background(), &connectorv1.WebhookRequest{
			Config: config, Access: access, Body: []byte(body), Headers: map[string]*connectorv1.HeaderValues{"X-Sign": {Values: []string{sign}}},
		})
	}
	resp, err := hook("right", "42")
	require.NoError(t, err)
	require.True(t, resp.GetAuthentic())
	require.Equal(t, "42", resp.GetNotices()[0].GetKey())
	require.Equal(t, connectorv1.Record_OP_DELETE, resp.GetNotices()[0].GetOp())

	resp, err = hook("forged", "42")
	require.NoError(t, err)
	require.False(t, resp.GetAuthentic())
	require.Empty(t, resp.GetNotices(), "nothing of a forged notification is passed on")
	require.Equal(t, int32(403), resp.GetStatus())

	_, err = hook("right", "")
	requireProblem(t, err, codes.Internal)
	_, err = serverOf(t, contacts(nil)).Webhook(background(), &connectorv1.WebhookRequest{})
	requireProblem(t, err, codes.Internal)
}

func TestConnectorDeclarationFaults(t *testing.T) {
	type other struct{}
	read := func(context.Context, noConfig, ReadRequest) (Page[entity.Contact], error) {
		return Page[entity.Contact]{}, nil
	}
	c := Connector{
		Config: ConfigOf[noConfig](),
		Streams: []Stream{
			{Name: "raw"},
			StreamOf(Stream{Name: "members"}, read), StreamOf(Stream{Name: "a", Deletes: ByIDs, After: []string{"z"}}, read),
			StreamOf(Stream{Name: "a", Modes: []Mode{"sometimes"}}, read),
			StreamOf(Stream{Name: "b"}, func(context.Context, other, ReadRequest) (Page[string], error) { return Page[string]{}, nil }),
			StreamOf(Stream{}, read),
		},
		Targets: []Target{{Kind: "t"}, TargetOf(Target{Kind: "t", Channel: "pigeon"}, Destination[other]{})},
	}
	var got []string
	for _, fault := range c.validate() {
		got = append(got, fault.Error())
	}
	require.ElementsMatch(t, []string{
		"Name is empty", "Version is empty",
		"stream raw is not made by sdk.StreamOf",
		`the stream name "members" is taken by the members of targets`,
		"stream a sees deletions by ids, but has no mode IDs",
		"two streams are called a", `stream a has the unknown mode "sometimes"`,
		"stream b takes a sdk.other, but Config is made of sdk.noConfig", "stream b returns a type that is no entity",
		"a stream has no Name",
		"stream a comes after z, which does not exist",
		"target t: it has no Write function; use sdk.TargetOf", "target t: Identity is empty, but it has members",
		"target t takes a sdk.other, but Config is made of sdk.noConfig",
		"target t: it has no Write function; use sdk.TargetOf", `target t: the channel "pigeon" is unknown`, "target t: Identity is empty, but it has members",
		"two targets are of kind t",
	}, got)
	require.EqualError(t, errors.Join(Connector{Name: "x", Version: "1"}.validate()...), "Config is empty; use sdk.ConfigOf[yourConfig]()")
}
