package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/regulars/regulars/sdk"
)

const (
	pageRows = 500
	// pageBytes bounds the rows of a page so that their records stay below the protocol's size and the SDK need not
	// cut the page: a cut page could not go on if the file changed in between.
	pageBytes = 256 << 10
	// pageScan is how many rows may be passed over before a page is given out although it is not full.
	pageScan = 100_000
	// maxRestarts is how often a read begins again at once because a file changed under it; then it waits a while.
	maxRestarts = 3
	restartWait = time.Minute
)

// source reads one stream.
type source[E any] struct {
	table    *table[E]
	sessions *sessions
	now      func() time.Time
}

// read returns the page after the cursor, see sdk.StreamOf.
func (s *source[E]) read(ctx context.Context, cfg config, req sdk.ReadRequest) (sdk.Page[E], error) {
	b := cfg.block(s.table.stream)
	if b == nil {
		// Not in use now; what was read before is remembered in case it comes back.
		c, err := decodeCursor(req.Cursor)
		return sdk.Page[E]{Next: c.encode()}, err
	}
	config := b.fingerprint(cfg.Folder, req.Call)
	w := s.sessions.take(sessionKey(s.table.stream, config, req.Cursor))
	var err error
	if w != nil {
		err = w.stillSame()
	} else {
		var done *cursor
		w, done, err = s.begin(ctx, cfg, b, config, req.Cursor, false)
		if done != nil {
			return sdk.Page[E]{Next: done.encode()}, nil
		}
	}
	if err == nil {
		var page sdk.Page[E]
		page, err = s.fill(ctx, w, config, req)
		if err == nil {
			if page.More {
				s.sessions.put(sessionKey(s.table.stream, config, page.Next), w)
			} else {
				w.close()
			}
			return page, nil
		}
	}
	if w != nil {
		w.close()
	}
	if errors.Is(err, errChanged) {
		return s.restart(ctx, cfg, b, config, req.Cursor)
	}
	return sdk.Page[E]{}, err
}

// begin finds out where a cursor stands: in the middle of a read whose files are as they were, or before one. done is
// set, and no walk, when there is nothing to read.
func (s *source[E]) begin(ctx context.Context, cfg config, b *block, config string, position []byte, afresh bool) (w *walk, done *cursor, err error) {
	c, err := decodeCursor(position)
	if err != nil {
		return nil, nil, err
	}
	root, err := openFolder(cfg.Folder)
	if err != nil {
		return nil, nil, err
	}
	keepRoot := false
	defer func() {
		if !keepRoot {
			_ = root.Close() // nothing was written
		}
	}()
	files, err := listFiles(root, cfg.Folder, s.table.stream, b, s.now())
	if err != nil {
		return nil, nil, err
	}
	if c.Run != nil && c.Config == config && !afresh && slices.EqualFunc(c.Files, files, fileState.same) {
		w := newWalk(root, b, s.table.definition, c.Files, c.Run.Snapshot)
		keepRoot = true
		return w, nil, w.skipTo(ctx, *c.Run)
	}
	p, err := compare(root, s.table.stream, c.finished(config), files, b.DeleteMissing)
	if err != nil {
		return nil, nil, err
	}
	if !p.changed {
		return nil, &cursor{Config: config, Files: p.files}, nil
	}
	snapshot := ""
	if b.DeleteMissing {
		snapshot = snapshotName(config, p.files)
	}
	keepRoot = true
	w = newWalk(root, b, s.table.definition, p.files, snapshot)
	if c.Run != nil {
		w.restarts = c.Run.Restarts + 1
	}
	return w, nil, nil
}

// restart begins a read again whose files changed: what was given out of them may be of two states.
func (s *source[E]) restart(ctx context.Context, cfg config, b *block, config string, position []byte) (sdk.Page[E], error) {
	w, done, err := s.begin(ctx, cfg, b, config, position, true)
	if err != nil {
		return sdk.Page[E]{}, err
	}
	if done != nil {
		return sdk.Page[E]{Next: done.encode()}, nil
	}
	defer w.close()
	if w.restarts > maxRestarts {
		w.restarts = 0
		return sdk.Page[E]{Next: w.cursor(config).encode(), NotReadyUntil: s.now().Add(restartWait)}, nil
	}
	return sdk.Page[E]{Next: w.cursor(config).encode(), More: true, Snapshot: w.snapshot}, nil
}

// fill makes a page of the next rows.
func (s *source[E]) fill(ctx context.Context, w *walk, config string, req sdk.ReadRequest) (sdk.Page[E], error) {
	limit := pageRows
	if req.Max > 0 && req.Max < limit {
		limit = req.Max
	}
	page := sdk.Page[E]{Snapshot: w.snapshot, Records: make([]sdk.Record[E], 0, limit)}
	var m *mapping[E]
	size := 0
	for scanned := 0; scanned < pageScan && size < pageBytes && len(page.Records)+len(page.Skipped) < limit; scanned++ {
		if scanned%contextEvery == 0 {
			if ctx.Err() != nil {
				return page, ctx.Err()
			}
			if end := req.Budget.Deadline; scanned > 0 && !end.IsZero() && s.now().After(end) {
				break
			}
		}
		row, err := w.next()
		if errors.Is(err, io.EOF) {
			return s.finish(page, w, config), nil
		} else if err != nil {
			return page, err
		}
		if !row.give {
			continue
		}
		size += row.size
		if row.problem == nil {
			if m == nil || m.layout != w.layout {
				if m, err = newMapping(s.table, w.layout, w.block, req.Zone, req.Currency); err != nil {
					return page, err
				}
			}
			entity, updatedAt, err := m.build(row.cells)
			if err == nil {
				page.Records = append(page.Records, sdk.Record[E]{
					Key: row.key, UpdatedAt: updatedAt, Entity: entity, Sequence: row.sequence, Place: m.place(row.line, ""),
				})
				continue
			}
			row.reject(w.layout, err)
		}
		page.Skipped = append(page.Skipped, sdk.Skipped{Key: row.key, Problem: row.problem, Raw: row.raw, Sequence: row.sequence})
	}
	page.Next, page.More = w.cursor(config).encode(), true
	return page, nil
}

// finish is the last page of a read. In doubt it names no snapshot: a row that could not be told might be any of the
// records that seem to be absent.
func (s *source[E]) finish(page sdk.Page[E], w *walk, config string) sdk.Page[E] {
	if w.doubt {
		page.Snapshot = ""
	}
	files := slices.Clone(w.files)
	for i := range files {
		files[i].Give = false
	}
	page.Next = cursor{Config: config, Files: files}.encode()
	return page
}
