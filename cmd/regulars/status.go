package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/regulars/regulars/hub/api"
)

type statusCommand struct{}

// Run implements the command.
func (statusCommand) Run(a *app) error {
	return show(a, http.MethodGet, join("status"), nil, func(s api.Status) error {
		for _, problem := range s.Problems {
			if err := a.printf("problem: %s\n", problem); err != nil {
				return err
			}
		}
		for i, w := range s.Workspaces {
			if i > 0 || len(s.Problems) > 0 {
				if err := a.printf("\n"); err != nil {
					return err
				}
			}
			work := "idle"
			if !w.Standing.Idle {
				work = "at work"
			}
			if err := a.printf("%s: %s, %d customers, %d dead letters, %s%s\n\n", w.Name, w.Health, w.Customers, w.DeadLetters, work, refreshed(w.Standing)); err != nil {
				return err
			}
			if err := a.printConnections(w.Connections); err != nil {
				return err
			}
		}
		return nil
	})
}

// refreshed tells of the last evaluation of figures and segments.
func refreshed(s api.Standing) string {
	if s.RefreshedAt == nil {
		return ""
	}
	whom := "of everybody"
	if !s.RefreshedAll {
		whom = fmt.Sprintf("of %d customers who changed", s.Refreshed)
	}
	return fmt.Sprintf(", figures as of %s (last evaluation at %s, %s)", s.RefreshedOn, s.RefreshedAt.Format(time.RFC3339), whom)
}

// workspaceCommands are the commands about workspaces.
type workspaceCommands struct {
	List workspaceListCommand `cmd:"" help:"List workspaces, worst first."`
}

type workspaceListCommand struct{}

// Run implements the command.
func (workspaceListCommand) Run(a *app) error {
	return a.with(func(c *client) error {
		status, err := fetch[api.Status](a.ctx, c, http.MethodGet, join("status"), nil)
		if err != nil {
			return err
		}
		if a.JSON {
			return a.printJSON(status.Workspaces)
		}
		var rows [][]string
		for _, w := range status.Workspaces {
			rows = append(rows, []string{w.Name, w.Health, number(w.Customers), number(len(w.Connections)), number(w.DeadLetters)})
		}
		return a.table([]string{"WORKSPACE", "HEALTH", "CUSTOMERS", "CONNECTIONS", "DEAD LETTERS"}, rows)
	})
}
