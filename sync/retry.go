package fleetsync

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// A start that failed for the device's sake is tried again after a pause that
// grows: each try compiles, and stops no other app but takes its time.
const (
	shortestPause = time.Minute
	longestPause  = time.Hour
)

// retry is when an app version that did not start is tried again.
type retry struct {
	why   *startError
	pause time.Duration // before the next try, without what is added at random
	next  time.Time
}

// retries are the app versions that may start later. A new version, and so a
// new module, is another one: it is tried at once.
type retries map[agent.AppVersion]retry

// waiting are those that are not to be tried yet.
func (r retries) waiting(now time.Time) refusals {
	out := refusals{}
	for v, again := range r {
		if now.Before(again.next) {
			out[v] = again.why
		}
	}
	return out
}

// due tells whether one is to be tried now.
func (r retries) due(now time.Time) bool { return len(r.waiting(now)) < len(r) }

// note takes down what did not start just now.
func (r retries) note(refused refusals, now time.Time) {
	for v, why := range refused {
		old, known := r[v]
		switch {
		case !why.again:
			delete(r, v)
			continue
		case known && old.why == why: // it was not tried
			continue
		}
		pause := shortestPause
		if known {
			pause = min(2*old.pause, longestPause)
		}
		r[v] = retry{why, pause, now.Add(pause + rand.N(pause/4))}
	}
}

// keep forgets all but what is held back for it, or instead of a version that is.
func (r retries) keep(held []heldBack) {
	maps.DeleteFunc(r, func(v agent.AppVersion, _ retry) bool {
		return !slices.ContainsFunc(held, func(h heldBack) bool {
			return h.Unstarted && h.Want == v || h.Want.Name == v.Name && h.Ran == v.Version
		})
	})
}

// first is when the next try is due; zero if there is none.
func (r retries) first() time.Time {
	var first time.Time
	for _, again := range r {
		if first.IsZero() || again.next.Before(first) {
			first = again.next
		}
	}
	return first
}
