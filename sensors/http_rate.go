package sensors

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// rates lets each client make burst requests at once and rate a second in the
// long run.
type rates struct {
	rate, burst float64

	mu      sync.Mutex
	clients map[string]bucket
}

// bucket is what a client has left.
type bucket struct {
	left float64
	at   time.Time
}

const maxClients = 1024 // that are remembered

func newRates(rate float64, burst int) *rates {
	return &rates{rate: rate, burst: float64(burst), clients: map[string]bucket{}}
}

// take counts a request of client; it is refused if wait is not 0.
func (r *rates) take(client string, now time.Time) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, known := r.clients[client]
	if !known {
		r.forget(now)
		b = bucket{r.burst, now}
	}
	b = bucket{r.filled(b, now), now}
	if b.left < 1 {
		wait = max(1, time.Duration((1-b.left)/r.rate*float64(time.Second)))
	} else {
		b.left--
	}
	r.clients[client] = b
	return wait
}

func (r *rates) filled(b bucket, now time.Time) float64 {
	return min(r.burst, b.left+now.Sub(b.at).Seconds()*r.rate)
}

// forget makes room for one more client: those whose bucket is full lose nothing
// by it, and one other does if there is none.
func (r *rates) forget(now time.Time) {
	if len(r.clients) < maxClients {
		return
	}
	some := ""
	for client, b := range r.clients {
		some = client
		if r.filled(b, now) >= r.burst {
			delete(r.clients, client)
		}
	}
	if len(r.clients) >= maxClients {
		delete(r.clients, some)
	}
}

// clientOf names the machine that sent a request: its address, of IPv6 the
// network, since machines have many of those. It is "" for a unix socket.
func clientOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Unmap().Is4() {
		return host
	}
	network, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return network.String()
}

// refusals counts requests that were refused, by status.
type refusals struct {
	mu     sync.Mutex
	counts map[int]int64
}

func (r *refusals) add(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[int]int64{}
	}
	r.counts[status]++
}

// String tells the counts; it is empty when there are none.
func (r *refusals) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var each []string
	for _, status := range sortedKeys(r.counts) {
		text := http.StatusText(status)
		if text == "" {
			text = "caller went away"
		}
		each = append(each, fmt.Sprintf("%d %s: %d", status, text, r.counts[status]))
	}
	if len(each) == 0 {
		return ""
	}
	return "requests refused: " + strings.Join(each, ", ")
}
