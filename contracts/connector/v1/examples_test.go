package connectorv1_test

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// The shop and its people are made up. Every value differs from its neighbours, so that two fields that changed places
// cannot go unseen; 9007199254740993 is the first integer a float64 cannot hold.
var (
	monday  = timestamppb.New(time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC))
	tuesday = timestamppb.New(time.Date(2026, 3, 3, 18, 5, 7, 250_000_000, time.UTC))

	config = []byte(`{"domain":"shop.example","window":365}`)

	access = &connectorv1.Access{
		Token:          "token-1",
		TokenExpiresAt: tuesday,
		BaseUrl:        "https://eu7.shop.example",
		AccountId:      "31415926",
		Secrets:        map[string]string{"auth.password": "password-1", "webhook.key": "key-1"},
		Proxy:          "http://10.0.0.1:3128",
		CaPem:          []byte("-----BEGIN CERTIFICATE-----\n"),
	}
	budget = &connectorv1.CallBudget{Calls: 40, PerSecond: 5.6, Burst: 7, Concurrency: 2, Deadline: monday}
	usage  = &connectorv1.CallUsage{
		Calls:      3,
		Remaining:  proto.Int64(0), // the vendor says that nothing is left, which is not the same as saying nothing
		ResetsAt:   monday,
		WaitUntil:  tuesday,
		RequestIds: []string{"req-1", "req-2"},
	}
	problem = &connectorv1.Problem{
		Kind:       connectorv1.Problem_KIND_RATE_LIMITED,
		RetryAfter: durationpb.New(90 * time.Second),
		Field:      "auth.password",
		Message:    "The shop asks to wait; nothing has to be done.",
		Place:      "orders.csv line 12, column amount",
		Rule:       "amount_negative",
		RequestId:  "req-3",
	}
	limit = &connectorv1.Limit{
		Scope:       connectorv1.Limit_SCOPE_EGRESS_ADDRESS,
		Calls:       7,
		Per:         durationpb.New(time.Second),
		Burst:       14,
		Concurrency: 4,
		Doc:         "https://shop.example/limits",
	}
	trait = &connectorv1.TraitSpec{Id: "last_order", Title: "Last order", Type: "date"}
)

// examples holds one full example of each message that a call asks or answers with, and of Problem.
func examples() []proto.Message {
	return []proto.Message{
		problem,
		&connectorv1.DescribeRequest{}, describeResponse(),
		&connectorv1.CheckRequest{Config: config, Access: access, Budget: budget, Offline: true}, checkResponse(),
		readRequest(), readResponse(),
		writeRequest(), writeResponse(),
		&connectorv1.TargetsRequest{
			Config: config, Access: access, Budget: budget, Kind: "list", Create: "Regulars", Cursor: []byte("t2"),
		}, targetsResponse(),
		&connectorv1.FieldsRequest{Config: config, Access: access, Budget: budget, Stream: "contacts"}, fieldsResponse(),
		webhookRequest(), webhookResponse(),
	}
}

func describeResponse() *connectorv1.DescribeResponse {
	return &connectorv1.DescribeResponse{
		Name:    "shopfront",
		Version: "1.4.2",
		Title:   "A web shop",
		DocsUrl: "https://shop.example/api",
		Config: []*connectorv1.ConfigField{
			{
				Path: "domain", Type: connectorv1.ConfigField_TYPE_STRING, Doc: "Account address.", Required: true,
				Example: "shop.example",
			},
			{
				Path: "window", Type: connectorv1.ConfigField_TYPE_INTEGER, Doc: "Days of the first read.",
				DefaultJson: "365",
			},
			{Path: "auth.password", Type: connectorv1.ConfigField_TYPE_STRING, Required: true, Secret: true},
			{Path: "encoding", Type: connectorv1.ConfigField_TYPE_STRING, OneOf: []string{"utf-8", "windows-1251"}},
		},
		Streams: []*connectorv1.StreamSpec{{
			Name:     "contacts",
			Entity:   "contact",
			Key:      connectorv1.StreamSpec_KEY_KIND_PERSON,
			Modes:    []connectorv1.Mode{connectorv1.Mode_MODE_FULL, connectorv1.Mode_MODE_INCREMENTAL, connectorv1.Mode_MODE_IDS},
			Deletes:  connectorv1.StreamSpec_DELETES_TOMBSTONES,
			Webhooks: true,
			ByKey:    true,
			Ranges:   true,
			Doc:      "Buyers.",
			After:    []string{"owners"},
		}},
		Targets: []*connectorv1.TargetSpec{{
			Kind:    "list",
			Channel: "email",
			Actions: []connectorv1.ActionKind{
				connectorv1.ActionKind_ACTION_KIND_MEMBER, connectorv1.ActionKind_ACTION_KIND_TRAITS,
				connectorv1.ActionKind_ACTION_KIND_TASK, connectorv1.ActionKind_ACTION_KIND_DEAL,
				connectorv1.ActionKind_ACTION_KIND_SEND, connectorv1.ActionKind_ACTION_KIND_CONFIRM,
			},
			Readback:   true,
			CanCreate:  true,
			Identity:   "email",
			Traits:     []*connectorv1.TraitSpec{trait},
			OpenTraits: true,
			Idempotent: true,
			Batch:      250,
			Doc:        "Mailing lists.",
		}},
		Auth: &connectorv1.Auth{
			Kind:                 connectorv1.Auth_KIND_OAUTH2,
			AuthorizeUrl:         "https://shop.example/oauth",
			TokenUrl:             "https://shop.example/oauth/token",
			Scopes:               []string{"orders.read", "lists.write"},
			Refresh:              connectorv1.Auth_REFRESH_ON_401,
			Pkce:                 true,
			JsonBody:             true,
			RefreshNeedsRedirect: true,
			HostSuffixes:         []string{".shop.example"},
			RefreshTokenTtl:      durationpb.New(90 * 24 * time.Hour),
		},
		Limits:       []*connectorv1.Limit{limit},
		DataCountry:  "RU",
		AutoMtls:     true,
		ConfigSchema: []byte(`{"type":"object"}`),
		HasFields:    true,
		HasWebhooks:  true,
	}
}

