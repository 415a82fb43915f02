package fleetsync

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	minModule      = 8        // bytes
	maxModule      = 32 << 20 // bytes
	usualModule    = 8 << 20  // bytes that a device takes, if it is not told otherwise
	maxFunctions   = 64
	maxTriggers    = 256
	maxPriority    = 9
	maxTimeout     = 15 * time.Minute
	minIdle        = time.Second
	maxIdle        = 24 * time.Hour
	maxCalls       = 10_000_000
	maxOutputs     = 1000
	maxEnvironment = 64 << 10 // bytes, keys and values of a function
	minMemory      = 64 << 10 // one page of WebAssembly
	maxMemory      = 1 << 30
	maxStateLimit  = 256 << 20
	maxInterval    = time.Minute // of durability
)

// appCheck holds the rules of an App that its shape does not tell.
type appCheck struct {
	*decoder
	app    *App
	checks Checks
}

func (c *appCheck) all() {
	app := c.app
	c.metadata()
	c.requires(app.Requires)
	c.within("stateVersion", &app.StateVersion, 0, maxStateVersion)
	rules := slices.ContainsFunc(app.Triggers, func(t AppTrigger) bool { return t.Function == "" })
	if len(app.Functions) > maxFunctions || len(app.Functions) == 0 && !rules {
		c.fail("functions", "an app has 1 to %d functions, not %d; without any it has rules, which are triggers without function", maxFunctions, len(app.Functions))
	}
	for name, fn := range app.Functions {
		path := join("functions", name)
		c.name(path, name)
		c.function(path, &fn)
	}
	if len(app.Triggers) > maxTriggers {
		c.fail("triggers", "an app has at most %d triggers, not %d", maxTriggers, len(app.Triggers))
		return
	}
	for i := range app.Triggers {
		c.trigger(fmt.Sprintf("triggers[%d]", i), &app.Triggers[i])
	}
	c.triggerNames()
}

func (c *appCheck) metadata() {
	m := &c.app.Metadata
	if m.Name == "" {
		c.fail("metadata", "the name is missing: metadata: {name: my-app, version: 1.0.0}")
	} else {
		c.name("metadata.name", m.Name)
	}
	if !validVersion(m.Version) {
		c.failInstead("metadata.version", "%.80q is no version: write three numbers, as in 1.4.0", m.Version)
	}
	if len(m.Description) > 1024 {
		c.fail("metadata.description", "%d bytes, at most 1024", len(m.Description))
	}
}

func (c *appCheck) function(path string, fn *AppFunction) {
	c.module(path+".module", &fn.Module)
	c.environment(path+".env", fn.Env)
	c.unique(path+".secrets", fn.Secrets)
	for i, s := range fn.Secrets {
		c.name(fmt.Sprintf("%s.secrets[%d]", path, i), s)
	}
	c.limits(path+".limits", &fn.Limits)
	c.permissions(path+".permissions", &fn.Permissions)
	c.followups(path+".followups", fn)
	c.log(path+".log", fn.Log)
	c.oneOf(path+".isolation", fn.Isolation, isolationWarm, isolationFresh)
	c.within(path+".priority", fn.Priority, 0, maxPriority)
	idle := time.Duration(fn.IdleAfter)
	if idle != 0 && (idle < minIdle || idle > maxIdle) {
		c.fail(path+".idleAfter", "%s is out of range: 1s to 24h", idle)
	}
	if fn.KeepWarm && idle != 0 {
		c.fail(path+".idleAfter", "keepWarm: true never closes an instance, so idleAfter has no meaning: remove one of them")
	}
}

func (c *appCheck) module(path string, m *AppModule) {
	if m.Path == "" && m.Digest == "" {
		c.fail(path, "the module is missing: module: {path: ./function.wasm}")
		return
	}
	if m.Digest != "" && !digestForm.MatchString(m.Digest) {
		c.fail(path+".digest", "%.80q is no digest: write sha256: and 64 hex digits", m.Digest)
	}
	if m.Digest != "" && m.Path == "" && (m.Size < minModule || m.Size > maxModule) {
		c.fail(path+".size", "%d bytes is no size of a module: %d to %d", m.Size, minModule, maxModule)
	}
	c.patches(path+".patches", m)
}

