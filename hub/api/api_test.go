package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/workspace"
)

// fake answers what a test sets and notes what it was asked. Methods a test does not set panic.
type fake struct {
	api.Service
	asked   []string
	err     error
	export  func(io.Writer) error
	samples func(context.Context) (api.Samples, error)
}

func (f *fake) note(format string, args ...any) {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
}

func (f *fake) Sync(_ context.Context, ws string, connections []string, mode run.Mode) ([]api.Run, error) {
	f.note("sync %q %v %s", ws, connections, mode)
	return nil, f.err
}

func (f *fake) Runs(_ context.Context, ws string, limit int) ([]api.Run, error) {
	f.note("runs %q %d", ws, limit)
	return nil, f.err
}

func (f *fake) GetRun(_ context.Context, ws string, id run.ID) (api.Run, error) {
	f.note("run %q %d", ws, id)
	return api.Run{ID: id, State: run.Done}, f.err
}

func (f *fake) DeadLetters(_ context.Context, ws, state string, limit int) ([]api.DeadLetter, error) {
	f.note("letters %q %q %d", ws, state, limit)
	return nil, f.err
}

func (f *fake) RetryDeadLetters(_ context.Context, ws string, ids []int64) (api.RetryReply, error) {
	f.note("retry %q %v", ws, ids)
	return api.RetryReply{Resolved: len(ids)}, f.err
}

func (f *fake) DropDeadLetter(_ context.Context, ws string, id int64) error {
	f.note("drop %q %d", ws, id)
	return f.err
}

func (f *fake) KPIs(_ context.Context, ws string, request kpi.Request) (kpi.Report, error) {
	f.note("kpis %q %+v", ws, request)
	return kpi.Report{Currency: "USD", KPIs: []kpi.Figure{{ID: "crr"}}}, f.err
}

func (f *fake) KPIsBy(_ context.Context, ws string, by kpi.Dimension, request kpi.Request) (kpi.Sliced, error) {
	f.note("by %s %q %s", by, ws, request.Period)
	return kpi.Sliced{By: by}, f.err
}

func (f *fake) KPIHistory(_ context.Context, ws, id string, months int, request kpi.Request) ([]kpi.Point, error) {
	f.note("history of %s %q %d %s", id, ws, months, request.AsOf)
	return nil, f.err
}

func (f *fake) Cohorts(_ context.Context, ws string, kind kpi.CohortKind, request kpi.Request) (kpi.Cohorts, error) {
	f.note("cohorts %s %q %s", kind, ws, request.AsOf)
	return kpi.Cohorts{Kind: kind}, f.err
}

func (f *fake) SegmentMembers(_ context.Context, ws, id string) ([]api.Member, error) {
	f.note("members %q %q", ws, id)
	return []api.Member{{Customer: 1, Keys: []string{"shop.contacts/1"}}, {Customer: 2}}, f.err
}

func (f *fake) SegmentHistory(_ context.Context, ws, id string, limit int) ([]api.MembershipEvent, error) {
	f.note("history %q %q %d", ws, id, limit)
	return nil, f.err
}

func (f *fake) ActivationResults(_ context.Context, ws, id string, of run.ID) ([]api.RecordResult, error) {
	f.note("results %q %q %d", ws, id, of)
	return nil, f.err
}

func (f *fake) PauseConnection(_ context.Context, ws, name string, pause bool) (api.Connection, error) {
	f.note("pause %q %q %t", ws, name, pause)
	return api.Connection{Name: name}, f.err
}

func (f *fake) FindCustomers(_ context.Context, ws, query string) ([]api.CustomerCard, error) {
	f.note("find %q %q", ws, query)
	return nil, f.err
}

func (f *fake) Customer(_ context.Context, ws string, id customer.ID) (api.FullCard, error) {
	f.note("customer %q %d", ws, id)
	return api.FullCard{}, f.err
}

func (f *fake) Connector(_ context.Context, name string) (connector.Spec, error) {
	f.note("connector %q", name)
	return connector.Spec{Name: name}, f.err
}

func (f *fake) Export(_ context.Context, _ string, to io.Writer) error { return f.export(to) }

func (f *fake) Ready(context.Context) error { return f.err }

func (f *fake) Samples(ctx context.Context) (api.Samples, error) {
	if f.samples != nil {
		return f.samples(ctx)
	}
	return api.Samples{}, f.err
}

