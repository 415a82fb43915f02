package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

const crashDir = "SKERRY_STORE_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		commitForEver(dir)
	}
	os.Exit(m.Run())
}

// commitForEver is the child of TestKill: it prints the sequence and the
// number of each record once it is acknowledged, until it is killed. Every
// third one is done again with the next frame of its producer.
func commitForEver(dir string) {
	s, err := store.Open(dir, quiet(store.Options{SegmentSize: 64 << 10, Quota: 32 << 20, Checkpoint: 5 * time.Millisecond}))
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	go s.Run(context.Background())
	var out sync.Mutex
	tell := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf(format, args...)
	}
	for p := range 4 {
		go func() {
			var done []uint64
			for i := 0; ; i++ {
				f := body(fmt.Sprintf("%d/%d %s", p, i, strings.Repeat("x", 300)))
				f.Done = done
				f.Writes = []agent.Write{write(fmt.Sprint("p", p), fmt.Sprint(i))}
				if err := s.Commit(context.Background(), &f); err != nil {
					tell("commit: %v\n", err)
					os.Exit(1)
				}
				for _, seq := range done {
					tell("done %d\n", seq)
				}
				done = nil
				if i%3 == 0 {
					done = []uint64{f.Add[0].Seq}
				}
				tell("add %d %d/%d\n", f.Add[0].Seq, p, i)
			}
		}()
	}
	select {}
}

// killOnce runs the child for a while and returns what it acknowledged.
func killOnce(t *testing.T, dir string, lines int) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []string
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if acked = append(acked, sc.Text()); len(acked) == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("child ended with %v:\n%s", err, strings.Join(acked[max(0, len(acked)-3):], "\n"))
	}
	return acked
}

func TestKill(t *testing.T) {
	for round := range 20 {
		dir := t.TempDir()
		want, gone, state := map[uint64]string{}, map[uint64]bool{}, map[string]int{}
		for _, line := range killOnce(t, dir, 50+rand.IntN(1500)) {
			f := strings.Fields(line)
			seq, err := strconv.ParseUint(f[1], 10, 64)
			switch {
			case err != nil:
				continue // cut short by the kill
			case f[0] == "done":
				gone[seq] = true
			case len(f) == 3:
				want[seq] = f[2]
				p, i, _ := strings.Cut(f[2], "/")
				state[p], _ = strconv.Atoi(i)
			}
		}
		checkKilled(t, dir, want, gone, state)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

func checkKilled(t *testing.T, dir string, want map[uint64]string, gone map[uint64]bool, state map[string]int) {
	t.Helper()
	s := open(t, dir, store.Options{})
	defer closed(t, s)
	if n := s.Status().Gaps; n != 0 {
		t.Errorf("%d gaps", n)
	}
	for seq, name := range want {
		rec, err := s.Record(seq)
		_, i, _ := strings.Cut(name, "/")
		n, _ := strconv.Atoi(i)
		switch {
		case gone[seq] && err == nil:
			t.Errorf("record %d is back", seq)
		case n%3 == 0: // may have been done without having been told
		case err != nil || !strings.HasPrefix(string(rec.Event.Data), name+" "):
			t.Errorf("acknowledged record %d: %.10s, %v; want %s", seq, rec.Event.Data, err, name)
		}
	}
	for p, last := range state {
		if n, err := strconv.Atoi(get(t, s, "p"+p)); err != nil || n < last {
			t.Errorf("state of %s is %d, %v; %d was acknowledged", p, n, err, last)
		}
	}
}
