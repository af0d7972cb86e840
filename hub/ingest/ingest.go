// Package ingest takes what connectors read into the store: one slice of a sync reads pages, decodes and checks
// their records, keeps aside what it cannot use, and commits each page with its cursor, counters, marks for settle
// and the work that follows in one transaction (R1).
package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// Stored is what the store holds of a record.
type Stored struct {
	ID        int64
	Hash      []byte
	UpdatedAt time.Time
	Sequence  int64
	Deleted   bool
}

// Put is a new state of a record. ID is 0 for a record not stored yet. With Deleted, Hash is kept and Data dropped.
type Put struct {
	ID        int64
	Key       string
	Hash      []byte
	Data      []byte
	UpdatedAt time.Time
	Sequence  int64
	Deleted   bool
}

// Origin says whose form a dead letter's raw content has.
type Origin string

// The origins of dead letters.
const (
	FromConnector Origin = "connector" // the source's own form; a retry reads the source again
	FromHub       Origin = "hub"       // the entity as JSON; a retry takes it in again
)

// DeadLetter is a record kept aside with the reason. Message, Place and Rule hold no value of the record.
type DeadLetter struct {
	Stream      workspace.StreamID
	Key         string
	Fingerprint []byte // same record, same fault: the same letter
	Origin      Origin
	Place       string
	Rule        string
	Message     string
	Raw         []byte
	UpdatedAt   time.Time
	Sequence    int64
	Run         run.ID
}

// Store is what a slice needs of the store.
type Store interface {
	InTx(ctx context.Context, f func(tx store.Tx) error) error
	// HoldLease renews the lease, records a heartbeat and says whether somebody asked to cancel the run. It
	// returns store.ErrLeaseLost when another worker has taken over.
	HoldLease(ctx context.Context, tx store.Tx, lease run.Lease, until time.Time) (cancel bool, err error)
	Existing(ctx context.Context, tx store.Tx, stream workspace.Stream, keys []string) (map[string]Stored, error)
	// PutRecords stores new states and marks them dirty; it returns the records' numbers in order.
	PutRecords(ctx context.Context, tx store.Tx, stream workspace.Stream, puts []Put) ([]int64, error)
	PutDeadLetters(ctx context.Context, tx store.Tx, ws store.WorkspaceID, letters []DeadLetter) error
	// ResolveDeadLetters closes open letters about records that arrived whole.
	ResolveDeadLetters(ctx context.Context, tx store.Tx, stream workspace.Stream, keys []string) error
	// ResolveRetried closes the letters under retry that a complete read did not bring up again.
	ResolveRetried(ctx context.Context, tx store.Tx, stream workspace.Stream) error
	MarkSeen(ctx context.Context, tx store.Tx, stream workspace.Stream, records []int64) error
	ForgetSeen(ctx context.Context, tx store.Tx, stream workspace.Stream) error
	SeenAny(ctx context.Context, tx store.Tx, stream workspace.Stream) (bool, error)
	// DeleteUnseen marks every live record of the stream that was not seen as deleted, and returns how many; none when
	// Keyless was seen.
	DeleteUnseen(ctx context.Context, tx store.Tx, stream workspace.Stream) (int64, error)
	SetCursor(ctx context.Context, tx store.Tx, stream workspace.Stream, cursor connector.Cursor, snapshot string) error
	// CompleteStream records that the stream was read to its end.
	CompleteStream(ctx context.Context, tx store.Tx, stream workspace.Stream, at time.Time) error
	AddCounts(ctx context.Context, tx store.Tx, id run.ID, counts run.Counts, total int64) error
}

// Source reads pages from a connection.
type Source interface {
	ReadPage(ctx context.Context, ws workspace.Workspace, conn store.ConnectionID, req connector.ReadRequest) (connector.Page, error)
}

// Observer is told of pages, for metrics.
type Observer interface {
	PageRead(ws workspace.Workspace, conn store.ConnectionID, stream string, took time.Duration, counts run.Counts)
}

// Outcome is how a slice ended, decided in the transaction of its last page.
type Outcome struct {
	Done      bool
	Cancelled bool
	WaitUntil time.Time // not zero: go on then
}

