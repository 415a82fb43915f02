package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// publishScript publishes an app of one function in JavaScript, whether that
// starts or not.
func (r *rig) publishScript(app, version, source string) {
	r.t.Helper()
	r.write(app+".js", source)
	r.write(app+".yaml", fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: %s, version: %s}
functions: {f: {module: {path: ./%s.js}, keepWarm: true}}
triggers: [{function: f, schedule: {every: 1h}}]
`, app, version, app))
	_, err := fleetsync.Publish(context.Background(), fleetsync.PublishOptions{
		Access: r.fleet("oci-layout:" + r.path("registry")), AppFile: r.path(app + ".yaml"), Checks: publishChecks(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// runs waits until the agent runs just these apps.
func (r *rig) runs(apps ...string) {
	r.t.Helper()
	r.eventually("the agent runs "+strings.Join(apps, ", "), func(s agent.Status) bool { return slices.Equal(s.Apps, apps) })
}

// One function that does not start must not hold up a fleet.
func TestFunctionThatDoesNotStartHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	const good, broken, endless = "export default () => 1", "export default () => (", "for (;;);\nexport default () => 1"
	r := newRig(t, "")
	r.publishScript("a", "1.0.0", broken)
	r.publishScript("b", "1.0.0", good)
	r.start() // fresh: there is nothing to fall back to
	r.runs("b@1.0.0")

	r.publishScript("a", "1.1.0", good)
	r.runs("a@1.1.0", "b@1.0.0")
	r.publishScript("a", "1.2.0", endless)
	r.publishScript("b", "1.1.0", good+" // another")
	r.runs("a@1.1.0", "b@1.1.0")
	const held = "a@1.2.0 cannot run on this device and is held back, a@1.1.0 runs on: function f does not start: timeout: "
	if s := r.status(); !strings.Contains(s.Sync.Error, held) {
		t.Errorf("status tells %q", s.Sync.Error)
	}
	out, err := exec.Command(os.Args[0], "doctor", "-c", r.path("skerry.yaml"), "-o", "json").CombinedOutput()
	if err != nil || !strings.Contains(string(out), held) {
		t.Errorf("doctor: %v\n%s", err, out)
	}

	r.proc.Stop()
	r.start()
	r.runs("a@1.1.0", "b@1.1.0")
	r.publishScript("a", "1.3.0", good)
	r.runs("a@1.3.0", "b@1.1.0")
	r.eventually("nothing is held back", func(s agent.Status) bool { return s.Sync.Error == "" })
}
