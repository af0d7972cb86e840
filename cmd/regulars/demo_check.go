package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/regulars/regulars/configs/demo"
)

// expectation is the form of the demo's expected.json. Figures are in the form kpi show --json gives them.
type expectation struct {
	KPIs        map[string]json.RawMessage  `json:"kpis"`
	Segments    map[string]int              `json:"segments"`
	Activations map[string]map[string]int64 `json:"activation"`
}

// tolerance is how far a share or rate may be from the expected one; counts and money are exact.
const tolerance = 1e-9

// checkDemo compares with the expected figures and lists every difference.
func (a *app) checkDemo(f findings) error {
	var want expectation
	if err := json.Unmarshal(demo.Expected, &want); err != nil {
		return fmt.Errorf("reading the expected figures: %w", err)
	}
	differences, compared := want.differences(f)
	if len(differences) == 0 {
		return a.printf("\nAll %d expected values are as they should be.\n", compared)
	}
	return errors.New("not as expected:\n  " + strings.Join(differences, "\n  "))
}

// differences lists what is not as expected, and tells how many values were compared.
func (e expectation) differences(f findings) (found []string, compared int) {
	report := func(what string, want, got any) {
		found = append(found, fmt.Sprintf("%s: want %v, got %v", what, want, got))
	}
	figures := map[string]json.RawMessage{}
	for _, figure := range f.report.KPIs {
		text, err := figure.Value.MarshalJSON()
		if err != nil {
			text = []byte(err.Error())
		}
		figures[figure.ID] = text
	}
	for _, id := range slices.Sorted(maps.Keys(e.KPIs)) {
		compared++
		if got, known := figures[id]; !known || !sameValue(e.KPIs[id], got) {
			report("figure "+id, string(e.KPIs[id]), string(got))
		}
	}
	sizes := map[string]int{}
	for _, s := range f.segments {
		sizes[s.ID] = s.Size
	}
	for _, id := range slices.Sorted(maps.Keys(e.Segments)) {
		compared++
		if got, known := sizes[id]; !known || got != e.Segments[id] {
			report("segment "+id, e.Segments[id], got)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.Activations)) {
		push, known := f.pushOf(id)
		if !known {
			report("activation "+id, "a push", "none")
		}
		want, got := onceDone(e.Activations[id]), onceDone(push.Result)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			compared++
			if got[name] != want[name] {
				report("activation "+id+", "+name, want[name], got[name])
			}
		}
	}
	return found, compared
}

// placed are the outcomes of people who are on the target after a push.
var placed = []string{"added", "updated", "unchanged"}

// onceDone makes counts of a first push and of a later one comparable: who was added by the first is unchanged at the
// second, and the target has members before it.
func onceDone(counts map[string]int64) map[string]int64 {
	out := maps.Clone(counts)
	if out == nil {
		out = map[string]int64{}
	}
	for _, name := range placed {
		out["on the target"] += out[name]
		delete(out, name)
	}
	delete(out, "members")
	return out
}

// sameValue compares two figures as JSON: numbers within tolerance, everything else to the letter.
func sameValue(want, got json.RawMessage) bool {
	var x, y float64
	if json.Unmarshal(want, &x) == nil && json.Unmarshal(got, &y) == nil && string(want) != "null" && string(got) != "null" {
		return math.Abs(x-y) <= tolerance
	}
	return strings.TrimSpace(string(want)) == string(got)
}
