package fleetsync_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/sync/trust"
)

// stick is a bench with a layout, and its folder.
func stick(t *testing.T) (b *bench, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "stick")
	return newBench(t, "oci-layout:"+dir), dir
}

// replace makes dir what another folder holds.
func replace(t *testing.T, dir, with string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(with))); err != nil {
		t.Fatal(err)
	}
}

// refused checks that a round ends with why, that Status says so in words, and
// that the apps run on; after a restart too.
func (b *bench) refused(p *fleetsync.Puller, why error, words string, apps ...string) {
	b.t.Helper()
	for range 2 {
		err := p.Check(b.t.Context())
		if !errors.Is(err, why) {
			b.t.Fatalf("%v, want: %v", err, why)
		}
		st := p.Status()
		wantErr(b.t, errors.New(st.Error), "nothing new is taken from "+b.ref, why.Error(), words)
		if st.Verified {
			b.t.Errorf("status %+v", st)
		}
		b.run.want(b.t, apps...)
	}
	if len(apps) > 0 {
		was := b.run
		b.run = &runner{}
		restore(b.t, b.puller(b.ref))
		b.run.want(b.t, apps...)
		b.run = was
	}
}

func TestNoRoundWithoutRoot(t *testing.T) {
	b, _ := stick(t)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	p := b.pullerOptions(b.ref, device(), fleetsync.PullerOptions{Root: []byte{}})
	wantErr(t, p.Check(t.Context()), "takes nothing unsigned", "skerry fleet init", "registry.root")
	b.run.want(t)
}

func TestStatusTellsWhoSigned(t *testing.T) {
	b, _ := stick(t)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	p := b.puller(b.ref)
	check(t, p)
	st := p.Status()
	if year := st.Expires.Sub(st.Issued); !st.Verified || st.Root != 1 || time.Since(st.Issued) > time.Minute || year < 364*24*time.Hour || len(st.Notes) > 0 {
		t.Errorf("status %+v", st)
	}
	again := b.puller(b.ref)
	restore(t, again) // without a round, and without the registry
	if after := again.Status(); after.Root != 1 || !after.Expires.Equal(st.Expires) || after.Verified {
		t.Errorf("status after a restart %+v", after)
	}
}

func TestOlderPublicationIsRefused(t *testing.T) {
	b, dir := stick(t)
	old, newer := t.TempDir(), t.TempDir()
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	replace(t, old, dir)
	b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
	replace(t, newer, dir)
	p := b.puller(b.ref)
	check(t, p)
	b.run.want(t, "overheat@1.1.0")

	replace(t, dir, old)
	b.refused(p, trust.ErrRollback, "the folder of keys that published last", "overheat@1.1.0")
	restarted := b.puller(b.ref)
	restore(t, restarted)
	b.refused(restarted, trust.ErrRollback, "older than what was accepted", "overheat@1.1.0")

	replace(t, dir, newer)
	check(t, p)
	wantFine(t, p)
	if !p.Status().Verified {
		t.Errorf("status %+v", p.Status())
	}
}

// What was accepted counts although nothing of it runs yet.
func TestAcceptedIsKeptBeforeItIsUsed(t *testing.T) {
	b, dir := stick(t)
	old := t.TempDir()
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	replace(t, old, dir)
	b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
	b.run.fail = errors.New("the power went")
	wantErr(t, b.puller(b.ref).Check(t.Context()), "the power went")
	b.run.fail = nil
	replace(t, dir, old)
	b.refused(b.puller(b.ref), trust.ErrRollback, "older")
}

func TestTamperedDocumentIsRefused(t *testing.T) {
	b, dir := stick(t)
	p := b.puller(b.ref)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, p)
	b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
	honest := t.TempDir()
	replace(t, honest, dir)
	b.forge("central/notify", "central/attack")
	b.refused(p, trust.ErrTampered, "see who may write to that registry", "overheat@1.0.0")
	replace(t, dir, honest)
	check(t, p)
	b.run.want(t, "overheat@1.1.0")
	wantFine(t, p)
}

