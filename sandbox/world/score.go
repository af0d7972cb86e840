package world

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Result is how well somebody found out which records are the same person or company.
//
// Pairs of records are counted, but for those of which both are about nobody. Precision takes all pairs of one
// cluster; recall takes the pairs of one island (Known.Island), as no evidence leads to the others.
type Result struct {
	Records, Clusters int
	// Unlinkable is how many records no evidence ties to their owner's others.
	Unlinkable int
	// Together counts pairs in one cluster, Right those of them with one owner.
	Together, Right int64
	// Linkable counts pairs on one island, Found those of them in one cluster.
	Linkable, Found int64
	// Precision is Right/Together and Recall is Found/Linkable; 1 where there is nothing to divide by.
	Precision, Recall float64
	// BCubedPrecision and BCubedRecall are means over records with an owner: the part of the record's cluster with its
	// owner, and the part of its island in its cluster.
	BCubedPrecision, BCubedRecall float64
	// WrongMerges and Misses, those with most pairs first.
	WrongMerges, Misses []Mistake
}

// Mistake is a group of records that were put together wrongly, or kept apart wrongly from another group.
type Mistake struct {
	// A and B show how it came: where there are such, B is of the smaller group and shares something with A, which is of
	// the larger group or of another one in the same cluster.
	A, B Key
	// Pairs between the groups.
	Pairs int64
	// Shared lists the kinds of what A and B have in common: "phone", "email", "loyalty_card", "inn", "junk phone", "junk email".
	Shared []string
	// Troubles of A and B.
	Troubles []Trouble
}

// String is a line for a report; it names records, not people.
func (m Mistake) String() string {
	return fmt.Sprintf("%s - %s: %d pairs, shared %v, troubles %v", m.A, m.B, m.Pairs, m.Shared, m.Troubles)
}

// Score compares clusters of records with the truth. Records in no cluster are clusters of their own; keys that the
// truth does not know are passed over. It fails when a record is in two clusters.
func Score(truth Truth, clusters [][]Key) (Result, error) {
	index := make(map[Key]int, len(truth.Records))
	for i, record := range truth.Records {
		index[record.Key] = i
	}
	cluster := make([]int, len(truth.Records))
	for number, keys := range clusters {
		for _, key := range keys {
			i, known := index[key]
			if !known {
				continue
			}
			if cluster[i] != 0 && cluster[i] != number+1 {
				return Result{}, fmt.Errorf("record %s is in two clusters", key)
			}
			cluster[i] = number + 1
		}
	}
	for i := range cluster {
		if cluster[i] == 0 {
			cluster[i] = len(clusters) + 1 + i
		}
	}
	owner := numbered(truth.Records, func(r Known) string { return r.Owner })
	island := make([]int, len(truth.Records))
	for i, record := range truth.Records {
		island[i] = record.Island
	}
	s := Result{Records: len(truth.Records)}
	byCluster := groups(cluster, owner)
	s.Clusters = len(byCluster)
	nobody := -1
	for i, record := range truth.Records {
		if record.Owner == "" {
			nobody = owner[i]
		}
		if record.Unlinkable {
			s.Unlinkable++
		}
	}
	owned := 0
	for _, g := range byCluster {
		s.Together += pairs(g.size)
		for _, cell := range g.cells {
			if cell.label == nobody {
				s.Together -= pairs(len(cell.members))
				continue
			}
			s.Right += pairs(len(cell.members))
			owned += len(cell.members)
			s.BCubedPrecision += float64(len(cell.members)) * float64(len(cell.members)) / float64(g.size)
		}
		s.WrongMerges = append(s.WrongMerges, mistakes(truth, g)...)
	}
	for _, g := range groups(island, cluster) {
		if truth.Records[g.cells[0].members[0]].Owner == "" {
			continue
		}
		s.Linkable += pairs(g.size)
		for _, cell := range g.cells {
			s.Found += pairs(len(cell.members))
			s.BCubedRecall += float64(len(cell.members)) * float64(len(cell.members)) / float64(g.size)
		}
		s.Misses = append(s.Misses, mistakes(truth, g)...)
	}
	s.Precision, s.Recall = ratio(float64(s.Right), float64(s.Together)), ratio(float64(s.Found), float64(s.Linkable))
	s.BCubedPrecision, s.BCubedRecall = ratio(s.BCubedPrecision, float64(owned)), ratio(s.BCubedRecall, float64(owned))
	for _, list := range [][]Mistake{s.WrongMerges, s.Misses} {
		slices.SortFunc(list, func(a, b Mistake) int {
			return cmp.Or(cmp.Compare(b.Pairs, a.Pairs), cmp.Compare(a.A.String(), b.A.String()), cmp.Compare(a.B.String(), b.B.String()))
		})
	}
	return s, nil
}

