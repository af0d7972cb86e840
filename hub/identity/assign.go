package identity

import (
	"cmp"
	"slices"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// Holder is a customer id given out earlier, with what it stood for. An id is never forgotten: one that became an
// alias or was retired is a holder too, without members of its own.
type Holder struct {
	ID customer.ID
	// Anchor is the record that carries the id: the part that holds it has the first claim to the id.
	Anchor store.RecordKey
	// Members are the records of the customer so far, oldest first; none for an alias or a retired id.
	Members []store.RecordKey
	// AliasOf is the id that this one stands for; 0 for an id of its own.
	AliasOf customer.ID
}

// Assignment is the id of one part.
type Assignment struct {
	// ID is 0 for a new customer: the store gives the number.
	ID customer.ID
	// Anchor carries the id from now on.
	Anchor store.RecordKey
	// Aliases are the other ids that now stand for this customer, ascending. Each keeps the anchor it had.
	Aliases []customer.ID
}

// Assign gives each part its id; the first result is parallel to parts. Every id of previous is found exactly once
// in the answer: as a part's ID, among a part's Aliases, or in retired, the ids that stand for nobody now.
//
// Ids in use come first, then retired ones, then aliases. Within each of these, in ascending order, an id goes to the
// part with its anchor; one whose anchor is gone goes to the part with its oldest surviving member, which becomes
// its anchor if the part had no id yet. An id that comes to a part which has one becomes its alias. So a join
// keeps the smallest id; and since an alias keeps its anchor, a later split gives it back to the same records. (Where
// these hold the anchors of several aliases, it is the smallest.)
// An alias that has lost its anchor stays with the id it stood for. A new customer's anchor is its smallest key.
//
// Parts must hold all live records of the ids in use, and previous every id in use that has a record in parts, every
// other id whose anchor is in parts, and all aliases of these. It must not hold an id in use whose records are
// elsewhere, even if an alias of it is among them: without records it would be taken for retired.
func Assign(parts []Part, previous []Holder) (assignments []Assignment, retired []customer.ID) {
	partOf := make(map[store.RecordKey]int)
	for i, part := range parts {
		for _, member := range part.Members {
			partOf[member] = i
		}
	}
	a := assigner{assignments: make([]Assignment, len(parts)), placed: make(map[customer.ID]int)}
	var inUse, unused, aliases []Holder
	for _, holder := range previous {
		switch {
		case holder.AliasOf != 0:
			aliases = append(aliases, holder)
		case len(holder.Members) == 0:
			unused = append(unused, holder)
		default:
			inUse = append(inUse, holder)
		}
	}
	for _, holders := range [][]Holder{inUse, unused, aliases} {
		slices.SortFunc(holders, func(x, y Holder) int { return cmp.Compare(x.ID, y.ID) })
		var homeless []Holder
		for _, holder := range holders {
			if part, alive := partOf[holder.Anchor]; alive {
				a.place(holder.ID, part, holder.Anchor)
			} else {
				homeless = append(homeless, holder)
			}
		}
		for _, holder := range homeless {
			for _, member := range holder.Members {
				if part, alive := partOf[member]; alive {
					a.place(holder.ID, part, member)
					break
				}
			}
		}
	}
	standsFor := make(map[customer.ID]customer.ID, len(previous))
	for _, holder := range previous {
		standsFor[holder.ID] = holder.AliasOf
	}
	for _, holder := range previous {
		if _, done := a.placed[holder.ID]; done {
			continue
		}
		if part, found := a.follow(holder.AliasOf, standsFor); found {
			a.assignments[part].Aliases = append(a.assignments[part].Aliases, holder.ID)
		} else {
			retired = append(retired, holder.ID)
		}
	}
	for i, part := range parts {
		if a.assignments[i].ID == 0 {
			a.assignments[i].Anchor = part.Members[0]
		}
		slices.Sort(a.assignments[i].Aliases)
	}
	slices.Sort(retired)
	return a.assignments, retired
}

type assigner struct {
	assignments []Assignment
	placed      map[customer.ID]int // part by id, for ids placed by a record
}

func (a *assigner) place(id customer.ID, part int, anchor store.RecordKey) {
	a.placed[id] = part
	if to := &a.assignments[part]; to.ID == 0 {
		to.ID, to.Anchor = id, anchor
	} else {
		to.Aliases = append(to.Aliases, id)
	}
}

// follow walks from alias to alias up to an id that has a part. Its steps are bounded, so that a ring of aliases
// in damaged data ends the walk instead of the hub.
func (a *assigner) follow(id customer.ID, standsFor map[customer.ID]customer.ID) (int, bool) {
	for range len(standsFor) + 1 {
		if id == 0 {
			break
		}
		if part, found := a.placed[id]; found {
			return part, true
		}
		id = standsFor[id]
	}
	return 0, false
}
