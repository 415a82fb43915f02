package cases_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/cases"
)

const head = "apiVersion: skerry/v1\nkind: Test\n"

// parse reads a file with one test, whose keys stand in text.
func parse(t *testing.T, text string) *cases.Test {
	t.Helper()
	return parseFile(t, head+"tests:\n  - name: it\n"+text).Tests[0]
}

func parseFile(t *testing.T, text string) *cases.File {
	t.Helper()
	f, err := cases.Parse("dir/it_test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWhatIsWrongIsSaidWithItsPlace(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "it is empty"},
		{"a: [", "not readable as YAML"},
		{"kind: Test\n---\na: 1", "a second document follows"},
		{"- a", "it_test.yaml:1: expected keys with values, not a list"},
		{"kind: App\ntests: [{name: x}]", `it says apiVersion "" and kind "App"`},
		{"apiVersion: skerry/v1\nkind: App\nfunctions: {}\n", `it_test.yaml:1: it says apiVersion "skerry/v1" and kind "App"`},
		{head, "it has no tests"},
		{head + "tests: [{name: x}, {name: x}]", "the test on line 3 has the same name"},
		{head + "tests: [{events: []}]", "tests[0].name: every test has a name"},
		{head + "tests:\n  - name: x\n    name: y", "it_test.yaml:5: tests[0].name: it is given twice, first on line 4"},
		{head + "tests:\n  - name: &a x\n", "tests[0].name: anchors and aliases are not read"},
		{head + "tests: [{name: x, <<: {until: 1s}}]", "a key must be a text"},
		{head + "tests: [{name: x, until: soon}]", `tests[0].until: expected a length of time such as 500ms, 10s or 1h30m, not "soon"`},
		{head + "tests: [{name: x, start: monday}]", "tests[0].start: expected a time from 2026 on"},
		{head + "tests: [{name: x, events: [{topic: a, data: 1, text: b}]}]", "tests[0].events[0]: data, text and data_base64"},
		{head + "tests: [{name: x, events: [{topic: a, http: b}]}]", "an event has one of topic"},
		{head + "tests: [{name: x, events: [{data: 1}]}]", "an event has one of topic"},
		{head + "tests: [{name: x, events: [{topic: a/#}]}]", "tests[0].events[0].topic: "},
		{head + "tests: [{name: x, events: [{http: /in/orders/7}]}]", `tests[0].events[0].http: "/in/orders/7": a path stands here as in the manifest: orders/7 for POST /in/orders/7?wait=10s`},
		{head + "tests: [{name: x, events: [{http: 'orders/7?wait=10s'}]}]", "a path stands here as in the manifest"},
		{head + "tests: [{name: x, events: [{http: orders/+}]}]", "tests[0].events[0].http: "},
		{head + "tests: [{name: x, events: [{inside: a, broker: b}]}]", "broker and via say"},
		{head + "tests: [{name: x, events: [{topic: a, qos: 3}]}]", "expected a whole number from 0 to 2"},
		{head + "tests: [{name: x, events: [{at: 5s, topic: a}, {at: 4s, topic: a}]}]", "4s is before the event that stands above, at 5s"},
		{head + "tests: [{name: x, events: [{topic: a, data: 2026-01-01}]}]", "is no value of JSON"},
		{head + "tests: [{name: x, events: [{topic: a, data_base64: '*'}]}]", "expected bytes in base64"},
		{head + "tests: [{name: x, expect: [{event: 1, publish: {topic: a}}]}]", "tests[0].expect[0].event: there is no event 1"},
		{head + "tests: [{name: x, expect: [{}]}]", "it expects nothing"},
		{head + "tests: [{name: x, expect: [{publish: {}, log: {}}]}]", "already: write an entry for each"},
		{head + "tests: [{name: x, expect: [{publish: {data: 1, text: a}}]}]", "already: keep one"},
		{head + "tests: [{name: x, expect: [{log: {data: 1}}]}]", "unknown key; known here: contains, level, text"},
		{head + "tests: [{name: x, state: {f: {k: null}}}]", "tests[0].state.f.k: it is empty"},
		{head + "tests: [{name: x, after: {f: {k: [1]}}}]", "a value of the state is a text in quotes"},
		{head + "tests: [{name: x, after: {f: 1}}]", `expected keys with values, not "1"`},
		{head + "tests: [{name: x, labels: {site: west}}]", "tests[0].labels: unknown key"},
	} {
		_, err := cases.Parse("it_test.yaml", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n says %v, want %q", tt.text, err, tt.want)
		}
	}
	if _, err := cases.Parse("x", bytes.Repeat([]byte(" "), 2<<20)); err == nil {
		t.Error("a file of 2 MiB is taken")
	}
}

