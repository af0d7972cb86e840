// Package csvfile reads delimited text files with a header, row by row, so that a bad row costs one row: it is
// reported with its physical line, and reading goes on at the next one.
package csvfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Encoding is how a file's bytes stand for characters.
type Encoding string

// The encodings that can be read. A byte order mark before UTF-8 is skipped.
const (
	UTF8        Encoding = "utf-8"
	Windows1251 Encoding = "windows-1251"
)

// Delimiters are the characters that may separate cells, in the order they are tried when a file does not say.
var Delimiters = []rune{',', ';', '\t', '|'}

// MaxRow is how many bytes one row may take. It bounds what an opening quote without a closing one can swallow
// before reading goes on at the next line.
const MaxRow = 1 << 20

const readAhead = 64 << 10

// Options say how to read a file.
type Options struct {
	// Delimiter between cells; 0 detects it from the header.
	Delimiter rune
	// Encoding; empty means UTF8.
	Encoding Encoding
	// Columns the caller looks for. The delimiter under which the header has most of them is taken.
	Columns []string
}

// Row is one row of a file. Cells is valid until the next call of Next and as long as the header, without the
// spaces around each cell.
type Row struct {
	// Line is the physical line the row starts on, counted from 1; LastLine the one it ends on.
	Line, LastLine int
	Cells          []string
	// Size is the row's length in bytes.
	Size int
}

// HeaderError says that a file has no usable header.
type HeaderError struct {
	Line    int
	Message string
}

