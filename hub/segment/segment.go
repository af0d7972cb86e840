// Package segment says which customers belong to which segments: the built-in ones, which follow from a customer's
// orders, and those of a rule in the language of expr-lang/expr over typed customer fields. It does no I/O.
package segment

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/regulars/regulars/hub/customer"
)

// Definition is a segment: what it is called and whom it holds.
type Definition struct {
	// ID never changes; it names the segment in activations, exports and metrics.
	ID string
	// Title by language, ru and en.
	Title map[string]string
	// Rule is empty for a built-in segment.
	Rule    string
	Builtin bool
	// Managed says who keeps the definition, e.g. ManagedBuiltin or the file it is from.
	Managed string
}

// ManagedBuiltin is the Managed of built-in segments.
const ManagedBuiltin = "builtin"

// idForm leaves ids usable in file names, URLs and metric labels. Built-in ids have underscores.
var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// DefinitionError says which segment cannot be used and why; Err is a *RuleError where the rule is at fault.
type DefinitionError struct {
	Segment string
	Err     error
}

func (e *DefinitionError) Error() string { return fmt.Sprintf("segment %q: %v", e.Segment, e.Err) }

func (e *DefinitionError) Unwrap() error { return e.Err }

// Diff is what an evaluation changed in a segment's membership.
type Diff struct {
	// Entered and Left are ascending.
	Entered, Left []customer.ID
	// Baseline says that the members are a new starting point: the difference is stored, but nobody "entered" or "left"
	// in the sense that starts chains and alerts. So it is after the first sync, a restore, an edit of the rule or a
	// change of identity.
	Baseline bool
}

// Empty says that nothing changed.
func (d Diff) Empty() bool { return len(d.Entered) == 0 && len(d.Left) == 0 }

// Compare finds who entered and who left between two evaluations. The slices are not changed; they are quickest when
// ascending, as Evaluate returns them.
func Compare(before, after []customer.ID) Diff {
	before, after = ascending(before), ascending(after)
	var diff Diff
	for len(before) > 0 && len(after) > 0 {
		switch {
		case before[0] == after[0]:
			before, after = before[1:], after[1:]
		case before[0] < after[0]:
			diff.Left = append(diff.Left, before[0])
			before = before[1:]
		default:
			diff.Entered = append(diff.Entered, after[0])
			after = after[1:]
		}
	}
	diff.Left = append(diff.Left, before...)
	diff.Entered = append(diff.Entered, after...)
	return diff
}

// Baseline is Compare for an evaluation that is a new starting point.
func Baseline(before, after []customer.ID) Diff {
	diff := Compare(before, after)
	diff.Baseline = true
	return diff
}

// ascending returns the ids sorted, each once.
func ascending(ids []customer.ID) []customer.ID {
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			sorted := slices.Clone(ids)
			slices.Sort(sorted)
			return slices.Compact(sorted)
		}
	}
	return ids
}
