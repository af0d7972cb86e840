package identity_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/internal/property"
)

func part(names ...string) identity.Part {
	return identity.Part{Kind: customer.Person, Members: keys(names...)}
}

func TestAssign(t *testing.T) {
	type (
		holders     = []identity.Holder
		parts       = []identity.Part
		assignments = []identity.Assignment
		ids         = []customer.ID
	)
	tests := []struct {
		name    string
		parts   parts
		before  holders
		want    assignments
		retired ids
	}{
		{name: "new", parts: parts{part("a", "b")}, want: assignments{{Anchor: key("a")}}},
		{
			name:   "unchanged",
			parts:  parts{part("a", "b")},
			before: holders{{ID: 7, Anchor: key("b"), Members: keys("b", "a")}},
			want:   assignments{{ID: 7, Anchor: key("b")}},
		},
		{
			name:   "two customers become one: the smaller id stays, the other is its alias",
			parts:  parts{part("a", "b")},
			before: holders{{ID: 9, Anchor: key("a"), Members: keys("a")}, {ID: 7, Anchor: key("b"), Members: keys("b")}},
			want:   assignments{{ID: 7, Anchor: key("b"), Aliases: ids{9}}},
		},
		{
			name:   "the alias gets its records back on a split",
			parts:  parts{part("a"), part("b")},
			before: holders{{ID: 7, Anchor: key("b"), Members: keys("b", "a")}, {ID: 9, Anchor: key("a"), AliasOf: 7}},
			want:   assignments{{ID: 9, Anchor: key("a")}, {ID: 7, Anchor: key("b")}},
		},
		{
			name:   "a split without an earlier join makes a new customer",
			parts:  parts{part("a"), part("b")},
			before: holders{{ID: 7, Anchor: key("b"), Members: keys("b", "a")}},
			want:   assignments{{Anchor: key("a")}, {ID: 7, Anchor: key("b")}},
		},
		{
			name:   "the anchor was deleted: the oldest surviving member carries the id on",
			parts:  parts{part("a"), part("b")},
			before: holders{{ID: 7, Anchor: key("x"), Members: keys("x", "b", "a")}},
			want:   assignments{{Anchor: key("a")}, {ID: 7, Anchor: key("b")}},
		},
		{
			name:  "an id without its anchor gives way to one with it, even a larger one",
			parts: parts{part("a", "b")},
			before: holders{
				{ID: 7, Anchor: key("x"), Members: keys("x", "b")}, {ID: 9, Anchor: key("a"), Members: keys("a")},
			},
			want: assignments{{ID: 9, Anchor: key("a"), Aliases: ids{7}}},
		},
		{
			name:  "an id in use does not give way to its alias when its anchor is deleted",
			parts: parts{part("b")},
			before: holders{
				{ID: 7, Anchor: key("x"), Members: keys("x", "b")}, {ID: 9, Anchor: key("b"), AliasOf: 7},
			},
			want: assignments{{ID: 7, Anchor: key("b"), Aliases: ids{9}}},
		},
		{
			name:   "an alias whose anchor is gone stays with the id it stood for, over several steps",
			parts:  parts{part("a")},
			before: holders{{ID: 7, Anchor: key("a"), Members: keys("a")}, {ID: 9, Anchor: key("y"), AliasOf: 7}, {ID: 11, Anchor: key("z"), AliasOf: 9}},
			want:   assignments{{ID: 7, Anchor: key("a"), Aliases: ids{9, 11}}},
		},
		{
			name:   "an alias follows its anchor to another customer",
			parts:  parts{part("a"), part("b", "c")},
			before: holders{{ID: 7, Anchor: key("a"), Members: keys("a", "b")}, {ID: 8, Anchor: key("c"), Members: keys("c")}, {ID: 9, Anchor: key("b"), AliasOf: 7}},
			want:   assignments{{ID: 7, Anchor: key("a")}, {ID: 8, Anchor: key("c"), Aliases: ids{9}}},
		},
		{
			name:    "all records deleted",
			before:  holders{{ID: 7, Anchor: key("a"), Members: keys("a")}, {ID: 9, Anchor: key("b"), AliasOf: 7}},
			want:    assignments{},
			retired: ids{7, 9},
		},
		{
			name:   "a record that comes back brings its id back",
			parts:  parts{part("a")},
			before: holders{{ID: 7, Anchor: key("a")}},
			want:   assignments{{ID: 7, Anchor: key("a")}},
		},
		{
			name:   "but does not take a customer over",
			parts:  parts{part("a", "b")},
			before: holders{{ID: 7, Anchor: key("a")}, {ID: 9, Anchor: key("b"), Members: keys("b")}},
			want:   assignments{{ID: 9, Anchor: key("b"), Aliases: ids{7}}},
		},
		{
			name:    "a ring of aliases ends",
			parts:   parts{part("a")},
			before:  holders{{ID: 1, Anchor: key("x"), AliasOf: 2}, {ID: 2, Anchor: key("y"), AliasOf: 1}},
			want:    assignments{{Anchor: key("a")}},
			retired: ids{1, 2},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, retired := identity.Assign(test.parts, test.before)
			assert.Equal(t, test.want, got)
			assert.Equal(t, test.retired, retired)
		})
	}
}

