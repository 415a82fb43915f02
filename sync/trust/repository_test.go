package trust_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/sync/trust"
)

func names(c carrier) string {
	return strings.Join(slices.DeleteFunc(slices.Sorted(maps.Keys(c)), func(n string) bool { return strings.Contains(n, "/") }), " ")
}

// TestSignOnlyWhatChanged counts versions: each file's grows with its content.
func TestSignOnlyWhatChanged(t *testing.T) {
	f := newFleet(t, false)
	for _, tt := range []struct {
		what    string
		change  func()
		want    string
		version int64
	}{
		{"nothing", func() {}, "1.fleet.json 1.root.json 1.snapshot.json 1.targets.json fleet.json timestamp.json", 1},
		{"the same again", func() { f.put("fleet.json", `{"revision":1}`) }, "1.fleet.json 1.root.json 1.snapshot.json 1.targets.json fleet.json timestamp.json", 1},
		{"fleet", func() { f.put("fleet.json", `{"revision":2}`) }, "1.root.json 1.targets.json 2.fleet.json 2.snapshot.json fleet.json timestamp.json", 2},
		{"an app", func() { f.put("apps/a/1.json", `{}`) }, "1.root.json 2.fleet.json 2.targets.json 3.snapshot.json fleet.json timestamp.json", 3},
		{"the root's key", func() { f.replace("root", "root-2") }, "1.root.json 2.fleet.json 2.root.json 2.targets.json 3.snapshot.json fleet.json timestamp.json", 4},
		{"who signs fleet", func() {
			f.newKey("rollout")
			f.must(f.repo.Rotate(f.ring(), trust.Signers{Keys: []string{"rollout"}}, trust.RoleFleet))
		}, "1.root.json 2.root.json 3.fleet.json 3.targets.json 4.snapshot.json fleet.json timestamp.json", 5},
		{"who signs snapshot and timestamp", func() {
			f.must(f.repo.Rotate(f.ring(), trust.Signers{Keys: []string{"rollout"}}, trust.RoleSnapshot, trust.RoleTimestamp))
		}, "1.root.json 2.root.json 3.fleet.json 3.root.json 3.targets.json 5.snapshot.json fleet.json timestamp.json", 6},
		{"expiry, not near", func() { f.repo.Extend(f.now.Add(day)) }, "1.root.json 2.root.json 3.fleet.json 3.root.json 3.targets.json 5.snapshot.json fleet.json timestamp.json", 6},
		{"expiry", func() { f.repo.Extend(f.now.Add(366 * day)) }, "1.root.json 2.root.json 3.root.json 4.fleet.json 4.targets.json 6.snapshot.json fleet.json timestamp.json", 7},
	} {
		kept := f.repo.State()
		tt.change()
		files := f.publish()
		if got := names(files); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.what, got, tt.want)
		}
		if v := f.accept(kept, files); v.Version != tt.version || v.Version != f.repo.Version() {
			t.Errorf("%s: version %d, want %d", tt.what, v.Version, tt.version)
		}
	}
}

// TestLoad publishes from another computer: same bytes, same signers, all roots.
func TestLoad(t *testing.T) {
	w := newWorld(t)
	w.replace("root", "root-2")
	files := w.publish()
	loaded, err := trust.Load(context.Background(), files, w.factory, w.kept, w.now)
	w.must(err)
	if got := loaded.Files(); !maps.EqualFunc(got, files, bytes.Equal) {
		t.Errorf("files %s, want %s", names(got), names(files))
	}
	for _, role := range trust.Roles {
		if got, want := loaded.Signers(role), w.repo.Signers(role); !slices.Equal(got.Keys, want.Keys) || got.Threshold != want.Threshold {
			t.Errorf("%s is signed by %+v, want %+v", role, got, want)
		}
	}
	w.must(loaded.Sign(w.ring(), w.now))
	if loaded.Version() != w.repo.Version() {
		t.Error("signing what did not change made a new version")
	}
	another := files.with("2.root.json", w.forge(files["2.root.json"], func(s object) { s["expires"] = "2030-01-01T00:00:00Z" }, "root", "root-2"))
	_, err = trust.Load(context.Background(), another, w.factory, w.repo.State(), w.now)
	refused(t, err, trust.ErrMixed, "2.root.json")

	// The same change gives the same bytes.
	w.now = w.now.Add(time.Hour)
	for _, r := range []*trust.Repository{loaded, w.repo} {
		w.must(r.Put("fleet.json", []byte(`{"revision":7}`)))
		w.must(r.Sign(w.ring(), w.now))
	}
	if !maps.EqualFunc(loaded.Files(), w.repo.Files(), bytes.Equal) {
		t.Error("two computers sign different bytes")
	}

	_, err = trust.Load(context.Background(), w.first, w.factory, w.kept, w.now)
	refused(t, err, trust.ErrRollback, "timestamp.json")
	_, err = trust.Load(context.Background(), carrier(newFleet(t, true).repo.Files()), w.factory, w.kept, w.now)
	refused(t, err, trust.ErrUnsigned, "keys of another fleet")
	_, err = trust.Load(context.Background(), files.with("fleet.json", []byte("{}")), w.factory, w.kept, w.now)
	refused(t, err, trust.ErrTampered, "fleet.json")
	gone := maps.Clone(files)
	delete(gone, "1.root.json")
	_, err = trust.Load(context.Background(), gone, files["2.root.json"], w.kept, w.now)
	refused(t, err, trust.ErrAbsent, "1.root.json")
}

