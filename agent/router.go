package agent

import (
	"fmt"
	"strings"
)

// router finds the triggers an event starts. It is built once per deployment
// and only read afterwards.
type router struct {
	roots map[string]*node // by Event.Via
}

// route is one trigger with what it needs to decide.
type route struct {
	trigger *compiled
	fn      *function
}

// node is one level of a topic.
type node struct {
	children map[string]*node
	plus     *node
	rest     []*route // filters that end here in "#"
	routes   []*route // filters that end here
}

func newRouter() *router { return &router{roots: map[string]*node{}} }

// add enters a trigger under its source and filter.
func (r *router) add(rt *route) error {
	if err := CheckFilter(rt.trigger.Filter); err != nil {
		return fmt.Errorf("trigger %s: %w", rt.trigger.Name, err)
	}
	n := r.roots[rt.trigger.Via]
	if n == nil {
		n = &node{}
		r.roots[rt.trigger.Via] = n
	}
	for level := range strings.SplitSeq(rt.trigger.Filter, "/") {
		if level == "#" {
			n.rest = append(n.rest, rt)
			return nil
		}
		n = n.child(level)
	}
	n.routes = append(n.routes, rt)
	return nil
}

func (n *node) child(level string) *node {
	if level == "+" {
		if n.plus == nil {
			n.plus = &node{}
		}
		return n.plus
	}
	c := n.children[level]
	if c == nil {
		if n.children == nil {
			n.children = map[string]*node{}
		}
		c = &node{}
		n.children[level] = c
	}
	return c
}

// match appends to found the routes whose filter and condition accept ev.
func (r *router) match(ev *Event, found []*route) []*route {
	root := r.roots[ev.Via]
	if root == nil {
		return found
	}
	if strings.HasPrefix(ev.Subject, "$") { // wildcards never start a match there
		first, rest, more := strings.Cut(ev.Subject, "/")
		if c := root.children[first]; c != nil {
			found = c.descend(rest, more, found)
		}
	} else {
		found = root.descend(ev.Subject, true, found)
	}
	return accepted(ev, found)
}

// descend collects the routes below n for the levels left in topic; more is
// false when there are none.
func (n *node) descend(topic string, more bool, found []*route) []*route {
	found = append(found, n.rest...)
	if !more {
		return append(found, n.routes...)
	}
	level, rest, more := strings.Cut(topic, "/")
	if c := n.children[level]; c != nil {
		found = c.descend(rest, more, found)
	}
	if n.plus != nil {
		found = n.plus.descend(rest, more, found)
	}
	return found
}

// accepted keeps the routes whose stateless conditions hold.
func accepted(ev *Event, found []*route) []*route {
	kept := found[:0]
	for _, rt := range found {
		if ev.Retained && rt.trigger.IgnoreRetained {
			continue
		}
		if rt.trigger.stateless != nil {
			if ok, err := rt.trigger.stateless.Match(Terms{Event: ev, Trigger: &rt.trigger.Trigger}); err != nil || !ok {
				if err != nil {
					rt.fn.stats.conditionErrors.Add(1)
				}
				continue
			}
		}
		kept = append(kept, rt)
	}
	return kept
}
