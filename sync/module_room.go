package fleetsync

import (
	"fmt"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// roomFor refuses to begin what the disk has no room for, in a sentence with
// figures. For want of room it lets modules go that are kept only to save a download.
func (p *Puller) roomFor(routes []route, next *pinned) error {
	var need int64
	for i := range routes {
		need += routes[i].write
	}
	room, err := p.cache.Room(need)
	if err == nil && need > room {
		if err = p.sweep(p.essential(routes, next)); err == nil {
			room, err = p.cache.Room(need)
		}
	}
	if err != nil || need <= room {
		return err
	}
	return fmt.Errorf("fleet %s revision %d needs %s on the disk for modules, and %s may be used: free some space, what runs runs on, and it goes on by itself when there is room: %w",
		next.Fleet, next.Revision, agent.BytesText(need), agent.BytesText(room), agent.ErrFull)
}

// essential are the modules of what runs, of what it goes back to if it fails its
// gate, and of what is coming, with its patches and what they are made against.
func (p *Puller) essential(routes []route, next *pinned) []agent.Digest {
	keep := slices.Clone(next.Blobs)
	for i := range routes {
		keep = append(keep, agent.Digest(routes[i].patch.Digest), agent.Digest(routes[i].patch.From))
	}
	if p.now != nil {
		keep = append(keep, p.now.Blobs...)
	}
	return keep
}
