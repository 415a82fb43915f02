package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// marks is the central FaaS: it notes which version each event was run by, has the
// plant book the first function's numbers, and books the second one's itself.
//
// Epochs count the assignments, the first is 1; epoch e is of version (e-1)%4+1.
type marks struct {
	*httptest.Server
	t     *testing.T
	plant *testbed.Plant
	mu    sync.Mutex
	epoch int         // of the newest assignment
	seen  int         // of the newest mark that came
	least map[int]int // by number of the second function: the oldest epoch that may run it
	came  map[int]int // by number of the second function: how often its follow-up came
	ids   map[string]int
	total [markedVersions + 1]int // follow-ups by version
}

func newMarks(t *testing.T, plant *testbed.Plant) *marks {
	m := &marks{t: t, plant: plant, epoch: 1, least: map[int]int{}, came: map[int]int{}, ids: map[string]int{}}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *marks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off in mid-request: it comes again
	}
	version, err := strconv.Atoi(strings.TrimPrefix(r.Header.Get("Content-Type"), "text/mark"))
	if err != nil || version < 1 || version > markedVersions {
		m.t.Errorf("a follow-up is marked %q", r.Header.Get("Content-Type"))
		return
	}
	n, _ := strconv.Atoi(string(body))
	m.note(n, version, r.Header.Get("Ce-Id"))
	if n < firstTwin {
		r.Body = io.NopCloser(bytes.NewReader(body))
		m.plant.Central.Config.Handler.ServeHTTP(w, r)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (m *marks) note(n, version int, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	epoch := m.epoch - (m.epoch-version)%markedVersions // the last one with this version
	m.total[version]++
	m.seen = max(m.seen, epoch)
	if n < firstTwin {
		return
	}
	m.came[n]++
	if epoch < m.least[n] {
		m.t.Errorf("event %d was run by version %d, when a newer one had run", n, version)
	}
	if was, known := m.ids[id]; known && was != n {
		m.t.Errorf("id %s stands for %d and for %d", id, was, n)
	}
	m.ids[id] = n
}

// assigned notes that there is another assignment, and gives its version.
func (m *marks) assigned() (version int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	return (m.epoch-1)%markedVersions + 1
}

// publish sends events for the second function, a hundred a second, until stop is
// closed: none may be run by a version that is older than one that has run before.
func (m *marks) publish(url string, stop <-chan struct{}) {
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("twins"))
	if err := token(c.Connect()); err != nil {
		m.t.Error(err)
		return
	}
	defer c.Disconnect(0)
	for n := firstTwin; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(10 * time.Millisecond):
		}
		m.mu.Lock()
		m.least[n] = m.seen
		m.mu.Unlock()
		if err := token(c.Publish(fmt.Sprintf("mark/k%02d", n%10), 1, false, strconv.Itoa(n))); err != nil {
			m.t.Error(err)
			return
		}
	}
}

// sees waits until the newest version has run events.
func (m *marks) sees(version string) {
	m.t.Helper()
	testbed.Eventually(m.t, time.Minute, version+" runs events", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.seen != m.epoch {
			return fmt.Errorf("the newest mark is of assignment %d, of %d", m.seen, m.epoch)
		}
		return nil
	})
}

// complete waits until each event of the second function had its one outcome.
func (m *marks) complete(within time.Duration) {
	m.t.Helper()
	testbed.Eventually(m.t, within, "every event of the second function has run", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.came) != len(m.least) || len(m.ids) != len(m.came) {
			return fmt.Errorf("%d of %d came, with %d ids", len(m.came), len(m.least), len(m.ids))
		}
		return nil
	})
}
