package identity_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

func key(name string) store.RecordKey {
	return store.RecordKey{Connection: 1, Stream: "contacts", Key: name}
}

func keys(names ...string) []store.RecordKey {
	out := make([]store.RecordKey, len(names))
	for i, name := range names {
		out[i] = key(name)
	}
	return out
}

func email(local string) customer.Identifier {
	return customer.Identifier{Kind: identity.EmailKind, Value: local + "@shop.example"}
}

func phone(last string) customer.Identifier {
	return customer.Identifier{Kind: identity.PhoneKind, Value: "+7912000000" + last}
}

func card(value string) customer.Identifier {
	return customer.Identifier{Kind: "loyalty_card", Value: value, Strong: true}
}

func inn(value string) customer.Identifier {
	return customer.Identifier{Kind: "inn", Value: value, Strong: true}
}

func kpp(value string) customer.Identifier { return customer.Identifier{Kind: "kpp", Value: value} }

func chat(value string) customer.Identifier {
	return customer.Identifier{Kind: "messenger", Namespace: "1", Value: value}
}

func person(name string, ids ...customer.Identifier) identity.Node {
	return identity.Node{Key: key(name), Kind: customer.Person, Identifiers: ids}
}

func company(name string, ids ...customer.Identifier) identity.Node {
	return identity.Node{Key: key(name), Kind: customer.Company, Identifiers: ids}
}

func members(parts []identity.Part) [][]store.RecordKey {
	out := make([][]store.RecordKey, len(parts))
	for i, part := range parts {
		out[i] = part.Members
	}
	return out
}

func glob(t require.TestingT, text string) identity.Glob {
	g, err := identity.ParseGlob(text)
	require.NoError(t, err)
	return g
}

