package fleetsync_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oras.land/oras-go/v2/content/oci"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// carriers runs a test against the real registry and against a layout.
func carriers(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Run("registry", func(t *testing.T) {
		reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
		test(t, newBench(t, "oci://"+reg.Addr()+"/acme/fleet"))
	})
	t.Run("layout", func(t *testing.T) {
		test(t, newBench(t, "oci-layout:"+filepath.Join(t.TempDir(), "stick")))
	})
}

func TestPublishAndPull(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		res := b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
		if res.Revision != 1 || res.Unassigned || len(res.Warnings) != 2 {
			t.Errorf("first publish: %+v", res)
		}
		p := b.puller(b.ref)
		check(t, p)
		b.run.want(t, "overheat@1.0.0")
		d := b.run.now
		if d.Generation != 1 || len(d.Functions) != 1 || len(d.Triggers) != 2 {
			t.Fatalf("deployment: %+v", d)
		}
		fn := d.Functions[0]
		if fn.Name != "overheat/f" || fn.Digest != digestOf(module(1, 5000)) || fn.Limits.Memory != 32<<20 || fn.Limits.Queue != agent.DefaultLimits.Queue {
			t.Errorf("function: %+v", fn)
		}
		hot, tick := d.Triggers[0], d.Triggers[1]
		if hot.Via != "plant" || hot.Share != "g" || hot.Filter != "sensors/+/t" || hot.QoS != 1 || !hot.IgnoreRetained {
			t.Errorf("mqtt trigger: %+v", hot)
		}
		if tick.Via != agent.ViaSchedule || tick.Filter != "overheat/tick" || tick.Schedule.Every != 30*time.Second {
			t.Errorf("schedule trigger: %+v", tick)
		}

		if res := b.publish(b.app("overheat", "1.1.0", 2, 6000), ""); res.Revision != 2 {
			t.Errorf("second publish: %+v", res)
		}
		check(t, p)
		b.run.want(t, "overheat@1.1.0")
		if st := p.Status(); st.Revision != 2 || st.Fleet == "" || !st.Verified || st.Error != "" || st.Checked.IsZero() {
			t.Errorf("status: %+v", st)
		}
		if res := b.publish(b.app("overheat", "1.1.0", 2, 6000), ""); !res.Unchanged || res.Revision != 2 || res.Bytes != 0 {
			t.Errorf("publish of the same: %+v", res)
		}
	})
}

func TestOldModulesGo(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	p := b.puller(b.ref)
	for i, v := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		b.publish(b.app("overheat", v, uint64(i), 5000), "")
		check(t, p)
	}
	blobs, _ := b.cache.Blobs()
	if len(blobs) != 2 || b.cache.HasBlob(digestOf(module(0, 5000))) {
		t.Errorf("cache holds %v, want the modules of 1.1.0 and 1.2.0", blobs)
	}
}

func TestIdleRoundIsOneRequest(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	proxy := newProxy(t, reg.Addr())
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	p := b.puller(proxy.ref("acme/fleet"))
	check(t, p)
	if n := proxy.requests.Load(); n != 2 {
		t.Errorf("first round took %d requests, want manifest and module", n)
	}
	proxy.reset()
	var status int
	see := func(resp *http.Response) error { status = resp.StatusCode; return nil }
	proxy.meddle.Store(&see)
	check(t, p)
	if proxy.requests.Load() != 1 || status != http.StatusNotModified || proxy.bytes.Load() != 0 {
		t.Errorf("idle round: %d requests, status %d, %d body bytes", proxy.requests.Load(), status, proxy.bytes.Load())
	}
	again := b.puller(proxy.ref("acme/fleet"))
	if err := again.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.reset()
	check(t, again)
	if proxy.requests.Load() != 1 || status != http.StatusNotModified {
		t.Errorf("idle round after a restart: %d requests, status %d", proxy.requests.Load(), status)
	}
}

func TestDamagedModuleIsRefused(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	proxy := newProxy(t, reg.Addr())
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	p := b.puller(proxy.ref("acme/fleet"))
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, p)
	b.publish(b.app("overheat", "1.1.0", 2, 5000), "")

	bad := module(2, 5000)
	bad[2500] ^= 1
	flip := func(resp *http.Response) error {
		if strings.Contains(resp.Request.URL.Path, "/blobs/") {
			resp.Body.Close()
			resp.Body = io.NopCloser(bytes.NewReader(bad))
		}
		return nil
	}
	proxy.meddle.Store(&flip)
	err := p.Check(t.Context())
	wantErr(t, err, string(digestOf(module(2, 5000))), string(digestOf(bad)), "refused")
	if !errors.Is(err, fleetsync.ErrDamaged) || b.cache.HasBlob(digestOf(bad)) {
		t.Errorf("damage: %v", err)
	}
	b.run.want(t, "overheat@1.0.0")
	if st := p.Status(); st.Error != err.Error() || st.Revision != 1 {
		t.Errorf("status: %+v", st)
	}
	_ = p.Check(t.Context()) // the same again
	if n := strings.Count(b.log.String(), "fleet sync failed"); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, b.log)
	}
	proxy.meddle.Store(nil)
	check(t, p)
	b.run.want(t, "overheat@1.1.0")
	if p.Status().Error != "" {
		t.Error("the error stayed after a good round")
	}
}

