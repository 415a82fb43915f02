package main

import (
	"cmp"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/wasm"
)

// report is what the device tells of itself to whoever looks after the fleet, but for
// its labels, which stay the same.
func (d *device) report() fleetsync.Report {
	s := d.status()
	now, sure := wallClock()
	r := fleetsync.ReportOf(s.Device, s.Sync)
	r.Time, r.ClockSure, r.Started, r.Agent = now, sure, s.Started, version
	r.Arch, r.Engine, r.Generation, r.Dead = runtime.GOARCH, "compiler", s.Generation, s.Store.Dead
	r.Fleet = cmp.Or(r.Fleet, d.cfg.Fleet.Name)
	r.Error = joinSentences(r.Error, s.Store.Error)
	r.Disk = fleetsync.ReportDisk{Free: freeBytes(d.cfg.Data), Used: s.Store.JournalBytes, Quota: s.Store.QuotaBytes, Low: isLow(s.Store, false)}
	if wasm.Interpreted() {
		r.Engine = "interpreter"
	}
	for _, f := range s.Functions {
		if f.Breaker != nil {
			r.Stopped = append(r.Stopped, f.Name)
		}
	}
	for i := range s.Targets {
		t := &s.Targets[i]
		r.Outbox.Waiting += t.Waiting
		if !t.Oldest.IsZero() && (r.Outbox.Oldest.IsZero() || t.Oldest.Before(r.Outbox.Oldest)) {
			r.Outbox.Oldest = t.Oldest
		}
		if t.OverBudget != "" {
			r.OverBudget = append(r.OverBudget, t.Name)
		}
	}
	if len(r.Apps) == 0 { // the registry has not said yet what is wanted
		r.Apps = runningApps(s.Apps)
	}
	return r
}

func runningApps(names []string) (apps []agent.AppStatus) {
	for _, text := range names {
		name, running, _ := strings.Cut(text, "@")
		apps = append(apps, agent.AppStatus{Name: name, Version: running, State: "good"})
	}
	return apps
}

// joinSentences joins those that are not empty.
func joinSentences(list ...string) string {
	text := ""
	for _, s := range list {
		text = strings.TrimPrefix(text+"; "+s, "; ")
	}
	return strings.TrimSuffix(text, "; ")
}

// freeBytes is how much room a file system has for this process, -1 if nobody knows.
func freeBytes(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Clean(dir), &st); err != nil {
		return -1
	}
	return int64(st.Bavail) * int64(st.Bsize)
}

// numbers are masked where they change without anything being new.
var numbers = regexp.MustCompile(`[0-9]+`)

// gist is what of a report makes a new one due. Figures that move all the time are
// told along with it; of those that grow it has the step.
func gist(r fleetsync.Report) string {
	step := 0
	for n := r.Dead; n > 0; n /= 10 {
		step++
	}
	r.Dead = step
	waits := time.Duration(0)
	if !r.Outbox.Oldest.IsZero() {
		waits = r.Time.Sub(r.Outbox.Oldest)
	}
	r.Outbox = fleetsync.ReportOutbox{}
	switch {
	case waits >= 24*time.Hour:
		r.Outbox.Waiting = 2
	case waits >= time.Hour:
		r.Outbox.Waiting = 1
	}
	r.Disk = fleetsync.ReportDisk{Low: r.Disk.Low}
	r.Error = numbers.ReplaceAllString(r.Error, "#")
	r.Time, r.Checked, r.Expires = time.Time{}, time.Time{}, r.Expires.Truncate(24*time.Hour)
	apps := make([]agent.AppStatus, len(r.Apps))
	for i, app := range r.Apps {
		app.Until, app.Reason = time.Time{}, numbers.ReplaceAllString(app.Reason, "#")
		apps[i] = app
	}
	r.Apps = apps
	return string(r.Encode())
}
