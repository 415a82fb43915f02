package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const monitoring = "../../docs/monitoring"

// TestPromtoolTakesTheAlerts checks the rules, runs their unit tests, and checks the
// example of a configuration.
func TestPromtoolTakesTheAlerts(t *testing.T) {
	promtool(t, "", "check", "rules", filepath.Join(monitoring, "alerts.yaml"))
	promtool(t, "", "test", "rules", filepath.Join(monitoring, "alerts.tests.yaml"))
	promtool(t, "", "check", "config", "--syntax-only", filepath.Join(monitoring, "prometheus.yaml"))
}

// TestAlertsHaveTests looks for each alert in the tests, firing and not.
func TestAlertsHaveTests(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, filepath.Join(monitoring, "alerts.yaml"))), &rules); err != nil {
		t.Fatal(err)
	}
	tests := readFile(t, filepath.Join(monitoring, "alerts.tests.yaml"))
	for _, r := range rules.Groups[0].Rules {
		knownMetrics(t, r.Alert, r.Expr)
		quiet := strings.Contains(tests, "{eval_time: 4h, alertname: "+r.Alert+"}")
		fires := strings.Contains(tests, `alertname="`+r.Alert+`"`) || strings.Contains(tests, "\n        alertname: "+r.Alert+"\n")
		if !quiet || !fires {
			t.Errorf("%s: a test that it is quiet: %v, that it fires: %v", r.Alert, quiet, fires)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s does not say what is wrong and what to do", r.Alert)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	metricNames = regexp.MustCompile(`\bskerry_[a-z0-9_]+`)
	ofHistogram = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// knownMetrics fails for names in expr that /metrics does not have.
func knownMetrics(t *testing.T, where, expr string) {
	t.Helper()
	_, all := parseMetrics(t, everyMetric())
	for _, name := range metricNames.FindAllString(expr, -1) {
		m := all[ofHistogram.ReplaceAllString(name, "")]
		if m == nil || (m.kind == "histogram") != ofHistogram.MatchString(name) {
			t.Errorf("%s: there is no %s at /metrics", where, name)
		}
	}
}

// panel is what Grafana knows of one, as far as this looks.
type panel struct {
	ID      int
	Title   string
	Type    string
	GridPos struct{ H, W, X, Y int }
	Targets []struct{ Expr string }
}

// TestDashboard reads the dashboard as Grafana does: each expression parses, once its
// variables are filled in, and names metrics that there are.
func TestDashboard(t *testing.T) {
	var board struct {
		Title, UID string
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
		Panels []panel
	}
	text := readFile(t, filepath.Join(monitoring, "dashboard.json"))
	if err := json.Unmarshal([]byte(text), &board); err != nil {
		t.Fatal(err)
	}
	fill := []string{"$__rate_interval", "5m"}
	for _, v := range board.Templating.List {
		fill = append(fill, "$"+v.Name, ".+")
		knownMetrics(t, "variable "+v.Name, v.Definition)
	}
	filled := strings.NewReplacer(fill...)
	rules, rows, ids := "groups: [{name: dashboard, rules: [\n", []string{}, map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("panel %q has the id %d of another", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q shows nothing, or too far to the right", p.Title)
		}
		for _, target := range p.Targets {
			knownMetrics(t, p.Title, target.Expr)
			expr := filled.Replace(target.Expr)
			if strings.Contains(expr, "$") || !strings.Contains(expr, `instance=~".+"`) {
				t.Errorf("panel %q: %s", p.Title, expr)
			}
			rules += fmt.Sprintf("  {record: 'p:%d', expr: %q},\n", len(rules), expr)
		}
	}
	if got := strings.Join(rows, ", "); got != "Fleet, Device, Functions, Targets" {
		t.Errorf("rows %s", got)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules+"]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", file)
	if strings.Contains(text, `"uid": "skerry"`) && strings.Count(text, `"${datasource}"`) < len(board.Panels) {
		t.Error("a panel does not use the data source that was chosen")
	}
}
