package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
)

type reader = func(ctx context.Context, cfg noConfig, req ReadRequest) (Page[entity.Contact], error)

func contacts(read reader) Connector {
	return Connector{Streams: []Stream{StreamOf(Stream{
		Name: "contacts", Doc: "x", Modes: []Mode{Full, Incremental, IDs}, ByKey: true,
	}, read)}}
}

func contact(n, size int) Record[entity.Contact] {
	return Record[entity.Contact]{Key: fmt.Sprintf("k%d", n), Sequence: int64(n), Entity: entity.Contact{Position: strings.Repeat("x", size)}}
}

func ask(cursor []byte) *connectorv1.ReadRequest {
	return &connectorv1.ReadRequest{Stream: "contacts", Mode: connectorv1.Mode_MODE_FULL, Cursor: cursor}
}

// TestReadGivesLargeAnswersInPages: whatever the sizes of the vendor's answers and wherever the process is
// replaced, every record comes once, in order, in pages within the limits, and a source is asked again only by a
// fresh process.
func TestReadGivesLargeAnswersInPages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// Many records, many pages or many bytes, but not all at once.
		extent := rapid.SampledFrom([]struct {
			sizes []int
			bytes []int
			limit []int32
		}{
			{sizes: []int{0, 499, 500, 501, 1100}, bytes: []int{0, 3000}, limit: []int32{0, 500, 10_000}},
			{sizes: []int{0, 1, 2, 3, 40}, bytes: []int{0, 100}, limit: []int32{1, 7}},
			{sizes: []int{0, 1, 5}, bytes: []int{400_000}, limit: []int32{0, 1}},
		}).Draw(rt, "extent")
		sizes := rapid.SliceOfN(rapid.SampledFrom(extent.sizes), 1, 3).Draw(rt, "answers")
		bytes := rapid.SampledFrom(extent.bytes).Draw(rt, "record bytes")
		limit := rapid.SampledFrom(extent.limit).Draw(rt, "max")
		restart := rapid.Bool().Draw(rt, "restart before every page")
		asked := 0
		c := contacts(func(_ context.Context, _ noConfig, req ReadRequest) (Page[entity.Contact], error) {
			asked++
			at, err := DecodeCursor[int](req.Cursor)
			if err != nil {
				return Page[entity.Contact]{}, err
			}
			page := Page[entity.Contact]{Next: EncodeCursor(at + 1), More: at+1 < len(sizes), Snapshot: "s", Total: 9}
			for n := range sizes[at] {
				if n%10 == 9 {
					page.Skipped = append(page.Skipped, Skipped{Key: fmt.Sprintf("%d-%d", at, n), Problem: Rejected("r", "m")})
					continue
				}
				r := contact(n, bytes)
				r.Key = fmt.Sprintf("%d-%d", at, n)
				page.Records = append(page.Records, r)
			}
			return page, nil
		})
		s := serverOf(t, c)
		total := 0
		for _, n := range sizes {
			total += n
		}
		got := map[string]int{}
		var cursor []byte
		for {
			if restart {
				s = serverOf(t, c)
			}
			req := ask(cursor)
			req.MaxRecords = limit
			page, err := s.Read(background(), req)
			require.NoError(rt, err)
			items := len(page.GetRecords()) + len(page.GetSkipped())
			require.LessOrEqual(rt, items, connectorv1.MaxPageRecords)
			if limit > 0 {
				require.LessOrEqual(rt, items, int(limit))
			}
			if items > 1 {
				require.LessOrEqual(rt, proto.Size(page), connectorv1.MaxPageBytes+10_000)
			}
			for _, r := range page.GetRecords() {
				got[r.GetKey()]++
			}
			for _, sk := range page.GetSkipped() {
				got[sk.GetKey()]++
			}
			require.Equal(rt, "s", page.GetSnapshot())
			if cursor = page.GetNextCursor(); !page.GetHasMore() {
				break
			}
		}
		require.Len(rt, got, total)
		for key, times := range got {
			if times != 1 {
				rt.Fatalf("%s came %d times", key, times)
			}
		}
		if !restart {
			require.Equal(rt, len(sizes), asked, "an answer kept in memory is not asked for again")
		}
	})
}

