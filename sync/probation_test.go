package fleetsync_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// clinic says how functions do, by the version of their app: "overheat@1.1.0".
type clinic struct {
	run  func() *runner
	mu   sync.Mutex
	sick map[string]agent.FunctionStatus
}

func (c *clinic) is(app string, sick agent.FunctionStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sick[app] = sick
}

func (c *clinic) health() []agent.FunctionStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.run()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []agent.FunctionStatus
	for _, fn := range r.now.Functions {
		for _, v := range r.now.Apps {
			if v.Name == fn.App() {
				st := c.sick[v.Name+"@"+v.Version]
				st.Name = fn.Name
				out = append(out, st)
			}
		}
	}
	return out
}

// of is a function's status after some runs.
func of(runs, failures int64) agent.FunctionStatus {
	st := agent.FunctionStatus{Release: agent.ReleaseCounts{Invocations: runs, Failures: failures, Faults: map[string]int64{"error": failures}}}
	if failures > 0 {
		st.LastError = "error: no such sensor"
	}
	return st
}

// watched is a device whose apps have to prove themselves.
type watched struct {
	*bench
	*clinic
	dir string // of the registry
	p   *fleetsync.Puller
	end func() // stops it in order

	people bool // may take apps back
}

func newWatched(t *testing.T) *watched {
	dir := t.TempDir()
	w := &watched{bench: newBench(t, "oci-layout:"+dir), dir: dir}
	w.clinic = &clinic{run: func() *runner { return w.bench.run }, sick: map[string]agent.FunctionStatus{}}
	w.p = w.watchedPuller()
	return w
}

func (w *watched) watchedPuller() *fleetsync.Puller {
	d := device()
	d.Policy.Rollback = w.people
	return w.pullerOptions(w.ref, d, fleetsync.PullerOptions{Poll: time.Minute, Health: w.health})
}

// begin runs the device, until the test ends.
func (w *watched) begin() {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done, p := make(chan error, 1), w.p
	go func() { done <- p.Run(ctx) }()
	w.end = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.end)
}

// again starts the agent anew on what the device keeps, without any registry first.
func (w *watched) again() {
	w.t.Helper()
	w.bench.run = &runner{broken: w.bench.run.broken}
	w.p = w.watchedPuller()
	restore(w.t, w.p)
}

// versions publishes some of an app, of a module each, with what a fleet may say of it.
func (w *watched) version(name, version string) {
	w.t.Helper()
	w.publish(w.app(name, version, uint64(version[0])<<8+uint64(version[2])+uint64(len(name)), 5000), "")
}

func (w *watched) fleet(text string) {
	w.t.Helper()
	w.publish("", w.write("fleet.yaml", "apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: \""+w.fleetName()+"\"}\n"+text))
}

func (w *watched) fleetName() string {
	w.t.Helper()
	if name := w.p.Status().Fleet; name != "" {
		return name
	}
	w.t.Fatal("no fleet yet")
	return ""
}

func (w *watched) app1(t *testing.T, name string) agent.AppStatus {
	t.Helper()
	for _, app := range w.p.Status().Apps {
		if app.Name == name {
			return app
		}
	}
	t.Fatalf("no app %s in %+v", name, w.p.Status().Apps)
	return agent.AppStatus{}
}

func (w *watched) wantApp(t *testing.T, name, state, version string) agent.AppStatus {
	t.Helper()
	app := w.app1(t, name)
	if app.State != state || app.Version != version {
		t.Fatalf("app %+v, want %s of %s", app, state, version)
	}
	return app
}

// updated is a device on which overheat 1.0.0 has proved itself, and 1.1.0 just begun.
func updated(t *testing.T) *watched {
	t.Helper()
	w := newWatched(t)
	w.version("overheat", "1.0.0")
	w.begin()
	<-time.After(11 * time.Minute)
	w.wantApp(t, "overheat", "good", "1.0.0")
	w.version("overheat", "1.1.0")
	<-time.After(2 * time.Minute)
	w.bench.run.want(t, "overheat@1.1.0")
	return w
}

func TestBadReleaseGoesBackByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		if app := w.wantApp(t, "overheat", "probation", "1.1.0"); app.Previous != "1.0.0" || time.Until(app.Until) > 10*time.Minute || time.Until(app.Until) < 7*time.Minute {
			t.Errorf("status %+v", app)
		}
		if w.p.Settled() {
			t.Error("settled on probation: state could be deleted that may be needed again")
		}
		if err := os.Rename(w.dir, w.dir+"-away"); err != nil {
			t.Fatal(err)
		}
		times := w.bench.run.times
		w.is("overheat@1.1.0", of(100, 30))
		<-time.After(11 * time.Second)
		w.bench.run.want(t, "overheat@1.0.0")
		app := w.wantApp(t, "overheat", "quarantined", "1.0.0")
		if app.Wanted != "1.1.0" || app.Reason != "overheat@1.1.0 failed here and is held back, overheat@1.0.0 runs on: "+
			"30 of 100 runs of function f failed (30 %), where 10 % are allowed; the last error: error: no such sensor; "+
			"it is not tried again: publish another version, or run skerry sync --retry overheat" {
			t.Errorf("status %+v", app)
		}
		if err := os.Rename(w.dir+"-away", w.dir); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		if n := w.bench.run.times - times; n != 1 {
			t.Errorf("applied %d times, want once", n)
		}
		if !w.p.Settled() {
			t.Error("not settled: " + w.p.Status().Error)
		}
		w.version("rollup", "1.0.0") // a newer fleet, the same version
		<-time.After(time.Hour)
		w.bench.run.want(t, "overheat@1.0.0", "rollup@1.0.0")
		w.wantApp(t, "overheat", "quarantined", "1.0.0")
		w.end()
		w.again()
		w.bench.run.want(t, "overheat@1.0.0", "rollup@1.0.0")
		w.wantApp(t, "overheat", "quarantined", "1.0.0")
		w.begin()
		<-time.After(time.Hour)
		w.bench.run.want(t, "overheat@1.0.0", "rollup@1.0.0")
		w.version("overheat", "1.2.0")
		<-time.After(2 * time.Minute)
		w.wantApp(t, "overheat", "probation", "1.2.0")
		<-time.After(10 * time.Minute)
		if app := w.wantApp(t, "overheat", "good", "1.2.0"); app.Reason != "" || app.Wanted != "" || !app.Until.IsZero() {
			t.Errorf("status %+v", app)
		}
		w.end()
	})
}

func TestSlowReleaseGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.fleet("assignments: [{app: overheat, version: 1.1.0, health: {maxP99: 500ms, minInvocations: 5}}]\n")
		<-time.After(70 * time.Second)
		slow := of(5, 0)
		slow.Release.P99us = 700_000
		w.is("overheat@1.1.0", slow)
		<-time.After(11 * time.Second)
		if app := w.wantApp(t, "overheat", "quarantined", "1.0.0"); !strings.Contains(app.Reason, "700ms") {
			t.Errorf("status %+v", app)
		}
		w.end()
	})
}

func TestFirstInstallThatFailsRunsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.is("overheat@1.0.0", of(20, 20))
		w.version("overheat", "1.0.0")
		w.begin()
		<-time.After(time.Hour)
		if app := w.wantApp(t, "overheat", "failed", "1.0.0"); !strings.HasPrefix(app.Reason, "20 of 20 runs") {
			t.Errorf("status %+v", app)
		}
		w.bench.run.want(t, "overheat@1.0.0")
		w.version("overheat", "1.1.0")
		<-time.After(12 * time.Minute)
		w.wantApp(t, "overheat", "good", "1.1.0")
		w.end()
	})
}

func TestOnFailureKeepOnlyTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.fleet("assignments: [{app: overheat, version: 1.1.0, health: {onFailure: keep}}]\n")
		<-time.After(70 * time.Second)
		w.is("overheat@1.1.0", of(20, 20))
		<-time.After(time.Hour)
		w.wantApp(t, "overheat", "failed", "1.1.0")
		w.end()
	})
}