type answer struct {
	status int
	kind   string
	body   string
	err    error
}

func serve(t *testing.T, f *fake, log io.Writer) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(api.New(f, api.NewMetrics("test"), slog.New(slog.NewTextHandler(log, nil))))
	t.Cleanup(server.Close)
	return server
}

func ask(t *testing.T, server *httptest.Server, method, path, body string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, response.Body.Close())
	return answer{response.StatusCode, response.Header.Get("Content-Type"), string(text), err}
}

func TestRequestsReachTheService(t *testing.T) {
	for _, c := range []struct{ method, path, body, asked, answer string }{
		{"POST", "/workspaces/romashka/sync", `{"connections":["crm"],"full":true}`, `sync "romashka" [crm] full`, `[]`},
		{"POST", "/workspaces/-/sync", `{}`, `sync "" [] incremental`, `[]`},
		{"GET", "/workspaces/romashka/runs?limit=7", "", `runs "romashka" 7`, `[]`},
		{"GET", "/workspaces/-/runs", "", `runs "" 50`, `[]`},
		{"GET", "/workspaces/a%20b/runs/9", "", `run "a b" 9`, ""},
		{"GET", "/workspaces/w/deadletters?state=resolved&limit=3", "", `letters "w" "resolved" 3`, `[]`},
		{"POST", "/workspaces/w/deadletters/retry", `{"ids":[1,2]}`, `retry "w" [1 2]`, `{"resolved":2,"open":0,"rereads":[]}`},
		{"POST", "/workspaces/w/deadletters/5/drop", "", `drop "w" 5`, `{"id":5}`},
		{"GET", "/workspaces/w/kpis?as_of=1998-06-30&period=1997-Q4&window=60", "", `kpis "w" {AsOf:1998-06-30 From: To: Period:1997-Q4 Window:60 Lifespan:{Method: Years:0} Today:1970-01-01}`, ""},
		{"GET", "/workspaces/w/kpis/by/channel?period=1997-Q4", "", `by channel "w" 1997-Q4`, ""},
		{"GET", "/workspaces/w/kpis/history/crr?as_of=1998-06-30", "", `history of crr "w" 12 1998-06-30`, `[]`},
		{"GET", "/workspaces/w/cohorts?kind=ltv&as_of=1998-06-30", "", `cohorts ltv "w" 1998-06-30`, ""},
		{"GET", "/workspaces/w/segments/vip/members", "", `members "w" "vip"`, "{\"customer\":1,\"keys\":[\"shop.contacts/1\"]}\n{\"customer\":2,\"keys\":null}"},
		{"GET", "/workspaces/w/segments/vip/history?limit=2", "", `history "w" "vip" 2`, `[]`},
		{"GET", "/workspaces/w/activations/win-back/results?run=4", "", `results "w" "win-back" 4`, ""},
		{"POST", "/workspaces/w/connections/crm/pause", "", `pause "w" "crm" true`, ""},
		{"POST", "/workspaces/w/connections/crm/resume", "", `pause "w" "crm" false`, ""},
		{"POST", "/workspaces/w/customers/find", `{"query":"a@example.com"}`, `find "w" "a@example.com"`, `[]`},
		{"GET", "/workspaces/w/customers/5", "", `customer "w" 5`, ""},
		{"GET", "/connectors/table", "", `connector "table"`, `{"name":"table","version":"","title":"","config":[],"streams":[],"targets":[]}`},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			f := &fake{}
			got := ask(t, serve(t, f, io.Discard), c.method, api.Base+c.path, c.body)
			require.Equal(t, http.StatusOK, got.status, got.body)
			require.Equal(t, []string{c.asked}, f.asked)
			if c.answer != "" {
				require.Equal(t, c.answer, strings.TrimSpace(got.body))
			}
		})
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		body   string
	}{
		{"not found", fmt.Errorf("run 9: %w", api.ErrNotFound), 404, "run 9: not found"},
		{"refused", fmt.Errorf("%w: connection crm is paused", api.ErrRefused), 422, "connection crm is paused"},
		{"figures", fmt.Errorf("%w: %w", api.ErrRefused, &kpi.RequestError{Field: "as_of", Reason: "no date"}), 422, `"location":"query.as_of"`},
		{"fault", errors.New("row of ann@example.com is broken"), 500, "its log says what"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			server := serve(t, &fake{err: c.err}, &log)
			for _, path := range []string{"/workspaces/-/runs/9", "/workspaces/-/segments/vip/members"} {
				got := ask(t, server, http.MethodGet, api.Base+path, "")
				assert.Equal(t, c.status, got.status)
				assert.Contains(t, got.body, c.body)
				assert.NotContains(t, got.body, "example.com")
				assert.Equal(t, "application/problem+json", got.kind)
			}
			assert.Equal(t, c.status == 500, strings.Contains(log.String(), "request failed"), log.String())
		})
	}
	got := ask(t, serve(t, &fake{}, io.Discard), http.MethodGet, api.Base+"/workspaces/-/runs?limit=none", "")
	require.Equal(t, http.StatusUnprocessableEntity, got.status)
}

