package fleetsync

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	overWait  = "wait"
	overDrop  = "drop"
	logOff    = "off"
	minTTL    = time.Second
	maxTTL    = 365 * 24 * time.Hour
	minUplink = 1 << 10 // bytes a day
	maxSample = 1_000_000
)

// wayKeys say how a follow-up travels.
var wayKeys = []string{"priority", "ttl", "keepLatest", "over"}

// followups checks what a function says of the follow-ups that it sends.
func (c *appCheck) followups(path string, fn *AppFunction) {
	var seen []string
	for i := range fn.Followups {
		f, path := &fn.Followups[i], fmt.Sprintf("%s[%d]", path, i)
		bare, whole := strings.CutPrefix(f.Target, "central/")
		switch {
		case f.Target == "":
			c.fail(path, "target is missing: followups: [{target: alerts, priority: 9}]")
		case whole:
			c.fail(path+".target", "%.80q: here a target stands alone: write %.80s", f.Target, bare)
		case !targetForm.MatchString("central/" + f.Target):
			c.fail(path+".target", "%.80q is no target: write 1 to 63 letters, digits, dots, hyphens and underscores", f.Target)
		case slices.Contains(seen, f.Target):
			c.fail(path+".target", "%q has an entry already: say all of it in one", f.Target)
		case !slices.Contains(fn.Permissions.Invoke, "central/"+f.Target):
			c.fail(path+".target", "the function may not send to %q: add central/%[1]s to its permissions.invoke, or remove the entry; follow-ups of then have these keys there", f.Target)
		}
		seen = append(seen, f.Target)
		c.way(path, f.Priority, f.TTL, f.Over)
	}
}

func (c *appCheck) way(path string, priority *int, ttl Duration, over string) {
	c.within(path+".priority", priority, 0, maxPriority)
	c.between(path+".ttl", ttl, minTTL, maxTTL)
	c.oneOf(path+".over", over, overWait, overDrop)
}

func (c *appCheck) log(path string, l *AppLog) {
	if l == nil {
		return
	}
	if c.present(path, "level", "sample") == nil {
		c.fail(path, "it says nothing: write log: {level: warn}, or remove it")
	}
	c.oneOf(path+".level", l.Level, "debug", "info", "warn", "error", logOff)
	c.within(path+".sample", l.Sample, 1, maxSample)
	if l.Level == logOff && l.Sample != nil {
		c.fail(path+".sample", "level: off sends no line, so sample has no meaning: remove one of them")
	}
}
