// Package when compiles the conditions of triggers: expressions over an event
// that decide whether a function runs at all.
//
// A condition is one expression of at most 1024 bytes that yields true or
// false, written in the expr language (github.com/expr-lang/expr). It sees
//
//	data      the event's data decoded as JSON; nil if it is none
//	topic     the MQTT topic; level(n) is its n-th level, from 0, "" beyond the last
//	subject   the same as topic, in CloudEvents' word
//	source    "/gw7/mqtt/plant"
//	type      "io.skerry.mqtt"
//	qos       0 or 1
//	retained  true for retained messages
//	size      bytes of the data
//
// Every other name is refused, with the one that was probably meant.
//
// A field that is not there is nil: nil is not less and not greater than
// anything, counts as false where true or false is needed, and equals nil only.
// Arithmetic with nil is an error.
//
// A condition stops: it has no loops but any, all, none, one, count, filter,
// map, find and sum over the event's own lists; these do not nest, and inside
// of them data is reached through the element (#) only. Memory is bounded.
package when
