package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/regulars/regulars/hub"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/store/sqlite"
)

// serveCommand runs the hub.
type serveCommand struct {
	Listen    string `help:"Address to listen on, host:port. Default: the configuration's." placeholder:"ADDRESS"`
	LogFormat string `help:"text or json." enum:"text,json" default:"text"`
	LogLevel  string `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
}

// Run implements the command.
func (s serveCommand) Run(a *app) error {
	cfg, problems, err := a.configuration()
	if err != nil {
		return err
	}
	if s.Listen != "" {
		cfg.Listen = s.Listen
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return usageError{err}
	}
	options := &slog.HandlerOptions{Level: level}
	log := slog.New(slog.NewTextHandler(a.stderr, options))
	if s.LogFormat == "json" {
		log = slog.New(slog.NewJSONHandler(a.stderr, options))
	}
	server, err := openServer(a.ctx, cfg, problems, log)
	if err != nil {
		return err
	}
	log.Info("hub started", "version", version, "config", cfg.Path, "listen", server.address(), "socket", server.local.Addr().String(), "workspaces", len(cfg.Workspaces))
	err = errors.Join(server.run(a.ctx), server.close())
	if err == nil {
		log.Info("hub stopped")
	}
	return err
}

// drain is how long open requests may take to end when the hub stops.
const drain = 5 * time.Second

// server is a hub with its two listeners.
type server struct {
	hub   *hub.Hub
	log   *slog.Logger
	open  net.Listener // for the world: health and metrics
	local net.Listener // for the hub's owner: the whole API
	// handler is the whole API.
	handler    http.Handler
	monitoring http.Handler
}

// openServer opens the store and both listeners; nothing runs yet. A store that another process uses is refused.
func openServer(ctx context.Context, cfg *config.Hub, problems config.Problems, log *slog.Logger) (_ *server, err error) {
	metrics := api.NewMetrics(version)
	h, err := hub.Open(ctx, hub.Options{Config: cfg, Problems: problems, Version: version, Log: log, Metrics: metrics, Schedules: true})
	switch {
	case errors.Is(err, sqlite.ErrInUse):
		return nil, fmt.Errorf("another regulars uses the store %s; two hubs on one store are refused: stop the other one first", cfg.StorePath)
	case err != nil:
		return nil, err
	}
	for _, problem := range problems {
		log.Warn("configuration problem", "problem", problem.String())
	}
	s := &server{hub: h, log: log, handler: api.New(h, metrics, log), monitoring: api.NewMonitoring(h, metrics, log)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	var listen net.ListenConfig
	if s.open, err = listen.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("listening on %s: %w", cfg.Listen, reasonOf(err))
	}
	s.local, err = listenSocket(ctx, socketPath(cfg.StorePath))
	return s, err
}

// reasonOf leaves the address out of a network error: what it is put into names it.
func reasonOf(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// address is where the world finds the hub.
func (s *server) address() string { return s.open.Addr().String() }

// run works until ctx ends, then stops within the configured limit and drain.
func (s *server) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.hub.Run(ctx) })
	g.Go(func() error { return s.serve(ctx, s.open, s.monitoring) })
	g.Go(func() error { return s.serve(ctx, s.local, s.handler) })
	return g.Wait()
}

func (s *server) serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	serving := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- serving.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving HTTP on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := serving.Shutdown(draining)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests were cut off", "waited", drain.String())
		err = serving.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// close lets go of the store and the listeners. run must have returned.
func (s *server) close() error {
	for _, listener := range []net.Listener{s.open, s.local} {
		if listener != nil {
			_ = listener.Close() // closed already when the server ran
		}
	}
	return s.hub.Close()
}
