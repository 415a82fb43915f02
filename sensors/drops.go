package sensors

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// drops counts messages that could never become events. They are acknowledged
// all the same, since the broker would send them again for ever.
type drops struct {
	mu       sync.Mutex
	oversize int64
	bytes    int64 // of oversize packets
	invalid  int64 // topics
	logged   time.Time
}

// tooLarge counts a packet of size bytes on topic.
func (d *drops) tooLarge(log *slog.Logger, topic string, size, limit int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.oversize++
	d.bytes += size
	if d.mayLog() {
		log.Warn("packet larger than the limit dropped", "topic", topic, "bytes", size, "limit", limit, "dropped", d.oversize)
	}
}

// badTopic counts a message whose topic no trigger could name.
func (d *drops) badTopic(log *slog.Logger, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.invalid++
	if d.mayLog() {
		log.Warn("message with an invalid topic dropped", "error", err, "dropped", d.invalid)
	}
}

// mayLog lets one line a minute through.
func (d *drops) mayLog() bool {
	now := time.Now()
	if !d.logged.IsZero() && now.Sub(d.logged) < time.Minute {
		return false
	}
	d.logged = now
	return true
}

// String tells the counts; it is empty when there are none.
func (d *drops) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var s []string
	if d.oversize > 0 {
		s = append(s, fmt.Sprintf("%s over the size limit dropped (%d bytes)", agent.CountText(d.oversize, "packet"), d.bytes))
	}
	if d.invalid > 0 {
		s = append(s, fmt.Sprintf("%s with invalid topics dropped", agent.CountText(d.invalid, "message")))
	}
	return strings.Join(s, "; ")
}
