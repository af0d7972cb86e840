package sdk

import (
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// answer is what a read function returned, in wire form and not yet cut into pages. Items are its records and
// then its skipped ones.
type answer struct {
	items    []item
	next     []byte
	more     bool
	notReady time.Time
	snapshot string
	total    int64
}

// item is one record or one skipped.
type item struct {
	record  *connectorv1.Record
	skipped *connectorv1.Skipped
	size    int
	// mark sums up the keys of the answer up to and including this item.
	mark uint64
}

// encodePage turns a page into its wire form. What breaks the protocol's rules for records becomes a Skipped.
func encodePage[E any](page Page[E], req ReadRequest) answer {
	a := answer{
		items: make([]item, 0, len(page.Records)+len(page.Skipped)),
		next:  page.Next, more: page.More, notReady: page.NotReadyUntil, snapshot: page.Snapshot, total: page.Total,
	}
	for i := range page.Records {
		a.items = append(a.items, encodeRecord(&page.Records[i], req.Mode))
	}
	for _, s := range page.Skipped {
		a.items = append(a.items, encodeSkipped(s))
	}
	sum := fnv.New64a()
	for i := range a.items {
		it := &a.items[i]
		key, op := it.skipped.GetKey(), byte(0)
		if it.record != nil {
			key, op = it.record.GetKey(), byte(it.record.GetOp())
		}
		_, _ = sum.Write(binary.AppendUvarint([]byte{op}, uint64(len(key)))) // a hash never fails
		_, _ = sum.Write([]byte(key))
		it.mark = sum.Sum64()
	}
	return a
}

func encodeRecord[E any](r *Record[E], mode Mode) item {
	skip := func(key string, p *Problem) item {
		return encodeSkipped(Skipped{Key: key, Problem: p.At("%s", r.Place), UpdatedAt: r.UpdatedAt, Sequence: r.Sequence})
	}
	if p := faultOfKey(r.Key); p != nil {
		return skip("", p)
	}
	wire := &connectorv1.Record{
		Key: r.Key, Op: connectorv1.Record_OP_UPSERT, UpdatedAt: timestamp(r.UpdatedAt), Sequence: r.Sequence,
		Place: strings.ToValidUTF8(r.Place, "�"), MergedKeys: r.MergedKeys,
	}
	for _, key := range r.MergedKeys {
		if p := faultOfKey(key); p != nil {
			return skip(r.Key, p)
		}
	}
	switch {
	case r.Deleted:
		wire.Op = connectorv1.Record_OP_DELETE
	case mode != IDs:
		data, err := json.Marshal(&r.Entity)
		if err != nil {
			// The error may quote a value, such as a broken number in Custom.
			return skip(r.Key, Rejected("entity_not_json", "the record cannot be written as JSON; look for broken values in Custom"))
		}
		wire.Data = data
	}
	size := proto.Size(wire)
	if size > connectorv1.MaxRecordBytes {
		return skip(r.Key, Rejected("record_too_large", "the record takes %d bytes, more than the %d a record may have", size, connectorv1.MaxRecordBytes))
	}
	return item{record: wire, size: size}
}

func faultOfKey(key string) *Problem {
	switch {
	case key == "":
		return Rejected("key_empty", "the record has no key")
	case len(key) > connectorv1.MaxKeyBytes:
		return Rejected("key_too_long", "the record's key takes %d bytes, more than the %d a key may have", len(key), connectorv1.MaxKeyBytes)
	case !utf8.ValidString(key):
		return Rejected("key_not_utf8", "the record's key is not UTF-8")
	default:
		return nil
	}
}

// maxRawBytes bounds what is kept of a skipped record's own form; a larger one is left out.
const maxRawBytes = connectorv1.MaxPageBytes

func encodeSkipped(s Skipped) item {
	if s.Problem == nil {
		s.Problem = Bug("the connector skipped a record without saying why")
	}
	wire := &connectorv1.Skipped{
		Key: s.Key, Problem: s.Problem.wire(), Raw: s.Raw, UpdatedAt: timestamp(s.UpdatedAt), Sequence: s.Sequence,
	}
	if len(s.Key) > connectorv1.MaxKeyBytes || !utf8.ValidString(s.Key) {
		wire.Key = ""
	}
	if len(s.Raw) > maxRawBytes {
		wire.Raw = nil
	}
	return item{skipped: wire, size: proto.Size(wire)}
}

// markAt returns the sum of the first offset items.
func (a *answer) markAt(offset int) uint64 {
	if offset == 0 {
		return 0
	}
	return a.items[offset-1].mark
}

// cut returns where the page that starts at offset ends.
func (a *answer) cut(offset, maxRecords int) int {
	end, size := offset, 0
	for end < len(a.items) && end-offset < maxRecords {
		size += a.items[end].size
		if end > offset && size > connectorv1.MaxPageBytes {
			break
		}
		end++
	}
	return end
}

// page returns the items from offset to end as a page. All but the last page of an answer lead to the next part
// of the same answer.
func (a *answer) page(offset, end int, at wireCursor) *connectorv1.ReadResponse {
	resp := &connectorv1.ReadResponse{Snapshot: a.snapshot, Total: a.total}
	for _, it := range a.items[offset:end] {
		if it.record != nil {
			resp.Records = append(resp.Records, it.record)
		} else {
			resp.Skipped = append(resp.Skipped, it.skipped)
		}
	}
	if end < len(a.items) {
		at.offset, at.mark = end, a.markAt(end)
		resp.NextCursor, resp.HasMore = at.encode(), true
		return resp
	}
	resp.NextCursor, resp.HasMore = wireCursor{connector: a.next}.encode(), a.more
	resp.NotReadyUntil = timestamp(a.notReady)
	return resp
}

// wireCursor is a cursor as the hub keeps it: the connector's own, and how far the answer to it was given out. Its
// form is "1:OFFSET:MARK:CONNECTOR'S CURSOR"; no bytes stand for the start.
type wireCursor struct {
	connector []byte
	offset    int
	// mark sums up the keys given out so far. If a fresh process gets another answer for the connector's cursor,
	// dropping the first offset records could lose one; the mark shows it (R1).
	mark uint64
}

const wireCursorVersion = "1"

func (c wireCursor) encode() []byte {
	if len(c.connector) == 0 && c.offset == 0 {
		return nil
	}
	head := wireCursorVersion + ":" + strconv.Itoa(c.offset) + ":" + strconv.FormatUint(c.mark, 16) + ":"
	return append([]byte(head), c.connector...)
}

func decodeWireCursor(data []byte) (wireCursor, error) {
	if len(data) == 0 {
		return wireCursor{}, nil
	}
	unknown := Bug("the cursor is not one of this connector; read the stream again in full")
	parts := strings.SplitN(string(data), ":", 4)
	if len(parts) != 4 || parts[0] != wireCursorVersion {
		return wireCursor{}, unknown
	}
	offset, err := strconv.Atoi(parts[1])
	if err != nil || offset < 0 {
		return wireCursor{}, unknown
	}
	mark, err := strconv.ParseUint(parts[2], 16, 64)
	if err != nil {
		return wireCursor{}, unknown
	}
	c := wireCursor{offset: offset, mark: mark}
	if parts[3] != "" {
		c.connector = []byte(parts[3])
	}
	return c, nil
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
