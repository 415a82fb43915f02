package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// cloud is the central FaaS of the demo: it takes CloudEvents over HTTP and
// tells different ones apart by their id, as a receiver should.
type cloud struct {
	addr string

	mu     sync.Mutex
	srv    *http.Server // nil while cut off
	ids    map[string]bool
	again  int64
	latest []followup
}

// followup is one received CloudEvent.
type followup struct {
	at   time.Time
	body string
}

const keepFollowups = 5

func newCloud() (*cloud, error) {
	c := &cloud{ids: map[string]bool{}, addr: "127.0.0.1:0"}
	return c, c.mend()
}

func (c *cloud) url() string { return "http://" + c.addr + "/alerts" }

// run lasts until ctx ends.
func (c *cloud) run(ctx context.Context) error {
	<-ctx.Done()
	return c.cut()
}

// cut closes every connection and refuses new ones.
func (c *cloud) cut() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.srv == nil {
		return nil
	}
	err := c.srv.Close()
	c.srv = nil
	return err
}

// mend listens again, on the same address.
func (c *cloud) mend() error {
	l, err := net.Listen("tcp", c.addr)
	if err != nil {
		return fmt.Errorf("start the demo's cloud: %w", err)
	}
	srv := &http.Server{Handler: c, ReadHeaderTimeout: 5 * time.Second}
	c.mu.Lock()
	c.addr, c.srv = l.Addr().String(), srv
	c.mu.Unlock()
	go func() { // ends when cut closes srv
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // loopback cannot fail otherwise
		}
	}()
	return nil
}

func (c *cloud) online() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.srv != nil
}

// ServeHTTP takes one follow-up.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	id := r.Header.Get("Ce-Id")
	if err != nil || id == "" {
		http.Error(w, "want a CloudEvent in binary mode", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids[id] {
		c.again++
	} else {
		c.ids[id] = true
		c.latest = append(c.latest, followup{time.Now(), string(body)})
		c.latest = c.latest[max(0, len(c.latest)-keepFollowups):]
	}
	w.WriteHeader(http.StatusAccepted)
}

// different is how many follow-ups arrived, repeated ones counted once.
func (c *cloud) different() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(len(c.ids))
}

func (c *cloud) recent() []followup {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]followup{}, c.latest...)
}
