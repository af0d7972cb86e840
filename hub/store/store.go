// Package store holds what every store and every domain package share: the handle of a transaction and the
// clock. The stores themselves are store/sqlite and, later, store/postgres; each domain package names the few
// methods it needs in an interface of its own.
package store

import (
	"errors"
	"time"
)

// Tx is an open transaction of a store. Only the store that made it can look inside. It is used by one goroutine
// and not after the function it was handed to has returned. No network call is made while one is open.
type Tx any

// ErrNotFound says that what was asked for by key does not exist in the workspace.
var ErrNotFound = errors.New("not found")

// ErrLeaseLost says that somebody else has taken over what the caller worked on; the caller's transaction is
// rolled back and it stops.
var ErrLeaseLost = errors.New("the lease was taken over by another worker")

// Clock tells the time. Tests set it.
type Clock interface{ Now() time.Time }

// SystemClock is the real time in UTC.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now().UTC() }

// WorkspaceID is the store's number for a workspace. It is part of every key (R10).
type WorkspaceID int64

// ConnectionID is the store's number for a connection, unique across workspaces.
type ConnectionID int64

// RecordKey names one record of one stream of one connection within a workspace.
type RecordKey struct {
	Connection ConnectionID
	Stream     string
	Key        string
}

// Compare orders record keys by connection, stream and key.
func (k RecordKey) Compare(o RecordKey) int {
	switch {
	case k.Connection != o.Connection:
		if k.Connection < o.Connection {
			return -1
		}
		return 1
	case k.Stream != o.Stream:
		if k.Stream < o.Stream {
			return -1
		}
		return 1
	case k.Key < o.Key:
		return -1
	case k.Key > o.Key:
		return 1
	}
	return 0
}
