// Package spelling guesses what somebody meant to write, for "did you mean".
//
// Its job is to find the nearest of the words that would have been right. It
// refuses to guess when none is near: a wrong hint sends people further astray
// than none. Nothing is ever done on the strength of a guess.
package spelling

import "strings"

// longest is the length in bytes beyond which nothing is a slip of the fingers.
const longest = 40

// Nearest returns the first of the words with the fewest edits, or "" when even
// that needs more than a third of its letters edited. Case is no edit.
func Nearest(written string, words []string) string {
	written = strings.ToLower(strings.TrimSpace(written))
	if written == "" || len(written) > longest {
		return ""
	}
	best, fewest := "", longest
	for _, w := range words {
		if len(w) > longest {
			continue
		}
		if n := Edits(written, strings.ToLower(w)); n < fewest && n <= max(1, len(w)/3) {
			best, fewest = w, n
		}
	}
	return best
}

// Edits counts the letters (bytes) to insert, drop, replace or swap with their
// neighbour to turn a into b: the optimal string alignment distance.
func Edits(a, b string) int {
	before := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
