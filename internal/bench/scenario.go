package main

import "fmt"

// scenario is one kind of load.
type scenario struct {
	qos      byte
	every    int  // one event in so many is hot
	rate     int  // events per second; 0: as many as there is room for
	conns    int  // connections that publish
	embedded bool // the peer is the broker itself
	nodeRED  bool
	alone    bool // beside a Skerry that syncs each event on its own
}

func (s scenario) String() string {
	text := fmt.Sprintf("QoS %d, %d %% hits", s.qos, 100/s.every)
	if s.rate > 0 {
		text += fmt.Sprintf(", %d/s", s.rate)
	}
	if s.embedded {
		text += fmt.Sprintf(", embedded, %d connections", s.conns)
	}
	return text
}

var scenarios = []scenario{
	{qos: 0, every: 100, conns: 1, nodeRED: true},
	{qos: 0, every: 1, conns: 1, nodeRED: true},
	{qos: 1, every: 100, conns: 1},
	{qos: 1, every: 1, conns: 1, alone: true},
	{qos: 0, every: 1, rate: 5000, conns: 1},
	{qos: 1, every: 1, rate: 5000, conns: 1},
	{qos: 0, every: 1, conns: 1, embedded: true},
	{qos: 0, every: 1, conns: 50, embedded: true},
	{qos: 0, every: 100, conns: 50, embedded: true},
}
