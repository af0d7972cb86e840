//go:build race

package e2e

// underRace: the race detector makes the store some ten times slower, and a log ten times as large shows it nothing
// new. Without the detector both logs are compared.
const underRace = true