// TestLoadExpired signs anew what nobody signed for two years.
func TestLoadExpired(t *testing.T) {
	w := newWorld(t)
	w.now = w.now.Add(730 * day)
	repo, err := trust.Load(context.Background(), w.third, w.factory, w.kept, w.now)
	w.must(err)
	if file, at := repo.Expires(); file != "2.snapshot.json" && at.After(w.now) {
		t.Errorf("%s expires at %s", file, at)
	}
	repo.Extend(w.now)
	w.repo = repo
	if v := w.accept(w.kept, w.publish()); v.Version != 4 || v.Expires != w.now.Add(365*day) {
		t.Errorf("%+v", v)
	}
}

func TestMissingKeysAreNamed(t *testing.T) {
	f := newFleet(t, false)
	hide := func(name string) { f.must(os.Rename(filepath.Join(f.keys, name), filepath.Join(f.keys, name+".away"))) }
	hide("release.pem")
	f.put("fleet.json", "{}")
	err := f.repo.Sign(f.ring(), f.now)
	if err == nil || !strings.Contains(err.Error(), "release.pem") || f.repo.Version() != 1 {
		t.Errorf("without the release key: %v, version %d", err, f.repo.Version())
	}
	// A lost root key stops rotations alone.
	f.must(os.Rename(filepath.Join(f.keys, "release.pem.away"), filepath.Join(f.keys, "release.pem")))
	hide("root.pem")
	f.publish()
	f.newKey("release-2")
	f.must(f.repo.Rotate(f.ring(), trust.Signers{Keys: []string{"release-2"}}, trust.RoleTimestamp))
	if err := f.repo.Sign(f.ring(), f.now); err == nil || !strings.Contains(err.Error(), "root.pem") {
		t.Errorf("without the root key: %v", err)
	}
	for _, s := range []trust.Signers{
		{},
		{Keys: []string{"nobody"}},
		{Keys: []string{"release", "release"}},
		{Keys: []string{"release"}, Threshold: 2},
		{Keys: []string{"release"}, Threshold: -1},
	} {
		if err := f.repo.Rotate(f.ring(), s, trust.RoleTargets); err == nil {
			t.Errorf("rotated to %+v", s)
		}
	}
	if err := f.repo.Rotate(f.ring(), trust.Signers{Keys: []string{"release"}}, "mirrors"); err == nil {
		t.Error("rotated a role that there is not")
	}
}

// TestPublishersClock refuses to sign before the last publication; some minutes
// are forgiven.
func TestPublishersClock(t *testing.T) {
	f := newFleet(t, false)
	f.put("fleet.json", `{"revision":2}`)
	if err := f.repo.Sign(f.ring(), f.now.Add(-25*time.Hour)); err == nil || !strings.Contains(err.Error(), "set the clock") {
		t.Errorf("a day behind: %v", err)
	}
	f.must(f.repo.Sign(f.ring(), f.now.Add(-5*time.Minute)))
	if v := f.accept(trust.State{}, carrier(f.repo.Files())); v.Issued != f.now {
		t.Errorf("issued %s, want %s as the one before", v.Issued, f.now)
	}
}

func TestFingerprint(t *testing.T) {
	w := newWorld(t)
	print, err := trust.Fingerprint(w.factory)
	if err != nil || len(print) != 64 {
		t.Fatalf("%q, %v", print, err)
	}
	spaced := append(bytes.ReplaceAll(w.factory, []byte(`,"`), []byte(",\n  \"")), '\n')
	if again, err := trust.Fingerprint(spaced); err != nil || again != print {
		t.Errorf("with white space: %q, %v", again, err)
	}
	w.replace("root", "root-2")
	_, err = trust.Fingerprint(w.publish()["2.root.json"])
	refused(t, err, trust.ErrInvalid, "version 2")
	_, err = trust.Fingerprint(w.forge(w.factory, same, "release"))
	refused(t, err, trust.ErrUnsigned, "the root")
}

func TestTooMuchToSign(t *testing.T) {
	f := newFleet(t, false)
	refused(t, f.repo.Put("fleet.json", make([]byte, 1<<20+1)), trust.ErrTooLarge, "fleet.json")
	for i := range 9000 {
		f.put("apps/a/1."+strings.TrimSuffix(numbered(int64(i), ""), "..json")+".json", "{}")
	}
	refused(t, f.repo.Sign(f.ring(), f.now), trust.ErrTooLarge, "targets.json")
}
