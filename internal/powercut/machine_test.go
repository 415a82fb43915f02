package powercut

import (
	"os/exec"
	"strings"
	"testing"
)

// A machine that was told to switch itself off may be gone before it is killed.
func TestAMachineThatHasEndedCanBeKilled(t *testing.T) {
	m := &Machine{cmd: exec.Command("true"), done: make(chan struct{})}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.read(strings.NewReader(""))
	if err := m.Kill(); err != nil {
		t.Error(err)
	}
}
