package identity

import (
	"cmp"
	"slices"

	"github.com/regulars/regulars/hub/customer"
)

// forest is a union-find structure over node indexes.
type forest struct{ parent, size []int }

func newForest(n int) *forest {
	f := &forest{parent: make([]int, n), size: make([]int, n)}
	for i := range n {
		f.parent[i], f.size[i] = i, 1
	}
	return f
}

func (f *forest) find(i int) int {
	for f.parent[i] != i {
		f.parent[i] = f.parent[f.parent[i]]
		i = f.parent[i]
	}
	return i
}

// union joins two sets and returns the root that stays and the one that went; both are the same if they were one.
func (f *forest) union(a, b int) (root, gone int) {
	root, gone = f.find(a), f.find(b)
	if root == gone {
		return root, gone
	}
	if f.size[root] < f.size[gone] {
		root, gone = gone, root
	}
	f.parent[gone] = root
	f.size[root] += f.size[gone]
	return root, gone
}

// space is where values of a strong id are comparable.
type space struct{ kind, namespace string }

func (s space) compare(o space) int {
	return cmp.Or(cmp.Compare(s.kind, o.kind), cmp.Compare(s.namespace, o.namespace))
}

// joiner holds the parts while they grow. A refused join stays refused: parts only gain strong ids and cuts.
type joiner struct {
	*forest
	nodes   []Node
	apart   [][]int         // by root: nodes that a cut keeps out
	strong  []map[space]int // by root: class of the strong ids of each space
	names   [][]*personName // by root: what its people are called
	joined  []join
	refused []join
}

// join is an edge between nodes, with the reason and the space where it was refused.
type join struct {
	edge   Edge
	a, b   int
	reason RefusalReason
	at     space
}

func newJoiner(nodes []Node, apart [][2]int) *joiner {
	j := &joiner{forest: newForest(len(nodes)), nodes: nodes, apart: make([][]int, len(nodes)), strong: make([]map[space]int, len(nodes)), names: namesOf(nodes)}
	for _, pair := range apart {
		j.apart[pair[0]] = append(j.apart[pair[0]], pair[1])
		j.apart[pair[1]] = append(j.apart[pair[1]], pair[0])
	}
	return j
}

// learnStrongIDs notes the strong ids of the parts as pins made them. Ids of one space within one part fall into
// one class, and classes that share an id are one: these ids were declared to be the same customer's.
func (j *joiner) learnStrongIDs() {
	numbers := make(map[customer.Identifier]int)
	for _, node := range j.nodes {
		for _, id := range node.Identifiers {
			if _, known := numbers[id]; id.Strong && !known {
				numbers[id] = len(numbers)
			}
		}
	}
	classes := newForest(len(numbers))
	for pass := range 2 {
		for i, node := range j.nodes {
			root := j.find(i)
			for _, id := range node.Identifiers {
				if !id.Strong {
					continue
				}
				if j.strong[root] == nil {
					j.strong[root] = make(map[space]int)
				}
				at, number := space{id.Kind, id.Namespace}, numbers[id]
				if other, taken := j.strong[root][at]; taken {
					classes.union(other, number)
				}
				// The second pass stores final classes, which the first was still joining.
				if pass == 1 {
					number = classes.find(number)
				}
				j.strong[root][at] = number
			}
		}
	}
}

// follow joins the records of a claim. Records are taken in the order of keys; each joins the first earlier part
// of the same person by name that it may, which leaves parts of which no two can be joined. It stops and reports false
// when there are more of those than limit.
func (j *joiner) follow(c claim, limit int) bool {
	edge := Edge{Strength: c.strength, Identifier: c.identifier}
	person := j.tellApart(c)
	var firsts []int // the first record of each part met
	for _, member := range c.members {
		if slices.ContainsFunc(firsts, func(first int) bool { return j.find(first) == j.find(member) }) {
			continue
		}
		found := false
		for _, first := range firsts {
			found = j.join(edge, first, member, person != nil && person[first] != person[member]) || found
		}
		if found {
			continue
		}
		if firsts = append(firsts, member); len(firsts) > limit {
			return false
		}
	}
	return true
}

