package fleetsync_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// code makes bytes that compress as machine code does, about to a third; they are
// the same for the same seed, and all the same but for one byte for another change.
func code(seed uint64, size int, change byte) []byte {
	words := module(seed, 4096)[8:]
	random := module(seed+1000, size)
	data := []byte("\x00asm\x01\x00\x00\x00")
	for i := 0; len(data) < size; i++ {
		at := int(random[i]) * 15
		data = append(data, words[at:at+3+int(random[i])%5]...)
		data = append(data, random[i])
	}
	data = data[:size]
	data[size/2] = change
	return data
}

// release publishes an app of one function with this module.
func (b *bench) release(name, version string, module []byte) fleetsync.PublishResult {
	b.t.Helper()
	file := b.app(name, version, 1, 100)
	b.write(name+".wasm", string(module))
	return b.publish(file, "")
}

func patchesOf(t *testing.T, res fleetsync.PublishResult) []fleetsync.AppPatch {
	t.Helper()
	if len(res.Modules) != 1 {
		t.Fatalf("%+v", res)
	}
	return res.Modules[0].Patches
}

func froms(patches []fleetsync.AppPatch) []string {
	var out []string
	for _, p := range patches {
		out = append(out, p.From)
	}
	return out
}

func TestPatchesAreMadeAgainstWhatWasReleased(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		const size = 400_000
		at := func(n byte) string { return string(digestOf(code(1, size, n))) }
		first := patchesOf(t, b.release("a", "1.0.0", code(1, size, 0)))
		if len(first) != 1 || first[0].From != string(fleetsync.FromNothing) || first[0].Size > size*9/10 || first[0].Format != "zstd" {
			t.Fatalf("the first release: %+v", first)
		}
		for n := byte(1); n < 5; n++ {
			b.release("a", fmt.Sprintf("1.%d.0", n), code(1, size, n))
		}
		last := patchesOf(t, b.release("a", "1.5.0", code(1, size, 5)))
		if got, want := froms(last), []string{at(4), at(3), at(2), string(fleetsync.FromNothing)}; !sameSet(got, want) {
			t.Errorf("patches from %v, want %v", got, want)
		}
		if !slices.IsSortedFunc(last, func(a, b fleetsync.AppPatch) int { return int(a.Size - b.Size) }) || last[0].Size > 1000 {
			t.Errorf("one byte of %d differs: %+v", size, last)
		}
		r := b.open()
		app, err := r.App(agent.AppVersion{Name: "a", Version: "1.5.0"})
		if err != nil || !slices.Equal(app.Functions["f"].Module.Patches, last) {
			t.Errorf("the signed document has %+v, %v", app.Functions["f"].Module.Patches, err)
		}
		if err := r.Verify(t.Context(), nil); err != nil {
			t.Error(err)
		}
		// the same module in a new version: nothing is made again
		again := b.release("a", "1.6.0", code(1, size, 5))
		if !slices.Equal(patchesOf(t, again), last) || again.Bytes > 40_000 {
			t.Errorf("the same module again: %+v", again)
		}
	})
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// What does not compress, and is nothing like what was before, has no patches.
func TestPatchesThatSaveNothingAreNotMade(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	b.release("a", "1.0.0", module(1, 100_000))
	if patches := patchesOf(t, b.release("a", "1.1.0", module(2, 100_000))); len(patches) != 0 {
		t.Errorf("%+v", patches)
	}
	steps := map[string]int64{}
	file := b.app("a", "1.2.0", 1, 100)
	b.write("a.wasm", string(code(1, 100_000, 1)))
	_, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: b.access(), AppFile: file, Progress: func(step string, done, total int64) {
		if done > total || done < steps[step] {
			t.Errorf("%s: %d of %d", step, done, total)
		}
		steps[step] = done
	}})
	if err != nil || steps["making patches"] != 300_000 || steps["sending"] == 0 {
		t.Errorf("steps %v, %v", steps, err)
	}
}

