package fleetsync

import (
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Bounds of what a trigger gathers for one run; docs/manifest.md tells them.
const (
	maxGathered      = 10_000              // events
	maxGatheredBytes = 1 << 20             // of data
	maxGatherTime    = 31 * 24 * time.Hour // of a window
	maxWait          = 24 * time.Hour      // of a batch, and the pause of a debounce
	minGatherTime    = 100 * time.Millisecond
	maxSlides        = 100 // windows that one event is in
)

// gather checks what puts events aside to run once for many.
func (c *appCheck) gather(path string, t *AppTrigger, names []string) {
	if by := c.present(path, "debounce", "batch", "window"); len(by) > 1 {
		c.fail(path+"."+by[1], "a trigger has only one of debounce, batch and window, and this one has %s: write a trigger for each", strings.Join(by, " and "))
	}
	if d := t.Debounce; d != nil {
		path := path + ".debounce"
		c.required(path, "debounce: {quiet: 500ms}", "quiet")
		c.between(path+".quiet", d.Quiet, time.Millisecond, maxWait)
		c.longest(path, d.Quiet, "quiet", d.AtMost)
	}
	if b := t.Batch; b != nil {
		path := path + ".batch"
		if c.present(path, "count", "bytes", "time") == nil {
			c.fail(path, "nothing ends it: give it at least one of count, bytes and time, as in batch: {count: 100, time: 10s}")
		}
		if c.lines[path+".count"] > 0 {
			c.within(path+".count", &b.Count, 1, maxGathered)
		}
		if b.Bytes > maxGatheredBytes {
			c.fail(path+".bytes", "%s is more than 1Mi", b.Bytes)
		}
		c.between(path+".time", b.Time, time.Millisecond, maxWait)
	}
	if t.Window != nil {
		c.window(path+".window", t.Window, names)
	}
}

func (c *appCheck) window(path string, w *AppWindow, names []string) {
	kinds := c.present(path, "tumbling", "sliding", "session")
	if len(kinds) != 1 {
		c.fail(path, "it has one of tumbling, sliding and session: window: {tumbling: 1m}, {sliding: 10m, every: 1m} or {session: 30s}")
	}
	c.between(path+".tumbling", w.Tumbling, minGatherTime, maxGatherTime)
	c.between(path+".sliding", w.Sliding, minGatherTime, maxGatherTime)
	c.between(path+".session", w.Session, minGatherTime, maxGatherTime)
	c.slides(path, w)
	if c.lines[path+".atMost"] > 0 && c.lines[path+".session"] == 0 {
		c.fail(path+".atMost", "it goes with session: remove it, a tumbling or sliding window has its length")
	}
	c.longest(path, w.Session, "session", w.AtMost)
	c.value(path+".time", w.Time, names)
	c.between(path+".lateness", w.Lateness, time.Millisecond, maxGatherTime)
	c.oneOf(path+".late", w.Late, "drop", "run")
	if c.lines[path+".time"] == 0 {
		for _, key := range c.present(path, "lateness", "late") {
			c.fail(path+"."+key, "without time no event is late, since its time is when it came: remove it, or add time: data.time")
		}
	}
}

func (c *appCheck) slides(path string, w *AppWindow) {
	switch every, sliding := c.lines[path+".every"] > 0, c.lines[path+".sliding"] > 0; {
	case every && !sliding:
		c.fail(path+".every", "it goes with sliding, how often such a window begins: remove it")
	case sliding && !every:
		c.fail(path, "every is missing, how often such a window begins: window: {sliding: 10m, every: 1m}")
	case w.Every == 0 || w.Sliding == 0: // told, or not there
	case w.Every > w.Sliding:
		c.fail(path+".every", "%s is longer than the window of %s, so events would be in none: write at most its length",
			agent.DurationText(time.Duration(w.Every)), agent.DurationText(time.Duration(w.Sliding)))
	case w.Sliding > maxSlides*w.Every:
		c.fail(path+".every", "%s puts each event into more than %d windows of %s: write at least %s",
			agent.DurationText(time.Duration(w.Every)), maxSlides, agent.DurationText(time.Duration(w.Sliding)), agent.DurationText(time.Duration(w.Sliding/maxSlides)))
	}
}

// longest checks atMost, which bounds what ends by a pause.
func (c *appCheck) longest(path string, pause Duration, key string, most Duration) {
	c.between(path+".atMost", most, time.Millisecond, maxGatherTime)
	if most != 0 && most < pause {
		c.fail(path+".atMost", "%s is shorter than %s, the pause of %s: write more, or remove it", agent.DurationText(time.Duration(most)), key, agent.DurationText(time.Duration(pause)))
	}
}
