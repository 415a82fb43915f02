package main

import (
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// wallClock gives the time, and whether something keeps the clock right. The
// kernel knows: it is told by NTP clients, and forgets when somebody sets it.
func wallClock() (now time.Time, right bool) {
	now = time.Now()
	state, err := unix.Adjtimex(&unix.Timex{})
	return now, err == nil && state != unix.TIME_ERROR && now.After(plausible)
}

// reachedAlone is the latest time that is known to have come, without an agent
// that has kept one.
func reachedAlone() time.Time {
	if now, right := wallClock(); right {
		return now
	}
	return built()
}

// committed is when the sources were committed, in seconds since 1970. make dist says
// it (-X main.committed=…); what go build makes in a clone of git has it from there.
var committed string

// built is when the sources of this program were committed, zero if that is not
// known: true time is not before it.
var built = sync.OnceValue(func() time.Time {
	if seconds, err := strconv.ParseInt(committed, 10, 64); err == nil {
		return time.Unix(seconds, 0)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, err := time.Parse(time.RFC3339, s.Value)
			if err == nil {
				return t
			}
		}
	}
	return time.Time{}
})
