package sdk

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func call(a Access, b Budget) Call {
	return Call{Access: a, Budget: b, Zone: time.UTC, meter: newMeter(b)}
}

func TestGetJSON(t *testing.T) {
	answer := http.HandlerFunc(nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	host := server.Listener.Addr().String()
	reply := func(status int, header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set(header, value)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   *Problem // nil for success
	}{
		{"well", reply(200, "", "", `{"name":"x"}`), nil},
		{"401", reply(401, "X-Request-Id", "r-1", ``), &Problem{Kind: ProblemAuth, RequestID: "r-1", Message: host + " refused the credentials (HTTP 401); check them and what they allow"}},
		{"403", reply(403, "", "", ``), &Problem{Kind: ProblemAuth, Message: host + " refused the credentials (HTTP 403); check them and what they allow"}},
		{"404", reply(404, "", "", ``), &Problem{Kind: ProblemRejected, Rule: "http_status", Message: host + " answered HTTP 404"}},
		{"429 in seconds", reply(429, "Retry-After", "17", ``), &Problem{Kind: ProblemRateLimited, RetryAfter: 17 * time.Second, Message: host + " asks to call less often (HTTP 429)"}},
		{"429 for ever", reply(429, "Retry-After", "999999999", ``), &Problem{Kind: ProblemRateLimited, RetryAfter: 7 * 24 * time.Hour, Message: host + " asks to call less often (HTTP 429)"}},
		{"429 without", reply(429, "Retry-After", "soon", ``), &Problem{Kind: ProblemRateLimited, Message: host + " asks to call less often (HTTP 429)"}},
		{"503 to a date", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", "Wed, 01 May 2024 10:00:00 GMT")
			w.Header().Set("Retry-After", "Wed, 01 May 2024 10:00:30 GMT")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, &Problem{Kind: ProblemUpstream, RetryAfter: 30 * time.Second, Message: host + " answered HTTP 503"}},
		{"304", reply(304, "", "", ``), &Problem{Kind: ProblemUpstream, Message: host + " answered HTTP 304, which is neither success nor failure"}},
		{"no JSON", reply(200, "", "", `<html>PRIVATE`), &Problem{Kind: ProblemUpstream, Message: "the answer of " + host + " is not the JSON expected"}},
		{"other JSON", reply(200, "", "", `{"name": 5}`), &Problem{Kind: ProblemUpstream, Message: "the answer of " + host + " is not the JSON expected"}},
		{"broken off", reply(200, "Content-Length", "100", `{`), &Problem{Kind: ProblemUpstream, Message: "the answer of " + host + " broke off"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer = test.answer
			c := call(Access{}, Budget{})
			var got struct{ Name string }
			err := c.GetJSON(t.Context(), server.URL+"/x?key=PRIVATE", http.Header{"authorization": {"Bearer t"}}, &got)
			require.Equal(t, 1, c.meter.usage().Calls)
			if test.want == nil {
				require.NoError(t, err)
				require.Equal(t, "x", got.Name)
				return
			}
			p, ok := errors.AsType[*Problem](err)
			require.True(t, ok)
			require.Equal(t, test.want, p)
		})
	}
}

func TestNetworkFaultsAreUpstream(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := listener.Addr().String()
	require.NoError(t, listener.Close())
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	untrusted.StartTLS()
	defer untrusted.Close()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	c := call(Access{}, Budget{})
	tests := []struct {
		name, address, want string
		ctx                 context.Context
	}{
		{"nobody there", "http://" + closed + "/?key=PRIVATE", "the connection failed by " + closed + ": connection refused", t.Context()},
		{"no such name", "http://no-such-host.invalid/?key=PRIVATE", "the name no-such-host.invalid cannot be resolved", t.Context()},
		{"not trusted", untrusted.URL, "the TLS certificate shown by " + untrusted.Listener.Addr().String() + " is not trusted", t.Context()},
		{"too late", "http://" + closed, "no answer by " + closed + " in the time the hub allows", late},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, ok := errors.AsType[*Problem](c.GetJSON(test.ctx, test.address, nil, nil))
			require.True(t, ok)
			require.Equal(t, ProblemUpstream, p.Kind)
			require.Equal(t, test.want, p.Message)
		})
	}
	require.Equal(t, ProblemBug, problemOf(c.GetJSON(t.Context(), "http://[PRIVATE", nil, nil)).Kind)
}

