package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// What waits for a broker goes as soon as the broker is there again, and not
// when the pause after the last failure is over.
func TestPublishesGoWithTheConnection(t *testing.T) {
	t.Parallel()
	broker, addr := testbed.StartMosquitto(t, testbed.MosquittoOptions{}), testbed.Addr(testbed.FreePort(t))
	r := newRig(t, fmt.Sprintf("brokers: [{name: plant, url: '%s'}]\nhttp_in: {listen: '%s'}\n", broker.URL, addr))
	r.write("app.yaml", `
apiVersion: skerry/v1
kind: App
metadata: {name: lamps, version: 1.0.0}
triggers:
  - {name: lamp, http: {path: "lamp"}, then: [{publish: panel/lamp, qos: 1}]}
  - {name: seen, mqtt: {topic: none}, then: [{publish: panel/none}]}
`)
	r.publish(r.path("app.yaml"))
	r.start()
	r.running(2)
	outbox := func() (s agent.TargetStatus) {
		for _, s = range r.status().Targets {
			if s.Name == "plant" {
				break
			}
		}
		return s
	}
	broker.Stop()
	if code, answer := postTo(t, "http://"+addr+"/in/lamp", `{"on":true}`, "1"); code != 202 {
		t.Fatalf("%d %s", code, answer)
	}
	testbed.Eventually(t, time.Minute, "a long pause", func() error {
		if s := outbox(); time.Until(s.RetryAt) < 6*time.Second {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	due := outbox().RetryAt
	broker.Restart()
	r.eventually("delivered", func(agent.Status) bool { return outbox().Delivered == 1 })
	if early := time.Until(due); early < time.Second {
		t.Errorf("delivered when the pause was over, or nearly so: %s", early)
	}
}