// join makes one part of two unless a rule forbids it, or they were told apart by name.
func (j *joiner) join(edge Edge, a, b int, toldApart bool) bool {
	rootA, rootB := j.find(a), j.find(b)
	if rootA == rootB {
		return true
	}
	made := join{edge: edge, a: a, b: b}
	made.edge.A, made.edge.B = j.nodes[min(a, b)].Key, j.nodes[max(a, b)].Key
	made.reason, made.at = j.obstacle(rootA, rootB)
	if made.reason == "" && toldApart {
		made.reason = RefusedNames
	}
	if made.reason != "" {
		j.refused = append(j.refused, made)
		return false
	}
	j.joined = append(j.joined, made)
	root, gone := j.union(rootA, rootB)
	j.apart[root] = append(j.apart[root], j.apart[gone]...)
	j.apart[gone] = nil
	for _, name := range j.names[gone] {
		j.names[root] = appendNew(j.names[root], name)
	}
	j.names[gone] = nil
	if j.strong[root] == nil {
		j.strong[root] = j.strong[gone]
	} else {
		for at, class := range j.strong[gone] {
			j.strong[root][at] = class
		}
	}
	j.strong[gone] = nil
	return true
}

// refuseShared notes that an address of many people joins none of the parts that have it: each with the next, since
// every pair would be too many.
func (j *joiner) refuseShared(c claim) {
	last := c.members[0]
	for _, member := range c.members[1:] {
		if j.find(member) == j.find(last) {
			continue
		}
		edge := Edge{Strength: c.strength, Identifier: c.identifier, A: j.nodes[last].Key, B: j.nodes[member].Key}
		j.refused = append(j.refused, join{edge: edge, a: last, b: member, reason: RefusedShared})
		last = member
	}
}

func (j *joiner) obstacle(rootA, rootB int) (RefusalReason, space) {
	if j.nodes[rootA].Kind != j.nodes[rootB].Kind {
		return RefusedKinds, space{}
	}
	few, other := rootA, rootB
	if len(j.apart[few]) > len(j.apart[other]) {
		few, other = other, few
	}
	if slices.ContainsFunc(j.apart[few], func(i int) bool { return j.find(i) == other }) {
		return RefusedCut, space{}
	}
	few, other = rootA, rootB
	if len(j.strong[few]) > len(j.strong[other]) {
		few, other = other, few
	}
	var differs []space
	for at, class := range j.strong[few] {
		if there, has := j.strong[other][at]; has && there != class {
			differs = append(differs, at)
		}
	}
	if len(differs) > 0 {
		return RefusedStrongIDs, slices.MinFunc(differs, space.compare)
	}
	return "", space{}
}

func (j *joiner) spansParts(c claim) bool {
	return slices.ContainsFunc(c.members[1:], func(member int) bool { return j.find(member) != j.find(c.members[0]) })
}

func (j *joiner) parts(components *forest, quarantine map[int]QuarantineReason) []Part {
	var parts []Part
	at := make(map[int]int) // part by root
	for i, node := range j.nodes {
		root := j.find(i)
		number, known := at[root]
		if !known {
			number = len(parts)
			at[root] = number
			component := components.find(i)
			reason, quarantined := quarantine[component]
			parts = append(parts, Part{Kind: node.Kind, Quarantined: quarantined, Reason: reason, ComponentSize: components.size[component]})
		}
		parts[number].Members = append(parts[number].Members, node.Key)
	}
	for _, made := range j.joined {
		part := &parts[at[j.find(made.a)]]
		part.Evidence = append(part.Evidence, made.edge)
	}
	for _, not := range j.refused {
		refusal := Refusal{Edge: not.edge, Reason: not.reason, IDKind: not.at.kind, IDNamespace: not.at.namespace}
		for _, end := range []int{not.a, not.b} {
			part := &parts[at[j.find(end)]]
			part.Refused = append(part.Refused, refusal)
		}
	}
	return parts
}
