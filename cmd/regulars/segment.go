package main

import (
	"net/http"
	"strconv"

	"github.com/regulars/regulars/hub/api"
)

// segmentCommands are the commands about segments.
type segmentCommands struct {
	List    segmentListCommand    `cmd:"" help:"List segments with their sizes at the last evaluation."`
	Show    segmentShowCommand    `cmd:"" help:"Show a segment, or its members."`
	History segmentHistoryCommand `cmd:"" help:"List who entered and left, newest first."`
}

type segmentListCommand struct{}

// Run implements the command.
func (segmentListCommand) Run(a *app) error {
	return show(a, http.MethodGet, a.at("segments"), nil, func(segments []api.Segment) error {
		var rows [][]string
		for _, s := range segments {
			rows = append(rows, []string{s.ID, number(s.Size), s.NetValue, s.ManagedBy, orDash(s.EvaluatedOn), title(s.Title)})
		}
		return a.table([]string{"SEGMENT", "SIZE", "NET VALUE", "MANAGED BY", "AS OF", "TITLE"}, rows)
	})
}

func title(titles map[string]string) string {
	for _, language := range []string{"en", "ru"} {
		if titles[language] != "" {
			return titles[language]
		}
	}
	return ""
}

type segmentShowCommand struct {
	ID      string `arg:"" help:"The segment's id."`
	Members bool   `help:"List the members, a line each."`
}

// Run implements the command.
func (s segmentShowCommand) Run(a *app) error {
	if s.Members {
		return lines(a, a.at("segments", s.ID, "members"), []string{"CUSTOMER", "KEYS"}, func(m api.Member) []string {
			return []string{number(m.Customer), keys(m.Keys)}
		})
	}
	return a.with(func(c *client) error {
		segments, err := fetch[[]api.Segment](a.ctx, c, http.MethodGet, a.at("segments"), nil)
		if err != nil {
			return err
		}
		one, err := pick("segment", s.ID, segments, func(s api.Segment) string { return s.ID })
		if err != nil {
			return err
		}
		if a.JSON {
			return a.printJSON(one)
		}
		return a.pairs([][2]string{
			{"segment", one.ID},
			{"title", title(one.Title)},
			{"size", number(one.Size)},
			{"net value", one.NetValue},
			{"managed by", one.ManagedBy},
			{"rule", one.Rule},
			{"as of", one.EvaluatedOn},
			{"problem", one.Problem},
		})
	})
}

type segmentHistoryCommand struct {
	ID    string `arg:"" help:"The segment's id."`
	Limit int    `help:"How many at most." default:"50"`
}

// Run implements the command.
func (s segmentHistoryCommand) Run(a *app) error {
	path := query(a.at("segments", s.ID, "history"), "limit", strconv.Itoa(s.Limit))
	return show(a, http.MethodGet, path, nil, func(events []api.MembershipEvent) error {
		if len(events) == 0 {
			return a.printf("nobody has entered or left since the first evaluation\n")
		}
		var rows [][]string
		for _, e := range events {
			rows = append(rows, []string{e.On.String(), e.Event, number(e.Customer)})
		}
		return a.table([]string{"ON", "EVENT", "CUSTOMER"}, rows)
	})
}
