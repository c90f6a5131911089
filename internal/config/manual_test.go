package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

// The manual for operators is made from the comments in this package, so that it
// says what the code reads, all of it and nothing else.
func TestManualIsMadeFromTheConfig(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "configuration.md")
	want := manual(t)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/configuration.md is not what the comments say; `make golden` writes it anew (-want +got):\n%s", diff)
	}
}

func TestEveryVariableIsInTheManualOnce(t *testing.T) {
	described := map[string]int{}
	for _, section := range manualSections(t) {
		for _, e := range section.entries {
			described[e.name]++
		}
	}
	var read []string
	for name := range facts() {
		if base, isFile := strings.CutSuffix(name, suffixFile); isFile && facts()[base].secret {
			continue // stands beside its secret
		}
		read = append(read, name)
	}
	for _, name := range read {
		if described[name] != 1 {
			t.Errorf("%s is described %d times in the comments, want once", name, described[name])
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("%s is described and never read", name)
	}
}

func TestEverySecretHasAFile(t *testing.T) {
	for name, f := range facts() {
		if f.secret {
			if _, ok := facts()[name+suffixFile]; !ok {
				t.Errorf("%s cannot be given as a file", name)
			}
		}
	}
}

// fact is what the tags say of a variable.
type fact struct {
	must, secret bool
	fallback     string
}

// facts gives every variable that is read; <LABEL> stands for a tenant.
func facts() map[string]fact {
	all := map[string]fact{}
	for f := range reflect.TypeFor[variables]().Fields() {
		all[f.Tag.Get("envconfig")] = factOf(f)
	}
	i := 0
	for f := range reflect.TypeFor[tenantVariables]().Fields() {
		// The order is that of the fields; TestNamesOfTenantVariables proves it.
		all["QLIK_<LABEL>"+tenantSuffixes()[i]] = factOf(f)
		i++
	}
	return all
}

func factOf(f reflect.StructField) fact {
	return fact{
		must:     f.Tag.Get("must") == "yes",
		secret:   f.Type == reflect.TypeFor[Secret](),
		fallback: f.Tag.Get("default"),
	}
}

type manualEntry struct{ name, text string }

type manualSection struct {
	title, intro string
	entries      []manualEntry
}

var manualName = regexp.MustCompile(`^([A-Z][A-Z_<>]*): (.*)$`)

// manualSections takes the comments that open with a variable's name, from the
// structs in their order.
func manualSections(t *testing.T) []manualSection {
	t.Helper()
	structs := map[string]*ast.StructType{}
	docs := map[string]string{}
	for _, name := range []string{"config.go", "variables.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			spec, ok := g.Specs[0].(*ast.TypeSpec)
			if !ok {
				continue
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				structs[spec.Name.Name], docs[spec.Name.Name] = s, oneLine(g.Doc.Text())
			}
		}
	}
	entries := func(structName string) (out []manualEntry) {
		for _, field := range structs[structName].Fields.List {
			if m := manualName.FindStringSubmatch(oneLine(field.Doc.Text())); m != nil {
				out = append(out, manualEntry{m[1], m[2]})
			}
		}
		return out
	}
	// A struct's comment opens with its name; the manual has a title instead.
	intro := func(structName string) string {
		_, text, _ := strings.Cut(docs[structName], " is ")
		_, text, found := strings.Cut(text, ". ")
		if !found {
			return ""
		}
		return text
	}
	return []manualSection{
		{title: "Slack", entries: entries("Slack")},
		{title: "Tenants", entries: entries("Qlik")},
		{title: "Each tenant", intro: intro("Tenant"), entries: entries("Tenant")},
		{title: "The bot itself", entries: slices.Concat(entries("Config"), entries("variables"))},
	}
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func manual(t *testing.T) string {
	t.Helper()
	all := facts()
	var b strings.Builder
	b.WriteString(`<!-- Made by internal/config from the comments on its Config; write it anew with ` + "`make golden`" + `. -->

# Configuration

The bot is configured by environment variables alone. They are read once, when it
starts. Everything that is wrong is reported in one go, by the name of the
variable and never with its value; the bot then ends with exit code 2.

- Names are read only as written here. Any other variable that begins with
  ` + "`SLACK_` or `QLIK_`" + ` is an error, since it is most likely misspelt. Names with
  ` + "`_SERVICE_` or `_PORT`" + ` in them are left alone: Kubernetes sets such.
- A variable that is set but empty counts as not set, unless its line says otherwise.
- A secret can be given as a file instead: ` + "`NAME_FILE`" + ` holds the path, and line
  breaks at the end of the file do not count. Both at once is an error; a file that
  everybody may read is a warning in the log.
`)
	for _, section := range manualSections(t) {
		fmt.Fprintf(&b, "\n## %s\n\n", section.title)
		if section.intro != "" {
			fmt.Fprintf(&b, "%s\n\n", section.intro)
		}
		b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
		for _, e := range section.entries {
			f := all[e.name]
			name, fallback := "`"+e.name+"`", "empty"
			if f.secret {
				name += "<br>or `" + e.name + "_FILE`"
			}
			switch {
			case f.must:
				fallback = "**required**"
			case f.fallback != "":
				fallback = "`" + f.fallback + "`"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, fallback, strings.ReplaceAll(capital(e.text), "|", `\|`))
		}
	}
	return b.String()
}
