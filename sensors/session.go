package sensors

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// session is what is known of the subscriptions that the broker keeps for this
// client id. It must never believe in a subscription that is not there, since
// its messages would be lost in silence; believing in too few costs only that
// retained messages come again. It outlives the process through Notes.
type session struct {
	key   string
	notes Notes // may be nil
	log   *slog.Logger

	mu    sync.Mutex
	state sessionState
	saved sessionState // last put into notes
}

// sessionState is the note.
type sessionState struct {
	ClientID string          `json:"client_id"`
	Broker   string          `json:"broker"`
	Sure     bool            `json:"sure"`            // Held is what a session of the broker holds, if it has one
	Held     map[string]byte `json:"held"`            // filters the broker granted, with their QoS
	Maybe    []string        `json:"maybe,omitempty"` // filters it may or may not hold
}

func newSession(name, clientID, broker string, notes Notes, log *slog.Logger) *session {
	return &session{
		key: "mqtt/" + name + "/session", notes: notes, log: log,
		state: sessionState{ClientID: clientID, Broker: broker, Held: map[string]byte{}},
	}
}

// load reads the note of the last process. A note about another broker or
// client id, or none that can be read, means that nothing is known.
func (s *session) load() {
	if s.notes == nil {
		return
	}
	b, err := s.notes.Get(s.key)
	if err != nil {
		s.log.Warn("cannot read which filters the broker holds; subscribing anew", "error", err)
		return
	}
	var old sessionState
	if len(b) == 0 || json.Unmarshal(b, &old) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old.ClientID == s.state.ClientID && old.Broker == s.state.Broker && old.Held != nil {
		s.state, s.saved = old.clone(), old
	}
}

// connecting notes that a CONNECT is about to be sent: until its answer is
// known, the broker may have begun an empty session. It tells whether Held was
// sure before.
func (s *session) connecting() (sure bool) {
	s.change(func(st *sessionState) { sure, st.Sure = st.Sure, false })
	return sure
}

// doubt notes that the broker was gone: it may come back with an older copy of
// its sessions (mosquitto saves them every 30 minutes by default).
func (s *session) doubt() { s.change(func(st *sessionState) { st.Sure = false }) }

// connected takes the broker's answer. Unless the session is there and was
// sure before, every filter is one that it only may hold.
func (s *session) connected(present, sure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.state
	switch {
	case !present:
		st.Held, st.Maybe = map[string]byte{}, nil
	case !sure:
		for filter := range st.Held {
			st.maybe(filter)
		}
	}
}

// plan says what must be subscribed and unsubscribed so that the session holds
// wanted, and notes it: until it is answered, the broker may hold any of it.
func (s *session) plan(wanted map[string]byte) (subscribe map[string]byte, unsubscribe []string) {
	subscribe = map[string]byte{}
	noted := s.change(func(st *sessionState) {
		for filter, qos := range wanted {
			if held, ok := st.Held[filter]; !ok || held != qos {
				subscribe[filter] = qos
				st.maybe(filter)
			}
		}
		for filter := range st.Held {
			if _, ok := wanted[filter]; !ok {
				st.maybe(filter)
			}
		}
		for _, filter := range st.Maybe {
			if _, ok := wanted[filter]; !ok {
				unsubscribe = append(unsubscribe, filter)
			}
		}
		st.Sure = st.Sure && len(subscribe)+len(unsubscribe) == 0
	})
	if !noted {
		return subscribe, nil // the old note would promise what we are about to give up
	}
	slices.Sort(unsubscribe)
	return subscribe, unsubscribe
}

// granted notes that the broker holds filter; refused and removed that it does not.
func (s *session) granted(filter string, qos byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.forget(filter)
	s.state.Held[filter] = qos
}

func (s *session) removed(filter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.forget(filter)
}

// settled notes that all of a plan was answered.
func (s *session) settled() { s.change(func(st *sessionState) { st.Sure = true }) }

// filters lists what the broker holds, sorted.
func (s *session) filters() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sortedKeys(s.state.Held)
}

// change edits the state and saves it if it differs from what was saved last.
// It tells whether the note, if there is a place for it, is as the state.
func (s *session) change(edit func(*sessionState)) (noted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(&s.state)
	if s.notes == nil || s.state.equal(&s.saved) {
		return true
	}
	if err := s.save(); err != nil {
		s.log.Warn("cannot note which filters the broker holds; an unwanted one may stay after a restart", "error", err)
		return false
	}
	return true
}

func (s *session) save() error {
	b, err := json.Marshal(&s.state)
	if err != nil {
		return fmt.Errorf("encode session note: %w", err)
	}
	if err := s.notes.Put(s.key, b); err != nil {
		return err
	}
	s.saved = s.state.clone()
	return nil
}

// maybe moves filter from Held to Maybe.
func (st *sessionState) maybe(filter string) {
	st.forget(filter)
	st.Maybe = append(st.Maybe, filter)
}

func (st *sessionState) forget(filter string) {
	delete(st.Held, filter)
	st.Maybe = slices.DeleteFunc(st.Maybe, func(f string) bool { return f == filter })
}

func (st *sessionState) clone() sessionState {
	c := *st
	c.Held, c.Maybe = maps.Clone(st.Held), slices.Clone(st.Maybe)
	return c
}

func (st *sessionState) equal(o *sessionState) bool {
	return st.ClientID == o.ClientID && st.Broker == o.Broker && st.Sure == o.Sure &&
		maps.Equal(st.Held, o.Held) && slices.Equal(st.Maybe, o.Maybe)
}
