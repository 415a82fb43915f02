// Package when compiles what triggers say in expressions: conditions that decide
// whether a function runs at all, values such as keys, and templates of what is
// sent. It implements agent.Language.
//
// An expression has at most 1024 bytes and is written in the expr language
// (github.com/expr-lang/expr). It sees
//
//	data          the event's data decoded as JSON; nil if it is none
//	topic         the MQTT topic; level(n) is its n-th level, from 0, "" beyond the last
//	subject       the same as topic, in CloudEvents' word
//	capture.line  the level that the topic filter names {line}
//	source        "/gw7/mqtt/plant"
//	type          "io.skerry.mqtt"
//	qos           0 or 1
//	retained      true for retained messages
//	size          bytes of the data
//	time          "2026-07-01T10:30:00.250Z", always UTC with milliseconds
//	id            of the event
//	state("key")  in conditions: the function's state, decoded if it is JSON
//	result        in templates: what the function returned, decoded if it is JSON
//
// Every other name is refused, with the one that was probably meant.
//
// A field that is not there is nil: nil is not less and not greater than
// anything, counts as false where true or false is needed, and equals nil only.
// Arithmetic with nil is an error.
//
// A condition is taken apart where its top is an "and": what does not look at
// state can be asked before the event waits for anybody.
//
// A field whose path is written out is read from the text of the data, see
// agent.Event.Field: an event that misses costs no decoding. Comparisons, and, or,
// not, in, and what names stand for are evaluated here (test.go, operand.go),
// without allocating; the rest are small programs of expr (computed.go) that reach
// names through operands. Both yield the same.
//
// A template is JSON whose texts have expressions in ${…}.
//
// An expression stops: it has no loops but any, all, none, one, count, filter,
// map, find and sum over the event's own lists; these do not nest, and inside
// of them data is reached through the element (#) only. Elements times parts of the
// loops, and memory, are bounded.
package when
