// Package broker is an MQTT broker (3.1, 3.1.1 and 5.0) for gateways without
// one. It keeps sessions, queues and retained messages over restarts, and asks
// an Inlet, the agent, for the outcome of each message before it acknowledges.
//
// A message of QoS 1 or 2 is acknowledged to its publisher once the inlet has
// kept it and every lasting session that wants it has acknowledged it or has
// it on disk. Everything is bounded: clients, sessions, packets, what is
// unacknowledged and what is queued, in number and in bytes. What a bound
// refuses is counted, never silent.
package broker