// Error implements error.
func (e *HeaderError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// The rules a row can break before its cells are looked at.
const (
	RuleQuoting   = "quoting"
	RuleCellCount = "cell_count"
	RuleEncoding  = "encoding"
	RuleRowSize   = "row_too_large"
)

// RowError says that one row cannot be read. Reading can go on after it.
type RowError struct {
	Line, LastLine int
	Rule           string
	Message        string // without anything of the row's content
	// Cells of the row as far as they could be told apart; nil when the quoting is broken.
	Cells []string
	// Text is the row's first line when Cells is nil, cut at MaxRow.
	Text string
	// Column is the index of the cell at fault, -1 when it is the whole row.
	Column int
	Size   int
}

// Error implements error.
func (e *RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// Reader reads one file. It is not safe for concurrent use.
type Reader struct {
	source    *source
	buffer    *bufio.Reader
	csv       *csv.Reader
	decode    func(string) (string, bool)
	base      int64 // where csv began to read, and the physical lines before that
	baseLine  int
	lines     int // physical lines up to the end of the last row read
	header    []string
	line      int // of the header
	delimiter rune
	bom, crlf bool
}

var errRowTooLarge = errors.New("row too large")

// New reads the header of a file from its start. It returns a *HeaderError when there is none it can use.
func New(file io.ReadSeeker, options Options) (*Reader, error) {
	r := &Reader{source: newSource(file), decode: decodeUTF8}
	if options.Encoding == Windows1251 {
		r.decode = decodeWindows1251
	}
	r.buffer = bufio.NewReaderSize(r.source, readAhead)
	start, delimiter, err := r.preamble()
	if err != nil {
		return nil, err
	}
	if options.Delimiter != 0 {
		delimiter = options.Delimiter
	}
	if delimiter == 0 {
		if delimiter, err = r.detect(start, options.Columns); err != nil {
			return nil, err
		}
	}
	if err := r.readHeader(start, delimiter); err != nil {
		return nil, err
	}
	return r, nil
}

// Header returns the names of the columns, without the spaces around them.
func (r *Reader) Header() []string { return r.header }

// HeaderLine returns the physical line of the header.
func (r *Reader) HeaderLine() int { return r.line }

// Delimiter returns the delimiter in use.
func (r *Reader) Delimiter() rune { return r.delimiter }

// ByteOrderMark says whether the file starts with one.
func (r *Reader) ByteOrderMark() bool { return r.bom }

// CRLF says whether the header line ends with a carriage return before the line feed.
func (r *Reader) CRLF() bool { return r.crlf }

// Offset is where the next row starts, in bytes from the file's start.
func (r *Reader) Offset() int64 { return r.base + r.csv.InputOffset() }

// Sum returns the SHA-256 of the bytes read so far and their number; after io.EOF that is the whole file.
func (r *Reader) Sum() ([]byte, int64) { return r.source.sum() }

// Next returns the next row, io.EOF after the last one, or a *RowError for a row that cannot be read, after which
// Next may be called again. Empty lines and rows of empty cells are passed over. Any other error is the disk's.
func (r *Reader) Next() (Row, error) {
	for {
		start := r.csv.InputOffset()
		r.source.allow(MaxRow)
		cells, err := r.csv.Read()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return Row{}, io.EOF
		case errors.Is(err, errRowTooLarge):
			return Row{}, r.skipLine(start, RuleRowSize, fmt.Sprintf(
				"the row is longer than %d bytes, or a quote is opened and never closed; the rest of it is read as further rows", MaxRow))
		default:
			var broken *csv.ParseError
			if !errors.As(err, &broken) {
				return Row{}, err
			}
			return Row{}, r.skipLine(start, RuleQuoting,
				"the quotes are broken: a cell with a quote in it must be put in quotes and the inner quote doubled")
		}
		row := Row{Cells: cells, Size: int(r.csv.InputOffset() - start)}
		row.Line, row.LastLine = r.position(cells)
		r.lines = row.LastLine
		invalid, empty := r.clean(cells)
		if empty {
			continue
		}
		if len(cells) != len(r.header) {
			if len(cells) < len(r.header) || !allEmpty(cells[len(r.header):]) {
				return Row{}, &RowError{
					Line: row.Line, LastLine: row.LastLine, Rule: RuleCellCount, Cells: cells, Column: -1, Size: row.Size,
					Message: fmt.Sprintf("the row has %d cells and the header %d; is a delimiter inside a cell that is not in quotes?",
						len(cells), len(r.header)),
				}
			}
			row.Cells = cells[:len(r.header)]
		}
		if invalid >= 0 {
			return Row{}, &RowError{
				Line: row.Line, LastLine: row.LastLine, Rule: RuleEncoding, Cells: row.Cells, Column: invalid, Size: row.Size,
				Message: "the cell holds bytes that are not valid in the encoding; check \"encoding\"",
			}
		}
		return row, nil
	}
}

// position tells the physical lines a row just read begins and ends on.
func (r *Reader) position(cells []string) (first, last int) {
	first, _ = r.csv.FieldPos(0)
	last, _ = r.csv.FieldPos(len(cells) - 1)
	return r.baseLine + first, r.baseLine + last + strings.Count(cells[len(cells)-1], "\n")
}

// clean decodes and trims the cells in place. It returns the first one with invalid bytes (else -1) and whether
// all are empty.
func (r *Reader) clean(cells []string) (invalid int, empty bool) {
	invalid, empty = -1, true
	for i, text := range cells {
		decoded, ok := r.decode(text)
		if !ok && invalid < 0 {
			invalid = i
		}
		cells[i] = strings.TrimSpace(decoded)
		empty = empty && cells[i] == ""
	}
	return invalid, empty
}

// skipLine goes on at the physical line after the one that the row at offset start (from base) begins on, so
// that a quote left open costs that line only and not the rest of the file.
func (r *Reader) skipLine(start int64, rule, message string) error {
	offset, lines := r.base+start, r.lines
	if err := r.seek(offset); err != nil {
		return err
	}
	for {
		text, size, err := r.readLine()
		if err != nil && size == 0 {
			return err
		}
		offset += int64(size)
		lines++
		if len(bytes.TrimRight(text, "\r\n")) == 0 {
			continue
		}
		r.begin(offset, lines, r.delimiter)
		decoded, _ := r.decode(strings.TrimRight(string(text), "\r\n"))
		return &RowError{Line: lines, LastLine: lines, Rule: rule, Message: message, Text: decoded, Column: -1, Size: size}
	}
}

// readLine returns the next physical line cut at MaxRow, and how long it really was.
func (r *Reader) readLine() (text []byte, size int, err error) {
	for {
		part, err := r.buffer.ReadSlice('\n')
		size += len(part)
		if room := MaxRow - len(text); room > 0 {
			text = append(text, part[:min(room, len(part))]...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, size, err
		}
	}
}