// Slicer runs slices.
type Slicer struct {
	Store    Store
	Source   Source
	Observer Observer
	Clock    store.Clock
	Log      *slog.Logger
	Length   time.Duration // of a slice; a page begun before is finished
	Lease    time.Duration // how long a page transaction renews the lease for
	// Yield says that something more urgent waits for the connection.
	Yield func(ctx context.Context, conn store.ConnectionID) bool
}

// ErrEmptySnapshot stops a complete read that returned nothing while records are stored: a file emptied by mistake
// must not delete everybody.
var ErrEmptySnapshot = &connector.Problem{
	Kind: connector.Rejected, Rule: "empty_snapshot",
	Message: "the complete read returned no record at all while some are stored; nothing was deleted. If the source is really empty, remove the stream from the configuration, or turn delete_missing off",
}

// Run reads pages of one stream until the slice is over. after is called in the transaction of the last page: it
// ends the run or enqueues the next slice.
func (s *Slicer) Run(ctx context.Context, ws workspace.Workspace, stream workspace.Stream, r run.Run, lease run.Lease, after func(tx store.Tx, out Outcome) error) error {
	end := s.Clock.Now().Add(s.Length)
	if r.Mode == run.Full && r.Pages == 0 {
		stream.Cursor, stream.Snapshot = nil, ""
	}
	mode := connector.Incremental
	if len(stream.Cursor) == 0 {
		mode = connector.Full
	}
	for {
		began := s.Clock.Now()
		page, err := s.Source.ReadPage(ctx, ws, stream.Connection, connector.ReadRequest{Stream: stream.Name, Mode: mode, Cursor: stream.Cursor})
		if err != nil {
			return err
		}
		decoded := decodePage(stream, r.ID, page)
		var out Outcome
		var counts run.Counts
		var over bool
		err = s.Store.InTx(ctx, func(tx store.Tx) error {
			cancel, err := s.Store.HoldLease(ctx, tx, lease, s.Clock.Now().Add(s.Lease))
			if err != nil {
				return err
			}
			if cancel {
				out, over = Outcome{Cancelled: true}, true
				return after(tx, out)
			}
			counts, err = s.commit(ctx, tx, stream, r, decoded)
			if err != nil {
				return err
			}
			now := s.Clock.Now()
			out = Outcome{Done: !page.More && page.NotReadyUntil.IsZero(), WaitUntil: page.NotReadyUntil}
			if page.More && page.Usage.WaitUntil.After(now) {
				out.WaitUntil = page.Usage.WaitUntil
			}
			over = out.Done || !out.WaitUntil.IsZero() || !now.Before(end) || s.yield(ctx, stream.Connection)
			if !over {
				return nil
			}
			return after(tx, out)
		})
		if err != nil {
			return err
		}
		s.Observer.PageRead(ws, stream.Connection, stream.Name, s.Clock.Now().Sub(began), counts)
		if counts.Rejected > 0 {
			s.Log.Warn("page rejected records", "workspace", ws.Name, "stream", stream.Name, "run", r.ID, "count", counts.Rejected, "first_rule", decoded.letters[0].Rule)
		}
		if over {
			return nil
		}
		stream.Cursor, stream.Snapshot = page.Next, page.Snapshot
		r.Pages++
	}
}

func (s *Slicer) yield(ctx context.Context, conn store.ConnectionID) bool {
	return s.Yield != nil && s.Yield(ctx, conn)
}

