package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// linesType is the media type of one JSON value per line.
const linesType = "application/x-ndjson"

// lines writes a long answer, one JSON value per line.
type lines func(ctx context.Context, to io.Writer) error

// rows makes lines of a list.
func rows[T any](items []T, err error) (lines, error) {
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, to io.Writer) error {
		encoder := json.NewEncoder(to)
		for _, item := range items {
			if err := encoder.Encode(item); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// exported makes lines of the service's export.
func exported(service Customers, workspace string) lines {
	return func(ctx context.Context, to io.Writer) error { return service.Export(ctx, workspace, to) }
}

// stream registers an operation that answers with lines. What fails before the first byte is an ordinary problem;
// what fails later cuts the connection, so that half an answer is never taken for a whole one (R1).
func stream[In any](r *router, path, id, summary string, f func(ctx context.Context, in *In) (lines, error)) {
	operation := huma.Operation{
		OperationID: id, Method: http.MethodGet, Path: Base + path, Summary: summary,
		Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusInternalServerError},
		Responses: map[string]*huma.Response{"200": {
			Description: "One JSON value per line.", Content: map[string]*huma.MediaType{linesType: {}},
		}},
	}
	huma.Register(r.api, operation, func(ctx context.Context, in *In) (*huma.StreamResponse, error) {
		write, err := f(ctx, in)
		if err != nil {
			return nil, r.problem(ctx, id, err)
		}
		return &huma.StreamResponse{Body: func(c huma.Context) { r.send(c, id, write) }}, nil
	})
}

func (r *router) send(c huma.Context, id string, write lines) {
	to := &counted{to: c.BodyWriter()}
	buffered := bufio.NewWriterSize(to, 64<<10)
	c.SetHeader("Content-Type", linesType)
	err := write(c.Context(), buffered)
	if err == nil {
		err = buffered.Flush()
	}
	switch {
	case err == nil:
	case to.written == 0:
		problem := r.problem(c.Context(), id, err)
		c.SetHeader("Content-Type", "application/problem+json")
		c.SetStatus(problem.GetStatus())
		_ = json.NewEncoder(to).Encode(problem) // a client that has gone needs no answer
	default:
		r.log.Warn("answer cut short", "operation", id, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// counted knows whether anything was sent yet.
type counted struct {
	to      io.Writer
	written int
}

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.written += n
	return n, err
}
