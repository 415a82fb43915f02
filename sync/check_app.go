package fleetsync

import (
	"fmt"
	"maps"
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
	maxThens       = 8
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
	maxDedupe      = 4           // fields
	maxWindow      = 24 * time.Hour
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
	if len(app.Functions) == 0 || len(app.Functions) > maxFunctions {
		c.fail("functions", "an app has 1 to %d functions, not %d", maxFunctions, len(app.Functions))
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
	c.oneOf(path+".isolation", fn.Isolation, isolationWarm, isolationFresh)
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
}

func (c *appCheck) permissions(path string, p *AppPermissions) {
	c.unique(path+".publish", p.Publish)
	for i, filter := range p.Publish {
		c.destination(fmt.Sprintf("%s.publish[%d]", path, i), filter, agent.CheckFilter)
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
			c.fail(path, "%.80q: this app has no function %.80q", name, fn)
		}
		return
	}
	if !targetForm.MatchString(name) {
		c.fail(path, "%.80q names neither a target, central/<target>, nor a function, local/<function>", name)
	}
}

func (c *appCheck) trigger(path string, t *AppTrigger) {
	if _, ok := c.app.Functions[t.Function]; !ok {
		c.fail(path+".function", "this app has no function %.80q", t.Function)
	}
	if (t.MQTT == nil) == (t.Schedule == nil) {
		c.fail(path, "a trigger has either mqtt: {topic: …} or schedule: {every: …}")
	}
	if t.MQTT != nil {
		c.mqtt(path+".mqtt", t.MQTT)
	}
	if t.Schedule != nil {
		c.schedule(path+".schedule", t.Schedule)
	}
	if t.When != "" && c.checks.When != nil {
		if err := c.checks.When(t.When); err != nil {
			c.fail(path+".when", "%v", err)
		}
	}
	if t.Dedupe != nil {
		c.dedupe(path+".dedupe", t.Dedupe)
	}
	c.oneOf(path+".order", t.Order, orderTopic, orderNone)
	if _, _, err := durability(t.Durability); err != nil {
		c.fail(path+".durability", "%v", err)
	}
	c.retry(path+".retry", t.Retry)
	if len(t.Then) > maxThens {
		c.fail(path+".then", "at most %d entries, not %d", maxThens, len(t.Then))
	}
	for i := range t.Then {
		c.then(fmt.Sprintf("%s.then[%d]", path, i), &t.Then[i])
	}
}

func (c *appCheck) dedupe(path string, d *AppDedupe) {
	if len(d.By) == 0 || len(d.By) > maxDedupe {
		c.fail(path, "it names 1 to %d fields of the event's JSON data: dedupe: {by: [source, id], window: 10m}", maxDedupe)
	}
	for i, field := range d.By {
		if field == "" || len(field) > 128 {
			c.fail(fmt.Sprintf("%s.by[%d]", path, i), "%.80q is no field: write its name, or a path such as meta.seq", field)
		}
	}
	if w := time.Duration(d.Window); w != 0 && (w < time.Second || w > maxWindow) {
		c.fail(path+".window", "%s is out of range: 1s to 24h", w)
	}
}

func (c *appCheck) mqtt(path string, m *MQTTTrigger) {
	if _, _, err := splitShare(m.Topic); err != nil {
		c.fail(path+".topic", "%v", err)
	}
	c.within(path+".qos", m.QoS, 0, 2)
	c.oneOf(path+".retained", m.Retained, "handle", "ignore")
}

// splitShare takes "$share/<group>/<filter>" apart; group is "" without it.
func splitShare(topic string) (group, filter string, err error) {
	if rest, ok := strings.CutPrefix(topic, "$share/"); ok {
		group, topic, ok = strings.Cut(rest, "/")
		if !ok || group == "" || strings.ContainsAny(group, "+#") {
			return "", "", fmt.Errorf("a shared subscription is $share/<group>/<filter>")
		}
	}
	return group, topic, agent.CheckFilter(topic)
}

func (c *appCheck) schedule(path string, s *ScheduleTrigger) {
	if c.unread[path+".every"] {
		return // it is there, though nothing was read from it
	}
	if (s.Every == 0) == (s.Cron == "") {
		c.fail(path, "a schedule has either every: 30s or cron: \"*/5 * * * *\"")
		return
	}
	if s.TimeZone != "" && s.Cron == "" {
		c.fail(path+".timezone", "a time zone needs cron: remove it")
		return
	}
	if c.checks.Schedule != nil {
		if err := c.checks.Schedule(s.rule()); err != nil {
			c.fail(path, "%v", err)
		}
	}
}

