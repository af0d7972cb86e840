package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/run"
)

// activationGroup are the commands about activations.
type activationGroup struct {
	List    activationListCommand    `cmd:"" help:"List activations."`
	Preview activationPreviewCommand `cmd:"" help:"Tell what a push would do now; changes nothing."`
	Approve activationApproveCommand `cmd:"" help:"Let the first push, or a plan that was held, go."`
	Run     activationRunCommand     `cmd:"" help:"Push now, and wait for the end."`
	Pause   activationPauseCommand   `cmd:"" help:"Stop pushing."`
	Resume  activationResumeCommand  `cmd:"" help:"Push again."`
	Results activationResultsCommand `cmd:"" help:"List what became of each record of a push."`
}

// activationID is the argument of most of them.
type activationID struct {
	ID string `arg:"" help:"The activation's id."`
}

type activationListCommand struct{}

// Run implements the command.
func (activationListCommand) Run(a *app) error {
	return show(a, http.MethodGet, a.at("activations"), nil, func(all []api.Activation) error {
		var rows [][]string
		for _, one := range all {
			rows = append(rows, activationRow(one))
		}
		return a.table([]string{"ACTIVATION", "SEGMENT", "TO", "MODE", "CHANNEL", "STATE", "LAST DONE"}, rows)
	})
}

func activationRow(one api.Activation) []string {
	state := "ready"
	switch {
	case one.Problem != "":
		state = one.Problem
	case one.Paused != "":
		state = "paused: " + one.Paused
	case one.Held != "":
		state = "held: " + one.Held
	case !one.Approved:
		state = "waits for approval of its first push"
	case one.LastRun != nil && one.LastRun.State == run.Failed:
		state = "failed: " + one.LastRun.Cause
	}
	return []string{one.ID, one.Segment, one.Connection + "/" + one.Target, one.Mode, one.Channel, state, when(one.LastDone)}
}

type activationPreviewCommand struct{ activationID }

// Run implements the command.
func (p activationPreviewCommand) Run(a *app) error {
	return show(a, http.MethodGet, a.at("activations", p.ID, "preview"), nil, func(plan api.Plan) error {
		rows := [][2]string{
			{"activation", plan.Activation},
			{"target", plan.Target},
			{"segment", number(plan.SegmentSize)},
			{"on the target now", number(plan.Members)},
			{"would add", number(plan.Adds)},
			{"would update", number(plan.Updates)},
			{"would remove", number(plan.Removes)},
			{"unchanged", number(plan.Unchanged)},
		}
		rows = append(rows, heldRows(plan.Held)...)
		return a.pairs(append(rows, [2]string{"would stop", plan.Stop}))
	})
}

// heldRows says how many people were kept from a target, by reason, the most frequent first.
func heldRows(held map[string]int64) [][2]string {
	reasons := slices.SortedFunc(maps.Keys(held), func(x, y string) int {
		if held[x] != held[y] {
			return int(held[y] - held[x])
		}
		return strings.Compare(x, y)
	})
	var rows [][2]string
	for _, reason := range reasons {
		if held[reason] != 0 {
			rows = append(rows, [2]string{"held back: " + strings.ReplaceAll(reason, "_", " "), number(held[reason])})
		}
	}
	return rows
}

type activationApproveCommand struct{ activationID }

// Run implements the command.
func (p activationApproveCommand) Run(a *app) error {
	return changeActivation(a, p.ID, "approve")
}

type activationPauseCommand struct{ activationID }

// Run implements the command.
func (p activationPauseCommand) Run(a *app) error { return changeActivation(a, p.ID, "pause") }

type activationResumeCommand struct{ activationID }

// Run implements the command.
func (p activationResumeCommand) Run(a *app) error { return changeActivation(a, p.ID, "resume") }

func changeActivation(a *app, id, change string) error {
	return show(a, http.MethodPost, a.at("activations", id, change), nil, func(one api.Activation) error {
		return a.table([]string{"ACTIVATION", "SEGMENT", "TO", "MODE", "CHANNEL", "STATE", "LAST DONE"}, [][]string{activationRow(one)})
	})
}

type activationRunCommand struct {
	activationID
	NoWait bool `help:"Only request the push. Useful with a hub that runs; without one nothing is done."`
}

// Run implements the command.
func (p activationRunCommand) Run(a *app) error {
	return a.with(func(c *client) error {
		requested, err := fetch[api.Run](a.ctx, c, http.MethodPost, a.at("activations", p.ID, "run"), nil)
		if err != nil {
			return err
		}
		if !p.NoWait {
			ended, err := a.await(c, []api.Run{requested}, nil)
			if err != nil {
				return err
			}
			requested = ended[0]
		}
		if a.JSON {
			err = a.printJSON(requested)
		} else {
			err = a.printPush(requested)
		}
		// A push that stopped and asks has not been made: scripts should notice.
		if err == nil && (requested.State == run.Failed || requested.Cause != "") {
			return errSaid
		}
		return err
	})
}

// heldPrefix begins the counts of people who were kept from a target, in a push's result.
const heldPrefix = "held_"

// printPush says what a push did.
func (a *app) printPush(push api.Run) error {
	rows := [][2]string{{"activation", push.Subject}, {"run", number(push.ID)}, {"state", string(push.State)}, {"cause", push.Cause}}
	held := map[string]int64{}
	for _, name := range slices.Sorted(maps.Keys(push.Result)) {
		if reason, isHeld := strings.CutPrefix(name, heldPrefix); isHeld {
			held[reason] = push.Result[name]
		}
	}
	for _, name := range pushOrder {
		if n, ok := push.Result[name]; ok {
			rows = append(rows, [2]string{strings.ReplaceAll(name, "_", " "), fmt.Sprint(n)})
		}
	}
	return a.pairs(append(rows, heldRows(held)...))
}

// pushOrder is the order a push's counts are shown in.
var pushOrder = []string{
	"segment", "members", "added", "updated", "removed", "removed_opted_out", "accepted", "unchanged", "rejected", "retryable",
}

type activationResultsCommand struct {
	activationID
	OfRun run.ID `name:"run" help:"Number of the push. Default: the last one." placeholder:"RUN"`
}

// Run implements the command.
func (p activationResultsCommand) Run(a *app) error {
	path := query(a.at("activations", p.ID, "results"), "run", number(p.OfRun))
	head := []string{"CUSTOMER", "ACTION", "STATE", "REASON", "MESSAGE", "IDENTITY"}
	return lines(a, path, head, func(r api.RecordResult) []string {
		return []string{number(r.Customer), r.Action, r.State, orDash(r.Reason), orDash(r.Message), r.Identity}
	})
}