// TestReadAgainAfterTheSourceChanged: dropping the first records of another answer could lose one, so it is given
// out from the start.
func TestReadAgainAfterTheSourceChanged(t *testing.T) {
	first := 0
	c := contacts(func(context.Context, noConfig, ReadRequest) (Page[entity.Contact], error) {
		var page Page[entity.Contact]
		for n := first; n < 1000; n++ {
			page.Records = append(page.Records, contact(n, 0))
		}
		return page, nil
	})
	page, err := serverOf(t, c).Read(background(), ask(nil))
	require.NoError(t, err)
	require.Len(t, page.GetRecords(), 500)

	unchanged, err := serverOf(t, c).Read(background(), ask(page.GetNextCursor()))
	require.NoError(t, err)
	require.Equal(t, "k500", unchanged.GetRecords()[0].GetKey())

	first = 1 // the source lost a record that was given out, so that all others moved up by one
	changed, err := serverOf(t, c).Read(background(), ask(page.GetNextCursor()))
	require.NoError(t, err)
	require.Equal(t, "k1", changed.GetRecords()[0].GetKey())
	require.True(t, changed.GetHasMore())
}

func TestReadTellsRecordsThatBreakTheRules(t *testing.T) {
	good := contact(1, 0)
	broken := contact(2, 0)
	broken.Entity.Custom = entity.Custom{"a": json.RawMessage(`{"PRIVATE`)}
	badMerge := contact(3, 0)
	badMerge.MergedKeys = []string{""}
	gone := contact(4, 10)
	gone.Deleted, gone.UpdatedAt = true, time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	c := contacts(func(context.Context, noConfig, ReadRequest) (Page[entity.Contact], error) {
		return Page[entity.Contact]{
			Records: []Record[entity.Contact]{
				good, broken, badMerge, gone,
				{Key: "", Place: "file.csv line 5"},
				{Key: "\xff"},
				{Key: strings.Repeat("k", 513)},
				contact(5, connectorv1.MaxRecordBytes),
				contact(6, connectorv1.MaxRecordBytes-1000),
			},
			Skipped: []Skipped{
				{Key: "s1"},
				{Key: strings.Repeat("k", 600), Problem: Rejected("amount", "bad amount").At("line %d", 3), Raw: make([]byte, 2<<20)},
			},
		}, nil
	})
	records, skipped, places := map[string]*connectorv1.Record{}, map[string]int{}, []string{}
	var cursor []byte
	s := serverOf(t, c)
	for more := true; more; {
		page, err := s.Read(background(), ask(cursor))
		require.NoError(t, err)
		require.Less(t, proto.Size(page), connectorv1.MaxMessageBytes)
		for _, r := range page.GetRecords() {
			records[r.GetKey()] = r
		}
		for _, s := range page.GetSkipped() {
			require.NotEmpty(t, s.GetProblem().GetMessage())
			require.NotContains(t, s.GetProblem().GetMessage(), "PRIVATE")
			require.LessOrEqual(t, len(s.GetRaw()), connectorv1.MaxPageBytes)
			skipped[s.GetProblem().GetRule()]++
			places = append(places, s.GetProblem().GetPlace())
		}
		cursor, more = page.GetNextCursor(), page.GetHasMore()
	}
	require.Len(t, records, 3)
	require.Contains(t, places, "file.csv line 5")
	require.Contains(t, places, "line 3")
	require.Equal(t, connectorv1.Record_OP_DELETE, records["k4"].GetOp())
	require.Empty(t, records["k4"].GetData())
	require.Equal(t, int64(1714521600), records["k4"].GetUpdatedAt().GetSeconds())
	require.Contains(t, records, "k1")
	require.Contains(t, records, "k6", "a record just within the limit travels alone")
	require.Equal(t, map[string]int{
		"entity_not_json": 1, "key_empty": 2, "key_not_utf8": 1, "key_too_long": 1, "record_too_large": 1, "amount": 1, "": 1,
	}, skipped)
}

