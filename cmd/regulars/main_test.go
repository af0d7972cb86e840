package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	time.Local = time.UTC // tables show local times
	goleak.VerifyTestMain(m)
}

// fake is a hub with a bit of everything in it.
type fake struct {
	api.Service
	asked []string
	runs  map[run.ID]api.Run
}

func (f *fake) note(format string, args ...any) {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
}

var at = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

var (
	readDone   = api.Run{ID: 7, Connection: "shop", Kind: run.Read, Subject: "orders", Mode: run.Incremental, Trigger: "hand", State: run.Done, Counts: run.Counts{Read: 10, Stored: 8, Unchanged: 1, Rejected: 1}, Created: at, Started: &at, Finished: &at}
	readFailed = api.Run{ID: 8, Connection: "shop", Kind: run.Read, Subject: "contacts", Trigger: "hand", State: run.Failed, Cause: "the file customers.csv is gone", CauseKind: "rejected", Created: at}
	pushDone   = api.Run{ID: 9, Connection: "mailing", Kind: run.Activation, Subject: "win-back", Trigger: "hand", State: run.Done, Created: at, Started: &at, Finished: &at, Result: map[string]int64{"segment": 5, "added": 2, "held_no_consent": 3}}
)

func (f *fake) Sync(_ context.Context, ws string, connections []string, mode run.Mode) ([]api.Run, error) {
	f.note("sync %q %v %s", ws, connections, mode)
	var pending []api.Run
	for _, id := range []run.ID{7, 8} {
		r, ok := f.runs[id]
		if !ok {
			continue
		}
		r.State, r.Counts, r.Cause, r.CauseKind = run.Pending, run.Counts{}, "", ""
		pending = append(pending, r)
	}
	return pending, nil
}

func (f *fake) Runs(context.Context, string, int) ([]api.Run, error) {
	return []api.Run{pushDone, readFailed, readDone}, nil
}

func (f *fake) GetRun(_ context.Context, _ string, id run.ID) (api.Run, error) {
	if r, ok := f.runs[id]; ok {
		return r, nil
	}
	return api.Run{}, fmt.Errorf("run %d: %w", id, api.ErrNotFound)
}

func (f *fake) CancelRun(ctx context.Context, ws string, id run.ID) (api.Run, error) {
	r, err := f.GetRun(ctx, ws, id)
	r.State = run.Cancelled
	return r, err
}

func (f *fake) Standing(context.Context, string) (api.Standing, error) {
	return api.Standing{Idle: true, RefreshedOn: "2026-03-01"}, nil
}

var letter = api.DeadLetter{ID: 3, Connection: "shop", Stream: "orders", Key: "77", Place: "orders.csv:12", Rule: "amount", Message: "not a number", State: "open", Origin: "connector", Run: 7, Created: at, Changed: at}

func (f *fake) DeadLetters(_ context.Context, _, state string, limit int) ([]api.DeadLetter, error) {
	f.note("letters %q %d", state, limit)
	return []api.DeadLetter{letter}, nil
}

func (f *fake) DeadLetter(context.Context, string, int64) (api.DeadLetter, error) {
	d := letter
	d.Raw = `{"amount":"x"}`
	return d, nil
}

func (f *fake) RetryDeadLetters(_ context.Context, _ string, ids []int64) (api.RetryReply, error) {
	f.note("retry %v", ids)
	return api.RetryReply{Resolved: 1, Open: 1, Rereads: []api.Run{}}, nil
}

func (f *fake) DropDeadLetter(_ context.Context, _ string, id int64) error {
	f.note("drop %d", id)
	return nil
}

func (f *fake) KPIs(_ context.Context, ws string, q kpi.Request) (kpi.Report, error) {
	f.note("kpis %q %s|%s|%s|%s|%d", ws, q.AsOf, q.From, q.To, q.Period, q.Window)
	if q.AsOf == "soon" {
		return kpi.Report{}, fmt.Errorf("%w: %w", api.ErrRefused, &kpi.RequestError{Field: "as_of", Reason: "not a date"})
	}
	day := entity.NewDate(1998, time.June, 30)
	return kpi.Report{AsOf: day, From: entity.NewDate(1998, time.June, 1), To: day, WindowDays: 90, Currency: "USD", Warnings: kpi.Warnings{ZeroOrders: 80}, KPIs: []kpi.Figure{
		{ID: "customers", Value: kpi.Count(2357), Unit: kpi.UnitCount, Complete: true},
		{ID: "net_revenue", Value: kpi.Amount(559087, "USD"), Unit: kpi.UnitMoney, Complete: true},
		{ID: "crr", Value: kpi.Number(0.84), Numerator: kpi.Count(84), Denominator: kpi.Count(100), Unit: kpi.UnitShare, Complete: true},
		{ID: "churn", Unit: kpi.UnitShare, Complete: true},
		{ID: "hhi", Value: kpi.Number(12.345), Unit: kpi.UnitPoints, Complete: true},
	}}, nil
}

