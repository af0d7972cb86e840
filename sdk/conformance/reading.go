package conformance

import (
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
)

// smallPage is a page size that makes even small streams have many cursors, also within one answer of the vendor.
const smallPage = 7

// maxCursors is how many cursors of a stream are tried with a process of their own; of more an even choice is.
const maxCursors = 40

// offered returns the streams that the right configuration has.
func (s *suite) offered() []*connectorv1.StreamSpec {
	if s.start() != nil {
		return s.spec.GetStreams() // whose checks tell why
	}
	resp, err := call(s, s.proc.api.Check, &connectorv1.CheckRequest{Config: []byte(s.c.Config), Access: s.access(s.c.Secrets), Offline: true})
	if err != nil || resp.GetOffer() == nil {
		return s.spec.GetStreams() // the check of the configuration tells an error
	}
	return slices.DeleteFunc(slices.Clone(s.spec.GetStreams()), func(st *connectorv1.StreamSpec) bool {
		return !slices.Contains(resp.GetOffer().GetStreams(), st.GetName())
	})
}

// checkStream tries everything a stream says it can.
func (s *suite) checkStream(spec *connectorv1.StreamSpec) {
	q := request{stream: spec.GetName(), mode: spec.GetModes()[0], max: connectorv1.MaxPageRecords}
	if slices.Contains(spec.GetModes(), connectorv1.Mode_MODE_FULL) {
		q.mode = connectorv1.Mode_MODE_FULL
	}
	more := []struct {
		kind string
		can  bool
		run  func(r *report, q request, full, small *walk)
	}{
		{"repeat", true, func(r *report, q request, _, small *walk) { s.checkRepeat(r, q, small) }},
		{"resume", true, func(r *report, q request, _, small *walk) { s.checkResume(r, q, small) }},
		{"incremental", slices.Contains(spec.GetModes(), connectorv1.Mode_MODE_INCREMENTAL), func(r *report, q request, full, _ *walk) { s.checkIncremental(r, q, full) }},
		{"ids", slices.Contains(spec.GetModes(), connectorv1.Mode_MODE_IDS), func(r *report, q request, full, _ *walk) { s.checkIDs(r, q, full) }},
		{"by key", spec.GetByKey(), func(r *report, q request, full, _ *walk) { s.checkByKey(r, q, full) }},
	}
	wanted := s.wants("paging")
	for _, m := range more {
		wanted = wanted || s.wants(m.kind)
	}
	if !wanted {
		return
	}
	var full, small *walk
	s.check("paging "+spec.GetName(), func(r *report) { full, small = s.checkPaging(r, spec, q) })
	if full == nil || small == nil {
		return
	}
	for _, m := range more {
		if m.can && s.wants(m.kind) {
			s.check(m.kind+" "+spec.GetName(), func(r *report) { m.run(r, q, full, small) })
		}
	}
}

// checkPaging reads the stream twice to its end, in large pages and in small ones: limits are kept, every record
// is a valid entity, and the size of the pages does not change what is read.
func (s *suite) checkPaging(r *report, spec *connectorv1.StreamSpec, q request) (full, small *walk) {
	valid, err := newValidator(entity.Kind(spec.GetEntity()))
	if err != nil {
		r.fail("%v", err)
		return nil, nil
	}
	read := func(size int32) *walk {
		q.max = size
		snapshot, first := "", true
		w, err := s.whole(q, nil, func(page *connectorv1.ReadResponse) {
			if fault := pageFault(page, int(size)); fault != "" {
				r.fail("%s", fault)
			}
			for _, record := range page.GetRecords() {
				if fault := valid.fault(record, q.mode); fault != "" {
					r.fail("%s", fault)
				}
			}
			if !first && page.GetSnapshot() != snapshot {
				r.fail("the pages of one read name the snapshots %q and %q", snapshot, page.GetSnapshot())
			}
			snapshot, first = page.GetSnapshot(), false
		})
		if err != nil {
			r.fail("in pages of %d: %v", size, err)
			return nil
		}
		return w
	}
	if full = read(connectorv1.MaxPageRecords); full == nil {
		return nil, nil
	}
	if small = read(smallPage); small == nil {
		return nil, nil
	}
	if !slices.EqualFunc(full.records, small.records, same[*connectorv1.Record]) {
		r.fail("pages of %d give other records (%d) than pages of %d (%d)", smallPage, len(small.records), connectorv1.MaxPageRecords, len(full.records))
	}
	s.checkCounts(r, q.stream, full)
	return full, small
}

