package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/regulars/regulars/hub/api"
)

// client speaks the API to a hub, in another process or in this one.
type client struct {
	http  *http.Client
	close func() error
}

// socketClient speaks to the hub behind a socket.
func socketClient(path string) *client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSocket(ctx, path) }}
	return &client{http: &http.Client{Transport: transport}, close: func() error { transport.CloseIdleConnections(); return nil }}
}

// Close lets go of the hub; one of this process ends with it.
func (c *client) Close() error { return c.close() }

// apiError is an answer that says no.
type apiError struct {
	status int
	text   string
}

func (e *apiError) Error() string { return e.text }

// send makes a request and returns its answer's body, which the caller closes. Refused arguments are a usageError.
func (c *client) send(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://hub"+api.Base+path, content)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // its text holds the address, which says nothing to a person
		}
		return nil, fmt.Errorf("asking the hub: %w", err)
	}
	if response.StatusCode < http.StatusBadRequest {
		return response.Body, nil
	}
	defer func() { _ = response.Body.Close() }()
	return nil, refusal(response)
}

// refusal reads why a request was refused.
func refusal(response *http.Response) error {
	var problem huma.ErrorModel
	if err := json.NewDecoder(response.Body).Decode(&problem); err != nil {
		return fmt.Errorf("asking the hub: it answered %s", response.Status)
	}
	if len(problem.Errors) == 0 {
		return &apiError{status: response.StatusCode, text: problem.Detail}
	}
	var reasons []string
	for _, detail := range problem.Errors {
		place := detail.Location[strings.LastIndex(detail.Location, ".")+1:]
		reasons = append(reasons, "--"+strings.ReplaceAll(place, "_", "-")+": "+detail.Message)
	}
	return usageError{&apiError{status: response.StatusCode, text: strings.Join(reasons, "; ")}}
}

// call makes a request and returns its answer as it came.
func (c *client) call(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	answer, err := c.send(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(answer)
	if err := errors.Join(err, answer.Close()); err != nil {
		return nil, fmt.Errorf("reading the hub's answer: %w", err)
	}
	return text, nil
}

// fetch makes a request and decodes its answer.
func fetch[T any](ctx context.Context, c *client, method, path string, body any) (T, error) {
	var out T
	text, err := c.call(ctx, method, path, body)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("reading the hub's answer: %w", err)
	}
	return out, nil
}

// inProcess answers requests by a handler of this process. Wait returns when no handler is at work any more.
type inProcess struct {
	handler http.Handler
	working sync.WaitGroup
}

// RoundTrip implements http.RoundTripper.
func (t *inProcess) RoundTrip(request *http.Request) (*http.Response, error) {
	reader, writer := io.Pipe()
	w := &pipeWriter{header: http.Header{}, body: writer, started: make(chan struct{})}
	served := request.Clone(request.Context())
	served.RequestURI = request.URL.RequestURI()
	if served.Body == nil {
		served.Body = http.NoBody
	}
	t.working.Go(func() {
		defer func() {
			w.WriteHeader(http.StatusOK) // a handler that wrote nothing has succeeded
			switch reason := recover(); reason {
			case nil:
				_ = writer.Close()
			case http.ErrAbortHandler:
				_ = writer.CloseWithError(io.ErrUnexpectedEOF)
			default:
				panic(reason)
			}
		}()
		t.handler.ServeHTTP(w, served)
	})
	select {
	case <-w.started:
		return &http.Response{
			Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: w.sent, Body: reader, ContentLength: -1, Request: request,
		}, nil
	case <-request.Context().Done():
		_ = reader.Close() // the handler's writes fail from here on
		return nil, request.Context().Err()
	}
}

// Wait returns when no handler is at work any more.
func (t *inProcess) Wait() { t.working.Wait() }

// pipeWriter is the http.ResponseWriter of one request of this process.
type pipeWriter struct {
	header, sent http.Header
	body         *io.PipeWriter
	once         sync.Once
	started      chan struct{}
	status       int
}

// Header implements http.ResponseWriter.
func (w *pipeWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.started)
	})
}

// Write implements http.ResponseWriter.
func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
