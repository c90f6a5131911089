package authz

import (
	"maps"
	"slices"

	"github.com/qlik-chatops/bot/internal/spelling"
)

// didYouMean is ` Did you mean "x"?` for the word that is nearest to what was
// written, or empty when none is near.
func didYouMean(written string, words []string) string {
	if best := spelling.Nearest(written, words); best != "" {
		return " Did you mean " + quote(best) + "?"
	}
	return ""
}

func keysOf[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