// checkCounts holds a full read against what the case expects, and looks for keys given out twice.
func (s *suite) checkCounts(r *report, stream string, full *walk) {
	byKey := map[string]string{}
	for _, record := range full.records {
		before, twice := byKey[record.GetKey()]
		if twice && before != content(record) {
			r.fail("the key %q stands for two different records in one read", record.GetKey())
		}
		byKey[record.GetKey()] = content(record)
	}
	if want, named := s.c.Records[stream]; named && len(byKey) != want {
		r.fail("it has %d records, expected are %d", len(byKey), want)
	}
	if want := s.c.Skipped[stream]; len(full.skipped) != want {
		first := ""
		if len(full.skipped) > 0 {
			first = ", the first because: " + full.skipped[0].GetProblem().GetMessage()
		}
		r.fail("%d records are skipped, expected are %d%s", len(full.skipped), want, first)
	}
	if len(full.records) == 0 {
		r.note("the stream is empty, so that little can be said about it")
	}
}

// checkRepeat asks for every page a second time: the answer must be the same to the byte.
func (s *suite) checkRepeat(r *report, q request, small *walk) {
	q.max = smallPage
	for _, i := range choose(r, len(small.cursors)) {
		first, err := s.read(q, small.cursors[i])
		if err != nil {
			r.fail("page %d: %v", i+1, err)
			return
		}
		second, err := s.read(q, small.cursors[i])
		if err != nil {
			r.fail("page %d, repeated: %v", i+1, err)
			return
		}
		first.Usage, second.Usage = nil, nil
		if !proto.Equal(first, second) {
			r.fail("page %d, asked for twice, is not the same", i+1)
		}
	}
}

// checkResume reads on from every cursor in a fresh process: what comes is what an undisturbed read gave there.
func (s *suite) checkResume(r *report, q request, small *walk) {
	q.max = smallPage
	for _, i := range choose(r, len(small.cursors)) {
		if err := s.restart(); err != nil {
			r.fail("the connector does not start again: %v", err)
			return
		}
		if fault := s.resumeFault(q, small, i); fault != "" {
			r.fail("from cursor %d of %d: %s", i, len(small.cursors), fault)
		}
	}
}

// resumeFault compares the rest of the stream from the i-th cursor. Once it is at a cursor of the undisturbed read
// again, with the same records up to there, the rest follows.
func (s *suite) resumeFault(q request, small *walk, i int) string {
	records, skipped := small.records[small.recordsAt[i]:], small.skipped[small.skippedAt[i]:]
	fault, met := "", false
	err := s.walk(q, small.cursors[i], func(_ []byte, page *connectorv1.ReadResponse) bool {
		n, m := len(page.GetRecords()), len(page.GetSkipped())
		if n > len(records) || m > len(skipped) || !slices.EqualFunc(page.GetRecords(), records[:n], same[*connectorv1.Record]) ||
			!slices.EqualFunc(page.GetSkipped(), skipped[:m], same[*connectorv1.Skipped]) {
			fault = fmt.Sprintf("the records differ, %d before the end", len(records))
			return false
		}
		records, skipped = records[n:], skipped[m:]
		for j := i + 1; j < len(small.cursors); j++ {
			if bytes.Equal(page.GetNextCursor(), small.cursors[j]) && len(records) == len(small.records)-small.recordsAt[j] {
				met = true
			}
		}
		return !met
	})
	switch {
	case err != nil:
		return err.Error()
	case fault == "" && !met && (len(records) > 0 || len(skipped) > 0):
		return fmt.Sprintf("it ends %d records early", len(records)+len(skipped))
	default:
		return fault
	}
}

