package author

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestAnInterruptedCompilerIsGone, and what it started with it. What it leaves lies where
// the build tidies up: go leaves a folder of hundreds of megabytes.
func TestAnInterruptedCompilerIsGone(t *testing.T) {
	dir := t.TempDir()
	const script = "echo > $TMPDIR/rubbish; sleep 1000 & echo $! > child; mv child pid; wait"
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	j := &job{dir: dir, tmp: t.TempDir(), stderr: io.Discard}
	go func() { ended <- j.run(ctx, nil, "sh", "-c", script) }()
	pid := 0
	testbed.Eventually(t, 10*time.Second, "the compiler runs", func() error {
		text, err := os.ReadFile(filepath.Join(dir, "pid"))
		if err != nil {
			return err
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err
	})
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(j.tmp, "rubbish")); err != nil {
		t.Error(err)
	}
	testbed.Eventually(t, 10*time.Second, "what it started ends", func() error {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(text), ") Z ") { // nobody may be there to wait for it
			return nil
		}
		return errors.New("it runs")
	})
	_ = syscall.Kill(pid, syscall.SIGKILL) // if it does
}
