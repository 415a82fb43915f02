package fleetsim_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/examples"
	"github.com/skerry-edge/skerry/internal/fleetsim"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// options rehearse the example overheat@1.0.0 on n devices.
func options(t *testing.T, n int) fleetsim.Options {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{"app.yaml", "overheat.wasm"} {
		data, err := examples.Files.ReadFile("overheat/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fleetsim.Options{
		Devices: n, App: filepath.Join(dir, "app.yaml"), Dir: t.TempDir(),
		Hold: 6 * time.Hour, Poll: 6 * time.Hour, Jitter: 5 * time.Minute, Hint: true, AwayFor: time.Hour, Rate: 60,
	}
}

// version is what a device says it runs.
func version(r fleetsim.Report) string {
	for _, app := range r.Apps {
		if app.Name == "overheat" {
			return app.Version
		}
	}
	return ""
}

// TestPromotionReachesItsShare rolls out to 1,000 devices that follow a real
// registry over bad links: 1, 10 and 100 percent of them come to run the new
// version, within three standard deviations, and nobody goes back and forth.
func TestPromotionReachesItsShare(t *testing.T) {
	const devices = 1000
	registry := testbed.StartRegistry(t, testbed.RegistryOptions{})
	opts := options(t, devices)
	opts.Registry = "oci://" + registry.Addr() + "/rehearsal/fleet"
	opts.Loss, opts.Away = 0.05, 0.1
	opts.Steps = []float64{1, 10, 100}
	has := map[string]bool{} // devices that have it since an earlier step
	opts.Report = func(list []fleetsim.Report) error {
		for _, r := range list {
			switch v := version(r); {
			case v == "1.0.0":
				has[r.Device] = true
			case has[r.Device]:
				return fmt.Errorf("%s had the new version, and runs %q now", r.Device, v)
			}
		}
		return nil
	}
	steps, err := fleetsim.Rehearse(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		t.Logf("%s: %v, %d flapped, half after %s, 95 %% after %s, %d requests, %d bytes down", s.Name, s.Versions, s.Flapped, s.HalfAfter, s.MostAfter, s.Requests, s.BytesDown)
		share := s.Percent / 100
		want, sigma := devices*share, math.Sqrt(devices*share*(1-share))
		got := float64(s.Versions["1.0.0"])
		if math.Abs(got-want) > 3*sigma {
			t.Errorf("%s: %.0f of %d devices run the new version, want %.0f ± %.0f", s.Name, got, devices, want, 3*sigma)
		}
		if s.Flapped > 0 || s.RolledBack > 0 {
			t.Errorf("%s: %d devices went back and forth, %d went back", s.Name, s.Flapped, s.RolledBack)
		}
	}
}

// TestABadReleasePutsItselfBack gives a release of which each fifth run fails to a
// tenth of 100 devices.
func TestABadReleasePutsItselfBack(t *testing.T) {
	opts := options(t, 100)
	opts.Errors, opts.Steps, opts.Hold = 0.2, []float64{10}, time.Hour
	refused := 0
	opts.Report = func(list []fleetsim.Report) error {
		refused = 0
		for _, r := range list {
			if v := version(r); v != "0.0.0" {
				return fmt.Errorf("%s runs %q after an hour", r.Device, v)
			}
			for _, app := range r.Apps {
				if app.State == "quarantined" && app.Wanted == "1.0.0" && app.Reason != "" {
					refused++
				}
			}
		}
		return nil
	}
	steps, err := fleetsim.Rehearse(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	last := steps[len(steps)-1]
	if last.RolledBack == 0 || last.RolledBack > 20 || last.RolledBack != refused || last.Flapped > 0 {
		t.Errorf("%d devices went back, %d say that they refuse the release, %d went back and forth", last.RolledBack, refused, last.Flapped)
	}
	t.Logf("%d of 100 devices had the release, and each of them went back", refused)
}

// A fleet document names the version that devices run before, and other apps: no
// module of them is at hand.
func TestAFleetDocumentOfOtherVersions(t *testing.T) {
	opts := options(t, 20)
	opts.Fleet, opts.Steps = filepath.Join(opts.Dir, "fleet.yaml"), []float64{100}
	fleet := "apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: plant}\nassignments:\n" +
		"  - {app: overheat, version: 1.0.0, percent: 10}\n  - {app: overheat, version: 0.9.3}\n  - {app: meter, version: 2.0.0}\n"
	if err := os.WriteFile(opts.Fleet, []byte(fleet), 0o600); err != nil {
		t.Fatal(err)
	}
	steps, err := fleetsim.Rehearse(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if got := steps[len(steps)-1].Versions; got["1.0.0"] != 20 {
		t.Errorf("%v", got)
	}
}
