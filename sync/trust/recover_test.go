package trust_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/sync/trust"
)

// TestKeptStateHeals damages each kept file in each way that a power cut or a bad
// disk does: updates go on, from the factory root if need be.
func TestKeptStateHeals(t *testing.T) {
	base, other := newWorld(t), newWorld(t).kept
	for name, member := range map[string]func(*trust.State) *[]byte{
		"root":      func(s *trust.State) *[]byte { return &s.Root },
		"timestamp": func(s *trust.State) *[]byte { return &s.Timestamp },
		"snapshot":  func(s *trust.State) *[]byte { return &s.Snapshot },
		"targets":   func(s *trust.State) *[]byte { return &s.Targets },
		"fleet":     func(s *trust.State) *[]byte { return &s.Fleet },
	} {
		for how, damage := range map[string]func([]byte) []byte{
			"empty":          func([]byte) []byte { return []byte{} },
			"cut":            func(b []byte) []byte { return b[:len(b)/2] },
			"garbled":        func(b []byte) []byte { return append([]byte{0, 0xff}, b[2:]...) },
			"null":           func([]byte) []byte { return []byte("null") },
			"another's":      func([]byte) []byte { return *member(&other) },
			"hollow":         func([]byte) []byte { return []byte(`{"signed":{"_type":"` + name + `","targets":{"a":null}}}`) },
			"otherwise said": func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), `"meta"`, `"mota"`)) },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				w, kept := base.in(t), clone(t, base.kept)
				part := member(&kept)
				*part = damage(*part)
				v := w.accept(kept, w.third)
				if v.Version != 3 {
					t.Errorf("version %d", v.Version)
				}
				if again := w.accept(v.State, carrier{"timestamp.json": w.third["timestamp.json"]}); again.Version != 3 {
					t.Error("what is kept afterwards is not whole")
				}
			})
		}
	}
}

// TestMissedRotations is a device that was off for a year, or comes from the shelf.
func TestMissedRotations(t *testing.T) {
	w := newWorld(t)
	for i := range 2 {
		w.replace([]string{"root", "root-1"}[i], fmt.Sprintf("root-%d", i+1))
		w.publish()
		w.replace([]string{"release", "release-1"}[i], fmt.Sprintf("release-%d", i+1))
		w.publish()
	}
	w.now = w.now.Add(366 * day)
	w.repo.Extend(w.now.Add(30 * day))
	now := w.publish()
	for name, kept := range map[string]trust.State{"off for a year": w.kept, "from the shelf": {}} {
		v := w.accept(kept, now)
		if v.Root != 5 || len(v.Documents) != 4 {
			t.Errorf("%s: root %d, documents %v", name, v.Root, v.Documents)
		}
		if v.Expires != w.now.Add(365*day) {
			t.Errorf("%s: expires %s", name, v.Expires)
		}
	}
	gap := now.with("3.root.json", nil)
	delete(gap, "3.root.json")
	_, err := trust.Verify(context.Background(), w.factory, w.kept, gap, w.now)
	refused(t, err, trust.ErrUnsigned, "targets.json")
}

func TestEndlessRotations(t *testing.T) {
	w := newWorld(t)
	files := w.third
	for n := int64(2); n <= 258; n++ {
		files[numbered(n, "root")] = w.forge(w.factory, func(s object) { s["version"] = n }, "root")
	}
	_, err := trust.Verify(context.Background(), w.factory, w.kept, files, w.now)
	refused(t, err, trust.ErrTooLarge, "256 rotations")
}

// TestRevokedKey lets a thief sign with each key that was rotated away.
func TestRevokedKey(t *testing.T) {
	f := newFleet(t, false)
	old := carrier(f.repo.Files())
	kept := f.accept(trust.State{}, old).State
	f.replace("release", "release-2")
	now := f.publish()
	kept = f.accept(kept, now).State

	stolen := now.with("timestamp.json", f.forge(now["timestamp.json"], func(s object) { s["version"] = 9 }, "release"))
	_, err := trust.Verify(context.Background(), f.factory, kept, stolen, f.now)
	refused(t, err, trust.ErrUnsigned, "timestamp.json")

	// Hiding the new root does not help a device that has seen it.
	_, err = trust.Verify(context.Background(), f.factory, kept, old, f.now)
	refused(t, err, trust.ErrUnsigned, "timestamp.json")
}