// forge replaces text of the same length in all files of a layout and mends the
// digests, as somebody can who writes to the registry and has no key.
func (b *bench) forge(from, to string) {
	b.t.Helper()
	dir := strings.TrimPrefix(b.ref, "oci-layout:")
	path := func(d agent.Digest) string {
		return filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(string(d), "sha256:"))
	}
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	var list struct {
		Manifests []struct{ Digest agent.Digest }
	}
	if err := json.Unmarshal(index, &list); err != nil {
		b.t.Fatal(err)
	}
	for _, m := range list.Manifests {
		data, err := os.ReadFile(path(m.Digest))
		if err != nil {
			b.t.Fatal(err)
		}
		var manifest struct {
			Layers []struct {
				Digest agent.Digest
				Data   []byte
			}
		}
		if err := json.Unmarshal(data, &manifest); err != nil {
			b.t.Fatal(err)
		}
		for _, l := range manifest.Layers {
			if next := bytes.ReplaceAll(l.Data, []byte(from), []byte(to)); len(next) > 0 {
				was, _ := json.Marshal(l.Data) // bytes always can be
				is, _ := json.Marshal(next)
				data = bytes.ReplaceAll(data, was, is)
				data = bytes.ReplaceAll(data, []byte(l.Digest), []byte(digestOf(next)))
			}
		}
		index = bytes.ReplaceAll(index, []byte(m.Digest), []byte(digestOf(data)))
		if err := os.WriteFile(path(digestOf(data)), data, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	overwrite(b.t, filepath.Join(dir, "index.json"), index)
}

func TestAnotherFleetIsRefused(t *testing.T) {
	b, dir := stick(t)
	p := b.puller(b.ref)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, p)
	mine := t.TempDir()
	replace(t, mine, dir)

	other, theirs := stick(t)
	other.publish(other.app("overheat", "6.6.6", 6, 5000), "")
	replace(t, dir, theirs)
	b.refused(p, trust.ErrUnsigned, "compare the fingerprint of registry.root", "overheat@1.0.0")

	// A device that is given to the other fleet follows it, whatever ran before.
	moved := b.pullerOptions(b.ref, device(), fleetsync.PullerOptions{Root: other.root()})
	restore(t, moved)
	check(t, moved)
	b.run.want(t, "overheat@6.6.6")
	wantFine(t, moved)
}

func TestExpiryStopsUpdatesAndNothingElse(t *testing.T) {
	b, _ := stick(t)
	now := time.Now()
	clock := func() time.Time { return now }
	p := b.pullerOptions(b.ref, device(), fleetsync.PullerOptions{Now: clock})
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, p)

	now = now.Add(200 * 24 * time.Hour)
	check(t, p) // nothing is new
	st := p.Status()
	if len(st.Notes) != 1 || !strings.HasPrefix(st.Notes[0], "the fleet's signatures end on 20") || st.Error != "" || !st.Verified {
		t.Errorf("half of the time is over: %+v", st)
	}
	now = now.Add(200 * 24 * time.Hour)
	b.refused(p, trust.ErrExpired, "publish again, which renews them", "overheat@1.0.0")
	if st := p.Status(); len(st.Notes) != 1 || !strings.Contains(st.Notes[0], "ended on 20") {
		t.Errorf("all of it is over: %+v", st)
	}
	fresh := b.pullerOptions(b.ref, device(), fleetsync.PullerOptions{Now: clock})
	if err := fresh.Check(t.Context()); !errors.Is(err, trust.ErrExpired) {
		t.Errorf("a device that asks for the first time: %v", err)
	}
	access := b.access()
	access.Now = clock
	file := b.app("overheat", "1.1.0", 2, 5000)
	if _, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: access, AppFile: file}); err != nil {
		t.Fatal(err)
	}
	check(t, p)
	b.run.want(t, "overheat@1.1.0")
	if st := p.Status(); len(st.Notes) > 0 || st.Error != "" || !st.Verified {
		t.Errorf("renewed: %+v", st)
	}
}

