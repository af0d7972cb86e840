package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// EnsureWorkspace finds a workspace by name, or makes it, and sets its zone and currency. changed says that the
// zone or currency differ from what was stored, so that everything derived from them must be derived again.
func (s *Store) EnsureWorkspace(ctx context.Context, tx store.Tx, name string, zone *time.Location, currency string) (ws workspace.Workspace, changed bool, err error) {
	ws = workspace.Workspace{Name: name, Zone: zone, Currency: currency}
	var oldZone, oldCurrency string
	err = s.on(tx).QueryRowContext(ctx, `SELECT id, time_zone, currency FROM workspace WHERE name = ?`, name).Scan(&ws.ID, &oldZone, &oldCurrency)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		err = s.on(tx).QueryRowContext(ctx, `INSERT INTO workspace (name, time_zone, currency) VALUES (?, ?, ?) RETURNING id`, name, zone.String(), currency).Scan(&ws.ID)
		return ws, false, err
	case err != nil:
		return ws, false, err
	}
	changed = oldZone != zone.String() || oldCurrency != currency
	_, err = exec(ctx, tx, `UPDATE workspace SET time_zone = ?, currency = ?, retired = 0 WHERE id = ?`, zone.String(), currency, ws.ID)
	return ws, changed, err
}

// RenameWorkspace gives a workspace a new name, keeping everything; it does nothing when the old name is unknown or
// the new one taken.
func (s *Store) RenameWorkspace(ctx context.Context, tx store.Tx, from, to string) error {
	_, err := exec(ctx, tx, `UPDATE OR IGNORE workspace SET name = ? WHERE name = ?`, to, from)
	return err
}

// Workspaces lists the workspaces in use.
func (s *Store) Workspaces(ctx context.Context) ([]workspace.Workspace, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (workspace.Workspace, error) {
		var ws workspace.Workspace
		var zone string
		if err := rows.Scan(&ws.ID, &ws.Name, &zone, &ws.Currency); err != nil {
			return ws, err
		}
		var err error
		ws.Zone, err = time.LoadLocation(zone)
		return ws, err
	}, `SELECT id, name, time_zone, currency FROM workspace WHERE retired = 0 ORDER BY name`)
}

// EnsureConnection finds a connection by name, or makes it, or gives a renamed one its new name.
func (s *Store) EnsureConnection(ctx context.Context, tx store.Tx, ws store.WorkspaceID, name, renamedFrom, connectorName string) (workspace.Connection, error) {
	if renamedFrom != "" {
		if _, err := exec(ctx, tx, `UPDATE OR IGNORE connection SET name = ? WHERE workspace = ? AND name = ?`, name, ws, renamedFrom); err != nil {
			return workspace.Connection{}, err
		}
	}
	_, err := exec(ctx, tx, `INSERT INTO connection (workspace, name, connector) VALUES (?, ?, ?)
		ON CONFLICT (workspace, name) DO UPDATE SET connector = excluded.connector, retired = 0`, ws, name, connectorName)
	if err != nil {
		return workspace.Connection{}, err
	}
	return scanConnection(s.on(tx).QueryRowContext(ctx, connectionColumns+` WHERE workspace = ? AND name = ?`, ws, name))
}

const connectionColumns = `SELECT id, workspace, name, connector, account, pause_reason, retired FROM connection`

type row interface{ Scan(dest ...any) error }

func scanConnection(r row) (workspace.Connection, error) {
	var c workspace.Connection
	err := r.Scan(&c.ID, &c.Workspace, &c.Name, &c.Connector, &c.Account, &c.PauseReason, &c.Retired)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	return c, err
}

// RetireConnections marks the connections that are not named as no longer configured; their data stay.
func (s *Store) RetireConnections(ctx context.Context, tx store.Tx, ws store.WorkspaceID, keep []string) error {
	_, err := exec(ctx, tx, `UPDATE connection SET retired = 1 WHERE workspace = ? AND name NOT IN (SELECT value FROM json_each(?))`, ws, jsonList(keep))
	return err
}

