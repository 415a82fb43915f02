package uplink

import (
	"net/http"
	"strings"
	"time"
)

// maxRetryAfter is the longest pause a far side can ask for: a proxy that says
// "a year" must not silence a gateway for a year.
const maxRetryAfter = time.Hour

// retryAfter reads a Retry-After header, 0 if it is absent, garbage or past.
// A date is measured against the Date of the same answer, so that a gateway
// whose clock is wrong still waits the right time; without one, against now.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if d, ok := retrySeconds(value); ok {
		return d
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}

// retrySeconds reads digits only: signs, fractions and units are garbage. It
// stops counting at the cap, so that no number overflows.
func retrySeconds(value string) (time.Duration, bool) {
	var d time.Duration
	for _, c := range []byte(value) {
		if c < '0' || c > '9' {
			return 0, false
		}
		d = min(d*10+time.Duration(c-'0')*time.Second, maxRetryAfter)
	}
	return d, true
}
