package csvfile_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"

	"github.com/regulars/regulars/plugins/table/internal/csvfile"
)

// readAll returns every row as "line-lastLine: cells" and every bad one as "line: rule".
func readAll(t testing.TB, content string, options csvfile.Options) (header []string, rows []string) {
	t.Helper()
	r, err := csvfile.New(strings.NewReader(content), options)
	require.NoError(t, err)
	last := int64(0)
	for {
		row, err := r.Next()
		var broken *csvfile.RowError
		switch {
		case errors.Is(err, io.EOF):
			sum, n := r.Sum()
			want := sha256.Sum256([]byte(content))
			require.Equal(t, want[:], sum, "the sum is of every byte once")
			require.EqualValues(t, len(content), n)
			return r.Header(), rows
		case errors.As(err, &broken):
			rows = append(rows, fmt.Sprintf("%d: %s", broken.Line, broken.Rule))
		default:
			require.NoError(t, err)
			rows = append(rows, fmt.Sprintf("%d-%d: %s", row.Line, row.LastLine, strings.Join(row.Cells, "|")))
		}
		require.Greater(t, r.Offset(), last)
		last = r.Offset()
	}
}

func TestRows(t *testing.T) {
	for _, test := range []struct {
		name, content string
		options       csvfile.Options
		header        []string
		rows          []string
	}{
		{
			"plain", "a,b\n1,2\n3,4\n", csvfile.Options{}, []string{"a", "b"}, []string{"2-2: 1|2", "3-3: 3|4"},
		},
		{
			"no line end after the last row", "a,b\r\n1,2\r\n3,4", csvfile.Options{}, []string{"a", "b"}, []string{"2-2: 1|2", "3-3: 3|4"},
		},
		{
			"spaces around cells", " a ,\u00a0b\n 1 , 2\u00a0\n", csvfile.Options{}, []string{"a", "b"}, []string{"2-2: 1|2"},
		},
		{
			"empty lines and rows count as lines", "\na;b\n\n;\n1;2\n \n", csvfile.Options{}, []string{"a", "b"}, []string{"5-5: 1|2"},
		},
		{
			"quoted line ends count as lines", "a,b\n\"x\ny\r\nz\",2\n3,\"4\n\"\n5,6\n",
			csvfile.Options{},
			[]string{"a", "b"},
			[]string{"2-4: x\ny\nz|2", "5-6: 3|4", "7-7: 5|6"},
		},
		{
			"header over two lines", "\"sum,\nRUB\",b\n1,2\n", csvfile.Options{}, []string{"sum,\nRUB", "b"}, []string{"3-3: 1|2"},
		},
		{
			"byte order mark and semicolons", "\ufeffимя;город\nАнна;Тверь\n", csvfile.Options{}, []string{"имя", "город"}, []string{"2-2: Анна|Тверь"},
		},
		{"tab", "a\tb\n1\t2,5\n", csvfile.Options{}, []string{"a", "b"}, []string{"2-2: 1|2,5"}},
		{"bar", "a|b\n1|2\n", csvfile.Options{}, []string{"a", "b"}, []string{"2-2: 1|2"}},
		{"sep line", "sep=;\r\na,x;b\r\n1;2\r\n", csvfile.Options{}, []string{"a,x", "b"}, []string{"3-3: 1|2"}},
		{"one column", "email\na@example.com\n", csvfile.Options{}, []string{"email"}, []string{"2-2: a@example.com"}},
		{
			"the wanted columns decide", "sum, with, VAT;b\n1;2\n",
			csvfile.Options{Columns: []string{"b"}},
			[]string{"sum, with, VAT", "b"},
			[]string{"2-2: 1|2"},
		},
		{"stated", "a;b,c\n1;2,3\n", csvfile.Options{Delimiter: ','}, []string{"a;b", "c"}, []string{"2-2: 1;2|3"}},
		{
			"cells beyond the header", "a,b\n1,2,,\n1,2,3\n1\n1,2\n",
			csvfile.Options{},
			[]string{"a", "b"},
			[]string{"2-2: 1|2", "3: cell_count", "4: cell_count", "5-5: 1|2"},
		},
		{
			"quote in a bare cell", "a,b\nOOO \"Romashka\",1\n2,3\n", csvfile.Options{}, []string{"a", "b"}, []string{"2: quoting", "3-3: 2|3"},
		},
		{
			"quote never closed", "a,b\n1,\"x\n2,y\n3,z\n",
			csvfile.Options{},
			[]string{"a", "b"},
			[]string{"2: quoting", "3-3: 2|y", "4-4: 3|z"},
		},
		{
			"quote closed by that of another row", "a,b\n1,\"x\n2,y\n\n3,\"z\"\n4,\"w\"\n",
			csvfile.Options{},
			[]string{"a", "b"},
			[]string{"2: quoting", "3-3: 2|y", "5-5: 3|z", "6-6: 4|w"},
		},
		{
			"quote never closed in the last row", "a,b\n1,2\n3,\"", csvfile.Options{}, []string{"a", "b"}, []string{"2-2: 1|2", "3: quoting"},
		},
		{
			"bytes that are not UTF-8", "a,b\n1,\xff\n2,3\n", csvfile.Options{}, []string{"a", "b"}, []string{"2: encoding", "3-3: 2|3"},
		},
		{
			"the byte Windows-1251 lacks", "a,b\n1,\x98\n2,3\n",
			csvfile.Options{Encoding: csvfile.Windows1251},
			[]string{"a", "b"},
			[]string{"2: encoding", "3-3: 2|3"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			header, rows := readAll(t, test.content, test.options)
			assert.Equal(t, test.header, header)
			assert.Equal(t, test.rows, rows)
		})
	}
}