// Half an export must never look like a whole one.
func TestExportThatFailsIsCut(t *testing.T) {
	f := &fake{export: func(to io.Writer) error {
		_, err := to.Write(bytes.Repeat([]byte("{}\n"), 100_000))
		return errors.Join(err, errors.New("disk"))
	}}
	server := serve(t, f, io.Discard)
	got := ask(t, server, http.MethodGet, api.Base+"/workspaces/-/export", "")
	require.ErrorIs(t, got.err, io.ErrUnexpectedEOF)

	f.export = func(io.Writer) error { return fmt.Errorf("workspace %q: %w", "x", api.ErrNotFound) }
	got = ask(t, server, http.MethodGet, api.Base+"/workspaces/-/export", "")
	require.NoError(t, got.err)
	require.Equal(t, http.StatusNotFound, got.status)

	f.export = func(to io.Writer) error { _, err := io.WriteString(to, "{\"a\":1}\n"); return err }
	got = ask(t, server, http.MethodGet, api.Base+"/workspaces/-/export", "")
	require.Equal(t, answer{200, "application/x-ndjson", "{\"a\":1}\n", nil}, got)
}

func TestHealth(t *testing.T) {
	f := &fake{}
	server := serve(t, f, io.Discard)
	require.Equal(t, "ok\n", ask(t, server, http.MethodGet, "/healthz", "").body)
	require.Equal(t, "ready\n", ask(t, server, http.MethodGet, "/readyz", "").body)
	f.err = fmt.Errorf("%w: the hub is starting", api.ErrRefused)
	got := ask(t, server, http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.Contains(t, got.body, "the hub is starting")
	f.err = errors.New("row of ann@example.com")
	got = ask(t, server, http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.NotContains(t, got.body, "example.com")
}

// The listening address has no login: no personal data there.
func TestMonitoringHasNoAPI(t *testing.T) {
	server := httptest.NewServer(api.NewMonitoring(&fake{}, api.NewMetrics("test"), slog.New(slog.DiscardHandler)))
	defer server.Close()
	for _, path := range []string{"/status", "/workspaces/-/runs", "/workspaces/-/export", "/openapi.json"} {
		require.Equal(t, http.StatusNotFound, ask(t, server, http.MethodGet, api.Base+path, "").status, path)
	}
	require.Equal(t, http.StatusOK, ask(t, server, http.MethodGet, "/healthz", "").status)
	require.Equal(t, http.StatusOK, ask(t, server, http.MethodGet, "/metrics", "").status)
}

func TestOpenAPIIsUpToDate(t *testing.T) {
	want, err := os.ReadFile("../../contracts/api/v1/openapi.json")
	require.NoError(t, err)
	got, err := api.OpenAPI()
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go generate ./hub/api")

	var document struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name string }
		}
	}
	require.NoError(t, json.Unmarshal(got, &document))
	for path, operations := range document.Paths {
		for method, operation := range operations {
			var named []string
			for _, p := range operation.Parameters {
				named = append(named, p.Name)
			}
			for _, inPath := range regexp.MustCompile(`{(\w+)}`).FindAllStringSubmatch(path, -1) {
				require.Contains(t, named, inPath[1], "%s %s", method, path)
			}
		}
	}
}

