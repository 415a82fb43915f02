package uplink

import "time"

// Link is the metered way to the network that targets share. It may be used by
// many goroutines.
type Link interface {
	// Admit returns nil if a record of that priority and function, of about n
	// bytes, may be sent now, and then sets n aside for it. No function asks for
	// the link alone, whatever its functions have used.
	Admit(priority uint8, function string, n int) *Refusal
	// Spent tells what a send of records of function took, request and answer,
	// about: n takes the place of what was admitted; 0: it did not get onto the
	// link. Each Admit that said yes is followed by one Spent.
	Spent(function string, admitted, n int)
}

// Refusal is why something may not be sent now.
type Refusal struct {
	At    time.Time // when to ask again
	Why   string    // for people: "the day's 1 MB of link lte are used, 12 kB are kept for priority 8 and 9"
	Alone bool      // it is too large, whatever was used: others need not wait with it
}
