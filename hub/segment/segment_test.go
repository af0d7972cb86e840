package segment_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/segment"
)

// members evaluates the built-in segments for one customer among others and returns those that hold the customer.
func members(t *testing.T, orders []order, others ...known) []string {
	t.Helper()
	set, err := segment.NewSet(newLanguage(t), segment.Builtins())
	require.NoError(t, err)
	one := known{Subject: segment.Subject{Customer: customer.Customer{ID: 1}}, orders: orders}
	var in []string
	for _, membership := range evaluate(t, set, append(others, one)...) {
		require.NoError(t, membership.Err)
		if slices.Contains(membership.Members, 1) {
			in = append(in, membership.Segment)
		}
	}
	return in
}

func TestBuiltinSegments(t *testing.T) {
	for _, c := range []struct {
		name    string
		orders  []order
		in, out []string
	}{
		{"no orders", nil, []string{"no_orders"}, []string{"lifecycle_active", "lifecycle_lost", "one_time", "repeat", "vip", "rfm_lost"}},
		{"ordered today", []order{ago(0, 100)}, []string{"lifecycle_active", "one_time"}, []string{"repeat", "no_orders", "lifecycle_dormant"}},
		{"last active day", []order{ago(89, 100)}, []string{"lifecycle_active"}, []string{"lifecycle_dormant"}},
		{"first dormant day", []order{ago(90, 100)}, []string{"lifecycle_dormant"}, []string{"lifecycle_active", "lifecycle_lost"}},
		{"last dormant day", []order{ago(179, 100)}, []string{"lifecycle_dormant"}, []string{"lifecycle_lost"}},
		{"first lost day", []order{ago(180, 100)}, []string{"lifecycle_lost"}, []string{"lifecycle_dormant"}},
		{"two orders on one day", []order{ago(5, 100), ago(5, 100)}, []string{"repeat"}, []string{"one_time"}},
		{"ordered after as-of", []order{ago(-1, 100)}, []string{"no_orders"}, []string{"one_time", "lifecycle_active"}},

		{"activity halved", []order{ago(170, 1), ago(150, 1), ago(130, 1), ago(91, 1), ago(89, 1), ago(5, 1)}, []string{"at_risk"}, nil},
		{"activity not halved", []order{ago(170, 1), ago(150, 1), ago(130, 1), ago(89, 1), ago(5, 1)}, nil, []string{"at_risk"}},
		{"stopped after three", []order{ago(170, 1), ago(150, 1), ago(90, 1)}, []string{"at_risk"}, nil},
		{"too few before", []order{ago(180, 1), ago(150, 1), ago(90, 1)}, nil, []string{"at_risk"}},

		{"twice the mean gap", []order{ago(40, 1), ago(30, 1), ago(20, 1)}, nil, []string{"overdue"}},
		{"more than twice the mean gap", []order{ago(41, 1), ago(31, 1), ago(21, 1)}, []string{"overdue"}, nil},
		{"overdue needs three days", []order{ago(41, 1), ago(31, 1), ago(31, 1)}, nil, []string{"overdue"}},
		{"lost is not overdue", []order{ago(200, 1), ago(190, 1), ago(180, 1)}, []string{"lifecycle_lost"}, []string{"overdue"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := members(t, c.orders)
			require.Subset(t, got, c.in)
			for _, id := range c.out {
				require.NotContains(t, got, id)
			}
		})
	}
}

