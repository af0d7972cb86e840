package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/regulars/regulars/hub/api"
)

type customerShowCommand struct {
	Who string `arg:"" name:"customer" help:"A customer number, an address or a record."`
}

// Run implements the command.
func (s customerShowCommand) Run(a *app) error {
	return a.with(func(c *client) error {
		text, err := s.find(a.ctx, a, c)
		if err != nil {
			return err
		}
		if a.JSON {
			return a.printRaw(text)
		}
		var card api.FullCard
		if err := json.Unmarshal(text, &card); err != nil {
			return fmt.Errorf("reading the hub's answer: %w", err)
		}
		return a.printCard(card)
	})
}

// find returns the customer's card as the hub gives it. A number that is also a record key means the number.
func (s customerShowCommand) find(ctx context.Context, a *app, c *client) (json.RawMessage, error) {
	if id, err := strconv.ParseInt(strings.TrimSpace(s.Who), 10, 64); err == nil {
		text, err := c.call(ctx, http.MethodGet, a.at("customers", id), nil)
		var refused *apiError
		if !errors.As(err, &refused) || refused.status != http.StatusNotFound {
			return text, err
		}
	}
	cards, err := fetch[[]api.CustomerCard](ctx, c, http.MethodPost, a.at("customers", "find"), api.FindRequest{Query: s.Who})
	if err != nil {
		return nil, err
	}
	switch len(cards) {
	case 0:
		return nil, &apiError{status: http.StatusNotFound, text: "customer: not found; regulars customer find looks for addresses, record keys and numbers"}
	case 1:
		return c.call(ctx, http.MethodGet, a.at("customers", cards[0].ID), nil)
	}
	numbers := make([]string, 0, len(cards))
	for _, card := range cards {
		numbers = append(numbers, number(card.ID))
	}
	return nil, &apiError{status: http.StatusUnprocessableEntity, text: "this is found on customers " + strings.Join(numbers, ", ") + "; name one of them"}
}

