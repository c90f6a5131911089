package authz_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestThePolicyGuideTellsTheTruth loads every example of docs/policy.md: what
// is marked yaml must load, and what is marked "yaml refused" must be refused
// with exactly the text block that follows it.
func TestThePolicyGuideTellsTheTruth(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(guide), "\n```")
	loaded, refused := 0, 0
	for i := 1; i+1 < len(blocks); i += 2 { // odd ones are inside a fence
		kind, body, _ := strings.Cut(blocks[i], "\n")
		switch kind {
		case "yaml":
			loaded++
			load(t, body)
		case "yaml refused":
			refused++
			if i+2 >= len(blocks) {
				t.Fatal("the last refused example has no text block")
			}
			_, want, _ := strings.Cut(blocks[i+2], "\n")
			if diff := cmp.Diff(want, problems(t, body).Error()); diff != "" {
				t.Errorf("%s\n%s", body, diff)
			}
		case "text":
		default:
			t.Errorf("the guide has a block of an unknown kind: %q", kind)
		}
	}
	if loaded < 4 || refused < 2 {
		t.Errorf("found %d examples that load and %d that are refused; the guide has more", loaded, refused)
	}
}