func TestPartition(t *testing.T) {
	tests := []struct {
		name  string
		nodes []identity.Node
		pins  []identity.Pin
		cuts  []identity.Cut
		rules func(*identity.Rules)
		want  [][]store.RecordKey
	}{
		{name: "nothing", want: [][]store.RecordKey{}},
		{
			name:  "nothing shared",
			nodes: []identity.Node{person("a", email("ann")), person("b", email("bob")), person("c")},
			want:  [][]store.RecordKey{keys("a"), keys("b"), keys("c")},
		},
		{
			name:  "a chain of e-mail and phone",
			nodes: []identity.Node{person("a", email("ann")), person("b", email("ann"), phone("1")), person("c", phone("1"))},
			want:  [][]store.RecordKey{keys("a", "b", "c")},
		},
		{
			name:  "different strong ids stay apart in spite of a shared e-mail",
			nodes: []identity.Node{person("a", card("1"), email("family")), person("b", card("2"), email("family"))},
			want:  [][]store.RecordKey{keys("a"), keys("b")},
		},
		{
			name: "a record without a strong id joins the smaller key of two that must stay apart",
			nodes: []identity.Node{
				person("a", card("1"), email("family")), person("b", card("2"), email("family")), person("c", email("family")),
			},
			want: [][]store.RecordKey{keys("a", "c"), keys("b")},
		},
		{
			name: "stronger evidence goes first",
			nodes: []identity.Node{
				person("a", card("1"), phone("1")), person("b", card("2"), email("bob")), person("c", email("bob"), phone("1")),
			},
			want: [][]store.RecordKey{keys("a"), keys("b", "c")},
		},
		{
			name: "a strong id goes before an explicit one, that before an e-mail",
			nodes: []identity.Node{
				person("a", email("x"), card("1")), person("b", chat("7"), card("2")), person("c", email("x"), chat("7")),
			},
			want: [][]store.RecordKey{keys("a"), keys("b", "c")},
		},
		{
			name:  "strong ids of different kinds do not conflict",
			nodes: []identity.Node{person("a", card("1"), email("x")), person("b", inn("2"), email("x"))},
			want:  [][]store.RecordKey{keys("a", "b")},
		},
		{
			name:  "a person and a company that share everything stay two",
			nodes: []identity.Node{person("a", inn("1"), email("x")), company("b", inn("1"), email("x"))},
			pins:  []identity.Pin{{A: key("a"), B: key("b")}},
			want:  [][]store.RecordKey{keys("a"), keys("b")},
		},
		{
			name:  "a pin joins what shares nothing",
			nodes: []identity.Node{person("a"), person("b")},
			pins:  []identity.Pin{{A: key("b"), B: key("a")}, {A: key("a"), B: key("gone")}},
			want:  [][]store.RecordKey{keys("a", "b")},
		},
		{
			name: "a pin stands above strong ids, which then count as the same",
			nodes: []identity.Node{
				person("a", card("1")), person("b", card("2")), person("c", card("1"), email("x")), person("d", card("2"), email("x")),
				person("e", card("3"), email("x")),
			},
			pins: []identity.Pin{{A: key("a"), B: key("b")}},
			want: [][]store.RecordKey{keys("a", "b", "c", "d"), keys("e")},
		},
		{
			name:  "strong ids that one record holds side by side count as the same",
			nodes: []identity.Node{person("a", card("1")), person("b", card("2")), person("c", card("1"), card("2"))},
			want:  [][]store.RecordKey{keys("a", "b", "c")},
		},
		{
			name:  "a cut stands above a pin",
			nodes: []identity.Node{person("a", card("1")), person("b", card("1"))},
			pins:  []identity.Pin{{A: key("a"), B: key("b")}},
			cuts:  []identity.Cut{{A: key("b"), B: key("a")}},
			want:  [][]store.RecordKey{keys("a"), keys("b")},
		},
		{
			name:  "a cut also holds along a chain",
			nodes: []identity.Node{person("a", email("x")), person("b", email("x"), phone("1")), person("c", phone("1"))},
			cuts:  []identity.Cut{{A: key("a"), B: key("c")}, {A: key("a"), B: key("gone")}},
			want:  [][]store.RecordKey{keys("a", "b"), keys("c")},
		},
		{
			name:  "addresses never to match join nothing",
			nodes: []identity.Node{person("a", email("info")), person("b", email("info"))},
			rules: func(r *identity.Rules) { r.NeverMatch = []identity.Glob{glob(t, "INFO@*")} },
			want:  [][]store.RecordKey{keys("a"), keys("b")},
		},
		{
			name:  "matching by phone switched off",
			nodes: []identity.Node{person("a", phone("1")), person("b", phone("1"))},
			rules: func(r *identity.Rules) { r.MatchPhone = false },
			want:  [][]store.RecordKey{keys("a"), keys("b")},
		},
		{
			name: "a KPP is no evidence",
			nodes: []identity.Node{
				company("a", customer.Identifier{Kind: "kpp", Value: "770101001"}), company("b", customer.Identifier{Kind: "kpp", Value: "770101001"}),
			},
			want: [][]store.RecordKey{keys("a"), keys("b")},
		},
		{
			name:  "branches of one company are one",
			nodes: []identity.Node{company("a", inn("1"), kpp("1")), company("b", inn("1"), kpp("2"))},
			want:  [][]store.RecordKey{keys("a", "b")},
		},
		{
			name: "branches told apart by their KPP, where both have one",
			nodes: []identity.Node{
				company("a", inn("1"), kpp("1")), company("b", inn("1"), kpp("2")), company("c", inn("1"), kpp("2")), company("d", inn("1")),
			},
			rules: func(r *identity.Rules) { r.BranchesApart = true },
			want:  [][]store.RecordKey{keys("a", "d"), keys("b", "c")},
		},
		{
			name:  "a record given twice is one record",
			nodes: []identity.Node{person("a", email("x")), person("b", phone("1")), person("a", phone("1"))},
			want:  [][]store.RecordKey{keys("a", "b")},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rules := identity.DefaultRules()
			if test.rules != nil {
				test.rules(&rules)
			}
			assert.Equal(t, test.want, members(identity.Partition(test.nodes, test.pins, test.cuts, rules)))
		})
	}
}

