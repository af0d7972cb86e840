package world

import (
	"slices"

	"github.com/regulars/regulars/contracts/entity"
)

// Truth says of every contact and company whom it is about.
type Truth struct{ Records []Known }

// Known is the truth about one record.
type Known struct {
	Key  Key
	Kind entity.Kind // contact or company
	// Owner is the person or company; empty for a record that is about nobody.
	Owner string
	// Evidence lists what in the record points at its owner, sorted: "email:", "phone:", "loyalty_card:" or "inn:" and
	// the normal form. Junk is none; a mistyped address stands as it was typed.
	Evidence []string
	// Junk lists, in the same form, what stands in the record and is nobody's. It only serves to explain mistakes.
	Junk []string
	// Island is a number that two records have in common if a chain of the owner's records leads from one to the other in
	// which each shares evidence with the next. Who goes by identifiers can at best find out what is on one island.
	Island int
	// Unlinkable: the owner has other records, and none of them shares evidence with this one.
	Unlinkable bool
	// Troubles that were met in the record, sorted.
	Troubles []Trouble
}

func (k *Known) addEvidence(e string) { k.Evidence = added(k.Evidence, e) }

func (k *Known) addJunk(e string) { k.Junk = added(k.Junk, e) }

func added(list []string, e string) []string {
	if at, found := slices.BinarySearch(list, e); !found {
		return slices.Insert(list, at, e)
	}
	return list
}

// findIslands numbers the islands of every owner. Records of nobody are an island each.
func (t *Truth) findIslands() {
	parent := make([]int, len(t.Records))
	find := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	type trace struct{ owner, evidence string }
	first := map[trace]int{}
	owned, alone := map[string]int{}, map[int]int{}
	for i, record := range t.Records {
		parent[i] = i
		if record.Owner == "" {
			continue
		}
		owned[record.Owner]++
		for _, e := range record.Evidence {
			if k, known := first[trace{record.Owner, e}]; known {
				a, b := find(i), find(k)
				parent[max(a, b)] = min(a, b)
			} else {
				first[trace{record.Owner, e}] = i
			}
		}
	}
	for i := range t.Records {
		t.Records[i].Island = find(i)
		alone[find(i)]++
	}
	for i := range t.Records {
		record := &t.Records[i]
		record.Unlinkable = owned[record.Owner] > 1 && alone[record.Island] == 1
	}
}
