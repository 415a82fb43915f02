package broker

import (
	"slices"
	"strings"
)

// subscription is what one session wants of the topics of one filter.
type subscription struct {
	s *session
	filterOption
}

// node is one level of all filters there are. The zero value is empty.
type node struct {
	children map[string]*node
	plain    map[*session]*subscription
	shared   map[string]*group // by the name of the group
}

// group is the members of a shared subscription; each message goes to one.
type group struct {
	members []*subscription
	next    int
}

// pick is the member whose turn it is; those that are connected come first.
func (g *group) pick() *subscription {
	for range g.members {
		g.next = (g.next + 1) % len(g.members)
		if g.members[g.next].s.conn != nil {
			return g.members[g.next]
		}
	}
	return g.members[g.next]
}

// add puts sub in, in place of an older one of the same session and filter.
func (n *node) add(sub *subscription) {
	for level := range strings.SplitSeq(sub.filter, "/") {
		if n.children == nil {
			n.children = map[string]*node{}
		}
		next := n.children[level]
		if next == nil {
			next = &node{}
			n.children[level] = next
		}
		n = next
	}
	if sub.share == "" {
		if n.plain == nil {
			n.plain = map[*session]*subscription{}
		}
		n.plain[sub.s] = sub
		return
	}
	if n.shared == nil {
		n.shared = map[string]*group{}
	}
	g := n.shared[sub.share]
	if g == nil {
		g = &group{}
		n.shared[sub.share] = g
	}
	g.members = slices.DeleteFunc(g.members, func(o *subscription) bool { return o.s == sub.s })
	g.members = append(g.members, sub)
}

// remove takes sub out, with the levels that nobody needs any more.
func (n *node) remove(sub *subscription) { n.removeAt(sub, sub.filter) }

func (n *node) removeAt(sub *subscription, filter string) {
	level, rest, more := strings.Cut(filter, "/")
	child := n.children[level]
	if child == nil {
		return
	}
	if more {
		child.removeAt(sub, rest)
	} else {
		child.drop(sub)
	}
	if len(child.children)+len(child.plain)+len(child.shared) == 0 {
		delete(n.children, level)
	}
}

func (n *node) drop(sub *subscription) {
	if sub.share == "" {
		delete(n.plain, sub.s)
		return
	}
	g := n.shared[sub.share]
	if g == nil {
		return
	}
	g.members = slices.DeleteFunc(g.members, func(o *subscription) bool { return o.s == sub.s })
	g.next = 0
	if len(g.members) == 0 {
		delete(n.shared, sub.share)
	}
}

// match calls visit with the subscriptions whose filters match topic, and one
// member of each group.
func (n *node) match(topic string, visit func(*subscription)) {
	n.matchLevel(topic, !strings.HasPrefix(topic, "$"), visit)
}

// matchLevel matches the rest of a topic; wild tells whether wildcards may
// match its first level.
func (n *node) matchLevel(topic string, wild bool, visit func(*subscription)) {
	level, rest, more := strings.Cut(topic, "/")
	if wild {
		n.children["#"].each(visit)
	}
	for i, name := range [2]string{level, "+"} {
		if i == 1 && !wild {
			return
		}
		child := n.children[name]
		switch {
		case child == nil:
		case more:
			child.matchLevel(rest, true, visit)
		default:
			child.each(visit)
			child.children["#"].each(visit) // which matches the level above it too
		}
	}
}

func (n *node) each(visit func(*subscription)) {
	if n == nil {
		return
	}
	for _, sub := range n.plain {
		visit(sub)
	}
	for _, g := range n.shared {
		visit(g.pick())
	}
}
