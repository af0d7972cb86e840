package main

import (
	"net/http"
	"strings"

	"github.com/regulars/regulars/hub/api"
)

type customerExplainCommand struct {
	Who   string `arg:"" name:"customer" help:"A customer number, an address or a record."`
	Other string `arg:"" optional:"" name:"record" help:"A second record; the first is then one too, CONNECTION.STREAM/KEY."`
}

// Run implements the command.
func (e customerExplainCommand) Run(a *app) error {
	return show(a, http.MethodPost, a.at("customers", "explain"), api.ExplainRequest{Query: e.Who, Other: e.Other}, func(x api.Explanation) error {
		if x.Pair != nil {
			return a.printPair(e.Who, e.Other, *x.Pair)
		}
		return a.printExplanation(x)
	})
}

// reasons are the stable names of refusals in words.
var reasons = map[string]string{
	"cut":                  "somebody decided that they are two",
	"different_strong_ids": "they have different strong ids",
	"different_names":      "their names are of two people",
	"shared_by_many":       "too many people have it",
	"person_and_company":   "a person and a company are never one customer",
	"quarantined":          "evidence ties too many records together to be trusted",
	"no_evidence":          "they share nothing that counts as evidence",
	"too_many_records":     "weak identifiers tie too many records together",
	"strong_id_shared":     "one strong id is on too many customers",
}

func inWords(reason string) string {
	if words, known := reasons[reason]; known {
		return words
	}
	return strings.ReplaceAll(reason, "_", " ")
}

func (a *app) printPair(record, other string, p api.PairExplanation) error {
	if p.Same {
		if err := a.printf("%s and %s are one customer, %d\n", record, other, p.Customer); err != nil {
			return err
		}
		return a.printEvidence("JOINED BY", p.Path)
	}
	if err := a.printf("%s (customer %d) and %s (customer %d) are two: %s\n", record, p.Customer, other, p.OtherCustomer, inWords(p.Reason)); err != nil {
		return err
	}
	return a.printRefused(p.Refused)
}

func (a *app) printExplanation(x api.Explanation) error {
	var former []string
	for _, id := range x.FormerIDs {
		former = append(former, number(id))
	}
	quarantine := ""
	if x.Quarantine != "" {
		quarantine = inWords(x.Quarantine) + ": " + number(x.ComponentSize) + "; they are joined by pins and strong ids only"
	}
	err := a.pairs([][2]string{
		{"customer", number(x.Customer)}, {"kind", string(x.Kind)}, {"former numbers", strings.Join(former, ", ")}, {"quarantine", quarantine},
	})
	if err != nil {
		return err
	}
	var rows [][]string
	for _, r := range x.Records {
		state := "here"
		if r.Placeholder {
			state = "only referred to"
		}
		rows = append(rows, []string{r.Record, state})
	}
	if err := a.section("RECORDS", []string{"RECORD", "STATE"}, rows); err != nil {
		return err
	}
	if err := a.printEvidence("JOINED BY", x.Evidence); err != nil {
		return err
	}
	if err := a.printRefused(x.Refused); err != nil {
		return err
	}
	return a.printDecisions(x.Decisions)
}

func (a *app) printEvidence(title string, all []api.JoinEvidence) error {
	if len(all) == 0 {
		return nil
	}
	var rows [][]string
	for _, e := range all {
		rows = append(rows, []string{e.Strength, evidenceText(e), e.Record, e.Other})
	}
	return a.section(title, []string{"STRENGTH", "EVIDENCE", "RECORD", "OTHER"}, rows)
}

func evidenceText(e api.JoinEvidence) string {
	return orDash(strings.TrimSpace(e.Kind + " " + e.Value))
}

func (a *app) printRefused(all []api.JoinRefusal) error {
	if len(all) == 0 {
		return nil
	}
	var rows [][]string
	for _, r := range all {
		why := inWords(r.Reason)
		if r.IDKind != "" {
			why += ": " + r.IDKind
		}
		rows = append(rows, []string{number(r.Customer), evidenceText(r.JoinEvidence), r.Record, r.Other, why})
	}
	return a.section("NOT JOINED", []string{"CUSTOMER", "EVIDENCE", "RECORD", "OTHER", "BECAUSE"}, rows)
}

func decisionRows(all []api.Decision) [][]string {
	var rows [][]string
	for _, d := range all {
		rows = append(rows, []string{d.Kind, d.Record, d.Other, when(d.At), orDash(d.Note)})
	}
	return rows
}

var decisionHead = []string{"DECISION", "RECORD", "OTHER", "AT", "NOTE"}

func (a *app) printDecisions(all []api.Decision) error {
	if len(all) == 0 {
		return nil
	}
	return a.section("DECISIONS", decisionHead, decisionRows(all))
}

// decide takes a decision to the hub, waits until what follows from it is done, and prints who is whose now.
func (a *app) decide(request api.DecisionRequest) error {
	return a.with(func(c *client) error {
		done, err := fetch[api.Decided](a.ctx, c, http.MethodPost, a.at("customers", "decide"), request)
		if err != nil {
			return err
		}
		shown := a.progress()
		_, err = a.awaitIdle(c, shown)
		shown.end()
		if err != nil {
			return err
		}
		if a.JSON {
			return a.printJSON(done)
		}
		var rows [][]string
		for _, r := range done.Records {
			rows = append(rows, []string{r.Record, number(r.Before), number(r.Now)})
		}
		return a.table([]string{"RECORD", "CUSTOMER BEFORE", "NOW"}, rows)
	})
}

type customerUnmergeCommand struct {
	Records []string `arg:"" name:"record" help:"Records to take out of their customer, CONNECTION.STREAM/KEY."`
	Undo    bool     `help:"Take it back."`
	Note    string   `help:"Why; kept with the decision."`
}

// Run implements the command.
func (u customerUnmergeCommand) Run(a *app) error {
	request := api.DecisionRequest{Action: api.Unmerge, Records: u.Records, Note: u.Note}
	if u.Undo {
		request.Action = api.UndoUnmerge
	}
	return a.decide(request)
}

type twoRecords struct {
	Record string `arg:"" help:"A record, CONNECTION.STREAM/KEY."`
	Other  string `arg:"" help:"Another."`
}

type customerPinCommand struct {
	twoRecords
	Note string `help:"Why; kept with the decision."`
}

// Run implements the command.
func (p customerPinCommand) Run(a *app) error {
	return a.decide(api.DecisionRequest{Action: api.Pin, Records: []string{p.Record, p.Other}, Note: p.Note})
}

type customerUnpinCommand struct{ twoRecords }

// Run implements the command.
func (p customerUnpinCommand) Run(a *app) error {
	return a.decide(api.DecisionRequest{Action: api.Unpin, Records: []string{p.Record, p.Other}})
}

type customerUncutCommand struct{ twoRecords }

// Run implements the command.
func (p customerUncutCommand) Run(a *app) error {
	return a.decide(api.DecisionRequest{Action: api.Uncut, Records: []string{p.Record, p.Other}})
}

type customerPinsCommand struct{}

// Run implements the command.
func (customerPinsCommand) Run(a *app) error {
	return show(a, http.MethodGet, a.at("customers", "decisions"), nil, func(all []api.Decision) error {
		return a.table(decisionHead, decisionRows(all))
	})
}
