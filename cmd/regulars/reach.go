package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/regulars/regulars/hub"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/store/sqlite"
)

// configuration loads what --config names. Problems that leave the hub usable come back beside it.
func (a *app) configuration() (*config.Hub, config.Problems, error) {
	path, err := config.Find(a.Config, a.getenv)
	if err != nil {
		return nil, nil, usageError{err}
	}
	cfg, problems := config.Load(path, config.Options{})
	if cfg == nil {
		return nil, nil, usageError{fmt.Errorf("the configuration cannot be used:\n%w", problems.Err())}
	}
	if cfg.Connectors.Folder == "" {
		cfg.Connectors.Folder = a.connectors
	}
	return cfg, problems, nil
}

// startingHub is how long a command waits for a hub that has locked the store to open its socket.
const startingHub = 5 * time.Second

// reach finds the hub of the configured store: the one that runs already, else one in this process that lives as long
// as the command.
func reach(ctx context.Context, a *app) (*client, error) {
	cfg, problems, err := a.configuration()
	if err != nil {
		return nil, err
	}
	if cfg.StorePath == "" {
		return nil, usagef("store: this version keeps its data in SQLite only; give the path of a file")
	}
	path := socketPath(cfg.StorePath)
	deadline := time.NewTimer(startingHub)
	defer deadline.Stop()
	for {
		conn, err := dialSocket(ctx, path)
		if err == nil {
			return socketClient(path), conn.Close()
		}
		if !errors.Is(err, errNoHub) {
			return nil, err
		}
		c, err := ownHub(ctx, a, cfg, problems)
		if !errors.Is(err, sqlite.ErrInUse) {
			return c, err
		}
		select {
		case <-deadline.C:
			return nil, fmt.Errorf("the store %s is in use by another regulars that does not listen, such as a sync under way; try again when it has ended", cfg.StorePath)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(poll):
		}
	}
}

// ownHub runs a hub in this process that starts nothing by itself.
func ownHub(ctx context.Context, a *app, cfg *config.Hub, problems config.Problems) (*client, error) {
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	metrics := api.NewMetrics(version)
	h, err := hub.Open(ctx, hub.Options{Config: cfg, Problems: problems, Version: version, Log: log, Metrics: metrics})
	if err != nil {
		return nil, err
	}
	for _, problem := range problems {
		log.Warn("configuration problem", "problem", problem.String())
	}
	// The hub ends with Close, not with ctx: a command that was interrupted still lets a page under way be stored.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- h.Run(running) }()
	transport := &inProcess{handler: api.New(h, metrics, log)}
	return &client{
		http: &http.Client{Transport: transport},
		close: func() error {
			transport.Wait()
			stop()
			return errors.Join(<-ended, h.Close())
		},
	}, nil
}

// with reaches the hub for the length of a command.
func (a *app) with(f func(c *client) error) error {
	c, err := a.connect(a.ctx, a)
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}