func checkResponse() *connectorv1.CheckResponse {
	return &connectorv1.CheckResponse{
		Problems:    []*connectorv1.Problem{problem},
		AccountId:   "31415926",
		AccountName: "Shop",
		Limits:      []*connectorv1.Limit{limit},
		ClockSkew:   durationpb.New(-1500 * time.Millisecond),
		TimeZone:    "Europe/Moscow",
		Currency:    "RUB",
		Usage:       usage,
		Config:      config,
		Offer:       &connectorv1.Offer{Streams: []string{"contacts", "orders"}},
	}
}

func readRequest() *connectorv1.ReadRequest {
	return &connectorv1.ReadRequest{
		Config:     config,
		Access:     access,
		Budget:     budget,
		Stream:     "orders",
		Mode:       connectorv1.Mode_MODE_INCREMENTAL,
		Since:      monday,
		Until:      tuesday,
		Cursor:     []byte(`{"v":1,"page":2}`),
		Keys:       []string{"17", "18"},
		Target:     "list-9",
		TimeZone:   "Asia/Novosibirsk",
		Currency:   "KZT",
		MaxRecords: 100,
	}
}

func readResponse() *connectorv1.ReadResponse {
	return &connectorv1.ReadResponse{
		Records: []*connectorv1.Record{
			{
				Key:        "9007199254740993",
				Op:         connectorv1.Record_OP_UPSERT,
				UpdatedAt:  tuesday,
				Data:       []byte(`{"amount":{"minor":9007199254740993,"currency":"RUB"}}`),
				Sequence:   9007199254740993,
				Place:      "orders.csv line 12",
				MergedKeys: []string{"41", "42"},
			},
			{Key: "заказ-7", Op: connectorv1.Record_OP_DELETE, UpdatedAt: monday},
			{Key: "8"}, // as in mode IDS
		},
		Skipped: []*connectorv1.Skipped{{
			Key:       "13",
			Problem:   problem,
			Raw:       []byte("13;-5,00\r\n"),
			UpdatedAt: monday,
			Sequence:  13,
		}},
		NextCursor:    []byte{0x00, 0xff, 0x01},
		HasMore:       true,
		NotReadyUntil: tuesday,
		Usage:         usage,
		Snapshot:      "snapshot-5",
		Total:         69659,
	}
}

