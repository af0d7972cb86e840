package main

import (
	"fmt"
	"log/slog"

	"github.com/regulars/regulars/hub"
	"github.com/regulars/regulars/hub/config"
)

// configCommands are the commands about the configuration.
type configCommands struct {
	Check  configCheckCommand  `cmd:"" help:"Show every problem of hub.yaml and the workspace files, with its place."`
	Schema configSchemaCommand `cmd:"" help:"Print the JSON Schema of a kind of file, for editors."`
}

type configCheckCommand struct{}

// checkReport is the form of config check --json.
type checkReport struct {
	Path       string          `json:"path"`
	OK         bool            `json:"ok"`
	Workspaces []string        `json:"workspaces"` // those in order
	Problems   []problemReport `json:"problems"`
}

type problemReport struct {
	File       string `json:"file"`
	Line       int    `json:"line,omitempty"`
	Column     int    `json:"column,omitempty"`
	Path       string `json:"path,omitempty"`
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"`
}

// Run implements the command.
func (configCheckCommand) Run(a *app) error {
	path, err := config.Find(a.Config, a.getenv)
	if err != nil {
		return usageError{err}
	}
	cfg, problems := config.Load(path, config.Options{})
	if cfg != nil {
		if cfg.Connectors.Folder == "" {
			cfg.Connectors.Folder = a.connectors
		}
		// What only the connectors know: whether their settings are right. Files and accounts are not looked at, see
		// `connection check`.
		said, err := hub.CheckConfig(a.ctx, cfg, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelError})))
		if err != nil {
			return err
		}
		problems = append(problems, said...)
	}
	report := checkReport{Path: path, OK: len(problems) == 0, Workspaces: []string{}, Problems: []problemReport{}}
	if cfg != nil {
		for _, w := range cfg.Workspaces {
			report.Workspaces = append(report.Workspaces, w.Name)
		}
	}
	for _, p := range problems {
		report.Problems = append(report.Problems, problemReport{p.File, p.Line, p.Column, p.Path, p.Message, p.Suggestion})
	}
	if a.JSON {
		err = a.printJSON(report)
	} else {
		err = a.printCheck(report, problems)
	}
	if err == nil && !report.OK {
		return usagef("%d problems in the configuration", len(problems))
	}
	return err
}

func (a *app) printCheck(report checkReport, problems config.Problems) error {
	for _, p := range problems {
		if err := a.printf("%s\n", p); err != nil {
			return err
		}
	}
	if !report.OK {
		return nil
	}
	return a.printf("%s and %d workspaces are in order\n", report.Path, len(report.Workspaces))
}

type configSchemaCommand struct {
	Kind string `arg:"" optional:"" help:"hub, workspace or base." enum:"hub,workspace,base" default:"workspace"`
}

// Run implements the command.
func (s configSchemaCommand) Run(a *app) error {
	schema, err := config.Schema(config.FileKind(s.Kind))
	if err != nil {
		return fmt.Errorf("making the schema: %w", err)
	}
	return a.printRaw(schema)
}