// Connections lists a workspace's connections by name, retired ones too.
func (s *Store) Connections(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([]workspace.Connection, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (workspace.Connection, error) { return scanConnection(rows) },
		connectionColumns+` WHERE workspace = ? ORDER BY name`, ws)
}

// Connection returns one connection of a workspace; store.ErrNotFound when there is none.
func (s *Store) Connection(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id store.ConnectionID) (workspace.Connection, error) {
	return scanConnection(s.on(tx).QueryRowContext(ctx, connectionColumns+` WHERE workspace = ? AND id = ?`, ws, id))
}

// PauseConnection pauses a connection with a reason for people, or lets it go on with an empty one.
func (s *Store) PauseConnection(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id store.ConnectionID, reason string) error {
	n, err := affected(ctx, tx, `UPDATE connection SET pause_reason = ? WHERE workspace = ? AND id = ?`, reason, ws, id)
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	if err != nil || reason == "" {
		return err
	}
	// What waits for the connection would wait as long as the pause; whoever waits for it should know now.
	_, err = exec(ctx, tx, `UPDATE run SET state = 'cancelled', cause = 'not begun: the connection is paused: ' || ?1, cause_kind = 'paused', finished_at = ?2, started_at = created_at
		WHERE workspace = ?3 AND connection = ?4 AND state IN ('pending', 'waiting')`, reason, micros(s.clock.Now()), ws, id)
	return err
}

// BindAccount records the vendor's account id a connection belongs to.
func (s *Store) BindAccount(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id store.ConnectionID, account string) error {
	_, err := exec(ctx, tx, `UPDATE connection SET account = ? WHERE workspace = ? AND id = ?`, account, ws, id)
	return err
}

const streamColumns = `SELECT id, workspace, connection, name, entity, person_key, virtual, cursor, snapshot, first_complete_at, last_complete_at FROM stream`

func scanStream(r row) (workspace.Stream, error) {
	var st workspace.Stream
	var first, last int64
	err := r.Scan(&st.ID, &st.Workspace, &st.Connection, &st.Name, &st.Entity, &st.PersonKey, &st.Virtual, (*[]byte)(&st.Cursor), &st.Snapshot, &first, &last)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	st.FirstComplete, st.LastComplete = fromMicros(first), fromMicros(last)
	return st, err
}

// EnsureStream finds or makes a stream that the connector offers. A stream that was only referred to becomes a
// real one.
func (s *Store) EnsureStream(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, name string, kind entity.Kind, personKey bool) (workspace.Stream, error) {
	_, err := exec(ctx, tx, `INSERT INTO stream (workspace, connection, name, entity, person_key) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (workspace, connection, name) DO UPDATE SET entity = excluded.entity, person_key = excluded.person_key, virtual = 0`, ws, conn, name, kind, flag(personKey))
	if err != nil {
		return workspace.Stream{}, err
	}
	return s.Stream(ctx, tx, ws, conn, name)
}

// Stream returns a stream by name; store.ErrNotFound when there is none.
func (s *Store) Stream(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, name string) (workspace.Stream, error) {
	return scanStream(s.on(tx).QueryRowContext(ctx, streamColumns+` WHERE workspace = ? AND connection = ? AND name = ?`, ws, conn, name))
}

