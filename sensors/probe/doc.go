// Package probe asks an MQTT broker, as a client that is forgotten afterwards, what
// it keeps and what it drops. It publishes nothing, acknowledges nothing, takes part
// in no shared subscription, and leaves no session behind.
package probe
