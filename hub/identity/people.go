package identity

import (
	"cmp"
	"slices"

	"github.com/nyaruka/phonenumbers"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
)

const (
	// sharedByMany is how many people, each named differently from the others, make an address one that joins nobody: more
	// than a family has, it is an office, the shop itself or a placeholder.
	sharedByMany = 5
	// crowd is how many people on one address make a first name alone too little to tell whose record it is.
	crowd = 3
)

// namesOf takes the names of people apart, each only once, in an order of their own.
func namesOf(nodes []Node) [][]*personName {
	out := make([][]*personName, len(nodes))
	parsed := map[entity.Name]*personName{}
	for i, node := range nodes {
		if node.Kind != customer.Person {
			continue
		}
		names := slices.SortedFunc(slices.Values(node.Names), func(a, b entity.Name) int {
			return cmp.Or(cmp.Compare(a.Full, b.Full), cmp.Compare(a.First, b.First), cmp.Compare(a.Middle, b.Middle), cmp.Compare(a.Last, b.Last))
		})
		for _, name := range names {
			one := parsed[name]
			if one == nil {
				read := parseName(name)
				one = &read
				parsed[name] = one
			}
			if len(one.words) > 0 {
				out[i] = appendNew(out[i], one)
			}
		}
	}
	return out
}

// tells orders likenesses by how much they tell where a part has several names.
var tells = [...]int{UnknownNames: 0, CompatibleNames: 1, OtherSurname: 2, SameNames: 3, DifferentNames: 4}

// likeness compares what two parts are called, by the pair of names that tells most: a first name alone says nothing new
// beside the whole name. Where a pin or a strong id has put different names into one part, each of them is a name of its
// person, and it is enough to agree with one.
func likeness(a, b []*personName) Likeness {
	most, agrees := UnknownNames, UnknownNames
	for _, x := range a {
		for _, y := range b {
			like := x.compare(y)
			if tells[like] > tells[most] {
				most = like
			}
			if like != DifferentNames && tells[like] > tells[agrees] {
				agrees = like
			}
		}
	}
	if most == DifferentNames && agrees != UnknownNames && (contradict(a) || contradict(b)) {
		return agrees
	}
	return most
}

// contradict says that the names of one part are of different people.
func contradict(names []*personName) bool {
	for i, x := range names {
		for _, y := range names[:i] {
			if x.compare(y) == DifferentNames {
				return true
			}
		}
	}
	return false
}

// tellApart numbers the people who share a weak identifier, by the names of the parts as they are now; it says for each
// member whose record it is. It returns nil where nobody has to be told apart.
func (j *joiner) tellApart(c claim) map[int]int {
	if c.kind != customer.Person || c.strength < ByEmail {
		return nil
	}
	type candidate struct {
		members []int
		names   []*personName
		words   int
	}
	var all []*candidate
	at := map[int]*candidate{}
	for _, member := range c.members {
		root := j.find(member)
		one := at[root]
		if one == nil {
			one = &candidate{names: j.names[root]}
			for _, name := range one.names {
				one.words = max(one.words, min(2, len(name.words)))
			}
			at[root] = one
			all = append(all, one)
		}
		one.members = append(one.members, member)
	}
	// Those who say most first: they decide how many people there are.
	slices.SortStableFunc(all, func(a, b *candidate) int { return cmp.Compare(b.words, a.words) })
	var people [][]*candidate
	owners := make(map[*candidate]int, len(all))
	alone := 0
	for _, one := range all {
		fitting := map[Likeness][]int{}
		for number, group := range people {
			most := UnknownNames
			for _, other := range group {
				if like := likeness(one.names, other.names); tells[like] > tells[most] {
					most = like
				}
			}
			fitting[most] = append(fitting[most], number)
		}
		same, compatible, unknown := fitting[SameNames], fitting[CompatibleNames], fitting[UnknownNames]
		if c.strength == ByEmail {
			// A surname changes; the address stays.
			if len(same) == 0 && len(compatible) == 0 {
				compatible = fitting[OtherSurname]
			}
		}
		lone := func() bool { return len(people) < crowd && !fixedLine(c.identifier) }
		var place int
		switch {
		case len(same) == 1:
			place = same[0]
		case len(same) == 0 && len(compatible) == 1 && (lone() || len(fitting[OtherSurname]) > 0 && c.strength == ByEmail):
			place = compatible[0]
		case len(same) == 0 && len(compatible) == 0 && len(unknown) == 1 && len(people) == 1 && lone():
			place = unknown[0]
		case len(same) == 0 && len(compatible) == 0 && len(unknown) == 0:
			place = len(people)
			people = append(people, nil)
		default:
			alone--
			owners[one] = alone
			continue
		}
		people[place] = append(people[place], one)
		owners[one] = place
	}
	person := make(map[int]int, len(c.members))
	for _, one := range all {
		for _, member := range one.members {
			person[member] = owners[one]
		}
	}
	return person
}

// fixedLine says that a number belongs to a place, where a first name does not tell who is meant.
func fixedLine(id customer.Identifier) bool {
	if id.Kind != PhoneKind {
		return false
	}
	number, err := phonenumbers.Parse(id.Value, "")
	return err == nil && phonenumbers.GetNumberType(number) == phonenumbers.FIXED_LINE
}

// manyPeople says that so many differently named people have the claim's identifier that it tells nothing of any of them.
// It looks at records, not parts, so that it depends on nothing but who has the identifier.
func manyPeople(c claim, names [][]*personName) bool {
	if c.kind != customer.Person || c.strength < ByEmail {
		return false
	}
	var people []*personName
	for _, member := range c.members {
		for _, name := range names[member] {
			if slices.ContainsFunc(people, func(p *personName) bool { return p.compare(name) != DifferentNames }) {
				continue
			}
			if people = append(people, name); len(people) >= sharedByMany {
				return true
			}
		}
	}
	return false
}
