package sdk

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxJSONBytes bounds an answer read by GetJSON, so that a broken vendor cannot use up the memory.
const maxJSONBytes = 64 << 20

// GetJSON calls an address with Client and decodes the answer into a struct. Every error is fit to be returned as
// it is: see CheckStatus for what the statuses mean.
func (c Call) GetJSON(ctx context.Context, address string, header http.Header, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Bug("the connector built an address that is none")
	}
	for name, values := range header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.Client().Do(req)
	if err != nil {
		return problemOf(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := CheckStatus(resp); err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJSONBytes+1))
	switch {
	case err != nil:
		return Upstream("the answer of %s broke off", req.URL.Host)
	case len(body) > maxJSONBytes:
		return Upstream("the answer of %s is larger than %d MiB", req.URL.Host, maxJSONBytes>>20)
	}
	if err := json.Unmarshal(body, into); err != nil {
		// The error may quote a value of a record.
		return Upstream("the answer of %s is not the JSON expected", req.URL.Host)
	}
	return nil
}

// CheckStatus returns nil for an HTTP answer of the 2xx class, and otherwise the Problem the status stands for by
// HTTP's own rules: 401 and 403 auth, 429 rate_limited with Retry-After, 408 and 5xx upstream, other 4xx rejected.
// It neither reads nor closes the body.
func CheckStatus(resp *http.Response) error {
	code := resp.StatusCode
	if code >= 200 && code <= 299 {
		return nil
	}
	host := resp.Request.URL.Host
	var p *Problem
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		p = Unauthorized("%s refused the credentials (HTTP %d); check them and what they allow", host, code)
	case code == http.StatusTooManyRequests:
		p = RateLimited(retryAfter(resp), "%s asks to call less often (HTTP 429)", host)
	case code >= 500 || code == http.StatusRequestTimeout:
		p = Upstream("%s answered HTTP %d", host, code)
		p.RetryAfter = retryAfter(resp)
	case code >= 400:
		p = Rejected("http_status", "%s answered HTTP %d", host, code)
	default:
		p = Upstream("%s answered HTTP %d, which is neither success nor failure", host, code)
	}
	p.RequestID = resp.Header.Get("X-Request-Id")
	return p
}

// retryAfter reads the header in both its forms; a date counts from the answer's own Date, so that a wrong clock
// on either side does not matter.
func retryAfter(resp *http.Response) time.Duration {
	text := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 7*24*3600)) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	answered, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, at.Sub(answered))
}
