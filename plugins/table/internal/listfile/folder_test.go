package listfile_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/regulars/regulars/plugins/table/internal/listfile"
)

// writerEnv turns the test binary into a program that writes a list for ever, to be killed.
const writerEnv = "LISTFILE_TEST_WRITER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(writerEnv); folder != "" {
		writeForEver(folder)
	}
	goleak.VerifyTestMain(m)
}

// writeForEver replaces the list again and again by one whose members all have the same, next number.
func writeForEver(folder string) {
	for n := 0; ; n++ {
		err := listfile.OpenFolder(folder).Update(context.Background(), "list", func(l *listfile.List) bool {
			for i := range 300 {
				if _, err := l.Put(listfile.Member{Email: fmt.Sprintf("%03d@example.com", i), Traits: map[string]string{"n": fmt.Sprint(n)}}); err != nil {
					panic(err)
				}
			}
			return true
		})
		if err != nil {
			panic(err)
		}
		fmt.Println(n)
	}
}

// TestKill: a writer killed at any moment leaves the old or the new list, no lock, and nothing that the next write
// does not tidy up.
func TestKill(t *testing.T) {
	path := t.TempDir()
	folder := listfile.OpenFolder(path)
	require.NoError(t, folder.Create(t.Context(), "list"))
	for round := range 12 {
		writer := exec.CommandContext(t.Context(), os.Args[0])
		writer.Env = append(os.Environ(), writerEnv+"="+path)
		out, err := writer.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, writer.Start())
		lines := bufio.NewScanner(out)
		for range round + 1 { // somewhere in a later write
			require.True(t, lines.Scan())
		}
		require.NoError(t, writer.Process.Kill())
		require.Error(t, writer.Wait())

		l, err := folder.Read("list")
		require.NoError(t, err)
		require.Equal(t, 300, l.Len())
		content, err := os.ReadFile(filepath.Join(path, "list.csv"))
		require.NoError(t, err)
		rows := strings.Split(strings.TrimSpace(string(content)), "\n")[1:]
		_, number, _ := strings.Cut(rows[0], ",")
		for _, row := range rows {
			require.True(t, strings.HasSuffix(row, ","+number), "the list is a mixture of two writes")
		}
	}
	require.NoError(t, folder.Update(t.Context(), "list", func(l *listfile.List) bool { return l.Remove("000@example.com") }))
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	require.Len(t, entries, 1, "only the list itself is left")
}

// TestConcurrentWriters: no update is lost, whichever process or goroutine makes it.
func TestConcurrentWriters(t *testing.T) {
	path := t.TempDir()
	require.NoError(t, listfile.OpenFolder(path).Create(t.Context(), "list"))
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			folder := listfile.OpenFolder(path)
			for n := range 5 {
				assert.NoError(t, folder.Update(t.Context(), "list", func(l *listfile.List) bool {
					changed, err := l.Put(listfile.Member{Email: fmt.Sprintf("%d-%d@example.com", i, n)})
					return assert.NoError(t, err) && changed
				}))
			}
		})
	}
	writers.Wait()
	l, err := listfile.OpenFolder(path).Read("list")
	require.NoError(t, err)
	assert.Equal(t, 40, l.Len())
}

func TestLockedFolderEndsWithTheCall(t *testing.T) {
	path := t.TempDir()
	folder := listfile.OpenFolder(path)
	require.NoError(t, folder.Create(t.Context(), "list"))
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, folder.Update(ctx, "list", func(*listfile.List) bool {
		cancel()
		assert.ErrorIs(t, folder.Update(ctx, "list", func(*listfile.List) bool { return true }), context.Canceled)
		return false
	}))
}

func TestNames(t *testing.T) {
	for name, id := range map[string]string{
		"win-back": "win-back", "Клиенты VIP": "Клиенты VIP", "list.csv": "list", "a.b": "a.b",
		"": "", ".csv": "", "..": "", ".hidden": "", "../x": "", "a/b": "", `a\b`: "", "a\nb": "", " a": "", "a ": "", "a\x00": "",
		strings.Repeat("я", 101): "", "\xff": "",
	} {
		got, err := listfile.ID(name)
		assert.Equal(t, id, got, name)
		assert.Equal(t, id == "", err != nil, name)
	}
	folder := listfile.OpenFolder(t.TempDir())
	require.ErrorIs(t, folder.Create(t.Context(), "../x"), listfile.ErrName)
	_, err := folder.Read("../x")
	require.ErrorIs(t, err, listfile.ErrName)
}

func TestCreate(t *testing.T) {
	above := t.TempDir()
	path := filepath.Join(above, "lists")
	folder := listfile.OpenFolder(path)
	ids, err := folder.List()
	require.NoError(t, err)
	assert.Empty(t, ids, "no folder, no lists")
	require.ErrorIs(t, folder.Update(t.Context(), "a", func(*listfile.List) bool { return true }), listfile.ErrNoList)

	require.NoError(t, folder.Create(t.Context(), "a"))
	require.NoError(t, folder.Update(t.Context(), "a", func(l *listfile.List) bool {
		_, err := l.Put(listfile.Member{Email: "a@example.com"})
		return assert.NoError(t, err)
	}))
	require.NoError(t, folder.Create(t.Context(), "a"), "one that exists is left as it is")
	l, err := folder.Read("a")
	require.NoError(t, err)
	assert.Equal(t, 1, l.Len())

	require.NoError(t, os.WriteFile(filepath.Join(path, "notes.txt"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(path, ".a.csv.tmp"), []byte("left by a crash"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(path, "folder.csv"), 0o750))
	ids, err = folder.List()
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, ids)

	require.Error(t, listfile.OpenFolder(filepath.Join(above, "x", "y")).Create(t.Context(), "a"), "only one folder is made")
}

// TestLinks: a list that is a link is none, so that a link cannot make us write elsewhere.
func TestLinks(t *testing.T) {
	path := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "elsewhere.csv")
	require.NoError(t, os.WriteFile(elsewhere, []byte("email\n"), 0o600))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(path, "a.csv")))
	folder := listfile.OpenFolder(path)
	ids, err := folder.List()
	require.NoError(t, err)
	assert.Empty(t, ids)
	require.ErrorIs(t, folder.Update(t.Context(), "a", func(*listfile.List) bool { return true }), listfile.ErrNoList)
}

// TestBrokenListIsNotWritten: a row that cannot be read would be lost by a rewrite.
func TestBrokenListIsNotWritten(t *testing.T) {
	path := t.TempDir()
	file := filepath.Join(path, "a.csv")
	before := "email,name\na@example.com,\"open\nb@example.com,B\n"
	require.NoError(t, os.WriteFile(file, []byte(before), 0o644))
	folder := listfile.OpenFolder(path)
	var broken *listfile.ErrBroken
	require.ErrorAs(t, folder.Update(t.Context(), "a", func(*listfile.List) bool { return true }), &broken)
	assert.Equal(t, 2, broken.Line)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, before, string(content))

	require.NoError(t, os.WriteFile(file, []byte("email\na@example.com\n"), 0o644))
	require.NoError(t, folder.Update(t.Context(), "a", func(l *listfile.List) bool { return l.Remove("a@example.com") }))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode().Perm(), "the file's mode stays")
}