// TestProbationGoesOnAfterARestart, with the time that was and the runs that were.
func TestProbationGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.is("overheat@1.1.0", of(15, 2))
		<-time.After(4*time.Minute + 30*time.Second)
		w.end()
		w.again()
		if app := w.wantApp(t, "overheat", "probation", "1.1.0"); time.Until(app.Until) > 6*time.Minute {
			t.Errorf("after a restart it ends in %s", time.Until(app.Until))
		}
		w.is("overheat@1.1.0", of(5, 0)) // since it started
		w.begin()
		<-time.After(time.Minute)
		w.wantApp(t, "overheat", "probation", "1.1.0")
		w.is("overheat@1.1.0", of(5, 1))
		<-time.After(time.Minute)
		if app := w.wantApp(t, "overheat", "quarantined", "1.0.0"); !strings.Contains(app.Reason, "3 of 20 runs") {
			t.Errorf("status %+v", app)
		}
		w.end()
	})
}

// TestAgentThatKeepsDyingGoesBack: restarts in order are none of it.
func TestAgentThatKeepsDyingGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		for range 5 {
			<-time.After(10 * time.Second)
			w.end()
			w.again()
			w.bench.run.want(t, "overheat@1.1.0")
			w.begin()
		}
		for range 3 {
			w.bench.run.want(t, "overheat@1.1.0")
			kept := w.cache.clone()
			w.end() // as if it was not: what it wrote is lost
			w.cache = kept
			w.again()
			w.begin()
		}
		w.bench.run.want(t, "overheat@1.0.0")
		if app := w.wantApp(t, "overheat", "quarantined", "1.0.0"); !strings.Contains(app.Reason, "the agent ended 3 times in disorder while it ran") {
			t.Errorf("status %+v", app)
		}
		w.end()
	})
}

// TestWhatDoesNotStartAgainOnProbationGoesBack instead of being left out.
func TestWhatDoesNotStartAgainOnProbationGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.end()
		w.bench.run.broken = map[string]error{"overheat@1.1.0": fmt.Errorf("the compiler found no memory")}
		w.again()
		w.bench.run.want(t, "overheat@1.0.0")
		if app := w.wantApp(t, "overheat", "held", "1.0.0"); app.Wanted != "1.1.0" {
			t.Errorf("status %+v", app)
		}
		w.bench.run.broken = nil // it was the device's fault, and is tried again
		w.begin()
		<-time.After(2 * time.Minute)
		w.wantApp(t, "overheat", "probation", "1.1.0")
		w.end()
		w.bench.run.broken = map[string]error{"overheat@1.1.0": refuses}
		w.again()
		w.bench.run.want(t, "overheat@1.0.0")
		w.wantApp(t, "overheat", "quarantined", "1.0.0")
		w.end()
	})
}

func TestTwoAppsOnProbationDoNotMindEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.version("rollup", "1.0.0")
		<-time.After(12 * time.Minute)
		w.version("rollup", "1.1.0")
		w.version("overheat", "1.2.0")
		<-time.After(2 * time.Minute)
		w.wantApp(t, "overheat", "probation", "1.2.0")
		w.wantApp(t, "rollup", "probation", "1.1.0")
		w.is("rollup@1.1.0", of(20, 20))
		<-time.After(time.Minute)
		w.wantApp(t, "overheat", "probation", "1.2.0")
		w.wantApp(t, "rollup", "quarantined", "1.0.0")
		<-time.After(10 * time.Minute)
		w.wantApp(t, "overheat", "good", "1.2.0")
		w.wantApp(t, "rollup", "quarantined", "1.0.0")
		w.end()
	})
}

// TestNewestVersionSupersedesAProbation: what to go back to stays what was good.
func TestNewestVersionSupersedesAProbation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.is("overheat@1.1.0", of(10, 10)) // too few to tell
		w.version("overheat", "1.2.0")
		<-time.After(2 * time.Minute)
		if app := w.wantApp(t, "overheat", "probation", "1.2.0"); app.Previous != "1.0.0" {
			t.Errorf("status %+v", app)
		}
		w.is("overheat@1.2.0", of(20, 20))
		<-time.After(time.Minute)
		w.wantApp(t, "overheat", "quarantined", "1.0.0")
		w.end()
	})
}

