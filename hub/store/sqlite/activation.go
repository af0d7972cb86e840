package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/regulars/regulars/hub/activation"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
)

// SegmentEvaluated implements activation.Store.
func (s *Store) SegmentEvaluated(ctx context.Context, ws store.WorkspaceID, segment string) (bool, error) {
	var known bool
	err := s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM segment_state WHERE workspace = ? AND segment = ?)`, ws, segment).Scan(&known)
	return known, err
}

// ActivationState implements activation.Store.
func (s *Store) ActivationState(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id string) (activation.State, error) {
	var v activation.State
	var approved, first, last int64
	err := s.on(tx).QueryRowContext(ctx, `SELECT approved_at, approved_run, approved_adds, approved_removals, held, held_run, held_adds, held_removals, pause_reason,
		target, target_name, readback_run, readback_cursor, first_done_at, last_done_at FROM activation_state WHERE workspace = ? AND activation = ?`, ws, id).
		Scan(&approved, &v.ApprovedRun, &v.ApprovedAdds, &v.ApprovedRemovals, &v.Held, &v.HeldRun, &v.HeldAdds, &v.HeldRemovals, &v.PauseReason,
			&v.Target, &v.TargetName, &v.ReadbackRun, (*[]byte)(&v.ReadbackCursor), &first, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return activation.State{}, nil
	}
	v.ApprovedAt, v.FirstDone, v.LastDone = fromMicros(approved), fromMicros(first), fromMicros(last)
	return v, err
}

// PutActivationState implements activation.Store.
func (s *Store) PutActivationState(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id string, v activation.State) error {
	_, err := exec(ctx, tx, `INSERT OR REPLACE INTO activation_state (workspace, activation, approved_at, approved_run, approved_adds, approved_removals, held, held_run, held_adds, held_removals,
		pause_reason, target, target_name, readback_run, readback_cursor, first_done_at, last_done_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		ws, id, micros(v.ApprovedAt), v.ApprovedRun, v.ApprovedAdds, v.ApprovedRemovals, v.Held, v.HeldRun, v.HeldAdds, v.HeldRemovals,
		v.PauseReason, v.Target, v.TargetName, v.ReadbackRun, []byte(v.ReadbackCursor), micros(v.FirstDone), micros(v.LastDone))
	return err
}

const sendingColumns = `SELECT o.id, o.run, o.activation, o.connection, o.target, o.identity, o.customer, o.action, o.reason, o.payload, o.payload_hash, o.before, o.idempotency_key,
	o.state, o.message, o.rule, o.created_at, o.done_at FROM outbox o`

func scanSending(rows *sql.Rows) (activation.Sending, error) {
	var v activation.Sending
	var created, done int64
	err := rows.Scan(&v.ID, &v.Run, &v.Activation, &v.Connection, &v.Target, &v.Identity, &v.Customer, &v.Action, &v.Reason, &v.Payload, &v.PayloadHash, &v.Before, &v.IdempotencyKey,
		&v.State, &v.Message, &v.Rule, &created, &done)
	v.Created, v.Finished = fromMicros(created), fromMicros(done)
	return v, err
}

// OpenSendings implements activation.Store.
func (s *Store) OpenSendings(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id string) ([]activation.Sending, error) {
	return collect(ctx, s.on(tx), scanSending, sendingColumns+` WHERE o.workspace = ? AND o.activation = ? AND o.state IN ('intent', 'accepted') ORDER BY o.id`, ws, id)
}

// Sendings implements activation.Store.
func (s *Store) Sendings(ctx context.Context, ws store.WorkspaceID, id run.ID) ([]activation.Sending, error) {
	return collect(ctx, s.read, scanSending, sendingColumns+` WHERE o.workspace = ? AND o.run = ? ORDER BY o.id`, ws, id)
}

// SendingsTo returns all that an activation ever sent to one identity, oldest first.
func (s *Store) SendingsTo(ctx context.Context, ws store.WorkspaceID, id, identity string) ([]activation.Sending, error) {
	return collect(ctx, s.read, scanSending, sendingColumns+` WHERE o.workspace = ? AND o.activation = ? AND o.identity = ? ORDER BY o.id`, ws, id, identity)
}

// Rejections implements activation.Store.
func (s *Store) Rejections(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id string, conn store.ConnectionID, target string) ([]activation.Sending, error) {
	return collect(ctx, s.on(tx), scanSending, sendingColumns+` WHERE o.workspace = ?1 AND o.activation = ?2 AND o.state = 'rejected' AND o.connection = ?3 AND o.target = ?4
		AND NOT EXISTS (SELECT 1 FROM outbox n WHERE n.workspace = ?1 AND n.activation = ?2 AND n.identity = o.identity AND n.id > o.id AND n.state IN ('ok', 'accepted')
			AND n.connection = ?3 AND n.target = ?4) ORDER BY o.id`, ws, id, conn, target)
}

