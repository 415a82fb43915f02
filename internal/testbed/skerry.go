package testbed

import (
	"fmt"
	"os"
	"os/exec"
)

// BuildSkerry builds the program of this tree at path, as devices have it: without
// cgo and the race detector.
func BuildSkerry(path string) error {
	cmd := exec.Command("go", "build", "-o", path, "github.com/skerry-edge/skerry/cmd/skerry")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build skerry: %w\n%s", err, out)
	}
	return nil
}