func TestPausedFleetEndsItsProbations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.fleet("paused: true\nassignments: [{app: overheat, version: 1.1.0}]\n")
		<-time.After(70 * time.Second)
		w.is("overheat@1.1.0", of(20, 20))
		<-time.After(time.Minute)
		w.bench.run.want(t, "overheat@1.0.0")
		<-time.After(time.Hour)
		w.bench.run.want(t, "overheat@1.0.0")
		w.end()
	})
}

// TestWhatMayBeGoneBackToIsKept until the probation is over, and longer if the fleet says so.
func TestWhatMayBeGoneBackToIsKept(t *testing.T) {
	for keep, want := range map[int]int{1: 1, 2: 2} {
		synctest.Test(t, func(t *testing.T) {
			w := updated(t)
			w.fleet(fmt.Sprintf("sync: {keepVersions: %d}\nassignments: [{app: overheat, version: 1.0.0}]\n", keep))
			<-time.After(70 * time.Second)
			check(t, w.p)
			w.fleet(fmt.Sprintf("sync: {keepVersions: %d}\nassignments: [{app: overheat, version: 1.1.0}]\n", keep))
			<-time.After(2 * time.Minute)
			check(t, w.p)
			w.wantApp(t, "overheat", "probation", "1.1.0")
			if blobs, _ := w.cache.Blobs(); len(blobs) != 2 {
				t.Errorf("keepVersions %d: %d modules on probation, want 2", keep, len(blobs))
			}
			<-time.After(11 * time.Minute)
			check(t, w.p)
			w.wantApp(t, "overheat", "good", "1.1.0")
			if blobs, _ := w.cache.Blobs(); len(blobs) != want {
				t.Errorf("keepVersions %d: %d modules after it, want %d", keep, len(blobs), want)
			}
			w.end()
		})
	}
}

func TestRemovedOnProbationComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.fleet("assignments: [{app: overheat, version: none}]\n")
		<-time.After(20 * time.Minute)
		w.bench.run.want(t)
		if apps := w.p.Status().Apps; len(apps) > 0 {
			t.Errorf("apps %+v", apps)
		}
		w.fleet("assignments: [{app: overheat, version: 1.1.0}]\n")
		<-time.After(20 * time.Minute)
		w.wantApp(t, "overheat", "good", "1.1.0")
		w.end()
	})
}

// TestAssignmentToAnOlderVersionIsNoFailure, on probation and after it.
func TestAssignmentToAnOlderVersionIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		old, next := "assignments: [{app: overheat, version: 1.0.0}]\n", "assignments: [{app: overheat, version: 1.1.0}]\n"
		w.fleet(old)
		<-time.After(70 * time.Second)
		w.wantApp(t, "overheat", "good", "1.0.0")
		w.fleet(next)
		<-time.After(70 * time.Second)
		w.wantApp(t, "overheat", "probation", "1.1.0")
		<-time.After(10 * time.Minute)
		w.wantApp(t, "overheat", "good", "1.1.0")
		w.is("overheat@1.0.0", of(20, 20)) // it proved itself once: who wants it back gets it
		w.fleet(old)
		<-time.After(70 * time.Second)
		w.wantApp(t, "overheat", "good", "1.0.0")
		w.end()
	})
}

func TestRetryTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		wantErr(t, w.p.Retry("overheat"), `no version of app "overheat" failed`)
		w.is("overheat@1.1.0", of(20, 20))
		<-time.After(time.Minute)
		w.wantApp(t, "overheat", "quarantined", "1.0.0")
		w.fleet("assignments: [{app: overheat, version: 1.0.0}]\n") // it stays refused while another one is wanted
		<-time.After(70 * time.Second)
		w.wantApp(t, "overheat", "good", "1.0.0")
		w.fleet("assignments: [{app: overheat, version: 1.1.0}]\n")
		<-time.After(70 * time.Second)
		w.wantApp(t, "overheat", "quarantined", "1.0.0")
		w.is("overheat@1.1.0", of(20, 0))
		if err := w.p.Retry("overheat"); err != nil {
			t.Fatal(err)
		}
		check(t, w.p)
		w.wantApp(t, "overheat", "probation", "1.1.0")
		<-time.After(11 * time.Minute)
		w.wantApp(t, "overheat", "good", "1.1.0")
		w.end()
	})
}

func TestRevokedOnProbationGoesBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.revoke("overheat", "1.1.0")
		<-time.After(70 * time.Second)
		w.bench.run.want(t, "overheat@1.0.0")
		w.end()
	})
}

// revoke takes a version back, of which assignments go to 1.0.0.
func (w *watched) revoke(app, version string) {
	w.t.Helper()
	w.revokeFor(app, version, "1.0.0")
}

func (w *watched) revokeFor(app, version, replacement string) {
	w.t.Helper()
	repo, err := fleetsync.OpenFleet(w.t.Context(), w.access())
	if err != nil {
		w.t.Fatal(err)
	}
	plan, err := repo.Revoke(agent.AppVersion{Name: app, Version: version}, replacement)
	if err == nil {
		_, err = repo.Push(w.t.Context(), plan, nil)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestStateOfAVersionIsWhereItsProbationWants it to be.
func TestStateOfAVersionIsWhereItsProbationWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		shaped := func(version string, shape int) {
			t.Helper()
			file := w.app("overheat", version, uint64(version[2]), 5000)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w.publish(w.write("overheat.yaml", strings.Replace(string(text), "functions:", fmt.Sprintf("stateVersion: %d\nfunctions:", shape), 1)), "")
			<-time.After(2 * time.Minute)
		}
		where := func() (place, from string) {
			t.Helper()
			w.bench.run.mu.Lock()
			defer w.bench.run.mu.Unlock()
			fn := w.bench.run.now.Functions[0]
			return fn.StateSpace, fn.StateFrom
		}
		want := func(place, from string) {
			t.Helper()
			if p, f := where(); p != place || f != from {
				t.Fatalf("state in %q from %q, want %q from %q", p, f, place, from)
			}
		}
		shaped("1.0.0", 1)
		w.begin()
		<-time.After(12 * time.Minute)
		want("", "")
		shaped("1.1.0", 1)
		<-time.After(12 * time.Minute)
		want("", "")
		shaped("1.2.0", 2)
		first, from := where()
		if first == "" || from != "" {
			t.Fatalf("state in %q from %q", first, from)
		}
		w.is("overheat@1.2.0", of(20, 20))
		<-time.After(time.Minute)
		want("", "")
		shaped("1.3.0", 2)
		second, from := where()
		if second == "" || second == first || from != "" {
			t.Fatalf("state in %q from %q", second, from)
		}
		w.end()
		w.again()
		want(second, "")
		w.begin()
		shaped("1.4.0", 3) // supersedes: from what was good, not from what nobody knows
		third, from := where()
		if third == second || from != "" {
			t.Fatalf("state in %q from %q", third, from)
		}
		<-time.After(12 * time.Minute)
		want(third, third)
		shaped("1.5.0", 3)
		want(third, third)
		<-time.After(12 * time.Minute)
		w.fleet("assignments: [{app: overheat, version: none}]\n")
		<-time.After(2 * time.Minute)
		w.fleet("assignments: [{app: overheat, version: 1.5.0}]\n")
		<-time.After(2 * time.Minute)
		want(third, third)
		w.end()
	})
}

