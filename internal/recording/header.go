package recording

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Version of the format that is written, and the newest that is read.
const Version = 1

const magic = "events"

// Header is the first line.
type Header struct {
	Device string    // id of the gateway; "" when it is not known
	Broker string    // its first: that of triggers that name none
	Start  time.Time // what "at" of the events counts from
}

// headerLine is a Header as it stands in the file.
type headerLine struct {
	Skerry  string    `json:"skerry"`
	Version int       `json:"version"`
	Device  string    `json:"device,omitempty"`
	Broker  string    `json:"broker,omitempty"`
	Start   time.Time `json:"start"`
}

func parseHeader(line []byte) (Header, error) {
	var h headerLine
	if err := json.Unmarshal(line, &h); err != nil || h.Skerry != magic {
		return Header{}, errors.New(`this is no recording: its first line is not {"skerry":"events","version":1,"start":"…"}; skerry events record makes one`)
	}
	if h.Version < 1 || h.Version > Version {
		return Header{}, fmt.Errorf("the recording has version %d, and this skerry reads up to %d: use a newer one", h.Version, Version)
	}
	if h.Start.IsZero() {
		h.Start = time.Unix(0, 0).UTC()
	}
	return Header{h.Device, h.Broker, h.Start}, nil
}

// Complete fills in what an event written by hand leaves out: an id from its line, a
// type that goes with via, and what goes with that; the time from at. Events of
// MQTT that name no broker are of the first one.
func (h *Header) Complete(e *Entry, line int) {
	ev := e.Event
	if ev.Type == "" && ev.ContentType == "" && json.Valid(ev.Data) {
		ev.ContentType = "application/json"
	}
	ev.ID = cmp.Or(ev.ID, fmt.Sprintf("line-%d", line))
	kind := ev.Via
	switch {
	case ev.Type != "":
		kind = strings.TrimPrefix(ev.Type, typePrefix)
	case ev.Via != agent.ViaSchedule && ev.Via != agent.ViaHTTP && ev.Via != agent.ViaInside:
		kind = "mqtt"
	}
	ev.Type = cmp.Or(ev.Type, typePrefix+kind)
	if ev.Via == "" && ev.Type == TypeMQTT {
		ev.Via = cmp.Or(h.Broker, DefaultBroker)
	}
	ev.Source = cmp.Or(ev.Source, "/"+cmp.Or(h.Device, "local")+"/"+kind+"/"+ev.Via)
	if ev.Time.IsZero() {
		ev.Time = h.Start.Add(e.At)
	}
}

const typePrefix = "io.skerry."

// DefaultBroker is the name of the first broker where a recording gives it none.
const DefaultBroker = "main"

// TypeMQTT is the type of events that came through a broker.
const TypeMQTT = typePrefix + "mqtt"
