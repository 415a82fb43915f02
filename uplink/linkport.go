package uplink

import "time"

// Link is the metered way to the network that targets share. It may be used by
// many goroutines.
type Link interface {
	// Admit tells whether a record of that priority and function, of about n
	// bytes, may be sent now, and then sets n aside for it. at is zero: now; else
	// when to ask again, and why says why in words for people ("the day's 1 MB of
	// link lte are used, 12 kB are kept for priority 8 and 9"). No function asks
	// for the link alone, whatever its functions have used.
	Admit(priority uint8, function string, n int) (at time.Time, why string)
	// Spent tells what a send of records of function took, request and answer,
	// about: n takes the place of what was admitted. Each Admit that said yes is
	// followed by one Spent.
	Spent(function string, admitted, n int)
}
