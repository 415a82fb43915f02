package fleetsync_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// appOn writes an app that listens to a broker, and wants a secret too.
func (b *bench) appOn(broker, name, version string, seed uint64) string {
	b.app(name, version, seed, 5000)
	return b.write(name+".yaml", fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: %s, version: %s}
functions: {f: {module: {path: ./%s.wasm}, secrets: [token]}}
triggers: [{function: f, mqtt: {topic: a, broker: %s}, when: data.t > 1}]
`, name, version, name, broker))
}

// without is the device with the one broker, and no secret.
func without() fleetsync.Device {
	d := device()
	d.Brokers, d.Secrets = []string{"plant"}, nil
	return d
}

// wantHeld checks that Status tells all of want, in one line.
func wantHeld(t *testing.T, p *fleetsync.Puller, want ...string) {
	t.Helper()
	got := p.Status().Error
	wantErr(t, errors.New(got), want...)
	if strings.Contains(got, "\n") {
		t.Errorf("more than one line: %q", got)
	}
}

func wantFine(t *testing.T, p *fleetsync.Puller) {
	t.Helper()
	if got := p.Status().Error; got != "" {
		t.Errorf("status: %s", got)
	}
}

func restore(t *testing.T, p *fleetsync.Puller) {
	t.Helper()
	if err := p.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAppThatDoesNotFitHoldsUpNoOther(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	proxy := newProxy(t, reg.Addr())
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	via := proxy.ref("acme/fleet")
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
	p := b.puller(via)
	check(t, p)
	b.publish(b.appOn("attic", "overheat", "1.1.0", 3), "")
	b.publish(b.app("rollup", "1.1.0", 4, 5000), "")
	held := []string{"overheat@1.1.0 cannot run on this device and is held back, overheat@1.0.0 runs on", `broker "attic"`, "brokers: in skerry.yaml"}
	for range 2 { // the second is idle
		proxy.reset()
		check(t, p)
		b.run.want(t, "overheat@1.0.0", "rollup@1.1.0")
		wantHeld(t, p, held...)
	}
	if n := proxy.requests.Load(); n != 1 || b.run.times != 2 {
		t.Errorf("idle round: %d requests, applied %d times", n, b.run.times)
	}
	if st := p.Status(); st.Revision != 4 {
		t.Errorf("status: %+v", st)
	}

	b.run = &runner{}
	p = b.puller(via)
	restore(t, p)
	b.run.want(t, "overheat@1.0.0", "rollup@1.1.0")
	wantHeld(t, p, held...)
	check(t, p)
	wantHeld(t, p, held...)
	broken := func(resp *http.Response) error { resp.StatusCode = http.StatusForbidden; return nil }
	proxy.meddle.Store(&broken)
	wantErr(t, p.Check(t.Context()), "403")
	wantHeld(t, p, append(held, "403")...)
	proxy.meddle.Store(nil)
	if n := strings.Count(b.log.String(), "app is held back"); n != 2 { // once in each life
		t.Errorf("logged %d times:\n%s", n, b.log)
	}

	fits := device()
	fits.Brokers = append(fits.Brokers, "attic")
	p = b.pullerOf(via, fits, fleetsync.Checks{})
	restore(t, p)
	wantHeld(t, p, append(held, "tried again when the registry answers")...)
	check(t, p)
	b.run.want(t, "overheat@1.1.0", "rollup@1.1.0")
	wantFine(t, p)
}

func TestAppThatNeverFittedIsLeftOut(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		b.publish(b.appOn("attic", "overheat", "1.0.0", 1), "")
		p := b.puller(b.ref)
		check(t, p)
		b.run.want(t)
		b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
		check(t, p)
		b.run.want(t, "rollup@1.0.0")
		wantHeld(t, p, "overheat@1.0.0 cannot run on this device and is left out", `"attic"`)
		if b.cache.HasBlob(digestOf(module(1, 5000))) {
			t.Error("the module of an app that cannot run was fetched")
		}
		b.publish(b.appOn("hall", "overheat", "1.1.0", 3), "")
		check(t, p)
		b.run.want(t, "overheat@1.1.0", "rollup@1.0.0")
		wantFine(t, p)
	})
}

func TestRestoreLeavesOutWhatFitsNoMore(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	b.publish(b.appOn("hall", "overheat", "1.0.0", 1), "")
	b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
	p := b.puller(b.ref)
	check(t, p)
	name := p.Status().Fleet
	b.publish("", b.write("fleet.yaml", "apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: \""+name+"\"}\nassignments: [{app: overheat, version: 1.0.0, paused: true}, {app: rollup, version: 1.0.0}]"))
	check(t, p)

	b.run = &runner{}
	p = b.pullerOf(b.ref, without(), fleetsync.Checks{})
	restore(t, p)
	b.run.want(t, "rollup@1.0.0")
	held := []string{"overheat@1.0.0 cannot run on this device and is left out", `secret "token"`, `broker "hall"`}
	wantHeld(t, p, held...)

	mended := b.puller(b.ref) // without a round in between, no registry is needed
	restore(t, mended)
	b.run.want(t, "overheat@1.0.0", "rollup@1.0.0")
	wantFine(t, mended)

	check(t, p)
	b.run.want(t, "rollup@1.0.0")
	wantHeld(t, p, held...)
	mended = b.puller(b.ref)
	restore(t, mended)
	b.run.want(t, "rollup@1.0.0")
	check(t, mended) // paused: what ran before it was held back comes again
	b.run.want(t, "overheat@1.0.0", "rollup@1.0.0")
	wantFine(t, mended)
}

func TestNothingIsAppliedWhenNothingCachedFits(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	b.publish(b.appOn("hall", "overheat", "1.0.0", 1), "")
	check(t, b.puller(b.ref))
	b.run = &runner{}
	p := b.pullerOf(b.ref, without(), fleetsync.Checks{})
	want := []string{"overheat@1.0.0", `secret "token"`, `broker "hall"`}
	wantErr(t, p.Restore(t.Context()), want...)
	wantHeld(t, p, want...)
	wantErr(t, p.Check(t.Context()), want...)
	wantHeld(t, p, want...)
	if n := strings.Count(p.Status().Error, "overheat@1.0.0"); n != 1 || b.run.times != 0 {
		t.Errorf("applied %d times, status %q", b.run.times, p.Status().Error)
	}
	b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
	check(t, p)
	b.run.want(t, "rollup@1.0.0")
}

func TestAppThatThisReleaseCannotReadIsHeldBack(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	old := fleetsync.Checks{Language: strict(func(string) error { return errors.New("first line\nsecond line") })}
	p := b.pullerOf(b.ref, device(), old)
	b.publish(b.app("rollup", "1.0.0", 1, 5000), "")
	check(t, p)
	b.publish(b.appOn("hall", "overheat", "1.0.0", 2), "")
	b.publish(b.app("rollup", "1.1.0", 3, 5000), "")
	check(t, p)
	b.run.want(t, "rollup@1.1.0")
	held := []string{"overheat@1.0.0 cannot run on this device and is left out", "triggers[0].when", "first line; second line"}
	wantHeld(t, p, held...)

	p = b.pullerOf(b.ref, device(), old)
	restore(t, p)
	check(t, p)
	b.run.want(t, "rollup@1.1.0")
	wantHeld(t, p, held...)

	newer := device()
	newer.Release = "9.0.0"
	p = b.pullerOf(b.ref, newer, fleetsync.Checks{})
	restore(t, p)
	b.run.want(t, "rollup@1.1.0")
	check(t, p)
	b.run.want(t, "rollup@1.1.0", "overheat@1.0.0")
	wantFine(t, p)
}

func TestLogNamesWhatRunsAndRan(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	p := b.puller(b.ref)
	for _, v := range []string{"1.0.0", "1.1.0"} {
		b.publish(b.app("overheat", v, 1, 5000), "")
		if v == "1.0.0" {
			b.publish(b.app("rollup", v, 2, 5000), "")
		}
		check(t, p)
	}
	for _, want := range []string{
		`apps="overheat@1.0.0 rollup@1.0.0" was=""`,
		`apps="overheat@1.1.0 rollup@1.0.0" was="overheat@1.0.0 rollup@1.0.0"`,
	} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("log lacks %s:\n%s", want, b.log)
		}
	}
}

func TestLookTellsADevicesShare(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		b.publish(b.appOn("attic", "overheat", "1.0.0", 1), "")
		b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
		reg, err := fleetsync.NewRegistry(b.ref, fleetsync.RegistryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		share, err := reg.Look(t.Context(), device(), fleetsync.PullerOptions{Root: b.root()})
		if err != nil {
			t.Fatal(err)
		}
		d := share.Deployment
		if share.Revision != 2 || len(d.Functions) != 1 || d.Functions[0].Name != "rollup/f" || d.Functions[0].Limits.Memory != 32<<20 {
			t.Errorf("share %+v", share)
		}
		if len(share.Held) != 1 || !strings.Contains(share.Held[0], `broker "attic"`) {
			t.Errorf("held %q", share.Held)
		}
		if blobs, _ := b.cache.Blobs(); len(blobs) != 0 {
			t.Error("looking fetched modules")
		}
	})
}
