package broker

// BreakDisk has all writes fail until the file is written anew.
func (b *Broker) BreakDisk() { b.disk.f.Close() }

// CloseDisk ends a broker that never ran.
func (b *Broker) CloseDisk() { b.disk.f.Close() }

// Sweep does now what is due at a time (Unix seconds).
func (b *Broker) Sweep(now int64) { b.sweepOnce(now, true) }

// MessageSize is what Stats counts for a message.
func MessageSize(topic string, data int) int {
	m := Message{Topic: topic, Data: make([]byte, data)}
	return m.size()
}

// SampleFile is a file with a record of each kind.
func SampleFile() []byte {
	m := &Message{Topic: "a/1", Data: []byte("x"), QoS: 1, Retain: true, origin: "pub"}
	file := []byte(magic)
	for _, r := range []struct {
		kind byte
		body []byte
	}{
		{recSession, encodeSession("a", "user", 60)},
		{recFilter, encodeFilter("a", &filterOption{full: "$share/g/a/#", qos: 1, asKept: true})},
		{recRemoved, appendString(appendString(nil, "a"), "b")},
		{recMessage, encodeDeliveries(m, []place{{"a", 1, 1, flagRetain, 0}, {"a", 2, 2, flagReleased, 7}})},
		{recDone, append(appendString(nil, "a"), 1)},
		{recRetained, encodeMessage(nil, m)},
		{recReceived, encodePacketID("a", 300)},
		{recCompleted, encodePacketID("a", 301)},
		{recEnd, appendString(nil, "b")},
	} {
		file = appendRecord(file, r.kind, r.body)
	}
	return file
}