func TestIsTest(t *testing.T) {
	for text, want := range map[string]bool{
		head: true, "kind: Test\na: [": true, "kind: Suite\n": false, "apiVersion: skerry/v1\nkind: Tset\n": true, "apiVersion: skerry/v1\nkind: [Test\n": true,
		"apiVersion: skerry/v1\nkind: App\n": false, "apiVersion: skerry/v1\n": true, "kind: Test\nx: 1": true, "apiVersion: other/v1\n": false, "": false, "{": false, "- kind: Test": false,
	} {
		if got := cases.IsTest([]byte(text)); got != want {
			t.Errorf("%q is a test: %v", text, got)
		}
	}
}

func alarm(event int, topic, data string) cases.Effect {
	return cases.Effect{
		Event: event, At: time.Duration(event-1) * time.Second, Function: "f", Kind: cases.Publish,
		Fields: []cases.Field{{Name: "topic", Value: topic}, {Name: "qos", Value: "1"}}, Data: []byte(data),
	}
}

func logged(event int, level, text string) cases.Effect {
	return cases.Effect{
		Event: event, At: time.Duration(event-1) * time.Second, Kind: cases.Log,
		Fields: []cases.Field{{Name: "level", Value: level}}, Data: []byte(text),
	}
}

// said are differences in short: what, reason and rows.
func said(diffs []cases.Difference) string {
	var lines []string
	for _, d := range diffs {
		line := d.What + " " + d.Reason
		for _, r := range d.Rows {
			line += "; " + r.Name + " " + r.Wanted + "|" + r.Got
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

const twoEvents = "    events: [{topic: x}, {topic: y}]\n"

func TestDifferences(t *testing.T) {
	for name, tt := range map[string]struct {
		expect string
		came   []cases.Effect
		want   string
	}{
		"as expected": {
			"{event: 1, publish: {topic: a, data: {t: 80.0, u: [1, null]}}}",
			[]cases.Effect{alarm(1, "a", ` {"u":[1,null],"t":8e1}`)},
			"",
		},
		"nothing expected": {"", []cases.Effect{alarm(2, "a", "x")}, "publish a is not expected; text |x"},
		"a part": {
			"{publish: {contains: {a: {b: 1}}}}", []cases.Effect{alarm(1, "a", `{"a":{"b":1,"c":2},"d":3}`)}, "",
		},
		"a part is no part of a text": {
			"{publish: {contains: {id: s1}}}", []cases.Effect{alarm(1, "a", `{"id":"s10"}`)}, `publish a differs; contains.id "s1"|"s10"`,
		},
		"a part of a text": {"{publish: {contains: b}}", []cases.Effect{alarm(1, "a", "abc")}, ""},
		"whole": {
			"{publish: {data: {a: 1, c: [1]}}}",
			[]cases.Effect{alarm(1, "a", `{"a":"1","b":2,"c":[]}`)},
			`publish a differs; data.a 1|"1"; data.c 1 items: [1]|0 items: []; data.b none|2`,
		},
		"a text that is no JSON": {
			"{publish: {data: on}}",
			[]cases.Effect{alarm(1, "a", "on")},
			`publish a differs; data "on"|a text that is no JSON: write text instead of data`,
		},
		"large numbers": {
			"{publish: {data: 9007199254740993}}",
			[]cases.Effect{alarm(1, "a", "9007199254740992")},
			"publish a differs; data 9007199254740993|9007199254740992",
		},
		"bytes": {"{publish: {data_base64: AAE=}}", []cases.Effect{alarm(1, "a", "\x00\x02")}, "publish a differs; data_base64 AAE=|AAI="},
		"the nearest": {
			"{event: 1, publish: {topic: b, data: 1}}, {event: 2, publish: {topic: b, data: 2}}",
			[]cases.Effect{alarm(1, "a", "0"), alarm(1, "b", "1"), alarm(2, "b", "3")},
			"publish a is not expected; data |0\npublish b differs; data 2|3",
		},
		"a slip in the topic": {
			"{publish: {topic: alrams, data: 1}}", []cases.Effect{alarm(1, "alarms", "1")}, "publish alarms differs; topic alrams|alarms",
		},
		"two of another kind": {
			"{event: 1, followup: {target: a}}",
			[]cases.Effect{alarm(1, "a", "1")},
			"publish a is not expected; data |1\nfollowup a did not come",
		},
		"an order": {
			"{publish: {topic: a}}, {publish: {topic: b}}",
			[]cases.Effect{alarm(1, "b", "1"), alarm(1, "a", "1")},
			"publish a came, but at another place in the order",
		},
		"kinds in any order": {
			"{log: {text: x}}, {publish: {topic: a}}", []cases.Effect{alarm(1, "a", "1"), logged(1, "info", "x")}, "",
		},
		"logs that nobody asks for": {"{publish: {topic: a}}", []cases.Effect{logged(1, "info", "x"), alarm(1, "a", "1")}, ""},
		"logs, all or none": {
			"{log: {level: warn}}", []cases.Effect{logged(1, "info", "x"), logged(1, "warn", "y")}, "log info is not expected; text |x",
		},
		"a time":     {"{at: 2s, publish: {}}", []cases.Effect{alarm(2, "a", "1")}, "publish a differs; at 2s|1s"},
		"came later": {"", []cases.Effect{{Event: 1, At: time.Minute, Kind: cases.Emit, Data: []byte("1")}}, "emit is not expected, came at 1m; data |1"},
	} {
		test := parse(t, twoEvents+"    expect: ["+tt.expect+"]\n")
		if got := said(test.Compare(&cases.Outcome{Effects: tt.came})); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, tt.want)
		}
	}
}

func stateOf(values map[string]string) func(string, string) ([]byte, error) {
	return func(_, key string) ([]byte, error) {
		if value, ok := values[key]; ok {
			return []byte(value), nil
		}
		return nil, nil
	}
}

func TestStateAfterwards(t *testing.T) {
	test := parse(t, `    after: {f: {a: "1", b: 2, c: null, d: {json: {x: 1}}, e: {base64: AAE=}}}`)
	o := &cases.Outcome{State: stateOf(map[string]string{"a": "1", "b": "2", "d": `{"x": 1}`, "e": "\x00\x01", "f": "not asked for"})}
	if got := said(test.Compare(o)); got != "" {
		t.Error(got)
	}
	o.State = stateOf(map[string]string{"a": "2", "c": "x", "d": `{"x": 2}`})
	want := `state a of f afterwards differs; text 1|2
state b of f afterwards is not there; value 2|none
state c of f afterwards is there; value none|x
state d of f afterwards differs; data.x 1|2
state e of f afterwards is not there; value AAE=|none`
	if got := said(test.Compare(o)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestWhatDoesNotRunFails(t *testing.T) {
	test := parse(t, twoEvents)
	o := &cases.Outcome{Notes: []cases.Note{{Event: 1, Text: "f failed", Fails: true}, {Event: 2, Text: "denied"}}}
	if got := said(test.Compare(o)); got != "function f failed" {
		t.Error(got)
	}
	o.Err = errors.New("the app does not start")
	if got := said(test.Compare(o)); !strings.HasPrefix(got, "the test was not run to its end: the app does not start") {
		t.Error(got)
	}
}

const long = head + `# Above.
tests:
  - name: first # it is
    events:
      - {topic: x}
    expect: # in order
      # The good one.
      - {event: 1, publish: {topic: a, data: 1}} # as it is
      # The bad one.
      - event: 1
        publish:
          topic: b
          data: {t: 2}
      # The one that does not come.
      - {publish: {topic: gone}}
      - {publish: {topic: d, contains: {t: 1}}}
    after:
      f: {a: "1"} # of f
      g:
        # Its own.
        b: {json: {n: 1}}

  # The second.
  - expect: []
    name: second
app: other.yaml # at the end
`

func TestUpdated(t *testing.T) {
	f := parseFile(t, long)
	outcomes := map[*cases.Test]*cases.Outcome{
		f.Tests[0]: {
			Effects: []cases.Effect{alarm(1, "a", "1"), alarm(1, "b", `{"z":"on, off","t":3}`), alarm(1, "c", "two\nlines"), alarm(1, "d", `{"t":2,"u":"2026-01-01"}`)},
			State:   stateOf(map[string]string{"b": `{"n":"2"}`}),
		},
		f.Tests[1]: {Effects: []cases.Effect{{Event: 0, At: time.Second, Kind: cases.Followup, Fields: []cases.Field{{Name: "target", Value: "t"}}, Data: []byte{0xff}}}},
	}
	got, err := f.Updated(outcomes)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(`      - event: 1
        publish:
          topic: b
          data: {t: 2}
      # The one that does not come.
      - {publish: {topic: gone}}
      - {publish: {topic: d, contains: {t: 1}}}
`, `      - {event: 1, publish: {topic: b, data: {z: 'on, off', t: 3}}}
      # The one that does not come.
      - {publish: {topic: c}}
      - {publish: {topic: d, contains: {t: 2}}}
`, `a: "1"`, `a: null`, `{n: 1}`, `{n: "2"}`, "  - expect: []\n", `  - expect:
      - {at: 1s, followup: {target: t, data_base64: /w==}}
`).Replace(long)
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for _, inline := range []string{
		head + "tests: [{name: x}]",
		head + "tests:\n  - name: x\n    expect: []\n    events: [{topic: a,\n    data: 1}]",
	} {
		f := parseFile(t, inline)
		_, err := f.Updated(map[*cases.Test]*cases.Outcome{f.Tests[0]: {Effects: []cases.Effect{alarm(1, "a", "1")}}})
		if flow := strings.Contains(inline, "[{name"); flow != (err != nil) {
			t.Errorf("%s: %v", inline, err)
		}
	}
}

// TestUpdatedKeepsTheEndsOfLines of a file that was written on Windows.
func TestUpdatedKeepsTheEndsOfLines(t *testing.T) {
	const text = head + "tests:\n  - name: x\n    events: [{topic: x}]\n    expect: []\n"
	f := parseFile(t, strings.ReplaceAll(text, "\n", "\r\n"))
	got, err := f.Updated(map[*cases.Test]*cases.Outcome{f.Tests[0]: {Effects: []cases.Effect{alarm(1, "a", "1"), alarm(1, "a", "x\r\ny")}}})
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(got), "\n"); lines != strings.Count(text, "\n")+2 || lines != strings.Count(string(got), "\r\n") {
		t.Errorf("%q", got)
	}
}

// TestAMistakeIsToldOnce: what follows of it is not.
func TestAMistakeIsToldOnce(t *testing.T) {
	_, err := cases.Parse("it_test.yaml", []byte(head+"tests:\n  - name: x\n    evnts: [{topic: a}]\n    expect: [{event: 1, publish: {topic: b}}]\n"))
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "tests[0].evnts: unknown key") {
		t.Error(err)
	}
}

// TestUpdatedLeavesAloneWhatFails keeps what is expected of a test that could not run.
func TestUpdatedLeavesAloneWhatFails(t *testing.T) {
	f := parseFile(t, long)
	got, err := f.Updated(map[*cases.Test]*cases.Outcome{f.Tests[0]: {Err: errors.New("no")}})
	if err != nil || string(got) != long {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestReports(t *testing.T) {
	f := parseFile(t, head+"tests:\n  - name: <first>\n"+twoEvents+"    expect: [{event: 1, publish: {topic: a, data: {t: 1}}}]\n  - {name: second}\n")
	r := &cases.Report{File: f.Path}
	r.Add(f.Tests[0], &cases.Outcome{Took: time.Second, Effects: []cases.Effect{alarm(1, "a", `{"t":2}`)}, Notes: []cases.Note{{Event: 2, Text: "no trigger\x1b listens"}}})
	r.Add(f.Tests[1], &cases.Outcome{})
	var out bytes.Buffer
	p := cases.Printer{Out: &out}
	if err := p.Print(r); err != nil {
		t.Fatal(err)
	}
	want := `dir/it_test.yaml
  FAIL  <first> (1s)
      event 1 at 0s: x
        publish a differs (line 6)
                  wanted  got
          data.t  1       2
      event 2 at 1s: y
        note: no trigger· listens
  ok    second (0s)
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	reports := []*cases.Report{r, {File: "bad_test.yaml", Error: "bad_test.yaml:1: it is empty"}}
	if err := cases.JUnit(&out, reports); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if read.Tests != 3 || read.Failures != 1 || read.Errors != 1 || len(read.Suites) != 2 {
		t.Errorf("it reads %+v", read)
	}
	first := read.Suites[0].Cases[0]
	if first.Name != "<first>" || first.Failure == nil || first.Failure.Message != "publish a differs" || !strings.Contains(first.Failure.Text, "data.t  1       2") {
		t.Errorf("the failure is %+v", first.Failure)
	}
}

// TestManyEffects compares more than can be compared each with each.
func TestManyEffects(t *testing.T) {
	test := parse(t, "    expect: ["+strings.Repeat("{publish: {topic: a}}, ", 1500)+"]\n")
	came := slices.Repeat([]cases.Effect{alarm(1, "a", "1")}, 1501)
	if got := len(test.Compare(&cases.Outcome{Effects: came})); got != 1 {
		t.Errorf("%d differences, want 1", got)
	}
}

// FuzzParse lets strangers write tests: what can be read can be compared, shown and
// updated, and then expects what came.
func FuzzParse(f *testing.F) {
	f.Add([]byte(long))
	f.Add([]byte(strings.ReplaceAll(long, "\n", "\r\n")))
	f.Add([]byte(strings.Replace(long, "\n", "\r\n", 9)))
	f.Add([]byte(head + "tests: [{name: x, env: {A: b}, secrets: {k: v}, state: {f: {k: {json: [1]}}}, events: [{at: 1s, schedule: t}, {http: a/b, text: x}]}]"))
	f.Add([]byte(head + "tests:\n- name: x\n  expect:\n  - log: {level: warn,\n      text: >-\n  a\n b}\n  - {dead: {contains: x}}\n  after: {f: {k: x}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		cases.IsTest(text)
		file, err := cases.Parse("a_test.yaml", text)
		if err != nil {
			return
		}
		r, outcomes := &cases.Report{}, map[*cases.Test]*cases.Outcome{}
		for _, test := range file.Tests {
			o := &cases.Outcome{State: stateOf(map[string]string{"a": "x"}), Effects: []cases.Effect{
				alarm(1, "a", `{"a":1,"b":["x",null]}`), logged(1, "warn", "a\nb: {"), alarm(2, "\x00", "\xff"),
			}}
			r.Add(test, o)
			outcomes[test] = o
		}
		var out bytes.Buffer
		p := cases.Printer{Out: &out, Color: true}
		if err := errors.Join(p.Print(r), cases.JUnit(&out, []*cases.Report{r})); err != nil {
			t.Fatal(err)
		}
		updated, err := file.Updated(outcomes)
		if err != nil {
			return // it says that it cannot
		}
		again, err := cases.Parse("a_test.yaml", updated)
		if err != nil {
			t.Fatalf("%s\nbecame\n%s\nwhich is wrong: %v", text, updated, err)
		}
		for i, test := range again.Tests {
			if diffs := test.Compare(outcomes[file.Tests[i]]); len(diffs) > 0 {
				t.Fatalf("%s\nbecame\n%s\nwhich does not pass: %s", text, updated, said(diffs))
			}
		}
	})
}
