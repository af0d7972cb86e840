package sdk

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Call is what every request carries.
type Call struct {
	Access Access
	Budget Budget
	// Zone and Currency (ISO 4217) are the workspace's, for sources that name neither. Zone is never nil.
	Zone     *time.Location
	Currency string

	meter *meter
}

// Access is what the hub hands over for one call, beside the secrets in the configuration.
type Access struct {
	// Token is a short-lived OAuth2 access token; empty for other kinds of authentication.
	Token          Secret
	TokenExpiresAt time.Time
	// BaseURL is the API's address where the vendor tells it only at authorization.
	BaseURL string
	// AccountID is the account the connection is bound to; empty until the first check.
	AccountID string
	// Proxy for outgoing calls, empty for none. It may hold a password.
	Proxy Secret
	// CAPEM are certificate authorities to trust beside the system's.
	CAPEM []byte
}

// Budget bounds the vendor calls of one request; zero values mean no limit. Call.Client keeps all of it but the
// deadline.
type Budget struct {
	Calls int
	// PerSecond is the average rate not to exceed.
	PerSecond float64
	// Burst is how many calls may start at once, Concurrency how many be under way; 0 means 1.
	Burst, Concurrency int
	// Deadline is when to answer with what there is.
	Deadline time.Time
}

// Usage is what a request used, and what the vendor said remains.
type Usage struct {
	// Calls are added to those Call.Client counted.
	Calls int
	// Remaining is the vendor's own count of what is left; nil when it does not say.
	Remaining *int64
	ResetsAt  time.Time
	// WaitUntil asks the hub to start no call before, although nothing failed.
	WaitUntil time.Time
	// RequestIDs are the vendor's, newest last; the last 20 are kept.
	RequestIDs []string
}

// Client returns an HTTP client for this request: it goes through Access.Proxy, trusts Access.CAPEM, keeps within
// the Budget and counts what it used. Close the bodies of its answers: a call counts as under way until then.
// Connections are kept open between requests. A wrong proxy or certificate makes every call fail with a Problem.
func (c Call) Client() *http.Client {
	transport, err := transportFor(c.Access)
	switch {
	case err != nil:
		return &http.Client{Transport: broken{err}}
	case c.meter == nil:
		return &http.Client{Transport: transport}
	default:
		return &http.Client{Transport: &metered{meter: c.meter, next: transport}}
	}
}

// broken is the transport of a client that cannot work.
type broken struct{ err error }

// RoundTrip implements http.RoundTripper.
func (b broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, b.err }

// Spent adds to the usage that goes back with the answer: calls made without Client, and what the vendor said
// remains.
func (c Call) Spent(u Usage) {
	if c.meter == nil {
		return
	}
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	used := &c.meter.used
	used.Calls += u.Calls
	if u.Remaining != nil {
		used.Remaining = u.Remaining
	}
	if !u.ResetsAt.IsZero() {
		used.ResetsAt = u.ResetsAt
	}
	if u.WaitUntil.After(used.WaitUntil) {
		used.WaitUntil = u.WaitUntil
	}
	used.RequestIDs = append(used.RequestIDs, u.RequestIDs...)
	if extra := len(used.RequestIDs) - 20; extra > 0 {
		used.RequestIDs = slices.Delete(used.RequestIDs, 0, extra)
	}
}

// meter counts and paces the vendor calls of one request.
type meter struct {
	budget Budget
	pace   *rate.Limiter // nil for no limit
	slots  chan struct{} // nil for no limit

	mu   sync.Mutex
	used Usage
}

func newMeter(b Budget) *meter {
	m := &meter{budget: b}
	if b.PerSecond > 0 {
		m.pace = rate.NewLimiter(rate.Limit(b.PerSecond), max(1, b.Burst))
	}
	// A hub that sets no limit at all does not mean one call at a time.
	if b.Concurrency > 0 || b.PerSecond > 0 || b.Calls > 0 {
		m.slots = make(chan struct{}, max(1, b.Concurrency))
	}
	return m
}

// start waits for the right to make a call and counts it.
func (m *meter) start(ctx context.Context) error {
	if m.slots != nil {
		select {
		case m.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := m.count(ctx); err != nil {
		m.end()
		return err
	}
	return nil
}

func (m *meter) count(ctx context.Context) error {
	m.mu.Lock()
	if m.budget.Calls > 0 && m.used.Calls >= m.budget.Calls {
		m.mu.Unlock()
		return RateLimited(0, "the %d calls allowed for this request are used up", m.budget.Calls)
	}
	m.used.Calls++
	m.mu.Unlock()
	if m.pace == nil {
		return nil
	}
	if err := m.pace.Wait(ctx); err != nil {
		// Wait fails early, with an error of its own, when the deadline is nearer than the next turn.
		return RateLimited(0, "the allowed rate leaves no further call in the time of this request")
	}
	return nil
}

func (m *meter) end() {
	if m.slots != nil {
		<-m.slots
	}
}

func (m *meter) usage() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// metered is a transport that keeps within a budget. A call is under way until its body is closed.
type metered struct {
	meter *meter
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *metered) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.meter.start(req.Context()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		t.meter.end()
		return nil, err
	}
	resp.Body = &meteredBody{ReadCloser: resp.Body, end: sync.OnceFunc(t.meter.end)}
	return resp, nil
}

type meteredBody struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (b *meteredBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// transports keeps connections open across calls; a process serves one connection, so there are few.
var transports struct {
	mu    sync.Mutex
	byKey map[[sha256.Size]byte]*http.Transport
}

func transportFor(a Access) (*http.Transport, error) {
	key := sha256.Sum256(append([]byte(a.Proxy.Reveal()+"\x00"), a.CAPEM...))
	transports.mu.Lock()
	defer transports.mu.Unlock()
	if t, ok := transports.byKey[key]; ok {
		return t, nil
	}
	t := &http.Transport{
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if proxy := a.Proxy.Reveal(); proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil || u.Host == "" {
			return nil, InvalidConfig("proxy", "is not an address such as http://10.0.0.1:3128")
		}
		t.Proxy = http.ProxyURL(u)
	}
	if len(a.CAPEM) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(a.CAPEM) {
			return nil, InvalidConfig("ca", "holds no certificate in PEM form")
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if transports.byKey == nil {
		transports.byKey = map[[sha256.Size]byte]*http.Transport{}
	}
	transports.byKey[key] = t
	return t, nil
}