// Causes counts mistakes by one trouble or kind of evidence of theirs, most frequent first. A mistake counts under each
// of its troubles.
func Causes(list []Mistake) []Cause {
	counts := map[string]*Cause{}
	for _, m := range list {
		names := []string{"shared " + strings.Join(m.Shared, "+")}
		for _, t := range m.Troubles {
			names = append(names, string(t))
		}
		for _, name := range names {
			if counts[name] == nil {
				counts[name] = &Cause{Name: name}
			}
			counts[name].Mistakes++
			counts[name].Pairs += m.Pairs
		}
	}
	out := make([]Cause, 0, len(counts))
	for _, c := range counts {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Cause) int { return cmp.Or(cmp.Compare(b.Pairs, a.Pairs), cmp.Compare(a.Name, b.Name)) })
	return out
}

// Cause says how often a trouble was met in mistakes.
type Cause struct {
	Name     string
	Mistakes int
	Pairs    int64
}

// group is the records with one label, by another label.
type group struct {
	size  int
	cells []*cell
}

type cell struct {
	label   int
	members []int
}

// groups counts the contingency table of two labellings, in one pass. Groups and cells come in the order of their
// first records.
func groups(by, within []int) []*group {
	type place struct{ by, within int }
	var out []*group
	at, cells := map[int]*group{}, map[place]*cell{}
	for i := range by {
		g := at[by[i]]
		if g == nil {
			g = &group{}
			at[by[i]] = g
			out = append(out, g)
		}
		g.size++
		c := cells[place{by[i], within[i]}]
		if c == nil {
			c = &cell{label: within[i]}
			cells[place{by[i], within[i]}] = c
			g.cells = append(g.cells, c)
		}
		c.members = append(c.members, i)
	}
	return out
}

// mistakes sets each smaller cell of a group against the largest, so that their number is linear and not quadratic.
func mistakes(truth Truth, g *group) []Mistake {
	if len(g.cells) < 2 {
		return nil
	}
	largest := slices.MaxFunc(g.cells, func(a, b *cell) int { return cmp.Compare(len(a.members), len(b.members)) })
	having := map[string]int{} // a record of the cells seen so far, by what stands in it
	see := func(c *cell) {
		for _, i := range c.members {
			for _, link := range truth.Records[i].links() {
				if _, known := having[link]; !known {
					having[link] = i
				}
			}
		}
	}
	see(largest)
	var out []Mistake
	for _, c := range g.cells {
		if c == largest {
			continue
		}
		a, b := largest.members[0], c.members[0]
		for _, i := range c.members {
			links := truth.Records[i].links()
			if k := slices.IndexFunc(links, func(link string) bool { _, has := having[link]; return has }); k >= 0 {
				a, b = having[links[k]], i
				break
			}
		}
		see(c)
		one, other := truth.Records[a], truth.Records[b]
		m := Mistake{A: one.Key, B: other.Key, Pairs: int64(len(largest.members)) * int64(len(c.members))}
		for _, link := range other.links() {
			if kind, _, _ := strings.Cut(link, ":"); slices.Contains(one.links(), link) && !slices.Contains(m.Shared, kind) {
				m.Shared = append(m.Shared, kind)
			}
		}
		m.Troubles = slices.Concat(one.Troubles, other.Troubles)
		slices.Sort(m.Troubles)
		m.Troubles = slices.Compact(m.Troubles)
		out = append(out, m)
	}
	return out
}

// links is all that could join the record to others, rightly or not.
func (k Known) links() []string {
	links := slices.Clone(k.Evidence)
	for _, j := range k.Junk {
		links = append(links, "junk "+j)
	}
	return links
}

func numbered(records []Known, label func(Known) string) []int {
	numbers := map[string]int{}
	out := make([]int, len(records))
	for i, record := range records {
		n, known := numbers[label(record)]
		if !known {
			n = len(numbers)
			numbers[label(record)] = n
		}
		out[i] = n
	}
	return out
}

func pairs(n int) int64 { return int64(n) * int64(n-1) / 2 }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 1
	}
	return a / b
}
