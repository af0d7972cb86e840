package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/regulars/regulars/hub/store"
)

// The queues: by kind of work, never per connection, since every queue costs a poll.
const (
	readQueue    = "read"
	writeQueue   = "write"
	computeQueue = "compute"
)

// Queue is the job queue on one store. Enqueue joins the caller's transaction.
type Queue interface {
	Enqueue(ctx context.Context, tx store.Tx, args river.JobArgs, opts *river.InsertOpts) error
	Start(ctx context.Context) error
	// Stop lets running jobs finish until ctx ends, then cuts them.
	Stop(ctx context.Context) error
	// Depth counts the jobs of each queue that wait or run.
	Depth(ctx context.Context) (map[string]int64, error)
}

// Workers is how many jobs of each kind run at the same time.
type Workers struct{ Read, Write, Compute int }

// sqliteQueue is River on the store's one writing connection.
type sqliteQueue struct {
	client *river.Client[*sql.Tx]
	db     *sql.DB
	unwrap func(store.Tx) *sql.Tx
}

// SQLite is what the queue needs of the SQLite store.
type SQLite interface {
	Writer() *sql.DB
	SQLTx(tx store.Tx) *sql.Tx
}

// pollEvery bounds how long an enqueued job waits; a poll of an empty queue costs some 50 microseconds.
const pollEvery = 200 * time.Millisecond

// OpenSQLiteQueue brings River's tables up to date and prepares a client whose jobs the workers do.
func OpenSQLiteQueue(ctx context.Context, s SQLite, workers *river.Workers, n Workers, log *slog.Logger) (Queue, error) {
	driver := riversqlite.New(s.Writer())
	// Migrations are told at debug level: a fresh store would greet its user with a page of them.
	quiet := slog.New(levelHandler{log.Handler(), slog.LevelWarn})
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return nil, fmt.Errorf("preparing the job queue's tables: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, fmt.Errorf("bringing the job queue's tables up to date: %w", err)
	}
	client, err := river.NewClient(driver, &river.Config{
		Queues: map[string]river.QueueConfig{
			readQueue: {MaxWorkers: n.Read}, writeQueue: {MaxWorkers: n.Write}, computeQueue: {MaxWorkers: n.Compute},
		},
		Workers: workers, Logger: quiet, PollOnly: true, FetchPollInterval: pollEvery, FetchCooldown: 20 * time.Millisecond,
		JobTimeout: time.Minute, CompletedJobRetentionPeriod: time.Hour,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the job queue: %w", err)
	}
	return &sqliteQueue{client: client, db: s.Writer(), unwrap: s.SQLTx}, nil
}

func (q *sqliteQueue) Enqueue(ctx context.Context, tx store.Tx, args river.JobArgs, opts *river.InsertOpts) error {
	if _, err := q.client.InsertTx(ctx, q.unwrap(tx), args, opts); err != nil {
		return fmt.Errorf("enqueueing %s: %w", args.Kind(), err)
	}
	return nil
}

// Start begins working. The client outlives ctx until Stop, so that jobs under way can finish.
func (q *sqliteQueue) Start(ctx context.Context) error {
	return q.client.Start(context.WithoutCancel(ctx))
}

func (q *sqliteQueue) Stop(ctx context.Context) error {
	err := q.client.Stop(ctx)
	if err == nil {
		return nil
	}
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	// The soft bound is over: what still runs is cut. Its work is taken up again at the next start.
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return q.client.StopAndCancel(hard)
}

func (q *sqliteQueue) Depth(ctx context.Context) (_ map[string]int64, err error) {
	depth := map[string]int64{readQueue: 0, writeQueue: 0, computeQueue: 0}
	rows, err := q.db.QueryContext(ctx, `SELECT queue, count(*) FROM river_job WHERE state IN ('available', 'running', 'retryable', 'scheduled') GROUP BY queue`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var queue string
		var n int64
		if err := rows.Scan(&queue, &n); err != nil {
			return nil, err
		}
		depth[queue] = n
	}
	return depth, rows.Err()
}

// levelHandler passes on records from a level up.
type levelHandler struct {
	slog.Handler
	from slog.Level
}

func (h levelHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.from && h.Handler.Enabled(ctx, level)
}

func (h levelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return levelHandler{h.Handler.WithAttrs(attrs), h.from}
}

func (h levelHandler) WithGroup(name string) slog.Handler {
	return levelHandler{h.Handler.WithGroup(name), h.from}
}