func TestPartitionExplains(t *testing.T) {
	nodes := []identity.Node{
		person("a", card("1"), email("x")), person("b", card("2"), email("x"), phone("1")), person("c", phone("1")),
	}
	parts := identity.Partition(nodes, nil, []identity.Cut{{A: key("b"), B: key("c")}}, identity.DefaultRules())

	require.Equal(t, [][]store.RecordKey{keys("a"), keys("b"), keys("c")}, members(parts))
	cards := identity.Refusal{
		Edge:   identity.Edge{Strength: identity.ByEmail, Identifier: email("x"), A: key("a"), B: key("b")},
		Reason: identity.RefusedStrongIDs, IDKind: "loyalty_card",
	}
	cut := identity.Refusal{
		Edge:   identity.Edge{Strength: identity.ByPhone, Identifier: phone("1"), A: key("b"), B: key("c")},
		Reason: identity.RefusedCut,
	}
	assert.Equal(t, []identity.Refusal{cards}, parts[0].Refused)
	assert.Equal(t, []identity.Refusal{cards, cut}, parts[1].Refused)
	assert.Equal(t, []identity.Refusal{cut}, parts[2].Refused)

	joined := identity.Partition(nodes[1:], nil, nil, identity.DefaultRules())
	require.Len(t, joined, 1)
	assert.Equal(t, []identity.Edge{cut.Edge}, joined[0].Evidence)
	assert.Equal(t, "phone", joined[0].Evidence[0].Strength.String())
}

func TestPartitionQuarantine(t *testing.T) {
	rules := identity.DefaultRules()
	crowd := func(n int, ids func(i int) []customer.Identifier) []identity.Node {
		nodes := make([]identity.Node, n)
		for i := range nodes {
			nodes[i] = person(fmt.Sprintf("%05d", i), ids(i)...)
		}
		return nodes
	}

	t.Run("at the bound all is joined", func(t *testing.T) {
		parts := identity.Partition(crowd(200, func(int) []customer.Identifier { return []customer.Identifier{email("x")} }), nil, nil, rules)
		require.Len(t, parts, 1)
		assert.False(t, parts[0].Quarantined)
	})
	t.Run("above it only strong ids join", func(t *testing.T) {
		parts := identity.Partition(crowd(201, func(i int) []customer.Identifier {
			return []customer.Identifier{email("x"), card(strconv.Itoa(i / 2))}
		}), nil, nil, rules)
		require.Len(t, parts, 101)
		for _, part := range parts {
			assert.True(t, part.Quarantined)
			assert.Equal(t, identity.TooManyRecords, part.Reason)
			assert.Equal(t, 201, part.ComponentSize)
			assert.Empty(t, part.Refused)
		}
	})
	t.Run("one customer of very many records is none", func(t *testing.T) {
		parts := identity.Partition(crowd(500, func(int) []customer.Identifier {
			return []customer.Identifier{email("x"), card("1")}
		}), nil, nil, rules)
		require.Len(t, parts, 1)
		assert.False(t, parts[0].Quarantined)
	})
	t.Run("other components are untouched", func(t *testing.T) {
		nodes := append(crowd(300, func(int) []customer.Identifier { return []customer.Identifier{email("x")} }),
			person("x", email("y")), person("y", email("y")))
		parts := identity.Partition(nodes, nil, nil, rules)
		require.Len(t, parts, 301)
		assert.Equal(t, keys("x", "y"), parts[300].Members)
		assert.False(t, parts[300].Quarantined)
	})
	t.Run("a strong id on thousands that are kept apart is cheap and set aside", func(t *testing.T) {
		parts := identity.Partition(crowd(5000, func(i int) []customer.Identifier {
			return []customer.Identifier{inn("0000000000"), card(strconv.Itoa(i))}
		}), nil, nil, rules)
		require.Len(t, parts, 5000)
		assert.Equal(t, identity.StrongIDShared, parts[4999].Reason)
	})
}
