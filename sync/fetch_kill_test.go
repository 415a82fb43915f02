package fleetsync_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// fetchChild tells a child of TestKilledWhileFetching what to do: the folder of its
// store, the reference and the seed of the module.
const fetchChild = "SKERRY_FETCH_CHILD"

func TestMain(m *testing.M) {
	if todo := strings.Fields(os.Getenv(fetchChild)); len(todo) == 3 {
		if err := fetchAsChild(todo[0], todo[1], todo[2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func fetchAsChild(dir, ref, seed string) error {
	s, err := store.Open(dir, fetchStore())
	if err != nil {
		return err
	}
	reg, err := fleetsync.NewRegistry(ref, fleetsync.RegistryOptions{})
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return err
	}
	m := module(n, moduleBytes)
	fn := agent.Function{Name: "overheat/f", Digest: digestOf(m), Size: moduleBytes}
	p := fleetsync.NewPuller(reg, s, &runner{}, device(), fleetsync.PullerOptions{Log: slog.New(slog.DiscardHandler)})
	if err := p.Bring(context.Background(), []agent.Function{fn}, nil); err != nil {
		return err
	}
	return s.Close()
}

func fetchStore() store.Options {
	return store.Options{Quota: 4 << 20, Reserve: 1 << 20, SegmentSize: 256 << 10, Log: slog.New(slog.DiscardHandler)}
}

// TestKilledWhileFetching kills the device at random points of downloads (30 times,
// or SKERRY_KILLS): each costs at most a chunk again, what is under way is never
// seen, and in the end each module is whole.
func TestKilledWhileFetching(t *testing.T) {
	kills := 30
	if n, err := strconv.Atoi(os.Getenv("SKERRY_KILLS")); err == nil {
		kills = n
	}
	reg, l := startLine(t)
	dir := t.TempDir()
	seed := uint64(0)
	for killed := 0; killed < kills; {
		seed++
		m := module(seed, moduleBytes)
		pushBlob(t, reg.Addr(), m)
		l.set(func(a *answer) { a.pace = time.Millisecond })
		here := 0
		for !fetchAndKill(t, l, dir, seed, rand.Int64N(moduleBytes/2)) {
			here++
			lookInto(t, dir, m, false)
		}
		killed += here
		lookInto(t, dir, m, true)
		const again = 256<<10 + 8*pieceBytes // a chunk, and what was under way
		if got, most := l.bytes.Load(), int64(moduleBytes+moduleBytes/100+here*again); got > most {
			t.Errorf("%d bytes were served for a module of %d over %d kills, want at most %d", got, moduleBytes, here, most)
		}
	}
	t.Logf("%d modules came", seed)
}

// fetchAndKill runs a device until so many bytes more came; true if it was done before.
func fetchAndKill(t *testing.T, l *line, dir string, seed uint64, more int64) bool {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fetchChild+"="+dir+" "+l.ref()+" "+strconv.FormatUint(seed, 10))
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	until := l.bytes.Load() + more
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	testbed.Eventually(t, 30*time.Second, "the device gets on", func() error {
		select {
		case err = <-ended:
			return nil
		default:
		}
		if l.bytes.Load() < until {
			return fmt.Errorf("%d bytes of %d came", l.bytes.Load(), until)
		}
		_ = cmd.Process.Kill() // it may have ended this moment
		err = <-ended
		return nil
	})
	if err != nil && !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the device ended with %v:\n%s", err, out.String())
	}
	return err == nil
}

// lookInto opens the store as a device does that starts again.
func lookInto(t *testing.T, dir string, m []byte, whole bool) {
	t.Helper()
	s, err := store.Open(dir, fetchStore())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	there := s.HasBlob(digestOf(m))
	if there || whole {
		if got, err := s.Blob(digestOf(m)); err != nil || !bytes.Equal(got, m) {
			t.Fatalf("a module that is there is not whole: %d bytes, %v", len(got), err)
		}
	}
	if begun, err := s.Unfinished(); err != nil || whole && len(begun) > 0 || len(begun) > 1 {
		t.Fatalf("unfinished: %v, %v", begun, err)
	}
	if n := s.Status().Gaps; n > 0 {
		t.Fatalf("%d gaps", n)
	}
}
