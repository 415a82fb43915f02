package sensors

import (
	"fmt"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors/broker"
)

// wantedFilters are the subscriptions that the triggers of one source need,
// each with its QoS. A filter that a wider one covers is left out, so that
// overlapping triggers do not bring every message twice, and the wider one
// gets the higher QoS of the two. What cannot be had as it was asked for is
// told in problems.
func wantedFilters(via string, triggers []agent.Trigger) (wanted map[string]byte, problems []string) {
	wanted = map[string]byte{}
	for i := range triggers {
		t := &triggers[i]
		if t.Via != via {
			continue
		}
		filter, err := subscription(t)
		if err != nil {
			problems = append(problems, fmt.Sprintf("trigger %s: %v", t.Name, err))
			continue
		}
		if t.QoS > 1 {
			problems = append(problems, fmt.Sprintf("trigger %s: QoS 2 is subscribed as QoS 1", t.Name))
		}
		wanted[filter] = max(wanted[filter], min(t.QoS, 1))
	}
	dropCovered(wanted)
	return wanted, problems
}

// subscription is the filter a trigger subscribes to, with its share group.
func subscription(t *agent.Trigger) (string, error) {
	if err := agent.CheckFilter(t.Filter); err != nil {
		return "", err
	}
	if t.Share == "" {
		return t.Filter, nil
	}
	if strings.ContainsAny(t.Share, "/+#") || agent.CheckTopic(t.Share) != nil {
		return "", fmt.Errorf("shared subscription group %.80q must be one level without wildcards", t.Share)
	}
	return "$share/" + t.Share + "/" + t.Filter, nil
}

// dropCovered removes filters that another one covers.
func dropCovered(filters map[string]byte) {
	for narrow, qos := range filters {
		for wide := range filters {
			if wide != narrow && covers(wide, narrow) {
				filters[wide] = max(filters[wide], qos)
				delete(filters, narrow)
				break
			}
		}
	}
}

// covers tells whether every topic that matches narrow matches wide too. A
// shared subscription covers nothing and is covered by nothing, since its
// messages are divided among several gateways.
func covers(wide, narrow string) bool {
	if strings.HasPrefix(wide, "$share/") || strings.HasPrefix(narrow, "$share/") {
		return wide == narrow
	}
	return broker.Covers(wide, narrow)
}
