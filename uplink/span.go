package uplink

import (
	"encoding/hex"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/skerry-edge/skerry/agent"
)

// Span is what was done with an event: it came, a function ran for it, or a
// target got it. Its ids are those of the event, so that making it again gives the
// same ones, and what is sent twice counts once.
type Span struct {
	Name       string
	Kind       SpanKind
	Trace      string // 32 hexadecimal digits
	ID, Parent string // 16 hexadecimal digits; no parent: ""
	Start, End time.Time
	Fault      string // what went wrong, "" if nothing did
	Event      string // id
	Subject    string
	Attrs      []OTLPAttr
}

// SpanKind is OpenTelemetry's.
type SpanKind uint8

// What spans are of.
const (
	SpanRun      SpanKind = 1 // internal: a function runs
	SpanDelivery SpanKind = 4 // producer
	SpanArrival  SpanKind = 5 // consumer: an event came from outside
)

// ArrivalSpan is the time from an event's own to until, when a function began to
// run for it. All runs for the event are its children. ok is false for an event
// that a function made: that one's run is their parent.
func ArrivalSpan(ev *agent.Event, until time.Time) (s Span, ok bool) {
	if madeBy(ev) != "" {
		return s, false
	}
	s = newSpan(ev, "", "", ev.Time, until)
	s.Kind, s.Name, s.Parent = SpanArrival, "receive "+ev.Via, sentBy(ev)
	s.attr("cloudevents.event_type", ev.Type)
	s.attr("cloudevents.event_source", ev.Source)
	if ev.QoS > 0 || ev.Type == "io.skerry.mqtt" {
		s.attr("messaging.destination.name", ev.Subject)
	}
	if ev.Time.After(until) {
		s.Start = until
	}
	return s, true
}

// RunSpan is a run of a function. One that failed is followed by others, and is
// apart from them.
func RunSpan(ev *agent.Event, function string, start, end time.Time, fault string) Span {
	s := newSpan(ev, function, fault, start, end)
	s.Kind, s.Parent = SpanRun, madeBy(ev)
	if s.Parent == "" {
		s.Parent = spanID(ev.ID, "")
	}
	if fault != "" {
		s.ID = spanID(ev.ID, function+"\n"+end.Format(time.RFC3339Nano))
	}
	s.attr("faas.name", function)
	return s
}

// DeliverySpan is the last try to send a record to a target; there were so many
// that failed before.
func DeliverySpan(ev *agent.Event, target string, start, end time.Time, failed int, fault string) Span {
	s := newSpan(ev, target, fault, start, end)
	s.Kind, s.Parent = SpanDelivery, madeBy(ev)
	s.attr("skerry.target", target)
	if failed > 0 {
		s.attr("skerry.failed_tries", strconv.Itoa(failed))
	}
	return s
}

func newSpan(ev *agent.Event, who, fault string, start, end time.Time) Span {
	s := Span{
		Name: who, Trace: traceID(ev), ID: spanID(ev.ID, who), Start: start, End: end,
		Fault: shortened(fault, maxFault), Event: ev.ID, Subject: ev.Subject,
	}
	s.attr("cloudevents.event_id", ev.ID)
	s.attr("cloudevents.event_subject", ev.Subject)
	return s
}

// sentBy is the span that the trace an event came with names as its parent.
func sentBy(ev *agent.Event) string {
	if ev.Trace == "" {
		return ""
	}
	return ev.Trace[36:52]
}

// Unsure says that nothing had set the clock right by which the span was made.
func (s *Span) Unsure() { s.attr("skerry.clock", "untrusted") }

func (s *Span) attr(key, value string) {
	if value != "" {
		s.Attrs = append(s.Attrs, OTLPAttr{key, shortened(value, maxAnnotation)})
	}
}

// OTLPTraces is the body of a POST to /v1/traces, an ExportTraceServiceRequest,
// gzip compressed.
func OTLPTraces(resource []OTLPAttr, spans []Span) []byte {
	return exportRequest(resource, func(of *protobuf) {
		of.message(2, func(scope *protobuf) {
			scope.message(1, func(in *protobuf) { in.text(1, "skerry") })
			for i := range spans {
				scope.message(2, spans[i].write)
			}
		})
	})
}

const statusError = 2 // STATUS_CODE_ERROR

func (s *Span) write(p *protobuf) {
	p.id(1, s.Trace)
	p.id(2, s.ID)
	p.id(4, s.Parent)
	p.text(5, s.Name)
	p.varint(6, uint64(s.Kind))
	p.time(7, s.Start)
	p.time(8, s.End)
	p.attributes(9, s.Attrs)
	if s.Fault != "" {
		p.message(15, func(status *protobuf) {
			status.text(2, s.Fault)
			status.varint(3, statusError)
		})
	}
}

// id is the bytes that hexadecimal digits say; none for "".
func (p *protobuf) id(field protowire.Number, digits string) {
	if raw, err := hex.DecodeString(digits); err == nil && len(raw) > 0 {
		*p = protowire.AppendTag(*p, field, protowire.BytesType)
		*p = protowire.AppendBytes(*p, raw)
	}
}
