// Package sensors turns what happens around the gateway into events: messages
// of MQTT brokers, messages for the broker it can embed, and the clock.
//
// An MQTT message of QoS 1 is acknowledged only after the agent said that its
// outcome is durable, and in the order of arrival. What was not acknowledged
// comes again after a lost connection, marked so that the agent recognises it.
// Nothing here grows without bound: the number of unacknowledged events, the
// size of a packet and what waits to be written are all limited.
package sensors
