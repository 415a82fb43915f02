package tidy_test

import (
	"go/ast"
	"strings"
	"testing"
)

// TestPackagesSayWhatTheyAreFor asks for exactly one package comment each, so
// that there is one place to read and to keep true.
func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	docs, first := map[string][]string{}, map[string]string{}
	tr := source(t)
	for _, f := range tr.files {
		if f.test {
			continue // a folder of tests alone needs none
		}
		if first[f.dir] == "" {
			first[f.dir] = f.path
		}
		if f.Doc != nil {
			docs[f.dir] = append(docs[f.dir], f.path)
		}
	}
	for dir, file := range first {
		switch len(docs[dir]) {
		case 0:
			t.Errorf("%s:1: package in %s has no package comment: say in %s/doc.go what it is for and what it promises", file, dir, dir)
		case 1:
		default:
			t.Errorf("%s:1: package in %s has %d package comments (%s): keep one", file, dir, len(docs[dir]), strings.Join(docs[dir], ", "))
		}
	}
}

// TestTestsWaitForFacts refuses sleeping and skipping tests. A sleep is too
// short on a slow machine and too long on all others; a skip hides that
// nothing was tested.
func TestTestsWaitForFacts(t *testing.T) {
	refused := map[string]string{
		"time.Sleep": "poll with testbed.Eventually, or use testing/synctest",
		"t.Skip":     "make the test work, or fail with the command that installs what is missing",
		"t.Skipf":    "make the test work, or fail with the command that installs what is missing",
		"t.SkipNow":  "make the test work, or fail with the command that installs what is missing",
		"b.Skip":     "make the benchmark work",
		"b.Skipf":    "make the benchmark work",
		"f.Skip":     "return instead",
	}
	tr := source(t)
	for _, f := range tr.files {
		if !f.test {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			on, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			name := on.Name + "." + sel.Sel.Name
			if mend, bad := refused[name]; bad {
				t.Errorf("%s: %s in a test: %s", tr.at(n.Pos()), name, mend)
			}
			return true
		})
	}
}

const (
	longest  = 70 // lines of a function
	longMark = "//tidy:long "
)

// TestFunctionsStayShort lets a function be long only with a reason beside it.
func TestFunctionsStayShort(t *testing.T) {
	tr := source(t)
	for _, f := range tr.files {
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			lines := tr.fset.Position(fn.End()).Line - tr.fset.Position(fn.Pos()).Line + 1
			if lines > longest && !hasReason(fn) {
				t.Errorf("%s: %s has %d lines, at most %d: split it, or say why above it with %s<why>", tr.at(fn.Pos()), fn.Name.Name, lines, longest, longMark)
			}
		}
	}
}

func hasReason(fn *ast.FuncDecl) bool {
	if fn.Doc == nil {
		return false
	}
	for _, c := range fn.Doc.List {
		if why, ok := strings.CutPrefix(c.Text, longMark); ok && strings.TrimSpace(why) != "" {
			return true
		}
	}
	return false
}

// TestNothingIsLeftForLater refuses the words that promise work instead of
// doing it; what is not there is said in the README of its folder.
func TestNothingIsLeftForLater(t *testing.T) {
	words := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:", "HA" + "CK"}
	tr := source(t)
	for _, f := range tr.files {
		for _, group := range f.Comments {
			for _, c := range group.List {
				for _, w := range words {
					if strings.Contains(c.Text, w) {
						t.Errorf("%s: a comment says %s: do it, or state in the folder's README what is not done", tr.at(c.Pos()), w)
					}
				}
			}
		}
	}
}
