package main

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// seed changes every invented value at once.
const seed = "regulars demo 1"

// draw returns a number below n for a subject and a purpose. Each draw stands alone, so that a further customer or a
// further column leaves all other values as they are, and no generator's algorithm is depended on.
func draw(n int, subject, purpose string) int {
	sum := sha256.Sum256([]byte(strings.Join([]string{seed, purpose, subject}, "\x00")))
	return int(binary.BigEndian.Uint64(sum[:8]) % uint64(n))
}

// pick draws one of a list.
func pick[T any](list []T, subject, purpose string) T { return list[draw(len(list), subject, purpose)] }

// percent is true in so many of a hundred draws.
func percent(share int, subject, purpose string) bool { return draw(100, subject, purpose) < share }