// Streams lists the streams of a workspace, those only referred to too.
func (s *Store) Streams(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([]workspace.Stream, error) {
	return collect(ctx, s.on(tx), func(rows *sql.Rows) (workspace.Stream, error) { return scanStream(rows) },
		streamColumns+` WHERE workspace = ? ORDER BY connection, name`, ws)
}

// referredStream finds the stream a reference names, or makes it as one that is only referred to.
func (s *Store) referredStream(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, name string, kind entity.Kind) (workspace.StreamID, error) {
	if id, ok := s.streams.id(conn, name); ok {
		return id, nil
	}
	if _, err := exec(ctx, tx, `INSERT OR IGNORE INTO stream (workspace, connection, name, entity, virtual) VALUES (?, ?, ?, ?, 1)`, ws, conn, name, kind); err != nil {
		return 0, fmt.Errorf("adding stream %s: %w", name, err)
	}
	var id workspace.StreamID
	err := s.on(tx).QueryRowContext(ctx, `SELECT id FROM stream WHERE workspace = ? AND connection = ? AND name = ?`, ws, conn, name).Scan(&id)
	return id, err
}

// streamNames remembers which connection and name a stream number stands for. Streams are never renumbered, so what
// was read once stays true.
type streamNames struct {
	mu    sync.RWMutex
	names map[workspace.StreamID]streamName
	ids   map[streamName]workspace.StreamID
}

type streamName struct {
	connection store.ConnectionID
	name       string
}

func (n *streamNames) id(conn store.ConnectionID, name string) (workspace.StreamID, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	id, ok := n.ids[streamName{conn, name}]
	return id, ok
}

// refresh reads the names of a workspace's committed streams. Only the reader pool is used: a stream made in a
// transaction that rolls back must not be remembered.
func (s *Store) refreshStreams(ctx context.Context) error {
	type named struct {
		id workspace.StreamID
		streamName
	}
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (n named, err error) {
		return n, rows.Scan(&n.id, &n.connection, &n.name)
	}, `SELECT id, connection, name FROM stream`)
	if err != nil {
		return err
	}
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	s.streams.names = make(map[workspace.StreamID]streamName, len(all))
	s.streams.ids = make(map[streamName]workspace.StreamID, len(all))
	for _, n := range all {
		s.streams.names[n.id] = n.streamName
		s.streams.ids[n.streamName] = n.id
	}
	return nil
}

// nameOf returns the connection and name of a stream, also one made in the open transaction.
func (s *Store) nameOf(ctx context.Context, tx store.Tx, id workspace.StreamID) (streamName, error) {
	s.streams.mu.RLock()
	n, ok := s.streams.names[id]
	s.streams.mu.RUnlock()
	if ok {
		return n, nil
	}
	err := s.on(tx).QueryRowContext(ctx, `SELECT connection, name FROM stream WHERE id = ?`, id).Scan(&n.connection, &n.name)
	return n, err
}

// streamOf returns the number of the stream a record key lies in.
func (s *Store) streamOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, k store.RecordKey) (workspace.StreamID, error) {
	if id, ok := s.streams.id(k.Connection, k.Stream); ok {
		return id, nil
	}
	var id workspace.StreamID
	err := s.on(tx).QueryRowContext(ctx, `SELECT id FROM stream WHERE workspace = ? AND connection = ? AND name = ?`, ws, k.Connection, k.Stream).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	return id, err
}

// RetireStreams marks the streams of a connection that are not named as no longer read; their data stay.
func (s *Store) RetireStreams(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, keep []string) error {
	_, err := exec(ctx, tx, `UPDATE stream SET virtual = 1 WHERE workspace = ? AND connection = ? AND name NOT IN (SELECT value FROM json_each(?))`, ws, conn, jsonList(keep))
	return err
}

// SetRulesHash records what settle works by, and says whether that has changed.
func (s *Store) SetRulesHash(ctx context.Context, tx store.Tx, ws store.WorkspaceID, hash string) (bool, error) {
	n, err := affected(ctx, tx, `UPDATE workspace SET config_hash = ?1 WHERE id = ?2 AND config_hash <> ?1`, hash, ws)
	return n > 0, err
}

// SetFiguresHash records what figures and segments are made by, and says whether that has changed.
func (s *Store) SetFiguresHash(ctx context.Context, tx store.Tx, ws store.WorkspaceID, hash string) (bool, error) {
	n, err := affected(ctx, tx, `UPDATE workspace SET figures_hash = ?1 WHERE id = ?2 AND figures_hash <> ?1`, hash, ws)
	return n > 0, err
}

// RetireWorkspaces marks the workspaces that are not named as no longer configured; their data stay.
func (s *Store) RetireWorkspaces(ctx context.Context, tx store.Tx, keep []string) error {
	_, err := exec(ctx, tx, `UPDATE workspace SET retired = 1 WHERE name NOT IN (SELECT value FROM json_each(?))`, jsonList(keep))
	return err
}

// Refresh reads the names of streams anew; the hub calls it after it has applied a configuration.
func (s *Store) Refresh(ctx context.Context) error { return s.refreshStreams(ctx) }
