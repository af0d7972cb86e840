package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for did not work
	exitUsage  = 2 // the command line or the configuration is wrong
)

// grammar is the command line.
type grammar struct {
	Config    string `help:"Path of hub.yaml or of its folder. Default: $$REGULARS_CONFIG, else ./hub.yaml." short:"c" placeholder:"PATH"`
	Workspace string `help:"Name of the workspace; not needed when there is one." short:"w" placeholder:"NAME"`
	JSON      bool   `help:"Print JSON in a fixed form."`

	Demo       demoCommand       `cmd:"" help:"See Regulars do its job on a real shop's purchase history."`
	Serve      serveCommand      `cmd:"" help:"Run the hub until it is told to stop."`
	Status     statusCommand     `cmd:"" help:"Show every workspace, worst first."`
	Sync       syncCommand       `cmd:"" help:"Read what is new, and wait for what follows from it."`
	Resync     resyncCommand     `cmd:"" help:"Read everything again; what is unchanged costs nothing further."`
	ConfigCmds configCommands    `cmd:"" name:"config" help:"Check the configuration."`
	Workspaces workspaceCommands `cmd:"" name:"workspace" help:"Workspaces."`
	Connector  connectorCommands `cmd:"" help:"Installed connectors."`
	Connection connectionGroup   `cmd:"" help:"Connections and their streams."`
	Run        runCommands       `cmd:"" help:"Syncs and pushes."`
	DeadLetter deadLetterGroup   `cmd:"" name:"deadletter" help:"Records kept aside because they could not be used."`
	Customer   customerCommands  `cmd:"" help:"Customers."`
	KPI        kpiCommands       `cmd:"" name:"kpi" help:"Figures."`
	Cohort     cohortCommand     `cmd:"" help:"Customers followed from their first order on."`
	RFM        rfmCommand        `cmd:"" name:"rfm" help:"Recency, frequency and money."`
	Identity   identityCommands  `cmd:"" help:"Who is one person: changed rules, shared addresses."`
	Segment    segmentCommands   `cmd:"" help:"Segments."`
	Activation activationGroup   `cmd:"" help:"Pushes of segments to targets elsewhere."`
	Export     exportCommand     `cmd:"" help:"Write customers, orders, consents, memberships and what was sent as JSON lines."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// surroundings is what a command gets from outside; tests put their own in.
type surroundings struct {
	stdout, stderr io.Writer
	terminal       bool // stderr is one: progress is drawn as a bar
	getenv         func(string) string
	// connectors is the folder of connector executables unless the configuration names one.
	connectors string
	// connect reaches a hub.
	connect func(ctx context.Context, a *app) (*client, error)
}

func system() surroundings {
	s := surroundings{stdout: os.Stdout, stderr: os.Stderr, terminal: isTerminal(os.Stderr), getenv: os.Getenv, connect: reach}
	if executable, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(executable); err == nil {
			executable = resolved
		}
		s.connectors = filepath.Join(filepath.Dir(executable), "connectors")
	}
	return s
}

// app is one call of the program.
type app struct {
	surroundings
	ctx context.Context // kong calls commands without a context
	*grammar
}

// usageError is the caller's mistake, in the command line or in the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errSaid ends the program with exitFailed after the command itself has said why.
var errSaid = errors.New("failed")

// exited is how kong's wish to exit, after --help, comes back through its parser.
type exited int

// execute carries a command line out and returns the exit code.
func execute(ctx context.Context, args []string, s surroundings) (code int) {
	defer func() {
		if r := recover(); r != nil {
			status, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(status)
		}
	}()
	var g grammar
	parser, err := kong.New(&g,
		kong.Name("regulars"),
		kong.Description("Brings the customers of a company together, measures who comes back, and keeps lists elsewhere in step."),
		kong.Writers(s.stdout, s.stderr),
		kong.Exit(func(status int) { panic(exited(status)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		panic(err) // a mistake in the grammar; every test sees it
	}
	command, err := parser.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintf(s.stderr, "regulars: %v; see regulars --help\n", err)
		return exitUsage
	}
	err = command.Run(&app{surroundings: s, ctx: ctx, grammar: &g})
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(s.stderr, "regulars: %v\n", err)
		return exitUsage
	case errors.Is(err, errSaid):
		return exitFailed
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(s.stderr, "regulars: stopped")
		return exitFailed
	default:
		_, _ = fmt.Fprintf(s.stderr, "regulars: %v\n", err)
		return exitFailed
	}
}

// versionCommand prints the version.
type versionCommand struct{}

// Run implements the command.
func (versionCommand) Run(a *app) error {
	if a.JSON {
		return a.printJSON(map[string]string{"version": version})
	}
	return a.printf("regulars %s\n", version)
}
