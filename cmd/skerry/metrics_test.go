package main

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

// everyMetric is a text with all that /metrics can have, and names that nobody would
// choose.
func everyMetric() string {
	odd := "plant \"west\"\\\nhall"
	s := agent.Status{
		Started:   time.Now().Add(-time.Minute),
		Functions: []agent.FunctionStatus{{Name: odd, Took: agent.Durations{Below: [21]int64{20: 3}, Count: 4, Sum: 1500 * time.Millisecond}, P99us: 1500}},
		Sources:   []agent.SourceStatus{{Name: odd}}, Targets: []agent.TargetStatus{{Name: odd}},
		Links: []agent.LinkStatus{{Name: odd, Day: agent.Account{Used: 1, Limit: 2}}},
		Sync:  agent.SyncStatus{Revision: 7, Checked: time.Unix(5, 0), Expires: time.Unix(6, 0)},
	}
	return string(metricsText(&s, admin.HealthOf(&s, admin.Facts{Now: time.Now()}), "gw7", time.Now()))
}

// metric is what a text says of one.
type metric struct {
	kind, help string
	labels     []string
}

// parseMetrics reads a text; it knows no more of the format than this test needs.
func parseMetrics(t *testing.T, text string) (names []string, all map[string]*metric) {
	t.Helper()
	all = map[string]*metric{}
	name := ""
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		words := strings.SplitN(line, " ", 4)
		switch {
		case strings.HasPrefix(line, "# HELP "):
			name = words[2]
			if all[name] != nil {
				t.Errorf("%s comes twice", name)
			}
			all[name] = &metric{help: words[3]}
			names = append(names, name)
		case strings.HasPrefix(line, "# TYPE "):
			all[name].kind = words[3]
		case !strings.HasPrefix(line, name):
			t.Errorf("%q stands below %s", line, name)
		default:
			for _, part := range strings.Split(line, `="`)[1:] {
				before := strings.Split(line, `="`+part)[0]
				label := before[strings.LastIndexAny(before, "{,")+1:]
				if label != "le" && !slices.Contains(all[name].labels, label) {
					all[name].labels = append(all[name].labels, label)
				}
			}
		}
	}
	return names, all
}

// TestMetricsAreDocumented compares /metrics with the table in docs/telemetry.md.
func TestMetricsAreDocumented(t *testing.T) {
	names, all := parseMetrics(t, everyMetric())
	var served []string
	for _, name := range names {
		m := all[name]
		if m.help == "" {
			t.Errorf("%s has no help: add it to metricHelp", name)
		}
		labels := ""
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		served = append(served, fmt.Sprintf("| `%s` | %s | %s | %s |", name, m.kind, labels, m.help))
	}
	if len(names) != len(metricHelp) {
		t.Errorf("%d metrics, and %d that have help", len(names), len(metricHelp))
	}
	doc, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, line := range strings.Split(string(doc), "\n") {
		if strings.HasPrefix(line, "| `skerry_") {
			told = append(told, line)
		}
	}
	if !slices.Equal(served, told) {
		t.Errorf("docs/telemetry.md has\n%s\nand it should be\n%s", strings.Join(told, "\n"), strings.Join(served, "\n"))
	}
}

// promtool runs Debian's; it needs no daemon.
func promtool(t *testing.T, in string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v (apt-get install prometheus, if it is missing)\n%s", strings.Join(args, " "), err, out)
	}
	if args[1] == "metrics" && len(out) > 0 {
		t.Errorf("promtool has something to say:\n%s", out)
	}
}

func TestPromtoolTakesTheMetrics(t *testing.T) {
	text := everyMetric()
	promtool(t, text, "check", "metrics")
	for _, want := range []string{
		`skerry_build_info{device="gw7",version="dev",goversion="go`,
		`skerry_function_p99_seconds{function="plant \"west\"\\\nhall"} 0.0015` + "\n",
		`skerry_function_duration_seconds_bucket{function="plant \"west\"\\\nhall",le="67.108864"} 3` + "\n",
		`skerry_function_duration_seconds_bucket{function="plant \"west\"\\\nhall",le="+Inf"} 4` + "\n",
		`skerry_function_duration_seconds_sum{function="plant \"west\"\\\nhall"} 1.5` + "\n",
		"skerry_sync_expiry_timestamp_seconds 6\n", "skerry_ready 0\n", "skerry_check_ok{check=\"store\"} 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
}

func TestMetricsAreBounded(t *testing.T) {
	s := agent.Status{Functions: make([]agent.FunctionStatus, 1000), Targets: make([]agent.TargetStatus, 1000), Sources: make([]agent.SourceStatus, 1000)}
	for i := range s.Functions {
		s.Functions[i].Name, s.Targets[i].Name, s.Sources[i].Name = fmt.Sprint("f", i), fmt.Sprint("t", i), fmt.Sprint("s", i)
	}
	rec := httptest.NewRecorder()
	page := &metricsPage{func() *agent.Status { return &s }, func(s *agent.Status) admin.Health { return admin.HealthOf(s, admin.Facts{}) }, "gw7"}
	page.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if got := rec.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("it is %s", got)
	}
	series := map[string]int{}
	for line := range bytes.Lines(rec.Body.Bytes()) {
		if name, _, ok := strings.Cut(string(line), "{"); ok && !strings.Contains(string(line), `le="`) {
			series[name]++
		}
	}
	for name, n := range series {
		if n > maxPoints {
			t.Errorf("%s has %d series", name, n)
		}
	}
	if rec.Body.Len() > 2<<20 {
		t.Errorf("%d bytes", rec.Body.Len())
	}
}
