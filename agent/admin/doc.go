// Package admin tells people what a running agent does, shows them the events
// that come and what ran when, and lets them empty its dead-letter box, steer what
// waits for targets, try events and take apps back, over HTTP on a unix socket that
// only the owner and group of the agent can open. It changes nothing else.
package admin
