// Package recording reads and writes events as they came to a gateway: what
// `skerry events` shows, records and plays, and what the stories under examples/
// are told in.
//
// A recording is text, a JSON object a line; a name that ends in ".gz" means that
// it is packed with gzip. The first line is the header:
//
//	{"skerry":"events","version":1,"device":"gw7","broker":"plant","start":"2026-05-01T08:00:00Z"}
//
// Each other line is an event in the JSON format of CloudEvents 1.0, with these
// attributes more: "at", seconds since start; "via", the name of the broker or
// source it came through; "qos"; "retained"; "unsure", if nothing had set the clock
// right that its time was read from. Data stands in "data" where that gives every
// byte of it back, else in "data_base64".
//
//	{"at":0.25,"specversion":"1.0","id":"k3-1","source":"/gw7/mqtt/plant","type":"io.skerry.mqtt",
//	 "subject":"line/1/temp","time":"2026-05-01T08:00:00.25Z","datacontenttype":"application/json",
//	 "via":"plant","qos":1,"data":{"t":21.5}}
//
// Who writes one by hand needs "subject" and "data" only; Header.Complete says what
// the rest is then. A line {"at":9.5,"gap":3} says that three events are missing
// there. Attributes that are not known are passed over. A last line that is cut
// off is left out, and told.
//
// What is written and read again is the same event, but for Origin, which is
// about the delivery.
package recording
