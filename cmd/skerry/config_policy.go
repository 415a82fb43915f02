package main

import (
	"fmt"
	"path"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// PolicyConfig is what the owner lets the fleet do on this device at most. A list
// that is not there allows everything, an empty one nothing.
type PolicyConfig struct {
	Apps    []string      `key:"apps"`    // names, * for any part of them
	Publish []string      `key:"publish"` // topic filters
	HTTP    []string      `key:"http"`    // hosts and networks, as in an app
	Invoke  []string      `key:"invoke"`  // "central/alerts", * for any part
	Secrets []string      `key:"secrets"` // names, * for any part
	Memory  Size          `key:"memory"`  // of a function, in all its instances
	Timeout time.Duration `key:"timeout"` // of a function

	Rollback bool `key:"rollback"` // people at the device may take an app back
}

func (c *PolicyConfig) policy() fleetsync.Policy {
	return fleetsync.Policy{
		Apps: c.Apps, Publish: c.Publish, HTTP: c.HTTP, Invoke: c.Invoke, Secrets: c.Secrets,
		Memory: int64(c.Memory), Timeout: c.Timeout, Rollback: c.Rollback,
	}
}

func (c *PolicyConfig) check(p *problems) {
	for _, list := range []struct {
		key     string
		entries []string
		check   func(string) error
	}{
		{"apps", c.Apps, checkPattern},
		{"publish", c.Publish, checkDestination},
		{"http", c.HTTP, func(text string) error { _, err := agent.ParseHTTPGrant(text); return err }},
		{"invoke", c.Invoke, checkInvoked},
		{"secrets", c.Secrets, checkPattern},
	} {
		for i, text := range list.entries {
			if err := list.check(text); err != nil {
				p.add(fmt.Sprintf("policy.%s[%d]", list.key, i), "%v", err)
			}
		}
	}
}

func checkPattern(text string) error {
	if _, err := path.Match(text, ""); err != nil || text == "" {
		return fmt.Errorf("is a name, or a pattern such as plant-*, not %q", text)
	}
	return nil
}

func checkInvoked(text string) error {
	ok, err := path.Match("central/*", text)
	if err == nil && ok {
		err = checkPattern(text)
	}
	if err != nil || !ok {
		return fmt.Errorf("is central/<target>, or central/* for all of them, not %q", text)
	}
	return nil
}

func checkDestination(text string) error {
	_, filter, err := agent.SplitBroker(text)
	if err != nil {
		return err
	}
	return agent.CheckFilter(filter)
}