func (f *fake) KPIsBy(_ context.Context, ws string, by kpi.Dimension, q kpi.Request) (kpi.Sliced, error) {
	f.note("kpis by %s %q %s", by, ws, q.Period)
	search := "search"
	day := entity.NewDate(1998, time.June, 30)
	return kpi.Sliced{AsOf: day, From: day - 29, To: day, WindowDays: 90, Currency: "USD", By: by, Values: []kpi.Slice{
		{Value: &search, KPIs: []kpi.Figure{{ID: "customers", Value: kpi.Count(7), Unit: kpi.UnitCount, Complete: true}}},
		{KPIs: []kpi.Figure{{ID: "customers", Value: kpi.Count(2), Unit: kpi.UnitCount, Complete: true}, {ID: "crr", Unit: kpi.UnitShare, Complete: true}}},
	}}, nil
}

func (f *fake) KPIHistory(_ context.Context, ws, id string, months int, q kpi.Request) ([]kpi.Point, error) {
	f.note("history %q %q %d %s", ws, id, months, q.AsOf)
	return []kpi.Point{
		{Period: "1998-05", Value: kpi.Number(0.5), Numerator: kpi.Count(1), Denominator: kpi.Count(2), Complete: true},
		{Period: "1998-06"},
	}, nil
}

func (f *fake) Cohorts(_ context.Context, _ string, kind kpi.CohortKind, q kpi.Request) (kpi.Cohorts, error) {
	f.note("cohorts %s %s", kind, q.AsOf)
	values := []kpi.Value{kpi.Number(1), kpi.Number(0.125)}
	if kind == kpi.LTV {
		values = []kpi.Value{kpi.Amount(1000, "USD"), kpi.Amount(1250, "USD")}
	}
	return kpi.Cohorts{AsOf: entity.NewDate(1998, time.February, 28), Kind: kind, Currency: "USD", Cohorts: []kpi.Cohort{
		{Month: "1998-01", Size: 8, Counts: []kpi.Value{kpi.Count(8), kpi.Count(1)}, Values: values},
		{Month: "1998-02", Size: 3, Counts: []kpi.Value{kpi.Count(3)}, Values: values[:1]},
	}}, nil
}

func (f *fake) Rolling(_ context.Context, _ string, kind kpi.CohortKind, _ kpi.Request) (kpi.Rolling, error) {
	return kpi.Rolling{AsOf: entity.NewDate(1998, time.February, 28), Kind: kind, Currency: "USD", BucketDays: 30, Buckets: []kpi.Bucket{
		{Bucket: 0, FromDay: 0, ToDay: 29, Observed: 8, Count: kpi.Count(8), Value: kpi.Number(1)},
	}}, nil
}

func (f *fake) RFM(_ context.Context, _, method string, _ kpi.Request) (kpi.RFM, error) {
	f.note("rfm %q", method)
	return kpi.RFM{
		RecencyDays: []kpi.ScoreDays{{Score: 5, From: kpi.Count(0), To: kpi.Count(12)}, {Score: 4}, {Score: 3}, {Score: 2}, {Score: 1}},
		AsOf:        entity.NewDate(1998, time.June, 30), Method: kpi.RFMMethod,
		Scores:   kpi.RFMScores{R: kpi.ScoreCounts{1, 2, 3, 4, 5}, F: kpi.ScoreCounts{15}, M: kpi.ScoreCounts{5, 4, 3, 2, 1}},
		Segments: []kpi.RFMSegment{{ID: "rfm_champions", Customers: 3, NetRevenue: kpi.Amount(12345, "USD")}},
	}, nil
}

func (f *fake) RFMCustomers(context.Context, string, string, kpi.Request) ([]api.RFMCustomer, error) {
	return []api.RFMCustomer{{RFMCustomer: kpi.RFMCustomer{Customer: 1, RecencyDays: 5, Orders: 2, NetValue: kpi.Amount(999, "USD"), R: 5, F: 4, M: 3, Segment: "rfm_loyal"}, Keys: []string{"shop.contacts/1", "b", "c", "d"}}}, nil
}