func TestReadPassesTheRequestOn(t *testing.T) {
	var got ReadRequest
	s := serverOf(t, Connector{Streams: []Stream{StreamOf(Stream{Name: "contacts", Doc: "x", Modes: []Mode{Incremental}, ByKey: true, Ranges: true},
		func(_ context.Context, _ noConfig, req ReadRequest) (Page[entity.Contact], error) {
			got = req
			req.Spent(Usage{Calls: 3, RequestIDs: []string{"r-1"}})
			return Page[entity.Contact]{Next: []byte("next"), NotReadyUntil: time.Unix(50, 0)}, nil
		})}})
	page, err := s.Read(background(), &connectorv1.ReadRequest{
		Stream: "contacts", Mode: connectorv1.Mode_MODE_INCREMENTAL, Cursor: []byte("1:0:0:mine:2"), Since: timestamppb.New(time.Unix(10, 0)),
		Until: timestamppb.New(time.Unix(20, 0)), TimeZone: "Asia/Tokyo", Currency: "RUB", MaxRecords: 9,
		Access: &connectorv1.Access{Token: "tok", BaseUrl: "https://b", AccountId: "a-1"}, Budget: &connectorv1.CallBudget{Calls: 5},
	})
	require.NoError(t, err)
	require.Equal(t, "mine:2", string(got.Cursor))
	require.Equal(t, Incremental, got.Mode)
	require.Equal(t, []int64{10, 20}, []int64{got.Since.Unix(), got.Until.Unix()})
	require.Equal(t, "Asia/Tokyo RUB 9 tok https://b a-1 5", fmt.Sprint(got.Zone, " ", got.Currency, " ", got.Max, " ", got.Access.Token.Reveal(), " ", got.Access.BaseURL, " ", got.Access.AccountID, " ", got.Budget.Calls))
	require.Equal(t, int32(3), page.GetUsage().GetCalls())
	require.Equal(t, []string{"r-1"}, page.GetUsage().GetRequestIds())
	require.Equal(t, int64(50), page.GetNotReadyUntil().GetSeconds())
	require.Equal(t, "1:0:0:next", string(page.GetNextCursor()))
	require.False(t, page.GetHasMore())

	_, err = s.Read(background(), &connectorv1.ReadRequest{Stream: "contacts", Keys: []string{"a", "b"}})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, got.Keys)
}

func TestReadModeIDsSendsNoData(t *testing.T) {
	s := serverOf(t, contacts(func(context.Context, noConfig, ReadRequest) (Page[entity.Contact], error) {
		return Page[entity.Contact]{Records: []Record[entity.Contact]{contact(1, 100)}}, nil
	}))
	page, err := s.Read(background(), &connectorv1.ReadRequest{Stream: "contacts", Mode: connectorv1.Mode_MODE_IDS})
	require.NoError(t, err)
	require.Equal(t, "k1", page.GetRecords()[0].GetKey())
	require.Empty(t, page.GetRecords()[0].GetData())
}

