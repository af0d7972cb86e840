package main

import (
	"net/http"
	"strconv"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/run"
)

// runCommands are the commands about runs.
type runCommands struct {
	List   runListCommand   `cmd:"" help:"List runs, newest first."`
	Show   runShowCommand   `cmd:"" help:"Show a run."`
	Cancel runCancelCommand `cmd:"" help:"Stop a run; what it has stored stays."`
}

type runListCommand struct {
	Limit int `help:"How many at most." default:"50"`
}

// Run implements the command.
func (l runListCommand) Run(a *app) error {
	return show(a, http.MethodGet, query(a.at("runs"), "limit", strconv.Itoa(l.Limit)), nil, a.printRuns)
}

// subject names what a run is about.
func subject(r api.Run) string {
	if r.Kind == run.Activation {
		return r.Subject + " -> " + r.Connection
	}
	return r.Connection + "." + r.Subject
}

func (a *app) printRuns(runs []api.Run) error {
	var rows [][]string
	for _, r := range runs {
		rows = append(rows, []string{
			number(r.ID), subject(r), string(r.State), number(r.Counts.Read), number(r.Counts.Stored), number(r.Counts.Unchanged),
			number(r.Counts.Deleted), number(r.Counts.Absent), number(r.Counts.Rejected), number(r.Counts.Ignored), r.Cause,
		})
	}
	return a.table([]string{"RUN", "OF", "STATE", "READ", "STORED", "UNCHANGED", "DELETED", "ABSENT", "REJECTED", "IGNORED", "CAUSE"}, rows)
}

type runID struct {
	ID run.ID `arg:"" help:"The run's number."`
}

type runShowCommand struct{ runID }

// Run implements the command.
func (s runShowCommand) Run(a *app) error {
	return show(a, http.MethodGet, a.at("runs", s.ID), nil, a.printRun)
}

type runCancelCommand struct{ runID }

// Run implements the command.
func (s runCancelCommand) Run(a *app) error {
	return show(a, http.MethodPost, a.at("runs", s.ID, "cancel"), nil, a.printRun)
}

func (a *app) printRun(r api.Run) error {
	rows := [][2]string{
		{"run", number(r.ID)},
		{"of", subject(r)},
		{"state", string(r.State)},
		{"cause", r.Cause},
		{"kind of cause", r.CauseKind},
		{"mode", string(r.Mode)},
		{"trigger", r.Trigger},
		{"created", when(&r.Created)},
		{"started", when(r.Started)},
		{"finished", when(r.Finished)},
	}
	if r.Stalls > 0 {
		rows = append(rows, [2]string{"stalls", number(r.Stalls)})
	}
	if r.WaitUntil != nil {
		rows = append(rows, [2]string{"waits until", when(r.WaitUntil)})
	}
	if err := a.pairs(rows); err != nil {
		return err
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	if r.Kind == run.Activation {
		return a.printPush(r)
	}
	return a.printRuns([]api.Run{r})
}
