package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/regulars/regulars/plugins/table/internal/csvfile"
	"github.com/regulars/regulars/sdk"
)

// rows is a file read row by row. Another format of table files joins here.
type rows interface {
	Header() []string
	HeaderLine() int
	// Next returns io.EOF after the last row and *csvfile.RowError for one that cannot be read.
	Next() (csvfile.Row, error)
	// Offset grows with every row.
	Offset() int64
	// Sum returns the SHA-256 of what was read, and its length.
	Sum() ([]byte, int64)
}

// walk goes through the rows of a stream's files in order. It is the state of a read between two pages; a fresh
// process makes the same one from the run in the cursor by going through the rows again.
type walk struct {
	root  *os.Root
	block *block
	def   definition
	files []fileState
	tally *tally

	index  int   // of the file being read
	offset int64 // after the last row read of it; 0 before the first
	file   *os.File
	rows   rows
	layout *layout
	doubt  bool

	snapshot string
	restarts int
}

// errChanged says that a file is not what it was when the read began.
var errChanged = errors.New("a file changed while it was read")

func newWalk(root *os.Root, b *block, def definition, files []fileState, snapshot string) *walk {
	w := &walk{root: root, block: b, def: def, files: files, tally: newTally(), snapshot: snapshot}
	given := false
	for _, f := range files {
		given = given || f.Give
		w.tally.watch = w.tally.watch || given && !f.Give
	}
	return w
}

func (w *walk) close() {
	w.closeFile()
	_ = w.root.Close() // nothing was written
}

func (w *walk) closeFile() {
	if w.file != nil {
		_ = w.file.Close() // nothing was written
	}
	w.file, w.rows, w.layout, w.offset = nil, nil, nil, 0
}

// across says that keys or sequences depend on rows of earlier files.
func (w *walk) across() bool {
	_, keyed := w.block.Columns[fieldKey]
	return len(w.def.rank) > 0 || w.def.repeats || w.def.keys == keyOfRow && !keyed
}

// wanted says whether the rows of a file matter: it is given out, or it stands before a file whose rows depend on it,
// or behind one that may affect its own.
func (w *walk) wanted(index int) bool {
	if w.files[index].Give {
		return true
	}
	for i, f := range w.files {
		if f.Give && (i < index || w.across()) {
			return true
		}
	}
	return false
}

// step is what became of one row.
type step struct {
	// give says that the row belongs into the page; otherwise all else is empty.
	give     bool
	cells    []string
	key      string
	line     int
	sequence int64
	size     int
	// problem is set when no record can be made of the row; raw is the row then.
	problem *sdk.Problem
	raw     []byte
}

// next takes the next row. It returns io.EOF when all files are read.
func (w *walk) next() (step, error) {
	for w.index < len(w.files) {
		if !w.wanted(w.index) {
			w.index++
			continue
		}
		if w.rows == nil {
			if err := w.open(); err != nil {
				return step{}, err
			}
		}
		row, err := w.rows.Next()
		if errors.Is(err, io.EOF) {
			if err := w.finishFile(); err != nil {
				return step{}, err
			}
			continue
		}
		w.offset = w.rows.Offset()
		given := w.files[w.index].Give
		var broken *csvfile.RowError
		switch {
		case errors.As(err, &broken):
			if !given || broken.Rule == csvfile.RuleEncoding && !w.layout.matches(broken.Cells) {
				return step{}, nil
			}
			return w.brokenRow(broken), nil
		case err != nil:
			return step{}, sdk.Upstream("%s cannot be read: %s", w.files[w.index].Path, reason(err))
		case !w.layout.matches(row.Cells):
			return step{}, nil
		}
		v := w.tally.observe(w.layout, row.Cells, given)
		if v.same || !given && !v.touched {
			return step{}, nil
		}
		s := step{give: true, cells: row.Cells, line: row.Line, sequence: v.sequence, size: row.Size}
		if v.broken != errKeyMissing {
			s.key = w.layout.keyOf(row.Cells, v)
		}
		if v.broken != nil {
			s.reject(w.layout, &cellError{w.keyColumn(), v.broken})
		}
		w.doubt = w.doubt || s.key == ""
		return s, nil
	}
	return step{}, io.EOF
}

func (w *walk) keyColumn() string {
	if w.layout.key < 0 {
		return ""
	}
	return w.layout.header[w.layout.key]
}

// reject turns a row into one that no record can be made of.
func (s *step) reject(l *layout, err error) {
	s.problem, s.raw = l.problem(s.line, err), l.raw(s.cells)
}

