package main

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/regulars/regulars/hub/api"
)

// segmentCommands are the commands about segments.
type segmentCommands struct {
	List    segmentListCommand    `cmd:"" help:"List segments with their sizes at the last evaluation."`
	Show    segmentShowCommand    `cmd:"" help:"Show a segment, or its members."`
	History segmentHistoryCommand `cmd:"" help:"List who entered and left, newest first, and why."`
	Preview segmentPreviewCommand `cmd:"" help:"Show whom a rule would hold: size, overlap with other segments, a sample. Nothing is stored."`
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
			rows = append(rows, []string{e.On.String(), e.Event, number(e.Customer), because(e.Why)})
		}
		return a.table([]string{"ON", "EVENT", "CUSTOMER", "WHY"}, rows)
	})
}

// because says in a few words why an evaluation put somebody in or out.
func because(why *api.Why) string {
	if why == nil {
		return ""
	}
	causes := map[string]string{"data": "their data changed", "time": "a day passed", "ranks": "others changed"}
	text := causes[why.Because]
	if seen := fieldTexts(why.Fields); seen != "" {
		text += ": " + seen
	}
	return text
}

// fieldTexts writes fields as a person reads them, by name.
func fieldTexts(fields map[string]any) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		texts = append(texts, name+" "+orDash(fieldText(fields[name])))
	}
	return strings.Join(texts, ", ")
}

func fieldText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, 0, len(v))
		for _, one := range v {
			parts = append(parts, fieldText(one))
		}
		return strings.Join(parts, " ")
	default:
		return fmt.Sprint(v)
	}
}

type segmentPreviewCommand struct {
	Segment string `arg:"" help:"A segment's id, or a rule, e.g. \"net_value > 50000\"."`
	Sample  int    `help:"How many members to show." default:"10"`
}

// Run implements the command.
func (s segmentPreviewCommand) Run(a *app) error {
	request := api.PreviewRequest{Rule: s.Segment, Sample: s.Sample}
	if segmentID.MatchString(s.Segment) {
		request = api.PreviewRequest{Segment: s.Segment, Sample: s.Sample}
	}
	return show(a, http.MethodPost, a.at("segments", "preview"), request, func(p api.SegmentPreview) error {
		summary := [][2]string{
			{"rule", p.Rule},
			{"as of", p.AsOf},
			{"size", fmt.Sprintf("%d of %d customers", p.Size, p.Customers)},
			{"net value", p.NetValue},
		}
		if p.Enter != nil && p.Leave != nil {
			summary = append(summary, [2]string{"since last evaluation", fmt.Sprintf("%d enter, %d leave", *p.Enter, *p.Leave)})
		}
		if err := a.pairs(summary); err != nil {
			return err
		}
		var rows [][]string
		for _, o := range p.Overlap {
			rows = append(rows, []string{o.Segment, number(o.Both), number(o.Size)})
		}
		if err := a.printf("\n"); err != nil {
			return err
		}
		if err := a.table([]string{"ALSO IN", "BOTH", "SIZE"}, rows); err != nil {
			return err
		}
		rows = nil
		for _, m := range p.Sample {
			rows = append(rows, []string{number(m.Customer), m.Name, keys(m.Keys), fieldTexts(m.Fields)})
		}
		if err := a.printf("\n"); err != nil {
			return err
		}
		return a.table([]string{"CUSTOMER", "NAME", "KEYS", "FIELDS"}, rows)
	})
}

// segmentID tells an id from a rule: no rule of one word is a condition, but for a truth value of the workspace's own.
var segmentID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
