package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Health is how the agent is, in checks.
type Health struct {
	Ready  bool    `json:"ready"` // it takes events and keeps what they lead to
	Checks []Check `json:"checks"`
}

// Check is one thing that was looked at.
type Check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`              // there is nothing for a person to do
	Stops bool   `json:"stops,omitempty"` // the agent is not ready because of it
	Text  string `json:"text"`            // one sentence
}

// Facts are what health is judged by beside the status.
type Facts struct {
	Now     time.Time
	Right   bool  // something keeps the clock right
	Applied bool  // a deployment, be it of nothing, was
	Room    int64 // bytes that the disk has beside what the journal may still take
}

// HealthOf judges. A device whose cloud or registry is away is ready, since it works
// without them; one that no event reaches, or whose disk takes nothing, is not.
func HealthOf(s *agent.Status, f Facts) Health {
	h := Health{Ready: true, Checks: []Check{
		checkStore(s), checkDisk(s, f), checkFunctions(s, f), checkSources(s), checkClock(f), checkRegistry(s), checkLink(s), checkBudget(s),
	}}
	for _, c := range h.Checks {
		h.Ready = h.Ready && !c.Stops
	}
	return h
}

// Stopping are the names of the checks because of which the agent is not ready.
func (h *Health) Stopping() (names []string) {
	for _, c := range h.Checks {
		if c.Stops {
			names = append(names, c.Name)
		}
	}
	return names
}

func checkStore(s *agent.Status) Check {
	c := Check{Name: "store", OK: true, Text: "what functions decide is kept"}
	switch {
	case s.Store.Error != "":
		c.OK, c.Stops, c.Text = false, true, "what functions decide cannot be kept, so events wait at their sources: "+s.Store.Error
	case s.Store.Gaps > 0:
		c.OK, c.Text = false, fmt.Sprintf("%d frames on the disk were found damaged and left out since the start: look after the disk", s.Store.Gaps)
	}
	return c
}

const diskLow = 90 // percent of limits.disk

func checkDisk(s *agent.Status, f Facts) Check {
	c := Check{Name: "disk", OK: true, Text: fmt.Sprintf("%s of %s are used (limits.disk)", agent.BytesText(s.Store.JournalBytes), agent.BytesText(s.Store.QuotaBytes))}
	switch {
	case f.Room <= 0:
		c.OK, c.Text = false, c.Text+", and the file system has hardly any space left: free some"
	case s.Store.JournalBytes*100 > s.Store.QuotaBytes*diskLow && s.Store.QuotaBytes > 0:
		c.OK, c.Text = false, c.Text+": when it is full events wait; let what waits for targets go, or raise it"
	}
	return c
}

func checkFunctions(s *agent.Status, f Facts) Check {
	c := Check{Name: "functions", OK: true}
	var stopped, waiting, held []string
	for i := range s.Functions {
		switch fn := &s.Functions[i]; {
		case fn.Breaker != nil:
			stopped = append(stopped, fn.Name)
		case fn.Stateless != "":
			waiting = append(waiting, fn.Name)
		}
	}
	for _, a := range s.Sync.Apps {
		if a.Version == "" {
			held = append(held, a.Name)
		}
	}
	switch {
	case !f.Applied:
		c.OK, c.Stops, c.Text = false, true, "nothing that was deployed has started yet"
	case len(s.Functions) == 0 && len(held) > 0:
		c.OK, c.Stops, c.Text = false, true, "nothing that is deployed could start: "+few(held)
	case len(stopped)+len(waiting)+len(held) > 0:
		c.OK, c.Text = false, joined(named("stopped since they keep failing: ", stopped), named("waiting for their state: ", waiting), named("apps that do not run: ", held))
	case len(s.Functions) == 0:
		c.Text = "there are none for this device"
	default:
		c.Text = fmt.Sprintf("%d run", len(s.Functions))
	}
	return c
}

// within are the kinds of sources that are always there, and tell of no connection.
var within = []string{"inside", "schedule", "fleet"}

func checkSources(s *agent.Status) Check {
	c := Check{Name: "sources", OK: true, Text: "there are none beside the schedule"}
	var down []string
	all := 0
	for _, src := range s.Sources {
		if slices.Contains(within, src.Kind) {
			continue
		}
		if all++; !src.Connected {
			down = append(down, src.Name+note(src.Note))
		}
	}
	switch {
	case len(down) > 0:
		c.OK, c.Stops, c.Text = false, len(down) == all, "no events come from "+few(down)
	case all > 0:
		c.Text = fmt.Sprintf("%d of %d connected", all, all)
	}
	return c
}

func checkClock(f Facts) Check {
	now := f.Now.UTC().Format("2006-01-02 15:04 MST")
	if !f.Right {
		return Check{Name: "clock", Text: "it says " + now + ", and nothing keeps it right: run an NTP client (in a container the host does it)"}
	}
	return Check{Name: "clock", OK: true, Text: now + ", kept right"}
}

func checkRegistry(s *agent.Status) Check {
	c := Check{Name: "registry", OK: true}
	switch {
	case s.Sync.Registry == "":
		c.OK, c.Text = false, "none is configured, so nothing will run: set registry.ref"
	case s.Sync.Error != "":
		c.OK, c.Text = false, sentence(s.Sync.Error)
	case s.Sync.Checked.IsZero():
		c.Text = "has not answered since the start"
	default:
		c.Text = fmt.Sprintf("answered; %s is at revision %d", s.Sync.Fleet, s.Sync.Revision)
	}
	return c
}

// checkLink is about what goes up to targets.
func checkLink(s *agent.Status) Check {
	c := Check{Name: "link", OK: true, Text: "nothing goes up from here"}
	var away, paused []string
	waiting := 0
	for i := range s.Targets {
		t := &s.Targets[i]
		waiting += t.Waiting
		switch {
		case t.Paused:
			paused = append(paused, t.Name)
		case t.Breaker != nil:
			away = append(away, t.Name+note(t.Breaker.Cause))
		case t.LastError != "" && t.Waiting > 0:
			away = append(away, t.Name+note(t.LastError))
		}
	}
	switch {
	case len(away)+len(paused) > 0:
		c.OK = false
		c.Text = joined(named("away: ", away), named("paused by a person: ", paused), fmt.Sprintf("%d records wait", waiting))
	case len(s.Targets) > 0:
		c.Text = fmt.Sprintf("nothing stands between this device and its targets (%d)", len(s.Targets))
	}
	return c
}

const budgetLow = 90 // percent

func checkBudget(s *agent.Status) Check {
	c := Check{Name: "budget", OK: true, Text: "no link has a limit"}
	var used, low []string
	for i := range s.Links {
		l := &s.Links[i]
		for _, a := range []struct {
			name string
			of   agent.Account
		}{{"today", l.Day}, {"this month", l.Month}} {
			if a.of.Limit == 0 {
				continue
			}
			text := fmt.Sprintf("%s used %s of %s %s", l.Name, agent.BytesText(a.of.Used), agent.BytesText(a.of.Limit), a.name)
			if used = append(used, text); a.of.Used*100 >= a.of.Limit*budgetLow {
				low = append(low, text)
			}
		}
	}
	switch {
	case len(low) > 0:
		c.OK, c.Text = false, strings.Join(low, "; ")
	case len(used) > 0:
		c.Text = strings.Join(used, "; ")
	}
	return c
}

func named(what string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return what + few(names)
}

const manyNames = 6

// few are names as a list that fits into a sentence.
func few(names []string) string {
	if n := len(names); n > manyNames {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:manyNames-1], ", "), n-manyNames+1)
	}
	return strings.Join(names, ", ")
}

// joined are the parts that there are, as one sentence.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}

func note(text string) string {
	if text == "" {
		return ""
	}
	return " (" + sentence(text) + ")"
}

// sentence is text on one line.
func sentence(text string) string { return strings.ReplaceAll(text, "\n", "; ") }

// WithHealth has h answer GET /v1/health too.
func WithHealth(h http.Handler, health func() Health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /v1/health", func(w http.ResponseWriter, _ *http.Request) { answer(w, health()) })
	return mux
}

// AskHealth asks the agent behind the socket at path how it is.
func AskHealth(ctx context.Context, path string) (h Health, err error) {
	err = call(ctx, path, http.MethodGet, "/v1/health", nil, &h)
	return h, err
}

// Healthz answers whether the process works and keeps what is decided; trouble is
// why not, "" for none. It tells strangers no more.
func Healthz(trouble func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if trouble() != "" {
			probed(w, http.StatusServiceUnavailable, "failing: store")
			return
		}
		probed(w, http.StatusOK, "ok")
	})
}

// Readyz answers whether the agent is ready, else which checks say that it is not.
func Readyz(health func() Health) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := health()
		if names := h.Stopping(); len(names) > 0 {
			probed(w, http.StatusServiceUnavailable, "not ready: "+strings.Join(names, ", "))
			return
		}
		probed(w, http.StatusOK, "ready")
	})
}

func probed(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if _, err := fmt.Fprintln(w, text); err != nil {
		return // the client went away
	}
}
