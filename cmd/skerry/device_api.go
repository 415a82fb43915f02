package main

import (
	"net/http"

	"github.com/skerry-edge/skerry/agent/admin"
)

// api answers /v1, behind the unix socket and behind the page alike.
func (d *device) api() http.Handler {
	h := admin.Handler(d.status, d.agent.DeadBox(), d.agent, d.control())
	h = admin.WithLogs(h, d.book)
	h = admin.WithSync(h, d)
	h = admin.WithDeployments(h, d)
	h = admin.WithTry(h, d)
	h = admin.WithHistory(h, d.history)
	h = admin.WithHealth(h, d.healthNow)
	h = admin.WithSupport(h, d.support)
	return h
}
