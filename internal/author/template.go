package author

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/examples"
)

// Template is what a project can begin with.
type Template struct {
	Name     string // as after -t
	Language string // "go", "rust", "c", "assemblyscript", "zig", "js", or "rules" where there is no code
	About    string // a line
	dir      string // in examples.Files
	app      string // the name in its app.yaml
}

// startFolder has a template for each language, named as that.
const startFolder = "start"

// languages is the order in which templates are listed.
var languages = []string{"go", "rust", "c", "assemblyscript", "zig", "js", "rules"}

// Templates lists those of the languages, and then the other examples.
func Templates() []Template {
	var all []Template
	for _, pattern := range []string{startFolder + "/*/app.yaml", "*/app.yaml"} {
		files, _ := fs.Glob(examples.Files, pattern) // the pattern is right
		var some []Template
		for _, file := range files {
			some = append(some, describe(path.Dir(file)))
		}
		slices.SortStableFunc(some, func(a, b Template) int {
			if pattern[0] == '*' {
				return 0 // by name, as they come
			}
			return cmp.Compare(slices.Index(languages, a.Name), slices.Index(languages, b.Name))
		})
		all = append(all, some...)
	}
	return all
}

var (
	appName  = regexp.MustCompile(`\bname: ([a-z0-9-]+)`)
	appAbout = regexp.MustCompile(`\bdescription: ("[^"]*"|[^}\n]+)`)
)

func describe(dir string) Template {
	t := Template{Name: path.Base(dir), dir: dir, Language: "rules"}
	app, _ := examples.Files.ReadFile(dir + "/app.yaml") // it was listed
	if m := appName.FindSubmatch(app); m != nil {
		t.app = string(m[1])
	}
	if m := appAbout.FindSubmatch(app); m != nil {
		t.About = strings.Trim(string(m[1]), `" `)
	}
	for _, l := range []struct{ language, pattern string }{
		{"go", "*.go"}, {"rust", "*.rs"}, {"rust", "Cargo.toml"}, {"c", "*.c"}, {"assemblyscript", "*.ts"}, {"zig", "*.zig"}, {"js", "*.js"},
	} {
		if found, _ := fs.Glob(examples.Files, dir+"/"+l.pattern); len(found) > 0 {
			t.Language = l.language
			break
		}
	}
	return t
}

// FindTemplate is the template of a name.
func FindTemplate(name string) (Template, error) {
	all := Templates()
	i := slices.IndexFunc(all, func(t Template) bool { return t.Name == name })
	if i >= 0 {
		return all[i], nil
	}
	var names []string
	for _, t := range all {
		names = append(names, t.Name)
	}
	return Template{}, fmt.Errorf("there is no template %.40q: take one of %s", name, strings.Join(names, ", "))
}