func (f *fake) Segments(context.Context, string) ([]api.Segment, error) {
	return []api.Segment{{ID: "vip", Title: map[string]string{"ru": "VIP", "en": "VIPs"}, Size: 3, ManagedBy: "config", Rule: "net_value > 100", NetValue: "500.00", EvaluatedOn: "1998-06-30"}}, nil
}

func (f *fake) SegmentMembers(_ context.Context, ws, id string) ([]api.Member, error) {
	f.note("members %q %q", ws, id)
	return []api.Member{{Customer: 1, Keys: []string{"shop.contacts/1"}}, {Customer: 2, Keys: []string{"shop.contacts/2"}}}, nil
}

func (f *fake) SegmentHistory(context.Context, string, string, int) ([]api.MembershipEvent, error) {
	return []api.MembershipEvent{{
		Segment: "vip", Customer: 2, Event: "entered", On: entity.NewDate(1998, time.June, 30), At: time.Date(1998, 7, 1, 0, 0, 5, 0, time.UTC),
		Why: &api.Why{Because: "data", Fields: map[string]any{"net_value_year": 5120.5, "city": nil, "tags": []any{"a", "b"}}},
	}}, nil
}

func (f *fake) PreviewSegment(_ context.Context, ws string, request api.PreviewRequest) (api.SegmentPreview, error) {
	f.note("preview %q %q %q", ws, request.Segment, request.Rule)
	enter, leave := 1, 0
	return api.SegmentPreview{
		Segment: request.Segment, Rule: "net_value > 100", AsOf: "1998-06-30", Size: 3, Customers: 12, NetValue: "500.00", Enter: &enter, Leave: &leave,
		Overlap: []api.SegmentOverlap{{Segment: "repeat", Both: 2, Size: 7}},
		Sample:  []api.SampleMember{{Customer: 2, Name: "Anna", Keys: []string{"shop.contacts/2"}, Fields: map[string]any{"net_value": 120.5}}},
	}, nil
}

var winBack = api.Activation{ID: "win-back", Segment: "vip", Connection: "mailing", Target: "win-back", Mode: "mirror", Channel: "email", Purpose: "marketing", Approved: true, LastDone: &at}

func (f *fake) Activations(context.Context, string) ([]api.Activation, error) {
	held := winBack
	held.ID, held.Held = "vip-mail", "30 of 40 members would leave"
	return []api.Activation{winBack, held}, nil
}

func (f *fake) PreviewActivation(context.Context, string, string) (api.Plan, error) {
	return api.Plan{Activation: "win-back", Target: "win-back", SegmentSize: 5, Members: 2, Adds: 1, Held: map[string]int64{"no_consent": 3, "opted_out": 1}, Stop: "it is the first push"}, nil
}

func (f *fake) RunActivation(context.Context, string, string) (api.Run, error) {
	r := pushDone
	r.State, r.Result = run.Pending, nil
	return r, nil
}

func (f *fake) ApproveActivation(_ context.Context, _, id string) (api.Activation, error) {
	f.note("approve %s", id)
	return winBack, nil
}

func (f *fake) PauseActivation(_ context.Context, _, id string, pause bool) (api.Activation, error) {
	f.note("pause %s %t", id, pause)
	return winBack, nil
}

func (f *fake) ActivationResults(_ context.Context, _, id string, of run.ID) ([]api.RecordResult, error) {
	f.note("results %s %d", id, of)
	return []api.RecordResult{{Customer: 1, Identity: "ann@example.com", Action: "add", State: "done"}}, nil
}

func (f *fake) FindCustomers(_ context.Context, _, query string) ([]api.CustomerCard, error) {
	f.note("find %s", query)
	return []api.CustomerCard{{ID: 1, Kind: customer.Person, Profile: customer.Profile{Name: "Ann", Emails: []string{"ann@example.com"}, Birthday: &entity.Birthday{Month: 2, Day: 29}}, Keys: []string{"shop.contacts/1"}, Segments: []string{"vip"}}}, nil
}

