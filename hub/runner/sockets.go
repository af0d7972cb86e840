package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// maxSocketPath is the shortest limit of the systems we run on (104 on BSD, 108 on Linux, with the final zero).
	maxSocketPath = 103
	// socketPathTail is what go-plugin adds: "/plugin-dir" and "/plugin", each with up to ten digits.
	socketPathTail = 38
	// socketDirs are the folders go-plugin makes, one for each process.
	socketDirs = "plugin-dir*"
)

// socketFolder is the private folder all sockets lie in. Whoever uses it holds a shared lock on it, so that one who
// can have it alone knows that what lies there was left by a hub that was killed.
type socketFolder struct {
	path      string
	temporary bool
	lock      *os.File
}

func openSockets(path string) (*socketFolder, error) {
	folder := &socketFolder{}
	if path != "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		folder.path = abs
	}
	if path == "" || len(folder.path)+socketPathTail > maxSocketPath {
		temporary, err := os.MkdirTemp("", "regulars-")
		if err != nil {
			return nil, err
		}
		folder.path, folder.temporary = temporary, true
	}
	if err := folder.make(); err != nil {
		return nil, err
	}
	if len(folder.path)+socketPathTail > maxSocketPath {
		return nil, fmt.Errorf("%s is too long for the path of a Unix socket: set a shorter folder or $TMPDIR", folder.path)
	}
	lock, err := os.Open(folder.path)
	if err != nil {
		return nil, err
	}
	folder.lock = lock
	if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		left, _ := filepath.Glob(filepath.Join(folder.path, socketDirs))
		for _, dir := range left {
			if err := os.RemoveAll(dir); err != nil {
				return nil, errors.Join(err, lock.Close())
			}
		}
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_SH); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", folder.path, err), lock.Close())
	}
	return folder, nil
}

// make sees to it that the folder exists and is private; it may have been swept away meanwhile.
func (f *socketFolder) make() error {
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return err
	}
	// Fails when the folder is somebody else's.
	return os.Chmod(f.path, 0o700)
}

func (f *socketFolder) close() error {
	var err error
	if f.temporary {
		err = os.RemoveAll(f.path)
	}
	if closeErr := f.lock.Close(); !errors.Is(closeErr, os.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	return err
}
