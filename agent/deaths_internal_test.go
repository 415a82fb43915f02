package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDeathIsCountedOnce also if the agent dies again before it could forget what it
// counted, and those that nobody asks for are bounded.
func TestDeathIsCountedOnce(t *testing.T) {
	mem := make([]byte, 8*placeSize)
	store := newModelDisk(nil)
	a := New(store, nil, nil, Options{Underway: mem})
	a.underway.renew(a.opts.Log)
	fn := &function{Function: Function{Name: "app/f", Digest: "sha256:0123456789abcdef"}, agent: a}
	p := a.underway.take(fn)
	key := deathKey{"app/f", "0123456789ab", "app/t", "e1"}
	p.begin(&Event{ID: "e1", Origin: Origin{Slot: "plant/17", Hash: 7}}, "app/t")
	left := string(mem)
	for range 2 {
		again := New(store, nil, nil, Options{Underway: []byte(left)})
		if err := again.deaths.load(context.Background(), again); err != nil {
			t.Fatal(err)
		}
		if n := again.deaths.of(key); n != 1 {
			t.Errorf("%d deaths, want 1", n)
		}
		if id := again.deaths.idOf(Origin{Slot: "plant/17", Hash: 7}); id != "e1" {
			t.Errorf("redelivered, its id is %q, want e1", id)
		}
		if _, runs := again.underway.past(a.opts.Log); len(runs) > 0 {
			t.Errorf("still under way: %+v", runs)
		}
	}
	for i := range maxKnownDeaths {
		next := New(store, nil, nil, Options{Underway: []byte(left)})
		next.underway.renew(next.opts.Log)
		p := next.underway.take(fn)
		p.begin(&Event{ID: fmt.Sprint("lost-", i)}, "")
		if err := next.deaths.load(context.Background(), next); err != nil {
			t.Fatal(err)
		}
		if n := len(next.deaths.by); n > maxKnownDeaths {
			t.Fatalf("%d are known", n)
		}
		a = next
	}
	if a.deaths.of(key) != 0 {
		t.Error("the oldest of too many is still known")
	}
}

// TestPlacesAreBounded lets workers without a place, and names without room, pass.
func TestPlacesAreBounded(t *testing.T) {
	a := New(newModelDisk(nil), nil, nil, Options{Underway: make([]byte, 2*placeSize)})
	a.underway.renew(a.opts.Log)
	fn := &function{Function: Function{Name: "app/f"}, agent: a}
	p, none := a.underway.take(fn), a.underway.take(fn)
	none.begin(&Event{ID: "e"}, "t")
	none.end()
	p.begin(&Event{ID: strings.Repeat("x", placeSize)}, "t")
	if _, runs := a.underway.past(a.opts.Log); len(runs) > 0 {
		t.Errorf("noted: %+v", runs)
	}
	p.end()
	a.underway.give(&p)
	a.underway.give(&none)
	if p = a.underway.take(fn); p.index != 1 {
		t.Errorf("place %d, want 1", p.index)
	}
}

// TestFaultIsNoDeath has the pages go that a worker notes its runs in, as on a file
// system that has no room for what was there before: a write to them would end the process.
func TestFaultIsNoDeath(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "underway"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(2 * placeSize); err != nil {
		t.Fatal(err)
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, 2*placeSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(mem)
	for name, fault := range map[string]func(*underway, *place, *function){
		"renew": func(u *underway, _ *place, fn *function) { u.renew(fn.agent.opts.Log) },
		"take":  func(u *underway, p *place, fn *function) { u.give(p); *p = u.take(fn) },
		"begin": func(_ *underway, p *place, _ *function) { p.begin(&Event{ID: "e"}, "t") },
		"end":   func(_ *underway, p *place, _ *function) { p.end() },
	} {
		t.Run(name, func(t *testing.T) {
			if err := f.Truncate(2 * placeSize); err != nil {
				t.Fatal(err)
			}
			a := New(newModelDisk(nil), nil, nil, Options{Underway: mem})
			fn := &function{Function: Function{Name: "app/f"}, agent: a}
			p := a.underway.take(fn)
			p.begin(&Event{ID: "e"}, "t")
			if err := f.Truncate(0); err != nil {
				t.Fatal(err)
			}
			fault(a.underway, &p, fn)
			if name != "renew" && p.mem != nil {
				t.Error("it is written to again")
			}
			p.begin(&Event{ID: "e2"}, "t")
			p.end()
			a.underway.give(&p)
		})
	}
}

func FuzzUnderway(f *testing.F) {
	a := New(newModelDisk(nil), nil, nil, Options{Underway: make([]byte, 3*placeSize)})
	a.underway.renew(a.opts.Log)
	p := a.underway.take(&function{Function: Function{Name: "app/f"}, agent: a})
	p.begin(&Event{ID: "e", Origin: Origin{Slot: "plant/17"}}, "app/t")
	f.Add(a.underway.mem)
	f.Fuzz(func(t *testing.T, mem []byte) {
		a := New(newModelDisk(nil), nil, nil, Options{Underway: mem})
		if err := a.deaths.load(context.Background(), a); err != nil {
			t.Fatal(err)
		}
		if _, runs := a.underway.past(a.opts.Log); len(runs) > 0 {
			t.Errorf("not forgotten: %+v", runs)
		}
	})
}

// BenchmarkHandle is a worker's own cost for an event whose run decides nothing, with
// the memory in which it notes that it runs, and without.
func BenchmarkHandle(b *testing.B) {
	for name, size := range map[string]int{"without": 0, "underway": 4 * placeSize} {
		b.Run(name, func(b *testing.B) {
			a := New(newModelDisk(nil), nil, nil, Options{Underway: make([]byte, size), Log: slog.New(slog.DiscardHandler)})
			a.underway.renew(a.opts.Log)
			spec := Function{Name: "filter/threshold", Digest: "sha256:0123456789abcdef", Limits: DefaultLimits}
			fn := &function{Function: spec, agent: a, stats: &functionStats{}, inbox: &inboxUse{}}
			a.openSpaces(fn)
			w := newWorker(fn, nothing{})
			w.place = a.underway.take(fn)
			tr := &compiled{Trigger: Trigger{Name: "filter/sensors", Function: spec.Name}}
			ev := &Event{ID: "gw7/k3jq2a/00001/00000001", Subject: "s/1", Data: []byte("21.5"), Origin: Origin{Slot: "plant/17", Hash: 7}}
			t := &task{ev: ev, trigger: tr, key: "s/1"}
			b.ReportAllocs()
			for b.Loop() {
				w.handle(context.Background(), t)
			}
		})
	}
}

type nothing struct{}

func (nothing) Invoke(context.Context, *Invocation) error { return nil }
func (nothing) Close(context.Context) error               { return nil }

// BenchmarkPlace is what noting a run costs, from its begin to its end.
func BenchmarkPlace(b *testing.B) {
	a := New(newModelDisk(nil), nil, nil, Options{Underway: make([]byte, 2*placeSize)})
	p := a.underway.take(&function{Function: Function{Name: "filter/threshold", Digest: "sha256:0123456789abcdef"}, agent: a})
	ev := &Event{ID: "gw7/k3jq2a/00001/00000001", Origin: Origin{Slot: "plant/17", Hash: 7}}
	b.ReportAllocs()
	for b.Loop() {
		p.begin(ev, "filter/sensors")
		p.end()
	}
}