func TestWindows1251(t *testing.T) {
	content, err := charmap.Windows1251.NewEncoder().String("Клиент;Сумма\nООО «Ромашка» № 5;10,50\nplain;1\n")
	require.NoError(t, err)
	header, rows := readAll(t, content, csvfile.Options{Encoding: csvfile.Windows1251})
	assert.Equal(t, []string{"Клиент", "Сумма"}, header)
	assert.Equal(t, []string{"2-2: ООО «Ромашка» № 5|10,50", "3-3: plain|1"}, rows)
}

// TestRowTooLarge: a quote that is opened and never closed swallows neither the memory nor the rows behind.
func TestRowTooLarge(t *testing.T) {
	var b strings.Builder
	b.WriteString("a,b\n1,\"open\n")
	const rows = 180_000
	for i := range rows {
		fmt.Fprintf(&b, "%d,x\n", i)
	}
	_, got := readAll(t, b.String(), csvfile.Options{})
	require.Len(t, got, rows+1)
	assert.Equal(t, "2: row_too_large", got[0])
	assert.Equal(t, "3-3: 0|x", got[1])
	assert.Equal(t, fmt.Sprintf("%d-%d: %d|x", rows+2, rows+2, rows-1), got[rows])

	long := "a,b\n1," + strings.Repeat("x", 3*csvfile.MaxRow) + "\n2,3\n"
	_, got = readAll(t, long, csvfile.Options{})
	assert.Equal(t, []string{"2: row_too_large", "3-3: 2|3"}, got)
}

func TestHeaderErrors(t *testing.T) {
	for _, test := range []struct {
		name, content string
		line          int
		message       string
	}{
		{"empty", "", 1, "empty"},
		{"only a byte order mark", "\ufeff", 1, "empty"},
		{"no names", "  \n", 1, "names no column"},
		{"UTF-16", "\xff\xfea\x00", 1, "UTF-16"},
		{"spreadsheet", "PK\x03\x04....", 1, "spreadsheet"},
		{"broken quotes", "\na,\"b\n1,2\n", 2, "quotes"},
		{"another encoding", "\xea\xeb,b\n", 1, "encoding"},
		{"a byte that is no delimiter", "sep=\"\na\n", 1, "delimiter"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := csvfile.New(strings.NewReader(test.content), csvfile.Options{})
			var header *csvfile.HeaderError
			require.ErrorAs(t, err, &header)
			assert.Equal(t, test.line, header.Line)
			assert.Contains(t, header.Message, test.message)
		})
	}
}

type brokenDisk struct{ io.ReadSeeker }

var errDisk = errors.New("disk")

func (brokenDisk) Read([]byte) (int, error) { return 0, errDisk }

func TestDiskErrorIsNoRow(t *testing.T) {
	_, err := csvfile.New(brokenDisk{strings.NewReader("a,b\n")}, csvfile.Options{})
	require.ErrorIs(t, err, errDisk)
}

// FuzzReader: whatever the bytes, reading ends, lines only grow, no row is longer or shorter than the header, and
// rows without a quote are never lost behind a broken one.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"a,b\n1,2\n", "a;b\n\"x\ny\";2\n", "a,b\n1,\"x\n2,y\n3,\"z\"\n", "\ufeffsep=;\r\na;b\r\n", "a,b\n\"\"\"\n1,2\n", "a\n\r\n\r1\n", "a,b\n1,\"",
	} {
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, content string, utf8 bool) {
		encoding := csvfile.UTF8
		if !utf8 {
			encoding = csvfile.Windows1251
		}
		r, err := csvfile.New(strings.NewReader(content), csvfile.Options{Encoding: encoding})
		var header *csvfile.HeaderError
		if errors.As(err, &header) {
			return
		}
		require.NoError(t, err)
		line, offset := r.HeaderLine(), r.Offset()
		total := strings.Count(content, "\n") + 1
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			first, last := row.Line, row.LastLine
			var broken *csvfile.RowError
			if errors.As(err, &broken) {
				first, last = broken.Line, broken.LastLine
				require.NotEmpty(t, broken.Rule)
			} else {
				require.NoError(t, err)
				require.Len(t, row.Cells, len(r.Header()))
			}
			require.Greater(t, first, line)
			require.GreaterOrEqual(t, last, first)
			require.LessOrEqual(t, last, total)
			require.Greater(t, r.Offset(), offset)
			line, offset = last, r.Offset()
		}
		sum, n := r.Sum()
		want := sha256.Sum256([]byte(content))
		require.EqualValues(t, len(content), n)
		require.Equal(t, want[:], sum)
	})
}
