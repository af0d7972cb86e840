package main

import (
	"net/http"
	"time"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/run"
)

// poll is how often a waiting command asks the hub.
const poll = 100 * time.Millisecond

// syncCommand reads what is new.
type syncCommand struct {
	Connections []string `arg:"" optional:"" name:"connection" help:"Connections, or connection.stream; all when none is named."`
	NoWait      bool     `help:"Only request the runs. Useful with a hub that runs; without one nothing is read."`
}

// Run implements the command.
func (s syncCommand) Run(a *app) error {
	return synchronise(a, api.SyncRequest{Connections: s.Connections}, s.NoWait)
}

// resyncCommand reads everything again.
type resyncCommand struct {
	Connections []string `arg:"" optional:"" name:"connection" help:"Connections, or connection.stream; all when none is named."`
	NoWait      bool     `help:"Only request the runs. Useful with a hub that runs; without one nothing is read."`
}

// Run implements the command.
func (s resyncCommand) Run(a *app) error {
	return synchronise(a, api.SyncRequest{Connections: s.Connections, Full: true}, s.NoWait)
}

// syncReport is the form of sync --json.
type syncReport struct {
	Runs     []api.Run    `json:"runs"`
	Standing api.Standing `json:"standing"`
	Changed  bool         `json:"changed"` // something was stored, deleted or rejected
}

func synchronise(a *app, request api.SyncRequest, noWait bool) error {
	failed := false
	err := a.with(func(c *client) error {
		var report syncReport
		var err error
		if noWait {
			report.Runs, err = fetch[[]api.Run](a.ctx, c, http.MethodPost, a.at("sync"), request)
			if err == nil {
				report.Standing, err = fetch[api.Standing](a.ctx, c, http.MethodGet, a.at("standing"), nil)
			}
		} else {
			report, err = a.sync(c, request)
		}
		if err != nil {
			return err
		}
		failed = anyFailed(report.Runs)
		if a.JSON {
			return a.printJSON(report)
		}
		return a.printSync(report, noWait)
	})
	if err == nil && failed {
		return errSaid
	}
	return err
}

// sync requests runs and waits until they are over and what follows from them is done.
func (a *app) sync(c *client, request api.SyncRequest) (syncReport, error) {
	runs, err := fetch[[]api.Run](a.ctx, c, http.MethodPost, a.at("sync"), request)
	if err != nil {
		return syncReport{}, err
	}
	shown := a.progress()
	defer shown.end()
	if runs, err = a.await(c, runs, shown); err != nil {
		return syncReport{}, err
	}
	standing, err := a.awaitIdle(c, shown)
	return syncReport{Runs: runs, Standing: standing, Changed: changed(runs)}, err
}

func anyFailed(runs []api.Run) bool {
	for _, r := range runs {
		if r.State == run.Failed {
			return true
		}
	}
	return false
}

func changed(runs []api.Run) bool {
	var sum run.Counts
	for _, r := range runs {
		sum.Add(r.Counts)
	}
	return sum.Stored+sum.Deleted+sum.Absent+sum.Rejected > 0
}

func (a *app) printSync(report syncReport, noWait bool) error {
	if len(report.Runs) == 0 {
		return a.printf("nothing to read: no connection that is in use offers a stream; see regulars status\n")
	}
	if err := a.printRuns(report.Runs); err != nil {
		return err
	}
	switch {
	case noWait:
		return a.printf("\nrequested; see regulars run list\n")
	case anyFailed(report.Runs):
		return a.printf("\nnot everything could be read; the cause stands beside the run\n")
	case !report.Changed:
		return a.printf("\nnothing had changed\n")
	}
	return nil
}

// await polls until runs are over, and returns them as they ended.
func (a *app) await(c *client, runs []api.Run, shown progress) ([]api.Run, error) {
	current := append([]api.Run{}, runs...)
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		active := false
		for i, r := range current {
			if !r.State.Active() {
				continue
			}
			fresh, err := fetch[api.Run](a.ctx, c, http.MethodGet, a.at("runs", r.ID), nil)
			if err != nil {
				return nil, err
			}
			current[i] = fresh
			active = active || fresh.State.Active()
		}
		if shown != nil {
			shown.runs(current)
		}
		if !active {
			return current, nil
		}
		select {
		case <-ticker.C:
		case <-a.ctx.Done():
			return nil, a.ctx.Err()
		}
	}
}

// awaitIdle polls until nothing is read, settled or refreshed any more.
func (a *app) awaitIdle(c *client, shown progress) (api.Standing, error) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		standing, err := fetch[api.Standing](a.ctx, c, http.MethodGet, a.at("standing"), nil)
		if err != nil || standing.Idle {
			return standing, err
		}
		shown.standing(standing)
		select {
		case <-ticker.C:
		case <-a.ctx.Done():
			return standing, a.ctx.Err()
		}
	}
}
