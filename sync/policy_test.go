package fleetsync_test

import (
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// greedy writes an app that asks for much.
func (b *bench) greedy(version, requires string) string {
	b.write("greedy.wasm", string(module(7, 5000)))
	return b.write("greedy.yaml", `apiVersion: skerry/v1
kind: App
metadata: {name: greedy, version: `+version+`}
`+requires+`
functions:
  f:
    module: {path: ./greedy.wasm}
    secrets: [token]
    limits: {memory: 32Mi, concurrency: 4, timeout: 20s}
    permissions: {publish: ["alerts/+/hot", "$broker/hall/doors"], invoke: [central/notify], http: ["https://api.acme.example:8443", 10.2.0.0/16]}
triggers:
  - {name: t, function: f, mqtt: {topic: "in/{id}"}, then: [{publish: "out/{id}"}, {invoke: central/notify}], retry: {deadLetter: dead/greedy}}
`)
}

func TestOwnersPolicyHoldsBackWhatAsksForMore(t *testing.T) {
	all := fleetsync.Policy{
		Apps: []string{"gre*", "modest"}, Publish: []string{"alerts/#", "$broker/hall/+", "out/+", "dead/greedy"}, HTTP: []string{"*.acme.example:8443", "10.0.0.0/8"},
		Invoke: []string{"central/*"}, Secrets: []string{"token"}, Memory: 128 << 20, Timeout: 20 * time.Second,
	}
	b, _ := stick(t)
	b.write("modest.wasm", string(module(1, 5000)))
	b.publish(b.write("modest.yaml", "apiVersion: skerry/v1\nkind: App\nmetadata: {name: modest, version: 1.0.0}\nfunctions: {f: {module: {path: ./modest.wasm}, limits: {concurrency: 1, timeout: 1s}}}\n"), "")
	b.publish(b.greedy("1.0.0", ""), "")
	for _, tt := range []struct {
		want   string // of Status; "" for none
		change func(*fleetsync.Policy)
	}{
		{"", func(*fleetsync.Policy) {}},
		{"", func(p *fleetsync.Policy) { *p = fleetsync.Policy{} }},
		{"this is the app greedy, which policy.apps in skerry.yaml does not allow: allow it there, or have the app ask for less", func(p *fleetsync.Policy) { p.Apps = []string{"modest"} }},
		{"function greedy/f may publish to alerts/+/hot, which policy.publish in", func(p *fleetsync.Policy) { p.Publish[0] = "alerts/+/cold" }},
		{"function greedy/f may publish to $broker/hall/doors, which policy.publish", func(p *fleetsync.Policy) { p.Publish[1] = "doors" }},
		{"trigger greedy/t may publish to out/{id}, which policy.publish", func(p *fleetsync.Policy) { p.Publish[2] = "out/x" }},
		{"trigger greedy/t may publish to dead/greedy, which policy.publish", func(p *fleetsync.Policy) { p.Publish[3] = "dead/+/x" }},
		{"function greedy/f may connect to https://api.acme.example:8443, which policy.http", func(p *fleetsync.Policy) { p.HTTP[0] = "*.acme.example" }},
		{"function greedy/f may connect to 10.2.0.0/16, which policy.http", func(p *fleetsync.Policy) { p.HTTP[1] = "10.2.0.0/24" }},
		{"function greedy/f may send to central/notify, which policy.invoke", func(p *fleetsync.Policy) { p.Invoke = []string{} }},
		{"trigger greedy/t may send to central/notify, which policy.invoke", func(p *fleetsync.Policy) { p.Invoke = []string{"central/alerts"} }},
		{"function greedy/f is given the secret token, which policy.secrets", func(p *fleetsync.Policy) { p.Secrets = []string{"to"} }},
		{"function greedy/f may take 128Mi (limits.memory times limits.concurrency), which policy.memory", func(p *fleetsync.Policy) { p.Memory-- }},
		{"function greedy/f may run for 20s, which policy.timeout", func(p *fleetsync.Policy) { p.Timeout-- }},
	} {
		d := device()
		d.Policy = all
		d.Policy.Publish, d.Policy.HTTP = append([]string{}, all.Publish...), append([]string{}, all.HTTP...)
		tt.change(&d.Policy)
		b.cache, b.run = newMemory(), &runner{}
		p := b.pullerOf(b.ref, d, fleetsync.Checks{})
		check(t, p)
		if tt.want == "" {
			b.run.want(t, "modest@1.0.0", "greedy@1.0.0")
			wantFine(t, p)
			continue
		}
		b.run.want(t, "modest@1.0.0")
		wantHeld(t, p, "greedy@1.0.0 cannot run on this device and is left out", tt.want)
	}
}

// The owner may change the policy of a device that runs.
func TestPolicyCountsForWhatRuns(t *testing.T) {
	b, _ := stick(t)
	b.publish(b.app("rollup", "1.0.0", 1, 5000), "")
	b.publish(b.greedy("1.0.0", ""), "")
	check(t, b.puller(b.ref))
	d := device()
	d.Policy.Timeout = time.Second
	for range 2 { // there and back
		b.run = &runner{}
		p := b.pullerOf(b.ref, d, fleetsync.Checks{})
		if d.Policy.Timeout == 0 {
			restore(t, p)
			check(t, p)
			b.run.want(t, "rollup@1.0.0", "greedy@1.0.0")
			continue
		}
		err := p.Restore(t.Context()) // the default timeout of rollup is more, too
		wantErr(t, err, "policy.timeout")
		d.Policy.Timeout = 0
	}
}

func TestPolicyCoversOnlyWhatItMatches(t *testing.T) {
	filters := []string{"#", "+", "+/+", "a/#", "a/+", "a/+/#", "a", "a/b", "+/b", "+/#", "$a/#", "$a/b", "a/+/c", "a/b/c", "/", "a//c"}
	topics := []string{"a", "b", "a/b", "a/c", "a/b/c", "b/b", "$a/b", "$a", "/", "a//c", "a/", "x/b/c/d"}
	for _, wide := range filters {
		for _, filter := range filters {
			if !fleetsync.Covers(wide, filter) {
				if wide == filter {
					t.Errorf("%q does not cover itself", wide)
				}
				continue
			}
			for _, topic := range topics {
				if agent.MatchTopic(filter, topic) && !agent.MatchTopic(wide, topic) {
					t.Errorf("%q is said to cover %q, which matches %q", wide, filter, topic)
				}
			}
		}
	}
}

func TestRequiresHoldsBack(t *testing.T) {
	b, _ := stick(t)
	is := device()
	is.Memory, is.Disk, is.Release = 64<<20, 256<<20, "v0.3.0-12-g0a1b2c3-dirty"
	p := b.pullerOf(b.ref, is, fleetsync.Checks{})
	for i, tt := range []struct{ requires, want string }{
		{`{agent: ">=0.3.0", arch: [arm, arm64], memory: 64Mi, disk: 256Mi, engine: compiler}`, ""},
		{`{agent: ">=0.4.0"}`, "it requires skerry 0.4.0 or newer, and this device has v0.3.0-12-g0a1b2c3-dirty: update its package"},
		{`{arch: [amd64, riscv64]}`, "it requires the processor amd64 or riscv64, and this device has arm64: assign it by the label arch"},
		{`{memory: 128Mi}`, "it requires 128Mi of memory, and this device has 64Mi"},
		{`{disk: 1Gi}`, "it requires 1Gi of disk, and the agent may use 256Mi here: raise limits.disk in skerry.yaml"},
		{`{engine: interpreter}`, "it requires the interpreter, and this device has the compiler"},
		{`{features: [teleport]}`, `it requires "teleport", which skerry v0.3.0-12-g0a1b2c3-dirty does not know: update its package`},
	} {
		version := "1." + string(rune('0'+i)) + ".0"
		b.publish(b.greedy(version, "requires: "+tt.requires), "")
		check(t, p)
		b.run.want(t, "greedy@1.0.0")
		if tt.want == "" {
			wantFine(t, p)
			continue
		}
		wantHeld(t, p, "greedy@"+version+" cannot run on this device and is held back, greedy@1.0.0 runs on", tt.want)
	}
	own := is
	own.Release = "dev" // a build of one's own is taken for the newest
	b.publish(b.greedy("1.8.0", `requires: {agent: ">=9.0.0"}`), "")
	p = b.pullerOf(b.ref, own, fleetsync.Checks{})
	check(t, p)
	b.run.want(t, "greedy@1.8.0")
	if n := strings.Count(b.log.String(), "app is held back"); n != 6 {
		t.Errorf("logged %d times", n)
	}
}
