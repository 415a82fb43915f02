package fleetsync

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// Report is what a device tells of itself, as a retained MQTT message. It is for
// people and their tools: nothing that runs depends on it.
type Report struct {
	V          int               `json:"v"` // 1
	Device     string            `json:"device"`
	Time       time.Time         `json:"time"`       // by the device's clock
	ClockSure  bool              `json:"clock_sure"` // something keeps that right
	Labels     map[string]string `json:"labels,omitempty"`
	Agent      string            `json:"agent"`   // its version
	Started    time.Time         `json:"started"` // the agent
	Arch       string            `json:"arch"`
	Engine     string            `json:"engine"` // compiler or interpreter
	Fleet      string            `json:"fleet,omitempty"`
	Revision   int64             `json:"revision"`          // of the fleet document in use; 0: none yet
	Generation uint64            `json:"generation"`        // of what runs
	Root       int64             `json:"root,omitempty"`    // version of the keys in force
	Checked    time.Time         `json:"checked,omitzero"`  // last answer of the registry
	Expires    time.Time         `json:"expires,omitzero"`  // of the documents in use
	Error      string            `json:"error,omitempty"`   // why the registry's last word is not in use
	Apps       []agent.AppStatus `json:"apps,omitempty"`    // in their order
	Left       int               `json:"left_out,omitzero"` // apps for which there was no room
	Disk       ReportDisk        `json:"disk"`
	Outbox     ReportOutbox      `json:"outbox"`
	Dead       int               `json:"dead_letters"`
	Stopped    []string          `json:"stopped,omitempty"`     // functions that kept failing
	OverBudget []string          `json:"over_budget,omitempty"` // targets that wait for their link's budget
}

// ReportDisk is in bytes.
type ReportDisk struct {
	Free  int64 `json:"free"` // of the file system
	Used  int64 `json:"used"` // by the agent's journal, of Quota
	Quota int64 `json:"quota"`
	Low   bool  `json:"low,omitempty"`
}

// ReportOutbox is what waits for targets and brokers.
type ReportOutbox struct {
	Waiting int       `json:"waiting"`
	Oldest  time.Time `json:"oldest,omitzero"`
}

// What a report may take, bytes.
const (
	maxReport     = 2000
	maxReadReport = 16 << 10 // of a device with another release
	maxSentence   = 300
	maxReason     = 240
	maxLabels     = 400
)

// ReportTopic is where the reports of a device are; OnlineTopic says "1" while it is
// connected and "0" when it is not. A "+" for each of all.
func ReportTopic(fleet, device string) string {
	return topicPrefix + fleet + "/" + device + "/report"
}

// OnlineTopic is the topic of a device's last will.
func OnlineTopic(fleet, device string) string {
	return topicPrefix + fleet + "/" + device + "/online"
}

// ReportOf is what fleet sync has to say in the report of a device.
func ReportOf(device string, s agent.SyncStatus) Report {
	r := Report{
		Device: device, Fleet: s.Fleet, Revision: s.Revision, Root: s.Root, Checked: s.Checked, Expires: s.Expires,
		Error: s.Error, Apps: slices.Clone(s.Apps),
	}
	for i, app := range s.Apps { // they say it themselves
		r.Apps[i].Progress = nil // it is of the moment, and too long
		if app.Reason != "" {
			r.Error = strings.Replace(r.Error, app.Reason+triedAgain(app.Until), "", 1)
			r.Error = strings.Trim(strings.ReplaceAll(r.Error, "; ; ", "; "), "; ")
		}
	}
	return r
}

// Encode gives a report as it is sent: JSON of at most 2,000 bytes. Long texts are
// cut, and of many apps those that are well are left out first.
func (r Report) Encode() []byte {
	r.V = 1
	r.tidyTimes()
	r.Error = cut(r.Error, maxSentence)
	for i := range r.Apps {
		r.Apps[i].Reason = cut(r.Apps[i].Reason, maxReason)
	}
	r.Stopped = few(r.Stopped, 4)
	r.OverBudget = few(r.OverBudget, 4)
	size := 0
	for name, value := range r.Labels {
		size += len(name) + len(value) + len(`"":"",`)
	}
	if size > maxLabels {
		r.Labels = nil
	}
	for {
		data := mustJSON(r)
		if len(data) <= maxReport {
			return data
		}
		r.shrink()
	}
}

// tidyTimes makes the times short, and such as JSON can hold: an event may be of the
// year 10000.
func (r *Report) tidyTimes() {
	r.Apps = slices.Clone(r.Apps)
	times := []*time.Time{&r.Time, &r.Started, &r.Checked, &r.Expires, &r.Outbox.Oldest}
	for i := range r.Apps {
		times = append(times, &r.Apps[i].Since, &r.Apps[i].Until)
	}
	for _, t := range times {
		if *t = t.UTC().Truncate(time.Second); t.Year() > 9999 {
			*t = time.Time{}
		}
	}
}

// shrink takes away what is missed least: an app that is well, then one that is not,
// then all that is long.
func (r *Report) shrink() {
	i := len(r.Apps) - 1
	for j, app := range slices.Backward(r.Apps) {
		if app.State == "good" {
			i = j
			break
		}
	}
	if i >= 0 {
		r.Apps = slices.Delete(r.Apps, i, i+1)
		r.Left++
		return
	}
	r.Labels, r.Stopped, r.OverBudget, r.Error = nil, nil, nil, ""
	for _, text := range []*string{&r.Device, &r.Agent, &r.Arch, &r.Engine, &r.Fleet} {
		*text = cut(*text, 64)
	}
}

// few are the first n of a list, shortened.
func few(list []string, n int) (out []string) {
	for _, text := range list[:min(n, len(list))] {
		out = append(out, cut(text, 64))
	}
	return out
}

// cut shortens text to n bytes as they stand in JSON, or a little less.
func cut(text string, n int) string {
	if quoted := mustJSON(text); len(quoted)-2 <= n {
		return text
	}
	const more = "…"
	size := len(more)
	for i, letter := range text {
		if size += len(mustJSON(string(letter))) - 2; size > n {
			return text[:i] + more
		}
	}
	return text
}

// mustJSON writes what can always be written, with < and > as they are.
func mustJSON(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // no channel, no function, no time that is none
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// ParseReport reads what a device, or anybody, sent. Unknown keys are left out, so
// that newer devices can be read too; texts hold no control characters then.
func ParseReport(data []byte) (r Report, err error) {
	if len(data) > maxReadReport {
		return r, fmt.Errorf("a report has at most %d bytes, not %d", maxReadReport, len(data))
	}
	if !utf8.Valid(data) || json.Unmarshal(data, &r) != nil {
		return Report{}, errors.New("it is no report: not JSON, or of other keys")
	}
	if r.V < 1 {
		return Report{}, errors.New("it is no report: it has no version")
	}
	for _, text := range []*string{&r.Device, &r.Agent, &r.Arch, &r.Engine, &r.Fleet, &r.Error} {
		*text = printable(*text)
	}
	for i := range r.Apps {
		app := &r.Apps[i]
		for _, text := range []*string{&app.Name, &app.Version, &app.Wanted, &app.State, &app.Previous, &app.Reason} {
			*text = printable(*text)
		}
	}
	for _, list := range [][]string{r.Stopped, r.OverBudget} {
		for i := range list {
			list[i] = printable(list[i])
		}
	}
	labels := make(map[string]string, len(r.Labels))
	for name, value := range r.Labels {
		labels[printable(name)] = printable(value)
	}
	r.Labels = labels
	return r, nil
}

// printable is text without what would move a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
