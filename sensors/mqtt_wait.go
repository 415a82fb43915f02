package sensors

import (
	"context"
	"errors"
	"fmt"

	"github.com/skerry-edge/skerry/sensors/mqtt"
)

// Connected waits until there is a connection, and returns nil then. It gives
// up when ctx ends, with why there is none in an ErrNotConnected, and at once
// while the broker refuses this client: the error is its mqtt.Refused then.
func (m *MQTT) Connected(ctx context.Context) error {
	for {
		m.mu.Lock()
		last, news := m.last, m.news
		m.mu.Unlock()
		var refused mqtt.Refused
		switch {
		case m.link.Load() != nil:
			return nil
		case errors.As(last, &refused):
			return last
		}
		select {
		case <-news:
		case <-ctx.Done():
			if last == nil {
				return ErrNotConnected
			}
			return fmt.Errorf("%w: %w", ErrNotConnected, last)
		}
	}
}

// Reconnect gives the connection up, if there is one, so that there is a new
// one soon; why is the cause.
func (m *MQTT) Reconnect(why error) {
	if l := m.link.Load(); l != nil {
		l.lose(why)
	}
}

// setLast keeps why there is no connection, nil when there is one.
func (m *MQTT) setLast(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell(err)
}

// tell is setLast with m.mu held; it wakes those who wait for a connection.
func (m *MQTT) tell(last error) {
	m.last = last
	close(m.news)
	m.news = make(chan struct{})
}
