// Package mqtt is the client's end of one connection to an MQTT 3.1.1 broker,
// from CONNECT to its loss, made for a gateway that takes in many small messages.
//
// One system call brings many packets and takes many away; when the rate is
// high, both wait 200 microseconds for company, so that a message costs a part
// of a system call and of a wake-up instead of several. The receiver of a
// message acknowledges it when it likes. A packet above the limit is discarded
// while it is read. Nothing outlives the connection: what was under way fails
// with the error that ended it, and whoever sent it sends it anew on the next.
//
// It dials nobody, keeps no session, and does not reconnect: package sensors does.
// The wire format is that of MQTT Version 3.1.1, OASIS Standard, 29 October 2014.
package mqtt
