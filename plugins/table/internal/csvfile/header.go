package csvfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// mark is a place in the file: an offset and the physical lines before it.
type mark struct {
	offset int64
	lines  int
}

// preamble passes over a byte order mark and the line "sep=;" that Excel writes and obeys. It returns where the
// header starts and the delimiter, when that line states one.
func (r *Reader) preamble() (start mark, delimiter rune, err error) {
	r.source.allow(MaxRow)
	head, err := r.buffer.Peek(len("\xef\xbb\xbfsep=;\r\n"))
	if err != nil && !errors.Is(err, io.EOF) {
		return mark{}, 0, err
	}
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return mark{}, 0, &HeaderError{Line: 1, Message: "the file is UTF-16; save it as CSV UTF-8"}
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte{0xd0, 0xcf, 0x11, 0xe0}) {
		return mark{}, 0, &HeaderError{Line: 1, Message: "the file is a spreadsheet, not text; save it as CSV UTF-8"}
	}
	if bytes.HasPrefix(head, byteOrderMark) {
		r.bom = true
		head, start.offset = head[len(byteOrderMark):], int64(len(byteOrderMark))
	}
	line, _, found := bytes.Cut(head, []byte("\n"))
	if text := strings.TrimRight(string(line), "\r"); found && strings.HasPrefix(text, "sep=") && len(text) == len("sep=;") {
		start.offset += int64(len(line)) + 1
		start.lines = 1
		delimiter = rune(text[len("sep=")])
		if delimiter == '"' || delimiter == '\r' || delimiter >= 0x80 {
			return mark{}, 0, &HeaderError{Line: 1, Message: "the line \"sep=\" names a character that cannot be a delimiter"}
		}
	}
	return start, delimiter, nil
}

// detect finds the delimiter under which the header has most of the columns the caller looks for and, among
// equals, most cells.
func (r *Reader) detect(start mark, columns []string) (rune, error) {
	wanted := make(map[string]bool, len(columns))
	for _, column := range columns {
		wanted[column] = true
	}
	var best rune
	var firstErr error
	bestFound, bestCells := -1, 0
	for _, delimiter := range Delimiters {
		if err := r.readHeader(start, delimiter); err != nil {
			if firstErr == nil {
				firstErr = err
			}
			continue
		}
		found := 0
		for _, name := range r.header {
			if wanted[name] {
				found++
			}
		}
		if found > bestFound || found == bestFound && len(r.header) > bestCells {
			best, bestFound, bestCells = delimiter, found, len(r.header)
		}
	}
	if best == 0 {
		return 0, firstErr
	}
	return best, nil
}

// readHeader reads the header with a delimiter and leaves the reader before the first row.
func (r *Reader) readHeader(start mark, delimiter rune) error {
	if err := r.seek(start.offset); err != nil {
		return err
	}
	r.begin(start.offset, start.lines, delimiter)
	r.source.allow(MaxRow)
	cells, err := r.csv.Read()
	var broken *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return &HeaderError{Line: 1, Message: "the file is empty; its first line must name the columns"}
	case errors.Is(err, errRowTooLarge):
		return &HeaderError{Line: start.lines + 1, Message: fmt.Sprintf("the header is longer than %d bytes", MaxRow)}
	case errors.As(err, &broken):
		return &HeaderError{Line: start.lines + broken.StartLine, Message: "the quotes in the header are broken"}
	case err != nil:
		return err
	}
	r.line, r.lines = r.position(cells)
	for i, text := range cells {
		decoded, ok := r.decode(text)
		if !ok {
			return &HeaderError{Line: r.line, Message: fmt.Sprintf(
				"the header's cell %d holds bytes that are not valid in the encoding; check \"encoding\"", i+1)}
		}
		cells[i] = strings.TrimSpace(decoded)
	}
	r.header, r.delimiter = slices.Clone(cells), delimiter
	if allEmpty(cells) {
		return &HeaderError{Line: r.line, Message: "the header names no column"}
	}
	// The record ends with the line's own end, so the two bytes before the offset tell which one it is.
	end := r.Offset()
	ending := make([]byte, 2)
	if n, err := r.source.readAt(ending, end-2); err == nil && n == 2 {
		r.crlf = ending[0] == '\r' && ending[1] == '\n'
	}
	return nil
}

// seek makes the buffer stand at an offset of the file.
func (r *Reader) seek(offset int64) error {
	r.source.allow(unbounded)
	if err := r.source.seek(offset); err != nil {
		return err
	}
	r.buffer.Reset(r.source)
	return nil
}

// begin lets a new CSV reader take over at the buffer's position.
func (r *Reader) begin(offset int64, lines int, delimiter rune) {
	r.base, r.baseLine, r.lines = offset, lines, lines
	// The buffer is large enough for csv.NewReader to use it as it is: nothing is read ahead elsewhere.
	r.csv = csv.NewReader(r.buffer)
	r.csv.Comma = delimiter
	r.csv.FieldsPerRecord = -1
	r.csv.ReuseRecord = true
}

func allEmpty(cells []string) bool {
	for _, cell := range cells {
		if cell != "" {
			return false
		}
	}
	return true
}
