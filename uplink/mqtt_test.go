package uplink_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// scriptedBroker answers as a test says, and keeps what was published.
type scriptedBroker struct {
	away   error // of Connected
	answer func(recs []agent.Record) []error
	sent   [][]agent.Record

	hurried int
}

func (b *scriptedBroker) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (b *scriptedBroker) Hurry() { b.hurried++ }

func (b *scriptedBroker) Connected(context.Context) error { return b.away }

func (b *scriptedBroker) Send(_ context.Context, recs []agent.Record) []error {
	b.sent = append(b.sent, recs)
	if b.answer == nil {
		return make([]error, len(recs))
	}
	return b.answer(recs)
}

// openMQTT opens a target that publishes by b.
func openMQTT(t testing.TB, b *scriptedBroker, change func(*uplink.TargetConfig)) uplink.Batcher {
	t.Helper()
	cfg := uplink.TargetConfig{
		Name: "cloud", Kind: "mqtt", URL: "mqtts://broker.example", Topic: "skerry/{device}/{function}", Device: "gw7",
		MQTT: func(uplink.TargetConfig) (uplink.MQTTClient, error) { return b, nil },
	}
	if change != nil {
		change(&cfg)
	}
	target, err := uplink.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return target.(uplink.Batcher)
}

// A person who has a target tried again does not wait for its connection either.
func TestRetryHurriesTheConnection(t *testing.T) {
	b := &scriptedBroker{}
	target := openMQTT(t, b, nil).(uplink.Target)
	uplink.NewOutbox(nil, nil, target, uplink.Options{Name: "cloud"}).Retry()
	if b.hurried != 1 {
		t.Errorf("hurried %d times", b.hurried)
	}
}

func mqttRecord(i, size int) agent.Record {
	rec := sample()
	rec.Event.ID, rec.Function = fmt.Sprintf("gw7/%d/0", i), "plant/alarm"
	if size > 0 {
		rec.Event.Data = []byte(`"` + strings.Repeat("x", size) + `"`)
	}
	return rec
}

