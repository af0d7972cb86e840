// Package workspace holds what a workspace is made of in the store: one client company with its connections and
// their streams.
package workspace

import (
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/store"
)

// Workspace is one client company: its own data, zone and currency.
type Workspace struct {
	ID       store.WorkspaceID
	Name     string
	Zone     *time.Location
	Currency string // ISO 4217
}

// Connection is a connector configured with one account.
type Connection struct {
	ID        store.ConnectionID
	Workspace store.WorkspaceID
	Name      string
	Connector string
	Account   string // the vendor's account id the connection is bound to; empty until the first check
	// PauseReason is not empty while the connection is paused; it says what to do.
	PauseReason string
	Retired     bool // no longer in the configuration; its data stay
}

// StreamID is the store's number for a stream.
type StreamID int64

// Stream is one kind of record of a connection.
type Stream struct {
	ID         StreamID
	Workspace  store.WorkspaceID
	Connection store.ConnectionID
	Name       string
	Entity     entity.Kind
	PersonKey  bool // the record key is a person's strong id
	Virtual    bool // only referred to by other streams, never read
	Cursor     connector.Cursor
	Snapshot   string // the complete read under way
	// FirstComplete and LastComplete are when a read of the stream came to its end; zero before that.
	FirstComplete, LastComplete time.Time
}

// FreshFor is how long after a complete success a stream counts as fresh: three times its interval, at least 15
// minutes.
func FreshFor(every time.Duration) time.Duration { return max(3*every, 15*time.Minute) }
