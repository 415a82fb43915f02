package uplink

import (
	"log/slog"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// OTLPLog is one log record.
type OTLPLog struct {
	Scope string // who logs: an instrumentation scope
	Time  time.Time
	Level slog.Level
	Name  string // of an event; "" for a plain line
	Body  string
	Attrs []OTLPAttr
}

// OTLPLogs is the body of a POST to /v1/logs, an ExportLogsServiceRequest, gzip
// compressed. Scopes stand in the order in which they first come.
func OTLPLogs(resource []OTLPAttr, lines []OTLPLog) []byte {
	var scopes []string
	byScope := map[string][]*OTLPLog{}
	for i := range lines {
		l := &lines[i]
		if byScope[l.Scope] == nil {
			scopes = append(scopes, l.Scope)
		}
		byScope[l.Scope] = append(byScope[l.Scope], l)
	}
	return exportRequest(resource, func(of *protobuf) {
		for _, scope := range scopes {
			of.message(2, func(s *protobuf) {
				s.message(1, func(in *protobuf) { in.text(1, scope) })
				for _, l := range byScope[scope] {
					s.message(2, l.write)
				}
			})
		}
	})
}

// write is a LogRecord.
func (l *OTLPLog) write(p *protobuf) {
	p.time(1, l.Time)
	p.varint(2, severity(l.Level))
	p.text(3, l.Level.String())
	p.value(5, l.Body)
	p.attributes(6, l.Attrs)
	p.text(12, l.Name)
}

// severity is OpenTelemetry's number: 5 for debug, 9 for info, 13 for warn, 17
// for error; slog's levels stand as far apart.
func severity(l slog.Level) uint64 { return uint64(min(max(int(l)+9, 1), 24)) }

// eventLog is the log record of a follow-up: what a function sends to a target
// of this kind arrives as an event of OpenTelemetry.
func eventLog(ev *agent.Event) OTLPLog {
	l := OTLPLog{Scope: "skerry.followup", Time: ev.Time, Name: ev.Type, Body: string(ev.Data)}
	for _, a := range []OTLPAttr{
		{"cloudevents.event_id", ev.ID},
		{"cloudevents.event_source", ev.Source},
		{"cloudevents.event_subject", ev.Subject},
		{"cloudevents.event_type", ev.Type},
	} {
		if a.Value != "" {
			l.Attrs = append(l.Attrs, a)
		}
	}
	return l
}