func TestReadRefuses(t *testing.T) {
	answer := Page[entity.Contact]{}
	s := serverOf(t, Connector{Streams: []Stream{StreamOf(Stream{Name: "contacts", Doc: "x"},
		func(context.Context, noConfig, ReadRequest) (Page[entity.Contact], error) { return answer, nil })}})
	tests := []struct {
		name   string
		req    *connectorv1.ReadRequest
		answer Page[entity.Contact]
		want   string
	}{
		{"another stream", &connectorv1.ReadRequest{Stream: "deals"}, Page[entity.Contact]{}, "the connector has no stream deals"},
		{"another mode", &connectorv1.ReadRequest{Stream: "contacts", Mode: connectorv1.Mode_MODE_IDS}, Page[entity.Contact]{}, "the stream contacts cannot be read in mode MODE_IDS"},
		{"a mode of the future", &connectorv1.ReadRequest{Stream: "contacts", Mode: 77}, Page[entity.Contact]{}, "the stream contacts cannot be read in mode 77"},
		{"by key", &connectorv1.ReadRequest{Stream: "contacts", Keys: []string{"a"}}, Page[entity.Contact]{}, "the stream contacts cannot be read by key"},
		{"a range", &connectorv1.ReadRequest{Stream: "contacts", Since: timestamppb.Now()}, Page[entity.Contact]{}, "the stream contacts cannot be read by a range of time"},
		{"members without targets", &connectorv1.ReadRequest{Stream: "members", Target: "x"}, Page[entity.Contact]{}, "the connector has no targets"},
		{"a zone unknown", &connectorv1.ReadRequest{Stream: "contacts", TimeZone: "Mars/Base"}, Page[entity.Contact]{}, "the workspace's time zone Mars/Base is unknown to the connector"},
		{"a foreign cursor", ask([]byte("abc")), Page[entity.Contact]{}, "the cursor is not one of this connector; read the stream again in full"},
		{"a cursor of the future", ask([]byte("2:0:0:x")), Page[entity.Contact]{}, "the cursor is not one of this connector; read the stream again in full"},
		{"more, not where", ask(nil), Page[entity.Contact]{More: true}, "the connector says that there is more and not where (Next is empty)"},
		{"a circle", ask([]byte("1:0:0:c")), Page[entity.Contact]{More: true, Next: []byte("c")}, "the connector's cursor does not move on although there is more"},
		{"a cursor too long", ask(nil), Page[entity.Contact]{Next: make([]byte, connectorv1.MaxCursorBytes+1)}, "the connector's cursor takes 524289 bytes, more than the 524288 allowed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer = test.answer
			_, err := s.Read(background(), test.req)
			p := requireProblem(t, err, codes.Internal)
			require.Equal(t, test.want, p.GetMessage())
			require.Equal(t, connectorv1.Problem_KIND_BUG, p.GetKind())
		})
	}
}

// TestReadErrors: whatever a read function returns or does leaves as one Problem, which shows neither secrets nor
// the text of errors of unknown origin.
func TestReadErrors(t *testing.T) {
	tests := []struct {
		name    string
		fail    func() error
		code    codes.Code
		kind    connectorv1.Problem_Kind
		message string
	}{
		{"auth", func() error { return Unauthorized("expired, was hush-hush-1") }, codes.Unauthenticated, connectorv1.Problem_KIND_AUTH, "expired, was [secret]"},
		{"rate limited", func() error { return RateLimited(7*time.Second, "slowly") }, codes.ResourceExhausted, connectorv1.Problem_KIND_RATE_LIMITED, "slowly"},
		{"config", func() error { return InvalidConfig("site", "is down") }, codes.InvalidArgument, connectorv1.Problem_KIND_INVALID_CONFIG, "is down"},
		{"rejected", func() error { return Rejected("r", "no") }, codes.FailedPrecondition, connectorv1.Problem_KIND_REJECTED, "no"},
		{"upstream, wrapped", func() error { return fmt.Errorf("page 7: %w", Upstream("down")) }, codes.Unavailable, connectorv1.Problem_KIND_UPSTREAM, "down"},
		{"bug", func() error { return Bug("oops") }, codes.Internal, connectorv1.Problem_KIND_BUG, "oops"},
		{"an error of its own", func() error { return errors.New("row ivan@example.com hush-hush-1") }, codes.Internal, connectorv1.Problem_KIND_BUG, "the connector returned an error that is no Problem (*errors.errorString); its log says more"},
		{"a file", func() error { _, err := os.Open("/nonexistent/PRIVATE"); return err }, codes.Internal, connectorv1.Problem_KIND_BUG, "the connector returned an error that is no Problem (syscall.Errno); its log says more"},
		{"out of time", func() error { return context.DeadlineExceeded }, codes.Unavailable, connectorv1.Problem_KIND_UPSTREAM, "no answer in the time the hub allows"},
		{"cancelled", func() error { return context.Canceled }, codes.Unavailable, connectorv1.Problem_KIND_UPSTREAM, "the call was cancelled"},
		{"a panic", func() error { panic("PRIVATE ivan@example.com") }, codes.Internal, connectorv1.Problem_KIND_BUG, "the connector panicked in Read contacts; its log has the stack"},
		{"an index", func() error { return []error{}[len(os.Args)] }, codes.Internal, connectorv1.Problem_KIND_BUG, "the connector panicked in Read contacts; its log has the stack"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := serverOf(t, contacts(func(context.Context, noConfig, ReadRequest) (Page[entity.Contact], error) {
				return Page[entity.Contact]{}, test.fail()
			}))
			_, err := s.Read(background(), &connectorv1.ReadRequest{
				Stream: "contacts", Mode: connectorv1.Mode_MODE_FULL, Access: &connectorv1.Access{Token: "hush-hush-1"},
			})
			p := requireProblem(t, err, test.code)
			require.Equal(t, test.kind, p.GetKind())
			require.Equal(t, test.message, p.GetMessage())
			if test.name == "rate limited" {
				require.Equal(t, int64(7), p.GetRetryAfter().GetSeconds())
			}
		})
	}
}

