package mqtt

import "testing"

// TestOnlyMessagesMakeReadsWait: the rate that makes reads wait for company is
// that of messages. Answers to what this side publishes are none.
func TestOnlyMessagesMakeReadsWait(t *testing.T) {
	c := &Conn{flights: map[uint16]flight{}, opts: Options{Receive: func(*Message) {}}}
	c.in = newReader(nil, 1<<10, func() {})
	for _, p := range []packet{
		{first: typePuback, body: []byte{0, 1}},
		{first: typePubcomp, body: []byte{0, 2}},
		{first: typePublish, body: []byte("\x00\x01tpayload")},
	} {
		if err := c.handle(p); err != nil {
			t.Fatal(err)
		}
	}
	if c.read != 1 {
		t.Errorf("%d packets of 3 count, want the message alone", c.read)
	}
}