// busyMetrics has counted and sampled one of everything.
func busyMetrics(t *testing.T) string {
	t.Helper()
	metrics := api.NewMetrics("v1.2.3")
	ws := workspace.Workspace{Name: "romashka"}
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	metrics.PageRead("romashka", "crm", "contacts", time.Second, run.Counts{Read: 3, Stored: 2, Rejected: 1})
	metrics.RunEnded(ws, run.Run{Kind: run.Read, State: run.Done, Started: start, Finished: start.Add(time.Minute)})
	metrics.Stalled(ws, run.Run{Kind: run.Read})
	metrics.Settled(ws, 3)
	metrics.Refreshed("romashka", 3, false)
	metrics.ConnectorStarted("amocrm", []string{"idle", "memory"})
	metrics.ConnectorExited("amocrm", "idle")
	metrics.Pushed("romashka", "win-back", map[string]int{"added": 2, "held_no_consent": 5, "held_opted_out": 1, "ann@example.com": 1})
	f := &fake{samples: func(context.Context) (api.Samples, error) {
		return api.Samples{
			QueueDepth: map[string]int64{"read": 1}, TickAge: time.Second, StoreBytes: 1 << 20,
			Workspaces: []api.WorkspaceSample{{
				Name: "romashka", SettleLag: time.Second, Unsettled: 4, ActiveRuns: map[run.State]int64{run.Running: 1},
				Streams:      []api.StreamSample{{Connection: "crm", Stream: "contacts", LastComplete: start, Fresh: true, DeadLetters: 1}},
				SegmentSizes: map[string]int{"vip": 3}, KPIs: map[string]float64{"crr": 0.84},
				Paused: map[string]bool{"crm": false}, Held: map[string]bool{"win-back": true},
			}},
		}, nil
	}}
	server := httptest.NewServer(api.New(f, metrics, slog.New(slog.DiscardHandler)))
	defer server.Close()
	got := ask(t, server, http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, got.status)
	return got.body
}

func TestMetrics(t *testing.T) {
	text := busyMetrics(t)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	for _, line := range []string{
		`regulars_records_total{connection="crm",outcome="stored",stream="contacts",workspace="romashka"} 2`,
		`regulars_runs_total{kind="read",state="done",workspace="romashka"} 1`,
		`regulars_connector_exits_total{cause="idle",connector="amocrm"} 1`,
		`regulars_connector_exits_total{cause="memory",connector="amocrm"} 0`,
		`regulars_activation_records_total{activation="win-back",result="held",workspace="romashka"} 6`,
		`regulars_activation_records_total{activation="win-back",result="other",workspace="romashka"} 1`,
		`regulars_runs_active{state="running",workspace="romashka"} 1`,
		`regulars_runs_active{state="waiting",workspace="romashka"} 0`,
		`regulars_stream_fresh{connection="crm",stream="contacts",workspace="romashka"} 1`,
		`regulars_kpi{id="crr",workspace="romashka"} 0.84`,
		`regulars_activation_held{activation="win-back",workspace="romashka"} 1`,
		`regulars_samples_failed_total 0`,
	} {
		assert.Contains(t, text, line+"\n")
	}
	require.NotContains(t, text, "example.com", "a person's data in a label")
}

func TestLabelsAreAClosedSet(t *testing.T) {
	allowed := []string{"workspace", "connection", "stream", "outcome", "kind", "state", "queue", "scope", "connector", "cause", "segment", "activation", "result", "id", "version", "goversion", "le"}
	label := regexp.MustCompile(`[{,](\w+)="`)
	lines := bufio.NewScanner(strings.NewReader(busyMetrics(t)))
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "regulars_") {
			continue
		}
		for _, found := range label.FindAllStringSubmatch(lines.Text(), -1) {
			require.Contains(t, allowed, found[1], lines.Text())
		}
	}
	require.NoError(t, lines.Err())
}

// Counters are most wanted when the store is in trouble.
func TestScrapeWithoutSamples(t *testing.T) {
	server := serve(t, &fake{err: errors.New("store")}, io.Discard)
	got := ask(t, server, http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, got.body, "regulars_build_info")
	require.Contains(t, got.body, "regulars_samples_failed_total 1")
	require.NotContains(t, got.body, "regulars_store_size_bytes")
}

func TestEveryMetricIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	documented := map[string]bool{}
	for _, found := range regexp.MustCompile("(?m)^\\| `(regulars_\\w+)`").FindAllStringSubmatch(string(text), -1) {
		documented[found[1]] = true
	}
	for _, found := range regexp.MustCompile(`(?m)^# TYPE (regulars_\w+)`).FindAllStringSubmatch(busyMetrics(t), -1) {
		assert.True(t, documented[found[1]], "docs/metrics.md misses %s", found[1])
		delete(documented, found[1])
	}
	require.Empty(t, documented, "docs/metrics.md tells of what is not there")
}
