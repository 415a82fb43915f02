package sensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// traceParent is the name of what carries the W3C trace context: a header of HTTP,
// a user property of MQTT 5, an attribute of CloudEvents (extension "Distributed
// Tracing").
const traceParent = "traceparent"

// requestTrace is the trace context of a request: of its last hop, or of the
// event that it carries. "" for none, or for what is none.
func requestTrace(head http.Header, of string) string {
	return validTrace(cmp.Or(head.Get(traceParent), of))
}

func validTrace(s string) string {
	if s = strings.TrimSpace(s); agent.CheckTraceParent(s) {
		return s
	}
	return ""
}

// payloadTrace is the trace context of a CloudEvent in structured mode, which is
// how MQTT 3.1.1 carries it. Other payloads have none.
func payloadTrace(data []byte) string {
	if !bytes.Contains(data, []byte(`"traceparent"`)) {
		return ""
	}
	var ce struct {
		SpecVersion string `json:"specversion"`
		TraceParent string `json:"traceparent"`
	}
	if json.Unmarshal(data, &ce) != nil || ce.SpecVersion == "" {
		return ""
	}
	return validTrace(ce.TraceParent)
}
