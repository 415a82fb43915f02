package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// attention tells what a person should look at, the worst first, nothing if all is
// well.
func attention(s *agent.Status) []string {
	all, fresh := []string{}, []string{}
	add := func(format string, a ...any) { all = append(all, fmt.Sprintf(format, a...)) }
	if s.Store.Error != "" {
		add("nothing is kept on disk now: %s", s.Store.Error)
	}
	for i := range s.Sync.Apps {
		switch a := &s.Sync.Apps[i]; {
		case a.State == "probation":
			fresh = append(fresh, fmt.Sprintf("%s %s is on probation for another %s", a.Name, a.Version, max(0, time.Until(a.Until)).Round(time.Second)))
		case a.TakenBack:
			fresh = append(fresh, fmt.Sprintf("%s %s was rolled back here: %s runs", a.Name, a.Wanted, a.Version))
		case a.State != "good":
			add("%s %s: %s%s", a.Name, a.Version, a.State, note(a.Reason))
		}
	}
	for i := range s.Functions {
		f := &s.Functions[i]
		if b := f.Breaker; b != nil {
			add("%s is stopped after %s, %s: %s", f.Name, agent.CountText(b.Failures, "failure"), triesText(f), b.Cause)
		}
		if f.Stateless != "" {
			add("%s does not run yet: %s", f.Name, f.Stateless)
		}
		if n := len(f.Refused); n > 0 {
			add("%s was denied: %s", f.Name, f.Refused[n-1])
		}
	}
	for i := range s.Sources {
		if src := &s.Sources[i]; !src.Connected {
			add("source %s is down%s", src.Name, note(src.Note))
		} else if src.Note != "" {
			add("source %s: %s", src.Name, src.Note)
		}
	}
	for i := range s.Targets {
		for _, text := range troubles(&s.Targets[i]) {
			add("target %s: %s", s.Targets[i].Name, text)
		}
	}
	if text := fleetsync.ReportOf("", s.Sync).Error; text != "" { // without what the apps say themselves
		add("registry: %s", text)
	}
	if s.Store.Dead > 0 {
		add("%s in the box: skerry deadletter list", agent.CountText(s.Store.Dead, "dead letter"))
	}
	if s.Store.Gaps > 0 {
		add("%s of the journal found damaged and skipped", agent.CountText(s.Store.Gaps, "part"))
	}
	all = append(all, fresh...) // nothing is wrong there
	for i := range all {
		all[i] = shown(spaced(all[i]))
	}
	return all
}

// functionState says in a few words how a function is, and why.
func functionState(f *agent.FunctionStatus, apps []agent.AppStatus) (state, why string, ill bool) {
	if b := f.Breaker; b != nil {
		return "stopped, tries " + retryText(b.RetryAt), b.Cause, true
	}
	if f.Stateless != "" {
		return "waits for its state", f.Stateless, true
	}
	app, _, _ := strings.Cut(f.Name, "/")
	for i := range apps {
		a := &apps[i]
		if a.Name != app || a.State == "good" {
			continue
		}
		if a.State == "probation" {
			return "probation " + max(0, time.Until(a.Until)).Round(time.Second).String(), f.LastError, false
		}
		if a.TakenBack {
			return "rolled back", f.LastError, false
		}
		return a.State, a.Reason, true
	}
	if f.Retrying > 0 {
		return fmt.Sprintf("tries %s again", agent.CountText(f.Retrying, "key")), f.LastError, false
	}
	return "ok", f.LastError, false
}
