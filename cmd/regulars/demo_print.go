package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/regulars/regulars/hub/api"
)

const (
	demoPeriod = "January 1997 to June 1998"
	demoAsOf   = "1998-06-30"
)

// print shows what the demo has come to, section by section.
func (d demoCommand) print(a *app, s *server, synced syncReport, f findings) error {
	for _, section := range []func() error{
		func() error { return d.printRead(a, synced, f) },
		func() error { return d.printFigures(a, f) },
		func() error { return d.printSegments(a, f) },
		func() error { return d.printPushes(a, synced, f) },
		func() error { return d.printNext(a, s) },
	} {
		if err := section(); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) heading(text string) error { return a.printf("\n== %s\n\n", text) }

func (d demoCommand) printRead(a *app, synced syncReport, f findings) error {
	if err := a.heading("What was read"); err != nil {
		return err
	}
	if err := a.printRuns(synced.Runs); err != nil {
		return err
	}
	if !synced.Changed && !anyFailed(synced.Runs) {
		if err := a.printf("\nNothing had changed since the last time, so nothing was stored.\n"); err != nil {
			return err
		}
	}
	var customers, letters int64
	for _, w := range f.status.Workspaces {
		customers += w.Customers
		letters += w.DeadLetters
	}
	return a.printf("\n%d customers, after joining records of the shop and its newsletter by e-mail, phone and customer number; %d dead letters.\n", customers, letters)
}

func (d demoCommand) printFigures(a *app, f findings) error {
	if err := a.heading("Figures"); err != nil {
		return err
	}
	return a.printReport(f.report, false)
}

func (d demoCommand) printSegments(a *app, f findings) error {
	if err := a.heading("Segments"); err != nil {
		return err
	}
	var rows [][]string
	for _, s := range f.segments {
		rows = append(rows, []string{s.ID, number(s.Size), s.NetValue, title(s.Title)})
	}
	return a.table([]string{"SEGMENT", "SIZE", "NET VALUE", "TITLE"}, rows)
}

func (d demoCommand) printPushes(a *app, synced syncReport, f findings) error {
	if err := a.heading("What was pushed"); err != nil {
		return err
	}
	nothing := !synced.Changed
	for i, push := range f.pushes {
		nothing = nothing && quietPush(push)
		one := f.activations[i]
		where := one.Connection + "/" + one.Target
		if file := d.listFile(one.Target); file != "" {
			where = file
		}
		if err := a.printf("The %s list %s follows the segment %s:\n", one.Channel, where, one.Segment); err != nil {
			return err
		}
		if err := a.printPush(push); err != nil {
			return err
		}
	}
	if nothing && len(f.pushes) > 0 {
		return a.printf("\nNothing to do: the data had not changed and the lists are as they should be.\n")
	}
	return nil
}

// listFile is where the list of a target lies; empty when it is not there.
func (d demoCommand) listFile(target string) string {
	path := filepath.Join(d.Data, "lists", target+".csv")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func (d demoCommand) printNext(a *app, s *server) error {
	if d.Check {
		return nil
	}
	if err := a.heading("Where to look"); err != nil {
		return err
	}
	base := "http://" + s.address()
	if err := a.pairs([][2]string{{"metrics", base + "/metrics"}, {"health", base + "/healthz"}, {"readiness", base + "/readyz"}}); err != nil {
		return err
	}
	if err := a.heading("What to try next, in another terminal"); err != nil {
		return err
	}
	orders := filepath.Join(a.Config, "shop", "orders.csv")
	command := fmt.Sprintf("%s --config %s", quoted(programName()), quoted(a.Config))
	return a.printf("%s\n", fmt.Sprintf(`# The last quarter of 1997 in all figures
%[1]s kpi show --period 1997-Q4 --all

# A customer buys again: only what that order touches changes
echo 00004,1998-06-30,1,19.99 >> %[2]s && %[1]s sync

# Who is on the list, who is not, and why
%[1]s activation preview win-back`, command, quoted(orders)))
}

// programName is the program as it was started, so that a printed command can be pasted.
func programName() string {
	if len(os.Args) > 0 && os.Args[0] != "" {
		return os.Args[0]
	}
	return "regulars"
}

// plainWord is what a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9/._-]+$`)

// quoted makes one word of the shell of a path.
func quoted(path string) string {
	if plainWord.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// pushOf finds the push of an activation.
func (f findings) pushOf(activation string) (api.Run, bool) {
	for _, push := range f.pushes {
		if push.Subject == activation {
			return push, true
		}
	}
	return api.Run{}, false
}
