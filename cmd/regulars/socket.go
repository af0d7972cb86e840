package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxSocketPath is what fits into a socket address everywhere (104 bytes on some systems, 108 on Linux), with a
// margin.
const maxSocketPath = 100

// socketPath is where the hub of a store listens: beside the store, or, where that path is too long for a socket, in
// a private folder of temporary files under a name made from the path. Both sides work it out alike.
func socketPath(store string) string {
	beside := store + ".sock"
	if len(beside) <= maxSocketPath {
		return beside
	}
	sum := sha256.Sum256([]byte(store))
	return filepath.Join(os.TempDir(), fmt.Sprintf("regulars-%d", os.Getuid()), hex.EncodeToString(sum[:8])+".sock")
}

// dialTimeout is how long a hub may take to answer its own socket.
const dialTimeout = 2 * time.Second

// dialSocket reaches the hub of a store; errNoHub when none listens.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, errNoHub
	default:
		return nil, fmt.Errorf("reaching the hub at its socket: %w", err)
	}
}

var errNoHub = errors.New("no hub listens")

// listenSocket opens the hub's socket, for its owner only. The caller holds the store's lock, so a socket that is there
// already was left behind by a hub that was killed.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the socket's folder: %w", err)
	}
	if err := private(path, folder); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing the socket of a hub that was killed: %w", err)
	}
	// Between bind and chmod the umask decides who may connect, so it must already keep everybody else out.
	before := syscall.Umask(0o177)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	syscall.Umask(before)
	if err != nil {
		return nil, fmt.Errorf("opening the hub's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("closing the hub's socket to others: %w", err), listener.Close())
	}
	return listener, nil
}

// private refuses a folder among the temporary files that somebody else made or can write to.
func private(path, folder string) error {
	if filepath.Dir(folder) != filepath.Clean(os.TempDir()) || len(path) > maxSocketPath {
		return nil
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return fmt.Errorf("looking at the socket's folder: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Getuid() || filepath.Base(folder) == fmt.Sprintf("regulars-%d", os.Getuid()) && info.Mode().Perm() != 0o700 {
		return fmt.Errorf("the folder %s for the hub's socket is not yours alone; remove it, or give the store a shorter path", folder)
	}
	return nil
}