func (f *fake) Customer(ctx context.Context, ws string, id customer.ID) (api.FullCard, error) {
	if id != 1 {
		return api.FullCard{}, fmt.Errorf("customer %d: %w", id, api.ErrNotFound)
	}
	cards, err := f.FindCustomers(ctx, ws, "1")
	if err != nil {
		return api.FullCard{}, err
	}
	return api.FullCard{
		CustomerCard: cards[0], FormerIDs: []customer.ID{2}, Evidence: []api.JoinEvidence{byEmail}, Refused: []api.JoinRefusal{}, Decisions: []api.Decision{},
		Sources: []api.CardSource{{Record: "mail.contacts/2", Placeholder: true}, {Record: "shop.contacts/1", UpdatedAt: &at}},
		Totals:  api.CardTotals{Currency: "RUB", Gross: "0.00", Net: "0.00", NetYear: "0.00"}, Orders: []api.CardOrder{}, Unlinked: []api.CardRefund{},
		Traits: map[string]any{"orders": 0, "city": nil}, Memberships: []api.CardMembership{}, History: []api.MembershipEvent{},
		Consents: map[string]*api.Verdict{"email": {Customer: 1, Channel: "email", Purpose: "marketing", Reason: "no_consent", Evidence: []api.ConsentEvidence{}}},
	}, nil
}

var (
	byEmail = api.JoinEvidence{Strength: "email", Kind: "email", Value: "ann@example.com", Record: "mail.contacts/2", Other: "shop.contacts/1"}
	byPhone = api.JoinRefusal{JoinEvidence: api.JoinEvidence{Strength: "phone", Kind: "phone", Value: "+79161234567", Record: "shop.contacts/1", Other: "shop.contacts/3"}, Reason: "different_strong_ids", IDKind: "loyalty_card", Customer: 3}
	cut     = api.Decision{Kind: "cut", Record: "shop.contacts/1", Other: "shop.contacts/4", At: &at, Note: "brothers"}
)

func (f *fake) ExplainCustomer(_ context.Context, _ string, request api.ExplainRequest) (api.Explanation, error) {
	f.note("explain %s|%s", request.Query, request.Other)
	x := api.Explanation{
		Customer: 1, Kind: customer.Person, FormerIDs: []customer.ID{2, 5}, Records: []api.ExplainedRecord{{Record: "mail.contacts/2", Placeholder: true}, {Record: "shop.contacts/1"}},
		Evidence: []api.JoinEvidence{byEmail}, Refused: []api.JoinRefusal{byPhone}, Decisions: []api.Decision{cut}, Quarantine: "too_many_records", ComponentSize: 250,
	}
	switch request.Other {
	case "":
	case "shop.contacts/3":
		x.Pair = &api.PairExplanation{Customer: 1, OtherCustomer: 3, Reason: "different_strong_ids", Path: []api.JoinEvidence{}, Refused: []api.JoinRefusal{byPhone}}
	default:
		x.Pair = &api.PairExplanation{Same: true, Customer: 1, OtherCustomer: 1, Reason: "joined", Path: []api.JoinEvidence{byEmail}, Refused: []api.JoinRefusal{}}
	}
	return x, nil
}

func (f *fake) Decide(_ context.Context, _ string, request api.DecisionRequest) (api.Decided, error) {
	f.note("decide %s %v %s", request.Action, request.Records, request.Note)
	return api.Decided{Records: []api.MovedRecord{{Record: "shop.contacts/1", Before: 1, Now: 4}, {Record: "shop.contacts/4", Before: 1, Now: 1}}, Decisions: []api.Decision{cut}}, nil
}

func (f *fake) Decisions(context.Context, string) ([]api.Decision, error) {
	return []api.Decision{cut}, nil
}

func (f *fake) MayContact(_ context.Context, _ string, id customer.ID, channel, purpose string) (api.Verdict, error) {
	return api.Verdict{Customer: id, Channel: channel, Purpose: purpose, Reason: "opted_out", Evidence: []api.ConsentEvidence{{Record: "news.consents/1", State: "opted_out", At: &at, Source: "form"}}}, nil
}

func (f *fake) Export(_ context.Context, _ string, to io.Writer) error {
	_, err := io.WriteString(to, "{\"type\":\"customer\"}\n{\"type\":\"order\"}\n")
	return err
}

func connections() []api.Connection {
	return []api.Connection{
		{Name: "mailing", Connector: "table", Every: "15m0s", Streams: []api.Stream{}},
		{Name: "shop", Connector: "table", Every: "15m0s", Paused: "paused by hand", Streams: []api.Stream{{Name: "orders", Entity: entity.KindOrder, Fresh: true, LastComplete: &at, DeadLetters: 1, LastRun: &readDone}}},
	}
}

