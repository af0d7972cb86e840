// Package sqlite is the store in one file: the default, for one hub on one machine.
//
// One connection writes, shared by our transactions and the job queue, so that a job enqueued in a transaction
// appears with it or not at all; a small pool reads.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // the driver "sqlite", in Go

	"github.com/regulars/regulars/hub/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrInUse says that another process has the file open.
var ErrInUse = errors.New("the store is in use by another process")

// readers is how many connections read at the same time.
const readers = 4

// Store is a SQLite file. It is safe for concurrent use.
type Store struct {
	path    string
	write   *sql.DB
	read    *sql.DB
	lock    *os.File
	clock   store.Clock
	streams streamNames
}

// Open opens the file, makes it when missing, and brings its tables up to date. It takes an exclusive lock beside
// the file, so a second process gets ErrInUse.
func Open(ctx context.Context, path string, clock store.Clock) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the store's folder: %w", err)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, lock: lock, clock: clock}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	// The file holds personal data: only its owner reads it.
	file, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	pragmas := []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)", "cache_size(-65536)", "temp_store(MEMORY)"}
	s.write, err = sql.Open("sqlite", dsn(s.path, "immediate", pragmas))
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	s.write.SetMaxIdleConns(1)
	s.read, err = sql.Open("sqlite", dsn(s.path, "deferred", append(pragmas, "query_only(1)")))
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if err := s.checkPragmas(ctx); err != nil {
		return err
	}
	return s.migrate(ctx)
}

func dsn(path, txlock string, pragmas []string) string {
	q := url.Values{"_txlock": {txlock}, "_pragma": pragmas}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// checkPragmas reads back what durability and integrity rest on: a driver that ignores a pragma would lose data
// quietly.
func (s *Store) checkPragmas(ctx context.Context) error {
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "1", "foreign_keys": "1", "busy_timeout": "10000"} {
		var got string
		if err := s.write.QueryRowContext(ctx, "PRAGMA "+name).Scan(&got); err != nil {
			return fmt.Errorf("reading pragma %s: %w", name, err)
		}
		if got != want {
			return fmt.Errorf("the store's pragma %s is %s instead of %s; is the folder on a network file system?", name, got, want)
		}
	}
	return nil
}

func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("preparing the store's migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bringing the store's tables up to date: %w", err)
	}
	return nil
}

func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the store's lock: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		closeErr := file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("%w: %s", ErrInUse, path), closeErr)
		}
		return nil, errors.Join(fmt.Errorf("locking the store: %w", err), closeErr)
	}
	return file, nil
}

// Close folds the write-ahead log back into the file and lets go of it.
func (s *Store) Close() error {
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Writer is the database handle of the one writing connection, for the job queue. Using it while a transaction of
// InTx is open in the same goroutine waits for ever.
func (s *Store) Writer() *sql.DB { return s.write }

// Path is where the file lies.
func (s *Store) Path() string { return s.path }

// Clock is the clock that times in the store come from.
func (s *Store) Clock() store.Clock { return s.clock }

// Size is the file's size with its write-ahead log, in bytes.
func (s *Store) Size() int64 {
	var size int64
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(s.path + suffix); err == nil {
			size += info.Size()
		}
	}
	return size
}

// InTx runs f in a write transaction: all of it happens or nothing. f makes no network call and uses nothing of
// the store but with the handle it is given.
func (s *Store) InTx(ctx context.Context, f func(tx store.Tx) error) (err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	committed := false
	defer func() {
		if !committed {
			if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
				err = errors.Join(err, fmt.Errorf("rolling back: %w", rollback))
			}
		}
	}()
	if err := f(&txn{Tx: tx, prepared: map[string]*sql.Stmt{}}); err != nil {
		return err
	}
	committed = true
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// InView runs f with a handle through which it reads the store as it is at one moment, whatever is written meanwhile. f
// reads through the handle alone: views that each waited for a second connection of the small pool would wait for ever.
func (s *Store) InView(ctx context.Context, f func(tx store.Tx) error) (err error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("beginning to read: %w", err)
	}
	defer func() {
		if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			err = errors.Join(err, fmt.Errorf("ending to read: %w", rollback))
		}
	}()
	return f(&txn{Tx: tx, prepared: map[string]*sql.Stmt{}})
}

// txn is an open transaction. It prepares each statement once, since parsing costs as much as a short statement takes.
type txn struct {
	*sql.Tx
	prepared map[string]*sql.Stmt // closed with the transaction
}

// handle looks inside a transaction's handle.
func handle(tx store.Tx) *txn { return tx.(*txn) }

func (t *txn) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := t.prepared[query]; ok {
		return stmt, nil
	}
	// The statement outlives the call that first needs it: only the transaction's end closes it.
	stmt, err := t.PrepareContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil, err
	}
	t.prepared[query] = stmt
	return stmt, nil
}

// QueryContext implements querier.
func (t *txn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.statement(ctx, query) //nolint:sqlclosecheck // the transaction's end closes it
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// QueryRowContext implements querier.
func (t *txn) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := t.statement(ctx, query) //nolint:sqlclosecheck // the transaction's end closes it
	if err != nil {
		return t.Tx.QueryRowContext(ctx, query, args...) // fails again, and its row tells the error
	}
	return stmt.QueryRowContext(ctx, args...)
}

// ExecContext runs a statement that returns no rows.
func (t *txn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := t.statement(ctx, query) //nolint:sqlclosecheck // the transaction's end closes it
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// SQLTx gives the job queue the transaction behind a handle.
func (s *Store) SQLTx(tx store.Tx) *sql.Tx { return handle(tx).Tx }

// querier is what a transaction and the reader pool have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// on returns the transaction behind a handle, or the reader pool for nil.
func (s *Store) on(tx store.Tx) querier {
	if tx == nil {
		return s.read
	}
	return handle(tx)
}

func exec(ctx context.Context, tx store.Tx, query string, args ...any) (sql.Result, error) {
	return handle(tx).ExecContext(ctx, query, args...)
}

// affected runs a statement and says how many rows it changed.
func affected(ctx context.Context, tx store.Tx, query string, args ...any) (int64, error) {
	result, err := exec(ctx, tx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// collect reads all rows of a query with one scan function.
func collect[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) (all []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// micros and fromMicros turn times into the stored form and back; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
