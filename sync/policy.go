package fleetsync

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Policy is what the owner of a device lets the fleet do on it at most. A list
// that is nil allows everything, an empty one nothing.
type Policy struct {
	Apps    []string // names, * for any part of them
	Publish []string // topic filters, as in an app's permissions.publish
	HTTP    []string // as in an app's permissions.http
	Invoke  []string // "central/alerts", * for any part
	Secrets []string // names, * for any part

	Memory  int64         // bytes of a function, in all instances together; 0: no limit
	Timeout time.Duration // of a function; 0: no limit

	// Rollback lets people at the device take an app back to the version before. For
	// that one more version of each app is kept.
	Rollback bool
}

// allows tells what of an app the owner does not.
func (d *Device) allows(app *App) error {
	c := policyCheck{Policy: &d.Policy, device: d}
	name := app.Metadata.Name
	if !anyName(c.Apps, name) {
		c.beyond("apps", "this is the app %s", name)
	}
	for _, short := range slices.Sorted(maps.Keys(app.Functions)) {
		fn := app.Functions[short]
		c.function("function "+name+"/"+short, &fn)
	}
	for i := range app.Triggers {
		t := &app.Triggers[i]
		who := "trigger " + name + "/" + t.Name
		for _, then := range t.Then {
			c.publishes(who, then.Publish)
			c.invokes(who, then.Invoke)
		}
		if t.Retry != nil {
			c.publishes(who, t.Retry.DeadLetter)
		}
	}
	return errors.Join(c.errs...)
}

// policyCheck collects what goes beyond a policy.
type policyCheck struct {
	*Policy
	device *Device
	errs   []error
}

func (c *policyCheck) beyond(key, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format+", which policy.%s in skerry.yaml does not allow: allow it there, or have the app ask for less", append(args, key)...))
}

func (c *policyCheck) function(who string, fn *AppFunction) {
	for _, filter := range fn.Permissions.Publish {
		c.publishes(who, filter)
	}
	for _, target := range fn.Permissions.Invoke {
		c.invokes(who, target)
	}
	for _, grant := range fn.Permissions.HTTP {
		if !anyHTTP(c.HTTP, grant) {
			c.beyond("http", "%s may connect to %s", who, grant)
		}
	}
	for _, secret := range fn.Secrets {
		if !anyName(c.Secrets, secret) {
			c.beyond("secrets", "%s is given the secret %s", who, secret)
		}
	}
	limits := fn.Limits.bind(c.device)
	if most := limits.Memory * int64(limits.Concurrency); c.Memory > 0 && most > c.Memory {
		c.beyond("memory", "%s may take %s (limits.memory times limits.concurrency)", who, Quantity(most))
	}
	if c.Timeout > 0 && limits.Timeout > c.Timeout {
		c.beyond("timeout", "%s may run for %s", who, agent.DurationText(limits.Timeout))
	}
}

// publishes checks a topic or filter; captures stand for any level.
func (c *policyCheck) publishes(who, text string) {
	if text != "" && !c.anyTopic(captureForm.ReplaceAllString(text, "+")) {
		c.beyond("publish", "%s may publish to %s", who, text)
	}
}

func (c *policyCheck) invokes(who, name string) {
	if strings.HasPrefix(name, "central/") && !anyName(c.Invoke, name) {
		c.beyond("invoke", "%s may send to %s", who, name)
	}
}

// anyTopic tells whether the policy covers a filter. One without a broker's name
// is of the device's first, or of the one that an event came from.
func (c *policyCheck) anyTopic(text string) bool {
	broker, filter, err := agent.SplitBroker(text)
	return err == nil && (c.Publish == nil || slices.ContainsFunc(c.Publish, func(allowed string) bool {
		on, wide, err := agent.SplitBroker(allowed)
		return err == nil && on == broker && covers(wide, filter)
	}))
}

// anyName tells whether one of the patterns is name's; all are if there is no list.
func anyName(patterns []string, name string) bool {
	return patterns == nil || slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// anyHTTP tells whether one of the grants allows all that text does.
func anyHTTP(allowed []string, text string) bool {
	asked, err := agent.ParseHTTPGrant(text)
	return err == nil && (allowed == nil || slices.ContainsFunc(allowed, func(wide string) bool {
		have, err := agent.ParseHTTPGrant(wide)
		return err == nil && coversHTTP(have, asked)
	}))
}

func coversHTTP(wide, g agent.HTTPGrant) bool {
	if g.Host == "" || wide.Host == "" {
		return g.Host == wide.Host && wide.Network.Bits() <= g.Network.Bits() && wide.Network.Contains(g.Network.Addr())
	}
	domain, wild := strings.CutPrefix(wide.Host, "*")
	host := g.Host == wide.Host || wild && strings.HasSuffix(g.Host, domain)
	return host && scheme(wide) == scheme(g) && port(wide) == port(g)
}

func scheme(g agent.HTTPGrant) string { return cmp.Or(g.Scheme, "https") }

func port(g agent.HTTPGrant) uint16 {
	usual := map[string]uint16{"http": 80, "https": 443}
	return cmp.Or(g.Port, usual[scheme(g)])
}

// covers tells whether wide matches every topic that filter does.
func covers(wide, filter string) bool {
	if strings.HasPrefix(filter, "$") && !strings.HasPrefix(wide, "$") {
		return false // a wildcard in the first level does not match it
	}
	for {
		x, wideRest, wideMore := strings.Cut(wide, "/")
		y, rest, more := strings.Cut(filter, "/")
		switch {
		case x == "#":
			return true
		case y == "#" || x != "+" && x != y:
			return false
		case !wideMore || !more: // "a/#" matches "a" too
			return wideMore == more || wideMore && wideRest == "#"
		}
		wide, filter = wideRest, rest
	}
}
