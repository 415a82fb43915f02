package fleetsync_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// refuses is what a function says that starts nowhere.
var refuses = &agent.Fault{Kind: agent.FaultError, Err: errors.New("skerry_init returned 2")}

func TestAppThatDoesNotStartHoldsUpNoOther(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	proxy := newProxy(t, reg.Addr())
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	via := proxy.ref("acme/fleet")
	b.publish(b.app("overheat", "1.0.0", 1, 50_000), "")
	b.publish(b.app("rollup", "1.0.0", 2, 50_000), "")
	p := b.puller(via)
	check(t, p)
	b.run.broken = map[string]error{"overheat@1.1.0": refuses}
	b.publish(b.app("overheat", "1.1.0", 3, 50_000), "")
	b.publish(b.app("rollup", "1.1.0", 4, 50_000), "")
	held := []string{"overheat@1.1.0 cannot run on this device and is held back, overheat@1.0.0 runs on: function f does not start: error: skerry_init returned 2"}
	for range 2 { // the second is idle: it would do the same again
		proxy.reset()
		check(t, p)
		b.run.want(t, "overheat@1.0.0", "rollup@1.1.0")
		wantHeld(t, p, held...)
	}
	if n := proxy.requests.Load(); n != 1 || b.run.times != 2 {
		t.Errorf("idle round: %d requests, applied %d times", n, b.run.times)
	}

	b.run = &runner{broken: b.run.broken} // the agent starts again: so does the attempt
	p = b.puller(via)
	restore(t, p)
	b.run.want(t, "overheat@1.0.0", "rollup@1.1.0")
	wantHeld(t, p, held...)
	proxy.reset()
	check(t, p)
	b.run.want(t, "overheat@1.0.0", "rollup@1.1.0")
	wantHeld(t, p, held...)
	if n := proxy.bytes.Load(); n >= 50_000 {
		t.Errorf("%d bytes: the module that is held back was fetched again", n)
	}
	b.run = &runner{}
	p = b.puller(via)
	restore(t, p)
	check(t, p)
	b.run.want(t, "overheat@1.1.0", "rollup@1.1.0")
	wantFine(t, p)
}

func TestFreshGatewayRunsAllButWhatDoesNotStart(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		b.run.broken = map[string]error{"overheat@1.0.0": refuses}
		b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
		b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
		p := b.puller(b.ref)
		check(t, p)
		b.run.want(t, "rollup@1.0.0")
		wantHeld(t, p, "overheat@1.0.0 cannot run on this device and is left out: function f does not start")
		b.publish(b.app("overheat", "1.1.0", 3, 5000), "")
		check(t, p)
		b.run.want(t, "overheat@1.1.0", "rollup@1.0.0")
		wantFine(t, p)
	})
}

// What may start later is tried after pauses that grow, and a new version at once.
func TestWhatFailsForTheDevicesSakeIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "oci-layout:"+t.TempDir())
		noMemory := errors.New("the compiler found no memory")
		b.run.broken = map[string]error{"overheat@1.0.0": noMemory, "overheat@1.1.0": noMemory}
		b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
		b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
		p := b.puller(b.ref)
		wantTries := func(n int) {
			t.Helper()
			check(t, p)
			b.run.want(t, "rollup@1.0.0")
			if b.run.refused != n {
				t.Errorf("tried %d times, want %d", b.run.refused, n)
			}
		}
		begun := time.Now()
		wantTries(1)
		wantTries(1)
		s := p.Status()
		if pause := s.RetryAt.Sub(begun); pause < time.Minute || pause > 75*time.Second ||
			!strings.HasSuffix(s.Error, "found no memory; it is tried again at "+s.RetryAt.Format(time.RFC3339)) {
			t.Errorf("status %+v", s)
		}
		<-time.After(75 * time.Second)
		wantTries(2)
		<-time.After(100 * time.Second)
		wantTries(2)
		<-time.After(time.Minute)
		wantTries(3)
		b.publish(b.app("overheat", "1.1.0", 3, 5000), "")
		wantTries(4)
		if pause := time.Until(p.Status().RetryAt); pause > 75*time.Second {
			t.Errorf("the new version waits for %s", pause)
		}
		b.run.broken = nil
		<-time.After(75 * time.Second)
		check(t, p)
		b.run.want(t, "overheat@1.1.0", "rollup@1.0.0")
		wantFine(t, p)
		if s := p.Status(); !s.RetryAt.IsZero() {
			t.Errorf("status %+v", s)
		}
	})
}