// TestThreshold takes two of three keys for the root.
func TestThreshold(t *testing.T) {
	f := newFleet(t, false)
	f.newKey("root-2")
	f.newKey("root-3")
	f.must(f.repo.Rotate(f.ring(), trust.Signers{Keys: []string{"root", "root-2", "root-3"}, Threshold: 2}, trust.RoleRoot))
	files := f.publish()
	kept := f.accept(trust.State{}, files).State
	next := func(s object) { s["version"] = 3 }
	for _, tt := range []struct {
		keys []string
		want error
	}{
		{[]string{"root"}, trust.ErrUnsigned},
		{[]string{"root", "release"}, trust.ErrUnsigned},
		{[]string{"root-2", "root-2"}, trust.ErrInvalid},
		{[]string{"root-3", "root-2"}, nil},
	} {
		changed := files.with("3.root.json", f.forge(files["2.root.json"], next, tt.keys...))
		v, err := trust.Verify(context.Background(), f.factory, kept, changed, f.now)
		refused(t, err, tt.want, "3.root.json")
		if tt.want == nil && (err != nil || v.Root != 3) {
			t.Errorf("%v: %v", tt.keys, err)
		}
	}
	// One key under two names is one key.
	double := f.forge(files["2.root.json"], func(s object) {
		next(s)
		keys := s["keys"].(object)
		role := s["roles"].(object)["root"].(object)
		role["keyids"] = []any{role["keyids"].([]any)[0], "second-name"}
		keys["second-name"] = keys[role["keyids"].([]any)[0].(string)]
	}, "root", "root-2")
	double = flip(double, `"signatures":[`, `"signatures":[`+strings.Replace(firstSignature(double), `"keyid":"`, `"keyid":"second-name","was":"`, 1)+",")
	_, err := trust.Verify(context.Background(), f.factory, kept, files.with("3.root.json", double), f.now)
	refused(t, err, trust.ErrUnsigned, "3.root.json")
}

// firstSignature is the JSON of a file's first signature.
func firstSignature(file []byte) string {
	_, list, _ := strings.Cut(string(file), `"signatures":[`)
	list, _, _ = strings.Cut(list, "]")
	return strings.SplitAfter(list, "}")[0]
}

// TestFastForward lets the thief of the rollout key count up as far as it goes,
// so that devices refuse all honest versions, and rotates the key.
func TestFastForward(t *testing.T) {
	const top int64 = math.MaxInt64 - 1
	w := newWorld(t)
	fleet := w.forge(w.third["3.fleet.json"], func(s object) { s["version"] = top }, "rollout")
	snapshot := w.forge(w.third["3.snapshot.json"], func(s object) {
		s["version"] = top
		s["meta"].(object)["fleet.json"] = entry(top, fleet)
	}, "rollout")
	stolen := w.third.with(numbered(top, "fleet"), fleet).with(numbered(top, "snapshot"), snapshot).
		with("timestamp.json", w.forge(w.third["timestamp.json"], func(s object) {
			s["version"] = top
			s["x-issued"] = "2099-01-01T00:00:00Z"
			s["expires"] = "2100-01-01T00:00:00Z"
			s["meta"].(object)["snapshot.json"] = entry(top, snapshot)
		}, "rollout"))
	v, _ := trust.Verify(context.Background(), w.factory, w.kept, stolen, w.now)
	kept := v.State
	_, err := trust.Verify(context.Background(), w.factory, kept, w.third, w.now)
	refused(t, err, trust.ErrRollback, "timestamp.json")

	// The publisher reads what is live, the thief's, and is told what to do.
	w.repo, err = trust.Load(context.Background(), stolen, w.factory, kept, w.now)
	w.must(err)
	w.put("fleet.json", `{"revision":9}`)
	if err := w.repo.Sign(w.ring(), w.now); err == nil || !strings.Contains(err.Error(), "rotate the timestamp's key") {
		t.Errorf("signing after 2099: %v", err)
	}
	if err := w.repo.Sign(w.ring(), v.Issued); err == nil || !strings.Contains(err.Error(), "rotate the key of fleet") {
		t.Errorf("signing after a fast-forward: %v", err)
	}
	w.replace("rollout", "rollout-2")
	healed := w.publish()
	for name, kept := range map[string]trust.State{"that saw it": kept, "that did not": w.kept, "that is new": {}} {
		if v := w.accept(kept, healed); v.Version != 1 || v.Root != 2 {
			t.Errorf("device %s: version %d, root %d", name, v.Version, v.Root)
		}
	}
	_, err = trust.Verify(context.Background(), w.factory, w.accept(kept, healed).State, stolen, w.now)
	refused(t, err, trust.ErrUnsigned, "timestamp.json")
}

