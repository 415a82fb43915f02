package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// status is what skerry status shows.
func (d *device) status() agent.Status {
	s := agent.Status{Version: version, Started: d.started, Store: d.store.Status(), RSSBytes: residentBytes()}
	d.agent.Status(&s)
	if f := d.front.Load(); f != nil {
		s.Page, s.PageReadOnly = f.url, !d.cfg.Page.Write
	}
	warm := d.runtime.Warm()
	for i := range s.Functions {
		s.Functions[i].Warm = warm[s.Functions[i].Name]
	}
	for _, src := range d.sources {
		s.Sources = append(s.Sources, src.Status())
	}
	if d.fleet != nil {
		s.Sources = append(s.Sources, d.fleet.status())
	}
	s.Targets = append(d.targetStatus(), d.brokerStatus()...)
	for _, m := range d.meters {
		s.Links = append(s.Links, m.Status())
	}
	if t, used := d.fetcher.Status(); used {
		s.Targets = append(s.Targets, t)
	}
	if d.puller != nil {
		s.Sync = d.puller.Status()
	}
	return s
}

// brokerStatus is that of the outboxes of brokers, also of those that the
// configuration does not name any more, while something waits for them.
func (d *device) brokerStatus() []agent.TargetStatus {
	var list []agent.TargetStatus
	bound := map[string]bool{}
	for _, o := range d.brokers {
		s := o.Status()
		list, bound[s.Name] = append(list, s), true
	}
	for _, queue := range d.store.Queues() {
		if name, ok := strings.CutPrefix(queue, agent.QueueBroker("")); ok && !bound[name] {
			list = append(list, agent.TargetStatus{Name: name, Kind: noKind, Waiting: d.store.Queue(queue).Len(), LastError: goneText("broker")})
		}
	}
	return list
}

// residentBytes is this process's resident memory, 0 where it cannot be read.
func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib int64
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
		return 0
	}
	return kib << 10
}
