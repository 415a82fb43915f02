package fleetsync_test

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// lose has the cache lose a module, as one that was found damaged is.
func (b *bench) lose(d agent.Digest) {
	b.t.Helper()
	if err := b.cache.DeleteBlob(d); err != nil {
		b.t.Fatal(err)
	}
}

// TestLostModuleLeavesOutOneApp: all others run without the registry, and it comes
// back with it.
func TestLostModuleLeavesOutOneApp(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, "oci-layout:"+dir)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
	check(t, b.puller(b.ref))
	b.lose(digestOf(module(1, 5000)))
	b.run = &runner{}
	p := b.puller(b.ref)
	restore(t, p)
	b.run.want(t, "rollup@1.0.0")
	if text := p.Status().Error; !strings.Contains(text, "overheat@1.0.0 cannot run on this device and is left out: module ") ||
		!strings.Contains(text, " of function f is not in the cache; it is fetched when the registry answers") {
		t.Errorf("status %q", text)
	}
	check(t, p)
	b.run.want(t, "overheat@1.0.0", "rollup@1.0.0")
	if text := p.Status().Error; text != "" {
		t.Errorf("status %q", text)
	}
}

// TestLostModuleOnProbationGoesBack: without the registry the version before runs.
func TestLostModuleOnProbationGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.end()
		if err := os.Rename(w.dir, w.dir+"-away"); err != nil {
			t.Fatal(err)
		}
		w.lose(digestOf(module(uint64('1')<<8+uint64('1')+uint64(len("overheat")), 5000)))
		w.again()
		w.bench.run.want(t, "overheat@1.0.0")
		w.begin()
		<-time.After(time.Hour)
		w.wantApp(t, "overheat", "held", "1.0.0")
		if err := os.Rename(w.dir+"-away", w.dir); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute)
		w.wantApp(t, "overheat", "probation", "1.1.0")
		w.end()
	})
}

// TestLostModuleIsFetchedToGoBackTo, since what is on probation does not stay.
func TestLostModuleIsFetchedToGoBackTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		good := digestOf(module(uint64('1')<<8+uint64('0')+uint64(len("overheat")), 5000))
		w.lose(good)
		breaks := func(broken map[string]error) {
			w.bench.run.mu.Lock()
			defer w.bench.run.mu.Unlock()
			w.bench.run.broken = broken
		}
		breaks(map[string]error{"overheat@1.0.0": agent.ErrNotFound})
		w.is("overheat@1.1.0", of(100, 30))
		<-time.After(30 * time.Second)
		if app := w.wantApp(t, "overheat", "probation", "1.1.0"); !strings.Contains(app.Reason, "30 of 100 runs") {
			t.Errorf("status %+v", app)
		}
		<-time.After(time.Minute)
		if !w.cache.HasBlob(good) {
			t.Fatal("the module is not fetched again")
		}
		breaks(nil)
		<-time.After(time.Minute)
		w.wantApp(t, "overheat", "quarantined", "1.0.0")
		w.end()
	})
}
