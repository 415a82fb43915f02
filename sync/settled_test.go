package fleetsync_test

import (
	"os"
	"strings"
	"testing"
)

// TestSettledIsWhenAllRunsThatShould, by the registry's last answer.
func TestSettledIsWhenAllRunsThatShould(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, "oci-layout:"+dir)
	p := b.puller(b.ref)
	is := func(want bool, when string) {
		t.Helper()
		if p.Settled() != want {
			t.Errorf("settled is %v %s", !want, when)
		}
	}
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	is(false, "before anybody asked")
	check(t, p)
	is(true, "when all runs")
	check(t, p)
	is(true, "when nothing is new")
	head := strings.Replace("apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: \"NAME\"}\n", "NAME", p.Status().Fleet, 1)
	b.publish("", b.write("fleet.yaml", head+"paused: true\nassignments: [{app: overheat, version: 1.0.0}]\n"))
	check(t, p)
	check(t, p)
	is(false, "while the fleet is paused")
	b.publish(b.appOn("cellar", "wine", "1.0.0", 2), b.write("fleet.yaml", head+"assignments: [{app: overheat, version: 1.0.0}, {app: wine, version: 1.0.0}]\n"))
	check(t, p)
	is(false, "while an app is held back: "+p.Status().Error)
	b.publish("", b.write("fleet.yaml", head+"assignments: [{app: overheat, version: 1.0.0}]\n"))
	check(t, p)
	is(true, "when all runs again")
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(t.Context()); err == nil {
		t.Error("the registry is away, and answers")
	}
	is(false, "while the registry is away")
	again := b.puller(b.ref)
	restore(t, again)
	if again.Settled() {
		t.Error("settled is true after a restart, before anybody asked")
	}
}