func TestClientTrustsAndGoesThroughWhatTheHubSays(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) }))
	defer server.Close()
	defer server.CloseClientConnections()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, call(Access{CAPEM: ca}, Budget{}).GetJSON(t.Context(), server.URL, nil, &struct{}{}))

	proxied := ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { proxied = r.URL.String(); fmt.Fprint(w, `{}`) }))
	defer proxy.Close()
	require.NoError(t, call(Access{Proxy: NewSecret(proxy.URL)}, Budget{}).GetJSON(t.Context(), "http://shop.invalid/x", nil, &struct{}{}))
	require.Equal(t, "http://shop.invalid/x", proxied)

	for _, wrong := range []Access{{Proxy: NewSecret("PRIVATE")}, {CAPEM: []byte("PRIVATE")}} {
		p := problemOf(call(wrong, Budget{}).GetJSON(t.Context(), server.URL, nil, &struct{}{}))
		require.Equal(t, ProblemInvalidConfig, p.Kind)
		require.NotContains(t, p.Message, "PRIVATE")
	}
}

func TestClientKeepsWithinTheBudget(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) }))
	defer server.Close()
	c := call(Access{}, Budget{Calls: 2})
	require.NoError(t, c.GetJSON(t.Context(), server.URL, nil, &struct{}{}))
	require.NoError(t, c.GetJSON(t.Context(), server.URL, nil, &struct{}{}))
	p := problemOf(c.GetJSON(t.Context(), server.URL, nil, &struct{}{}))
	require.Equal(t, ProblemRateLimited, p.Kind)
	require.Equal(t, 2, c.meter.usage().Calls)

	// The next turn of a slow rate is beyond the deadline: told at once, not waited for.
	c = call(Access{}, Budget{PerSecond: 0.001})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, c.GetJSON(ctx, server.URL, nil, &struct{}{}))
	require.Equal(t, ProblemRateLimited, problemOf(c.GetJSON(ctx, server.URL, nil, &struct{}{})).Kind)

	// One call under way at a time: the second waits until the first's body is closed.
	c = call(Access{}, Budget{Concurrency: 1})
	first, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	resp, err := c.Client().Do(first)
	require.NoError(t, err)
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	require.Error(t, c.GetJSON(cancelled, server.URL, nil, &struct{}{}))
	require.NoError(t, resp.Body.Close())
	require.NoError(t, resp.Body.Close(), "closing twice gives back one slot")
	require.NoError(t, c.GetJSON(t.Context(), server.URL, nil, &struct{}{}))
}

func TestSpentAddsUp(t *testing.T) {
	c := call(Access{}, Budget{})
	left, later := int64(40), time.Unix(100, 0)
	c.Spent(Usage{Calls: 2, Remaining: &left, WaitUntil: later, ResetsAt: later, RequestIDs: []string{"first"}})
	for n := range 20 {
		c.Spent(Usage{Calls: 1, WaitUntil: time.Unix(50, 0), RequestIDs: []string{fmt.Sprint(n)}})
	}
	used := c.meter.usage()
	require.Equal(t, 22, used.Calls)
	require.Equal(t, int64(40), *used.Remaining)
	require.Equal(t, later, used.WaitUntil)
	require.Len(t, used.RequestIDs, 20)
	require.Equal(t, "19", used.RequestIDs[19])

	Call{}.Spent(Usage{Calls: 1}) // a request made by hand, in an author's own test
	require.NotNil(t, Call{}.Client())
}
