package listfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	extension = ".csv"
	// maxName leaves room for the extension and the temporary file's name within the 255 bytes of file systems.
	maxName = 200
	// A list holds people's addresses: only its owner may read it until somebody decides otherwise.
	fileMode, folderMode = 0o600, 0o750
	lockEvery            = 20 * time.Millisecond
)

// ErrName says that a name cannot be a file's.
var ErrName = errors.New("the name of a list must be 1 to 200 bytes of text without / and \\, line breaks, spaces around it and a dot before it")

// ErrNoList says that a list does not exist.
var ErrNoList = errors.New("there is no such list")

// ErrBroken says that a list cannot be written because a row of it cannot be read.
type ErrBroken struct {
	Line int
	Rule string
}

// Error implements error.
func (e *ErrBroken) Error() string {
	return fmt.Sprintf("line %d of the list cannot be read (%s) and would be lost; mend the file by hand", e.Line, e.Rule)
}

// Folder is a folder of list files. A list's id is its file's name without ".csv".
type Folder struct{ path string }

// OpenFolder returns the folder of a path, which need not exist yet.
func OpenFolder(path string) Folder { return Folder{path: path} }

// ID returns the id for a name people give to a list.
func ID(name string) (string, error) {
	id := strings.TrimSuffix(name, extension)
	bad := id == "" || len(id) > maxName || !utf8.ValidString(id) || strings.TrimSpace(id) != id || strings.HasPrefix(id, ".") ||
		strings.ContainsFunc(id, func(r rune) bool { return r == '/' || r == '\\' || unicode.IsControl(r) })
	if bad {
		return "", ErrName
	}
	return id, nil
}

// List returns the ids of the lists, sorted; none when the folder does not exist yet.
func (f Folder) List() ([]string, error) {
	entries, err := os.ReadDir(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), extension)
		if !ok || !e.Type().IsRegular() {
			continue
		}
		if id, err := ID(name); err == nil && id == name {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Read reads a list. It returns ErrNoList when there is none.
func (f Folder) Read(id string) (*List, error) {
	root, err := os.OpenRoot(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoList
	} else if err != nil {
		return nil, err
	}
	defer root.Close() // nothing was written
	l, _, err := read(root, id)
	return l, err
}

func read(root *os.Root, id string) (*List, fs.FileMode, error) {
	if safe, err := ID(id); err != nil || safe != id {
		return nil, 0, ErrName
	}
	info, err := root.Lstat(id + extension)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular():
		return nil, 0, ErrNoList
	case err != nil:
		return nil, 0, err
	}
	file, err := root.Open(id + extension)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close() // nothing was written
	l, err := Read(file)
	return l, info.Mode().Perm(), err
}

// Create makes an empty list unless one of the id exists. The folder is made too, but not the one above it: a
// misspelt path should not grow a tree.
func (f Folder) Create(ctx context.Context, id string) error {
	if safe, err := ID(id); err != nil || safe != id {
		return ErrName
	}
	if err := os.Mkdir(f.path, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return f.locked(ctx, func(root *os.Root) error {
		if _, err := root.Lstat(id + extension); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return replace(root, id, New(), fileMode)
	})
}

// Update reads a list, lets change work on it and, if that returns true, replaces the file. The replacement is durable
// when Update returns, and whoever reads the file sees the old or the new one, never a part (also after a crash).
func (f Folder) Update(ctx context.Context, id string, change func(*List) bool) error {
	return f.locked(ctx, func(root *os.Root) error {
		l, mode, err := read(root, id)
		if err != nil {
			return err
		}
		if len(l.Broken) > 0 {
			return &ErrBroken{Line: l.Broken[0].Line, Rule: l.Broken[0].Rule}
		}
		if !change(l) {
			return nil
		}
		return replace(root, id, l, mode)
	})
}

// locked keeps other writers out of the folder, of this process and of others.
func (f Folder) locked(ctx context.Context, work func(root *os.Root) error) error {
	root, err := os.OpenRoot(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoList
	} else if err != nil {
		return err
	}
	defer root.Close() // what was written is synced below
	folder, err := root.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close() // releases the lock
	if err := lock(ctx, folder); err != nil {
		return err
	}
	return work(root)
}

// lock waits for the folder's lock. It goes away with the file or the process, so a killed writer leaves none behind.
func lock(ctx context.Context, folder *os.File) error {
	again := time.NewTicker(lockEvery)
	defer again.Stop()
	for {
		err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for another writer of the folder: %w", ctx.Err())
		case <-again.C:
		}
	}
}

// replace writes a list to a temporary file and renames it. The temporary file's name is always the same, so that one
// left by a crash is used up by the next write.
func replace(root *os.Root, id string, l *List, mode fs.FileMode) (err error) {
	temporary := "." + id + extension + ".tmp"
	if err := root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close() // the first error tells more
			_ = root.Remove(temporary)
		}
	}()
	if err := l.Write(file); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := root.Rename(temporary, id+extension); err != nil {
		return err
	}
	folder, err := root.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close() // synced
	return folder.Sync()
}