// register plays the store: it numbers new customers and remembers every id.
type register struct {
	holders []identity.Holder
	last    customer.ID
}

func (r *register) apply(t require.TestingT, parts []identity.Part) {
	assignments, retired := identity.Assign(parts, r.holders)
	anchors := make(map[customer.ID]store.RecordKey)
	for _, holder := range r.holders {
		anchors[holder.ID] = holder.Anchor
	}
	var next []identity.Holder
	for i, a := range assignments {
		if a.ID == 0 {
			r.last++
			a.ID = r.last
		}
		require.Contains(t, parts[i].Members, a.Anchor)
		next = append(next, identity.Holder{ID: a.ID, Anchor: a.Anchor, Members: parts[i].Members})
		for _, alias := range a.Aliases {
			next = append(next, identity.Holder{ID: alias, Anchor: anchors[alias], AliasOf: a.ID})
		}
	}
	for _, id := range retired {
		next = append(next, identity.Holder{ID: id, Anchor: anchors[id]})
	}
	r.holders = next
}

func (r *register) ids() map[customer.ID]customer.ID {
	out := make(map[customer.ID]customer.ID)
	for _, holder := range r.holders {
		out[holder.ID] = holder.AliasOf
	}
	return out
}

// drawParts splits some of eight records into parts.
func drawParts(t *rapid.T) []identity.Part {
	groups := make(map[int][]string)
	for i := range 8 {
		if group := rapid.IntRange(-1, 7).Draw(t, "group"); group >= 0 {
			groups[group] = append(groups[group], strconv.Itoa(i))
		}
	}
	var parts []identity.Part
	for _, names := range groups {
		parts = append(parts, part(names...))
	}
	slices.SortFunc(parts, func(a, b identity.Part) int { return a.Members[0].Compare(b.Members[0]) })
	return parts
}

// Whatever happens to the records, no id is lost or given twice, no alias stands for another alias, and settling
// the same parts again changes nothing (R3).
func TestPropertyAssignKeepsEveryID(t *testing.T) {
	property.Draw(t, func(t *rapid.T) {
		r := &register{}
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			before := r.ids()
			parts := drawParts(t)
			r.apply(t, parts)
			after := r.ids()
			require.Len(t, after, len(r.holders), "an id was given twice")
			for id := range before {
				require.Contains(t, after, id)
			}
			for id, of := range after {
				if of != 0 {
					require.Zero(t, after[of], "id %d is an alias of an alias", id)
				}
			}
			settled := slices.Clone(r.holders)
			r.apply(t, parts)
			require.ElementsMatch(t, settled, r.holders)
		}
	})
}

// The order in which holders and parts are given does not matter.
func TestPropertyAssignIgnoresOrder(t *testing.T) {
	property.Draw(t, func(t *rapid.T) {
		r := &register{}
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			r.apply(t, drawParts(t))
		}
		parts := drawParts(t)
		want, wantRetired := identity.Assign(parts, r.holders)
		holders := r.holders
		if len(holders) > 0 {
			holders = rapid.Permutation(holders).Draw(t, "holders")
		}
		slices.Reverse(parts)
		got, retired := identity.Assign(parts, holders)
		slices.Reverse(got)
		require.Equal(t, want, got)
		require.Equal(t, wantRetired, retired)
	})
}

// R6: a join that is undone gives every customer the id it had. Where a customer holds the anchors of several ids,
// one of them comes back.
func TestPropertyAssignUndoesJoins(t *testing.T) {
	property.Draw(t, func(t *rapid.T) {
		r := &register{}
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			r.apply(t, drawParts(t))
		}
		apart := drawParts(t)
		r.apply(t, apart)
		at := partOf(apart)
		anchors := make(map[int][]customer.ID)
		for _, holder := range r.holders {
			if part, alive := at[holder.Anchor]; alive {
				anchors[part] = append(anchors[part], holder.ID)
			}
		}

		var joined []identity.Part
		for _, p := range apart {
			if len(joined) > 0 && rapid.Bool().Draw(t, "join") {
				last := &joined[len(joined)-1]
				last.Members = slices.Concat(last.Members, p.Members)
				slices.SortFunc(last.Members, store.RecordKey.Compare)
				continue
			}
			joined = append(joined, identity.Part{Kind: p.Kind, Members: p.Members})
		}
		r.apply(t, joined)
		r.apply(t, apart)
		after := r.ids()
		for _, ids := range anchors {
			require.True(t, slices.ContainsFunc(ids, func(id customer.ID) bool { return after[id] == 0 }), "of %v", ids)
		}
	})
}