func (c *appCheck) environment(path string, env map[string]string) {
	size := 0
	for key, value := range env {
		size += len(key) + len(value)
		if key == "" || strings.ContainsAny(key, "=\x00") || strings.Contains(value, "\x00") {
			c.fail(join(path, key), "a name must not be empty nor hold =, and no value a zero byte")
		}
	}
	if size > maxEnvironment {
		c.fail(path, "%d bytes, at most %d", size, maxEnvironment)
	}
}

func (c *appCheck) limits(path string, l *AppLimits) {
	if l.Memory != 0 && (l.Memory < minMemory || l.Memory > maxMemory) {
		c.fail(path+".memory", "%s is out of range: 64Ki to 1Gi", l.Memory)
	}
	if time.Duration(l.Timeout) > maxTimeout {
		c.fail(path+".timeout", "%s is longer than 15m", time.Duration(l.Timeout))
	}
	c.within(path+".concurrency", l.Concurrency, 1, 1024)
	c.within(path+".queue", l.Queue, 1, 100_000)
	if l.State > maxStateLimit {
		c.fail(path+".state", "%s is more than 256Mi", l.State)
	}
	if l.Output > 16<<20 {
		c.fail(path+".output", "%s is more than 16Mi", l.Output)
	}
	c.within(path+".outputs", l.Outputs, 1, maxOutputs)
	if l.Fuel < 0 {
		c.fail(path+".fuel", "%d is no amount of fuel: a whole number of units, or 0 for as much as timeout allows", l.Fuel)
	}
	c.within(path+".calls", l.Calls, 1, maxCalls)
	if l.Uplink != 0 && l.Uplink < minUplink {
		c.fail(path+".uplink", "%s a day is less than a request takes: write 1Ki or more", l.Uplink)
	}
}

func (c *appCheck) permissions(path string, p *AppPermissions) {
	c.unique(path+".publish", p.Publish)
	for i, filter := range p.Publish {
		at := fmt.Sprintf("%s.publish[%d]", path, i)
		if names := capturesIn(filter); len(names) > 0 {
			c.fail(at, "%.80q: a permission is the same for all triggers and has no captures: write + in place of {%s}", filter, names[0])
			continue
		}
		c.destination(at, filter, agent.CheckFilter)
	}
	c.unique(path+".invoke", p.Invoke)
	for i, name := range p.Invoke {
		c.invoke(fmt.Sprintf("%s.invoke[%d]", path, i), name)
	}
	c.unique(path+".http", p.HTTP)
	hosts := 0
	for i, text := range p.HTTP {
		grant, err := agent.ParseHTTPGrant(text)
		if err != nil {
			c.fail(fmt.Sprintf("%s.http[%d]", path, i), "%v", err)
		}
		if err != nil || grant.Host != "" {
			hosts++
		}
	}
	if len(p.HTTP) > 0 && hosts == 0 {
		c.fail(path+".http", "networks only say where granted names may lead: name the hosts too, as in [api.example.com, %s]", p.HTTP[0])
	}
}

// invoke checks "central/<target>" or "local/<function of this app>".
func (c *appCheck) invoke(path, name string) {
	if fn, ok := strings.CutPrefix(name, "local/"); ok {
		if _, known := c.app.Functions[fn]; !known {
			c.fail(path, "%.80q: this app has no function %.80q: name one of its functions", name, fn)
		}
		return
	}
	if !targetForm.MatchString(name) {
		c.fail(path, "%.80q names neither a target, central/<target>, nor a function, local/<function>", name)
	}
}

// destination checks a topic or filter to publish to, which may name a broker.
func (c *appCheck) destination(path, text string, check func(string) error) {
	_, topic, err := agent.SplitBroker(text)
	if err == nil {
		err = check(topic)
	}
	if err != nil {
		c.fail(path, "%v", err)
	}
}
