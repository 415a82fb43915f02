package uplink

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"

	"github.com/skerry-edge/skerry/agent"
)

const traceHeader = "X-Amzn-Trace-Id"

// TraceHeader is the X-Amzn-Trace-Id of a request that sends ev. It is the same
// on each retry, and its trace is the same for all that came of one event.
func TraceHeader(ev *agent.Event) string { return traceParent(ev) + ";Sampled=1" }

// traceParent names the trace of ev, and the segment of the invocation that
// decided ev, if one did.
func traceParent(ev *agent.Event) string {
	header := "Root=" + traceID(ev)
	if parent := parentSegment(ev); parent != "" {
		header += ";Parent=" + parent
	}
	return header
}

// derived is the end of an event's id that names the run it came of: function,
// version and number of the output (agent's derived ids).
var derived = regexp.MustCompile(`/([^/]+/[^/]+)/(?:rule|[0-9a-f]{12})/(?:dead-)?\d+(?:-failure)?$`)

// cause takes the run off an event's id: the id of the event that the function
// ran on. ok is false for an event that no function made.
func cause(id string) (of, function string, ok bool) {
	m := derived.FindStringSubmatchIndex(id)
	if m == nil || m[0] == 0 {
		return "", "", false
	}
	return id[:m[0]], id[m[2]:m[3]], true
}

// rootOf is the event at the beginning of all.
func rootOf(id string) string {
	for {
		of, _, ok := cause(id)
		if !ok {
			return id
		}
		id = of
	}
}

// traceID has X-Ray's shape: version, time of the first event (which all that
// came of it inherit) and 96 bits that its id gives.
func traceID(ev *agent.Event) string {
	return fmt.Sprintf("1-%08x-%s", uint32(max(ev.Time.Unix(), 0)), digest("trace\n" + rootOf(ev.ID))[:24])
}

// segmentID names what function did with an event.
func segmentID(event, function string) string {
	return digest("segment\n" + event + "\n" + function)[:16]
}

func parentSegment(ev *agent.Event) string {
	of, function, ok := cause(ev.ID)
	if !ok {
		return ""
	}
	return segmentID(of, function)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
