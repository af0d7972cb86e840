// Package property runs a test's claim over many random cases. A case is made of nothing but its seed, so a failure
// names the seed and can be run again alone.
package property

import (
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// Environment variables that say which cases are run.
const (
	// CasesVar is the number of cases of each property; `make soak` sets 100000.
	CasesVar = "REGULARS_PROPERTY_CASES"
	// SeedVar runs the one case of that seed.
	SeedVar = "REGULARS_PROPERTY_SEED"
)

// DefaultCases is how many cases run when nothing else is said.
const DefaultCases = 1000

// Draw runs the claim for cases that are drawn piece by piece, so that a failing one is made as small as it can be. It
// prints its own way to run that case again.
func Draw(t *testing.T, claim func(*rapid.T)) {
	t.Helper()
	if err := flag.Set("rapid.checks", strconv.Itoa(cases(t))); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, claim)
}

func cases(t *testing.T) int {
	t.Helper()
	if n, set := number(t, CasesVar); set {
		return n
	}
	return DefaultCases
}

// Check runs the claim for every case. It stops at the first that fails.
func Check(t *testing.T, claim func(t *testing.T, random *rand.Rand)) {
	t.Helper()
	if seed, set := number(t, SeedVar); set {
		run(t, uint64(seed), claim)
		return
	}
	for seed := range cases(t) {
		run(t, uint64(seed), claim)
		if t.Failed() {
			return
		}
	}
}

func run(t *testing.T, seed uint64, claim func(t *testing.T, random *rand.Rand)) {
	t.Helper()
	finished := false
	defer func() {
		if t.Failed() || !finished {
			t.Logf("the failing case: %s=%d", SeedVar, seed)
		}
	}()
	claim(t, rand.New(rand.NewPCG(seed, 0x5eed)))
	finished = true
}

func number(t *testing.T, variable string) (int, bool) {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s must be a whole number, not %q", variable, text)
	}
	return n, true
}
