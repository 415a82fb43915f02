package wasm_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

func TestFreshInstancesHaveTheMemoryTheyStartedWith(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("keeper")
	fn.Isolation = agent.IsolationFresh
	m := s.load(fn)
	for i := range 100 {
		inv, err := invoke(m, &fn, nil, "xxx") // grows by three pages
		if err != nil || inv.Effects.Result[2] != 1 {
			t.Fatalf("run %d: %d pages, %v; want 1", i, inv.Effects.Result[2], err)
		}
	}
}

func TestWhatAGuestClosesIsOpenForTheNextEvent(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("closer")
	m := s.load(fn)
	for range 3 {
		if _, err := invoke(m, &fn, nil, ""); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatAnEventPrintsStaysItsOwn(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("startline")
	m := s.load(fn)
	inv, err := invoke(m, &fn, nil, "secret")
	wantFault(t, err, agent.FaultTrap, "secret")
	if len(inv.Effects.Logs) != 1 || inv.Effects.Logs[0].Text != "secret" {
		t.Errorf("the failed run logged %v", inv.Effects.Logs)
	}
	inv, err = invoke(m, &fn, nil, "public")
	if err != nil || len(inv.Effects.Logs) != 1 || inv.Effects.Logs[0].Text != "public" {
		t.Errorf("the next one logged %v, %v", inv.Effects.Logs, err)
	}
}

func TestInstancesThatDoNotStartGiveTheirMemoryBack(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("startleak")
	fn.Limits.Memory = 8 << 20
	m := s.load(fn)
	run := func() {
		_, err := invoke(m, &fn, nil, "")
		wantFault(t, err, agent.FaultTrap, "unreachable")
	}
	run()
	before := resident(t)
	for range 50 {
		run()
	}
	if grown := resident(t) - before; grown > 32<<20 {
		t.Errorf("50 of them left %d MiB", grown>>20)
	}
}

// A start does not count towards the time of the event that needs it: otherwise
// a function that starts slowly would never come to run again.
func TestSlowStartsAreNotTheEvents(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("slowstart")
	fn.Limits.Timeout = time.Millisecond
	m := s.load(fn)
	_, err := invoke(m, &fn, nil, "x")
	wantFault(t, err, agent.FaultTrap, "unreachable")
	if _, err := invoke(m, &fn, nil, ""); err != nil {
		t.Errorf("after the trap: %v", err)
	}
}

// gatedBlobs gives modules; once it is shut, it waits for the gate to be opened.
type gatedBlobs struct {
	blobs
	shut        *atomic.Bool
	asked, gate chan struct{}
}

func (b gatedBlobs) Blob(d agent.Digest) ([]byte, error) {
	if b.shut.Load() {
		b.asked <- struct{}{}
		<-b.gate
	}
	return b.blobs.Blob(d)
}

func TestWhoGivesUpLoadingHarmsNobodyElse(t *testing.T) {
	b := gatedBlobs{blobs{}, &atomic.Bool{}, make(chan struct{}, 8), make(chan struct{})}
	rt := wasm.NewRuntime(b, wasm.Options{Log: quiet()})
	s := &bench{t, rt, b.blobs}
	fn := s.function("trap")
	// newcomer is who has the module made: by loading it, or where modules are
	// interpreted by its first event.
	newcomer := func() func(context.Context) error {
		if !wasm.Interpreted() {
			return func(ctx context.Context) error { _, err := rt.Load(ctx, fn); return err }
		}
		m := s.load(fn)
		return func(ctx context.Context) error {
			inv := agent.NewInvocation(&fn, view{}, agent.Outside{})
			inv.Begin(event(""), "test/trigger", 1)
			return m.Invoke(ctx, inv)
		}
	}
	one, two := newcomer(), newcomer()
	b.shut.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	impatient, patient := make(chan error, 1), make(chan error, 1)
	go func() { impatient <- one(ctx) }()
	<-b.asked
	go func() { patient <- two(context.Background()) }()
	cancel()
	if err := <-impatient; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up: %v", err)
	}
	close(b.gate)
	if err := <-patient; err != nil {
		t.Errorf("who waited: %v", err)
	}
	if err := rt.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestAnImportIsNoFunctionOfTheModule(t *testing.T) {
	s := newBench(t, wasm.Options{})
	_, err := s.rt.Load(context.Background(), s.function("reexport"))
	if err == nil || !strings.Contains(err.Error(), "exports neither skerry_handle nor _start") {
		t.Errorf("got %v", err)
	}
}
