package uplink

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"

	"github.com/skerry-edge/skerry/agent"
)

const (
	traceHeader  = "X-Amzn-Trace-Id"
	parentHeader = "traceparent" // W3C Trace Context; in CloudEvents the attribute of that name
)

// TraceHeader is the X-Amzn-Trace-Id of a request that sends ev. It is the same
// on each retry, and its trace is the same for all that came of one event.
func TraceHeader(ev *agent.Event) string { return traceParent(ev) + ";Sampled=1" }

// traceParent names the trace of ev, and the segment of the invocation that
// decided ev, if one did.
func traceParent(ev *agent.Event) string {
	header := "Root=" + dashed(traceID(ev))
	if parent := madeBy(ev); parent != "" {
		header += ";Parent=" + parent
	}
	return header
}

// TraceParent is the traceparent that goes along with ev to a target: its parent
// is the span of that delivery.
func TraceParent(ev *agent.Event, target string) string {
	return "00-" + traceID(ev) + "-" + spanID(ev.ID, target) + "-01"
}

// Sampled tells whether the trace of ev is one of the share (0 to 1) of traces
// that are kept. Where the event came with a trace, that has decided; else the
// id does, so that all that comes of an event is kept, or nothing.
func Sampled(ev *agent.Event, share float64) bool {
	if ev.Trace != "" {
		flags, err := strconv.ParseUint(ev.Trace[len(ev.Trace)-2:], 16, 8)
		return err == nil && flags&1 != 0
	}
	id := traceID(ev)
	n, err := strconv.ParseUint(id[len(id)-8:], 16, 32)
	return err == nil && float64(n) < share*(1<<32)
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

// traceID is the trace that ev came with, or, in hexadecimal digits too, the time
// of the first event (32 bits, which all that came of it inherit) and 96 bits that
// its id gives: this way it is one of X-Ray as well.
func traceID(ev *agent.Event) string {
	if ev.Trace != "" {
		return ev.Trace[3:35]
	}
	return fmt.Sprintf("%08x", uint32(max(ev.Time.Unix(), 0))) + digest("trace\n" + rootOf(ev.ID))[:24]
}

// dashed is the id of a trace in X-Ray's shape.
func dashed(trace string) string { return "1-" + trace[:8] + "-" + trace[8:] }

// spanID names what a function, or a target, did with an event.
func spanID(event, who string) string { return digest("segment\n" + event + "\n" + who)[:16] }

// madeBy is the span of the run that decided ev, "" for an event that came from
// outside.
func madeBy(ev *agent.Event) string {
	of, function, ok := cause(ev.ID)
	if !ok {
		return ""
	}
	return spanID(of, function)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
