package identity

import (
	"slices"

	"github.com/regulars/regulars/hub/store"
)

// Preview is what a change of rules would do to customers.
type Preview struct {
	// Merges counts parts after the change that hold records of several before, Splits the reverse.
	Merges, Splits int
	// MergeSamples and SplitSamples name for some of these the first record of each part concerned.
	MergeSamples, SplitSamples [][]store.RecordKey
}

// Compare says what turns before into after, two partitions of the same records; records in one of them only are
// passed over. It keeps up to samples examples of each sort.
func Compare(before, after []Part, samples int) Preview {
	var p Preview
	p.Merges, p.MergeSamples = spread(after, before, samples)
	p.Splits, p.SplitSamples = spread(before, after, samples)
	return p
}

// spread counts the parts of whole whose records lie in more than one of pieces.
func spread(whole, pieces []Part, samples int) (count int, examples [][]store.RecordKey) {
	pieceOf := make(map[store.RecordKey]int)
	for i, piece := range pieces {
		for _, member := range piece.Members {
			pieceOf[member] = i
		}
	}
	for _, part := range whole {
		var firsts []store.RecordKey
		seen := make(map[int]bool)
		for _, member := range part.Members {
			if piece, known := pieceOf[member]; known && !seen[piece] {
				seen[piece] = true
				firsts = append(firsts, member)
			}
		}
		if len(firsts) > 1 {
			if count++; len(examples) < samples {
				examples = append(examples, firsts)
			}
		}
	}
	return count, examples
}

// Explanation says why two records are one customer or not.
type Explanation struct {
	// Same says that they are. Path then leads from one to the other.
	Same bool
	Path []Edge
	// Refused holds, of two customers, the evidence between them that a rule forbade to follow; empty where nothing
	// ties them directly.
	Refused []Refusal
	// Quarantined says that weak evidence of one of them was not followed at all.
	Quarantined bool
}

// Explain reads from a partition why records a and b are, or are not, one customer. It reports false when one of them
// is not in it.
func Explain(parts []Part, a, b store.RecordKey) (Explanation, bool) {
	find := func(key store.RecordKey) int {
		return slices.IndexFunc(parts, func(p Part) bool { return slices.Contains(p.Members, key) })
	}
	atA, atB := find(a), find(b)
	if atA < 0 || atB < 0 {
		return Explanation{}, false
	}
	e := Explanation{Same: atA == atB, Quarantined: parts[atA].Quarantined || parts[atB].Quarantined}
	if e.Same {
		e.Path = path(parts[atA].Evidence, a, b)
		return e, true
	}
	for _, refusal := range parts[atA].Refused {
		if slices.Contains(parts[atB].Members, refusal.A) || slices.Contains(parts[atB].Members, refusal.B) {
			e.Refused = append(e.Refused, refusal)
		}
	}
	return e, true
}

// path walks the tree of joins from a to b.
func path(edges []Edge, a, b store.RecordKey) []Edge {
	if a == b {
		return nil
	}
	cameBy := map[store.RecordKey]int{a: -1}
	queue := []store.RecordKey{a}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for i, edge := range edges {
			for _, way := range [][2]store.RecordKey{{edge.A, edge.B}, {edge.B, edge.A}} {
				if _, seen := cameBy[way[1]]; way[0] == at && !seen {
					cameBy[way[1]] = i
					queue = append(queue, way[1])
				}
			}
		}
	}
	var out []Edge
	if _, reached := cameBy[b]; !reached {
		return nil
	}
	for at := b; at != a; {
		edge := edges[cameBy[at]]
		out = append(out, edge)
		if edge.A == at {
			at = edge.B
		} else {
			at = edge.A
		}
	}
	slices.Reverse(out)
	return out
}
