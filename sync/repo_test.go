package fleetsync_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/sync/trust"
)

// open reads the bench's fleet as a publisher.
func (b *bench) open() *fleetsync.FleetRepo {
	b.t.Helper()
	r, err := fleetsync.OpenFleet(b.t.Context(), b.access())
	if err != nil {
		b.t.Fatalf("open the fleet: %v", err)
	}
	return r
}

// fleet writes a fleet document with these assignments.
func (b *bench) fleet(assignments string) string {
	return b.write("fleet.yaml", "apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: \""+b.open().Name()+"\"}\nassignments: "+assignments+"\n")
}

// push publishes a plan that must be good.
func push(t *testing.T, r *fleetsync.FleetRepo, p *fleetsync.Plan, err error) fleetsync.PublishResult {
	t.Helper()
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	res, err := r.Push(t.Context(), p, nil)
	if err != nil {
		t.Fatalf("push: %v", err)
	}
	return res
}

// copyKeys is a keys folder as another publisher has it.
func copyKeys(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "keys")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, f.Name()), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestInitFleetBeginsOnce(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		keys := filepath.Join(t.TempDir(), "plant")
		access := fleetsync.Access{Ref: b.ref, Keys: keys}
		made, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access, Name: "plant", RootKeys: 2})
		if err != nil {
			t.Fatal(err)
		}
		fingerprint, err := trust.Fingerprint(made.Root)
		if err != nil || fingerprint != made.Fingerprint || len(fingerprint) != 64 || made.Name != "plant" {
			t.Errorf("%+v, %v", made, err)
		}
		want := []string{filepath.Join(keys, "release.pem"), filepath.Join(keys, "root-2.pem"), filepath.Join(keys, "root.pem")}
		if !slices.Equal(made.KeyFiles, want) {
			t.Errorf("keys %v, want %v", made.KeyFiles, want)
		}
		note, err := fleetsync.ReadKeys(keys)
		if err != nil || note.Name != "plant" {
			t.Errorf("%+v, %v", note, err)
		}
		r, err := fleetsync.OpenFleet(t.Context(), fleetsync.Access{Keys: keys}) // the folder knows where
		if err != nil || r.Name() != "plant" || len(r.Apps()) != 0 || r.Fleet().Metadata.Revision != 0 || r.Publication() != 1 {
			t.Errorf("a new fleet: %v", err)
		}

		_, err = fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access, Name: "plant"})
		wantErr(t, err, keys+" holds the keys of fleet plant already: name another folder")
		access.Keys = filepath.Join(t.TempDir(), "other")
		_, err = fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access})
		wantErr(t, err, "holds a fleet already: publish to it with its keys, or name another repository or tag")
		access.Keys = ""
		_, err = fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access})
		wantErr(t, err, "say which folder the fleet's keys go to")
		access.Keys = t.TempDir() + "/k"
		_, err = fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access, Name: "Plant West"})
		wantErr(t, err, `"Plant West" is no name of a fleet`)
	})
}

func TestInitFleetGoesOnWhereItWasInterrupted(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	access := fleetsync.Access{Ref: b.ref, Keys: filepath.Join(t.TempDir(), "keys")}
	reg.Stop()
	if _, err := fleetsync.InitFleet(cancelled(t), fleetsync.InitOptions{Access: access}); err == nil {
		t.Fatal("a registry that is away took a fleet")
	}
	reg.Restart()
	made, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access})
	if err != nil {
		t.Fatal(err)
	}
	// It had published and died before it noted that.
	if err := os.Remove(filepath.Join(access.Keys, "seen.json")); err != nil {
		t.Fatal(err)
	}
	again, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access})
	if err != nil || again.Fingerprint != made.Fingerprint || !bytes.Equal(again.Root, made.Root) {
		t.Errorf("taken up again: %v, %v", err, again.Fingerprint)
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestPublishTakesKeys(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	app := b.app("overheat", "1.0.0", 1, 5000)
	publish := func(ref, keys string) error {
		_, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: fleetsync.Access{Ref: ref, Keys: keys}, AppFile: app})
		return err
	}
	err := publish(b.ref, "")
	wantErr(t, err, "only what is signed is published: make a fleet and its keys with: skerry fleet init oci://HOST/REPOSITORY")
	if !errors.Is(err, fleetsync.ErrNoKeys) {
		t.Errorf("%v", err)
	}
	empty := t.TempDir()
	wantErr(t, publish(b.ref, empty), empty+" holds no keys of a fleet", "skerry fleet init")
	wantErr(t, publish("oci-layout:"+t.TempDir(), b.access().Keys), "holds nothing, though the keys in", "are of fleet plant")

	theirs := newBench(t, "oci-layout:"+t.TempDir()+"/theirs")
	theirs.publish(theirs.app("chiller", "1.0.0", 2, 5000), "")
	err = publish(theirs.ref, b.access().Keys)
	wantErr(t, err, "theirs", "use the keys of that fleet")
	if !errors.Is(err, trust.ErrUnsigned) {
		t.Errorf("%v", err)
	}
	if err := os.Remove(filepath.Join(b.access().Keys, "release.pem")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, publish(b.ref, b.access().Keys), "release.pem")
}

// Devices are told the name when the fleet begins: the first document bears it.
func TestFirstFleetDocumentBearsTheName(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	app := b.app("overheat", "1.0.0", 1, 5000)
	_, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: b.access(), AppFile: app, FleetFile: b.write("fleet.yaml",
		"apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: hall}\nassignments: [{app: overheat, version: 1.0.0}]\n")})
	wantErr(t, err, `holds the fleet "plant"`, `is about "hall": write metadata.name: plant in`)
}

