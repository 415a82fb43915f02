package author

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/skerry-edge/skerry/examples"
	"github.com/skerry-edge/skerry/wasm/guest"
)

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Make writes a project into the folder dir, which is made, or is empty. It is
// called as the folder. Files are what was written, relative to dir.
func Make(dir string, t Template) (files []string, err error) {
	name, err := projectName(dir)
	if err != nil {
		return nil, err
	}
	if err := vacant(dir); err != nil {
		return nil, err
	}
	project, err := t.files(name)
	if err != nil {
		return nil, err
	}
	for file, text := range project {
		to := filepath.Join(dir, filepath.FromSlash(file))
		err := os.MkdirAll(filepath.Dir(to), 0o755)
		if err == nil {
			err = os.WriteFile(to, text, 0o644)
		}
		if err != nil {
			return nil, fmt.Errorf("write the project: %w", err)
		}
		files = append(files, file)
	}
	slices.Sort(files)
	return files, nil
}

// projectName is the name of the folder, which is that of the app.
func projectName(dir string) (string, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the folder: %w", err)
	}
	name := filepath.Base(full)
	if !nameForm.MatchString(name) {
		return "", fmt.Errorf("%.80q cannot be the name of an app: take 1 to 63 lower case letters, digits and hyphens, no hyphen at either end", name)
	}
	return name, nil
}

// vacant refuses what is there already.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.ENOTDIR) && isFile(dir):
		return fmt.Errorf("%s is there already, and no folder: take another name", dir)
	case err != nil:
		return fmt.Errorf("look into %s: %w", dir, err)
	case len(entries) > 0:
		return fmt.Errorf("%s is there already, and not empty: take another name", dir)
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// files are the contents of a project of this name, by their path.
func (t Template) files(name string) (map[string][]byte, error) {
	project := map[string][]byte{}
	err := fs.WalkDir(examples.Files, t.dir, func(from string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(from) == ".wasm" {
			return err
		}
		text, err := examples.Files.ReadFile(from)
		file := strings.TrimPrefix(from, t.dir+"/")
		project[t.rename(file, name)] = []byte(t.edit(file, string(text), name))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	switch t.Language {
	case "js", "rules":
		return project, nil
	case "go":
		project["go.mod"] = []byte("module " + goModule(name) + "\n\ngo 1.24\n")
	}
	project[".gitignore"] = []byte("*.wasm\nnode_modules/\ntarget/\nzig-cache/\n")
	for file, text := range sdkFiles(t.Language) {
		project[sdkFolder(t.Language)+"/"+file] = text
	}
	return project, nil
}

func goModule(name string) string { return "example.com/" + name }

// sdkFolder is where a project has the SDK of a language. In Go that is a package
// of the project, called as its folder.
func sdkFolder(language string) string {
	if language == "go" {
		return "skerry"
	}
	return "sdk"
}

// sdkFiles are the sources of the SDK of a language, by their path.
func sdkFiles(language string) map[string][]byte {
	files := map[string][]byte{}
	_ = fs.WalkDir(guest.Files, language, func(from string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(from, "_test.go") {
			return err
		}
		text, err := guest.Files.ReadFile(from)
		files[strings.TrimPrefix(from, language+"/")] = text
		return err
	}) // what is embedded can be read
	return files
}
