package fleetsync_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/sync/trust"
)

// rollout is a fleet whose overheat 1.1.0 is on its way to all.
func rollout(b *bench) *fleetsync.FleetRepo {
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	b.publish(b.app("chiller", "1.0.0", 2, 5000), "")
	b.publish(b.app("overheat", "1.1.0", 3, 5000), b.fleet(
		"[{app: overheat, version: 1.1.0, percent: 10}, {app: chiller, version: 1.0.0}, {app: overheat, version: 1.0.0}]"))
	return b.open()
}

func lines(changes []fleetsync.Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, c.String())
	}
	return out
}

func wantLines(t *testing.T, changes []fleetsync.Change, want ...string) {
	t.Helper()
	if got := lines(changes); !slices.Equal(got, want) {
		t.Errorf("changes\n%q, want\n%q", got, want)
	}
}

func percent(p float64) *float64 { return &p }

func TestEditPromotes(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		r := rollout(b)
		p, err := r.Edit(func(f *fleetsync.Fleet) error {
			f.Assignments[0].Percent = percent(25)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, p.Diff(), "assignments[0]: overheat@1.1.0 for 10 % of every device → overheat@1.1.0 for 25 % of every device")
		if p.Revision() != 4 || p.Unchanged() {
			t.Errorf("revision %d", p.Revision())
		}
		res := push(t, r, p, nil)
		f := b.open().Fleet()
		if res.Revision != 4 || f.Metadata.Revision != 4 || *f.Assignments[0].Percent != 25 || f.Assignments[1].App != "chiller" || f.Assignments[2].Version != "1.0.0" {
			t.Errorf("%+v, %+v", res, f)
		}
		// the same repository goes on
		p, err = r.Edit(func(f *fleetsync.Fleet) error {
			f.Paused = true
			f.Assignments[0], f.Assignments[2] = f.Assignments[2], f.Assignments[0]
			return nil
		})
		wantLines(t, p.Diff(), "paused: + true", "assignments: + in another order, and the first that matches counts")
		push(t, r, p, err)

		other := b.open()
		p, err = r.Edit(func(f *fleetsync.Fleet) error { f.Paused = false; return nil })
		push(t, r, p, err)
		p, err = other.Edit(func(f *fleetsync.Fleet) error { f.Assignments[0].Percent = percent(1); return nil })
		if err == nil {
			_, err = other.Push(t.Context(), p, nil)
		}
		if !errors.Is(err, fleetsync.ErrMoved) {
			t.Errorf("an edit of what was: %v", err)
		}
	})
}

func TestEditRefuses(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	r := rollout(b)
	_, err := r.Edit(func(f *fleetsync.Fleet) error { f.Assignments[0].Percent = percent(101); return nil })
	wantErr(t, err, "fleet.json:1: assignments[0].percent: 101 is no percentage: 0 to 100")
	_, err = r.Edit(func(f *fleetsync.Fleet) error { f.Assignments[0].Version = "2.0.0"; return nil })
	wantErr(t, err, "assignments[0].version: overheat@2.0.0 is not published: publish its app file first, or together")
	_, err = r.Edit(func(*fleetsync.Fleet) error { return errors.New("no such app") })
	wantErr(t, err, "no such app")
	p, err := r.Edit(func(f *fleetsync.Fleet) error { f.Metadata.Revision = 99; return nil }) // counted here
	if err != nil || !p.Unchanged() || p.Revision() != 3 || len(p.Diff()) != 0 {
		t.Errorf("an edit that changes nothing: %v", err)
	}
	if res := push(t, r, p, err); !res.Unchanged {
		t.Errorf("%+v", res)
	}
	_, err = r.App(agent.AppVersion{Name: "overheat", Version: "3.0.0"})
	wantErr(t, err, "overheat@3.0.0 is not published; published of it: 1.1.0, 1.0.0")
}

func TestRevokeTakesAReplacement(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		r := rollout(b)
		bad := agent.AppVersion{Name: "overheat", Version: "1.1.0"}
		_, err := r.Revoke(bad, "")
		wantErr(t, err, "overheat@1.1.0 is assigned by assignment 1 of the fleet: say with --replace what its devices run instead, another version or none")
		_, err = r.Revoke(bad, "1.1.0")
		wantErr(t, err, "cannot replace itself")
		_, err = r.Revoke(bad, "9.0.0")
		wantErr(t, err, "assignments[0].version: overheat@9.0.0 is not published")
		_, err = r.Revoke(agent.AppVersion{Name: "overheat", Version: "9.0.0"}, "")
		wantErr(t, err, "overheat@9.0.0 is not published; published of it: 1.1.0, 1.0.0")
		_, err = r.Revoke(agent.AppVersion{Name: "heater", Version: "1.0.0"}, "")
		wantErr(t, err, "heater@1.0.0 is not published; publish its app file")

		p, err := r.Revoke(bad, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, p.Diff(), "overheat@1.1.0: published → revoked",
			"assignments[0]: overheat@1.1.0 for 10 % of every device → overheat@1.0.0 for 10 % of every device")
		push(t, r, p, err)
		if r = b.open(); slices.Contains(r.Apps(), bad) || r.Fleet().Assignments[0].Version != "1.0.0" {
			t.Errorf("%v, %+v", r.Apps(), r.Fleet())
		}
		_, err = r.Plan(b.app("overheat", "1.1.0", 9, 5000), "", fleetsync.Checks{})
		wantErr(t, err, "metadata.version: overheat@1.1.0 was revoked: bump it")
		_, err = r.Revoke(bad, "")
		wantErr(t, err, "overheat@1.1.0 was revoked; published of it: 1.0.0")
		_, err = r.Edit(func(f *fleetsync.Fleet) error { f.Assignments[0].Version = "1.1.0"; return nil }) // as a rollback does
		wantErr(t, err, "assignments[0].version: overheat@1.1.0 was revoked: name another version")
	})
}

func TestRotate(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	r := rollout(b)
	keys := b.access().Keys
	stolen := copyKeys(t, keys)
	_, err := r.Rotate("owner", fleetsync.RotateOptions{})
	wantErr(t, err, `"owner" is no role: name one of root, targets, fleet, snapshot, timestamp`)

	p, err := r.Rotate(trust.RoleTargets, fleetsync.RotateOptions{})
	wantLines(t, p.Diff(), "keys: + targets, fleet, snapshot, timestamp signed by the new key release-2")
	if notes := p.Warnings(); len(notes) != 1 || !strings.Contains(notes[0], "copy the folder "+keys+" to a safe place again") {
		t.Errorf("%q", notes)
	}
	push(t, r, p, err)
	p, err = r.Rotate(trust.RoleFleet, fleetsync.RotateOptions{Split: true})
	wantLines(t, p.Diff(), "keys: + fleet, snapshot, timestamp signed by the new key rollout")
	push(t, r, p, err)
	p, err = r.Rotate(trust.RoleRoot, fleetsync.RotateOptions{})
	wantLines(t, p.Diff(), "keys: + root signed by the new key root-2")
	push(t, r, p, err)
	b.publish(b.app("overheat", "1.2.0", 4, 5000), "")

	// who stole the old key can read, and not publish
	_, err = fleetsync.Publish(t.Context(), fleetsync.PublishOptions{
		Access: fleetsync.Access{Ref: b.ref, Keys: stolen}, AppFile: b.app("overheat", "6.6.6", 5, 5000),
	})
	wantErr(t, err, "release-2")
	// who has the rollout key alone promotes, and publishes no app
	if err := os.Rename(filepath.Join(keys, "release-2.pem"), filepath.Join(t.TempDir(), "safe.pem")); err != nil {
		t.Fatal(err)
	}
	r = b.open()
	p, err = r.Edit(func(f *fleetsync.Fleet) error { f.Assignments[0].Percent = percent(50); return nil })
	push(t, r, p, err)
	_, err = fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: b.access(), AppFile: b.app("overheat", "6.6.6", 5, 5000)})
	wantErr(t, err, "release-2.pem")
	check(t, b.puller(b.ref)) // a device with the first root follows
}

func TestRotateManyRootKeys(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	access := fleetsync.Access{Ref: b.ref, Keys: t.TempDir() + "/keys"}
	if _, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access, RootKeys: 3, Threshold: 2}); err != nil {
		t.Fatal(err)
	}
	r, err := fleetsync.OpenFleet(t.Context(), access)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Rotate(trust.RoleRoot, fleetsync.RotateOptions{})
	wantLines(t, p.Diff(), "keys: + root signed by the new key root-4, root-5, root-6")
	push(t, r, p, err)

	if err := os.Remove(filepath.Join(access.Keys, "root-4.pem")); err != nil {
		t.Fatal(err)
	}
	p, err = r.Rotate(trust.RoleRoot, fleetsync.RotateOptions{})
	wantLines(t, p.Diff(), "keys: + root signed by the new key root-7, root-8, root-9") // root-4 may be found again
	push(t, r, p, err)

	for _, name := range []string{"root-8.pem", "root-9.pem"} {
		if err := os.Remove(filepath.Join(access.Keys, name)); err != nil {
			t.Fatal(err)
		}
	}
	before, err := filepath.Glob(access.Keys + "/*.pem")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Rotate(trust.RoleTargets, fleetsync.RotateOptions{})
	wantErr(t, err, "1 of 2 signatures cannot be made", "root-8.pem", "root-9.pem")
	if after, _ := filepath.Glob(access.Keys + "/*.pem"); !slices.Equal(before, after) {
		t.Errorf("a rotation that was refused left keys: %v, before: %v", after, before)
	}
}

func TestEncryptedKeys(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	access := fleetsync.Access{Ref: b.ref, Keys: filepath.Join(t.TempDir(), "keys")}
	_, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access, Encrypt: true})
	wantErr(t, err, "there is nobody to ask for the passphrase of a new key")
	var asked []string
	access.Passphrase = func(file string) ([]byte, error) {
		asked = append(asked, filepath.Base(file))
		return []byte("open sesame"), nil
	}
	if _, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access, Encrypt: true}); err != nil {
		t.Fatal(err)
	}
	asked = nil
	if _, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: access, AppFile: b.app("overheat", "1.0.0", 1, 5000)}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(asked, []string{"release.pem"}) {
		t.Errorf("asked for %v", asked)
	}
	access.Passphrase = nil
	_, err = fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: access, AppFile: b.app("overheat", "1.1.0", 2, 5000)})
	wantErr(t, err, "release.pem", "passphrase")
}

func TestHistory(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		r := rollout(b)
		list, err := r.History(t.Context(), 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 3 || list[0].Publication != 4 || list[0].Revision != 3 || list[2].Revision != 1 || list[0].Issued.IsZero() || list[0].Manifest != r.Manifest() {
			t.Fatalf("%+v", list)
		}
		wantLines(t, list[1].Changes, "chiller@1.0.0: + a new app", "chiller@1.0.0: functions.f: + module "+b.hexOf(2, 5000)+" of 5000 bytes",
			"GAINED chiller@1.0.0: functions.f.permissions.invoke: + central/notify",
			`chiller@1.0.0: triggers.hot: + mqtt {"topic":"$share/g/sensors/+/t","qos":2,"retained":"ignore"} starts f`,
			`chiller@1.0.0: triggers.tick: + schedule {"every":"30s"} starts f`,
			"assignments[1]: + chiller@1.0.0 for every device")
		// back to what was
		p, err := r.Edit(func(f *fleetsync.Fleet) error { f.Assignments = list[2].Fleet.Assignments; return nil })
		push(t, r, p, err)
		if f := b.open().Fleet(); len(f.Assignments) != 1 || f.Metadata.Revision != 4 {
			t.Errorf("%+v", f)
		}
		if list, err = r.History(t.Context(), 100); err != nil || len(list) != 5 || list[4].Revision != 0 {
			t.Errorf("%d entries, %v", len(list), err)
		}
	})
}

func (b *bench) hexOf(seed uint64, size int) string {
	return string(digestOf(module(seed, size)))[7:19]
}

// Versions that no assignment names go, in the end; not while devices were told to
// keep what they run.
func TestOldVersionsArePruned(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	release := func(n int) int {
		b.publish(b.app("overheat", fmt.Sprintf("1.%d.0", n), uint64(n), 5000), "")
		return len(b.open().Apps())
	}
	for n := 1; n <= 12; n++ {
		if got := release(n); got != min(n+1, 11) {
			t.Errorf("after %d releases %d are published", n+1, got)
		}
	}
	r := b.open()
	p, err := r.Edit(func(f *fleetsync.Fleet) error { f.Assignments[0].Paused = true; return nil })
	push(t, r, p, err)
	if got := release(13); got != 12 {
		t.Errorf("%d are published", got)
	}
}
