package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// slowly is a link over which the padding takes some seconds.
var slowly = testbed.Link{Rate: 1 << 20, CutDown: 100_000}

const padding = 900_000

// gets waits until n more bytes have come over the link.
func (f *fleetRig) gets(n int64) {
	f.t.Helper()
	from := f.link.Stats().Down
	testbed.Eventually(f.t, time.Minute, "some of the module has come", func() error {
		if got := f.link.Stats().Down - from; got < n {
			return fmt.Errorf("%d bytes have", got)
		}
		return nil
	})
}

// stays checks that a version runs, whole, while the agent tells what is wrong.
func (f *fleetRig) stays(v int, told ...string) {
	f.t.Helper()
	f.eventually("the agent tells what is wrong", func(s agent.Status) bool {
		return !slices.ContainsFunc(told, func(part string) bool { return !strings.Contains(s.Sync.Error, part) })
	})
	s := f.status()
	if err := f.whole(s); err != nil || !slices.Equal(s.Apps, []string{versionName(v)}) {
		f.t.Errorf("there run %v (%v), want %s", s.Apps, err, versionName(v))
	}
	f.t.Logf("told: %s", s.Sync.Error)
}

// well waits until a version runs, without anything to tell, and works.
func (f *fleetRig) well(v int) {
	f.t.Helper()
	f.runs(versionName(v))
	f.eventually("all is well", func(s agent.Status) bool { return s.Sync.Error == "" && f.whole(s) == nil })
	before := f.plant.Heard()
	f.plant.Rouse(time.Minute)
	for range 20 {
		f.plant.Publish("")
	}
	f.plant.Settle()
	f.plant.Complete(time.Minute)
	if n := f.plant.Heard() - before; n != 20 {
		f.t.Errorf("%d of 20 events were run", n)
	}
}

// TestFleetUpdateOnAFullDisk fills the disk while an update comes: what ran runs on,
// and once there is room the update comes, without help.
func TestFleetUpdateOnAFullDisk(t *testing.T) {
	t.Parallel()
	f := newFleetRig(t, "limits: {disk: 48MiB}", padding, 1, 3)
	data := (&uplinkRig{rig: f.rig}).onSmallDisk("64m")
	f.well(1)
	f.link.Set(slowly)
	f.assign(3)
	f.gets(300_000)
	fill(t, filepath.Join(data, "filler"))
	f.stays(1, "disk")
	if err := os.Remove(filepath.Join(data, "filler")); err != nil {
		t.Fatal(err)
	}
	f.well(3)
}

// blob is where a docker-registry keeps one.
func (f *fleetRig) blob(digest string) string {
	digits := strings.TrimPrefix(digest, "sha256:")
	return filepath.Join(f.registry.Dir, "docker", "registry", "v2", "blobs", "sha256", digits[:2], digits, "data")
}

// TestFleetUpdateFromASickRegistry: a module that is damaged on the registry's disk
// and mended, and a registry that is started again in mid-download.
func TestFleetUpdateFromASickRegistry(t *testing.T) {
	t.Parallel()
	f := newFleetRig(t, "", padding, 1, 3)
	f.start()
	f.well(1)
	module := marked(t, 3, "out/", padding)
	path := f.blob(digestOfModule(module))
	overwriteFile(t, path, append(bytes.Clone(module[:len(module)-1]), module[len(module)-1]^1))
	f.assign(3)
	f.stays(1, "damaged", digestOfModule(module))
	f.link.Set(slowly)
	overwriteFile(t, path, module)
	f.gets(300_000)
	f.registry.Stop()
	wait(time.Second)
	f.stays(1)
	f.registry.Restart()
	f.well(3)
}

// TestFleetWithDamagedPins starts with files of what was accepted and of what runs that
// are empty, cut off or garbled, and then with such values in all their copies.
func TestFleetWithDamagedPins(t *testing.T) {
	t.Parallel()
	f := newFleetRig(t, "", 100_000, 1, 2)
	f.start()
	f.well(1)
	f.assign(2) // so that both files of each pin are there
	f.well(2)
	for name, garble := range map[string]func([]byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut off": func(data []byte) []byte { return data[:len(data)/2] },
		"garbled": func(data []byte) []byte { return bytes.Repeat([]byte{0xa5}, len(data)) },
	} {
		t.Run(name, func(t *testing.T) {
			f.proc.Stop()
			f.registry.Stop()
			files, err := filepath.Glob(f.path("data/store/pins/*"))
			if err != nil || len(files) < 4 {
				t.Fatalf("pins are in %q (%v)", files, err)
			}
			for _, file := range files {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				overwriteFile(t, file, garble(data))
			}
			f.start()
			f.runs(versionName(2)) // from the journal, without a registry
			f.registry.Restart()
			f.well(2)
		})
	}
	for i, value := range []string{"", "{", "null", `{"format":2,"chosen":[{"name":"x"}]}`, `{"root":"bm90aGluZw=="}`} {
		t.Run("value "+value, func(t *testing.T) {
			f.proc.Stop()
			st, err := store.Open(f.path("data/store"), store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, pin := range []string{"trust", "deployment"} {
				if err := st.Pin(pin, []byte(value)); err != nil {
					t.Fatal(err)
				}
			}
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			v := 1 + i%2
			f.assign(v)
			f.start()
			f.well(v)
		})
	}
}

func overwriteFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func digestOfModule(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }
