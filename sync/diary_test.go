package fleetsync_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// told are the entries of the history as "from→to state", the oldest first.
func (w *watched) told() (out []string) {
	for _, e := range slices.Backward(w.p.Deployments().Entries) {
		out = append(out, fmt.Sprintf("%s %s→%s %s", e.App, e.From, e.To, e.State))
	}
	return out
}

func (w *watched) wantTold(t *testing.T, want ...string) {
	t.Helper()
	if got := w.told(); !slices.Equal(got, want) {
		t.Fatalf("the history tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// moduleOf is the digest of the module that version makes.
func (w *watched) moduleOf(name, version string) agent.Digest {
	return digestOf(module(uint64(version[0])<<8+uint64(version[2])+uint64(len(name)), 5000))
}

func TestHistoryTellsABadRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.is("overheat@1.1.0", of(100, 30))
		<-time.After(11 * time.Second)
		want := []string{
			"overheat →1.0.0 probation", "overheat 1.0.0→1.0.0 good",
			"overheat 1.0.0→1.1.0 probation", "overheat 1.1.0→1.0.0 quarantined",
		}
		w.wantTold(t, want...)
		entries := w.p.Deployments().Entries
		if e := entries[0]; !strings.Contains(e.Reason, "30 of 100 runs") || e.Wanted != "1.1.0" || e.Revision != 2 || time.Since(e.Time) > time.Minute || e.Unsure {
			t.Errorf("newest entry %+v", e)
		}
		if e := entries[1]; len(e.What) != 1 || !strings.HasPrefix(e.What[0], "functions.f.module: module ") || e.Reason != "1.0.0 runs again, should it fail its health gate" {
			t.Errorf("entry of the update %+v", e)
		}
		if e := entries[3]; !slices.Contains(e.What, "GAINED functions.f.permissions.invoke: + central/notify") || e.What[0] != "a new app" {
			t.Errorf("entry of the install %+v", e)
		}
		writes := w.cache.wrote["history"]
		<-time.After(24 * time.Hour)
		w.end()
		w.again()
		w.wantTold(t, want...)
		if n := w.cache.wrote["history"]; n != writes {
			t.Errorf("the history was written %d times though nothing changed", n-writes)
		}
	})
}

// TestHistoryAfterADeath: the agent died after a switch was kept, and before it was
// written down.
func TestHistoryAfterADeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.version("overheat", "1.0.0")
		check(t, w.p)
		w.version("overheat", "1.1.0")
		w.bench.run.dies = true
		if err := w.p.Check(t.Context()); err == nil {
			t.Fatal("no error")
		}
		w.again()
		w.wantTold(t, "overheat →1.0.0 probation", "overheat 1.0.0→1.1.0 probation")
		if e := w.p.Deployments().Entries[0]; len(e.What) != 1 {
			t.Errorf("what changed is not told: %+v", e)
		}
	})
}

func TestDamagedHistoryHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, damage := range []string{"", "{", `{"format":9}`, `[]`, strings.Repeat("x", 100_000), "\xff\x00"} {
			w := newWatched(t)
			w.version("overheat", "1.0.0")
			check(t, w.p)
			if err := w.cache.Pin("history", []byte(damage)); err != nil {
				t.Fatal(err)
			}
			w.again()
			w.wantTold(t, "overheat →1.0.0 probation")
			if kept, err := w.cache.Pinned("history"); err != nil || !json.Valid(kept) || !strings.Contains(w.log.String(), "begins anew") {
				t.Errorf("%.20q is not mended: %.100q, %v", damage, kept, err)
			}
		}
	})
}

// TestHistoryMarksTimesOfAWrongClock, which nothing has set right yet.
func TestHistoryMarksTimesOfAWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.p = w.pullerOptions(w.ref, device(), fleetsync.PullerOptions{Health: w.health, Sure: func() bool { return false }})
		w.version("overheat", "1.0.0")
		check(t, w.p)
		if list := w.p.Deployments().Entries; len(list) != 1 || !list[0].Unsure {
			t.Errorf("%+v", list)
		}
	})
}

// TestHistoryIsBounded by entries and by bytes: the oldest go.
func TestHistoryIsBounded(t *testing.T) {
	for _, tt := range []struct{ entries, reason, least, most int }{
		{150, 10, 100, 100},
		{100, 400, 50, 80},
	} {
		b := map[string]any{"format": 1}
		var entries []agent.DeploymentEntry
		for i := range tt.entries {
			entries = append(entries, agent.DeploymentEntry{App: "overheat", Revision: int64(i), Reason: strings.Repeat("x", tt.reason)})
		}
		b["entries"] = entries
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		var kept struct{ Entries []agent.DeploymentEntry }
		again, err := fleetsync.RereadBook(text)
		if err == nil {
			err = json.Unmarshal(again, &kept)
		}
		if n := len(kept.Entries); err != nil || len(again) > 32<<10 || n < tt.least || n > tt.most || kept.Entries[n-1].Revision != int64(n-1) {
			t.Errorf("%d entries, %d bytes, %v", n, len(again), err)
		}
	}
}

func TestHistoryOfAnAppThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.version("overheat", "1.0.0")
		w.version("rollup", "1.0.0")
		check(t, w.p)
		w.fleet("assignments:\n  - {app: rollup, version: 1.0.0}\n")
		check(t, w.p)
		w.wantTold(t, "rollup →1.0.0 probation", "overheat →1.0.0 probation", "overheat 1.0.0→ removed")
	})
}

func TestProgressOfAProbation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.is("overheat@1.1.0", of(50, 2))
		app := w.wantApp(t, "overheat", "probation", "1.1.0")
		p := app.Progress
		if p == nil || p.Runs != 50 || p.MinRuns != 20 || p.Errors != 4 || p.Limit != 10 || p.Left < 7*60 || p.Left > 10*60 {
			t.Errorf("progress %+v", p)
		}
		<-time.After(11 * time.Minute)
		if app := w.wantApp(t, "overheat", "good", "1.1.0"); app.Progress != nil {
			t.Errorf("progress of what is good: %+v", app.Progress)
		}
	})
}

func TestAPersonTakesAnAppBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		wait time.Duration // on 1.1.0
	}{{"on probation", time.Minute}, {"proven", 15 * time.Minute}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { takeBack(t, tt.wait) })
		})
	}
}

func takeBack(t *testing.T, wait time.Duration) {
	w := newWatched(t)
	w.people = true
	w.p = w.watchedPuller()
	w.version("overheat", "1.0.0")
	w.begin()
	<-time.After(11 * time.Minute)
	if list := w.p.Deployments().Rollback; len(list) != 0 {
		t.Errorf("%q may be taken back, where nothing ran before", list)
	}
	w.version("overheat", "1.1.0")
	<-time.After(2 * time.Minute)
	<-time.After(wait)
	if list := w.p.Deployments().Rollback; !slices.Equal(list, []string{"overheat"}) {
		t.Errorf("%q may be taken back", list)
	}
	if err := os.Rename(w.dir, w.dir+"-away"); err != nil { // it needs no registry
		t.Fatal(err)
	}
	from, to, err := w.p.RollBack(t.Context(), "overheat")
	if err != nil || from.Version != "1.1.0" || to.Version != "1.0.0" {
		t.Fatalf("%v → %v, %v", from, to, err)
	}
	w.bench.run.want(t, "overheat@1.0.0")
	app := w.wantApp(t, "overheat", "quarantined", "1.0.0")
	if app.Reason != "overheat@1.1.0 was taken back here and is held back, overheat@1.0.0 runs on: a person asked for it on the device; "+
		"it is not tried again: publish another version, or run skerry sync --retry overheat" || app.Wanted != "1.1.0" {
		t.Errorf("status %+v", app)
	}
	if e := w.p.Deployments().Entries[0]; e.From != "1.1.0" || e.To != "1.0.0" || e.State != "rolled back" || e.Reason != app.Reason {
		t.Errorf("history %+v", e)
	}
	if err := os.Rename(w.dir+"-away", w.dir); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Hour)
	w.version("rollup", "1.0.0")
	<-time.After(time.Hour)
	w.bench.run.want(t, "overheat@1.0.0", "rollup@1.0.0")
	w.end()
	w.again()
	w.wantApp(t, "overheat", "quarantined", "1.0.0")
	if _, _, err := w.p.RollBack(t.Context(), "overheat"); err == nil || !strings.Contains(err.Error(), "no version before overheat@1.0.0 is kept here") {
		t.Errorf("once more: %v", err)
	}
	w.begin()
	if err := w.p.Retry("overheat"); err != nil {
		t.Fatal(err)
	}
	<-time.After(15 * time.Minute)
	w.bench.run.want(t, "overheat@1.1.0", "rollup@1.0.0")
	w.version("overheat", "1.2.0")
	<-time.After(2 * time.Minute)
	if _, _, err := w.p.RollBack(t.Context(), "overheat"); err != nil {
		t.Fatal(err)
	}
	w.bench.run.want(t, "overheat@1.1.0", "rollup@1.0.0")
	w.version("overheat", "1.3.0")
	<-time.After(2 * time.Minute)
	w.bench.run.want(t, "overheat@1.3.0", "rollup@1.0.0")
}

func TestNotEverythingIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.version("overheat", "1.0.0")
		w.begin()
		<-time.After(11 * time.Minute)
		w.version("overheat", "1.1.0")
		<-time.After(2 * time.Minute)
		back := func(part string) {
			t.Helper()
			_, _, err := w.p.RollBack(t.Context(), "overheat")
			wantErr(t, err, part)
			w.bench.run.want(t, "overheat@1.1.0")
		}
		back("its owner can allow it with policy.rollback: true")
		w.end()
		w.people = true
		w.again()
		w.begin()
		if _, _, err := w.p.RollBack(t.Context(), "nothing"); err == nil || !strings.Contains(err.Error(), `no app "nothing" runs here`) {
			t.Errorf("an app that does not run: %v", err)
		}
		<-time.After(15 * time.Minute)
		w.wantApp(t, "overheat", "good", "1.1.0")
		old := w.moduleOf("overheat", "1.0.0")
		kept, err := w.cache.Blob(old)
		if err != nil {
			t.Fatalf("the module to go back to: %v", err)
		}
		if err := w.cache.DeleteBlob(old); err != nil {
			t.Fatal(err)
		}
		back("its module " + old.Short() + " is not kept here any more")
		w.cache.blobs[old] = kept
		w.revokeFor("overheat", "1.0.0", "")
		<-time.After(2 * time.Minute)
		back("revoked")
	})
}

// TestStateThatWasLetGo is not gone back to by a person either; while the new version is
// on probation it is there.
func TestStateThatWasLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.people = true
		w.p = w.watchedPuller()
		w.version("overheat", "1.0.0")
		w.begin()
		<-time.After(11 * time.Minute)
		place := func() string { return w.bench.run.now.Functions[0].StateSpace }
		usual := place()
		w.shaped("1.1.0", 1)
		<-time.After(2 * time.Minute)
		if place() == usual {
			t.Fatal("the new version has no place of its own")
		}
		if _, _, err := w.p.RollBack(t.Context(), "overheat"); err != nil {
			t.Fatal(err)
		}
		w.bench.run.want(t, "overheat@1.0.0")
		if place() != usual {
			t.Error("it came back to another state")
		}
		w.shaped("1.2.0", 1)
		<-time.After(20 * time.Minute)
		w.wantApp(t, "overheat", "good", "1.2.0")
		_, _, err := w.p.RollBack(t.Context(), "overheat")
		wantErr(t, err, "there is no going back to overheat@1.0.0: its state (stateVersion 0) was let go when that of 1.2.0 (stateVersion 1) had proved itself")
	})
}

// FuzzHistory reads what may lie in the pin.
func FuzzHistory(f *testing.F) {
	f.Add([]byte(`{"format":1,"apps":{"a":{"version":"1","state":"good","is":"0"}},"entries":[{"time":"2026-05-01T08:00:00Z","app":"a","to":"1","state":"good"}]}`))
	f.Add([]byte(`{"format":1,"apps":null,"entries":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		again, err := fleetsync.RereadBook(data)
		if err == nil && len(again) > 32<<10 && len(data) <= 32<<10 {
			t.Errorf("%d bytes become %d", len(data), len(again))
		}
	})
}

// shaped publishes a version of overheat with a state of that shape.
func (w *watched) shaped(version string, shape int) {
	w.t.Helper()
	text, err := os.ReadFile(w.app("overheat", version, uint64(version[0])<<8+uint64(version[2]), 5000))
	if err != nil {
		w.t.Fatal(err)
	}
	w.publish(w.write("overheat.yaml", strings.Replace(string(text), "functions:", fmt.Sprintf("stateVersion: %d\nfunctions:", shape), 1)), "")
}
