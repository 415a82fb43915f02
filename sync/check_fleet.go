package fleetsync

import (
	"fmt"
	"slices"
)

const (
	maxAssignments = 1000
	maxRevision    = 1 << 53 // the last that every JSON reader has exactly
)

// fleetCheck holds the rules of a Fleet that its shape does not tell.
type fleetCheck struct {
	*decoder
	fleet *Fleet
}

func (c *fleetCheck) all() {
	m := &c.fleet.Metadata
	if m.Name == "" {
		c.fail("metadata", "the name is missing: metadata: {name: my-fleet}")
	} else {
		c.name("metadata.name", m.Name)
	}
	if m.Revision < 0 || m.Revision > maxRevision {
		c.fail("metadata.revision", "%d is no revision: a whole number from 1 to %d, or leave it out", m.Revision, int64(maxRevision))
	}
	if n := len(c.fleet.Assignments); n == 0 || n > maxAssignments {
		c.fail("assignments", "a fleet has 1 to %d assignments, not %d; start with {app: my-app, version: 1.0.0}", maxAssignments, n)
	}
	c.within("sync.keepVersions", c.fleet.Sync.KeepVersions, 1, maxKeep)
	for i := range c.fleet.Assignments {
		c.assignment(fmt.Sprintf("assignments[%d]", i), &c.fleet.Assignments[i])
	}
}

func (c *fleetCheck) assignment(path string, a *Assignment) {
	c.name(path+".app", a.App)
	if a.Version != versionNone && !validVersion(a.Version) {
		c.failInstead(path+".version", "%.80q is no version: write one as in 1.4.0, or none", a.Version)
	}
	if p := a.Percent; p != nil && (*p < 0 || *p > 100) {
		c.fail(path+".percent", "%v is no percentage: 0 to 100", *p)
	}
	c.health(path+".health", a)
	if a.Selector == nil {
		return
	}
	for i, e := range a.Selector.MatchExpressions {
		c.expression(fmt.Sprintf("%s.selector.matchExpressions[%d]", path, i), e)
	}
	c.unique(path+".selector.devices", a.Selector.Devices)
}

func (c *fleetCheck) expression(path string, e Expression) {
	if e.Key == "" {
		c.fail(path, "the key is missing: {key: site, operator: In, values: [west]}")
	}
	switch {
	case slices.Contains([]string{"In", "NotIn"}, e.Operator):
		if len(e.Values) == 0 {
			c.fail(path, "%s needs values", e.Operator)
		}
	case slices.Contains([]string{"Exists", "DoesNotExist"}, e.Operator):
		if len(e.Values) > 0 {
			c.fail(path, "%s takes no values", e.Operator)
		}
	default:
		c.fail(path+".operator", "%.80q is not one of In, NotIn, Exists, DoesNotExist", e.Operator)
	}
}

// Warnings are things in a Fleet that have no effect as they are written: an
// assignment behind one of the same app that is for every device.
func (f *Fleet) Warnings() []string {
	var out []string
	count, forAll := map[string]int{}, map[string]int{} // by app, counted from 1
	for i := range f.Assignments {
		a := &f.Assignments[i]
		count[a.App]++
		switch first := forAll[a.App]; {
		case first > 0:
			out = append(out, fmt.Sprintf("assignment %d of %s is never reached: assignment %d is for every device", count[a.App], a.App, first))
		case a.forAll():
			forAll[a.App] = count[a.App]
		}
	}
	return out
}
