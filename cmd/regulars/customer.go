package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/customer"
)

// customerCommands are the commands about customers.
type customerCommands struct {
	Find       customerFindCommand    `cmd:"" help:"Find customers by e-mail address, phone number, record key or number."`
	Show       customerShowCommand    `cmd:"" help:"Show all that is known of a customer, and where it comes from."`
	MayContact mayContactCommand      `cmd:"" name:"may-contact" help:"Tell whether somebody may be written to, and by which records."`
	Explain    customerExplainCommand `cmd:"" help:"Tell why records are one customer, or why two are not."`
	Unmerge    customerUnmergeCommand `cmd:"" help:"Take records out of their customer, for good."`
	Pin        customerPinCommand     `cmd:"" help:"Keep two records one customer, for good."`
	Unpin      customerUnpinCommand   `cmd:"" help:"Take a pin back."`
	Uncut      customerUncutCommand   `cmd:"" help:"Take the cut between two records back."`
	Pins       customerPinsCommand    `cmd:"" help:"List all pins and cuts."`
}

type customerFindCommand struct {
	Query string `arg:"" help:"What to look for."`
}

// Run implements the command.
func (f customerFindCommand) Run(a *app) error {
	return show(a, http.MethodPost, a.at("customers", "find"), api.FindRequest{Query: f.Query}, func(cards []api.CustomerCard) error {
		if len(cards) == 0 {
			return a.printf("nobody found\n")
		}
		var rows [][]string
		for _, c := range cards {
			rows = append(rows, []string{number(c.ID), string(c.Kind), orDash(c.Name), orDash(strings.Join(c.Emails, " ")), orDash(strings.Join(c.Phones, " ")), keys(c.Keys)})
		}
		return a.table([]string{"CUSTOMER", "KIND", "NAME", "E-MAIL", "PHONE", "KEYS"}, rows)
	})
}

type customerID struct {
	ID customer.ID `arg:"" help:"The customer's number."`
}

// birthdayText leaves the year out where it is not known.
func birthdayText(b entity.Birthday) string {
	if b.Year == 0 {
		return fmt.Sprintf("--%02d-%02d", b.Month, b.Day)
	}
	return fmt.Sprintf("%04d-%02d-%02d", b.Year, b.Month, b.Day)
}

type mayContactCommand struct {
	customerID
	Channel string `help:"email, sms, messenger, push or phone." enum:"email,sms,messenger,push,phone" default:"email"`
	Purpose string `help:"What for." default:"marketing"`
}

// Run implements the command.
func (m mayContactCommand) Run(a *app) error {
	path := query(a.at("customers", m.ID, "may-contact"), "channel", m.Channel, "purpose", m.Purpose)
	return show(a, http.MethodGet, path, nil, func(v api.Verdict) error {
		err := a.pairs([][2]string{
			{"customer", number(v.Customer)}, {"channel", v.Channel}, {"purpose", v.Purpose}, {"may be written to", yes(v.Allowed)}, {"because", strings.ReplaceAll(v.Reason, "_", " ")},
		})
		if err != nil || len(v.Evidence) == 0 {
			return err
		}
		var rows [][]string
		for _, e := range v.Evidence {
			rows = append(rows, []string{e.Record, e.State, when(e.At), orDash(e.Source), orDash(e.TextVersion)})
		}
		return a.section("EVIDENCE", []string{"RECORD", "STATE", "AT", "SOURCE", "TEXT"}, rows)
	})
}

// exportCommand writes the canonical form.
type exportCommand struct {
	Canonical bool `help:"The canonical form: sorted, without numbers of the store and times of the hub. It is the only one."`
}

// Run implements the command.
func (exportCommand) Run(a *app) error {
	return a.with(func(c *client) error {
		answer, err := c.send(a.ctx, http.MethodGet, a.at("export"), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(a.stdout, answer)
		return errors.Join(err, answer.Close())
	})
}
