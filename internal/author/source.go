package author

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Source is what a module is built from.
type Source struct {
	Module   string // the file that is built
	Language string // as of a Template; "" if nothing beside the module builds it
	Main     string // the file that the compiler begins with, in the folder of the module
}

// kind is a language whose source is told by a file beside the module.
type kind struct {
	language string
	main     string   // a name, or the end of one behind the module's
	inputs   []string // ends of the files that count
}

// embedding is how sources have other files in what is built of them.
var embedding = regexp.MustCompile(`(?m)^//go:embed |\binclude(_str|_bytes)?!|@embedFile\(|\.incbin\b|^\s*#\s*(embed|include\s*"[^"]*\.([^ch"]|[ch][^"]))`)

var kinds = []kind{
	{"c", ".c", []string{".c", ".h"}},
	{"rust", ".rs", []string{".rs", ".toml", ".lock"}},
	{"assemblyscript", ".ts", []string{".ts"}},
	{"zig", ".zig", []string{".zig"}},
	{"rust", "Cargo.toml", []string{".rs", ".toml", ".lock"}},
	{"go", "main.go", []string{".go", "go.mod", "go.sum"}},
	{"go", "go.mod", []string{".go", "go.mod", "go.sum"}},
}

// Find looks for what a module is built from, beside it: NAME.c, NAME.rs, NAME.ts
// or NAME.zig for NAME.wasm, Cargo.toml, main.go or go.mod. A file that is no
// .wasm is built from nothing: it is its own source, or other people's.
func Find(module string) (Source, error) {
	s := Source{Module: module}
	stem, ok := strings.CutSuffix(filepath.Base(module), ".wasm")
	if !ok {
		return s, nil
	}
	for _, k := range kinds {
		name := k.main
		if name[0] == '.' {
			name = stem + name
		}
		_, err := os.Stat(filepath.Join(filepath.Dir(module), name))
		if err == nil {
			s.Language, s.Main = k.language, name
			return s, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return s, fmt.Errorf("look for the source of %s: %w", module, err)
		}
	}
	return s, nil
}

// Inputs are the files that count, relative to the folder of the module: those of
// the language, also in folders below, or all if one of them embeds others. What is
// hidden does not, as editors' locks are, nor folders of tools, nor modules.
func (s Source) Inputs() ([]string, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.language == s.Language })
	if i < 0 {
		return nil, nil
	}
	var files, others []string
	dir := filepath.Dir(s.Module)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		switch {
		case entry.IsDir():
			if path != dir && (name[0] == '.' || slices.Contains([]string{"node_modules", "target", "zig-cache", "vendor"}, name)) {
				return fs.SkipDir
			}
			return nil
		case name[0] == '.' || strings.HasSuffix(name, "_test.go") || filepath.Ext(name) == ".wasm":
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if slices.ContainsFunc(kinds[i].inputs, func(end string) bool { return strings.HasSuffix(name, end) }) {
			files = append(files, rel)
		} else {
			others = append(others, rel)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for the source of %s: %w", s.Module, err)
	}
	if len(others) > 0 && s.embeds(files) {
		files = append(files, others...)
		slices.Sort(files)
	}
	return files, nil
}

// embeds tells whether one of the files has others in it.
func (s Source) embeds(files []string) bool {
	return slices.ContainsFunc(files, func(name string) bool {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(s.Module), name))
		return err == nil && embedding.Match(text)
	})
}

// State is how a module stands to what lies beside it.
type State uint8

// What a module is.
const (
	Fresh   State = iota // it was built from that
	Stale                // it is missing, or was built from something else
	Foreign              // it does not say what it was built from, as other builders make them, and is older
)

// State tells whether the module is to be built. A foreign one is its owner's: it
// may come from somewhere else.
func (s Source) State() (State, error) {
	if s.Language == "" {
		return Fresh, nil
	}
	module, err := os.ReadFile(s.Module)
	if errors.Is(err, fs.ErrNotExist) {
		return Stale, nil
	}
	if err != nil {
		return Fresh, fmt.Errorf("read the module: %w", err)
	}
	if mark, ok := readMark(module); ok {
		if now, err := s.sum(); mark == now || err != nil {
			return Fresh, err
		}
		return Stale, nil
	}
	if newer, err := s.newer(); !newer || err != nil {
		return Fresh, err
	}
	return Foreign, nil
}

// sum is a hash of the names and contents of all inputs.
func (s Source) sum() (sum [sha256.Size]byte, err error) {
	files, err := s.Inputs()
	if err != nil {
		return sum, err
	}
	all := sha256.New()
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(s.Module), name))
		if err != nil {
			return sum, fmt.Errorf("read the source: %w", err)
		}
		fmt.Fprintf(all, "%s\x00%x\x00", filepath.ToSlash(name), sha256.Sum256(text))
	}
	return [sha256.Size]byte(all.Sum(nil)), nil
}

// newer tells whether an input was written after the module.
func (s Source) newer() (bool, error) {
	built, err := os.Stat(s.Module)
	if err != nil {
		return false, fmt.Errorf("read the module: %w", err)
	}
	files, err := s.Inputs()
	for _, name := range files {
		if at, err := os.Stat(filepath.Join(filepath.Dir(s.Module), name)); err == nil && at.ModTime().After(built.ModTime()) {
			return true, nil
		}
	}
	return false, err
}
