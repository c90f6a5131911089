package spelling_test

import (
	"testing"

	"github.com/qlik-chatops/bot/internal/spelling"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"add-admin", "remove-admin", "invite", "invites", "users"}
	for written, want := range map[string]string{
		"add-admn":  "add-admin",
		"ADD-ADMIN": "add-admin",
		"ivnite":    "invite",
		" invit ":   "invite",
		"user":      "users",
		"dance":     "",
		"":          "",
		"x":         "",
		"a word that is far too long to be a slip of the fingers": "",
	} {
		if got := spelling.Nearest(written, words); got != want {
			t.Errorf("for %q it guesses %q, want %q", written, got, want)
		}
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "abc", 3},
		{"abc", "abd", 1}, {"abc", "ac", 1}, {"ac", "abc", 1}, {"abcd", "acbd", 1}, {"kitten", "sitting", 3},
	} {
		if got := spelling.Edits(tc.a, tc.b); got != tc.want {
			t.Errorf("from %q to %q it is %d edits, want %d", tc.a, tc.b, got, tc.want)
		}
		if back := spelling.Edits(tc.b, tc.a); back != tc.want {
			t.Errorf("from %q to %q it is %d edits, want %d", tc.b, tc.a, back, tc.want)
		}
	}
}