func FuzzWireCursor(f *testing.F) {
	for _, seed := range []string{"", "1:0:0:", "1:5:ff:abc", "1:-1:0:x", "2:0:0:x", "1:999999999999999999999:0:", "1:1:zz:"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeWireCursor(data)
		if err != nil {
			return
		}
		again, err := decodeWireCursor(c.encode())
		require.NoError(t, err)
		require.Equal(t, c.offset, again.offset)
		require.Equal(t, string(c.connector), string(again.connector))
		if c.offset > 0 {
			require.Equal(t, c.mark, again.mark)
		}
	})
}

// TestWireCursorForms pins the stored form: cursors outlive releases.
func TestWireCursorForms(t *testing.T) {
	require.Nil(t, wireCursor{}.encode())
	require.Equal(t, `1:0:0:{"page":2}`, string(wireCursor{connector: []byte(`{"page":2}`)}.encode()))
	require.Equal(t, `1:500:ff:{"page":2}`, string(wireCursor{connector: []byte(`{"page":2}`), offset: 500, mark: 255}.encode()))

	// The mark belongs to the stored form too.
	a := encodePage(Page[entity.Contact]{
		Records: []Record[entity.Contact]{contact(1, 0), {Key: "k2", Deleted: true}}, Skipped: []Skipped{{Key: "s"}},
	}, ReadRequest{Mode: Full})
	require.Equal(t, "2ce98d19cf0ad8f1", strconv.FormatUint(a.markAt(3), 16))
}

// BenchmarkRead gives out pages of 500 contacts of a usual size, from the read function's return to the message.
func BenchmarkRead(b *testing.B) {
	created := time.Date(2024, time.May, 1, 0, 0, 0, 0, time.UTC)
	page := Page[entity.Contact]{}
	for n := range 500 {
		page.Records = append(page.Records, Record[entity.Contact]{Key: fmt.Sprint(n), UpdatedAt: created, Entity: entity.Contact{
			Name: entity.Name{Full: "Ирина Соколова"}, Emails: entity.Addresses("irina@example.com"), Phones: entity.Addresses("+79990000001"),
			Place: entity.Place{City: "Казань"}, Tags: []string{"vip"}, CreatedAt: &created,
		}})
	}
	c := contacts(func(context.Context, noConfig, ReadRequest) (Page[entity.Contact], error) { return page, nil })
	c.Name, c.Version, c.Title, c.Config = "bench", "1.0.0", "Bench", ConfigOf[noConfig]()
	s := newServer(c, slog.New(slog.DiscardHandler), &mask{})
	b.ReportAllocs()
	for b.Loop() {
		resp, err := s.Read(b.Context(), ask(nil))
		require.NoError(b, err)
		_, err = proto.Marshal(resp)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "records/s")
}
