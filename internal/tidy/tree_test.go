package tidy_test

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
	"testing"
)

const (
	root   = "../.."
	module = "github.com/skerry-edge/skerry"
)

// goFile is one parsed source file of the module.
type goFile struct {
	*ast.File
	path string // relative to the root, with slashes
	dir  string // its folder; "." is the root
	test bool
}

// tree is all that the tests look at.
type tree struct {
	fset  *token.FileSet
	files []goFile
}

// at is "file:line", relative to the root.
func (t *tree) at(pos token.Pos) string {
	p := t.fset.Position(pos)
	return strings.TrimPrefix(filepath.ToSlash(p.Filename), root+"/") + ":" + strconv.Itoa(p.Line)
}

// source parses every Go file of this module, and of the one in internal/peers.
// Guests written in Go are modules of their own and left out.
func source(t *testing.T) *tree {
	t.Helper()
	tr := &tree{fset: token.NewFileSet()}
	walk(t, func(name string) {
		if path.Ext(name) != ".go" {
			return
		}
		f, err := parser.ParseFile(tr.fset, filepath.Join(root, name), nil, parser.ParseComments)
		if err != nil {
			t.Errorf("%s does not parse: %v", name, err)
			return
		}
		tr.files = append(tr.files, goFile{f, name, path.Dir(name), strings.HasSuffix(name, "_test.go")})
	})
	if len(tr.files) == 0 {
		t.Fatalf("no Go files under %s", root)
	}
	return tr
}

// walk calls visit with each file of the repository, relative to the root.
func walk(t *testing.T, visit func(name string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(p), root+"/")
		if d.IsDir() {
			if skipped(p, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		visit(name)
		return nil
	})
	if err != nil {
		t.Fatalf("walk the tree: %v", err)
	}
}

// skipped tells folders that are not ours to judge: what git hides, what is
// built, and modules inside the module but for those of internal.
func skipped(p, name string) bool {
	if p == root {
		return false
	}
	if slices.Contains([]string{".git", "bin", "node_modules", "target", "testdata"}, name) {
		return true
	}
	_, err := os.Stat(filepath.Join(p, "go.mod"))
	return err == nil && !strings.HasPrefix(filepath.ToSlash(p), root+"/internal/")
}