// brokenRow is a row whose cells cannot be trusted, so that its key is not known either.
func (w *walk) brokenRow(broken *csvfile.RowError) step {
	w.doubt = true
	column := ""
	if broken.Column >= 0 && broken.Column < len(w.layout.header) {
		column = w.layout.header[broken.Column]
	}
	s := step{give: true, line: broken.Line, size: broken.Size}
	s.problem = sdk.Rejected(broken.Rule, "%s", broken.Message).At("%s", w.layout.place(broken.Line, column))
	if broken.Cells != nil {
		s.raw = w.layout.raw(broken.Cells)
		return s
	}
	raw, err := json.Marshal(map[string]string{"line": broken.Text})
	if err != nil {
		panic(err) // a map of strings
	}
	s.raw = raw
	return s
}

// open opens the current file and finds the columns in its header.
func (w *walk) open() error {
	f := w.files[w.index]
	file, err := w.root.Open(f.Path)
	if errors.Is(err, os.ErrNotExist) {
		return errChanged
	} else if err != nil {
		return unreadable(w.root, w.def.stream, f.Path, err)
	}
	w.file = file
	info, err := file.Stat()
	if err != nil {
		return sdk.Upstream("%s cannot be read: %s", f.Path, reason(err))
	}
	if info.Size() != f.Size || info.ModTime().UnixNano() != f.MTime {
		return errChanged
	}
	opened, l, problems := openTable(file, f.Path, w.block, w.def)
	if len(problems) > 0 {
		return problems[0]
	}
	w.rows, w.layout = opened, l
	w.tally.nextFile()
	return nil
}

// openTable reads the header of a file and finds the block's columns in it.
func openTable(file io.ReadSeeker, path string, b *block, def definition) (rows, *layout, []*sdk.Problem) {
	r, err := csvfile.New(file, b.readingOptions())
	var header *csvfile.HeaderError
	switch {
	case errors.As(err, &header):
		p := sdk.InvalidConfig(def.stream+".file", "%s: %s", path, header.Message)
		p.Rule = "header"
		return nil, nil, []*sdk.Problem{p.At("%s line %d", path, header.Line)}
	case err != nil:
		return nil, nil, []*sdk.Problem{sdk.Upstream("%s cannot be read: %s", path, reason(err))}
	}
	l, problems := newLayout(b, def, path, r.HeaderLine(), r.Header())
	return r, l, problems
}

// finishFile leaves the current file behind if it is still what it was when the read began.
func (w *walk) finishFile() error {
	f := &w.files[w.index]
	sum, read := w.rows.Sum()
	if err := w.stillSame(); err != nil {
		return err
	}
	if f.Give {
		text := hex.EncodeToString(sum)
		if read != f.Size || f.Sum != "" && f.Sum != text {
			return errChanged
		}
		f.Sum = text
	}
	w.closeFile()
	w.index++
	return nil
}

// stillSame compares the file being read with what it was.
func (w *walk) stillSame() error {
	if w.rows == nil {
		return nil
	}
	f := w.files[w.index]
	info, err := w.root.Stat(f.Path)
	if errors.Is(err, os.ErrNotExist) {
		return errChanged
	} else if err != nil {
		return sdk.Upstream("%s cannot be read: %s", f.Path, reason(err))
	}
	if info.Size() != f.Size || info.ModTime().UnixNano() != f.MTime {
		return errChanged
	}
	return nil
}

// contextEvery is how many rows may pass before a cancelled call is noticed.
const contextEvery = 1024

// skipTo goes through the rows up to the position of a run, as the tallies depend on them.
func (w *walk) skipTo(ctx context.Context, r run) error {
	if !w.across() && !w.tally.watch {
		w.index = min(r.Index, len(w.files))
	}
	for n := 0; w.index < r.Index || w.index == r.Index && w.offset < r.Offset; n++ {
		if n%contextEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := w.next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if w.index != r.Index || w.offset != r.Offset {
		// Size and time are the same, yet the rows end elsewhere.
		return errChanged
	}
	w.doubt, w.restarts = r.Doubt, r.Restarts
	return nil
}

// cursor is the read's position, from which any process can go on.
func (w *walk) cursor(config string) cursor {
	return cursor{Config: config, Files: w.files, Run: &run{
		Index: w.index, Offset: w.offset, Snapshot: w.snapshot, Doubt: w.doubt, Restarts: w.restarts,
	}}
}
