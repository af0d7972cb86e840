package identity

import (
	"cmp"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// Node is one record with what points at its customer.
type Node struct {
	Key         store.RecordKey
	Kind        customer.Kind
	Identifiers []customer.Identifier
	// Names are what the record calls its person, as evidence against a join by phone or e-mail; none is unknown.
	Names []entity.Name
}

// Pin is a person's decision that two records are one customer.
type Pin struct{ A, B store.RecordKey }

// Cut is a person's decision that two records are two customers. Pins and cuts name records, not customers, so they
// survive whatever happens to the customers (R6).
type Cut struct{ A, B store.RecordKey }

// Strength is the kind of evidence for a join, strongest first.
type Strength uint8

// The strengths of evidence.
const (
	ByPin Strength = iota + 1
	ByStrongID
	ByID
	ByEmail
	ByPhone
)

var strengthNames = [...]string{ByPin: "pin", ByStrongID: "strong_id", ByID: "id", ByEmail: "email", ByPhone: "phone"}

// String returns the stable name of the strength.
func (s Strength) String() string {
	if int(s) >= len(strengthNames) {
		return ""
	}
	return strengthNames[s]
}

// MarshalText implements encoding.TextMarshaler.
func (s Strength) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Edge is evidence that two records are one customer. It holds personal data and stays out of logs (R12).
type Edge struct {
	Strength   Strength
	Identifier customer.Identifier // zero for a pin
	A, B       store.RecordKey     // A is the smaller key
}

// RefusalReason says why evidence did not join two records.
type RefusalReason string

// The reasons for refusing a join.
const (
	// RefusedCut: a person decided that the two customers are different.
	RefusedCut RefusalReason = "cut"
	// RefusedStrongIDs: the two customers have different strong ids of one kind and namespace.
	RefusedStrongIDs RefusalReason = "different_strong_ids"
	// RefusedKinds: a person and a company are never one customer.
	RefusedKinds RefusalReason = "person_and_company"
	// RefusedNames: the evidence is a phone or an e-mail address, and the two customers have the names of different people,
	// or several people share it and a name does not tell which of them is meant.
	RefusedNames RefusalReason = "different_names"
	// RefusedShared: the evidence is a phone or an e-mail address that many differently named people have.
	RefusedShared RefusalReason = "shared_by_many"
)

// Refusal is an edge that was not followed, and why.
type Refusal struct {
	Edge
	Reason RefusalReason
	// IDKind and IDNamespace name the strong id that differs, with RefusedStrongIDs.
	IDKind, IDNamespace string
}

// QuarantineReason says why a part was set aside for a look.
type QuarantineReason string

// The reasons for quarantine.
const (
	// TooManyRecords: weak identifiers tie more records together than Rules.MaxComponent.
	TooManyRecords QuarantineReason = "too_many_records"
	// StrongIDShared: one strong id is on more than Rules.MaxComponent customers that other strong ids or cuts keep apart.
	StrongIDShared QuarantineReason = "strong_id_shared"
)

// Part is the records of one customer.
type Part struct {
	Kind    customer.Kind
	Members []store.RecordKey // sorted
	// Quarantined parts are joined by pins and strong ids only, because their component was too large to trust.
	Quarantined bool
	Reason      QuarantineReason
	// ComponentSize is the number of records tied together by any evidence, this part's among them.
	ComponentSize int
	// Evidence holds the joins that made the part, in the order they were made: one less than Members.
	Evidence []Edge
	// Refused holds the edges between this part and others. Each is also in the other part.
	Refused []Refusal
}

// Partition splits records into customers. It is a pure function of the set of nodes, pins and cuts (R2): their
// order and repetition do not matter. Nodes with equal keys are taken for one. Parts come sorted by first member.
//
// Evidence is taken in the order of strength, then identifier, then record key; each piece joins two parts unless
//
//   - a cut names a record in one and a record in the other,
//   - the two have different strong ids of one kind and namespace,
//   - one is a person and the other a company, or
//   - the evidence is a phone or an e-mail address, and names speak against it.
//
// Names are compared (SameName) among all who share an address. By e-mail, different first names are different people;
// by phone different surnames are too. A first name alone goes to the one person it agrees with, no name to the only person there is;
// neither goes anywhere where three people or more share the address, or where it is a fixed line that more than a
// first name would be needed for. An address of five people or more joins nobody and ties nothing together.
//
// Precedence: a cut stands above everything, also above a pin, because of two people's decisions the one that
// joins nobody does less harm. A pin stands above strong ids: somebody has looked and decided. Strong ids that a
// pin, or one record of a source, puts side by side count as the same from there on.
//
// Where evidence ties more than Rules.MaxComponent records together, e-mails, phones and other weak ids join nothing.
// Pins and cuts that name records outside nodes are passed over.
func Partition(nodes []Node, pins []Pin, cuts []Cut, rules Rules) []Part {
	nodes = distinct(nodes)
	if rules.BranchesApart {
		tellBranchesApart(nodes)
	}
	index := make(map[store.RecordKey]int, len(nodes))
	for i, node := range nodes {
		index[node.Key] = i
	}
	pinned := pairs(index, pins, func(p Pin) (store.RecordKey, store.RecordKey) { return p.A, p.B })
	apart := pairs(index, cuts, func(c Cut) (store.RecordKey, store.RecordKey) { return c.A, c.B })
	claims := claimsOf(nodes, rules)

	j := newJoiner(nodes, apart)
	shared := make([]bool, len(claims))
	for i, c := range claims {
		shared[i] = manyPeople(c, j.names)
	}
	components := newForest(len(nodes))
	for _, pair := range pinned {
		components.union(pair[0], pair[1])
	}
	for i, c := range claims {
		if shared[i] {
			continue
		}
		for _, member := range c.members[1:] {
			components.union(c.members[0], member)
		}
	}

	for _, pair := range pinned {
		j.join(Edge{Strength: ByPin}, pair[0], pair[1], false)
	}
	j.learnStrongIDs()
	quarantine := make(map[int]QuarantineReason)
	weak := len(claims)
	for i, c := range claims {
		if c.strength != ByStrongID {
			weak = i
			break
		}
		if !j.follow(c, rules.maxComponent()) {
			quarantine[components.find(c.members[0])] = StrongIDShared
		}
	}
	for i, c := range claims[weak:] {
		if shared[weak+i] {
			continue
		}
		if root := components.find(c.members[0]); components.size[root] > rules.maxComponent() && j.spansParts(c) {
			quarantine[root] = TooManyRecords
		}
	}
	for i, c := range claims[weak:] {
		switch {
		case shared[weak+i]:
			j.refuseShared(c)
		case quarantine[components.find(c.members[0])] != TooManyRecords:
			// In a component within bounds no claim can keep more parts apart than the bound.
			j.follow(c, rules.maxComponent())
		}
	}
	return j.parts(components, quarantine)
}

// distinct sorts nodes by key and takes those with equal keys for one that has the identifiers of all.
func distinct(nodes []Node) []Node {
	sorted := slices.Clone(nodes)
	slices.SortStableFunc(sorted, func(a, b Node) int {
		return cmp.Or(a.Key.Compare(b.Key), cmp.Compare(a.Kind, b.Kind))
	})
	out := sorted[:0]
	for _, node := range sorted {
		if last := len(out) - 1; last >= 0 && out[last].Key == node.Key {
			out[last].Identifiers = slices.Concat(out[last].Identifiers, node.Identifiers)
			out[last].Names = slices.Concat(out[last].Names, node.Names)
			continue
		}
		out = append(out, node)
	}
	return out
}

// tellBranchesApart lets KPPs forbid joins as strong ids do. They still make none.
func tellBranchesApart(nodes []Node) {
	for i := range nodes {
		if nodes[i].Kind != customer.Company {
			continue
		}
		nodes[i].Identifiers = slices.Clone(nodes[i].Identifiers)
		for k := range nodes[i].Identifiers {
			if id := &nodes[i].Identifiers[k]; id.Kind == kppKind {
				id.Strong = true
			}
		}
	}
}

// pairs translates decisions about record keys into sorted, distinct pairs of node indexes, smaller first.
func pairs[T any](index map[store.RecordKey]int, decisions []T, keys func(T) (store.RecordKey, store.RecordKey)) [][2]int {
	var out [][2]int
	for _, decision := range decisions {
		a, b := keys(decision)
		i, knowsA := index[a]
		k, knowsB := index[b]
		if knowsA && knowsB && i != k {
			out = append(out, [2]int{min(i, k), max(i, k)})
		}
	}
	slices.SortFunc(out, func(a, b [2]int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	return slices.Compact(out)
}

// claim says that the records which share an identifier are one customer.
type claim struct {
	strength   Strength
	identifier customer.Identifier
	kind       customer.Kind
	members    []int // at least two, ascending
}

func claimsOf(nodes []Node, rules Rules) []claim {
	type subject struct {
		kind customer.Kind
		id   customer.Identifier
	}
	claims := make(map[subject]*claim)
	for i, node := range nodes {
		for _, id := range node.Identifiers {
			strong := id.Strong
			id.Strong = false
			of := subject{node.Kind, id}
			c := claims[of]
			if c == nil {
				if !rules.Joins(id) {
					continue
				}
				c = &claim{strength: weakStrength(id.Kind), identifier: id, kind: node.Kind}
				claims[of] = c
			}
			if strong {
				c.strength, c.identifier.Strong = ByStrongID, true
			}
			if last := len(c.members) - 1; last < 0 || c.members[last] != i {
				c.members = append(c.members, i)
			}
		}
	}
	out := make([]claim, 0, len(claims))
	for _, c := range claims {
		if len(c.members) > 1 {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b claim) int {
		return cmp.Or(cmp.Compare(a.strength, b.strength), a.identifier.Compare(b.identifier), cmp.Compare(a.kind, b.kind))
	})
	return out
}

func weakStrength(kind string) Strength {
	switch kind {
	case EmailKind, MailboxKind:
		return ByEmail
	case PhoneKind:
		return ByPhone
	default:
		return ByID
	}
}