func (f *fake) Status(context.Context) (api.Status, error) {
	return api.Status{Version: "v1", Problems: []string{"workspaces/b.yaml:3:1: currency: unknown"}, Workspaces: []api.WorkspaceStatus{{Name: "demo", Health: "paused", Customers: 12, DeadLetters: 1, Standing: api.Standing{Idle: true}, Connections: connections()}}}, nil
}

func (f *fake) Connections(context.Context, string) ([]api.Connection, error) {
	return connections(), nil
}

func (f *fake) CheckConnection(_ context.Context, _, name string) (api.CheckReply, error) {
	if name == "bad" {
		return api.CheckReply{Problems: []string{"demo.yaml:4:3: connections.bad.config.folder: no such folder"}}, nil
	}
	return api.CheckReply{OK: true, Problems: []string{}, AccountID: "42", AccountName: "Romashka"}, nil
}

func (f *fake) PauseConnection(_ context.Context, _, name string, pause bool) (api.Connection, error) {
	f.note("connection %s %t", name, pause)
	return connections()[1], nil
}

func (f *fake) Connectors(context.Context) ([]api.Connector, error) {
	return []api.Connector{{Name: "table", Version: "1.0.0", Title: "Table files"}, {Name: "crm", Quarantined: "it crashed 5 times"}}, nil
}

func (f *fake) Connector(context.Context, string) (connector.Spec, error) {
	return connector.Spec{
		Name: "table", Version: "1.0.0", Title: "Table files",
		Config:  []connector.ConfigField{{Path: "folder", Type: "path", Doc: "Where the files lie.", Required: true}},
		Streams: []connector.StreamSpec{{Name: "orders", Entity: entity.KindOrder, Modes: []connector.Mode{connector.Full}, Doc: "Orders."}},
		Targets: []connector.TargetSpec{{Kind: "list", Actions: []connector.ActionKind{connector.ActionMember}, Identity: "email", Doc: "A file."}},
	}, nil
}

func (f *fake) ReleaseConnector(context.Context, string) error { return nil }

type result struct {
	code           int
	stdout, stderr string
}

func newFake() *fake {
	return &fake{runs: map[run.ID]api.Run{7: readDone, 9: pushDone}}
}

// command runs a command line against a fake hub.
func command(t *testing.T, f *fake, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), args, surroundings{
		stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" },
		connect: func(context.Context, *app) (*client, error) {
			transport := &inProcess{handler: api.New(f, api.NewMetrics("test"), slog.New(slog.DiscardHandler))}
			return &client{http: &http.Client{Transport: transport}, close: func() error { transport.Wait(); return nil }}, nil
		},
	})
	return result{code, stdout.String(), stderr.String()}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run go test ./cmd/regulars -update")
	require.Equal(t, string(want), got)
}

// outputs are the commands whose output is pinned, readable and with --json.
var outputs = []string{
	"status", "sync", "resync shop.orders", "workspace list", "connector list", "connector describe table", "connector check shop", "connector release table",
	"connection list", "connection check shop", "connection pause shop", "connection resume shop", "run list", "run show 7", "run show 9", "run cancel 7",
	"deadletter list", "deadletter show 3", "deadletter retry", "deadletter drop 3 4", "customer find ann", "customer show 1", "customer may-contact 1",
	"customer explain 1", "customer explain shop.contacts/1 mail.contacts/2", "customer explain shop.contacts/1 shop.contacts/3", "customer unmerge shop.contacts/1 --note brothers",
	"customer show ann@example.com",
	"customer pins",
	"kpi show", "kpi show --all", "kpi show --by channel", "kpi history --id crr --months 2", "cohort", "cohort --kind ltv", "cohort --rolling", "rfm", "rfm --customers", "segment list", "segment show vip", "segment show vip --members", "segment history vip", "segment preview vip",
	"activation list", "activation preview win-back", "activation approve win-back", "activation run win-back", "activation pause win-back",
	"activation resume win-back", "activation results win-back", "export --canonical", "version",
}