// printCard prints a card in sections; one that is empty says so.
func (a *app) printCard(card api.FullCard) error {
	for _, section := range []func(api.FullCard) error{a.printProfile, a.printSources, a.printJoins, a.printOrders, a.printTraits, a.printMemberships, a.printConsents} {
		if err := section(card); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printProfile(card api.FullCard) error {
	alias, birthday := "", ""
	if card.AliasOf != 0 {
		alias = number(card.AliasOf)
	}
	if card.Birthday != nil {
		birthday = birthdayText(*card.Birthday)
	}
	former := make([]string, 0, len(card.FormerIDs))
	for _, id := range card.FormerIDs {
		former = append(former, number(id))
	}
	return a.pairs([][2]string{
		{"customer", number(card.ID)},
		{"merged into", alias},
		{"former numbers", strings.Join(former, ", ")},
		{"kind", string(card.Kind)},
		{"name", card.Name},
		{"greeting", card.Greeting},
		{"e-mail", strings.Join(card.Emails, ", ")},
		{"phone", strings.Join(card.Phones, ", ")},
		{"city", card.City},
		{"country", card.Country},
		{"language", card.Language},
		{"birthday", birthday},
		{"channel", card.Channel},
		{"owner", card.OwnerName},
		{"tags", strings.Join(card.Tags, ", ")},
	})
}

// part prints a section of a card, or in one line that there is nothing in it.
func (a *app) part(name, none string, head []string, rows [][]string) error {
	if len(rows) == 0 {
		return a.printf("\n%s\n%s\n", name, none)
	}
	return a.section(name, head, rows)
}

func (a *app) printSources(card api.FullCard) error {
	rows := make([][]string, 0, len(card.Sources))
	for _, s := range card.Sources {
		state := "here"
		if s.Placeholder {
			state = "only referred to"
		}
		if s.Quarantined {
			state += ", quarantined"
		}
		rows = append(rows, []string{s.Record, when(s.UpdatedAt), state})
	}
	return a.part("SOURCES", "no record is left", []string{"RECORD", "UPDATED THERE", "STATE"}, rows)
}

func (a *app) printJoins(card api.FullCard) error {
	rows := make([][]string, 0, len(card.Evidence))
	for _, e := range card.Evidence {
		rows = append(rows, []string{e.Strength, evidenceText(e), e.Record, e.Other})
	}
	if err := a.part("JOINED BY", "nothing was joined", []string{"STRENGTH", "EVIDENCE", "RECORD", "OTHER"}, rows); err != nil {
		return err
	}
	if card.Quarantine != "" {
		if err := a.printf("\nquarantine: %s: %d; they are joined by pins and strong ids only\n", inWords(card.Quarantine), card.ComponentSize); err != nil {
			return err
		}
	}
	if err := a.printRefused(card.Refused); err != nil {
		return err
	}
	return a.printDecisions(card.Decisions)
}

func (a *app) printOrders(card api.FullCard) error {
	t := card.Totals
	rows := make([][]string, 0, len(card.Orders))
	for _, o := range card.Orders {
		refunded := make([]string, 0, len(o.Refunds))
		for _, f := range o.Refunds {
			refunded = append(refunded, fmt.Sprintf("%s on %s (%s)", amountText(f.Amount, f.Currency, f.Base, t.Currency), f.On, f.Record))
		}
		rows = append(rows, []string{o.On.String(), amountText(o.Amount, o.Currency, o.Base, t.Currency), o.Record, orDash(o.DateFrom), orDash(strings.Join(refunded, ", "))})
	}
	if err := a.part(titleOf("ORDERS", len(rows), t.Listed), "no orders", []string{"ON", "AMOUNT", "ORDER", "DATE FROM", "REFUNDED"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, f := range card.Unlinked {
		rows = append(rows, []string{f.On.String(), amountText(f.Amount, f.Currency, f.Base, t.Currency), f.Record})
	}
	if err := a.section(titleOf("REFUNDS OF NO ORDER HERE", len(rows), t.Unlinked), []string{"ON", "AMOUNT", "REFUND"}, rows); err != nil {
		return err
	}
	if t.Listed == 0 && t.Unlinked == 0 {
		return nil
	}
	totals := [][2]string{{"orders that count", number(t.Orders)}}
	if t.FirstOn != nil && t.LastOn != nil {
		totals = append(totals, [2]string{"first, last", t.FirstOn.String() + ", " + t.LastOn.String()})
	}
	for _, one := range [][2]string{{"gross", t.Gross}, {"net", t.Net}, {"net of the year", t.NetYear}} {
		totals = append(totals, [2]string{one[0], one[1] + " " + t.Currency})
	}
	if t.AverageCheck != nil {
		totals = append(totals, [2]string{"average check", *t.AverageCheck + " " + t.Currency})
	}
	if err := a.printf("\nTOTALS as of %s\n", card.AsOf); err != nil {
		return err
	}
	return a.pairs(totals)
}

// titleOf says when a list is not all there is.
func titleOf(name string, shown, all int) string {
	if shown == all {
		return name
	}
	return fmt.Sprintf("%s (the last %d of %d)", name, shown, all)
}

// amountText adds what an amount is in the workspace's currency where that is another.
func amountText(amount, currency string, base *string, own string) string {
	text := amount + " " + currency
	switch {
	case base == nil:
		return text + " (no rate)"
	case currency != own:
		return text + " = " + *base + " " + own
	}
	return text
}

func (a *app) printTraits(card api.FullCard) error {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(card.Traits)) {
		rows = append(rows, []string{name, orDash(fieldText(card.Traits[name]))})
	}
	return a.part(fmt.Sprintf("TRAITS as of %s", card.AsOf), "none", []string{"FIELD", "VALUE"}, rows)
}

func (a *app) printMemberships(card api.FullCard) error {
	var rows [][]string
	for _, m := range card.Memberships {
		since := m.EnteredOn.String()
		if m.Baseline {
			since += " or before"
		}
		rows = append(rows, []string{m.Segment, orDash(title(m.Title)), since, orDash(m.Rule), orDash(fieldTexts(m.Fields))})
	}
	if err := a.part("SEGMENTS", "in none", []string{"SEGMENT", "TITLE", "SINCE", "RULE", "BECAUSE"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, e := range card.History {
		rows = append(rows, []string{e.On.String(), e.Event, e.Segment, orDash(because(e.Why))})
	}
	return a.part("ENTERED AND LEFT", "nothing since the first evaluation", []string{"ON", "EVENT", "SEGMENT", "WHY"}, rows)
}

func (a *app) printConsents(card api.FullCard) error {
	var verdicts, evidence [][]string
	for _, channel := range slices.Sorted(maps.Keys(card.Consents)) {
		v := card.Consents[channel]
		verdicts = append(verdicts, []string{channel, yes(v.Allowed), strings.ReplaceAll(v.Reason, "_", " ")})
		for _, e := range v.Evidence {
			evidence = append(evidence, []string{channel, e.Record, e.State, when(e.At), orDash(e.Source), orDash(e.TextVersion)})
		}
	}
	if err := a.part("MAY BE WRITTEN TO for marketing", "not known", []string{"CHANNEL", "ALLOWED", "BECAUSE"}, verdicts); err != nil {
		return err
	}
	return a.part("CONSENT EVIDENCE", "no record decides", []string{"CHANNEL", "RECORD", "STATE", "AT", "SOURCE", "TEXT"}, evidence)
}
