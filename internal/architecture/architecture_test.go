package architecture

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheTreeKeepsItsRules(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the module's root is not where it was: %v", err)
	}
	files, err := tree(root)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(files, func(s source) bool { return s.dir == "internal/architecture" }) {
		t.Fatal("the walk does not even find this package")
	}
	for _, complaint := range check(files) {
		t.Error(complaint)
	}
}

// check gives what breaks a rule, one line each, with the reason for the rule.
func check(files []source) []string {
	var out []string
	for _, s := range files {
		out = append(out, checkImports(s)...)
		out = append(out, checkLibraries(s)...)
		if !s.test && len(s.reads) > 0 && !within(s.dir, environment) {
			out = append(out, fmt.Sprintf("%s calls os.%s: the environment is read once, by %s", s.path, s.reads[0], environment))
		}
	}
	return append(out, checkPackages(files)...)
}

// within reports whether a package is a room or stands below it.
func within(dir, roomPath string) bool {
	return dir == roomPath || strings.HasPrefix(dir, roomPath+"/")
}

// roomOf finds the nearest line for a package.
func roomOf(dir string) (room, bool) {
	var best room
	for _, r := range rooms {
		if within(dir, r.path) && len(r.path) > len(best.path) {
			best = r
		}
	}
	return best, best.path != ""
}

func checkImports(s source) (out []string) {
	from, ok := roomOf(s.dir)
	if !ok {
		return []string{fmt.Sprintf("%s is in no room: give %s a line in internal/architecture, saying what it may import and why", s.path, s.dir)}
	}
	for _, imp := range s.imports {
		dir, ours := strings.CutPrefix(imp, module+"/")
		if !ours || within(dir, from.path) && ownRoom(dir, from) {
			continue
		}
		to, ok := roomOf(dir)
		switch {
		case !ok: // said of the imported package's own files
		case to.path == from.path, slices.Contains(from.may, anything), slices.Contains(from.may, to.path):
		case s.test && slices.Contains(fromAnywhere, from.path):
		case s.test && slices.Contains(inTests, to.path) && !slices.Contains(notEvenTests, from.path):
		case to.path == "cmd/bot", to.path == "internal/playground", strings.HasPrefix(to.path, "internal/emulator/"):
			out = append(out, fmt.Sprintf("%s imports %s, which is for tests, the playground and the program alone: %s", s.path, dir, from.why))
		default:
			out = append(out, fmt.Sprintf("%s imports %s: %s", s.path, dir, from.why))
		}
	}
	return out
}

func ownRoom(dir string, r room) bool {
	nearest, ok := roomOf(dir)
	return ok && nearest.path == r.path
}

func checkLibraries(s source) (out []string) {
	for _, imp := range s.imports {
		for _, k := range keepers {
			if !within(imp, k.library) {
				continue
			}
			under := func(p string) bool { return within(s.dir, p) }
			allowed := slices.ContainsFunc(k.in, under) && !slices.ContainsFunc(k.except, under)
			if s.test && k.tests {
				allowed = true
			}
			if !s.test && k.library == "testing" && strings.HasSuffix(s.pkg, "test") {
				allowed = true // a package that is a kit for tests, such as storetest
			}
			if !allowed {
				out = append(out, fmt.Sprintf("%s imports %s: %s", s.path, imp, k.why))
			}
		}
	}
	return out
}

func checkPackages(files []source) (out []string) {
	comments := map[string][]string{}
	for _, s := range files {
		if slices.Contains(noNames, s.pkg) || slices.Contains(noNames, path.Base(s.dir)) {
			out = append(out, fmt.Sprintf("%s: package %s says nothing about what is in it; name it after its job", s.path, s.pkg))
		}
		if s.test && s.doc {
			out = append(out, fmt.Sprintf("%s has a package comment, which readers of the documentation never see; move it to doc.go", s.path))
		}
		if s.test {
			continue
		}
		if _, ok := comments[s.dir]; !ok {
			comments[s.dir] = nil
		}
		if s.doc {
			comments[s.dir] = append(comments[s.dir], s.path)
		}
	}
	for dir, with := range comments {
		switch len(with) {
		case 0:
			out = append(out, fmt.Sprintf("%s has no package comment; say in doc.go what its job is and what it refuses", dir))
		case 1:
		default:
			slices.Sort(with)
			out = append(out, fmt.Sprintf("%s has %d package comments (%s); a reader needs one", dir, len(with), strings.Join(with, ", ")))
		}
	}
	slices.Sort(out)
	return out
}
