package runner

import (
	"slices"
	"time"

	"github.com/regulars/regulars/hub/connector"
)

const (
	// maxCrashes within crashWindow put a connector into quarantine, whichever connections they happened in.
	maxCrashes  = 5
	crashWindow = 10 * time.Minute
	// quarantineRetry is when callers are told to ask again. An answer from quarantine costs nothing.
	quarantineRetry = 5 * time.Minute
)

// Quarantine is the state of a connector that ended badly too often. It is not started until Release is called or
// another executable lies in its place.
type Quarantine struct {
	Since time.Time
	Last  Exit // the exit that was one too many
}

// conduct is what is remembered of a connector's exits.
type conduct struct {
	crashes []time.Time
	held    *Quarantine
	exe     executable // that was held
}

// Quarantined tells whether a connector is in quarantine, and since when and why.
func (p *Pool) Quarantined(name string) (Quarantine, bool) {
	exe, _ := p.find(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if held := p.held(name, exe); held != nil {
		return *held, true
	}
	return Quarantine{}, false
}

// Release ends a connector's quarantine and forgets its crashes. It says whether there was a quarantine.
func (p *Pool) Release(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	record := p.records[name]
	delete(p.records, name)
	return record != nil && record.held != nil
}

// held returns the quarantine of a connector, which ends when another executable is found. The caller holds p.mu.
func (p *Pool) held(name string, exe executable) *Quarantine {
	record := p.records[name]
	if record == nil || record.held == nil {
		return nil
	}
	if record.exe != exe {
		delete(p.records, name)
		return nil
	}
	return record.held
}

// note counts an exit and says whether it put the connector into quarantine. The caller holds p.mu.
func (p *Pool) note(name string, exe executable, exit Exit) bool {
	if !exit.Cause.crash() {
		return false
	}
	now := p.opts.Clock.Now()
	record := p.records[name]
	if record == nil {
		record = &conduct{}
		p.records[name] = record
	}
	record.crashes = slices.DeleteFunc(record.crashes, func(at time.Time) bool { return now.Sub(at) >= crashWindow })
	record.crashes = append(record.crashes, now)
	if len(record.crashes) < maxCrashes || record.held != nil {
		return false
	}
	record.held, record.exe = &Quarantine{Since: now, Last: exit}, exe
	return true
}

func (q Quarantine) problem(name string) *connector.Problem {
	problem := problemf(connector.Upstream, "connector_quarantined",
		"connector %q is in quarantine since %s: it ended badly %d times within %s, last with %s. Look at the hub's log, then "+
			"install another build or try again with: regulars connector release %s",
		name, q.Since.UTC().Format(time.RFC3339), maxCrashes, crashWindow, q.Last, name)
	problem.RetryAfter = quarantineRetry
	return problem
}
