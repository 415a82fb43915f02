package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// published is where the documents of the tree are read that are not in an archive.
const published = "https://github.com/skerry-edge/skerry/blob/main/"

var relativeLink = regexp.MustCompile(`\]\(([^):#][^):]*)\)`)

// linked is a document of the tree whose links to its neighbours lead to where they are published.
func linked(from string, text []byte) []byte {
	return relativeLink.ReplaceAllFunc(text, func(link []byte) []byte {
		to := string(relativeLink.FindSubmatch(link)[1])
		return []byte("](" + published + path.Join(path.Dir(from), to) + ")")
	})
}

// parts is what belongs to the program on every platform.
type parts struct {
	completion map[string][]byte // by shell
	man        []file            // man/skerry.1 …
}

// shells are those whose completion skerry makes.
var shells = []string{"bash", "zsh", "fish"}

// makeParts has the program of this machine write its completions and man pages.
func (r *release) makeParts() error {
	program := filepath.Join(r.work, "skerry")
	if err := r.build(platform{os: runtime.GOOS, arch: runtime.GOARCH}, program); err != nil {
		return err
	}
	r.parts.completion = map[string][]byte{}
	for _, shell := range shells {
		text, err := output(program, "completion", shell)
		if err != nil {
			return err
		}
		r.parts.completion[shell] = []byte(text)
	}
	dir := filepath.Join(r.work, "man")
	if _, err := output(program, "man", "--dir", dir); err != nil {
		return err
	}
	pages, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, p := range pages {
		f, err := readFile(filepath.Join(dir, p.Name()), "man/"+p.Name())
		if err != nil {
			return err
		}
		r.parts.man = append(r.parts.man, f)
	}
	if len(r.parts.man) == 0 {
		return fmt.Errorf("%s wrote no man pages", program)
	}
	return nil
}

// archiveFiles are the files of an archive: what a person needs who has no package manager.
func (r *release) archiveFiles(program string, modules []module) ([]file, error) {
	notices, err := r.notices(modules)
	if err != nil {
		return nil, err
	}
	files := append([]file{{"THIRD-PARTY.txt", notices, 0o644}}, r.parts.man...)
	for shell, text := range r.parts.completion {
		files = append(files, file{"completion/skerry." + shell, text, 0o644})
	}
	for from, name := range map[string]string{
		program: "skerry", "LICENSE": "LICENSE", "README.md": "README.md", "docs/install.md": "INSTALL.md",
		unitFile: "skerry.service", configFile: "skerry.yaml",
	} {
		f, err := readFile(from, name)
		if err != nil {
			return nil, err
		}
		switch {
		case name == "skerry":
			f.mode = 0o755
		case strings.HasSuffix(from, ".md"):
			f.data = linked(from, f.data)
		}
		files = append(files, f)
	}
	return files, nil
}
