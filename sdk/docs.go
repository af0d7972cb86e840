package sdk

import (
	"fmt"
	"strings"
)

// Markdown returns the connector's documentation, made of its declaration alone.
func (c Connector) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s, version %s.", c.Name, c.Title, c.Version)
	if c.Docs != "" {
		fmt.Fprintf(&b, " See <%s>.", c.Docs)
	}
	b.WriteString("\n\n## Configuration\n\n" + c.Config.Markdown())
	if len(c.Streams) > 0 {
		b.WriteString("\n## Streams\n\n| Stream | Records | Modes | Deletions | Meaning |\n|---|---|---|---|---|\n")
	}
	for _, s := range c.Streams {
		var modes []string
		for _, m := range s.modes() {
			modes = append(modes, string(m))
		}
		deletes := string(s.Deletes)
		if s.Deletes == Unseen {
			deletes = "not seen"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Entity, strings.Join(modes, ", "), deletes, cell(s.Doc))
	}
	if len(c.Targets) > 0 {
		b.WriteString("\n## Targets\n\n| Target | Channel | Actions | Members read back | Meaning |\n|---|---|---|---|---|\n")
	}
	for _, t := range c.Targets {
		var actions []string
		for _, a := range t.actions() {
			actions = append(actions, string(a))
		}
		readback, channel := "no", t.Channel
		if t.members != nil {
			readback = "yes"
		}
		if channel == "" {
			channel = "as the activation says"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", t.Kind, channel, strings.Join(actions, ", "), readback, cell(t.Doc))
	}
	return b.String()
}
