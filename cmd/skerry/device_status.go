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
	warm := d.runtime.Warm()
	for i := range s.Functions {
		s.Functions[i].Warm = warm[s.Functions[i].Name]
	}
	for _, src := range d.sources {
		s.Sources = append(s.Sources, src.Status())
	}
	bound := map[string]bool{}
	for _, o := range d.outboxes {
		t := o.Status()
		s.Targets = append(s.Targets, t)
		if t.Kind == brokerKind {
			bound[agent.QueueBroker(t.Name)] = true
		} else {
			bound["target/"+t.Name] = true
		}
	}
	s.Targets = append(s.Targets, d.unbound(bound)...)
	if t, used := d.fetcher.Status(); used {
		s.Targets = append(s.Targets, t)
	}
	if d.puller != nil {
		s.Sync = d.puller.Status()
	}
	return s
}

// unbound are the outboxes of targets and brokers that the configuration does
// not name any more.
func (d *device) unbound(bound map[string]bool) []agent.TargetStatus {
	var out []agent.TargetStatus
	for _, queue := range d.store.Queues() {
		where, name, _ := strings.Cut(queue, "/")
		if target, _, _, ok := agent.SplitTarget(queue); ok {
			name = target
		}
		if bound[where+"/"+name] || where != "target" && where != "broker" {
			continue
		}
		out = append(out, agent.TargetStatus{
			Name: name, Kind: "none", Waiting: d.store.Queue(queue).Len(),
			LastError: "this " + where + " is not in the configuration any more: its records wait until it is",
		})
	}
	return out
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