// AddSendings implements activation.Store.
func (s *Store) AddSendings(ctx context.Context, tx store.Tx, ws store.WorkspaceID, sendings []activation.Sending) (ids []int64, err error) {
	if len(sendings) == 0 {
		return nil, nil
	}
	add, err := handle(tx).PrepareContext(ctx, `INSERT INTO outbox (workspace, connection, activation, run, target, identity, customer, action, payload, payload_hash, before, reason, idempotency_key, state, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, add.Close()) }()
	now := micros(s.clock.Now())
	for _, v := range sendings {
		result, err := add.ExecContext(ctx, ws, v.Connection, v.Activation, v.Run, v.Target, v.Identity, v.Customer, v.Action, v.Payload, v.PayloadHash, v.Before, v.Reason, v.IdempotencyKey, v.State, now)
		if err != nil {
			return nil, fmt.Errorf("adding to the outbox: %w", err)
		}
		id, err := result.LastInsertId()
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// SetSendings implements activation.Store.
func (s *Store) SetSendings(ctx context.Context, tx store.Tx, ws store.WorkspaceID, sendings []activation.Sending) (err error) {
	if len(sendings) == 0 {
		return nil
	}
	set, err := handle(tx).PrepareContext(ctx, `UPDATE outbox SET state = ?, message = ?, rule = ?, done_at = ? WHERE id = ? AND workspace = ?`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	now := micros(s.clock.Now())
	for _, v := range sendings {
		done := now
		if v.State == activation.Intent {
			done = 0
		}
		if _, err := set.ExecContext(ctx, v.State, v.Message, v.Rule, done, v.ID, ws); err != nil {
			return fmt.Errorf("updating the outbox: %w", err)
		}
	}
	return nil
}

// Flush implements activation.Store. A checkpoint syncs the write-ahead log, which commits alone leave to the system.
func (s *Store) Flush(ctx context.Context) error {
	_, err := s.write.ExecContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`)
	return err
}

// Ledger implements activation.Store.
func (s *Store) Ledger(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, target string) (map[string]activation.Sent, error) {
	ledger := map[string]activation.Sent{}
	_, err := collect(ctx, s.on(tx), func(rows *sql.Rows) (struct{}, error) {
		var v activation.Sent
		var sent, gone int64
		err := rows.Scan(&v.Identity, &v.Activation, &v.Customer, &v.PayloadHash, &sent, &gone)
		v.SentAt, v.GoneAt = fromMicros(sent), fromMicros(gone)
		ledger[v.Identity] = v
		return struct{}{}, err
	}, `SELECT identity, activation, customer, payload_hash, sent_at, gone_at FROM sent WHERE workspace = ? AND connection = ? AND target = ?`, ws, conn, target)
	return ledger, err
}

// PutSent implements activation.Store.
func (s *Store) PutSent(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, target string, sent []activation.Sent) (err error) {
	if len(sent) == 0 {
		return nil
	}
	put, err := handle(tx).PrepareContext(ctx, `INSERT OR REPLACE INTO sent (workspace, connection, target, identity, activation, customer, payload_hash, sent_at, gone_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, put.Close()) }()
	for _, v := range sent {
		if _, err := put.ExecContext(ctx, ws, conn, target, v.Identity, v.Activation, v.Customer, v.PayloadHash, micros(v.SentAt), micros(v.GoneAt)); err != nil {
			return fmt.Errorf("updating the ledger: %w", err)
		}
	}
	return nil
}

// DropSent implements activation.Store.
func (s *Store) DropSent(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, target string, identities []string) error {
	if len(identities) == 0 {
		return nil
	}
	_, err := exec(ctx, tx, `DELETE FROM sent WHERE workspace = ? AND connection = ? AND target = ? AND identity IN (SELECT value FROM json_each(?))`, ws, conn, target, jsonList(identities))
	return err
}

// DropTarget implements activation.Store.
func (s *Store) DropTarget(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, target string) error {
	_, err := exec(ctx, tx, `DELETE FROM sent WHERE workspace = ? AND connection = ? AND target = ?`, ws, conn, target)
	return err
}

// SentLedger lists what stands at a workspace's targets because it was sent, by connection, target and identity.
func (s *Store) SentLedger(ctx context.Context, ws store.WorkspaceID) ([]activation.LedgerLine, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (v activation.LedgerLine, err error) {
		return v, rows.Scan(&v.Connection, &v.Target, &v.Identity, &v.Activation, &v.PayloadHash, &v.Gone)
	}, `SELECT c.name, s.target, s.identity, s.activation, s.payload_hash, s.gone_at <> 0 FROM sent s JOIN connection c ON c.id = s.connection
		WHERE s.workspace = ? ORDER BY c.name, s.target, s.identity`, ws)
}

// Memberships lists who is in which segment, by segment and customer.
func (s *Store) Memberships(ctx context.Context, ws store.WorkspaceID) ([]activation.Membership, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (v activation.Membership, err error) {
		return v, rows.Scan(&v.Segment, &v.Customer, &v.EnteredOn)
	}, `SELECT segment, customer, entered_on FROM membership WHERE workspace = ? ORDER BY segment, customer`, ws)
}

// RemoteConsents lists the refusals that destinations reported, by connection, target, channel, address and state.
func (s *Store) RemoteConsents(ctx context.Context, ws store.WorkspaceID) ([]activation.RemoteConsent, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (v activation.RemoteConsent, err error) {
		var at int64
		err = rows.Scan(&v.Connection, &v.Target, &v.Channel, &v.Address, &v.State, &at)
		v.At = fromMicros(at)
		return v, err
	}, `SELECT r.connection, r.target, r.channel, r.address, r.state, r.at FROM remote_consent r JOIN connection c ON c.id = r.connection
		WHERE r.workspace = ? ORDER BY c.name, r.target, r.channel, r.address, r.state`, ws)
}
