package sensors

import (
	"sync"

	"github.com/skerry-edge/skerry/agent"
)

// interest is what the triggers want of one source.
type interest struct {
	via     string
	changed chan struct{} // capacity 1: Follow gave other triggers

	mu      sync.Mutex
	filters []string // sorted; replaced, never changed
	faults  []string
}

func newInterest(via string) *interest {
	return &interest{via: via, changed: make(chan struct{}, 1)}
}

// Follow implements agent.Source.
func (n *interest) Follow(triggers []agent.Trigger) {
	wanted, faults := wantedFilters(n.via, triggers)
	n.mu.Lock()
	n.filters, n.faults = sortedKeys(wanted), faults
	n.mu.Unlock()
	signal(n.changed)
}

// now are the filters of the triggers there are, and what is wrong with others.
func (n *interest) now() (filters, faults []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.filters, n.faults
}

// wants tells whether a trigger may want events of topic.
func (n *interest) wants(topic string) bool {
	filters, _ := n.now()
	for _, f := range filters {
		if agent.MatchTopic(f, topic) {
			return true
		}
	}
	return false
}

// await waits until there are triggers; it returns false when stop is closed.
func (n *interest) await(stop <-chan struct{}) bool {
	for {
		filters, _ := n.now()
		select {
		case <-stop:
			return false
		default:
		}
		if len(filters) > 0 {
			return true
		}
		select {
		case <-n.changed:
		case <-stop:
			return false
		}
	}
}
