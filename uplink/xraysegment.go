package uplink

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
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

// Segment is the span as an X-Ray document.
func (s *Span) Segment() []byte {
	doc := segment{
		Name: segmentName(s.Name), ID: s.ID, TraceID: dashed(s.Trace), ParentID: s.Parent,
		Start: seconds(s.Start), End: seconds(s.End), Fault: s.Fault != "",
		Annotations: map[string]string{"event": shortened(s.Event, maxAnnotation)},
	}
	if s.Subject != "" {
		doc.Annotations["subject"] = shortened(s.Subject, maxAnnotation)
	}
	if s.Fault != "" {
		doc.Cause = &segmentCause{[]segmentException{{ID: spanID(s.Event, s.Name+"\nfault"), Message: s.Fault}}}
	}
	m := message{header: http.Header{}}
	if err := m.writeJSON(doc); err != nil {
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