// TestClocks has no clock, a clock that is ahead, and what timestamps prove.
func TestClocks(t *testing.T) {
	epoch, later := time.Unix(0, 0), time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC)
	w := newWorld(t)
	ctx := context.Background()
	if _, err := trust.Verify(ctx, w.factory, w.kept, w.third, epoch); err != nil {
		t.Errorf("1970, an honest publication: %v", err)
	}
	_, err := trust.Verify(ctx, w.factory, w.kept, w.first, epoch)
	refused(t, err, trust.ErrRollback, "timestamp.json")
	_, err = trust.Verify(ctx, w.factory, w.kept, w.third, later)
	refused(t, err, trust.ErrExpired, "timestamp.json")
	w.accept(w.kept, w.third) // nothing of it stays when the clock is right again

	// A publication that had expired when the kept one was signed.
	stale := w.third.with("timestamp.json", w.forge(w.third["timestamp.json"], func(s object) {
		s["expires"] = w.now.Add(-3 * time.Hour).Format(time.RFC3339)
		delete(s, "x-issued")
	}, "rollout"))
	_, err = trust.Verify(ctx, w.factory, trust.State{}, stale, epoch)
	if err != nil {
		t.Errorf("1970 and nothing kept: %v", err)
	}
	_, err = trust.Verify(ctx, w.factory, w.kept, stale, epoch)
	refused(t, err, trust.ErrExpired, "timestamp.json")
}

// TestExpiredRoot heals by a new one.
func TestExpiredRoot(t *testing.T) {
	f := newFleet(t, false)
	f.repo.Lifetimes = map[trust.Role]time.Duration{trust.RoleRoot: 30 * day}
	f.replace("release", "release-2")
	files := f.publish()
	kept := f.accept(trust.State{}, files).State
	f.now = f.now.Add(31 * day)
	v, err := trust.Verify(context.Background(), f.factory, kept, files, f.now)
	refused(t, err, trust.ErrExpired, "2.root.json")
	if v == nil || v.Version != 2 || v.Root != 2 {
		t.Errorf("what can be shown: %+v", v)
	}
	f.repo.Extend(f.now.Add(day))
	if v := f.accept(kept, f.publish()); v.Root != 3 {
		t.Errorf("root %d", v.Root)
	}
}

// TestAnotherFactoryRoot is a device that its owner moves to another fleet: roots
// reached from the first one count no more.
func TestAnotherFactoryRoot(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	w.replace("root", "root-2")
	kept := w.accept(w.kept, w.publish()).State
	v, err := trust.Verify(context.Background(), other.factory, kept, other.first, other.now)
	if err != nil || v.Root != 1 || v.Version != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	_, err = trust.Verify(context.Background(), other.factory, kept, carrier(w.repo.Files()), other.now)
	refused(t, err, trust.ErrUnsigned, "keys of another fleet")
	_, err = trust.Verify(context.Background(), []byte("{}"), kept, w.third, w.now)
	refused(t, err, trust.ErrInvalid, "the factory root")
}
