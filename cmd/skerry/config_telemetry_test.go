package main

import (
	"strings"
	"testing"
	"time"
)

const telemetryTargets = `
device: {id: gw7}
brokers: [{name: plant, url: "tcp://127.0.0.1:1883"}]
targets:
  - {name: otel, kind: otlp, url: "https://otel.example"}
  - {name: hook, kind: http, url: "https://hook.example"}
  - {name: x, kind: xray, region: eu-north-1, access_key_id: AK, secret_access_key: SK}
`

func TestTelemetryConfig(t *testing.T) {
	for _, tt := range []struct {
		given string
		want  TelemetryConfig
	}{
		{"", TelemetryConfig{}},
		{"telemetry: {target: otel}", TelemetryConfig{Target: "otel", Logs: "info", TTL: 7 * 24 * time.Hour, Over: "wait"}},
		{
			"telemetry: {target: otel, logs: off, metrics: 60s, ttl: 1h, over: drop, traces: {target: x, sample: 0.5}}",
			TelemetryConfig{Target: "otel", Logs: "off", Metrics: time.Minute, TTL: time.Hour, Over: "drop", Traces: TracesConfig{"x", 0.5}},
		},
		{"telemetry: {traces: {target: x}}", TelemetryConfig{TTL: 7 * 24 * time.Hour, Over: "wait", Traces: TracesConfig{"x", 0.01}}},
	} {
		c, err := LoadConfig(writeConfig(t, telemetryTargets+tt.given))
		if err != nil || c.Telemetry != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.given, c.Telemetry, err, tt.want)
		}
	}
}

func TestTelemetryConfigMistakes(t *testing.T) {
	for given, want := range map[string]string{
		"telemetry: {target: nowhere}":                                 `telemetry.target: is the name of one of targets, which "nowhere" is not`,
		"telemetry: {target: hook}":                                    `telemetry.target: is a target of kind otlp, and "hook" is of kind http`,
		"telemetry: {traces: {target: hook}}":                          `telemetry.traces.target: is a target of kind otlp or xray, and "hook" is of kind http`,
		"telemetry: {metrics: 60s}":                                    "telemetry.target: is missing",
		"telemetry: {logs: warn}":                                      "telemetry.target: is missing",
		"telemetry: {target: otel, logs: loud}":                        "telemetry.logs: is one of debug, info, warn, error, off",
		"telemetry: {target: otel, metrics: 1s}":                       "telemetry.metrics: is from 5s to 24h",
		"telemetry: {target: otel, ttl: 1s}":                           "telemetry.ttl: is at least 1m",
		"telemetry: {target: otel, over: shed}":                        "telemetry.over: is one of wait, drop",
		"telemetry: {target: otel, traces: {target: x, sample: 2}}":    "telemetry.traces.sample: is the part",
		"telemetry: {target: otel, traces: {target: x, sample: some}}": "telemetry.traces.sample: is a number",
		"telemetry: {tarket: otel}":                                    `telemetry.tarket: there is no such key; did you mean "target"?`,
	} {
		if _, err := LoadConfig(writeConfig(t, telemetryTargets+given)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", given, err, want)
		}
	}
}
