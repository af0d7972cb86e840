package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/proto"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/contracts/entity/schema"
)

// maxPages bounds a walk: a connector that always has more must not keep the suite busy for ever.
const maxPages = 20_000

// walk is one reading of a stream from a cursor to its end.
type walk struct {
	// cursors[i] led to the page that starts at records[recordsAt[i]] and skipped[skippedAt[i]]; last is the
	// cursor the final page gave.
	cursors              [][]byte
	recordsAt, skippedAt []int
	last                 []byte
	records              []*connectorv1.Record
	skipped              []*connectorv1.Skipped
}

// request is how a stream or target is read, without the cursor.
type request struct {
	stream, target string
	mode           connectorv1.Mode
	keys           []string
	max            int32
}

func (s *suite) read(q request, cursor []byte) (*connectorv1.ReadResponse, error) {
	return call(s, s.proc.api.Read, &connectorv1.ReadRequest{
		Config: []byte(s.c.Config), Access: s.access(s.c.Secrets), Stream: q.stream, Target: q.target, Mode: q.mode,
		Keys: q.keys, Cursor: cursor, TimeZone: s.c.TimeZone, Currency: s.c.Currency, MaxRecords: q.max,
	})
}

// walk reads from a cursor to the end, or until visit returns false.
func (s *suite) walk(q request, cursor []byte, visit func(cursor []byte, page *connectorv1.ReadResponse) bool) error {
	for range maxPages {
		page, err := s.read(q, cursor)
		if err != nil {
			return err
		}
		switch {
		case !visit(cursor, page) || (!page.GetHasMore() && page.GetNotReadyUntil() == nil):
			return nil
		case len(page.GetNextCursor()) == 0:
			return errors.New("a page says that there is more, without a cursor")
		case page.GetNotReadyUntil() != nil:
			if err := s.wait(page.GetNotReadyUntil().AsTime()); err != nil {
				return err
			}
		case bytes.Equal(page.GetNextCursor(), cursor):
			return errors.New("a page says that there is more, and its cursor leads to itself")
		}
		cursor = page.GetNextCursor()
	}
	return fmt.Errorf("the end is not reached in %d pages", maxPages)
}

// wait lets a vendor that prepares an answer have the time it asked for.
func (s *suite) wait(until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// whole reads everything from the cursor on and keeps it. Inspect, if not nil, sees every page.
func (s *suite) whole(q request, from []byte, inspect func(page *connectorv1.ReadResponse)) (*walk, error) {
	w := &walk{}
	err := s.walk(q, from, func(cursor []byte, page *connectorv1.ReadResponse) bool {
		if inspect != nil {
			inspect(page)
		}
		w.cursors = append(w.cursors, cursor)
		w.recordsAt = append(w.recordsAt, len(w.records))
		w.skippedAt = append(w.skippedAt, len(w.skipped))
		w.records = append(w.records, page.GetRecords()...)
		w.skipped = append(w.skipped, page.GetSkipped()...)
		w.last = page.GetNextCursor()
		return true
	})
	return w, err
}

// pageFault finds what is wrong with the size and form of a page; "" when nothing is.
func pageFault(page *connectorv1.ReadResponse, maxRecords int) string {
	items := len(page.GetRecords()) + len(page.GetSkipped())
	size := 0
	for _, r := range page.GetRecords() {
		size += proto.Size(r)
	}
	for _, sk := range page.GetSkipped() {
		size += proto.Size(sk)
		if sk.GetProblem().GetMessage() == "" {
			return "a skipped record has no problem that says why"
		}
	}
	switch {
	case items > maxRecords:
		return fmt.Sprintf("a page has %d records, more than the %d asked for", items, maxRecords)
	case size > connectorv1.MaxPageBytes && items > 1:
		return fmt.Sprintf("a page of %d records takes %d bytes, more than %d", items, size, connectorv1.MaxPageBytes)
	case len(page.GetNextCursor()) > connectorv1.MaxCursorBytes+64:
		return fmt.Sprintf("a cursor takes %d bytes", len(page.GetNextCursor()))
	default:
		return ""
	}
}

// validator checks records of one kind of entity.
type validator struct {
	kind   entity.Kind
	schema *jsonschema.Schema
}

func newValidator(kind entity.Kind) (*validator, error) {
	data, ok := schema.Of(kind)
	if !ok {
		return nil, fmt.Errorf("there is no entity %q", kind)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", kind, err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("entity.json", document); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", kind, err)
	}
	compiled, err := compiler.Compile("entity.json")
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", kind, err)
	}
	return &validator{kind: kind, schema: compiled}, nil
}

// fault finds what is wrong with a record; "" when nothing is.
func (v *validator) fault(r *connectorv1.Record, mode connectorv1.Mode) string {
	switch {
	case r.GetKey() == "":
		return "a record has no key"
	case len(r.GetKey()) > connectorv1.MaxKeyBytes || !utf8.ValidString(r.GetKey()):
		return "a record's key is too long or not UTF-8"
	case r.GetOp() == connectorv1.Record_OP_DELETE || mode == connectorv1.Mode_MODE_IDS:
		if len(r.GetData()) > 0 {
			return fmt.Sprintf("the record %s is deleted, or read for its id, and has data", r.GetKey())
		}
		return ""
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.GetData()))
	if err != nil {
		return fmt.Sprintf("the record %s is not JSON: %v", r.GetKey(), err)
	}
	if err := v.schema.Validate(document); err != nil {
		return fmt.Sprintf("the record %s is no %s: %v", r.GetKey(), v.kind, err)
	}
	strict := json.NewDecoder(bytes.NewReader(r.GetData()))
	strict.DisallowUnknownFields()
	if err := strict.Decode(v.kind.New()); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Sprintf("the record %s has a member that a %s does not have: %v", r.GetKey(), v.kind, err)
	}
	return ""
}

// content is what makes two deliveries of a key the same: neither place nor sequence belong to it.
func content(r *connectorv1.Record) string {
	return r.GetOp().String() + " " + string(r.GetData())
}
