package config

import (
	"fmt"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
)

// builtinSegments are the ids of docs and figures that need no rule (lifecycle, frequency, value, risk, RFM).
var builtinSegments = []string{
	"lifecycle_active", "lifecycle_dormant", "lifecycle_lost",
	"one_time", "repeat", "vip", "at_risk", "overdue", "no_orders",
	"rfm_champions", "rfm_loyal", "rfm_potential_loyalist", "rfm_new", "rfm_promising", "rfm_need_attention",
	"rfm_about_to_sleep", "rfm_hibernating", "rfm_at_risk", "rfm_cant_lose", "rfm_lost",
}

// BuiltinSegments returns the ids of the segments every workspace has.
func BuiltinSegments() []string { return slices.Clone(builtinSegments) }

// check finds what only shows when the parts of a workspace are seen together. Whether a stream, a target's kind or
// its channel exists is known to the connector, not here.
func check(w Workspace) Problems {
	c := checker{Workspace: w}
	for _, connection := range w.Connections {
		c.connections = append(c.connections, connection.Name)
	}
	c.segments = BuiltinSegments()
	for _, s := range w.Segments {
		if slices.Contains(builtinSegments, s.ID) {
			c.fail("segments."+s.ID, "a built-in segment has this id", "choose another id")
		}
		c.segments = append(c.segments, s.ID)
	}
	for _, connection := range w.Connections {
		if connection.RenamedFrom != "" && slices.Contains(c.connections, connection.RenamedFrom) {
			c.fail("connections."+connection.Name+".renamed_from", "there is still a connection of this name", "remove renamed_from or the other connection")
		}
	}
	c.stream("orders.from", w.Orders.From)
	c.stream("rates.from", w.Rates.From)
	// Streams and kinds stand in one list; their places in it are looked up by what they say.
	for i, item := range w.tree.get("identity").get("strong").each() {
		for _, ref := range w.Identity.StrongStreams {
			if ref.String() == item.text {
				c.stream(fmt.Sprintf("identity.strong[%d]", i), ref)
				break
			}
		}
	}
	for i, name := range w.Consent.SystemOfRecord {
		c.connection(fmt.Sprintf("consent.system_of_record[%d]", i), name)
	}
	c.rfm()
	c.activations()
	return c.problems
}

// rfm checks that bounds are four and ascending, and that there are some where they are needed.
func (c *checker) rfm() {
	net := make([]int64, 0, len(c.RFM.NetValue))
	for i, amount := range c.RFM.NetValue {
		minor, err := entity.ParseMinor(amount, c.Currency)
		if err != nil && amount != "" && c.Currency != "" { // else reported when they were read
			c.fail(fmt.Sprintf("kpi.rfm.net_value[%d]", i), "not an amount in the workspace's currency", "write no more digits than the currency has")
		}
		if err == nil {
			net = append(net, minor)
		}
	}
	checkBounds(c, "recency_days", c.RFM.RecencyDays)
	checkBounds(c, "orders", c.RFM.Orders)
	if len(net) == len(c.RFM.NetValue) {
		checkBounds(c, "net_value", net)
	}
}

func checkBounds[T int | int64](c *checker, key string, bounds []T) {
	path := "kpi.rfm." + key
	switch {
	case len(bounds) == 0 && c.RFM.Method == RFMFixed:
		c.fail(path, "the method fixed needs four bounds", "give "+key+", or choose the method share")
	case len(bounds) != 0 && len(bounds) != 4:
		c.fail(path, "four bounds are needed", "they divide the customers into the scores 1 to 5")
	case !slices.IsSorted(bounds):
		c.fail(path, "the bounds must ascend", "")
	}
}

type checker struct {
	Workspace
	connections, segments []string
	problems              Problems
}

func (c *checker) fail(path, message, suggestion string) {
	c.problems = append(c.problems, c.Problem(path, message, suggestion))
}

// connection checks that one of this name exists. An empty name was reported when it was read.
func (c *checker) connection(path, name string) bool {
	if name == "" {
		return false
	}
	if slices.Contains(c.connections, name) {
		return true
	}
	if len(c.connections) == 0 {
		c.fail(path, "there is no such connection", "add it under connections")
		return false
	}
	c.fail(path, "there is no such connection", suggest(name, c.connections))
	return false
}

// stream checks what is known of a stream: its connection, and the selection of streams there if there is one.
func (c *checker) stream(path string, ref StreamRef) {
	if ref == (StreamRef{}) || !c.connection(path, ref.Connection) {
		return
	}
	connection, _ := c.Connection(ref.Connection)
	if len(connection.Streams) > 0 && !slices.Contains(connection.Streams, ref.Stream) {
		c.fail(path, "the connection's streams do not include this one", suggest(ref.Stream, connection.Streams))
	}
}

func (c *checker) activations() {
	type target struct{ to, target, kind, tag string }
	mirrors := map[target]string{}
	for _, a := range c.Activations {
		path := "activations." + a.ID
		if a.Segment != "" && !slices.Contains(c.segments, a.Segment) {
			suggestion := "add it under segments"
			if near := nearest(a.Segment, c.segments); near != "" {
				suggestion = fmt.Sprintf("did you mean %s?", near)
			}
			c.fail(path+".segment", "there is no such segment", suggestion)
		}
		c.connection(path+".to", a.To)
		if a.At != nil && a.Every > 0 && a.Every%Day != 0 {
			c.fail(path+".at", "a time of day needs runs a whole number of days apart", "set every: 1d, or remove at")
		}
		if a.Mode != Mirror || a.To == "" || a.Target == "" {
			continue
		}
		key := target{a.To, a.Target, a.Kind, a.Tag}
		if other, taken := mirrors[key]; taken {
			c.fail(path+".target", "activation "+other+" mirrors onto the same target; each would take off what the other adds",
				"give one of them another target or tag, or mode: upsert")
		}
		mirrors[key] = a.ID
	}
}

// each returns a list's items; a single value counts as a list of one.
func (n *node) each() []*node {
	switch {
	case n == nil:
		return nil
	case n.scalar():
		return []*node{n}
	default:
		return n.items
	}
}
