package uplink_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	realstore "github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/uplink"
)

const countInEnv = "SKERRY_TEST_COUNT_IN"

// TestAKillForgetsLittleOfALink kills a process that counts and looks at what
// is left of its count.
func TestAKillForgetsLittleOfALink(t *testing.T) {
	if dir := os.Getenv(countInEnv); dir != "" {
		countForEver(t, dir)
	}
	dir := t.TempDir()
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), countInEnv+"="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		told, lines := int64(0), bufio.NewScanner(out)
		for end := int64(0); lines.Scan(); {
			if told, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			if end == 0 {
				end = told + 300_000
			} else if told >= end {
				break
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // it said more before it died
			if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				told = n
			}
		}
		_ = cmd.Wait() // it was killed
		s := openStore(t, dir, realstore.Options{})
		m, err := uplink.NewMeter(uplink.LinkOptions{Name: "lte"}, s)
		if err != nil {
			t.Fatal(err)
		}
		if kept := m.Status().Sent; kept > told+1000 || kept < told-64<<10 {
			t.Errorf("round %d: %d bytes were counted, %d are left", round, told, kept)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// countForEver counts 1 kB every 4 ms and says how much it is in all.
func countForEver(t *testing.T, dir string) {
	s := openStore(t, dir, realstore.Options{})
	m, err := uplink.NewMeter(uplink.LinkOptions{Name: "lte"}, s)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Run(t.Context()) }()
	go func() { _ = m.Run(t.Context()) }()
	for range time.Tick(4 * time.Millisecond) {
		m.Count(1000, 0)
		fmt.Println(m.Status().Sent)
	}
}
