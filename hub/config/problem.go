package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a configuration file. Line and Column count from 1; both are 0 when the whole file is meant.
type Position struct {
	// File as a person would open it from where the program was started.
	File         string
	Line, Column int
}

// String returns "workspaces/romashka.yaml:12:5".
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one thing wrong with the configuration. It names keys, never the value of a secret, of an environment
// variable or of a file that was read (R12).
type Problem struct {
	Position
	// Path is the dotted path of the key at fault, e.g. connections.crm.every; empty for the whole file.
	Path string
	// Message says what is wrong.
	Message string
	// Suggestion says what to do; may be empty.
	Suggestion string
}

// String returns everything on one line: "workspaces/romashka.yaml:12:5: connections.crm.every: not a duration; write
// a number and a unit, e.g. 5m".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Position.String())
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	if p.Suggestion != "" {
		b.WriteString("; ")
		b.WriteString(p.Suggestion)
	}
	return b.String()
}

// Problems is everything wrong, by file, line and column.
type Problems []Problem

// Err returns the problems as one error, a line each, or nil when there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return errors.New(strings.Join(lines, "\n"))
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Message, b.Message),
		)
	})
}

// suggest names the candidate nearest to what was written, else all of them when they are few.
func suggest(written string, candidates []string) string {
	if near := nearest(written, candidates); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	if len(candidates) == 0 || len(candidates) > 20 {
		return ""
	}
	return "use one of " + strings.Join(candidates, ", ")
}

// nearest returns the candidate that differs from what was written by the fewest edits, at most one in three
// characters; empty when there is none.
func nearest(written string, candidates []string) string {
	best, distance := "", max(1, len([]rune(written))/3)+1
	for _, candidate := range candidates {
		if d := edits(written, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// edits counts the insertions, deletions, replacements and swaps of neighbours between two words (optimal string
// alignment).
func edits(a, b string) int {
	x, y := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			replace := last[j-1]
			if x[i-1] != y[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
