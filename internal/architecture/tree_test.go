package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// source is one Go file, as far as the rules look at it.
type source struct {
	path    string // from the module's root, with slashes
	dir     string // its package's directory
	pkg     string // its package's name
	test    bool
	doc     bool // has a package comment
	imports []string
	reads   []string // functions of os that read the environment
}

// parse reads one file. The text is taken from the disk where src is nil.
func parse(root, name string, src any) (source, error) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	s := source{
		path: name,
		dir:  path.Dir(name),
		pkg:  strings.TrimSuffix(file.Name.Name, "_test"),
		test: strings.HasSuffix(name, "_test.go"),
		doc:  file.Doc != nil && strings.TrimSpace(file.Doc.Text()) != "",
	}
	osName := ""
	for _, imp := range file.Imports {
		p, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, p)
		if p == "os" || p == "syscall" {
			osName = p
			if imp.Name != nil {
				osName = imp.Name.Name
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == osName && slices.Contains(onlyConfig, sel.Sel.Name) {
						s.reads = append(s.reads, sel.Sel.Name)
					}
				}
				return true
			})
		}
	}
	return s, nil
}

// tree reads every Go file of the module; other modules below it, test data and
// what the go command ignores are left out.
func tree(root string) ([]source, error) {
	var all []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p == root {
				return nil
			}
			if name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		s, err := parse(root, filepath.ToSlash(rel), nil)
		if err != nil {
			return err
		}
		all = append(all, s)
		return nil
	})
	return all, err
}