// commit stores one page. Everything it writes belongs to the caller's transaction.
func (s *Slicer) commit(ctx context.Context, tx store.Tx, stream workspace.Stream, r run.Run, d decodedPage) (run.Counts, error) {
	counts, seen, err := Apply(ctx, tx, s.Store, stream, d.records)
	if err != nil {
		return run.Counts{}, err
	}
	counts.Read += int64(len(d.letters))
	counts.Rejected += int64(len(d.letters))
	if err := s.Store.PutDeadLetters(ctx, tx, stream.Workspace, d.letters); err != nil {
		return run.Counts{}, fmt.Errorf("keeping dead letters: %w", err)
	}
	page := d.page
	if page.Snapshot != "" {
		returned, err := s.returned(ctx, tx, stream, d.letters)
		if err != nil {
			return run.Counts{}, err
		}
		seen = append(seen, returned...)
		if page.Snapshot != stream.Snapshot {
			if err := s.Store.ForgetSeen(ctx, tx, stream); err != nil {
				return run.Counts{}, err
			}
		}
		if err := s.Store.MarkSeen(ctx, tx, stream, seen); err != nil {
			return run.Counts{}, err
		}
	}
	snapshot := page.Snapshot
	if !page.More && page.NotReadyUntil.IsZero() {
		if page.Snapshot != "" {
			absent, err := s.finishSnapshot(ctx, tx, stream)
			if err != nil {
				return run.Counts{}, err
			}
			counts.Absent = absent
			snapshot = ""
		}
		if r.Mode == run.Full {
			if err := s.Store.ResolveRetried(ctx, tx, stream); err != nil {
				return run.Counts{}, err
			}
		}
		if err := s.Store.CompleteStream(ctx, tx, stream, s.Clock.Now()); err != nil {
			return run.Counts{}, err
		}
	}
	if err := s.Store.SetCursor(ctx, tx, stream, page.Next, snapshot); err != nil {
		return run.Counts{}, err
	}
	return counts, s.Store.AddCounts(ctx, tx, r.ID, counts, page.Total)
}

// Keyless stands among the seen records for one that was returned without a key: nobody knows which stored record it
// is, so such a read deletes nothing.
const Keyless = int64(0)

// returned are the stored records that a page returned in a form that cannot be used. They stay as they are until the
// source is mended.
func (s *Slicer) returned(ctx context.Context, tx store.Tx, stream workspace.Stream, letters []DeadLetter) ([]int64, error) {
	var records []int64
	var keys []string
	for _, l := range letters {
		if l.Key == "" {
			records = append(records, Keyless)
		} else {
			keys = append(keys, l.Key)
		}
	}
	if len(keys) == 0 {
		return records, nil
	}
	existing, err := s.Store.Existing(ctx, tx, stream, keys)
	if err != nil {
		return nil, fmt.Errorf("looking up records: %w", err)
	}
	for _, key := range keys {
		if old, known := existing[key]; known {
			records = append(records, old.ID)
		}
	}
	return records, nil
}

// finishSnapshot deletes what a complete read did not return.
func (s *Slicer) finishSnapshot(ctx context.Context, tx store.Tx, stream workspace.Stream) (int64, error) {
	some, err := s.Store.SeenAny(ctx, tx, stream)
	if err != nil {
		return 0, err
	}
	absent, err := s.Store.DeleteUnseen(ctx, tx, stream)
	if err == nil && !some && absent > 0 {
		err = ErrEmptySnapshot // the caller's transaction is rolled back
	}
	return absent, err
}

