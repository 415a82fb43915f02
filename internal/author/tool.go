package author

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// MissingError says that a compiler is not there.
type MissingError struct {
	Source  string // the file that needs it
	Tool    string // "clang"
	Install string // what to type
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s needs %s, which is not on this machine: %s", e.Source, e.Tool, e.Install)
}

func (j *job) missing(tool, install string) error {
	return &MissingError{Source: filepath.Join(j.dir, j.Main), Tool: tool, Install: install}
}

// named is the program of an environment variable, as Makefiles know them (CLANG,
// RUSTC, CARGO, ASC, ZIG, GO); "" without.
func named(variable string) string { return os.Getenv(variable) }

// onPath lists the programs of these names on PATH, in its order.
func onPath(names ...string) []string {
	var found []string
	for _, name := range names {
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(path) {
				found = append(found, path)
			}
		}
	}
	return found
}

// inModules looks for a program of npm in the folder and in those above.
func inModules(dir, program string) string {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if path, err := exec.LookPath(filepath.Join(dir, "node_modules", program)); err == nil {
			return path
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

// first is the first of the programs that is good.
func first(programs []string, good func(path string) bool) string {
	for _, path := range programs {
		if path != "" && good(path) {
			return path
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// offline keeps toolchains from fetching other versions of themselves.
var offline = []string{"GOTOOLCHAIN=local", "RUSTUP_AUTO_INSTALL=0"}

// answer is what a program prints, without the end of the line; "" if it fails.
func answer(program string, args ...string) string {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), offline...)
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