// TestHundredDevicesGoBackEachByItself: a tenth of them got the bad release.
func TestHundredDevicesGoBackEachByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.version("overheat", "1.0.0")
		check(t, w.p)
		name := w.fleetName()
		var devices []*watched
		for i := range 100 {
			d := &watched{bench: &bench{t: t, ref: w.ref, cache: newMemory(), run: &runner{}, keys: w.keys, roots: w.roots}, dir: w.dir}
			d.clinic = &clinic{run: func() *runner { return d.bench.run }, sick: map[string]agent.FunctionStatus{"overheat@1.1.0": of(100, 20)}}
			dev := device()
			dev.ID = fmt.Sprintf("gw%03d", i)
			reg, err := fleetsync.NewRegistry(w.ref, fleetsync.RegistryOptions{})
			if err != nil {
				t.Fatal(err)
			}
			d.p = fleetsync.NewPuller(reg, d.cache, d.bench.run, dev, fleetsync.PullerOptions{
				Root: w.root(), Poll: time.Hour, Health: d.health, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
			})
			d.begin()
			devices = append(devices, d)
		}
		<-time.After(2 * time.Hour)
		w.publish(w.app("overheat", "1.1.0", 9, 5000), w.write("fleet.yaml", "apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: \""+name+"\"}\nassignments:\n"+
			"  - {app: overheat, version: 1.1.0, percent: 10, health: {window: 10m, minInvocations: 20, maxErrorPercent: 5, onFailure: rollback}}\n"+
			"  - {app: overheat, version: 1.0.0}\n"))
		<-time.After(3 * time.Hour)
		states := map[string]int{}
		for _, d := range devices {
			d.bench.run.want(t, "overheat@1.0.0")
			states[d.app1(t, "overheat").State]++
			d.end()
		}
		if bad := states["quarantined"]; bad < 3 || bad > 20 || states["good"] != 100-bad {
			t.Errorf("states %v", states)
		}
	})
}

// TestKilledAtAnyMoment of an update, a return and a proof: what comes up is the old
// or the new app, whole, and the device comes to the same end by itself.
func TestKilledAtAnyMoment(t *testing.T) {
	var ends []string
	for cut := 1; ; cut++ {
		done := false
		synctest.Test(t, func(t *testing.T) {
			w := newWatched(t)
			w.version("overheat", "1.0.0")
			w.begin()
			<-time.After(11 * time.Minute)
			w.end()
			w.version("overheat", "1.1.0")
			w.is("overheat@1.1.0", of(100, 30))
			w.again()
			w.cache.dieAfter(cut)
			w.begin()
			<-time.After(5 * time.Minute)
			done = !w.cache.died()
			kept := w.cache.clone()
			w.end()
			w.cache = kept
			w.again()
			apps := w.bench.run.running()
			if !slices.Equal(apps, []string{"overheat@1.0.0"}) && !slices.Equal(apps, []string{"overheat@1.1.0"}) {
				t.Fatalf("killed at %d: %v", cut, apps)
			}
			ends = append(ends, apps[0])
			w.begin()
			<-time.After(5 * time.Minute)
			w.wantApp(t, "overheat", "quarantined", "1.0.0")
			w.end()
		})
		if done {
			break
		}
	}
	if len(ends) < 4 || !slices.Contains(ends, "overheat@1.1.0") {
		t.Errorf("killed at %d moments: %v", len(ends), ends)
	}
}

// TestReturnWaitsForNoDownload: a module that comes slowly, or not at all, is another
// app's affair.
func TestReturnWaitsForNoDownload(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	proxy := newProxy(t, reg.Addr())
	w := &watched{bench: newBench(t, "oci://"+reg.Addr()+"/acme/fleet")}
	w.clinic = &clinic{run: func() *runner { return w.bench.run }, sick: map[string]agent.FunctionStatus{}}
	w.p = w.pullerOptions(proxy.ref("acme/fleet"), device(), fleetsync.PullerOptions{Root: w.root(), Health: w.health})
	w.version("overheat", "1.0.0")
	check(t, w.p)
	w.version("overheat", "1.1.0")
	check(t, w.p)
	w.wantApp(t, "overheat", "probation", "1.1.0")
	w.publish(w.app("rollup", "1.0.0", 77, 300_000), "")
	proxy.stall.Store(true)
	round := make(chan error, 1)
	go func() { round <- w.p.Check(t.Context()) }()
	testbed.Eventually(t, 10*time.Second, "the module stalls", func() error {
		if proxy.stall.Load() {
			return errors.New("not yet")
		}
		return nil
	})
	w.is("overheat@1.1.0", of(20, 20))
	w.p.Judge(t.Context())
	w.wantApp(t, "overheat", "quarantined", "1.0.0")
	if err := <-round; err != nil {
		t.Error(err)
	}
	w.bench.run.want(t, "overheat@1.0.0", "rollup@1.0.0")
}
