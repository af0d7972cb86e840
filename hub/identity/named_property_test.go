package identity_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/internal/property"
)

func named(key, name string, ids ...customer.Identifier) identity.Node {
	node := person(key, ids...)
	node.Names = []entity.Name{{Full: name}}
	return node
}

func TestNamesSpeakAgainstSharedPhones(t *testing.T) {
	nodes := []identity.Node{named("a", "Иван Орлов", phone("1")), named("b", "Мария Орлова", phone("1")), named("c", "Ваня", phone("1"))}
	parts := identity.Partition(nodes, nil, nil, identity.DefaultRules())
	require.Len(t, parts, 2)
	assert.Equal(t, keys("a", "c"), parts[0].Members)
	assert.Equal(t, identity.RefusedNames, parts[0].Refused[0].Reason)

	why, found := identity.Explain(parts, key("a"), key("c"))
	require.True(t, found)
	assert.True(t, why.Same)
	assert.Len(t, why.Path, 1)
	why, _ = identity.Explain(parts, key("a"), key("b"))
	assert.False(t, why.Same)
	assert.NotEmpty(t, why.Refused)
	_, found = identity.Explain(parts, key("a"), key("z"))
	assert.False(t, found)

	rules := identity.DefaultRules()
	rules.MatchPhone = false
	preview := identity.Compare(parts, identity.Partition(nodes, nil, nil, rules), 1)
	assert.Equal(t, 1, preview.Splits)
	assert.Zero(t, preview.Merges)
	assert.Equal(t, keys("a", "c"), preview.SplitSamples[0])
}

func TestNamesOnOneAddress(t *testing.T) {
	for _, test := range []struct {
		name  string
		phone bool
		names []string // of the records a, b, c, ... that share the address
		want  [][]store.RecordKey
	}{
		{"no names", false, []string{"", "", ""}, [][]store.RecordKey{keys("a", "b", "c")}},
		{"one person, told more or less fully", false, []string{"", "Ваня", "Иван Орлов", "zaika77"}, [][]store.RecordKey{keys("a", "b", "c", "d")}},
		{"a family's e-mail", false, []string{"Иван Орлов", "Мария Орлова"}, [][]store.RecordKey{keys("a"), keys("b")}},
		{"a new surname, the old e-mail", false, []string{"Мария Кузнецова", "Мария Орлова"}, [][]store.RecordKey{keys("a", "b")}},
		{"a phone that went to a namesake", true, []string{"Мария Кузнецова", "Мария Орлова"}, [][]store.RecordKey{keys("a"), keys("b")}},
		{"of two people the first name tells one", true, []string{"Иван Орлов", "Мария Орлова", "Маша"}, [][]store.RecordKey{keys("a"), keys("b", "c")}},
		{"of two people nothing tells", true, []string{"Иван Орлов", "Мария Орлова", ""}, [][]store.RecordKey{keys("a"), keys("b"), keys("c")}},
		{"of two namesakes the first name tells none", true, []string{"Мария Ким", "Мария Орлова", "Маша"}, [][]store.RecordKey{keys("a"), keys("b"), keys("c")}},
		{
			"of three people a first name is too little, a whole name is not", true,
			[]string{"Иван Орлов", "Мария Орлова", "Пётр Ким", "Петя", "Ким Пётр"},
			[][]store.RecordKey{keys("a"), keys("b"), keys("c", "e"), keys("d")},
		},
		{
			"an address of many joins nobody", false,
			[]string{"Иван Орлов", "Мария Орлова", "Пётр Ким", "Олег Юдин", "Яна Белова", "Пётр Ким", ""},
			[][]store.RecordKey{keys("a"), keys("b"), keys("c"), keys("d"), keys("e"), keys("f"), keys("g")},
		},
		{"father and son", true, []string{"Иван Петрович Орлов", "Иван Иванович Орлов"}, [][]store.RecordKey{keys("a"), keys("b")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := email("x")
			if test.phone {
				id = phone("1")
			}
			var nodes []identity.Node
			for i, name := range test.names {
				nodes = append(nodes, named(string(rune('a'+i)), name, id))
			}
			assert.Equal(t, test.want, members(identity.Partition(nodes, nil, nil, identity.DefaultRules())))
		})
	}
}

func namedWorld(random *rand.Rand) world {
	names := []string{"", "Иван Орлов", "Ваня", "Мария Орлова", "Орлов Иван Петрович", "Пётр Ким", "M. Orlova", "Мария Ким", "Олег Юдин", "Яна Белова", "Маша", "Орлов Ивн"}
	w := world{rules: identity.DefaultRules()}
	for i := range 1 + random.IntN(12) {
		node := named(strconv.Itoa(i), names[random.IntN(len(names))])
		if random.IntN(2) == 0 {
			node.Names = append(node.Names, entity.Name{Full: names[random.IntN(len(names))]})
		}
		if random.IntN(2) == 0 {
			node.Identifiers = append(node.Identifiers, email(strconv.Itoa(random.IntN(4))))
		}
		if random.IntN(2) == 0 {
			node.Identifiers = append(node.Identifiers, phone(strconv.Itoa(random.IntN(4))))
		}
		if random.IntN(4) == 0 {
			node.Identifiers = append(node.Identifiers, card(strconv.Itoa(random.IntN(3))))
		}
		w.nodes = append(w.nodes, node)
	}
	pick := func() identity.Node { return w.nodes[random.IntN(len(w.nodes))] }
	for range random.IntN(3) {
		w.pins = append(w.pins, identity.Pin{A: pick().Key, B: pick().Key})
		w.cuts = append(w.cuts, identity.Cut{A: pick().Key, B: pick().Key})
	}
	return w
}