// writeRequest holds an action of every kind, and among their traits a value of every kind.
func writeRequest() *connectorv1.WriteRequest {
	text := &connectorv1.Value{Kind: &connectorv1.Value_Text{Text: "Gold"}}
	return &connectorv1.WriteRequest{
		Config: config,
		Access: access,
		Budget: budget,
		Actions: []*connectorv1.Action{
			{
				IdempotencyKey: "a-1",
				Target:         "list-9",
				Person: &connectorv1.Person{
					RemoteKey: "r-1", Stream: "contacts", Email: "anna@shop.example", Phone: "+79990000001",
					Ids: map[string]string{"loyalty_card": "100", "messenger": "u-1"},
				},
				Kind: &connectorv1.Action_Member{Member: &connectorv1.Member{
					On: true,
					Traits: map[string]*connectorv1.Value{
						"level":      text,
						"orders":     {Kind: &connectorv1.Value_Integer{Integer: 9007199254740993}},
						"spent":      {Kind: &connectorv1.Value_Decimal{Decimal: "12.50"}},
						"last_order": {Kind: &connectorv1.Value_Date{Date: "2026-02-28"}},
						"vip":        {Kind: &connectorv1.Value_Boolean{Boolean: false}}, // a false that is said
						"seen":       {Kind: &connectorv1.Value_Time{Time: monday}},
						"brands":     {Kind: &connectorv1.Value_Texts{Texts: &connectorv1.Texts{Items: []string{"x", "y"}}}},
					},
					Tags:          []string{"repeat"},
					ConsentedAt:   monday,
					ConsentSource: "checkout form",
					ConsentIp:     "192.0.2.7",
				}},
			},
			{
				IdempotencyKey: "a-2",
				Kind:           &connectorv1.Action_Member{Member: &connectorv1.Member{}}, // off the target
			},
			{
				IdempotencyKey: "a-3",
				Kind: &connectorv1.Action_Traits{Traits: &connectorv1.Traits{
					Set:        map[string]*connectorv1.Value{"level": text},
					Unset:      []string{"birthday"},
					AddTags:    []string{"loyal"},
					RemoveTags: []string{"sleeping"},
				}},
			},
			{
				IdempotencyKey: "a-4",
				Kind: &connectorv1.Action_Task{Task: &connectorv1.Task{
					Text: "Call back", Kind: "call", DueAt: tuesday, Owner: "o-1",
				}},
			},
			{
				IdempotencyKey: "a-5",
				Kind: &connectorv1.Action_Deal{Deal: &connectorv1.Deal{
					Title: "Repeat order", Pipeline: "p-1", Stage: "s-1", Owner: "o-2",
					Amount: &connectorv1.Money{Minor: 1250, Currency: "RUB"},
					Fields: map[string]*connectorv1.Value{"f-1": text},
				}},
			},
			{
				IdempotencyKey: "a-6",
				Kind: &connectorv1.Action_Send{Send: &connectorv1.Send{
					Template: "tpl-1", At: monday, Sender: "shop@shop.example",
					Variables: map[string]*connectorv1.Value{"name": text}, Tag: "repeat",
				}},
			},
			{
				IdempotencyKey: "a-7",
				Kind:           &connectorv1.Action_Confirm{Confirm: &connectorv1.Confirm{Handle: "task-77"}},
			},
		},
		TimeZone: "Asia/Almaty",
		Currency: "KZT",
	}
}

func writeResponse() *connectorv1.WriteResponse {
	return &connectorv1.WriteResponse{
		Results: []*connectorv1.Result{
			{State: connectorv1.Result_STATE_OK, RemoteId: "r-1", Unchanged: true},
			{State: connectorv1.Result_STATE_ACCEPTED, Handle: "task-77", ConfirmAfter: tuesday},
			{State: connectorv1.Result_STATE_REJECTED, Problem: problem},
			{State: connectorv1.Result_STATE_RETRYABLE, Problem: problem},
		},
		Usage: usage,
	}
}

func targetsResponse() *connectorv1.TargetsResponse {
	return &connectorv1.TargetsResponse{
		Targets: []*connectorv1.Target{
			{Id: "list-9", Name: "Regulars", Kind: "list", Members: proto.Int64(0), Traits: []*connectorv1.TraitSpec{trait}},
			{Id: "list-8", Name: "Old", Kind: "list", ReadOnlyReason: "archived"},
		},
		NextCursor: []byte("t3"),
		HasMore:    true,
		Usage:      usage,
	}
}

func fieldsResponse() *connectorv1.FieldsResponse {
	return &connectorv1.FieldsResponse{
		Fields: []*connectorv1.Field{{
			Stream: "contacts", Id: "f-1", Title: "Level", Type: "choice", Writable: true,
			Choices: []*connectorv1.Choice{{Id: "c-1", Title: "Gold"}},
		}},
		Usage: usage,
	}
}

func webhookRequest() *connectorv1.WebhookRequest {
	return &connectorv1.WebhookRequest{
		Config: config,
		Access: access,
		Method: "POST",
		Url:    "https://hub.example/hooks/shop?sign=1",
		Headers: map[string]*connectorv1.HeaderValues{
			"X-Signature": {Values: []string{"sha256=0a"}},
			"X-Forwarded": {Values: []string{"a", "b"}},
		},
		Body:       []byte(`{"order":17}`),
		ReceivedAt: tuesday,
	}
}

func webhookResponse() *connectorv1.WebhookResponse {
	return &connectorv1.WebhookResponse{
		Authentic: true,
		Notices: []*connectorv1.Notice{
			{Stream: "orders", Key: "17", Op: connectorv1.Record_OP_UPSERT, At: monday},
			{Stream: "contacts", Key: "18", Op: connectorv1.Record_OP_DELETE, At: tuesday, MergedKeys: []string{"41", "42"}},
		},
		Status: 202,
		Body:   []byte("ok"),
	}
}
