package devicetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent/admin"
)

const (
	counts = `export default (e, skerry) => { const n = (skerry.state.get("n") ?? 0) + 1; skerry.state.set("n", n); return {v: VERSION, n}; }`
	broken = `export default () => { throw new Error("no such sensor"); }`
)

func counting(version int) string {
	return strings.ReplaceAll(counts, "VERSION", fmt.Sprint(version))
}

// told is the history as "from→to state", the oldest first.
func (d *device) told() (out []string) {
	d.t.Helper()
	list, err := admin.ListDeployments(context.Background(), d.path("s"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range slices.Backward(list.Entries) {
		out = append(out, fmt.Sprintf("%s→%s %s", e.From, e.To, e.State))
	}
	return out
}

// TestDeployments publishes a good version, a bad one that goes back by itself, and one
// that a person takes back; the agent is killed in between.
func TestDeployments(t *testing.T) {
	t.Parallel()
	d := newDevice(t, "rollback: true")
	d.publish("1.0.0", counting(1), "")
	d.start()
	d.becomes("1.0.0", "good")
	c := d.connect()
	d.publish("1.1.0", broken, "")
	d.becomes("1.1.0", "probation")
	for i := range 6 {
		c.Publish(fmt.Sprintf("in/%d", i), 1, false, "{}").Wait()
	}
	d.becomes("1.0.0", "quarantined")
	if text := d.must("deployments", "-c", "skerry.yaml"); !strings.Contains(text, "1.1.0 → 1.0.0  quarantined") || !strings.Contains(text, "no such sensor") {
		t.Errorf("skerry deployments says\n%s", text)
	}
	d.publish("1.2.0", counting(3), "")
	d.becomes("1.2.0", "good")
	d.proc.Kill()
	d.start()
	d.becomes("1.2.0", "good")
	want := []string{"→1.0.0 probation", "1.0.0→1.0.0 good", "1.0.0→1.1.0 probation", "1.1.0→1.0.0 quarantined", "1.0.0→1.2.0 probation", "1.2.0→1.2.0 good"}
	if got := d.told(); !slices.Equal(got, want) {
		t.Errorf("the history tells %q, want %q", got, want)
	}
	if text := d.must("deployments", "rollback", "hall", "-c", "skerry.yaml"); !strings.HasPrefix(text, "hall 1.0.0 runs again; 1.2.0 is held back here") {
		t.Errorf("skerry deployments rollback says %s", text)
	}
	d.becomes("1.0.0", "quarantined")
	d.proc.Kill()
	d.start()
	d.becomes("1.0.0", "quarantined")
	if _, stderr, code := d.skerry("deployments", "rollback", "hall", "-c", "skerry.yaml"); code != 1 || !strings.Contains(stderr, "no version before hall@1.0.0 is kept here") {
		t.Errorf("once more: %d %s", code, stderr)
	}
	d.must("sync", "--retry", "hall", "-c", "skerry.yaml")
	d.becomes("1.2.0", "good")
	if got := d.told(); len(got) != len(want)+2 || got[len(want)] != "1.2.0→1.0.0 rolled back" {
		t.Errorf("the history tells %q", got)
	}
}

func TestOnlyTheOwnerLetsPeopleGoBack(t *testing.T) {
	t.Parallel()
	d := newDevice(t, "")
	d.publish("1.0.0", counting(1), "")
	d.start()
	d.becomes("1.0.0", "good")
	d.publish("1.1.0", counting(2), "")
	d.becomes("1.1.0", "good")
	_, stderr, code := d.skerry("deployments", "rollback", "hall", "--socket", d.path("s"))
	if code != 1 || !strings.Contains(stderr, "its owner can allow it with policy.rollback: true in skerry.yaml") {
		t.Errorf("%d %s", code, stderr)
	}
	if text := d.must("deployments", "--socket", d.path("s")); strings.Contains(text, "takes back") {
		t.Errorf("skerry deployments says\n%s", text)
	}
}
