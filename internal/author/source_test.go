package author

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestInputsAreWhatAModuleIsBuiltFrom names, of files beside a module, those that
// count.
func TestInputsAreWhatAModuleIsBuiltFrom(t *testing.T) {
	for _, tt := range []struct {
		name, language, main string
		files                map[string]string
		want                 []string
	}{
		{
			"an editor's lock leads nowhere", "c", "hot.c",
			map[string]string{"hot.c": "", "hot.h": "", "README.md": "", "hot.wasm": "", ".hot.c": ""},
			[]string{"hot.c", "hot.h"},
		},
		{
			"Go embeds", "go", "main.go",
			map[string]string{"main.go": "//go:embed limits.csv\nvar l string", "limits.csv": "a", "main_test.go": "", "hot.wasm": ""},
			[]string{"limits.csv", "main.go"},
		},
		{
			"Go does not", "go", "main.go",
			map[string]string{"main.go": "package main", "limits.csv": "a"},
			[]string{"main.go"},
		},
		{
			"Rust includes", "rust", "hot.rs",
			map[string]string{"hot.rs": `const T: &str = include_str!("t.txt");`, "t.txt": "a"},
			[]string{"hot.rs", "t.txt"},
		},
		{
			"C includes what is no header", "c", "hot.c",
			map[string]string{"hot.c": "#include \"sdk/skerry.h\"\n#  include \"t.inc\"", "t.inc": "1"},
			[]string{"hot.c", "t.inc"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("somebody@somewhere.42", filepath.Join(dir, ".#"+tt.main)); err != nil {
				t.Fatal(err)
			}
			s := Source{Module: filepath.Join(dir, "hot.wasm"), Language: tt.language, Main: tt.main}
			got, err := s.Inputs()
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%q count, %v; want %q", got, err, tt.want)
			}
			if _, err := s.sum(); err != nil {
				t.Error(err)
			}
		})
	}
}