// R2, with names.
func TestPropertyNamesIgnoreOrder(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		w := namedWorld(random)
		want := w.partition()
		w.nodes = append(w.nodes, w.nodes[:random.IntN(len(w.nodes))]...)
		for i := range w.nodes {
			w.nodes[i].Names = slices.Clone(w.nodes[i].Names)
			slices.Reverse(w.nodes[i].Names)
		}
		random.Shuffle(len(w.nodes), func(i, k int) { w.nodes[i], w.nodes[k] = w.nodes[k], w.nodes[i] })
		slices.Reverse(w.pins)
		slices.Reverse(w.cuts)
		require.Equal(t, want, w.partition())
	})
}

// R6: a cut holds through any repetition, and taking it away, or changing a rule and back, restores what was.
func TestPropertyUnmergeHoldsAndUndoes(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		w := namedWorld(random)
		want := w.partition()
		changed := w
		changed.cuts = slices.Clone(w.cuts)
		for _, part := range want {
			if len(part.Members) > 1 {
				cut := identity.Cut{A: part.Members[0], B: part.Members[len(part.Members)-1]}
				changed.cuts = append(changed.cuts, cut)
				apart := changed.partition()
				at := partOf(apart)
				require.NotEqual(t, at[cut.A], at[cut.B])
				changed.nodes = slices.Concat(w.nodes, w.nodes)
				require.Equal(t, apart, changed.partition(), "a re-sync changes nothing")
			}
		}
		changed.rules.MatchPhone = false
		changed.partition()
		changed.cuts, changed.rules = changed.cuts[:len(w.cuts)], w.rules
		require.Equal(t, want, changed.partition())
	})
}

// R6: a pin joins what no cut, kind or quarantine keeps apart, through any re-sync; without it all is as before.
func TestPropertyPinHoldsAndUndoes(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		w := namedWorld(random)
		want := w.partition()
		pin := identity.Pin{A: w.nodes[random.IntN(len(w.nodes))].Key, B: w.nodes[random.IntN(len(w.nodes))].Key}
		changed := w
		changed.pins = append(slices.Clone(w.pins), pin)
		pinned := changed.partition()
		if at := partOf(pinned); len(w.cuts) == 0 {
			require.Equal(t, at[pin.A], at[pin.B])
		}
		changed.nodes = slices.Concat(w.nodes, w.nodes)
		random.Shuffle(len(changed.nodes), func(i, k int) { changed.nodes[i], changed.nodes[k] = changed.nodes[k], changed.nodes[i] })
		require.Equal(t, pinned, changed.partition(), "a re-sync changes nothing")
		cut := changed
		cut.cuts = append(slices.Clone(w.cuts), identity.Cut(pin))
		if pin.A != pin.B {
			at := partOf(cut.partition())
			require.NotEqual(t, at[pin.A], at[pin.B], "a cut stands above a pin")
		}
		cut.cuts = w.cuts
		require.Equal(t, pinned, cut.partition())
		changed.pins = w.pins
		require.Equal(t, want, changed.partition())
	})
}

// What touches a record is what shares an identifier with it, with names too: the rest of the workspace changes nothing.
func TestPropertyNamedComponentEqualsTheWhole(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		w, other := namedWorld(random), namedWorld(random)
		want := w.partition()
		both := w
		for _, node := range other.nodes {
			node.Key.Connection = 2
			node.Identifiers = slices.Clone(node.Identifiers)
			for i := range node.Identifiers {
				node.Identifiers[i].Value = "9" + node.Identifiers[i].Value
			}
			both.nodes = append(both.nodes, node)
		}
		var got []identity.Part
		for _, part := range both.partition() {
			if part.Members[0].Connection == 1 {
				got = append(got, part)
			}
		}
		require.Equal(t, want, got)
	})
}

// SameName says the same from either side, and a name is never another person's than its own.
func TestPropertySameNameIsSymmetric(t *testing.T) {
	words := []string{"Иван", "Ваня", "Иван", "Орлов", "Орлова", "Петрович", "Саша", "Александра", "Орлв", "Ивн", "I.", "Ivan", "Слава", "Ким", "Женя", "zaika77"}
	name := func(random *rand.Rand) entity.Name {
		word := func() string { return words[random.IntN(len(words))] }
		if random.IntN(2) == 0 {
			return entity.Name{First: word(), Last: word()}
		}
		full := word()
		for range random.IntN(3) {
			full += " " + word()
		}
		return entity.Name{Full: full}
	}
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		a, b := name(random), name(random)
		require.Equal(t, identity.SameName(a, b), identity.SameName(b, a), "%v, %v", a, b)
		require.NotEqual(t, identity.DifferentNames, identity.SameName(a, a), "%v", a)
	})
}
