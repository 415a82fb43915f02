package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// lines are a fleet's assignments as skerry fleet show has them.
func lines(f *fleetsync.Fleet) []string {
	var out []string
	for _, a := range f.Assignments {
		out = append(out, strings.Join([]string{a.App, a.Version, percentText(a), selectorText(a.Selector)}, " | "))
	}
	return out
}

func assignment(app, version string, percent float64, site string) fleetsync.Assignment {
	a := fleetsync.Assignment{App: app, Version: version}
	if percent < 100 {
		a.Percent = &percent
	}
	if site != "" {
		a.Selector = &fleetsync.Selector{MatchLabels: map[string]string{"site": site}}
	}
	return a
}

func TestPromote(t *testing.T) {
	old := []fleetsync.Assignment{assignment("meter", "2.0.0", 100, ""), assignment("overheat", "1.3.2", 100, "")}
	for _, tc := range []struct {
		name    string
		before  []fleetsync.Assignment
		percent float64
		want    []string
	}{
		{"a version that is new comes before the others of its app", old, 1, []string{
			"meter | 2.0.0 | 100 % | all devices", "overheat | 1.4.0 | 1 % | all devices", "overheat | 1.3.2 | 100 % | all devices",
		}},
		{
			"a share is raised in its place",
			[]fleetsync.Assignment{assignment("overheat", "1.4.0", 1, "west"), assignment("overheat", "1.3.2", 100, "")},
			10,
			[]string{"overheat | 1.4.0 | 10 % | site=west", "overheat | 1.3.2 | 100 % | all devices"},
		},
		{
			"at 100 percent what comes after it for the same devices goes",
			[]fleetsync.Assignment{assignment("overheat", "1.4.0", 10, "west"), assignment("overheat", "1.3.2", 100, "west"), assignment("overheat", "1.3.0", 100, "")},
			100,
			[]string{"overheat | 1.4.0 | 100 % | site=west", "overheat | 1.3.0 | 100 % | all devices"},
		},
		{
			"devices that are named keep what they were given",
			[]fleetsync.Assignment{
				{App: "overheat", Version: "1.3.0", Selector: &fleetsync.Selector{Devices: []string{"gw7"}}},
				{App: "overheat", Version: "1.2.0", Selector: &fleetsync.Selector{Devices: []string{"gw8"}}},
				assignment("overheat", "1.3.1", 100, "west"), assignment("overheat", "1.3.2", 100, ""),
			},
			10,
			[]string{"overheat | 1.3.0 | 100 % | gw7", "overheat | 1.2.0 | 100 % | gw8", "overheat | 1.4.0 | 10 % | all devices", "overheat | 1.3.1 | 100 % | site=west", "overheat | 1.3.2 | 100 % | all devices"},
		},
		{
			"what is paused stays so",
			[]fleetsync.Assignment{{App: "overheat", Version: "1.3.2", Paused: true}},
			1,
			[]string{"overheat | 1.4.0 | 1 %, paused | all devices", "overheat | 1.3.2 | 100 %, paused | all devices"},
		},
		{
			"for all devices, everything after it of its app goes",
			[]fleetsync.Assignment{assignment("overheat", "1.4.0", 10, ""), assignment("meter", "2.0.0", 100, ""), assignment("overheat", "1.3.2", 100, "west")},
			100,
			[]string{"overheat | 1.4.0 | 100 % | all devices", "meter | 2.0.0 | 100 % | all devices"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fleetsync.Fleet{Assignments: slices.Clone(tc.before)}
			promote(f, agent.AppVersion{Name: "overheat", Version: "1.4.0"}, tc.percent)
			if got := lines(f); !slices.Equal(got, tc.want) {
				t.Errorf("assignments are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

func TestGoBackTouchesOneAppAlone(t *testing.T) {
	now := &fleetsync.Fleet{Assignments: []fleetsync.Assignment{
		assignment("overheat", "1.4.0", 100, ""), assignment("meter", "2.1.0", 100, ""),
	}}
	then := &fleetsync.Fleet{Assignments: []fleetsync.Assignment{
		assignment("meter", "2.0.0", 100, ""), assignment("overheat", "1.4.0", 10, ""), assignment("overheat", "1.3.2", 100, ""),
	}}
	if err := goBack(now, then, []string{"overheat"}); err != nil {
		t.Fatal(err)
	}
	want := []string{"overheat | 1.4.0 | 10 % | all devices", "overheat | 1.3.2 | 100 % | all devices", "meter | 2.1.0 | 100 % | all devices"}
	if got := lines(now); !slices.Equal(got, want) {
		t.Errorf("assignments are %q, want %q", got, want)
	}
}

func TestPauseOfAnAppThatIsNotThere(t *testing.T) {
	f := &fleetsync.Fleet{Assignments: []fleetsync.Assignment{assignment("overheat", "1.4.0", 100, "")}}
	if err := setPaused(f, []string{"overheet"}, true); err == nil || !strings.Contains(err.Error(), "skerry fleet show") {
		t.Errorf("pausing an app that is not assigned: %v", err)
	}
}

func TestPercentAndShares(t *testing.T) {
	for text, want := range map[string]float64{"20%": 20, "20": 20, " 0.5 %": -1, "0.1%": 0.1, "101": -1, "-1": -1, "NaN": -1, "": -1} {
		got, err := parsePercent(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("parsePercent(%q) = %g, %v", text, got, err)
		}
	}
	for text, ok := range map[string]bool{"site=west:30,east:70": true, "site=west:30": true, "site=west:60,east:70": false, "site": false, "=a:1": false, "site=west": false} {
		if _, err := parseShares(text); (err == nil) != ok {
			t.Errorf("parseShares(%q): %v", text, err)
		}
	}
}
