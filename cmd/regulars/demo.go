package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
)

// demoCommand shows the whole job on the purchase history of a real shop.
type demoCommand struct {
	Data   string `help:"Folder for everything the demo makes. Default: ./data/demo; with --check a temporary one." placeholder:"DIR"`
	Listen string `help:"Address to listen on. Default: 127.0.0.1:8465, or a free port when that is taken." placeholder:"ADDRESS"`
	Check  bool   `help:"End when all is done, comparing with the expected figures."`
}

// Where the demo is unless told otherwise.
const (
	demoData   = "data/demo"
	demoListen = "127.0.0.1:8465"
)

// Run implements the command.
func (d demoCommand) Run(a *app) (err error) {
	if d.Data == "" {
		d.Data = filepath.FromSlash(demoData)
		if d.Check {
			// Figures can only be expected of data that nobody has added to.
			if d.Data, err = os.MkdirTemp("", "regulars-demo-"); err != nil {
				return fmt.Errorf("making a temporary folder: %w", err)
			}
			defer func() { err = errors.Join(err, os.RemoveAll(d.Data)) }()
		}
	}
	folder := filepath.Join(d.Data, "config")
	if err := writeDemo(folder); err != nil {
		return err
	}
	a.Config = folder
	cfg, problems, err := a.configuration()
	if err != nil {
		return err
	}
	if err := d.chooseAddress(a, cfg); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := openServer(a.ctx, cfg, problems, log)
	if err != nil {
		return err
	}
	return errors.Join(d.show(a, s), s.close())
}

// chooseAddress takes a free port when the usual one is taken, but never another than the one asked for.
func (d demoCommand) chooseAddress(a *app, cfg *config.Hub) error {
	cfg.Listen = demoListen
	if d.Listen != "" {
		cfg.Listen = d.Listen
		return nil
	}
	if d.Check {
		cfg.Listen = "127.0.0.1:0"
		return nil
	}
	var listen net.ListenConfig
	probe, err := listen.Listen(a.ctx, "tcp", cfg.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		cfg.Listen = "127.0.0.1:0"
		return a.printf("%s is taken, so the demo listens on another port.\n", demoListen)
	case err != nil:
		return fmt.Errorf("listening on %s: %w", demoListen, reasonOf(err))
	default:
		return probe.Close()
	}
}

// show runs the hub beside the tour, and on until it is told to stop; with Check it ends after the tour.
func (d demoCommand) show(a *app, s *server) error {
	running, stop := context.WithCancel(a.ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- s.run(running)
		stop() // a hub that fails ends the tour too
	}()
	transport := &inProcess{handler: s.handler}
	touring := *a
	touring.ctx = running
	err := d.tour(&touring, &client{http: &http.Client{Transport: transport}}, s)
	if err == nil && !d.Check {
		err = a.printf("\nThe hub stays up and reads the files again every 15 minutes; Ctrl-C ends it.\n")
		if err == nil {
			<-running.Done()
		}
	}
	transport.Wait()
	stop()
	hubErr := <-ended
	if a.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // asked to stop in the middle of the tour
	}
	return errors.Join(err, hubErr)
}

// findings is what the demo has come to.
type findings struct {
	status      api.Status
	report      kpi.Report
	segments    []api.Segment
	activations []api.Activation
	pushes      []api.Run
}

// tour syncs, pushes and prints what came of it.
func (d demoCommand) tour(a *app, c *client, s *server) error {
	if err := a.printf("Regulars at work on the purchase history of a music shop, %s. Everything it makes lies in %s.\n\n", demoPeriod, d.Data); err != nil {
		return err
	}
	synced, err := a.sync(c, api.SyncRequest{})
	if err != nil {
		return err
	}
	var f findings
	if f.activations, err = fetch[[]api.Activation](a.ctx, c, http.MethodGet, a.at("activations"), nil); err != nil {
		return err
	}
	for _, one := range f.activations {
		requested, err := fetch[api.Run](a.ctx, c, http.MethodPost, a.at("activations", one.ID, "run"), nil)
		if err != nil {
			return err
		}
		ended, err := a.await(c, []api.Run{requested}, nil)
		if err != nil {
			return err
		}
		f.pushes = append(f.pushes, ended...)
	}
	if f.status, err = fetch[api.Status](a.ctx, c, http.MethodGet, join("status"), nil); err != nil {
		return err
	}
	if f.report, err = fetch[kpi.Report](a.ctx, c, http.MethodGet, query(a.at("kpis"), "as_of", demoAsOf), nil); err != nil {
		return err
	}
	if f.segments, err = fetch[[]api.Segment](a.ctx, c, http.MethodGet, a.at("segments"), nil); err != nil {
		return err
	}
	if err := d.print(a, s, synced, f); err != nil {
		return err
	}
	if anyFailed(synced.Runs) || anyFailed(f.pushes) {
		return errors.New("the demo did not come to its end; the cause stands above beside the run")
	}
	if !d.Check {
		return nil
	}
	return a.checkDemo(f)
}

// quietPush says that a push found nothing to do.
func quietPush(push api.Run) bool {
	for _, outcome := range []string{"added", "updated", "removed", "removed_opted_out", "accepted", "rejected", "retryable"} {
		if push.Result[outcome] != 0 {
			return false
		}
	}
	return push.State == run.Done
}
