package uplink

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// In package uplink: ids are made of each other.

const (
	rootEvent = "gw7/k3v9x2/00001/0000002a"
	oneRun    = "/plant/alarm/0123456789ab"
)

func event(id string) *agent.Event { return &agent.Event{ID: id, Time: noon} }

// All that comes of one event is one trace, and each part knows what caused it.
func TestTraceHeader(t *testing.T) {
	root := strings.Split(TraceHeader(event(rootEvent)), ";")
	if len(root) != 2 || root[1] != "Sampled=1" || !regexp.MustCompile(`^Root=1-6b0187c0-[0-9a-f]{24}$`).MatchString(root[0]) {
		t.Fatal(root)
	}
	alarm, mail := spanID(rootEvent, "plant/alarm"), spanID(rootEvent+oneRun+"/1", "plant/mail")
	for id, parent := range map[string]string{
		rootEvent + oneRun + "/0":                           alarm,
		rootEvent + oneRun + "/dead-0":                      alarm,
		rootEvent + oneRun + "/dead-2-failure":              alarm,
		rootEvent + "/plant/alarm/rule/17":                  alarm,
		rootEvent + oneRun + "/1/plant/mail/ba9876543210/0": mail,
		rootEvent + "/plant/alarm/ffffffffffff/0":           alarm, // by another version
	} {
		if got, want := TraceHeader(event(id)), root[0]+";Parent="+parent+";Sampled=1"; got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	for _, id := range []string{"", "x", "gw7/42/0", "/a/b/rule/0", rootEvent + "/plant/alarm/0123/0", rootEvent + oneRun} {
		if got := TraceHeader(event(id)); strings.Contains(got, "Parent") {
			t.Errorf("%q has a parent: %s", id, got)
		}
	}
	if at := TraceHeader(&agent.Event{ID: "x"}); !strings.HasPrefix(at, "Root=1-00000000-") {
		t.Errorf("without a time: %s", at)
	}
}

// Whatever an id is, the header can be sent.
func FuzzTraceHeader(f *testing.F) {
	f.Add(rootEvent+oneRun+"/0", int64(0))
	f.Add("a/b/rule/1/c/d/rule/2\n", int64(-1))
	shape := regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24}(;Parent=[0-9a-f]{16})?;Sampled=1$`)
	f.Fuzz(func(t *testing.T, id string, at int64) {
		ev := &agent.Event{ID: id, Time: time.Unix(at, 0)}
		if got := TraceHeader(ev); !shape.MatchString(got) {
			t.Errorf("%q at %d: %s", id, at, got)
		}
	})
}

func TestSegment(t *testing.T) {
	ev := event(rootEvent + oneRun + "/0")
	ev.Subject = "plant/7"
	end := noon.Add(1500 * time.Microsecond)
	delivery := DeliverySpan(ev, "central", noon, end, 0, "answered 500")
	got := string(delivery.Segment())
	want := `{"name":"central","id":"` + spanID(ev.ID, "central") + `","trace_id":"` + dashed(traceID(ev)) +
		`","parent_id":"` + spanID(rootEvent, "plant/alarm") + `","start_time":1795262400,"end_time":1795262400.0015,"fault":true,` +
		`"cause":{"exceptions":[{"id":"` + spanID(ev.ID, "central\nfault") + `","message":"answered 500"}]},` +
		`"annotations":{"event":"` + ev.ID + `","subject":"plant/7"}}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if again := DeliverySpan(ev, "central", noon, end, 0, "answered 500"); string(again.Segment()) != got {
		t.Errorf("made again: %s", again.Segment())
	}
	run := RunSpan(event(rootEvent), "plant/alarm", noon, end, "")
	plain := string(run.Segment())
	if strings.Contains(plain, "fault") || !strings.Contains(plain, `"parent_id":"`+spanID(rootEvent, "")) || !strings.Contains(plain, spanID(rootEvent, "plant/alarm")) {
		t.Error(plain)
	}
}

// Whatever it is made of, a segment is one that X-Ray can take.
func FuzzSegment(f *testing.F) {
	f.Add("a", "b", "c", "d")
	f.Add(strings.Repeat("ö", 2000), strings.Repeat("/", 70000), "\xff<>&", strings.Repeat("€", 400))
	name := regexp.MustCompile(`^[A-Za-z0-9 _.:/%&#=+\\@-]{1,200}$`)
	f.Fuzz(func(t *testing.T, id, subject, function, fault string) {
		run := RunSpan(&agent.Event{ID: id, Subject: subject, Time: noon}, function, noon, noon, fault)
		text := run.Segment()
		var s struct {
			Name  string
			Fault bool
		}
		if err := json.Unmarshal(text, &s); err != nil || len(text) > maxDocument || !utf8.Valid(text) {
			t.Fatalf("%d bytes, %v: %s", len(text), err, text)
		}
		if !name.MatchString(s.Name) || s.Fault != (fault != "") {
			t.Errorf("%s", text)
		}
		if _, err := newDocument(0, text); err != nil {
			t.Error(err)
		}
	})
}

func TestExecutionName(t *testing.T) {
	for id, want := range map[string]string{
		"plain-ID_7":            "plain-ID_7",
		strings.Repeat("a", 80): strings.Repeat("a", 80),
		"gw7/42/0":              "gw7-42-0-" + digest("gw7/42/0")[:32],
		"":                      "-" + digest("")[:32],
	} {
		if got := executionName(id); got != want {
			t.Errorf("%q: %s, want %s", id, got, want)
		}
	}
	if executionName("a/b") == executionName("a-b") {
		t.Error("names do not tell ids apart")
	}
}

func FuzzExecutionName(f *testing.F) {
	f.Add("gw7/42/0")
	f.Add(strings.Repeat("ö", 100))
	f.Fuzz(func(t *testing.T, id string) {
		if got := executionName(id); !validExecution.MatchString(got) {
			t.Errorf("%q: %s", id, got)
		}
	})
}

// What a far side says of an error is looked at whatever it is.
func FuzzAWSCode(f *testing.F) {
	f.Add("", []byte(`{"__type":"com.amazon#Throttling"}`))
	f.Add("Name:http://x", []byte(`<ErrorResponse><Error><Code>X</Code></Error></ErrorResponse>`))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		a := &answer{status: 400, header: map[string][]string{"X-Amzn-Errortype": {header}}, body: body}
		if class := a.awsClass(); class != Hold && class != Retry && class != Permanent {
			t.Errorf("%v", class)
		}
		a.unprocessed()
	})
}
