package uplink

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// segment is an X-Ray segment document.
type segment struct {
	Name        string            `json:"name"`
	ID          string            `json:"id"`
	TraceID     string            `json:"trace_id"`
	ParentID    string            `json:"parent_id,omitempty"`
	Start       seconds           `json:"start_time"`
	End         seconds           `json:"end_time"`
	Fault       bool              `json:"fault,omitempty"`
	Cause       *segmentCause     `json:"cause,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"` // what traces are found by
}

type segmentCause struct {
	Exceptions []segmentException `json:"exceptions"`
}

type segmentException struct {
	ID      string `json:"id"`
	Message string `json:"message"`
}

// seconds is a time as X-Ray has it: since 1970, to the microsecond.
type seconds time.Time

func (s seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Time(s).UnixMicro()) / 1e6)
}

// Limits of segment documents.
const (
	maxSegmentName = 200
	maxAnnotation  = 1000
	maxFault       = 1000
)

// Segment is the X-Ray document that says what function did with ev from start
// to end: an invocation, or, with a target's name as function, the delivery of
// a follow-up, which is then a child of the invocation that decided it. fault is
// what went wrong, "" if nothing did. Making it again gives the same ids, so
// that what is sent twice counts once.
func Segment(ev *agent.Event, function string, start, end time.Time, fault string) []byte {
	s := segment{
		Name: segmentName(function), ID: segmentID(ev.ID, function), TraceID: traceID(ev), ParentID: parentSegment(ev),
		Start: seconds(start), End: seconds(end), Fault: fault != "",
		Annotations: map[string]string{"event": shortened(ev.ID, maxAnnotation)},
	}
	if ev.Subject != "" {
		s.Annotations["subject"] = shortened(ev.Subject, maxAnnotation)
	}
	if fault != "" {
		s.Cause = &segmentCause{[]segmentException{{ID: segmentID(ev.ID, function+"\nfault"), Message: shortened(fault, maxFault)}}}
	}
	m := message{header: http.Header{}}
	if err := m.writeJSON(s); err != nil {
		panic("uplink: a segment cannot be written as JSON: " + err.Error()) // every value in it can
	}
	return m.body
}

// segmentName replaces what X-Ray allows in no name.
func segmentName(name string) string {
	return cmp.Or(strings.Map(func(r rune) rune {
		alnum := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if alnum || strings.ContainsRune(" _.:/%&#=+\\-@", r) {
			return r
		}
		return '_'
	}, shortened(name, maxSegmentName)), "unnamed")
}

// shortened is at most n bytes of s, as valid UTF-8.
func shortened(s string, n int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