func TestDamagedLayoutIsRefused(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, "oci-layout:"+dir)
	p := b.puller(b.ref)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, p)
	res := b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
	for _, d := range []agent.Digest{res.Modules[0].Digest, res.Digest} {
		path := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(string(d), "sha256:"))
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(good)
		bad[len(bad)/2] ^= 1
		overwrite(t, path, bad)
		wantErr(t, b.puller(b.ref).Check(t.Context()), string(d), string(digestOf(bad)))
		b.run.want(t, "overheat@1.0.0")
		overwrite(t, path, good)
	}
	check(t, p)
	b.run.want(t, "overheat@1.1.0")
}

func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.Remove(path), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestRegistryAway(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	if err := b.puller(b.ref).Restore(t.Context()); !errors.Is(err, fleetsync.ErrNothingCached) {
		t.Errorf("restore of nothing: %v", err)
	}
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, b.puller(b.ref))
	reg.Stop()

	b.run = &runner{}
	p := b.puller(b.ref)
	if err := p.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.run.want(t, "overheat@1.0.0")
	if b.run.now.Generation != 1 || len(b.run.now.Triggers) != 2 {
		t.Errorf("restored %+v", b.run.now)
	}
	wantErr(t, p.Check(t.Context()), "connection refused")
	b.run.want(t, "overheat@1.0.0")

	reg.Restart()
	b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
	check(t, p)
	b.run.want(t, "overheat@1.1.0")
}

func TestRunRecovers(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	reg, err := fleetsync.NewRegistry(b.ref, fleetsync.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := fleetsync.NewPuller(reg, b.cache, b.run, device(), fleetsync.PullerOptions{Root: b.root(), Poll: 20 * time.Millisecond})
	done := make(chan error, 1)
	ctx, stop := contextOf(t)
	go func() { done <- p.Run(ctx) }()
	for i, v := range []string{"1.0.0", "1.1.0"} {
		b.publish(b.app("overheat", v, uint64(i), 5000), "")
		testbed.Eventually(t, 10*time.Second, v+" runs", func() error {
			if got := b.run.running(); len(got) != 1 || got[0] != "overheat@"+v {
				return errors.New("not yet")
			}
			return nil
		})
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestCutConnectionsAreResumed(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	proxy := newProxy(t, reg.Addr())
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	const size = 3_000_000
	b.publish(b.app("overheat", "1.0.0", 1, size), "")
	proxy.cut.Store(500_000)
	check(t, b.puller(proxy.ref("acme/fleet")))
	b.run.want(t, "overheat@1.0.0")
	if n := proxy.bytes.Load(); n > size*101/100 {
		t.Errorf("%d bytes served for a module of %d", n, size)
	}
	t.Logf("%d requests, %d bytes for a module of %d", proxy.requests.Load(), proxy.bytes.Load(), size)
}

func TestFailingApplyKeepsWhatRuns(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	p := b.puller(b.ref)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, p)
	b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
	b.run.fail = errors.New("module imports what it was not granted")
	wantErr(t, p.Check(t.Context()), "not granted", "revision 2")
	b.run.want(t, "overheat@1.0.0")
	b.run.fail = nil
	check(t, p)
	b.run.want(t, "overheat@1.1.0")
}

func TestAppThatDoesNotFitKeepsWhatRuns(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	p := b.puller(b.ref)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, p)
	app := b.write("bad.yaml", `{"apiVersion":"skerry/v1","kind":"App","metadata":{"name":"overheat","version":"1.2.0"},"functions":{"f":{"module":{"path":"overheat.wasm"}}},
"triggers":[{"function":"f","mqtt":{"topic":"a","broker":"attic"}}]}`)
	b.publish(app, "")
	check(t, p)
	wantErr(t, errors.New(p.Status().Error), `"attic"`, "plant, hall", "skerry.yaml")
	b.run.want(t, "overheat@1.0.0")
}

func TestPausedKeeps(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	p := b.puller(b.ref)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, p)
	head := "apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: \"fleet-x\"}\n"
	head = strings.Replace(head, "fleet-x", p.Status().Fleet, 1)
	b.publish(b.app("overheat", "1.1.0", 2, 5000), b.write("fleet.yaml", head+"assignments: [{app: overheat, version: 1.1.0, paused: true}]\n"))
	check(t, p)
	b.run.want(t, "overheat@1.0.0")
	b.publish("", b.write("fleet.yaml", head+"paused: true\nassignments: [{app: overheat, version: 1.1.0}]\n"))
	check(t, p)
	check(t, p)
	b.run.want(t, "overheat@1.0.0")
	b.publish("", b.write("fleet.yaml", head+"assignments: [{app: overheat, version: none}]\n"))
	check(t, p)
	b.run.want(t)
}

func TestLayoutIsReadByOthers(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, "oci-layout:"+dir)
	res := b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	store, err := oci.NewFromFS(t.Context(), os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]agent.Digest{"latest": res.Digest, "overheat-f-1.0.0": ""} {
		d, err := store.Resolve(t.Context(), tag)
		if err != nil || want != "" && agent.Digest(d.Digest) != want {
			t.Errorf("tag %s is %s, want %s: %v", tag, d.Digest, want, err)
		}
	}
}
