package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/regulars/regulars/hub/api"
)

// connectionGroup are the commands about connections.
type connectionGroup struct {
	List   connectionListCommand   `cmd:"" help:"List connections with their streams."`
	Check  connectionCheckCommand  `cmd:"" help:"Test a connection against the system it is connected to."`
	Pause  connectionPauseCommand  `cmd:"" help:"Neither read nor write it."`
	Resume connectionResumeCommand `cmd:"" help:"Use it again."`
}

type connectionListCommand struct{}

// Run implements the command.
func (connectionListCommand) Run(a *app) error {
	return show(a, http.MethodGet, a.at("connections"), nil, a.printConnections)
}

func (a *app) printConnections(connections []api.Connection) error {
	var rows [][]string
	for _, c := range connections {
		if len(c.Streams) == 0 {
			rows = append(rows, []string{c.Name, c.Connector, "-", "-", "-", "-", "-", orDash(c.Paused)})
		}
		for _, s := range c.Streams {
			last := "-"
			if s.LastRun != nil {
				last = string(s.LastRun.State)
				if s.LastRun.Cause != "" {
					last += ": " + s.LastRun.Cause
				}
			}
			rows = append(rows, []string{c.Name, c.Connector, s.Name, yes(s.Fresh), when(s.LastComplete), number(s.DeadLetters), last, orDash(c.Paused)})
		}
	}
	return a.table([]string{"CONNECTION", "CONNECTOR", "STREAM", "FRESH", "LAST COMPLETE", "DEAD LETTERS", "LAST RUN", "PAUSED"}, rows)
}

type connectionName struct {
	Name string `arg:"" help:"The connection's name."`
}

type connectionCheckCommand struct{ connectionName }

// Run implements the command.
func (k connectionCheckCommand) Run(a *app) error {
	ok := false
	err := a.with(func(c *client) error {
		reply, err := fetch[api.CheckReply](a.ctx, c, http.MethodPost, a.at("connections", k.Name, "check"), nil)
		if err != nil {
			return err
		}
		ok = reply.OK
		if a.JSON {
			return a.printJSON(reply)
		}
		for _, problem := range reply.Problems {
			if err := a.printf("%s\n", problem); err != nil {
				return err
			}
		}
		if !ok {
			return nil
		}
		return a.pairs([][2]string{
			{"connection " + k.Name, "works"}, {"account", strings.TrimSpace(reply.AccountID + " " + reply.AccountName)}, {"clock skew", reply.ClockSkew},
		})
	})
	if err == nil && !ok {
		return errSaid
	}
	return err
}

type connectionPauseCommand struct{ connectionName }

// Run implements the command.
func (k connectionPauseCommand) Run(a *app) error { return k.change(a, "pause") }

type connectionResumeCommand struct{ connectionName }

// Run implements the command.
func (k connectionResumeCommand) Run(a *app) error { return k.change(a, "resume") }

func (k connectionName) change(a *app, change string) error {
	return show(a, http.MethodPost, a.at("connections", k.Name, change), nil, func(c api.Connection) error {
		return a.printConnections([]api.Connection{c})
	})
}

// connectorCommands are the commands about connectors.
type connectorCommands struct {
	List     connectorListCommand     `cmd:"" help:"List installed connectors."`
	Describe connectorDescribeCommand `cmd:"" help:"Show a connector's configuration, streams and targets."`
	Check    connectionCheckCommand   `cmd:"" help:"The same as connection check."`
	Release  connectorReleaseCommand  `cmd:"" help:"Let a connector out of quarantine."`
}

type connectorListCommand struct{}

// Run implements the command.
func (connectorListCommand) Run(a *app) error {
	return show(a, http.MethodGet, join("connectors"), nil, func(all []api.Connector) error {
		var rows [][]string
		for _, c := range all {
			state := "ready"
			switch {
			case c.Quarantined != "":
				state = "in quarantine: " + c.Quarantined
			case c.Problem != "":
				state = c.Problem
			}
			rows = append(rows, []string{c.Name, orDash(c.Version), orDash(c.Title), state})
		}
		return a.table([]string{"CONNECTOR", "VERSION", "TITLE", "STATE"}, rows)
	})
}

type connectorName struct {
	Name string `arg:"" help:"The connector's name."`
}

type connectorDescribeCommand struct{ connectorName }

// Run implements the command.
func (k connectorDescribeCommand) Run(a *app) error {
	return show(a, http.MethodGet, join("connectors", k.Name), nil, func(s api.ConnectorSpec) error {
		if err := a.printf("%s %s: %s\n", s.Name, s.Version, s.Title); err != nil {
			return err
		}
		var rows [][]string
		for _, f := range s.Config {
			note := ""
			switch {
			case f.Required:
				note = "required"
			case f.Default != "":
				note = "default " + f.Default
			}
			rows = append(rows, []string{f.Path, f.Type, note, f.Doc})
		}
		if err := a.section("CONFIG", []string{"KEY", "TYPE", "", "MEANING"}, rows); err != nil {
			return err
		}
		rows = nil
		for _, stream := range s.Streams {
			rows = append(rows, []string{stream.Name, string(stream.Entity), strings.Join(stream.Modes, ","), orDash(stream.Deletes), stream.Doc})
		}
		if err := a.section("STREAMS", []string{"STREAM", "ENTITY", "MODES", "DELETES", "MEANING"}, rows); err != nil {
			return err
		}
		rows = nil
		for _, t := range s.Targets {
			rows = append(rows, []string{t.Kind, orDash(t.Channel), strings.Join(t.Actions, ","), t.Identity, t.Doc})
		}
		return a.section("TARGETS", []string{"KIND", "CHANNEL", "ACTIONS", "IDENTITY", "MEANING"}, rows)
	})
}

// section prints a table under a name; nothing when it has no rows.
func (a *app) section(name string, head []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	if err := a.printf("\n%s\n", name); err != nil {
		return err
	}
	return a.table(head, rows)
}

type connectorReleaseCommand struct{ connectorName }

// Run implements the command.
func (k connectorReleaseCommand) Run(a *app) error {
	return show(a, http.MethodPost, join("connectors", k.Name, "release"), nil, func(r api.Released) error {
		return a.printf("connector %s may be started again\n", r.Name)
	})
}

// pick finds one of a list by its name.
func pick[T any](what, name string, all []T, nameOf func(T) string) (T, error) {
	for _, one := range all {
		if nameOf(one) == name {
			return one, nil
		}
	}
	var none T
	return none, &apiError{status: http.StatusNotFound, text: fmt.Sprintf("%s %q: not found", what, name)}
}