// What is published stands in testdata/mqtt-*.json, with the topic.
func TestMQTTGolden(t *testing.T) {
	text, binary, bare := mqttRecord(1, 0), mqttRecord(2, 0), mqttRecord(3, 0)
	text.Event.ContentType, text.Event.Data, text.Event.Unsure = "text/plain; charset=utf-8", []byte(`21 <°C> "a"`), true
	binary.Event.ContentType, binary.Event.Data = "", []byte{0xff, 0, 1}
	bare.Event.ContentType, bare.Event.Data, bare.Event.Subject = "", nil, ""
	for name, rec := range map[string]agent.Record{"json": mqttRecord(0, 0), "text": text, "binary": binary, "bare": bare} {
		b := &scriptedBroker{}
		target := openMQTT(t, b, func(c *uplink.TargetConfig) {
			c.Topic, c.Retain = "$aws/rules/{device}/{function}/{type}/{key}/{id}", true
		})
		if err := target.Send(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		m := &b.sent[0][0]
		if m.Event.QoS != 1 || !m.Retain || !json.Valid(m.Event.Data) {
			t.Errorf("%s: QoS %d, retain %v, %s", name, m.Event.QoS, m.Retain, m.Event.Data)
		}
		got := m.Event.Subject + "\n" + string(m.Event.Data) + "\n"
		sameAsFile(t, "mqtt-"+name+".txt", got)
	}
}

func TestMQTTOptions(t *testing.T) {
	for _, tt := range []struct {
		change func(*uplink.TargetConfig)
		want   string // in the error
	}{
		{func(c *uplink.TargetConfig) { c.URL = "" }, "url is missing"},
		{func(c *uplink.TargetConfig) { c.Topic = "" }, "topic is missing"},
		{func(c *uplink.TargetConfig) { c.Topic = "a/+/{device}" }, "wildcard"},
		{func(c *uplink.TargetConfig) { c.Topic = "{device}/#" }, "wildcard"},
		{func(c *uplink.TargetConfig) { c.Topic = "a/{devices}" }, "holds {devices, which is none of {subject}, "},
		{func(c *uplink.TargetConfig) { c.Topic = "a/{device" }, "holds {device"},
		{func(c *uplink.TargetConfig) { c.Topic = "a/${subject}" }, "holds ${"},
		{func(c *uplink.TargetConfig) { c.Topic = "a\x00" }, "control character"},
		{func(c *uplink.TargetConfig) { c.Batch = 2000 }, "batch is 1 to 1024"},
		{func(c *uplink.TargetConfig) { c.Timeout = -1 }, "timeout"},
		{func(c *uplink.TargetConfig) { c.Method = "PUT" }, "method is no option of kind mqtt"},
	} {
		cfg := uplink.TargetConfig{
			Name: "cloud", Kind: "mqtt", URL: "tcp://h", Topic: "a",
			MQTT: func(uplink.TargetConfig) (uplink.MQTTClient, error) { return &scriptedBroker{}, nil },
		}
		tt.change(&cfg)
		if _, err := uplink.Open(cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want %q, got %v", tt.want, err)
		}
	}
}

// One record that nobody can publish does not stop the others.
func TestMQTTRefusesWhatCannotBePublished(t *testing.T) {
	b := &scriptedBroker{}
	target := openMQTT(t, b, func(c *uplink.TargetConfig) { c.Topic, c.MaxPayload = "out/{key}", 1000 })
	recs := []agent.Record{mqttRecord(0, 0), mqttRecord(1, 0), mqttRecord(2, 2000), mqttRecord(3, 0), mqttRecord(4, 0), mqttRecord(5, 0)}
	recs[0].Key = "a/#"
	recs[1].Event.Type = ""
	recs[3].Key = strings.Repeat("long/", 200)
	recs[4].Key = ""
	errs := target.SendBatch(t.Context(), recs)
	for i, want := range []string{"wildcards", "lacks an id, a source or a type", "max_payload", "longer than", "no key"} {
		if uplink.ClassOf(errs[i]) != uplink.Permanent || !strings.Contains(errs[i].Error(), want) {
			t.Errorf("record %d: %v, want a PERMANENT with %q", i, errs[i], want)
		}
	}
	if errs[5] != nil || len(b.sent) != 1 || len(b.sent[0]) != 1 {
		t.Errorf("the good one: %v, sent %v", errs[5], b.sent)
	}
}

// While there is no connection, no record is to blame.
func TestMQTTAway(t *testing.T) {
	refused := &uplink.Error{Class: uplink.Hold, Reason: "broker refuses user", Away: true}
	b := &scriptedBroker{away: refused}
	target := openMQTT(t, b, nil)
	recs := []agent.Record{mqttRecord(0, 0), mqttRecord(1, 100_000), mqttRecord(2, 0)}
	for _, err := range target.SendBatch(t.Context(), recs) {
		if e := asError(err); e != refused {
			t.Errorf("got %v, want %v", err, refused)
		}
	}
	b.away, b.answer = nil, func(recs []agent.Record) []error {
		return []error{nil, fmt.Errorf("lost: %w", io.EOF), fmt.Errorf("lost: %w", io.EOF)}[:len(recs)]
	}
	errs := target.SendBatch(t.Context(), []agent.Record{mqttRecord(0, 0), mqttRecord(1, 0), mqttRecord(2, 0)})
	if errs[0] != nil {
		t.Errorf("what the broker acknowledged: %v", errs[0])
	}
	for _, err := range errs[1:] {
		if e := asError(err); e == nil || e.Class != uplink.Retry || !e.Away {
			t.Errorf("after a lost connection: %#v", err)
		}
	}
}

// When a far side that could not be reached is there again, no record has a
// pause of its own: all go as soon as the first one went.
func TestAwayBlamesNoRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(records(3, "a", "b", "c")...)
		far, away := &target{}, true
		var first, last time.Time
		far.say = func(agent.Record) error {
			if away {
				return &uplink.Error{Class: uplink.Retry, Reason: "not connected", Away: true}
			}
			if last = time.Now(); first.IsZero() {
				first = last
			}
			return nil
		}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Log: quiet})
		defer run(t, o)()
		pass(time.Hour)
		if st := o.Status(); st.Breaker == nil || st.LastError != "not connected" {
			t.Errorf("while it is away: %+v", st)
		}
		far.change(func() { away = false })
		pass(time.Hour)
		if took := last.Sub(first); s.left() != 0 || took > time.Second {
			t.Errorf("%d left, the last one went %s after the first", s.left(), took)
		}
	})
}