// edit publishes what change makes of the fleet document.
func (b *bench) edit(change func(r *fleetsync.FleetRepo) (*fleetsync.Plan, error)) {
	b.t.Helper()
	r, err := fleetsync.OpenFleet(b.t.Context(), b.access())
	if err != nil {
		b.t.Fatal(err)
	}
	plan, err := change(r)
	if err == nil {
		_, err = r.Push(context.Background(), plan, nil)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestNewKeysAreFollowed(t *testing.T) {
	b, dir := stick(t)
	p := b.puller(b.ref)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, p)
	for range 3 {
		b.edit(func(r *fleetsync.FleetRepo) (*fleetsync.Plan, error) {
			return r.Rotate(trust.RoleTargets, fleetsync.RotateOptions{})
		})
	}
	b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
	check(t, p) // it was away for three changes
	b.run.want(t, "overheat@1.1.0")
	if st := p.Status(); st.Root != 4 || !strings.Contains(b.log.String(), "the fleet's keys were changed") {
		t.Errorf("status %+v\n%s", st, b.log)
	}
	check(t, b.puller("oci-layout:"+dir)) // and one that has run nothing yet
}

// A version that is revoked stops at once: before what replaces it is here, and
// where the fleet is paused.
func TestRevokedStopsAtOnce(t *testing.T) {
	b, dir := stick(t)
	p := b.puller(b.ref)
	b.publish(b.app("rollup", "1.0.0", 1, 5000), "")
	b.publish(b.app("overheat", "1.0.0", 2, 5000), "")
	b.publish(b.app("overheat", "1.1.0", 3, 5000), "")
	check(t, p)
	b.run.want(t, "rollup@1.0.0", "overheat@1.1.0")
	b.edit(func(r *fleetsync.FleetRepo) (*fleetsync.Plan, error) {
		return r.Edit(func(f *fleetsync.Fleet) error { f.Paused = true; return nil })
	})
	check(t, p)
	b.edit(func(r *fleetsync.FleetRepo) (*fleetsync.Plan, error) {
		return r.Revoke(agent.AppVersion{Name: "overheat", Version: "1.1.0"}, "1.0.0")
	})
	check(t, p)
	b.run.want(t, "rollup@1.0.0")
	wantHeld(t, p, "overheat@1.1.0 cannot run on this device and is left out", "its publisher has revoked this version")

	b.run = &runner{}
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	again := b.puller(b.ref)
	restore(t, again)
	b.run.want(t, "rollup@1.0.0")
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}

	b.edit(func(r *fleetsync.FleetRepo) (*fleetsync.Plan, error) {
		return r.Edit(func(f *fleetsync.Fleet) error { f.Paused = false; return nil })
	})
	gone := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(string(digestOf(module(2, 5000))), "sha256:"))
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	b.cache.DeleteBlob(digestOf(module(2, 5000)))
	b.run = &runner{}
	again = b.puller(b.ref)
	restore(t, again)
	wantErr(t, again.Check(t.Context()), "not in the registry")
	b.run.want(t, "rollup@1.0.0")
	if err := os.WriteFile(gone, module(2, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, again)
	b.run.want(t, "rollup@1.0.0", "overheat@1.0.0")
	wantFine(t, again)
}

func TestGarbledSignaturesHeal(t *testing.T) {
	for _, garbled := range []string{"", "{", `{"timestamp":"e30="}`, `{"root":"bm90aGluZw=="}`, "null"} {
		b, _ := stick(t)
		b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
		check(t, b.puller(b.ref))
		if err := b.cache.Pin("trust", []byte(garbled)); err != nil {
			t.Fatal(err)
		}
		b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
		p := b.puller(b.ref)
		restore(t, p)
		b.run.want(t, "overheat@1.0.0")
		check(t, p)
		b.run.want(t, "overheat@1.1.0")
		wantFine(t, p)
	}
}

// A stick serves a device that has no line, by the same rules as the registry.
func TestCheckFromAStick(t *testing.T) {
	b, dir := stick(t)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	p := b.puller(b.ref)
	check(t, p)
	old := t.TempDir()
	replace(t, old, dir)
	b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
	newer := t.TempDir()
	replace(t, newer, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	from := func(dir string) error {
		reg, err := fleetsync.NewRegistry("oci-layout:"+dir, fleetsync.RegistryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return p.CheckFrom(t.Context(), reg)
	}
	if err := from(newer); err != nil {
		t.Fatal(err)
	}
	b.run.want(t, "overheat@1.1.0")
	if err := from(old); !errors.Is(err, trust.ErrRollback) || !strings.Contains(err.Error(), old) {
		t.Errorf("an older stick: %v", err)
	}
	if err := p.Check(t.Context()); !errors.Is(err, fleetsync.ErrNothingPublished) {
		t.Errorf("the registry itself: %v", err)
	}
	replace(t, dir, newer)
	check(t, p)
	wantFine(t, p)
	b.run.want(t, "overheat@1.1.0")
}
