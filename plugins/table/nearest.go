package main

import "strings"

// nearest finds the name a person most likely meant, "" when none is near.
func nearest(typed string, names []string) string {
	typed = strings.ToLower(typed)
	best, bestDistance := "", max(2, len([]rune(typed))/3)+1
	for _, name := range names {
		if d := editDistance([]rune(typed), []rune(strings.ToLower(name))); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// editDistance counts the letters to insert, delete or replace.
func editDistance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(diagonal+cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
