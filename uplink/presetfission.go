package uplink

import (
	"net/http"
	"sync/atomic"
	"time"
)

// fissionRow: a function of Fission, by the path of its HTTP trigger in url, or
// by its name, which newer routers take on their internal port only.
var fissionRow = httpKind("path function namespace mode"+authOptions, func(c *TargetConfig) (*preset, error) {
	p := &preset{path: c.Path, class: missingHolds(nil, "the router has no such route")}
	wait, err := waits(c)
	if err != nil {
		return nil, err
	}
	if c.Function != "" {
		before := "/fission-function/"
		if c.Namespace != "" && c.Namespace != "default" {
			before += rfc3986(c.Namespace) + "/"
		}
		p.url, err = called(c, before)
	} else if p.url, err = place(c, "", ""); err == nil && c.Namespace != "" {
		err = mistake("namespace", "belongs to function; give both or neither")
	}
	if wait || err != nil {
		return p, err
	}
	p.limit = 256 << 10
	f := &fissionAsync{}
	p.reserved = []string{"content-type", "x-fission-"}
	p.write, p.retry, p.note = f.write, f.retry, f.note
	return p, nil
})

// fissionAsync asks for asynchronous calls, and calls synchronously for a while
// where the router says that it makes none.
type fissionAsync struct{ until atomic.Pointer[time.Time] }

const (
	fissionMode  = "X-Fission-Invoke-Mode"
	fissionAgain = time.Hour // then asynchronous calls are asked for again
)

func (f *fissionAsync) off() bool {
	until := f.until.Load()
	return until != nil && time.Now().Before(*until)
}

func (f *fissionAsync) write(m *message) error {
	m.header.Set("X-Fission-Dedup-Key", encodeHeader(m.event.ID))
	if !f.off() {
		m.header.Set(fissionMode, "async")
	}
	return writeBare(m)
}

func (f *fissionAsync) retry(a *answer, m *message) bool {
	if a.status != http.StatusNotImplemented || m.header.Get(fissionMode) == "" {
		return false
	}
	until := time.Now().Add(fissionAgain)
	f.until.Store(&until)
	m.header.Del(fissionMode)
	return true
}

func (f *fissionAsync) note() string {
	if !f.off() {
		return ""
	}
	return "asynchronous calls are off at the router, so functions are waited for; set mode: sync, or turn them on there"
}
