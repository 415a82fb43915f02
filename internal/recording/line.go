package recording

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// Entry is one line: an event, or a gap.
type Entry struct {
	At    time.Duration // since Header.Start, in whole microseconds
	Event *agent.Event  // nil: a gap
	Gap   int64         // events that are missing here
}

// attributes is an event without its data, in the order in which people read it.
type attributes struct {
	SpecVersion string     `json:"specversion,omitempty"`
	ID          string     `json:"id,omitempty"`
	Source      string     `json:"source,omitempty"`
	Type        string     `json:"type,omitempty"`
	Subject     string     `json:"subject,omitempty"`
	Time        *time.Time `json:"time,omitempty"`
	ContentType string     `json:"datacontenttype,omitempty"`
	Via         string     `json:"via,omitempty"`
	QoS         *uint8     `json:"qos,omitempty"`
	Retained    bool       `json:"retained,omitempty"`
	Unsure      bool       `json:"unsure,omitempty"` // of its time
	TraceParent string     `json:"traceparent,omitempty"`
}

// AppendHeader appends a header and the end of its line.
func AppendHeader(b []byte, h Header) ([]byte, error) {
	line, err := json.Marshal(headerLine{magic, Version, h.Device, h.Broker, h.Start})
	if err != nil {
		return b, fmt.Errorf("write the header of a recording: %w", err)
	}
	return append(append(b, line...), '\n'), nil
}

// AppendEntry appends an entry and the end of its line.
func AppendEntry(b []byte, e *Entry) ([]byte, error) {
	b = AppendSeconds(append(b, `{"at":`...), e.At)
	if e.Event == nil {
		return append(strconv.AppendInt(append(b, `,"gap":`...), e.Gap, 10), "}\n"...), nil
	}
	ev := e.Event
	head, err := plainJSON(attributes{
		"1.0", ev.ID, ev.Source, ev.Type, ev.Subject, timeOf(ev.Time), ev.ContentType, ev.Via, &ev.QoS, ev.Retained, ev.Unsure, ev.Trace,
	})
	if err != nil {
		return b, fmt.Errorf("record event %.80q: %w", ev.ID, err)
	}
	b = append(append(b, ','), head[1:len(head)-1]...)
	if b, err = appendData(b, ev); err != nil {
		return b, fmt.Errorf("record event %.80q: %w", ev.ID, err)
	}
	return append(b, "}\n"...), nil
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// plainJSON is v as JSON, without escapes for HTML.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}

// AppendSeconds appends a length in seconds, in whole microseconds.
func AppendSeconds(b []byte, at time.Duration) []byte {
	us := at.Microseconds()
	b = strconv.AppendInt(b, us/1e6, 10)
	if us %= 1e6; us == 0 {
		return b
	}
	digits := fmt.Sprintf(".%06d", us)
	return append(b, strings.TrimRight(digits, "0")...)
}

// appendData appends the member that holds an event's data: the first of the
// forms of CloudEvents that gives the same bytes back.
func appendData(b []byte, ev *agent.Event) ([]byte, error) {
	data := ev.Data
	switch isJSON := isJSON(ev.ContentType); {
	case data == nil:
		return b, nil
	case isJSON && standsAlone(data):
		return append(append(b, `,"data":`...), data...), nil
	case !isJSON && utf8.Valid(data):
		text, err := plainJSON(string(data))
		return append(append(b, `,"data":`...), text...), err
	}
	text, err := json.Marshal(data)
	return append(append(b, `,"data_base64":`...), text...), err
}

// standsAlone tells whether data can stand in a line of JSON as it is.
func standsAlone(data []byte) bool {
	return utf8.Valid(data) && json.Valid(data) && !bytes.ContainsAny(data, "\r\n") && len(bytes.TrimSpace(data)) == len(data)
}

func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json"))
}

// entryLine is a line as it is read.
type entryLine struct {
	At float64 `json:"at"`
	attributes
	Gap        int64           `json:"gap"`
	Data       json.RawMessage `json:"data"`
	DataBase64 *[]byte         `json:"data_base64"`
}

// longest is the latest that an event may come after the start: some years.
const longest = 10 * 365 * 24 * time.Hour

// ParseEntry reads a line. What may be missing in it, Header.Complete fills in.
func ParseEntry(line []byte) (Entry, error) {
	usual := uint8(1)
	l := entryLine{attributes: attributes{QoS: &usual}}
	if err := json.Unmarshal(line, &l); err != nil {
		return Entry{}, fmt.Errorf("it cannot be read: %w", err)
	}
	switch {
	case l.At < 0 || l.At > longest.Seconds():
		return Entry{}, fmt.Errorf(`"at":%g is out of range: seconds since the start`, l.At)
	case l.SpecVersion != "" && !strings.HasPrefix(l.SpecVersion, "1."):
		return Entry{}, fmt.Errorf("a CloudEvent of specversion %q is not known: write 1.0", l.SpecVersion)
	case l.Data != nil && l.DataBase64 != nil:
		return Entry{}, errors.New("it has data and data_base64: remove one")
	case l.QoS != nil && *l.QoS > 1:
		return Entry{}, fmt.Errorf(`"qos":%d is out of range: events arrive with 0 or 1`, *l.QoS)
	}
	e := Entry{At: time.Duration(math.Round(l.At*1e6)) * time.Microsecond, Gap: l.Gap}
	if l.Gap > 0 {
		return e, nil
	}
	e.Event = &agent.Event{
		ID: l.ID, Source: l.Source, Type: l.Type, Subject: l.Subject, ContentType: l.ContentType,
		Via: l.Via, QoS: *cmp.Or(l.QoS, &usual), Retained: l.Retained, Unsure: l.Unsure,
	}
	if agent.CheckTraceParent(l.TraceParent) {
		e.Event.Trace = l.TraceParent
	}
	if l.Time != nil {
		e.Event.Time = *l.Time
	}
	var text string
	switch {
	case l.DataBase64 != nil:
		e.Event.Data = *l.DataBase64
	case l.Data != nil && !isJSON(l.ContentType) && json.Unmarshal(l.Data, &text) == nil:
		e.Event.Data = []byte(text)
	case l.Data != nil:
		e.Event.Data = bytes.Clone(l.Data)
	}
	return e, nil
}
