package fleetsync

import (
	"fmt"
	"time"
)

const (
	maxDedupe    = 4 // fields
	minWindow    = time.Second
	maxWindow    = 24 * time.Hour
	maxOnChange  = 8 // expressions
	maxRate      = 10_000
	maxRateTime  = 24 * time.Hour
	maxRelative  = 1e6 // percent
	gateExamples = "write deadband: {of: data.temperature, by: 0.5}, or percent: 5"
)

func (c *appCheck) dedupe(path string, d *AppDedupe, names []string) {
	if d == nil {
		return
	}
	if len(c.present(path, "by", "key")) != 1 {
		c.fail(path, "it has either by, 1 to %d fields of the event's JSON data, or key, an expression: dedupe: {by: [source, id], window: 10m}", maxDedupe)
	}
	if c.lines[path+".by"] > 0 && (len(d.By) == 0 || len(d.By) > maxDedupe) {
		c.fail(path+".by", "it names 1 to %d fields of the event's JSON data, not %d: by: [source, id]", maxDedupe, len(d.By))
	}
	for i, field := range d.By {
		if field == "" || len(field) > 128 {
			c.fail(fmt.Sprintf("%s.by[%d]", path, i), "%.80q is no field: write its name, or a path such as meta.seq", field)
		}
	}
	c.value(path+".key", d.Key, names)
	c.between(path+".window", d.Window, minWindow, maxWindow)
}

// gate checks what lets only some of a key's events through.
func (c *appCheck) gate(path string, t *AppTrigger, names []string) {
	if c.lines[path+".onChange"] > 0 && (len(t.OnChange) == 0 || len(t.OnChange) > maxOnChange) {
		c.fail(path+".onChange", "it has 1 to %d expressions, not %d: onChange: [data.state]", maxOnChange, len(t.OnChange))
	}
	for i, text := range t.OnChange {
		c.value(fmt.Sprintf("%s.onChange[%d]", path, i), text, names)
	}
	if t.Deadband != nil {
		c.deadband(path+".deadband", t.Deadband, names)
	}
	if r := t.RateLimit; r != nil {
		path := path + ".rateLimit"
		c.required(path, "rateLimit: {count: 1, per: 10s}", "count", "per")
		if c.lines[path+".count"] > 0 {
			c.within(path+".count", &r.Count, 1, maxRate)
		}
		c.between(path+".per", r.Per, time.Millisecond, maxRateTime)
	}
}

func (c *appCheck) deadband(path string, d *AppDeadband, names []string) {
	c.required(path, "deadband: {of: data.temperature, by: 0.5}", "of")
	c.value(path+".of", d.Of, names)
	switch by := c.present(path, "by", "percent"); {
	case len(by) != 1:
		c.fail(path, "it has either by or percent: %s", gateExamples)
	case by[0] == "by" && d.By <= 0:
		c.fail(path+".by", "%v is no difference: write a number above 0", d.By)
	case by[0] == "percent" && (d.Percent <= 0 || d.Percent > maxRelative):
		c.fail(path+".percent", "%v is no percentage of change: write a number above 0, such as 5", d.Percent)
	}
}