func TestVIP(t *testing.T) {
	// others gives each a customer with one order of the amount, so many days ago.
	others := func(days int, amounts ...int64) []known {
		var all []known
		for i, minor := range amounts {
			id := customer.ID(i + 2)
			all = append(all, known{Subject: segment.Subject{Customer: customer.Customer{ID: id}}, orders: []order{ago(days, minor)}})
		}
		return all
	}
	ten, nine := []int64{9, 1, 1, 1, 1, 1, 1, 1, 1, 1}, []int64{9, 1, 1, 1, 1, 1, 1, 1, 1}
	require.Contains(t, members(t, []order{ago(1, 5)}, others(1, ten...)...), "vip", "1 of 11 is greater")
	require.NotContains(t, members(t, []order{ago(1, 5)}, others(1, nine...)...), "vip", "1 of 10 is greater")
	require.Contains(t, members(t, []order{ago(1, 5)}, others(1, 5, 5, 5)...), "vip", "ties are included")
	require.NotContains(t, members(t, []order{ago(1, 0)}), "vip", "nothing bought")
	require.NotContains(t, members(t, []order{ago(365, 900)}, others(1, 1)...), "vip", "bought a year ago")
	require.Contains(t, members(t, []order{ago(364, 900)}, others(1, 1)...), "vip", "bought within the year")
}

// TestEverybodyIsSomewhere has the built-in segments divide the customers: into lifecycles, by number of orders, and
// by RFM, each with no_orders.
func TestEverybodyIsSomewhere(t *testing.T) {
	set, err := segment.NewSet(newLanguage(t), segment.Builtins())
	require.NoError(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		var people []known
		for i := range rapid.IntRange(0, 30).Draw(rt, "customers") {
			one := known{Subject: segment.Subject{Customer: customer.Customer{ID: customer.ID(i + 1)}}}
			for range rapid.IntRange(0, 4).Draw(rt, "orders") {
				one.orders = append(one.orders, ago(rapid.IntRange(-5, 400).Draw(rt, "ago"), rapid.Int64Range(0, 500).Draw(rt, "minor")))
			}
			people = append(people, one)
		}
		sizes := map[string]int{}
		for _, membership := range evaluate(t, set, people...) {
			require.True(rt, slices.IsSorted(membership.Members))
			sizes[membership.Segment] = len(membership.Members)
		}
		bought := len(people) - sizes["no_orders"]
		require.Equal(rt, bought, sizes["lifecycle_active"]+sizes["lifecycle_dormant"]+sizes["lifecycle_lost"])
		require.Equal(rt, bought, sizes["one_time"]+sizes["repeat"])
		rfm := 0
		for _, group := range kpi.Groups() {
			rfm += sizes[group.String()]
		}
		require.Equal(rt, bought, rfm)
	})
}

func TestBuiltinDefinitions(t *testing.T) {
	builtins := segment.Builtins()
	require.Len(t, builtins, 20)
	titles := map[string]bool{}
	for _, definition := range builtins {
		require.True(t, definition.Builtin)
		require.Empty(t, definition.Rule)
		for _, language := range []string{"ru", "en"} {
			title := definition.Title[language]
			require.NotEmpty(t, title)
			require.False(t, title != "VIP" && titles[title], "two segments are called %s", title)
			titles[title] = true
		}
	}
}

func TestCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOf(rapid.Map(rapid.IntRange(1, 20), func(n int) customer.ID { return customer.ID(n) }))
		before, after := ids.Draw(t, "before"), ids.Draw(t, "after")
		diff := segment.Compare(before, after)
		require.True(t, slices.IsSorted(diff.Entered) && slices.IsSorted(diff.Left))
		require.False(t, diff.Baseline)

		members := map[customer.ID]bool{}
		for _, id := range before {
			members[id] = true
		}
		for _, id := range diff.Left {
			require.True(t, members[id], "left without having been in")
			delete(members, id)
		}
		for _, id := range diff.Entered {
			require.False(t, members[id], "entered though already in")
			members[id] = true
		}
		want := map[customer.ID]bool{}
		for _, id := range after {
			want[id] = true
		}
		require.Equal(t, want, members)
		require.True(t, segment.Compare(after, after).Empty())
	})
}

func TestBaseline(t *testing.T) {
	diff := segment.Baseline(nil, []customer.ID{1, 2})
	require.Equal(t, segment.Diff{Entered: []customer.ID{1, 2}, Baseline: true}, diff)
}
