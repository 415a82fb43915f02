package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestEventsOfABroker listens to a broker without an agent.
func TestEventsOfABroker(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	c := client(t, broker.URL)
	if err := token(c.Publish("a/kept", 1, true, `{"t":1}`)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "r.jsonl")
	o := eventsOptions{broker: broker.URL, topic: "a/+", count: 3}
	ended := make(chan error, 1)
	go func() { ended <- o.record(context.Background(), file, io.Discard) }()
	testbed.Eventually(t, 10*time.Second, "the recorder listens", func() error { _, err := os.Stat(file); return err })
	if err := errors.Join(token(c.Publish("b/x", 1, false, "no")), token(c.Publish("a/x", 1, false, "21.5")),
		token(c.Publish("a/y", 1, false, []byte{0, 255}))); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, want := range []string{
		`"broker":"main"`, `"subject":"a/kept"`, `"subject":"a/x"`, `"data_base64":"AP8="`,
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Fatalf("line %d has no %s in\n%s", i+1, want, text)
		}
	}
	if !strings.Contains(lines[1], `"retained":true,"data":{"t":1}`) || !strings.Contains(lines[2], `"qos":1,"data":"21.5"`) {
		t.Errorf("the recording is\n%s", text)
	}
	var out bytes.Buffer
	live := eventsOptions{broker: broker.URL, topic: "a/+", count: 1}
	if err := live.show(context.Background(), &out, io.Discard); err != nil || !strings.HasSuffix(out.String(), ` a/kept (retained)  {"t":1}`+"\n") {
		t.Errorf("shown is %q, %v", out.String(), err)
	}
	var said bytes.Buffer
	none := eventsOptions{broker: broker.URL, topic: "nobody/+", length: time.Millisecond}
	if err := none.show(context.Background(), io.Discard, &said); err != nil || said.String() != "no event came within 1ms; skerry status shows which sources are up\n" {
		t.Errorf("where nothing comes it says %q, %v", said.String(), err)
	}
	again := playOptions{file: file, to: broker.URL, speed: "max", retain: true}
	seen := make(chan paho.Message, 10)
	if err := token(c.Subscribe("a/#", 1, func(_ paho.Client, m paho.Message) { seen <- m })); err != nil {
		t.Fatal(err)
	}
	<-seen // the retained one
	if err := errors.Join(again.check(), again.playTo(context.Background(), io.Discard)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`a/kept {"t":1}`, "a/x 21.5", "a/y \x00\xff"} {
		if m := <-seen; m.Topic()+" "+string(m.Payload()) != want {
			t.Errorf("played %s %q, want %q", m.Topic(), m.Payload(), want)
		}
	}
}

const quietHeader = `{"skerry":"events","version":1,"start":"2026-05-01T08:00:00Z"}` + "\n"

// TestEffectsThatAreNotThoseExpected says what is different, and how to go on.
func TestEffectsThatAreNotThoseExpected(t *testing.T) {
	dir := t.TempDir()
	file, expect := filepath.Join(dir, "e.jsonl"), filepath.Join(dir, "x.jsonl")
	text := quietHeader
	for i, degrees := range []float64{81, 60, 99} {
		text += fmt.Sprintf(`{"at":%d,"subject":"sensors/l/s1/temperature","data":{"id":"s1","temperature":%g}}`+"\n", i, degrees)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	play := func(change func(*playOptions)) (string, error) {
		o := playOptions{file: file, apps: []string{filepath.Join("..", "..", "examples", "overheat", "app.yaml")}}
		change(&o)
		var said bytes.Buffer
		err := o.check()
		if err == nil {
			err = o.playHere(context.Background(), io.Discard, &said)
		}
		return said.String(), err
	}
	if _, err := play(func(o *playOptions) { o.expect = expect }); err == nil || !strings.Contains(err.Error(), "--effects") {
		t.Errorf("without what is expected: %v", err)
	}
	if said, err := play(func(o *playOptions) { o.effects = expect }); err != nil || !strings.Contains(said, "7 effects") {
		t.Fatalf("%s, %v", said, err)
	}
	if said, err := play(func(o *playOptions) { o.expect = expect }); err != nil || !strings.Contains(said, "are those of") {
		t.Errorf("%s, %v", said, err)
	}
	effects, err := os.ReadFile(expect)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(effects, []byte(`"temperature":99`), []byte(`"temperature":98`), 1)
	if err := os.WriteFile(expect, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := play(func(o *playOptions) { o.expect = expect })
	if err == nil || !strings.Contains(err.Error(), "are not those of") || strings.Count(said, "\n-") != 1 || strings.Count(said, "\n+") != 1 {
		t.Errorf("%v:\n%s", err, said)
	}
}

func TestDifferencesOfLines(t *testing.T) {
	for _, tt := range []struct{ want, got, diff string }{
		{"a b c", "a b c", ""},
		{"a b c", "a c", "-2: b"},
		{"a c", "a b c", "+2: b"},
		{"a b c", "a x c", "-2: b +2: x"},
		{"a", "", "-1: a"},
		{"a b", "b a b", "+1: b"},
		{"a b c d", "c d", "-1: a -2: b"},
	} {
		if got := strings.Join(diffLines(strings.Fields(tt.want), strings.Fields(tt.got)), " "); got != tt.diff {
			t.Errorf("%q and %q: %q, want %q", tt.want, tt.got, got, tt.diff)
		}
	}
}

func TestSpeeds(t *testing.T) {
	for text, want := range map[string]float64{"": 1, "10x": 10, "0.5x": 0.5, "3": 3, "max": 0} {
		if got, err := parseSpeed(text, false); err != nil || got != want {
			t.Errorf("%q is %g, %v; want %g", text, got, err, want)
		}
	}
	for _, text := range []string{"0", "-1x", "fast", "NaN", "1e9x"} {
		if _, err := parseSpeed(text, false); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestEventsForPeople(t *testing.T) {
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.Local)
	for _, tt := range []struct {
		ev   agent.Event
		want string
	}{
		{agent.Event{Via: "plant", Subject: "a/b", Data: []byte("{\"t\":\n1}\x1b[2J")}, "08:00:01.500  plant    a/b  {\"t\":·1}·[2J"},
		{agent.Event{Via: "plant", Subject: "a", Retained: true, Data: []byte{0xff, 1}}, "08:00:01.500  plant    a (retained)  ff01 (2 B)"},
	} {
		p := eventPrinter{start: at}
		if got := p.text(&recording.Entry{At: 1500 * time.Millisecond, Event: &tt.ev}); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	if got := cutTo(4, "abcdef"); got != "abc…" {
		t.Errorf("cut to %q", got)
	}
}

func TestWhatIsMissingIsTold(t *testing.T) {
	var got taken
	got.add(&recording.Entry{Event: &agent.Event{}})
	if err := got.err(); got.events != 1 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	got.add(&recording.Entry{Gap: 3})
	var exit exitError
	if err := got.err(); got.events != 1 || !errors.As(err, &exit) || exit.code != exitMissing || !strings.Contains(err.Error(), "3 events") {
		t.Errorf("%+v, %v", got, err)
	}
}
