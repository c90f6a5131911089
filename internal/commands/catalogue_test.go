package commands_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/qlik"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with testdata/<name>, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run the test with -update to write it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs; run with -update if that is meant (-want +got):\n%s", path, diff)
	}
}

// The golden catalogue makes every widening of power a line in review.
func TestTheCatalogueIsAsReviewed(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	tab := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		if _, err := fmt.Fprintln(tab, strings.Join(cells, "\t")); err != nil {
			t.Fatal(err)
		}
	}
	power := func(gives, takes bool) string {
		var p []string
		if gives {
			p = append(p, "gives")
		}
		if takes {
			p = append(p, "takes")
		}
		if len(p) == 0 {
			return "-"
		}
		return strings.Join(p, ",")
	}
	governed := func(un bool) string {
		if un {
			return "by no rule"
		}
		return "policy"
	}
	c := commands.New()
	row("COMMAND", "CLASS", "ADMIN", "GOVERNED", "TENANTS", "CALLS")
	for _, s := range c.Specs() {
		calls := "-"
		if len(s.Calls) > 0 {
			calls = strings.Join(s.Calls, " ")
		}
		row(s.Name, string(s.Class), power(s.MayGiveAdmin, s.MayTakeAdmin), governed(s.Ungoverned), s.Touches, calls)
	}
	for _, l := range c.Later() {
		row(l.Name, string(l.Class), power(l.MayGiveAdmin, l.MayTakeAdmin), governed(l.Ungoverned), "not built", "-")
	}
	if err := tab.Flush(); err != nil {
		t.Fatal(err)
	}
	golden(t, "catalogue.golden", b.String())
}

func TestEverySpecIsWhole(t *testing.T) {
	t.Parallel()
	var operations []string
	for _, o := range qlik.Operations() {
		operations = append(operations, o.Name)
	}
	c := commands.New()
	for _, s := range c.Specs() {
		if s.Summary == "" || strings.HasSuffix(s.Summary, ".") || s.Touches == "" {
			t.Errorf("%s: summary %q, touches %q", s.Name, s.Summary, s.Touches)
		}
		if !slices.Contains([]commands.Class{commands.ClassRead, commands.ClassPeople, commands.ClassChange}, s.Class) {
			t.Errorf("%s: class %q", s.Name, s.Class)
		}
		if !slices.IsSorted(s.Calls) {
			t.Errorf("%s: its calls are not sorted", s.Name)
		}
		for _, call := range s.Calls {
			if !slices.Contains(operations, call) {
				t.Errorf("%s: there is no operation %s", s.Name, call)
			}
		}
		for _, example := range s.Examples {
			d := defaults()
			d.Tenants = append(d.Tenants, "staging")
			inv, err := c.Parse(example, d)
			if err != nil || inv.Command != s.Name {
				t.Errorf("%s: its example %q: %v", s.Name, example, err)
			}
		}
	}
}

func TestAStoredChangeIsDecodedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	c := commands.New()
	if _, err := c.Decode("add-admin", json.RawMessage(`{"person":{"email":"ana@example.com"},"tenant":"prod","from":"home"}`)); err != nil {
		t.Error(err)
	}
	for name, args := range map[string]string{
		"add-admin":   `{"person":{"email":"ana@example.com"},"tenant":"prod","for":"4h"}`,
		"invite":      `not JSON`,
		"help":        `{}`,
		"user delete": `{}`,
		"nothing":     `{}`,
	} {
		if _, err := c.Decode(name, json.RawMessage(args)); err == nil {
			t.Errorf("%s %s was decoded", name, args)
		}
	}
}
