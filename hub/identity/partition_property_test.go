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

// world is a small workspace in which everything collides: few values, many records.
type world struct {
	nodes []identity.Node
	pins  []identity.Pin
	cuts  []identity.Cut
	rules identity.Rules
}

func drawWorld(t *rapid.T, withPins bool) world {
	w := world{rules: identity.DefaultRules()}
	w.rules.MaxComponent = rapid.IntRange(2, 14).Draw(t, "max component")
	w.rules.MatchPhone = rapid.Bool().Draw(t, "match phone")
	if rapid.Bool().Draw(t, "never match") {
		w.rules.NeverMatch = []identity.Glob{glob(t, "0@*")}
	}
	value := func(label string, n int) string { return strconv.Itoa(rapid.IntRange(0, n-1).Draw(t, label)) }
	for i := range rapid.IntRange(0, 14).Draw(t, "records") {
		node := identity.Node{
			Key:  store.RecordKey{Connection: store.ConnectionID(i % 2), Stream: "contacts", Key: strconv.Itoa(i)},
			Kind: customer.Person,
		}
		if rapid.IntRange(0, 4).Draw(t, "kind") == 0 {
			node.Kind = customer.Company
		}
		for range rapid.IntRange(0, 2).Draw(t, "emails") {
			node.Identifiers = append(node.Identifiers, email(value("email", 5)))
		}
		if rapid.Bool().Draw(t, "has phone") {
			node.Identifiers = append(node.Identifiers, phone(value("phone", 4)))
		}
		if rapid.IntRange(0, 3).Draw(t, "has chat") == 0 {
			node.Identifiers = append(node.Identifiers, chat(value("chat", 3)))
		}
		if rapid.IntRange(0, 2).Draw(t, "has card") == 0 {
			node.Identifiers = append(node.Identifiers, card(value("card", 4)))
		}
		if rapid.IntRange(0, 3).Draw(t, "has inn") == 0 {
			node.Identifiers = append(node.Identifiers, inn(value("inn", 3)))
		}
		w.nodes = append(w.nodes, node)
	}
	if len(w.nodes) == 0 {
		return w
	}
	node := rapid.SampledFrom(w.nodes)
	if withPins {
		for range rapid.IntRange(0, 3).Draw(t, "pins") {
			w.pins = append(w.pins, identity.Pin{A: node.Draw(t, "pin a").Key, B: node.Draw(t, "pin b").Key})
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "cuts") {
		w.cuts = append(w.cuts, identity.Cut{A: node.Draw(t, "cut a").Key, B: node.Draw(t, "cut b").Key})
	}
	return w
}

func (w world) partition() []identity.Part {
	return identity.Partition(w.nodes, w.pins, w.cuts, w.rules)
}

func partOf(parts []identity.Part) map[store.RecordKey]int {
	out := make(map[store.RecordKey]int)
	for i, part := range parts {
		for _, member := range part.Members {
			out[member] = i
		}
	}
	return out
}

// R2: order and repetition of records, identifiers, pins and cuts do not matter.
func TestPropertyPartitionIgnoresOrder(t *testing.T) {
	property.Draw(t, func(t *rapid.T) {
		w := drawWorld(t, true)
		want := w.partition()

		again := world{rules: w.rules}
		repeated := append(slices.Clone(w.nodes), w.nodes[:rapid.IntRange(0, len(w.nodes)).Draw(t, "repeated")]...)
		for _, node := range rapid.Permutation(repeated).Draw(t, "nodes") {
			if len(node.Identifiers) > 0 {
				node.Identifiers = rapid.Permutation(node.Identifiers).Draw(t, "identifiers")
			}
			again.nodes = append(again.nodes, node)
		}
		for _, pin := range rapid.Permutation(append(w.pins, w.pins...)).Draw(t, "pins") {
			if rapid.Bool().Draw(t, "turned") {
				pin.A, pin.B = pin.B, pin.A
			}
			again.pins = append(again.pins, pin)
		}
		for _, cut := range rapid.Permutation(append(w.cuts, w.cuts...)).Draw(t, "cuts") {
			if rapid.Bool().Draw(t, "turned") {
				cut.A, cut.B = cut.B, cut.A
			}
			again.cuts = append(again.cuts, cut)
		}
		require.Equal(t, want, again.partition())
	})
}

func TestPropertyPartitionKeepsItsRules(t *testing.T) {
	property.Draw(t, func(t *rapid.T) {
		w := drawWorld(t, true)
		parts := w.partition()
		at := partOf(parts)

		require.Len(t, at, len(w.nodes), "each record is in a part")
		total := 0
		for _, part := range parts {
			total += len(part.Members)
			require.True(t, slices.IsSortedFunc(part.Members, store.RecordKey.Compare))
			require.Len(t, part.Evidence, len(part.Members)-1, "joins form a tree")
			for _, edge := range part.Evidence {
				require.Equal(t, at[edge.A], at[edge.B])
				if part.Quarantined {
					require.LessOrEqual(t, edge.Strength, identity.ByStrongID)
				}
			}
			for _, refusal := range part.Refused {
				require.NotEqual(t, at[refusal.A], at[refusal.B], "a refused edge lies between two parts")
			}
		}
		require.Equal(t, len(w.nodes), total, "and in one only")
		for _, node := range w.nodes {
			require.Equal(t, node.Kind, parts[at[node.Key]].Kind, "people and companies are apart")
		}
		for _, cut := range w.cuts {
			if cut.A != cut.B {
				require.NotEqual(t, at[cut.A], at[cut.B], "cuts hold")
			}
		}
	})
}

func TestPropertyPartitionKeepsStrongIDsApart(t *testing.T) {
	property.Draw(t, func(t *rapid.T) {
		w := drawWorld(t, false)
		at := partOf(w.partition())
		type space struct {
			part            int
			kind, namespace string
		}
		seen := make(map[space]string)
		for _, node := range w.nodes {
			for _, id := range node.Identifiers {
				if !id.Strong {
					continue
				}
				of := space{at[node.Key], id.Kind, id.Namespace}
				if other, taken := seen[of]; taken {
					require.Equal(t, other, id.Value, "one part, two values of %s", id.Kind)
				}
				seen[of] = id.Value
			}
		}
	})
}

// What two parts share without being one is always explained, by a refusal or by quarantine.
func TestPropertyPartitionExplainsWhatItLeavesApart(t *testing.T) {
	property.Draw(t, func(t *rapid.T) {
		w := drawWorld(t, true)
		parts := w.partition()
		at := partOf(parts)
		for i, a := range w.nodes {
			for _, b := range w.nodes[i+1:] {
				if at[a.Key] == at[b.Key] || a.Kind != b.Kind || !shareEdge(a, b, w.rules) || parts[at[a.Key]].Quarantined {
					continue
				}
				require.True(t, slices.ContainsFunc(parts[at[a.Key]].Refused, func(r identity.Refusal) bool {
					return at[r.A] == at[b.Key] || at[r.B] == at[b.Key]
				}), "%v and %v", a, b)
			}
		}
	})
}

func shareEdge(a, b identity.Node, rules identity.Rules) bool {
	return slices.ContainsFunc(a.Identifiers, func(id customer.Identifier) bool {
		return rules.Joins(id) && slices.Contains(b.Identifiers, id)
	})
}

// Recomputing only what a record can reach gives what the whole workspace would.
func TestPropertyPartitionOfAComponentEqualsTheWhole(t *testing.T) {
	property.Draw(t, func(t *rapid.T) {
		w := drawWorld(t, true)
		if len(w.nodes) == 0 {
			return
		}
		touched := map[store.RecordKey]identity.Node{}
		start := rapid.SampledFrom(w.nodes).Draw(t, "changed")
		touched[start.Key] = start
		for grown := true; grown; {
			grown = false
			for _, node := range w.nodes {
				if _, in := touched[node.Key]; in {
					continue
				}
				for _, reached := range touched {
					pinned := slices.ContainsFunc(w.pins, func(p identity.Pin) bool {
						return p == identity.Pin{A: node.Key, B: reached.Key} || p == identity.Pin{A: reached.Key, B: node.Key}
					})
					if pinned || shareEdge(node, reached, w.rules) {
						touched[node.Key], grown = node, true
						break
					}
				}
			}
		}
		piece := world{pins: w.pins, cuts: w.cuts, rules: w.rules}
		for _, node := range touched {
			piece.nodes = append(piece.nodes, node)
		}
		var want []identity.Part
		for _, part := range w.partition() {
			if _, in := touched[part.Members[0]]; in {
				want = append(want, part)
			}
		}
		require.Equal(t, want, piece.partition())
	})
}

// A part looked at by itself is one part: nothing outside it was needed to join it.
func TestPropertyPartitionIsIdempotent(t *testing.T) {
	property.Draw(t, func(t *rapid.T) {
		w := drawWorld(t, false)
		byKey := make(map[store.RecordKey]identity.Node)
		for _, node := range w.nodes {
			byKey[node.Key] = node
		}
		for _, part := range w.partition() {
			alone := world{cuts: w.cuts, rules: w.rules}
			alone.rules.MaxComponent = len(w.nodes)
			for _, member := range part.Members {
				alone.nodes = append(alone.nodes, byKey[member])
			}
			require.Equal(t, [][]store.RecordKey{part.Members}, members(alone.partition()))
		}
	})
}

// The plain form of the algorithm: every pair of records that share an identifier is an edge, and edges are taken
// in the order of (strength, identifier, first record, second record).
func TestPropertyPartitionEqualsThePlainForm(t *testing.T) {
	property.Draw(t, func(t *rapid.T) {
		w := drawWorld(t, false)
		w.rules.MaxComponent = len(w.nodes)
		require.Equal(t, plainPartition(w), members(w.partition()))
	})
}

func plainPartition(w world) [][]store.RecordKey {
	nodes := slices.Clone(w.nodes)
	slices.SortFunc(nodes, func(a, b identity.Node) int { return a.Key.Compare(b.Key) })
	group := make([]int, len(nodes))
	for i := range group {
		group[i] = i
	}
	strength := func(id customer.Identifier) int {
		switch {
		case id.Strong:
			return 0
		case id.Kind == identity.EmailKind:
			return 2
		case id.Kind == identity.PhoneKind:
			return 3
		}
		return 1
	}
	var ids []customer.Identifier
	for _, node := range nodes {
		for _, id := range node.Identifiers {
			if w.rules.Joins(id) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	slices.SortFunc(ids, func(a, b customer.Identifier) int {
		if d := strength(a) - strength(b); d != 0 {
			return d
		}
		return a.Compare(b)
	})
	conflict := func(a, b identity.Node) bool {
		for _, x := range a.Identifiers {
			for _, y := range b.Identifiers {
				if x.Strong && y.Strong && x.Kind == y.Kind && x.Namespace == y.Namespace && x.Value != y.Value {
					return true
				}
			}
		}
		return slices.Contains(w.cuts, identity.Cut{A: a.Key, B: b.Key}) || slices.Contains(w.cuts, identity.Cut{A: b.Key, B: a.Key})
	}
	mayJoin := func(from, to int) bool {
		for i, a := range nodes {
			for k, b := range nodes {
				if group[i] == from && group[k] == to && conflict(a, b) {
					return false
				}
			}
		}
		return true
	}
	for _, id := range ids {
		for i, a := range nodes {
			for k := i + 1; k < len(nodes); k++ {
				b := nodes[k]
				if a.Kind != b.Kind || !slices.Contains(a.Identifiers, id) || !slices.Contains(b.Identifiers, id) {
					continue
				}
				if from, to := group[k], group[i]; from != to && mayJoin(from, to) {
					for n := range group {
						if group[n] == from {
							group[n] = to
						}
					}
				}
			}
		}
	}
	out := [][]store.RecordKey{}
	number := make(map[int]int)
	for i, node := range nodes {
		n, known := number[group[i]]
		if !known {
			n = len(out)
			number[group[i]] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], node.Key)
	}
	return out
}

func TestStrengthNames(t *testing.T) {
	for strength, name := range map[identity.Strength]string{
		identity.ByPin: "pin", identity.ByStrongID: "strong_id", identity.ByID: "id", identity.ByEmail: "email", identity.ByPhone: "phone", 99: "",
	} {
		text, err := strength.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, name, string(text))
	}
}
