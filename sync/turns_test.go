package fleetsync_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/sync/trust"
)

// inBackground has p run in the background until the test ends.
func inBackground(t *testing.T, p *fleetsync.Puller) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A hint that something is new makes a device look soon, but not all devices at
// once, and none more than once a minute.
func TestWakeIsSoonAndSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := stick(t)
		b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
		p := b.pullerOptions(b.ref, device(), fleetsync.PullerOptions{Poll: 24 * time.Hour, Jitter: 20 * time.Second})
		defer inBackground(t, p)()
		synctest.Wait()
		first := p.Status().Checked
		b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
		for range 100 {
			p.Wake()
		}
		<-time.After(59 * time.Second)
		b.run.want(t, "overheat@1.0.0")
		<-time.After(22 * time.Second)
		b.run.want(t, "overheat@1.1.0")
		second := p.Status().Checked
		if after := second.Sub(first); after < time.Minute {
			t.Errorf("looked again after %s", after)
		}
		<-time.After(10 * time.Minute)
		if again := p.Status().Checked; again.Sub(second) > 2*time.Minute { // at most once more, for a wake that came between
			t.Errorf("looked again after %s though nobody asked", again.Sub(second))
		}
		p.Wake()
		<-time.After(21 * time.Second)
		if ago := time.Since(p.Status().Checked); ago > 21*time.Second {
			t.Errorf("looked %s ago", ago)
		}
	})
}

// A registry that asks for hours gets them, whatever wakes the device; but no more
// than a day.
func TestBusyRegistryIsLeftAlone(t *testing.T) {
	b, _ := stick(t)
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	b.ref = "oci://" + reg.Addr() + "/acme/fleet"
	proxy := newProxy(t, reg.Addr())
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	p := b.pullerOptions(proxy.ref("acme/fleet"), device(), fleetsync.PullerOptions{Poll: time.Minute})
	for _, tt := range []struct {
		after string
		want  time.Duration
	}{
		{time.Now().Add(12 * time.Hour).UTC().Format(http.TimeFormat), 12 * time.Hour},
		{"36000", 10 * time.Hour},
		{"9223372036854775807", 24 * time.Hour},
		{"Thu, 01 Jan 2099 00:00:00 GMT", 24 * time.Hour},
	} {
		busy := func(resp *http.Response) error {
			resp.StatusCode, resp.Status = http.StatusServiceUnavailable, "503 Service Unavailable"
			resp.Header.Set("Retry-After", tt.after)
			return nil
		}
		proxy.meddle.Store(&busy)
		if pause := p.Turn(t.Context()); pause < tt.want-time.Hour || pause > tt.want+time.Hour {
			t.Errorf("after Retry-After: %s it comes back after %s: %s", tt.after, pause, p.Status().Error)
		}
		wantErr(t, errors.New(p.Status().Error), "503", "it wants no request for ")
	}
	proxy.meddle.Store(nil)
	check(t, p)
}

// Devices that lost a registry together do not come back together.
func TestFailedRoundsSpread(t *testing.T) {
	b, _ := stick(t)
	p := b.pullerOptions("oci-layout:"+t.TempDir(), device(), fleetsync.PullerOptions{Poll: time.Hour})
	var least, most time.Duration
	for i := range 200 {
		pause := p.Turn(t.Context())
		if i == 0 && (pause < 2*time.Second || pause > 8*time.Second) {
			t.Errorf("the first pause is %s", pause)
		}
		if i < 20 { // the pauses have grown to the poll interval then
			continue
		}
		if least == 0 || pause < least {
			least = pause
		}
		most = max(most, pause)
	}
	if least < time.Hour || most-least < 3*time.Minute {
		t.Errorf("pauses of %s to %s", least, most)
	}
}

// Documents that are refused are not asked for again and again.
func TestRefusedIsNoReasonToHurry(t *testing.T) {
	b, _ := stick(t)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	late := func() time.Time { return time.Now().Add(10_000 * time.Hour) }
	p := b.pullerOptions(b.ref, device(), fleetsync.PullerOptions{Poll: time.Hour, Now: late})
	if pause := p.Turn(t.Context()); pause < time.Hour {
		t.Errorf("comes back after %s: %s", pause, p.Status().Error)
	}
	if err := p.Check(t.Context()); !errors.Is(err, trust.ErrExpired) {
		t.Error(err)
	}
}

func TestKeepVersionsKeepsModules(t *testing.T) {
	b, _ := stick(t)
	p := b.puller(b.ref)
	versions := []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0"}
	for i, v := range versions {
		b.publish(b.app("overheat", v, uint64(i), 5000), "")
		b.edit(func(r *fleetsync.FleetRepo) (*fleetsync.Plan, error) {
			return r.Edit(func(f *fleetsync.Fleet) error { return json.Unmarshal([]byte(`{"keepVersions": 3}`), &f.Sync) })
		})
		check(t, p)
		b.edit(func(r *fleetsync.FleetRepo) (*fleetsync.Plan, error) { // which is no other set of modules
			return r.Edit(func(f *fleetsync.Fleet) error { f.Sync.PollInterval += fleetsync.Duration(time.Minute); return nil })
		})
		check(t, p)
	}
	for i := range versions {
		if has := b.cache.HasBlob(digestOf(module(uint64(i), 5000))); has != (i > 0) {
			t.Errorf("the module of %s is there: %v", versions[i], has)
		}
	}
}
