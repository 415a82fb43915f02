package fleetsync_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

// secretive publishes an app that needs the secret token.
func (w *watched) secretive(name string) {
	w.t.Helper()
	w.write(name+".wasm", string(module(77, 4000)))
	w.publish(w.write(name+".yaml", fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: %s, version: 1.0.0}
functions: {f: {module: {path: ./%s.wasm}, secrets: [token]}}
triggers: [{name: tick, function: f, schedule: {every: 30s}}]
`, name, name)), "")
}

// TestGoesBackBesideAnAppThatDoesNotFit: an app that was left out at the start, for
// what its device lacks, must not keep another one from going back.
func TestGoesBackBesideAnAppThatDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.secretive("mailer")
		<-time.After(2 * time.Minute)
		w.bench.run.want(t, "overheat@1.1.0", "mailer@1.0.0")
		w.end()
		if err := os.Rename(w.dir, w.dir+"-away"); err != nil {
			t.Fatal(err)
		}
		poor := device()
		poor.Secrets = nil
		w.bench.run = &runner{}
		w.p = w.pullerOptions(w.ref, poor, fleetsync.PullerOptions{Poll: time.Minute, Health: w.health})
		restore(t, w.p)
		w.bench.run.want(t, "overheat@1.1.0")
		w.begin()
		w.is("overheat@1.1.0", of(100, 30))
		<-time.After(30 * time.Second)
		w.bench.run.want(t, "overheat@1.0.0")
		w.wantApp(t, "overheat", "quarantined", "1.0.0")
		w.wantApp(t, "mailer", "held", "")
		w.end()
	})
}

// TestPassesBesideAnAppThatDoesNotFit: that app is not told to run by it.
func TestPassesBesideAnAppThatDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.secretive("mailer")
		<-time.After(2 * time.Minute)
		w.end()
		if err := os.Rename(w.dir, w.dir+"-away"); err != nil {
			t.Fatal(err)
		}
		poor := device()
		poor.Secrets = nil
		w.bench.run = &runner{}
		w.p = w.pullerOptions(w.ref, poor, fleetsync.PullerOptions{Poll: time.Minute, Health: w.health})
		restore(t, w.p)
		w.begin()
		<-time.After(11 * time.Minute)
		w.wantApp(t, "overheat", "good", "1.1.0")
		w.wantApp(t, "mailer", "held", "")
		w.end()
		w.again() // it has the secret again
		w.bench.run.want(t, "overheat@1.1.0", "mailer@1.0.0")
	})
}

// TestGoesBackBesideARevokedApp that was stopped in a paused fleet: it stays stopped.
func TestGoesBackBesideARevokedApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.secretive("mailer")
		<-time.After(2 * time.Minute)
		w.fleet("sync: {pollInterval: 1m}\npaused: true\nassignments: [{app: overheat, version: 1.1.0}, {app: mailer, version: 1.0.0}]\n")
		w.revokeFor("mailer", "1.0.0", "none")
		<-time.After(3 * time.Minute)
		w.bench.run.want(t, "overheat@1.1.0")
		w.is("overheat@1.1.0", of(100, 30))
		<-time.After(30 * time.Second)
		w.bench.run.want(t, "overheat@1.0.0")
		<-time.After(10 * time.Minute)
		w.bench.run.want(t, "overheat@1.0.0")
		w.end()
	})
}

// TestFailsWithNothingToGoBackTo: what ran before was revoked meanwhile. It is told
// once, and what there is runs on.
func TestFailsWithNothingToGoBackTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := updated(t)
		w.revokeFor("overheat", "1.0.0", "none")
		<-time.After(2 * time.Minute)
		w.is("overheat@1.1.0", of(100, 30))
		<-time.After(time.Hour)
		w.bench.run.want(t, "overheat@1.1.0")
		app := w.wantApp(t, "overheat", "failed", "1.1.0")
		for _, part := range []string{"30 of 100 runs", "1.0.0", "revoked"} {
			if !strings.Contains(app.Reason, part) {
				t.Errorf("reason %q lacks %q", app.Reason, part)
			}
		}
		if n := strings.Count(w.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors are logged, want one:\n%s", n, w.log)
		}
		w.end()
	})
}
