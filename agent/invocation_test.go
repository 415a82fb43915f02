package agent_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// granted is an invocation that may do everything, with so many bytes of output.
func granted(output int64) *agent.Invocation {
	f := fn("app/f")
	f.Limits = agent.DefaultLimits
	f.Limits.Output = output
	f.Permissions = agent.Permissions{Publish: []string{"#"}, Invoke: []string{"central/ops", "local/g"}}
	inv := agent.NewInvocation(&f, newMemory(), agent.Outside{})
	inv.Begin(&agent.Event{}, "app/t", 1)
	return inv
}

// heap is the memory in use, bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestRefusedOutputTakesNoMemory has a function go on after its output is used up.
func TestRefusedOutputTakesNoMemory(t *testing.T) {
	big, n := make([]byte, 64<<10), 0
	for name, do := range map[string]func(*agent.Invocation) error{
		"set": func(inv *agent.Invocation) error { return inv.Set("k", big, 0) },
		"set if": func(inv *agent.Invocation) error {
			n++
			_, err := inv.CompareAndSet(fmt.Sprint(n), nil, big)
			return err
		},
		"result":    func(inv *agent.Invocation) error { return inv.SetResult(big) },
		"publish":   func(inv *agent.Invocation) error { return inv.Publish("t", big, 0, false) },
		"emit":      func(inv *agent.Invocation) error { return inv.Emit("g", big) },
		"follow-up": func(inv *agent.Invocation) error { return inv.Followup("ops", "", big) },
		"log":       func(inv *agent.Invocation) error { inv.Log(slog.LevelInfo, string(big)); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inv := granted(1 << 20)
			before := heap()
			var err error
			for range 1000 {
				err = do(inv)
			}
			if grown := heap() - before; grown > 6<<20 {
				t.Errorf("%d MiB are held for 1 MiB of output", grown>>20)
			}
			if name != "log" && !errors.Is(err, agent.ErrLimit) {
				t.Errorf("%v, want the limit", err)
			}
			runtime.KeepAlive(inv)
		})
	}
}

// TestAddBeyondTheOutput adds to one key until nothing more goes out.
func TestAddBeyondTheOutput(t *testing.T) {
	inv := granted(100)
	var err error
	n := 0
	for ; err == nil; n++ {
		_, err = inv.Add("n", 1)
	}
	if value, _, _ := inv.Get("n"); !errors.Is(err, agent.ErrLimit) || string(value) != fmt.Sprint(n-1) {
		t.Errorf("%v after %d, and the key is %s", err, n, value)
	}
}