// checkIncremental reads on from where the full read ended. As nothing changed, nothing new may come; a record
// that comes again because the source's clock is coarse must be as it was.
func (s *suite) checkIncremental(r *report, q request, full *walk) {
	if len(full.last) == 0 {
		r.fail("the last page of a full read gives no cursor to read on from")
		return
	}
	q.mode = connectorv1.Mode_MODE_INCREMENTAL
	known := map[string]string{}
	for _, record := range full.records {
		known[record.GetKey()] = content(record)
	}
	cursor := full.last
	for round := 1; round <= 2; round++ {
		later, err := s.whole(q, cursor, nil)
		if err != nil {
			r.fail("round %d: %v", round, err)
			return
		}
		for _, record := range later.records {
			before, ok := known[record.GetKey()]
			if record.GetOp() == connectorv1.Record_OP_DELETE && !ok {
				continue // a tombstone of a record that was gone before the full read
			}
			if before != content(record) {
				r.fail("round %d: the record %q comes although nothing changed", round, record.GetKey())
			}
		}
		if len(later.skipped) > len(full.skipped) {
			r.fail("round %d: %d records are skipped although nothing changed", round, len(later.skipped))
		}
		if len(later.last) == 0 {
			r.fail("round %d: the last page gives no cursor to read on from", round)
			return
		}
		cursor = later.last
	}
}

// checkIDs compares the keys that live with those of the full read.
func (s *suite) checkIDs(r *report, q request, full *walk) {
	q.mode = connectorv1.Mode_MODE_IDS
	ids, err := s.whole(q, nil, nil)
	if err != nil {
		r.fail("%v", err)
		return
	}
	for _, record := range ids.records {
		if len(record.GetData()) > 0 {
			r.fail("the record %q has data in mode ids", record.GetKey())
		}
	}
	got, want := keysOf(ids.records), keysOf(full.records)
	if !slices.Equal(got, want) {
		r.fail("mode ids gives %d keys, the full read %d, and they are not the same", len(got), len(want))
	}
}

// keysOf returns the keys that are not deleted, sorted and each once.
func keysOf(records []*connectorv1.Record) []string {
	last := map[string]bool{}
	for _, record := range records {
		last[record.GetKey()] = record.GetOp() != connectorv1.Record_OP_DELETE
	}
	var keys []string
	for key, lives := range last {
		if lives {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// checkByKey reads some records by their keys, as a webhook leads to.
func (s *suite) checkByKey(r *report, q request, full *walk) {
	keys := keysOf(full.records)
	if len(keys) == 0 {
		r.note("there is no record to read by its key")
		return
	}
	q.keys = []string{keys[0], keys[len(keys)/2], keys[len(keys)-1]}
	slices.Sort(q.keys)
	q.keys = slices.Compact(q.keys)
	some, err := s.whole(q, nil, nil)
	if err != nil {
		r.fail("%v", err)
		return
	}
	if got := keysOf(some.records); !slices.Equal(got, q.keys) {
		r.fail("asked for %d keys, it returns %d records or others", len(q.keys), len(got))
		return
	}
	known := map[string]string{}
	for _, record := range full.records {
		known[record.GetKey()] = content(record)
	}
	for _, record := range some.records {
		if known[record.GetKey()] != content(record) {
			r.fail("the record %q, read by its key, is not as in the full read", record.GetKey())
		}
	}
}

// choose returns which of n cursors to try: all, or an even choice that holds the first and the last.
func choose(r *report, n int) []int {
	if n <= maxCursors {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		return all
	}
	r.note("of %d cursors %d are tried", n, maxCursors)
	chosen := make([]int, maxCursors)
	for i := range chosen {
		chosen[i] = i * (n - 1) / (maxCursors - 1)
	}
	return chosen
}

// same compares all that two messages say.
func same[M proto.Message](a, b M) bool { return proto.Equal(a, b) }
