package agent

import "time"

// Event is one observation, shaped like a CloudEvent (CloudEvents 1.0).
// Once offered it is shared between triggers and must not be changed.
type Event struct {
	ID          string    // unique per device; given by the agent when a trigger matches, unless the source knows it
	Source      string    // URI reference: "/gw7/mqtt/plant"
	Type        string    // "io.skerry.mqtt", "io.skerry.schedule", "io.skerry.http" …
	Subject     string    // the MQTT topic, the schedule's trigger, or the emitting function
	Time        time.Time // when the source saw it, wall clock
	ContentType string    // media type of Data; "" when unknown
	Data        []byte

	Via      string // configured name of the Source it came through; triggers name it
	QoS      uint8  // MQTT quality of service it arrived with, 0 or 1
	Retained bool   // MQTT retained message, not news
	Unsure   bool   // Time may be wrong: nothing had set the wall clock right yet
	Origin   Origin

	// Trace is the traceparent (W3C Trace Context) that the event came with, "" for
	// none. What comes of the event has the same.
	Trace string

	// Answer is told, at most once and from any goroutine, what a trigger made of
	// the event: the function's result (nil if it set none, or nothing ran), or why the
	// event went to the dead-letter box. A crash forgets it. Nil: nobody asks.
	Answer func(result []byte, err error)

	doc *document // what is known about Data as JSON
}

// Origin lets the agent recognise an event that its source delivers again
// because the acknowledgement was lost. The zero Origin is never recognised.
type Origin struct {
	Slot        string // where a redelivery would come again: MQTT session and packet id, "plant/17"
	Hash        uint64 // of topic and data: a new event in a used slot has another hash or Redelivered false
	Redelivered bool   // the source says so (MQTT DUP)
}
