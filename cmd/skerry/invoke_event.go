package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// cloudEvent is the JSON format of CloudEvents 1.0, as far as an Event has it.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
	DataBase64      []byte          `json:"data_base64"`
}

// event is what the flags say to run for. What they name wins over what a
// CloudEvent says of itself.
func (o *invokeOptions) event(stdin io.Reader) (*agent.Event, error) {
	data, err := o.readData(stdin)
	if err != nil {
		return nil, err
	}
	ev, err := parseEvent(data)
	if err != nil {
		return nil, err
	}
	ev.Subject = cmp.Or(o.topic, ev.Subject)
	ev.ContentType = cmp.Or(o.contentType, ev.ContentType)
	return ev, nil
}

// givenEvent is an entry of an --events file. Data that is a text is JSON too.
type givenEvent struct {
	Topic       string          `json:"topic"`
	ContentType string          `json:"contentType"`
	Data        json.RawMessage `json:"data"`
	DataBase64  []byte          `json:"data_base64"`
}

// list is what the flags say to run for, one after the other.
func (o *invokeOptions) list(stdin io.Reader) ([]*agent.Event, error) {
	if o.topic != "" {
		if err := agent.CheckTopic(o.topic); err != nil {
			return nil, fmt.Errorf("--topic: %w", err)
		}
	}
	if o.events == "" {
		ev, err := o.event(stdin)
		return []*agent.Event{ev}, err
	}
	if o.data != "" {
		return nil, errors.New("-d is one event, and --events a file of them: give one of the two")
	}
	text, err := os.ReadFile(o.events)
	if err != nil {
		return nil, fmt.Errorf("--events: %w", err)
	}
	events, err := eventList(text)
	if err != nil {
		return nil, fmt.Errorf("--events %s %w", o.events, err)
	}
	for i, ev := range events {
		ev.ID = fmt.Sprintf("%s-%d", ev.ID, i+1)
		ev.Subject, ev.ContentType = cmp.Or(o.topic, ev.Subject), cmp.Or(o.contentType, ev.ContentType)
	}
	return events, nil
}

// eventList reads a list of givenEvents. The error goes on from the name of the file.
func eventList(text []byte) ([]*agent.Event, error) {
	var given []givenEvent
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	err := dec.Decode(&given)
	if _, more := dec.Token(); err == nil && more != io.EOF {
		err = errors.New("more follows it")
	}
	if odd := (*json.UnmarshalTypeError)(nil); errors.As(err, &odd) {
		err = fmt.Errorf("no place for %s at byte %d", odd.Value, odd.Offset)
	} else if errors.Is(err, io.EOF) {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf(`is no list such as [{"topic": "a/b", "contentType": "application/json", "data": {"t": 1}}]: %w`, err)
	}
	if len(given) == 0 {
		return nil, errors.New("has no event")
	}
	var events []*agent.Event
	for i, g := range given {
		if g.Data != nil && g.DataBase64 != nil {
			return nil, fmt.Errorf("has an event, number %d, with data and with data_base64: keep one", i+1)
		}
		if err := agent.CheckTopic(g.Topic); err != nil && g.Topic != "" {
			return nil, fmt.Errorf("has an event, number %d, with the %w", i+1, err)
		}
		ev := localEvent()
		ev.Subject, ev.ContentType = g.Topic, g.ContentType
		if ev.Data = g.DataBase64; g.Data != nil {
			ev.Data = dataOf(g.Data, g.ContentType)
		}
		events = append(events, ev)
	}
	return events, nil
}

func localEvent() *agent.Event {
	return &agent.Event{ID: "invoke", Source: "/local/invoke", Type: "io.skerry.mqtt", QoS: 1}
}

// parseEvent makes an event of data: of a CloudEvent what it says, of anything
// else an MQTT message.
func parseEvent(data []byte) (*agent.Event, error) {
	ev := localEvent()
	ev.Data = data
	var ce cloudEvent
	var head struct {
		SpecVersion json.RawMessage `json:"specversion"`
	}
	if json.Unmarshal(data, &head) != nil || head.SpecVersion == nil {
		return ev, nil
	}
	if err := json.Unmarshal(data, &ce); err != nil {
		return nil, fmt.Errorf("the data looks like a CloudEvent (it has specversion), and cannot be read as one: %w", err)
	}
	if !strings.HasPrefix(ce.SpecVersion, "1.") {
		return nil, fmt.Errorf("a CloudEvent of specversion %q is not known: write 1.0", ce.SpecVersion)
	}
	if ce.Data != nil && ce.DataBase64 != nil {
		return nil, errors.New("a CloudEvent has data or data_base64, not both: remove one")
	}
	ev.ID, ev.Source, ev.Type = cmp.Or(ce.ID, ev.ID), cmp.Or(ce.Source, ev.Source), cmp.Or(ce.Type, ev.Type)
	ev.Subject, ev.ContentType, ev.Data = ce.Subject, ce.DataContentType, ce.DataBase64
	if ce.Data != nil {
		ev.Data = dataOf(ce.Data, ce.DataContentType)
	}
	return ev, nil
}

// dataOf is the value of a CloudEvent's data: a text if it is one and the type
// is not JSON, else the JSON as it stands there.
func dataOf(value json.RawMessage, contentType string) []byte {
	media, _, err := mime.ParseMediaType(contentType)
	isJSON := contentType == "" || err == nil && (strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json"))
	var text string
	if !isJSON && json.Unmarshal(value, &text) == nil {
		return []byte(text)
	}
	return bytes.Clone(value)
}

// readData reads what -d names.
func (o *invokeOptions) readData(stdin io.Reader) ([]byte, error) {
	path, file := strings.CutPrefix(o.data, "@")
	switch {
	case o.data == "-":
		data, err := io.ReadAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("read the event from standard input: %w", err)
		}
		return data, nil
	case file:
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("-d @%s: there is no such file; without @ the text itself is the data", path)
		}
		if err != nil {
			return nil, fmt.Errorf("read the event: %w", err)
		}
		return data, nil
	}
	return []byte(o.data), nil
}