func (s *ScheduleTrigger) rule() agent.Schedule {
	return agent.Schedule{Every: time.Duration(s.Every), Cron: s.Cron, TimeZone: s.TimeZone}
}

func (c *appCheck) retry(path string, r *AppRetry) {
	if r == nil {
		return
	}
	c.within(path+".maxAttempts", r.MaxAttempts, 1, 100)
	if r.DeadLetter != "" {
		c.destination(path+".deadLetter", r.DeadLetter, agent.CheckTopic)
	}
}

func (c *appCheck) then(path string, t *AppThen) {
	if (t.Publish == "") == (t.Invoke == "") {
		c.fail(path, "it has either publish: <topic> or invoke: central/<target>")
	}
	if t.Publish != "" {
		c.destination(path+".publish", t.Publish, agent.CheckTopic)
	}
	if t.Invoke != "" {
		c.invoke(path+".invoke", t.Invoke)
	}
	c.oneOf(path+".when", t.When, "output", "error", "always")
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

// brokersOf are the brokers that an App names to publish to, by where it does.
func (a *App) brokersOf() map[string][]string {
	out := map[string][]string{}
	add := func(who, text string) {
		if broker, _, err := agent.SplitBroker(text); err == nil && broker != "" {
			out[who] = append(out[who], broker)
		}
	}
	for name, fn := range a.Functions {
		for _, filter := range fn.Permissions.Publish {
			add("function "+a.Metadata.Name+"/"+name, filter)
		}
	}
	for i := range a.Triggers {
		t := &a.Triggers[i]
		who := "trigger " + a.Metadata.Name + "/" + t.Name
		for _, then := range t.Then {
			add(who, then.Publish)
		}
		if t.Retry != nil {
			add(who, t.Retry.DeadLetter)
		}
	}
	return out
}

// triggerNames names each trigger that has no name after its function, if that
// is plain, and checks that names differ: what a trigger has seen is kept
// under its name, so a name must not depend on the order in the document.
func (c *appCheck) triggerNames() {
	seen := map[string]bool{}
	for i := range c.app.Triggers {
		t := &c.app.Triggers[i]
		path := fmt.Sprintf("triggers[%d]", i)
		if t.Name == "" {
			t.Name = t.Function
		} else {
			c.name(path+".name", t.Name)
		}
		if seen[t.Name] {
			c.fail(path, "a second trigger is called %.80q: give each a name of its own", t.Name)
		}
		seen[t.Name] = true
	}
}

// Warnings are things in an App that do not run as they are written.
func (a *App) Warnings() []string {
	var out []string
	for i := range a.Triggers {
		t := &a.Triggers[i]
		if t.MQTT != nil && t.MQTT.QoS != nil && *t.MQTT.QoS == 2 {
			out = append(out, fmt.Sprintf("trigger %s/%s asks for QoS 2: it is subscribed with QoS 1, so an event can come twice", a.Metadata.Name, t.Name))
		}
	}
	return slices.Clip(out)
}

// needs is what a device must have for the App: "target alerts, secret
// pager-token, broker plant"; "" if it names nothing of a device's.
func (a *App) needs() string {
	targets, secrets, brokers := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, fn := range a.Functions {
		for _, name := range fn.Permissions.Invoke {
			targets[name] = true
		}
		for _, name := range fn.Secrets {
			secrets["secret "+name] = true
		}
	}
	for _, t := range a.Triggers {
		for _, then := range t.Then {
			targets[then.Invoke] = true
		}
		if t.MQTT != nil && t.MQTT.Broker != "" {
			brokers["broker "+t.MQTT.Broker] = true
		}
	}
	for _, named := range a.brokersOf() {
		for _, broker := range named {
			brokers["broker "+broker] = true
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		if target, central := strings.CutPrefix(name, "central/"); central {
			out = append(out, "target "+target)
		}
	}
	out = append(out, slices.Sorted(maps.Keys(secrets))...)
	return strings.Join(append(out, slices.Sorted(maps.Keys(brokers))...), ", ")
}