// Apply brings decoded records into the store and returns what became of them and the numbers of the records that
// were seen. The newer version wins whatever the order of arrival; of equal times the later read (R2). Unchanged
// records write nothing (R3).
func Apply(ctx context.Context, tx store.Tx, st Store, stream workspace.Stream, records []connector.Record) (run.Counts, []int64, error) {
	if len(records) == 0 {
		return run.Counts{}, nil, nil
	}
	keys := make([]string, 0, len(records))
	for _, rec := range records {
		keys = append(keys, rec.Key)
		keys = append(keys, rec.MergedKeys...)
	}
	existing, err := st.Existing(ctx, tx, stream, keys)
	if err != nil {
		return run.Counts{}, nil, fmt.Errorf("looking up records: %w", err)
	}
	var counts run.Counts
	var puts []Put
	at := map[string]int{} // position in puts of a key's newest state in this page
	state := func(key string) (Stored, bool) {
		if i, ok := at[key]; ok {
			p := puts[i]
			return Stored{ID: p.ID, Hash: p.Hash, UpdatedAt: p.UpdatedAt, Sequence: p.Sequence, Deleted: p.Deleted}, true
		}
		old, ok := existing[key]
		return old, ok
	}
	put := func(p Put) {
		if i, ok := at[p.Key]; ok {
			p.ID = puts[i].ID
			puts[i] = p
			return
		}
		at[p.Key] = len(puts)
		puts = append(puts, p)
	}
	var whole []string
	for _, rec := range records {
		counts.Read++
		old, known := state(rec.Key)
		switch decide(old, known, rec) {
		case stale:
			counts.Ignored++
		case buried:
			// Nothing is there to delete, but the time of the deletion outlives an older version that comes later (R2).
			counts.Ignored++
			put(Put{ID: old.ID, Key: rec.Key, Hash: hashOf(nil), UpdatedAt: rec.UpdatedAt, Deleted: true})
		case same:
			counts.Unchanged++
			whole = append(whole, rec.Key)
			if rec.UpdatedAt.After(old.UpdatedAt) {
				// The content stayed, but the version is newer: it wins against one in between that comes later (R2), and
				// against other records of the same customer.
				put(Put{ID: old.ID, Key: rec.Key, Hash: old.Hash, Data: rec.Data, UpdatedAt: rec.UpdatedAt, Sequence: rec.Sequence})
			}
		case removed:
			counts.Deleted++
			put(Put{ID: old.ID, Key: rec.Key, Hash: hashOf(nil), UpdatedAt: rec.UpdatedAt, Deleted: true})
		case changed:
			counts.Stored++
			whole = append(whole, rec.Key)
			put(Put{ID: old.ID, Key: rec.Key, Hash: hashOf(rec.Data), Data: rec.Data, UpdatedAt: rec.UpdatedAt, Sequence: rec.Sequence})
		}
		for _, merged := range rec.MergedKeys {
			gone, known := state(merged)
			if merged == rec.Key || (known && (gone.Deleted || rec.UpdatedAt.Before(gone.UpdatedAt))) {
				continue
			}
			// Also of one not stored yet: an older version of it may still come (R2).
			put(Put{ID: gone.ID, Key: merged, Hash: hashOf(nil), UpdatedAt: rec.UpdatedAt, Deleted: true})
		}
	}
	ids, err := st.PutRecords(ctx, tx, stream, puts)
	if err != nil {
		return run.Counts{}, nil, fmt.Errorf("storing records: %w", err)
	}
	if err := st.ResolveDeadLetters(ctx, tx, stream, whole); err != nil {
		return run.Counts{}, nil, fmt.Errorf("resolving dead letters: %w", err)
	}
	seen := make([]int64, 0, len(records))
	for _, rec := range records {
		if rec.Deleted {
			continue
		}
		if i, ok := at[rec.Key]; ok {
			seen = append(seen, ids[i])
		} else if old, ok := existing[rec.Key]; ok {
			seen = append(seen, old.ID)
		}
	}
	return counts, seen, nil
}

type decision int

const (
	changed decision = iota
	same
	removed
	buried
	stale
)

func decide(old Stored, known bool, rec connector.Record) decision {
	older := known && !old.UpdatedAt.IsZero() && !rec.UpdatedAt.IsZero() && rec.UpdatedAt.Before(old.UpdatedAt)
	switch {
	case older:
		return stale
	case rec.Deleted && !known, rec.Deleted && old.Deleted && rec.UpdatedAt.After(old.UpdatedAt):
		return buried
	case rec.Deleted && old.Deleted:
		return stale
	case rec.Deleted:
		return removed
	case known && !old.Deleted && old.Sequence == rec.Sequence && string(old.Hash) == string(hashOf(rec.Data)):
		return same
	default:
		return changed
	}
}

// hashOf is the content hash of a record: the first 16 bytes of SHA-256 over the canonical JSON.
func hashOf(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:16]
}

// AsProblem returns the problem in an error of a source, or one of kind bug for anything else.
func AsProblem(err error) *connector.Problem {
	var p *connector.Problem
	if errors.As(err, &p) {
		return p
	}
	return &connector.Problem{Kind: connector.Bug, Message: err.Error()}
}