// Run tries in time, however seldom it polls.
func TestRunTriesAgainByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "oci-layout:"+t.TempDir())
		b.run.broken = map[string]error{"overheat@1.0.0": errors.New("the compiler found no memory")}
		b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
		b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
		p := b.pullerOptions(b.ref, device(), fleetsync.PullerOptions{Poll: 6 * time.Hour})
		ctx, stop := contextOf(t)
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		<-time.After(24 * time.Hour)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		// After 1, 2, 4, 8, 16 and 32 minutes, then each hour, and at most a quarter longer.
		if n := b.run.refused; n < 24 || n > 30 {
			t.Errorf("tried %d times in a day", n)
		}
	})
}

// A gateway with nothing that runs asks more often; it does not try more often.
func TestAloneAndUnstartedIsTriedAfterThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "oci-layout:"+t.TempDir())
		b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
		check(t, b.puller(b.ref))
		b.run = &runner{broken: map[string]error{"overheat@1.0.0": errors.New("the compiler found no memory")}}
		p := b.puller(b.ref)
		for range 3 {
			wantErr(t, p.Check(t.Context()), "nothing is started", "tried again at")
		}
		if b.run.refused != 1 {
			t.Errorf("tried %d times", b.run.refused)
		}
		b.run.broken = nil
		<-time.After(75 * time.Second)
		check(t, p)
		b.run.want(t, "overheat@1.0.0")
		wantFine(t, p)
	})
}

func TestWhatStaysHeldBackIsToldOnce(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	b.run.broken = map[string]error{"overheat@1.0.0": errors.New("the compiler found no memory")}
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
	p := b.puller(b.ref)
	for range 3 {
		check(t, p)
		b.run.want(t, "rollup@1.0.0")
		wantHeld(t, p, "overheat@1.0.0", "found no memory")
	}
	if n := strings.Count(b.log.String(), "fleet applied") + strings.Count(b.log.String(), "app is held back"); n != 2 {
		t.Errorf("logged %d times:\n%s", n, b.log)
	}
	if b.run.times != 1 {
		t.Errorf("applied %d times though nothing changed", b.run.times)
	}
}

func TestRestoreLeavesOutWhatDoesNotStart(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
	check(t, b.puller(b.ref))
	b.run = &runner{broken: map[string]error{"overheat@1.0.0": refuses}}
	p := b.puller(b.ref)
	restore(t, p)
	b.run.want(t, "rollup@1.0.0")
	wantHeld(t, p, "overheat@1.0.0 cannot run on this device and is left out: function f does not start")
	check(t, p)
	b.run.want(t, "rollup@1.0.0")
	b.run = &runner{}
	mended := b.puller(b.ref)
	restore(t, mended)
	check(t, mended)
	b.run.want(t, "overheat@1.0.0", "rollup@1.0.0")
	wantFine(t, mended)
}

// TestWhatRunsWasKept: an agent that ends in the middle of its first switch
// starts with what it switched to, and not with nothing.
func TestWhatRunsWasKept(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	b.run = &runner{dies: true}
	if err := b.puller(b.ref).Check(t.Context()); err == nil {
		t.Fatal("the switch succeeded")
	}
	b.run = &runner{}
	restore(t, b.puller(b.ref))
	b.run.want(t, "overheat@1.0.0")
}

func TestPublishRefusesWhatDoesNotStart(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	file := b.app("overheat", "1.0.0", 1, 5000)
	var started agent.Function
	checks := fleetsync.Checks{Start: func(fn agent.Function, module []byte) error {
		started = fn
		return refuses
	}}
	_, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: b.access(), AppFile: file, Checks: checks})
	wantErr(t, err, "overheat.yaml", "functions.f.module.path", "overheat.wasm does not start: error: skerry_init returned 2")
	if started.Name != "overheat/f" || started.Limits.Memory != 32<<20 {
		t.Errorf("started %+v", started)
	}
}
