package main

import (
	"net/http"
	"strconv"

	"github.com/regulars/regulars/hub/api"
)

// deadLetterGroup are the commands about dead letters.
type deadLetterGroup struct {
	List  deadLetterListCommand  `cmd:"" help:"List dead letters, newest first."`
	Show  deadLetterShowCommand  `cmd:"" help:"Show a dead letter with its record."`
	Retry deadLetterRetryCommand `cmd:"" help:"Take dead letters in again; all open ones unless some are named."`
	Drop  deadLetterDropCommand  `cmd:"" help:"Give dead letters up."`
}

type deadLetterListCommand struct {
	State string `help:"open, retrying, resolved or dropped. Default: open and retrying." enum:",open,retrying,resolved,dropped" default:""`
	Limit int    `help:"How many at most." default:"50"`
}

// Run implements the command.
func (l deadLetterListCommand) Run(a *app) error {
	path := query(a.at("deadletters"), "state", l.State, "limit", strconv.Itoa(l.Limit))
	return show(a, http.MethodGet, path, nil, func(letters []api.DeadLetter) error {
		if len(letters) == 0 {
			return a.printf("no dead letters\n")
		}
		var rows [][]string
		for _, d := range letters {
			rows = append(rows, []string{number(d.ID), d.Connection + "." + d.Stream, d.State, orDash(d.Key), orDash(d.Place), d.Rule, d.Message})
		}
		return a.table([]string{"LETTER", "STREAM", "STATE", "KEY", "PLACE", "RULE", "MESSAGE"}, rows)
	})
}

type deadLetterShowCommand struct {
	ID int64 `arg:"" help:"The letter's number."`
}

// Run implements the command.
func (s deadLetterShowCommand) Run(a *app) error {
	return show(a, http.MethodGet, a.at("deadletters", s.ID), nil, func(d api.DeadLetter) error {
		err := a.pairs([][2]string{
			{"letter", number(d.ID)},
			{"stream", d.Connection + "." + d.Stream},
			{"state", d.State},
			{"key", d.Key},
			{"place", d.Place},
			{"rule", d.Rule},
			{"message", d.Message},
			{"refused by", d.Origin},
			{"run", number(d.Run)},
			{"created", when(&d.Created)},
			{"changed", when(&d.Changed)},
		})
		if err != nil || d.Raw == "" {
			return err
		}
		return a.printf("\n%s\n", d.Raw)
	})
}

type deadLetterRetryCommand struct {
	IDs []int64 `arg:"" optional:"" name:"id" help:"Numbers of letters."`
}

// Run implements the command.
func (r deadLetterRetryCommand) Run(a *app) error {
	return a.with(func(c *client) error {
		reply, err := fetch[api.RetryReply](a.ctx, c, http.MethodPost, a.at("deadletters", "retry"), api.RetryRequest{IDs: r.IDs})
		if err != nil {
			return err
		}
		if reply.Rereads, err = a.await(c, reply.Rereads, nil); err != nil {
			return err
		}
		if a.JSON {
			return a.printJSON(reply)
		}
		if err := a.printf("%d stored now, %d still cannot be used\n", reply.Resolved, reply.Open); err != nil {
			return err
		}
		if len(reply.Rereads) == 0 {
			return nil
		}
		return a.printRuns(reply.Rereads)
	})
}

type deadLetterDropCommand struct {
	IDs []int64 `arg:"" name:"id" help:"Numbers of letters."`
}

// Run implements the command.
func (d deadLetterDropCommand) Run(a *app) error {
	return a.with(func(c *client) error {
		dropped := []api.Dropped{}
		for _, id := range d.IDs {
			one, err := fetch[api.Dropped](a.ctx, c, http.MethodPost, a.at("deadletters", id, "drop"), nil)
			if err != nil {
				return err
			}
			dropped = append(dropped, one)
		}
		if a.JSON {
			return a.printJSON(dropped)
		}
		return a.printf("%d dropped\n", len(dropped))
	})
}