// TestBigRunIsForgotten wants what one run took given back by those that follow.
func TestBigRunIsForgotten(t *testing.T) {
	inv := granted(16 << 20)
	before := heap()
	value := make([]byte, 64<<10)
	for i := range 200 {
		if err := inv.Set(fmt.Sprint(i), value, 0); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10_000 {
		if err := inv.Set(fmt.Sprintf("%050d", i), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		inv.Begin(&agent.Event{}, "app/t", 1)
	}
	if held := heap() - before; held > 512<<10 {
		t.Errorf("%d KiB are held by runs that decided nothing", held>>10)
	}
	runtime.KeepAlive(inv)
}

// TestLargeRunsThatFailMakeNoGarbage writes and lists much, and commits nothing.
func TestLargeRunsThatFailMakeNoGarbage(t *testing.T) {
	inv := granted(1 << 20)
	keys, value := make([]string, 4000), make([]byte, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%04d", i)
	}
	run := func() {
		inv.Begin(&agent.Event{}, "app/t", 1)
		for _, k := range keys {
			if err := inv.Set(k, value, 0); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := inv.Keys("k", 10); err != nil || !slices.Equal(got, keys[:10]) {
			t.Fatalf("%v, %v", got, err)
		}
	}
	run()
	run() // finds out how much memory it takes
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		run()
	}
	runtime.ReadMemStats(&after)
	if garbage := (after.TotalAlloc - before.TotalAlloc) / 10; garbage > 16<<10 {
		t.Errorf("%d bytes of garbage in each run of %d writes", garbage, len(keys))
	}
}

// TestSlicesHoldNothing is the same for a run whose slices are used again.
func TestSlicesHoldNothing(t *testing.T) {
	inv := granted(16 << 20)
	before := heap()
	for i := range 100 {
		if err := inv.Set(fmt.Sprint(i), make([]byte, 64<<10), 0); err != nil {
			t.Fatal(err)
		}
	}
	inv.Begin(&agent.Event{}, "app/t", 1)
	if held := heap() - before; held > 512<<10 {
		t.Errorf("%d KiB are held by the slices of a run that decided nothing", held>>10)
	}
	runtime.KeepAlive(inv)
}

// TestRefusedOutputIsNotCounted wants small effects after one that was too big.
func TestRefusedOutputIsNotCounted(t *testing.T) {
	inv := granted(1 << 20)
	if err := inv.SetResult(make([]byte, 2<<20)); !errors.Is(err, agent.ErrLimit) {
		t.Fatalf("%v, want the limit", err)
	}
	inv.Log(slog.LevelInfo, "too big")
	if err := errors.Join(inv.SetResult([]byte("small")), inv.Set("k", []byte("v"), 0), inv.Publish("t", nil, 0, false)); err != nil {
		t.Error(err)
	}
	if len(inv.Effects.Logs) != 1 || inv.Effects.Dropped != 0 {
		t.Errorf("logs %v, %d dropped", inv.Effects.Logs, inv.Effects.Dropped)
	}
}

func TestLimitsNameTheirKey(t *testing.T) {
	inv := granted(1000)
	for range agent.DefaultLimits.Outputs {
		if err := inv.Publish("t", nil, 0, false); err != nil {
			t.Fatal(err)
		}
	}
	for want, err := range map[string]error{
		"more than 64 publishes, follow-ups and emitted events in one run: limit reached; raise limits.outputs of the function": inv.Emit("g", nil),
		"at most 1000: limit reached; raise limits.output of the function":                                                      inv.SetResult(make([]byte, 1000)),
	} {
		if !errors.Is(err, agent.ErrLimit) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestInvocationAllocatesNothing is for the runs there are most of.
func TestInvocationAllocatesNothing(t *testing.T) {
	inv := granted(1 << 20)
	ev, value := &agent.Event{}, make([]byte, 100)
	keys := slices.Sorted(maps.Keys(numberedKeys(32)))
	if n := testing.AllocsPerRun(100, func() {
		inv.Begin(ev, "app/t", 1)
		for _, k := range keys {
			if err := inv.Set(k, value, 0); err != nil {
				t.Fatal(err)
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations per run", n)
	}
}

func numberedKeys(n int) map[string]bool {
	keys := map[string]bool{}
	for i := range n {
		keys[fmt.Sprintf("k%02d", i)] = true
	}
	return keys
}

// TestStateAsTheRunSeesIt compares what a run reads with a plain map, with few
// own writes and with many, again and again with one Invocation.
func TestStateAsTheRunSeesIt(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	store := newMemory()
	f := fn("app/f")
	f.Limits = agent.DefaultLimits
	inv := agent.NewInvocation(&f, store, agent.Outside{})
	for round := range 60 {
		inv.Begin(&agent.Event{}, "app/t", 1)
		want := map[string]string{}
		for k, w := range store.state {
			want[k[1]] = string(w.Value)
		}
		for range 1 + round*5 {
			key := fmt.Sprintf("%c/%d", 'a'+rune(random.IntN(2)), random.IntN(150))
			if random.IntN(3) == 0 {
				delete(want, key)
				if err := inv.Delete(key); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want[key] = fmt.Sprint(random.Uint32())
			if err := inv.Set(key, []byte(want[key]), time.Duration(random.IntN(2))*time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		compareState(t, inv, want, 1+random.IntN(100))
		if round%2 == 0 {
			if err := store.Commit(t.Context(), &agent.Frame{Writes: inv.Detach().Writes}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func compareState(t *testing.T, inv *agent.Invocation, want map[string]string, limit int) {
	t.Helper()
	for n := range 300 {
		key := fmt.Sprintf("%c/%d", 'a'+rune(n%2), n/2)
		value, ok, err := inv.Get(key)
		if text, there := want[key]; err != nil || ok != there || string(value) != text {
			t.Fatalf("%s is %q %t %v, want %q %t", key, value, ok, err, text, there)
		}
	}
	for _, prefix := range []string{"", "a/", "b/1", "c"} {
		var keys []string
		for _, k := range slices.Sorted(maps.Keys(want)) {
			if strings.HasPrefix(k, prefix) && len(keys) < limit {
				keys = append(keys, k)
			}
		}
		if got, err := inv.Keys(prefix, limit); err != nil || !slices.Equal(got, keys) {
			t.Fatalf("keys with %q, at most %d: %v %v, want %v", prefix, limit, got, err, keys)
		}
	}
}

// TestManyOwnWrites takes seconds where each write or listing looks at all others.
func TestManyOwnWrites(t *testing.T) {
	const n = 60_000
	inv := granted(16 << 20)
	began := time.Now()
	for i := range n {
		if err := inv.Set(fmt.Sprintf("%06d", n-i), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if keys, err := inv.Keys("", 1); err != nil || len(keys) != 1 || keys[0] != "000001" {
			t.Fatal(keys, err)
		}
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("%d writes and 5 lists took %v", n, took)
	}
}