// What comes behind a failure is left for the next time, or it would overtake.
func TestMQTTKeepsOrderBehindAFailure(t *testing.T) {
	b := &scriptedBroker{answer: func(recs []agent.Record) []error { return fails(recs, io.EOF) }}
	target := openMQTT(t, b, nil)
	recs := []agent.Record{mqttRecord(0, 0), mqttRecord(1, 100_000), mqttRecord(2, 0)}
	for i, err := range target.SendBatch(t.Context(), recs) {
		if uplink.ClassOf(err) != uplink.Retry {
			t.Errorf("record %d: %v, want a RETRY", i, err)
		}
	}
	if len(b.sent) != 1 {
		t.Errorf("%d sends, want the first only", len(b.sent))
	}
}

// A broker says that a message is too large by ending the connection, as any
// lost link does. Only the same large message, alone, again and again, tells.
func TestMQTTTooLargeForTheBroker(t *testing.T) {
	const limit = 100_000
	b := &scriptedBroker{}
	b.answer = func(recs []agent.Record) []error {
		for i := range recs {
			if len(recs[i].Event.Data) > limit {
				return fails(recs, io.EOF)
			}
		}
		return make([]error, len(recs))
	}
	target := openMQTT(t, b, nil)
	large, other, slow := mqttRecord(1, 2*limit), mqttRecord(2, 70_000), mqttRecord(3, 2*limit)
	for try := 1; ; try++ {
		errs := target.SendBatch(t.Context(), []agent.Record{other, large, mqttRecord(4, 0)})
		if errs[0] != nil {
			t.Fatalf("what is large, and not too large: %v", errs[0])
		}
		if uplink.ClassOf(errs[1]) == uplink.Permanent {
			if try != 5 || !strings.Contains(errs[1].Error(), "too large") || errs[2] != nil {
				t.Errorf("given up at try %d with %v, the one behind it: %v", try, errs[1], errs[2])
			}
			break
		}
		if try > 5 || uplink.ClassOf(errs[1]) != uplink.Retry {
			t.Fatalf("try %d: %v", try, errs[1])
		}
	}
	b.answer = func(recs []agent.Record) []error { return fails(recs, context.DeadlineExceeded) }
	for range 10 { // a slow link is no verdict
		if err := target.Send(t.Context(), slow); uplink.ClassOf(err) != uplink.Retry {
			t.Fatalf("no answer in time: %v", err)
		}
	}
}

func fails(recs []agent.Record, why error) []error {
	errs := make([]error, len(recs))
	for i := range errs {
		errs[i] = fmt.Errorf("not connected to the broker: %w", why)
	}
	return errs
}

func FuzzMQTTEvent(f *testing.F) {
	f.Add("application/json", []byte(`{"t":21}`), "plant/7")
	f.Add("text/plain", []byte("21 °C"), "")
	f.Add("", []byte("\"\xff\""), "a")
	f.Add("image/png; q", []byte{0xff, 0}, "\xff")
	b := &scriptedBroker{}
	target := openMQTT(f, b, func(c *uplink.TargetConfig) { c.Topic = "a" })
	f.Fuzz(func(t *testing.T, contentType string, data []byte, subject string) {
		rec := sample()
		rec.Event.ContentType, rec.Event.Data, rec.Event.Subject = contentType, data, subject
		b.sent = nil
		if err := target.Send(context.Background(), rec); err != nil {
			t.Fatal(err)
		}
		var e struct {
			ID     string          `json:"id"`
			Data   json.RawMessage `json:"data"`
			Base64 []byte          `json:"data_base64"`
		}
		if err := json.Unmarshal(b.sent[0][0].Event.Data, &e); err != nil || e.ID != rec.Event.ID {
			t.Fatalf("%s: %v", b.sent[0][0].Event.Data, err)
		}
		var text string
		if len(data) > 0 && string(e.Base64) != string(data) && !sameJSON(e.Data, data) &&
			(json.Unmarshal(e.Data, &text) != nil || text != string(data)) {
			t.Errorf("data %q became %s", data, b.sent[0][0].Event.Data)
		}
	})
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}
