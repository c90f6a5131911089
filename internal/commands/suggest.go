package commands

import "strings"

// nearest returns the first of the words with the fewest edits, or "" when
// even that needs more than a third of its letters edited. Case is no edit.
func nearest(written string, words []string) string {
	const longest = 40 // beyond this nothing is a slip of the fingers
	written = strings.ToLower(strings.TrimSpace(written))
	if written == "" || len(written) > longest {
		return ""
	}
	best, fewest := "", longest
	for _, w := range words {
		if len(w) > longest {
			continue
		}
		if n := edits(written, strings.ToLower(w)); n < fewest && n <= max(1, len(w)/3) {
			best, fewest = w, n
		}
	}
	return best
}

// edits counts the letters to insert, drop, replace or swap with their
// neighbour to turn a into b.
func edits(a, b string) int {
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
