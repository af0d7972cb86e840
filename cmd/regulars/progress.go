package main

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/run"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// progress shows how far a sync has come.
type progress interface {
	runs([]api.Run)
	standing(api.Standing)
	end()
}

// progress returns a bar on a terminal, plain lines elsewhere, and nothing with --json.
func (a *app) progress() progress {
	switch {
	case a.JSON:
		return quiet{}
	case a.terminal:
		return &bar{to: a.stderr}
	default:
		return &plain{to: a.stderr, said: map[run.ID]string{}}
	}
}

type quiet struct{}

func (quiet) runs([]api.Run)        {}
func (quiet) standing(api.Standing) {}
func (quiet) end()                  {}

// bar draws over one line of a terminal. That it cannot be drawn is no reason to fail.
type bar struct {
	to     io.Writer
	shown  *progressbar.ProgressBar
	behind int64 // the most records that waited for settle
}

func (b *bar) draw(total, done int64, text string) {
	if b.shown == nil {
		b.shown = progressbar.NewOptions64(max(total, 1), progressbar.OptionSetWriter(b.to), progressbar.OptionClearOnFinish(),
			progressbar.OptionShowCount(), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(poll), progressbar.OptionSetPredictTime(false))
	}
	b.shown.Describe(text)
	// A bar that is full ends; this one ends when the hub is done.
	total = max(total, done+1)
	b.shown.ChangeMax64(total)
	_ = b.shown.Set64(done)
}

func (b *bar) runs(runs []api.Run) {
	var total, done int64
	for _, r := range runs {
		total += max(r.Total, r.Counts.Read)
		done += r.Counts.Read
	}
	b.draw(total, done, "reading")
}

func (b *bar) standing(s api.Standing) {
	b.behind = max(b.behind, s.Unsettled)
	text := "working out who is who"
	if s.Unsettled == 0 {
		text = "computing figures and segments"
	}
	b.draw(b.behind, b.behind-s.Unsettled, text)
}

func (b *bar) end() {
	if b.shown != nil {
		_ = b.shown.Clear()
	}
}

// plain writes a line when something has come further.
type plain struct {
	to   io.Writer
	said map[run.ID]string
	last string
}

func (p *plain) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if line != p.last {
		_, _ = fmt.Fprintln(p.to, line) // that progress cannot be shown is no reason to fail
		p.last = line
	}
}

func (p *plain) runs(runs []api.Run) {
	for _, r := range runs {
		line := fmt.Sprintf("%s: %s", subject(r), r.State)
		if !r.State.Active() {
			line += fmt.Sprintf(", %d read", r.Counts.Read)
		}
		if r.Cause != "" {
			line += ": " + r.Cause
		}
		if p.said[r.ID] != line && (!r.State.Active() || r.State == run.Waiting) {
			p.said[r.ID] = line
			p.say("%s", line)
		}
	}
}

func (p *plain) standing(s api.Standing) {
	if s.Unsettled > 0 {
		p.say("working out who is who")
		return
	}
	p.say("computing figures and segments")
}

func (p *plain) end() {}
