package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// LinkConfig is a way to the network whose bytes are counted, and bounded.
type LinkConfig struct {
	Name    string   `key:"name"` // what targets, http and uplink call it
	Day     Size     `key:"day"`  // bytes a day, both ways; 0: no bound, here and below
	Month   Size     `key:"month"`
	Rate    Size     `key:"rate"`    // bytes a second
	Reserve Size     `key:"reserve"` // of Day, and of Month, for records of priority 8 and 9
	Metered []string `key:"metered"` // windows, "CRON FOR DURATION", in which Day and Month count; nil: always
}

// UplinkConfig is about all that waits for targets together.
type UplinkConfig struct {
	Disk Size   `key:"disk"` // what waits may take of limits.disk
	Full string `key:"full"` // what happens then: evict or hold
	Link string `key:"link"` // of targets and http that name none; "": they are not counted
}

const minUplinkDisk = 1 << 20

func (c *Config) fillUplinkDefaults() {
	c.Uplink.Disk = cmp.Or(c.Uplink.Disk, c.Limits.Disk/2)
	c.Uplink.Full = cmp.Or(c.Uplink.Full, uplink.FullEvict)
}

// linkOf is the name of the link that a target or http goes over: that which it
// names itself, or that of all, or "" for none.
func (c *Config) linkOf(own string) string { return cmp.Or(own, c.Uplink.Link) }

func (c *Config) checkUplink(p *problems) {
	p.checkNames("links", len(c.Links), func(i int) string { return c.Links[i].Name })
	for i := range c.Links {
		c.Links[i].check(fmt.Sprintf("links[%d]", i), p)
	}
	p.checkOneOf("uplink.full", c.Uplink.Full, uplink.FullEvict, uplink.FullHold)
	if c.Limits.Disk >= minDisk && (c.Uplink.Disk < minUplinkDisk || c.Uplink.Disk > c.Limits.Disk) { // else that is the mistake
		p.add("uplink.disk", "is from 1MiB to limits.disk, which is %s, not %s: choose less, or raise limits.disk",
			agent.BytesText(int64(c.Limits.Disk)), agent.BytesText(int64(c.Uplink.Disk)))
	}
	c.checkLink("uplink.link", c.Uplink.Link, p)
	c.checkLink("http.link", c.HTTP.Link, p)
	for i := range c.Targets {
		c.checkLink(fmt.Sprintf("targets[%d].link", i), c.Targets[i].Link, p)
	}
}

func (l *LinkConfig) check(path string, p *problems) {
	bound := l.Day + l.Month
	if l.Reserve > 0 && bound == 0 {
		p.add(join(path, "reserve"), "is a part of day and month: set one of them, or leave it out")
	}
	if len(l.Metered) > 0 && bound == 0 {
		p.add(join(path, "metered"), "says when day and month count: set one of them, or leave it out")
	}
	for i, text := range l.Metered {
		if err := uplink.CheckMetered(text); err != nil {
			p.add(fmt.Sprintf("%s.metered[%d]", path, i), "%v", err)
		}
	}
	for _, b := range []struct {
		key   string
		bytes Size
	}{{"day", l.Day}, {"month", l.Month}} {
		if b.bytes > 0 && l.Reserve >= b.bytes {
			p.add(join(path, "reserve"), "is %s, all of %s or more, so that nothing below priority 8 would ever go: choose less", agent.BytesText(int64(l.Reserve)), b.key)
		}
	}
}

// checkLink refuses the name of a link that there is not.
func (c *Config) checkLink(path, name string, p *problems) {
	if name == "" {
		return
	}
	var known []string
	for _, l := range c.Links {
		if l.Name == name {
			return
		}
		known = append(known, l.Name)
	}
	if len(known) == 0 {
		p.add(path, "is %q, and links is empty: describe the link there", name)
		return
	}
	p.add(path, "is the name of one of links (%s), not %q", strings.Join(known, ", "), name)
}
