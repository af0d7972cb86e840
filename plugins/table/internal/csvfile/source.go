package csvfile

import (
	"crypto/sha256"
	"hash"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

const unbounded = -1

// source is the file below the reader. It hashes every byte once, however often the reader goes back, and can
// bound how much is read for one row.
type source struct {
	file   io.ReadSeeker
	offset int64
	hashed int64 // the bytes before it are in hash
	hash   hash.Hash
	left   int // bytes that may still be read; unbounded when negative
}

func newSource(file io.ReadSeeker) *source {
	return &source{file: file, hash: sha256.New(), left: unbounded}
}

// allow bounds what may be read until the next call.
func (s *source) allow(bytes int) { s.left = bytes }

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, errRowTooLarge
	}
	if s.left > 0 && len(p) > s.left {
		p = p[:s.left]
	}
	n, err := s.file.Read(p)
	if s.left > 0 {
		s.left -= n
	}
	if end := s.offset + int64(n); end > s.hashed {
		// Going back never leaves a gap, as the reader only seeks to where it has been.
		s.hash.Write(p[max(s.hashed-s.offset, 0):n])
		s.hashed = end
	}
	s.offset += int64(n)
	return n, err
}

func (s *source) seek(offset int64) error {
	_, err := s.file.Seek(offset, io.SeekStart)
	s.offset = offset
	return err
}

func (s *source) sum() ([]byte, int64) { return s.hash.Sum(nil), s.hashed }

// readAt reads without moving the position.
func (s *source) readAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, io.EOF
	}
	if _, err := s.file.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(s.file, p)
	if _, back := s.file.Seek(s.offset, io.SeekStart); back != nil {
		return n, back
	}
	return n, err
}

func decodeUTF8(text string) (string, bool) {
	if utf8.ValidString(text) {
		return text, true
	}
	return strings.ToValidUTF8(text, "\ufffd"), false
}

// windows1251 maps the upper half of the code page; the one byte without a meaning is utf8.RuneError.
var windows1251 = func() (table [128]rune) {
	for i := range table {
		table[i] = charmap.Windows1251.DecodeByte(byte(i + 128))
	}
	return table
}()

func decodeWindows1251(text string) (string, bool) {
	plain := true
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return text, true
	}
	var b strings.Builder
	b.Grow(2 * len(text))
	valid := true
	for i := range len(text) {
		r := rune(text[i])
		if r >= utf8.RuneSelf {
			r = windows1251[r-utf8.RuneSelf]
			valid = valid && r != utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String(), valid
}
