// Package admin tells people what a running agent does, over HTTP on a unix
// socket that only the owner and group of the agent can open. It changes
// nothing.
package admin
