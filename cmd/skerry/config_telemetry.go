package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TelemetryConfig says what goes up about the agent itself, beside what its
// functions decide. Without a target nothing does.
type TelemetryConfig struct {
	Target  string        `key:"target"`  // one of Targets, of kind otlp
	Logs    string        `key:"logs"`    // the least level that goes up, or off
	Metrics time.Duration `key:"metrics"` // so often; 0: never
	TTL     time.Duration `key:"ttl"`     // what waited so long is dropped
	Over    string        `key:"over"`    // the budget of the link: wait or drop
	Traces  TracesConfig  `key:"traces"`
}

// TracesConfig says which invocations are traced.
type TracesConfig struct {
	Target string `key:"target"` // one of Targets, of kind otlp or xray; "": none are
	Sample Share  `key:"sample"` // of the events
}

// Share is a part of a whole, from 0 to 1.
type Share float64

const (
	defaultTelemetryTTL = 7 * 24 * time.Hour
	defaultSample       = 0.01
	logsOff             = "off"
	overWait, overDrop  = "wait", "drop"
	kindOTLP, kindXRay  = "otlp", "xray" // of targets
)

func (c *Config) fillTelemetryDefaults() {
	t := &c.Telemetry
	if t.Target+t.Traces.Target == "" {
		return
	}
	t.TTL = cmp.Or(t.TTL, defaultTelemetryTTL)
	t.Over = cmp.Or(t.Over, overWait)
	if t.Target != "" {
		t.Logs = cmp.Or(t.Logs, "info")
	}
	if t.Traces.Target != "" {
		t.Traces.Sample = cmp.Or(t.Traces.Sample, defaultSample)
	}
}

func (c *Config) checkTelemetry(p *problems) {
	t := &c.Telemetry
	c.checkTelemetryTarget(p, "telemetry.target", t.Target, kindOTLP)
	c.checkTelemetryTarget(p, "telemetry.traces.target", t.Traces.Target, kindOTLP, kindXRay)
	if t.Target == "" && (t.Logs != "" || t.Metrics != 0) {
		p.add("telemetry.target", "is missing: name the target of kind otlp that takes logs and metrics")
	}
	if t.Target != "" {
		p.checkOneOf("telemetry.logs", t.Logs, "debug", "info", "warn", "error", logsOff)
	}
	if t.Metrics != 0 && (t.Metrics < 5*time.Second || t.Metrics > 24*time.Hour) {
		p.add("telemetry.metrics", "is from 5s to 24h, or 0s for none, not %s", t.Metrics)
	}
	if t.TTL != 0 && t.TTL < time.Minute {
		p.add("telemetry.ttl", "is at least 1m, not %s: what waits longer for the link is dropped", t.TTL)
	}
	if t.Over != "" {
		p.checkOneOf("telemetry.over", t.Over, overWait, overDrop)
	}
	if s := t.Traces.Sample; s < 0 || s > 1 {
		p.add("telemetry.traces.sample", "is the part of the events that is traced, from 0 to 1, not %g", float64(s))
	}
}

// checkTelemetryTarget refuses the name of a target that there is not, or that is
// of another kind.
func (c *Config) checkTelemetryTarget(p *problems, path, name string, kinds ...string) {
	if name == "" {
		return
	}
	kind := c.targetKind(name)
	switch {
	case kind == "":
		p.add(path, "is the name of one of targets, which %q is not: describe one of kind %s there", name, strings.Join(kinds, " or "))
	case !slices.Contains(kinds, kind):
		p.add(path, "is a target of kind %s, and %q is of kind %s", strings.Join(kinds, " or "), name, kind)
	}
}

// targetKind is the kind of a target, "" if there is none of this name.
func (c *Config) targetKind(name string) string {
	i := slices.IndexFunc(c.Targets, func(t TargetConfig) bool { return t.Name == name })
	if i < 0 {
		return ""
	}
	return c.Targets[i].Kind
}

func parseShare(from any, to *Share) error {
	f, err := strconv.ParseFloat(fmt.Sprint(from), 64)
	if err != nil {
		return fmt.Errorf("is a number, such as 0.01, not %v", from)
	}
	*to = Share(f)
	return nil
}