// A registry that serves an old, well signed publication is noticed by whoever
// saw a newer one.
func TestPublisherNoticesAnOlderPublication(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plant")
	b := newBench(t, "oci-layout:"+dir)
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	old, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
	if err := os.WriteFile(filepath.Join(dir, "index.json"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: b.access(), AppFile: b.app("overheat", "1.2.0", 3, 5000)})
	if !errors.Is(err, trust.ErrRollback) {
		t.Fatalf("an older publication: %v", err)
	}
	wantErr(t, err, "somebody put old documents back, or the registry lost the newest: restore them there")
}

// Publishers that start at the same moment: each is told or wins, nothing is lost.
func TestPublishersAtTheSameTime(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		names := []string{"a", "b", "c", "d"}
		var files []string
		for i, name := range names {
			files = append(files, b.app(name, "1.0.0", uint64(i), 5000))
		}
		access := b.access()
		var wg sync.WaitGroup
		for _, file := range files {
			wg.Go(func() {
				for {
					_, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: access, AppFile: file})
					if err == nil {
						return
					}
					if !errors.Is(err, fleetsync.ErrMoved) {
						t.Errorf("publish %s: %v", file, err)
						return
					}
				}
			})
		}
		wg.Wait()
		r := b.open()
		if n := len(r.Apps()); n != 4 || r.Fleet().Metadata.Revision != 4 || len(r.Fleet().Assignments) != 4 || r.Publication() != 5 {
			t.Errorf("%d apps, revision %d, publication %d", n, r.Fleet().Metadata.Revision, r.Publication())
		}
	})
}

func TestPublishAgainAfterItBroke(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		b.publish(b.app("overheat", "1.0.0", 1, 300_000), "")
		next := b.app("overheat", "1.1.0", 2, 300_000)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := fleetsync.Publish(ctx, fleetsync.PublishOptions{Access: b.access(), AppFile: next, Progress: func(step string, done, total int64) {
			if step == "sending" && done >= 300_000 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("a publish that was cut: %v", err)
		}
		if r := b.open(); len(r.Apps()) != 1 || r.Publication() != 2 {
			t.Errorf("half of a publish is there: %v", r.Apps())
		}
		res := b.publish(next, "")
		if res.Revision != 2 || res.Unchanged {
			t.Errorf("published again: %+v", res)
		}
		if res = b.publish(next, ""); !res.Unchanged || res.Bytes != 0 || res.Publication != 3 {
			t.Errorf("the same once more: %+v", res)
		}
		check(t, b.puller(b.ref))
		b.run.want(t, "overheat@1.1.0")
	})
}

// A fleet that nobody published to for a year is opened, and signed anew.
func TestExpiredFleetIsPublishedTo(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	app := b.app("overheat", "1.0.0", 1, 5000)
	first := b.publish(app, "")
	access := b.access()
	at := func(days int) fleetsync.PublishResult {
		t.Helper()
		access.Now = func() time.Time { return time.Now().AddDate(0, 0, days) }
		res, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: access, AppFile: app})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := at(30); !res.Unchanged {
		t.Errorf("a month later: %+v", res)
	}
	if res := at(200); res.Unchanged || res.Publication != first.Publication+1 {
		t.Errorf("past half of its time it is signed anew: %+v", res)
	}
	if res := at(800); res.Unchanged || res.Publication != first.Publication+2 {
		t.Errorf("expired, it is signed anew: %+v", res)
	}
	r, err := fleetsync.OpenFleet(t.Context(), access)
	if err != nil {
		t.Fatal(err)
	}
	if file, end := r.Expires(); end.Before(time.Now().AddDate(0, 0, 1100)) {
		t.Errorf("%s ends %s", file, end)
	}
	// without the key for it, the rest is signed and a sentence says so
	if err := os.Rename(filepath.Join(access.Keys, "release.pem"), filepath.Join(access.Keys, "release.away")); err != nil {
		t.Fatal(err)
	}
	res := at(800 + 200)
	if len(res.Warnings) == 0 || !res.Unchanged {
		t.Fatalf("%+v", res)
	}
	wantErr(t, errors.New(res.Warnings[len(res.Warnings)-1]), "the signature of", "and with it all updates: publish again with its keys before")
}

// TestWhatHasItsKeysIsRenewed publishes with the rollout key alone, when all
// signatures end soon.
func TestWhatHasItsKeysIsRenewed(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/fleet")
	b.publish(b.app("overheat", "1.0.0", 1, 2000), "")
	access := b.access()
	repo, err := fleetsync.OpenFleet(t.Context(), access)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := repo.Rotate(trust.RoleFleet, fleetsync.RotateOptions{Split: true})
	if err == nil {
		_, err = repo.Push(t.Context(), plan, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(access.Keys, "release.pem"), filepath.Join(access.Keys, "release.away")); err != nil {
		t.Fatal(err)
	}
	access.Now = func() time.Time { return time.Now().AddDate(0, 0, 200) }
	if repo, err = fleetsync.OpenFleet(t.Context(), access); err != nil {
		t.Fatal(err)
	}
	before := repo.Publication()
	if plan, err = repo.Edit(func(*fleetsync.Fleet) error { return nil }); err != nil {
		t.Fatal(err)
	}
	res, err := repo.Push(t.Context(), plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Publication != before+1 || len(res.Warnings) == 0 || !strings.Contains(res.Warnings[0], "targets.json") {
		t.Errorf("published %d after %d, warnings %q: what has its key is signed anew, and the rest is told", res.Publication, before, res.Warnings)
	}
}