// The registry's own cleaning must not take what devices will ask for.
func TestPatchesSurviveGarbageCollection(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	b.release("a", "1.0.0", code(1, 100_000, 0))
	b.release("a", "1.1.0", code(1, 100_000, 1))
	p := patchesOf(t, b.release("a", "1.2.0", code(1, 100_000, 2)))
	if len(p) != 3 {
		t.Fatalf("%+v", p)
	}
	reg.Stop()
	config := filepath.Join(t.TempDir(), "gc.yml")
	text := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}\nhttp: {addr: %q}\n", reg.Dir, reg.Addr())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("docker-registry", "garbage-collect", "--delete-untagged", config).CombinedOutput()
	if err != nil {
		t.Fatalf("garbage-collect: %v\n%s", err, out)
	}
	reg.Restart()
	if err := b.open().Verify(t.Context(), nil); err != nil {
		t.Errorf("after garbage collection: %v\n%s", err, out)
	}
}

func TestExportReadsBack(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		b.release("a", "1.0.0", code(1, 100_000, 0))
		b.release("a", "1.1.0", code(1, 100_000, 1))
		b.publish(b.app("b", "1.0.0", 7, 5000), "")
		dir := filepath.Join(t.TempDir(), "usb")
		steps := int64(0)
		r := b.open()
		export := func(to string) error {
			return r.Export(t.Context(), to, func(_ string, done, total int64) { steps = max(steps, done*100/total) })
		}
		for range 2 { // the second finds all of it there
			if err := export(dir); err != nil || steps != 100 {
				t.Fatalf("export: %v, %d %%", err, steps)
			}
		}
		stick, err := fleetsync.OpenFleet(t.Context(), fleetsync.Access{Ref: "oci-layout:" + dir, Keys: b.access().Keys})
		if err != nil {
			t.Fatal(err)
		}
		if err := stick.Verify(t.Context(), nil); err != nil || stick.Publication() != r.Publication() {
			t.Errorf("publication %d of %d, %v", stick.Publication(), r.Publication(), err)
		}
		blobs, _ := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
		for _, blob := range blobs {
			if data, err := os.ReadFile(blob); err != nil || bytes.Equal(data, code(1, 100_000, 0)) {
				t.Errorf("%s is not of an assigned version, %v", blob, err)
			}
		}
		check(t, b.puller("oci-layout:"+dir))
		b.run.want(t, "a@1.1.0", "b@1.0.0")

		full := t.TempDir()
		if err := os.WriteFile(filepath.Join(full, "notes.txt"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wantErr(t, export(full), full+" holds other files: name an empty directory, or a new one")
	})
}

func TestVerifyFindsADamagedBlob(t *testing.T) {
	dir := t.TempDir() + "/plant"
	b := newBench(t, "oci-layout:"+dir)
	p := patchesOf(t, b.release("a", "1.0.0", code(1, 100_000, 0)))
	r := b.open()
	blob := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(p[0].Digest, "sha256:"))
	data, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.Chmod(blob, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blob, data, 0o600); err != nil {
		t.Fatal(err)
	}
	wantErr(t, r.Verify(t.Context(), nil), "patch "+p[0].Digest[7:19]+" is refused", "damaged in the registry or on the way")
}

// Most registries delete nothing.
func TestPatchesNeedNoRightToDelete(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{NoDelete: true})
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	b.release("a", "1.0.0", code(1, 100_000, 0))
	if p := patchesOf(t, b.release("a", "1.1.0", code(1, 100_000, 1))); len(p) != 2 {
		t.Errorf("%+v", p)
	}
}

// A module that comes back has patches from what ran in between.
func TestPatchesOfAModuleThatComesBack(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	one, two := code(1, 100_000, 1), code(1, 100_000, 2)
	plain := patchesOf(t, b.release("a", "1.0.0", one))
	b.release("a", "1.1.0", two)
	back := patchesOf(t, b.release("a", "1.2.0", one))
	if want := []string{string(digestOf(two)), string(fleetsync.FromNothing)}; !slices.Equal(froms(back), want) || back[1] != plain[0] {
		t.Errorf("%+v, want patches from %v", back, want)
	}
}

// An app may name a module that lies in the registry already.
func TestPatchesOfAModuleByDigest(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	b.release("a", "1.0.0", code(1, 100_000, 1))
	two := code(1, 100_000, 2)
	b.release("b", "1.0.0", two)
	file := b.write("a.yaml", fmt.Sprintf("apiVersion: skerry/v1\nkind: App\nmetadata: {name: a, version: 1.1.0}\nfunctions: {f: {module: {digest: %q, size: %d}}}\n", digestOf(two), len(two)))
	if p := patchesOf(t, b.publish(file, "")); len(p) != 2 || p[0].From != string(digestOf(code(1, 100_000, 1))) {
		t.Errorf("%+v", p)
	}
	if err := b.open().Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
