package author

import (
	"path"
	"regexp"
	"strings"
)

// rename is the name of a file of the template in a project.
func (t Template) rename(file, name string) string {
	dir, base := path.Split(file)
	for _, end := range []string{"_test.yaml", path.Ext(base)} {
		if base == t.app+end {
			return dir + name + end
		}
	}
	return file
}

// Where a template of this repository finds the SDK.
var (
	sdkInTree  = regexp.MustCompile(`(?:\.\./)+wasm/guest/[a-z]+`)
	linkInTree = regexp.MustCompile(`\[([^\]]*)\]\(\.\.?/[^)]*\)`)
)

const goInTree = `"github.com/skerry-edge/skerry/wasm/guest/go"`

// edit gives a file of the template the name of the project. In code nothing is
// called as the app, so there only the SDK is found elsewhere.
func (t Template) edit(file, text, name string) string {
	switch ext := path.Ext(file); {
	case file == "app.yaml":
		return aligned(text, t.renamed(text, name, namesInApp))
	case ext == ".yaml":
		return aligned(text, t.renamed(text, name, namesInTest))
	case ext == ".md":
		text = linkInTree.ReplaceAllString(text, "$1") // they lead out of the project
		text = strings.ReplaceAll(text, "examples/"+t.Name+"/", "")
		return t.renamed(text, name, namesInText)
	case ext == ".go":
		return strings.ReplaceAll(text, goInTree, `"`+goModule(name)+`/skerry"`)
	}
	return sdkInTree.ReplaceAllString(text, "./sdk")
}

// What stands before and behind a name of the template that is another one in a
// project. A topic, or a word in a sentence, is none.
var (
	namesInApp = [][2]string{
		{`\b(?:name|function): `, `[\s,}]`},
		{`\n {2}`, `:\s`}, // a function
		{`[ ./]`, `\.(?:wasm|c|rs|ts|zig|js)\b`},
		{`\blocal/`, `[\s,}\]"]`},
	}
	namesInTest = [][2]string{
		{`\b(?:state|after): *\{`, `:`},
		{`\n +`, `:(?: *\{| *\n)`}, // over several lines
	}
	namesInText = [][2]string{
		{`(?:^|\n)# `, `\n`},
		{"[ `./]", `(?:_test\.yaml|\.(?:wasm|c|rs|ts|zig|js)\b)`},
	}
)

func (t Template) renamed(text, name string, where [][2]string) string {
	for _, w := range where {
		at := regexp.MustCompile(`(` + w[0] + `)` + regexp.QuoteMeta(t.app) + `(` + w[1] + `)`)
		text = at.ReplaceAllString(text, "${1}"+name+"${2}")
	}
	return text
}

var comment = regexp.MustCompile(`^(.*?\S) +(# .*)$`)

// aligned moves the comments behind the lines of text: those that stood below each
// other in was do so again, at the place where they stood if there is room.
func aligned(was, text string) string {
	before, lines := strings.Split(was, "\n"), strings.Split(text, "\n")
	columns := map[int]int{} // where comments stand now, by where they stood
	for i := range lines {
		if b, l := comment.FindStringSubmatch(before[i]), comment.FindStringSubmatch(lines[i]); b != nil && l != nil {
			at := len(b[0]) - len(b[2])
			columns[at] = max(columns[at], at, len(l[1])+1)
		}
	}
	for i := range lines {
		if b, l := comment.FindStringSubmatch(before[i]), comment.FindStringSubmatch(lines[i]); b != nil && l != nil {
			lines[i] = l[1] + strings.Repeat(" ", columns[len(b[0])-len(b[2])]-len(l[1])) + l[2]
		}
	}
	return strings.Join(lines, "\n")
}
