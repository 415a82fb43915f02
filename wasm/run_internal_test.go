package wasm

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestTurns lets a worker run for a while and rest for a while: turned is when
// others last had their turn.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fn := &agent.Function{Limits: agent.DefaultLimits}
		r := &run{}
		pass := func(d time.Duration) { <-time.After(d) }
		since := func() time.Duration { return now() - r.turned }
		begin := func() { r.begin(t.Context(), fn, startInvocation(fn), false) }
		begin()
		if since() != 0 {
			t.Errorf("the first run begins %v after a turn", since())
		}
		for range 2 { // runs of one slice each, that take long
			pass(turn / 2)
			r.ended = now()
			begin()
		}
		if since() != turn {
			t.Errorf("after two runs without rest the last turn was %v ago, want %v", since(), turn)
		}
		pass(1)
		r.check() // of a host function
		if since() != 0 {
			t.Errorf("a host function that took long leaves the last turn %v ago", since())
		}
		pass(turn)
		r.tick(-1)
		if since() != turn {
			t.Errorf("the slice gave a turn too early")
		}
		pass(1)
		r.tick(-1)
		if since() != 0 {
			t.Errorf("a slice leaves the last turn %v ago", since())
		}
		pass(turn)
		r.ended = now()
		pass(time.Hour)
		begin()
		if since() != 0 {
			t.Errorf("after an hour of rest the last turn was %v ago", since())
		}
	})
}

// TestCrowded: a turn is of use where all processors are taken, or something
// waits; while one is free it would only wake a thread.
func TestCrowded(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l := new(load)
	if !l.crowded() {
		t.Error("a guest on the only processor keeps it")
	}
	runtime.GOMAXPROCS(8)
	testbed.Eventually(t, 10*time.Second, "free processors are seen", func() error {
		if l.crowded() {
			return errors.New("all are taken")
		}
		return nil
	})
}

const slowly = rest + time.Microsecond

// slowState takes its time for every key.
type slowState struct{ noState }

func (slowState) Get(string, string) ([]byte, error) {
	<-time.After(slowly)
	return nil, nil
}

type oneModule []byte

func (m oneModule) Blob(agent.Digest) ([]byte, error) { return m, nil }

// TestShortRunsTakeTheirTime makes two runs of one host call each, where even
// those take long.
func TestShortRunsTakeTheirTime(t *testing.T) {
	bin, err := os.ReadFile("testdata/probe.wasm")
	if err != nil {
		t.Fatal(err)
	}
	event := &agent.Event{Data: make([]byte, 65)}
	event.Data[0] = 10 // kv_get (key, len, buf, cap)
	for i, arg := range []uint64{4096, 1, 16384, 8} {
		binary.LittleEndian.PutUint64(event.Data[8*(i+1):], arg)
	}
	event.Data[64] = 'k'
	synctest.Test(t, func(t *testing.T) {
		rt := NewRuntime(oneModule(bin), Options{Interpret: true})
		fn := agent.Function{Name: "probe", Limits: agent.DefaultLimits, KeepWarm: true}
		fn.Digest = agent.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(bin)))
		m, err := rt.Load(t.Context(), fn)
		if err != nil {
			t.Fatal(err)
		}
		inv := agent.NewInvocation(&fn, slowState{}, agent.Outside{})
		for range 2 {
			inv.Begin(event, "t", 1)
			if err := m.Invoke(t.Context(), inv); err != nil {
				t.Fatal(err)
			}
		}
		if ago := now() - m.(*module).run.turned; ago != 2*slowly {
			t.Errorf("two runs of %v without rest, and the last turn was %v ago", slowly, ago)
		}
		if err := rt.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
