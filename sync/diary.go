package fleetsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/skerry-edge/skerry/agent"
)

// What is kept of the past.
const (
	diaryPin    = "history"
	diaryFormat = 1
	maxDiary    = 32 << 10 // bytes
	maxEntries  = 100
	maxWhat     = 12  // lines of an entry
	maxWhatLine = 160 // bytes
)

// diary is what ran here when, in a pin of its own. It is written only when something
// changed: what it was at the last entry is in it, so that a start knows what the agent
// did not come to write down before it died.
type diary struct {
	cache Cache
	log   *slog.Logger

	mu     sync.Mutex
	opened bool
	book   book
}

// book is the pin.
type book struct {
	Format  int                     `json:"format"`
	Apps    map[string]stood        `json:"apps"`
	Entries []agent.DeploymentEntry `json:"entries"` // the newest first
}

// stood is how an app stood at its last entry.
type stood struct {
	Version string `json:"version,omitempty"` // that ran
	State   string `json:"state"`
	Is      string `json:"is"` // print of all that an entry is made for
}

// readBook reads a pin. What is not one, or more than is ever written, is refused.
func readBook(data []byte) (b book, err error) {
	if len(data) > 2*maxDiary {
		return book{}, fmt.Errorf("it has %d bytes", len(data))
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return book{}, err
	}
	if b.Format != diaryFormat {
		return book{}, fmt.Errorf("it has format %d, this release reads %d", b.Format, diaryFormat)
	}
	b.Entries = b.Entries[:min(maxEntries, len(b.Entries))]
	return b, nil
}

// open reads the pin the first time. One that is damaged begins anew with the next
// entry: a history is worth no failure. The lock is held.
func (d *diary) open() {
	if d.opened {
		return
	}
	d.opened = true
	data, err := d.cache.Pinned(diaryPin)
	if err == nil {
		d.book, err = readBook(data)
	}
	if err != nil && !errors.Is(err, agent.ErrNotFound) {
		d.log.Warn("the history of deployments cannot be read and begins anew", "err", err)
	}
	if d.book.Apps == nil {
		d.book.Apps = map[string]stood{}
	}
}

// entries are those there are, the newest first.
func (d *diary) entries() []agent.DeploymentEntry {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open()
	return append([]agent.DeploymentEntry{}, d.book.Entries...)
}

// last is how an app stood at its last entry.
func (d *diary) last() map[string]stood {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open()
	return d.book.Apps
}

// add writes entries down, in the order of their apps, and how all apps stand now.
func (d *diary) add(entries []agent.DeploymentEntry, now map[string]stood) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.book.Format, d.book.Apps = diaryFormat, now
	d.book.Entries = slices.Concat(entries, d.book.Entries)
	data := d.book.encode()
	if err := d.cache.Pin(diaryPin, data); err != nil {
		d.log.Warn("what changed here cannot be kept in the history of deployments", "err", err)
	}
}

// encode gives the pin, without the oldest entries that there is no room for.
func (b *book) encode() []byte {
	b.Entries = b.Entries[:min(maxEntries, len(b.Entries))]
	for {
		data := mustJSON(b)
		if len(data) <= maxDiary || len(b.Entries) == 0 {
			return data
		}
		b.Entries = b.Entries[:len(b.Entries)-1]
	}
}