func TestOutput(t *testing.T) {
	for _, line := range outputs {
		for _, form := range []string{"", " --json"} {
			t.Run(line+form, func(t *testing.T) {
				got := command(t, newFake(), strings.Fields(line+form)...)
				require.Equal(t, exitOK, got.code, got.stderr)
				golden(t, strings.NewReplacer(" ", "_", "--", "", "/", "-").Replace(line+form), got.stdout)
			})
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		line string
		code int
		said string
	}{
		{"", exitUsage, "expected one of"},
		{"nonsense", exitUsage, "unexpected argument nonsense"},
		{"sync --bogus", exitUsage, "unknown flag --bogus"},
		{"run show x", exitUsage, "expected a valid"},
		{"deadletter list --state x", exitUsage, "--state must be one of"},
		{"kpi show --as-of soon", exitUsage, "--as-of: not a date"},
		{"kpi show --window -1", exitUsage, "--window:"},
		{"config check --config /nowhere", exitUsage, "no configuration: /nowhere"},
		{"run show 99", exitFailed, "run 99: not found"},
		{"segment show none", exitFailed, `segment "none": not found`},
		{"customer show 1 2", exitUsage, "unexpected argument 2"},
		{"connection check bad", exitFailed, ""},
		{"connection check bad --json", exitFailed, ""},
		{"--help", exitOK, ""},
		{"config schema", exitOK, ""},
		{"config schema hub", exitOK, ""},
	} {
		t.Run(c.line, func(t *testing.T) {
			got := command(t, newFake(), strings.Fields(c.line)...)
			require.Equal(t, c.code, got.code, got.stderr)
			require.Contains(t, got.stderr, c.said)
			if c.said == "" {
				require.Empty(t, got.stderr)
				require.NotEmpty(t, got.stdout)
			}
		})
	}
}

func TestFlagsReachTheHub(t *testing.T) {
	for line, asked := range map[string]string{
		"sync shop newsletter.contacts": `sync "" [shop newsletter.contacts] incremental`,
		"resync --workspace romashka":   `sync "romashka" [] full`,
		"kpi show -w w --as-of 1998-06-30 --from 1998-01-01 --to 1998-03-31 --window 60": `kpis "w" 1998-06-30|1998-01-01|1998-03-31||60`,
		"kpi show --period 1997-Q4":              `kpis "" |||1997-Q4|0`,
		"deadletter list --state open --limit 2": `letters "open" 2`,
		"deadletter retry 3 4":                   `retry [3 4]`,
		"segment show a/b --members -w w":        `members "w" "a/b"`,
		"activation results win-back --run 9":    `results win-back 9`,
		"activation resume win-back":             `pause win-back false`,
		"connection pause shop":                  `connection shop true`,
		"customer find ann@example.com":          `find ann@example.com`,
		"customer unmerge a.b/1 a.b/2 --undo":    `decide undo_unmerge [a.b/1 a.b/2] `,
		"customer pin a.b/1 a.b/2 --note twins":  `decide pin [a.b/1 a.b/2] twins`,
		"customer unpin a.b/1 a.b/2":             `decide unpin [a.b/1 a.b/2] `,
		"customer uncut a.b/1 a.b/2":             `decide uncut [a.b/1 a.b/2] `,
	} {
		t.Run(line, func(t *testing.T) {
			f := newFake()
			got := command(t, f, strings.Fields(line)...)
			require.Equal(t, exitOK, got.code, got.stderr)
			require.Equal(t, asked, f.asked[0])
		})
	}
}

func TestSyncTellsWhatHappened(t *testing.T) {
	f := newFake()
	f.runs[8] = readFailed
	got := command(t, f, "sync")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stdout, "the file customers.csv is gone")
	require.Contains(t, got.stdout, "not everything could be read")
	require.Contains(t, got.stderr, "shop.contacts: failed")

	idle := readDone
	idle.Counts = run.Counts{Read: 10, Unchanged: 10}
	f.runs = map[run.ID]api.Run{7: idle}
	require.Contains(t, command(t, f, "sync").stdout, "nothing had changed")

	f.runs = nil
	require.Contains(t, command(t, f, "sync").stdout, "nothing to read")
}

// Every command and flag has its place in the documentation.
func TestEveryCommandIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	parser, err := kong.New(&grammar{}, kong.Name("regulars"))
	require.NoError(t, err)
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		if n.Leaf() && n.Type == kong.CommandNode {
			require.Contains(t, string(text), "`"+commandPath(n), "docs/cli.md misses a command")
			for _, one := range n.Flags {
				if one.Name != "help" {
					require.Contains(t, string(text), "--"+one.Name, "docs/cli.md misses a flag of %s", commandPath(n))
				}
			}
		}
		for _, child := range n.Children {
			visit(child)
		}
	}
	visit(parser.Model.Node)
}

func commandPath(n *kong.Node) string {
	if n.Parent == nil {
		return n.Name
	}
	return commandPath(n.Parent) + " " + n.Name
}

// connectors builds the connector the demo needs.
func connectors(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(folder, "table"), "../../plugins/table")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return folder
}
