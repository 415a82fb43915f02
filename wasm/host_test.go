package wasm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// Host functions in the order that testdata/probe.wat numbers them.
const (
	eventGet = iota
	resultSet
	errorSet
	logLine
	configGet
	secretGet
	publish
	emit
	followup
	nowMillis
	kvGet
	kvSet
	kvDelete
	kvAdd
	kvCAS
	kvList
)

const (
	textAt = 4096  // where probe's texts start in its memory
	bufAt  = 16384 // the buffer whose bytes come back in the result
	out    = 65536 // the end of its memory

	untouched = 200 // from here on nothing is written to the buffer
)

// text is one of the probe's arguments: its bytes are placed in guest memory
// and it stands for their pointer and length.
type text string

// probe makes one host call in the guest and returns its answer and the
// buffer's bytes.
func probe(t *testing.T, m agent.Module, inv *agent.Invocation, f byte, args ...any) (int64, []byte) {
	t.Helper()
	data := make([]byte, 8, 64)
	data[0] = f
	var texts []byte
	for _, a := range args {
		switch a := a.(type) {
		case int:
			data = binary.LittleEndian.AppendUint64(data, uint64(a))
		case text:
			data = binary.LittleEndian.AppendUint64(data, uint64(textAt+len(texts)))
			data = binary.LittleEndian.AppendUint64(data, uint64(len(a)))
			texts = append(texts, a...)
		}
	}
	data = append(data, make([]byte, 64-len(data))...)
	ev := *inv.Event
	ev.Data = append(data, texts...)
	inv.Event = &ev
	if err := m.Invoke(context.Background(), inv); err != nil {
		t.Fatalf("host call %d: %v", f, err)
	}
	return int64(binary.LittleEndian.Uint64(inv.Effects.Result)), inv.Effects.Result[8:]
}

func probeBench(t *testing.T) (agent.Module, func(view) *agent.Invocation) {
	s := newBench(t, wasm.Options{})
	fn := s.function("probe")
	fn.Env = map[string]string{"LIMIT": "80"}
	fn.Secrets = []string{"token", "unset"}
	fn.Permissions = agent.Permissions{Publish: []string{"alerts/#"}, Invoke: []string{"central/ops", "local/next"}}
	m := s.load(fn)
	secrets := func(name string) (string, bool) { return "s3cret", name == "token" }
	return m, func(v view) *agent.Invocation {
		inv := agent.NewInvocation(&fn, v, agent.Outside{Secrets: secrets})
		inv.Begin(event(""), "test/trigger", 3)
		return inv
	}
}

// hostAnswers are calls that a state of n, old, word and empty can answer.
var hostAnswers = []struct {
	name string
	f    byte
	args []any
	want int64
	buf  string // what the buffer starts with
}{
	{"subject", eventGet, []any{1, bufAt, 64}, 25, "sensors/l1/s1/temperature"},
	{"content type", eventGet, []any{2, bufAt, 64}, 16, "application/json"},
	{"trigger", eventGet, []any{3, bufAt, 64}, 12, "test/trigger"},
	{"id", eventGet, []any{4, bufAt, 64}, 3, "ev1"},
	{"time", eventGet, []any{5, bufAt, 64}, 13, "1700000000123"},
	{"source", eventGet, []any{7, bufAt, 64}, 15, "/gw7/mqtt/plant"},
	{"type", eventGet, []any{8, bufAt, 64}, 14, "io.skerry.mqtt"},
	{"attempt", eventGet, []any{9, bufAt, 64}, 1, "3"},
	{"function", eventGet, []any{10, bufAt, 64}, 10, "test/probe"},
	{"exact fit", eventGet, []any{4, out - 3, 3}, 3, ""},
	{"too small copies nothing", eventGet, []any{4, bufAt + untouched, 2}, 3, ""},
	{"only the length", eventGet, []any{4, 0, 0}, 3, ""},
	{"no such field", eventGet, []any{6, bufAt, 64}, -1, ""},
	{"config", configGet, []any{text("LIMIT"), bufAt, 8}, 2, "80"},
	{"config unset", configGet, []any{text("NONE"), bufAt, 8}, -2, ""},
	{"secret", secretGet, []any{text("token"), bufAt, 8}, 6, "s3cret"},
	{"secret without value", secretGet, []any{text("unset"), bufAt, 8}, -2, ""},
	{"secret not granted", secretGet, []any{text("root"), bufAt, 8}, -3, ""},
	{"publish", publish, []any{text("alerts/1"), text("x"), 5}, 0, ""},
	{"publish not granted", publish, []any{text("other/1"), text("x"), 0}, -3, ""},
	{"publish to a filter", publish, []any{text("alerts/#"), text("x"), 0}, -1, ""},
	{"publish at QoS 3", publish, []any{text("alerts/1"), text("x"), 3}, -1, ""},
	{"publish with unknown flag", publish, []any{text("alerts/1"), text("x"), 8}, -1, ""},
	{"emit", emit, []any{text("next"), text("x")}, 0, ""},
	{"emit not granted", emit, []any{text("self"), text("x")}, -3, ""},
	{"follow-up", followup, []any{text("ops"), text("text/plain"), text("x")}, 0, ""},
	{"follow-up not granted", followup, []any{text("cloud"), text("text/plain"), text("x")}, -3, ""},
	{"log", logLine, []any{2, text("careful")}, 0, ""},
	{"log with unknown level", logLine, []any{4, text("x")}, -1, ""},
	{"get", kvGet, []any{text("n"), bufAt, 8}, 2, "41"},
	{"get empty", kvGet, []any{text("empty"), bufAt, 8}, 0, ""},
	{"get absent", kvGet, []any{text("none"), bufAt, 8}, -2, ""},
	{"set", kvSet, []any{text("k"), text("v"), 0}, 0, ""},
	{"set without key", kvSet, []any{text(""), text("v"), 0}, -1, ""},
	{"set too large", kvSet, []any{text("k"), textAt, 60_000, 0}, 0, ""},
	{"delete", kvDelete, []any{text("n")}, 0, ""},
	{"add", kvAdd, []any{text("n"), 1}, 42, ""},
	{"add negative to nothing", kvAdd, []any{text("new"), -5}, -5, ""},
	{"add to a word", kvAdd, []any{text("word"), 1}, math.MinInt64, ""},
	{"cas", kvCAS, []any{text("old"), text("x"), text("y")}, 1, ""},
	{"cas differs", kvCAS, []any{text("old"), text("z"), text("y")}, 0, ""},
	{"cas absent", kvCAS, []any{text("new"), 0, -1, text("y")}, 1, ""},
	{"cas absent but there", kvCAS, []any{text("old"), 0, -1, text("y")}, 0, ""},
	{"list", kvList, []any{text(""), 0, bufAt, 64}, 21, "\x05\x00empty\x01\x00n\x03\x00old\x04\x00word"},
	{"list limited", kvList, []any{text(""), 1, bufAt, 64}, 7, "\x05\x00empty"},
	{"list nothing", kvList, []any{text("zzz"), 10, bufAt, 64}, 0, ""},
}

func TestHostCallsAnswer(t *testing.T) {
	m, begin := probeBench(t)
	state := view{"n": []byte("41"), "old": []byte("x"), "word": []byte("w"), "empty": {}}
	for _, tt := range hostAnswers {
		t.Run(tt.name, func(t *testing.T) {
			inv := begin(state)
			got, buf := probe(t, m, inv, tt.f, tt.args...)
			if got != tt.want {
				t.Errorf("answered %d, want %d (error text %q)", got, tt.want, inv.Effects.Err)
			}
			if !strings.HasPrefix(string(buf), tt.buf) {
				t.Errorf("buffer starts with %q, want %q", buf[:len(tt.buf)], tt.buf)
			}
			if buf[untouched] != 0 {
				t.Error("a buffer that is too small was written to")
			}
		})
	}
}

func TestHostCallsRefuseBadPointers(t *testing.T) {
	m, begin := probeBench(t)
	for _, tt := range []struct {
		name string
		f    byte
		args []any
	}{
		{"event_get", eventGet, []any{1, out - 3, 64}},
		{"event_get wraps", eventGet, []any{1, -1, -1}},
		{"result_set", resultSet, []any{out - 1, 2}},
		{"result_set wraps", resultSet, []any{-1, 2}},
		{"error_set", errorSet, []any{out, 1}},
		{"log", logLine, []any{1, out, 1}},
		{"config_get key", configGet, []any{out, 1, bufAt, 8}},
		{"config_get buffer", configGet, []any{text("LIMIT"), out - 1, 8}},
		{"secret_get name", secretGet, []any{out, 1, bufAt, 8}},
		{"secret_get buffer", secretGet, []any{text("token"), out - 1, 8}},
		{"publish topic", publish, []any{out, 1, text("x"), 0}},
		{"publish data", publish, []any{text("alerts/1"), out, 1, 0}},
		{"emit function", emit, []any{out, 1, text("x")}},
		{"emit data", emit, []any{text("next"), out, 1}},
		{"followup target", followup, []any{out, 1, text("t"), text("x")}},
		{"followup type", followup, []any{text("ops"), out, 1, text("x")}},
		{"followup data", followup, []any{text("ops"), text("t"), out, 1}},
		{"kv_get key", kvGet, []any{out, 1, bufAt, 8}},
		{"kv_get buffer", kvGet, []any{text("n"), out, 8}},
		{"kv_set key", kvSet, []any{out, 1, text("x"), 0}},
		{"kv_set value", kvSet, []any{text("k"), out, 1, 0}},
		{"kv_delete", kvDelete, []any{out, 1}},
		{"kv_cas key", kvCAS, []any{out, 1, text("x"), text("y")}},
		{"kv_cas old", kvCAS, []any{text("n"), out, 1, text("y")}},
		{"kv_cas value", kvCAS, []any{text("n"), text("x"), out, 1}},
		{"kv_list prefix", kvList, []any{out, 1, 0, bufAt, 64}},
		{"kv_list buffer", kvList, []any{text(""), 0, out, 64}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inv := begin(view{"n": []byte("1")})
			if got, _ := probe(t, m, inv, tt.f, tt.args...); got != -1 {
				t.Errorf("answered %d, want -1", got)
			}
			inv.Effects.Result = nil
			if want := (agent.Effects{}); !sameEffects(inv.Effects, want) {
				t.Errorf("decided %+v, want nothing", inv.Effects)
			}
		})
	}
	inv := begin(view{})
	if got, _ := probe(t, m, inv, kvAdd, out, 1, 1); got != math.MinInt64 {
		t.Errorf("kv_add answered %d, want the least number", got)
	}
}

// sameEffects compares what tests can see of effects.
func sameEffects(a, b agent.Effects) bool {
	return reflect.DeepEqual([]any{a.Result, a.Err, a.Writes, a.Publishes, a.Followups, a.Emits, a.Logs},
		[]any{b.Result, b.Err, b.Writes, b.Publishes, b.Followups, b.Emits, b.Logs})
}

func TestEffectsHoldWhatTheGuestAskedFor(t *testing.T) {
	m, begin := probeBench(t)
	inv := begin(view{})
	probe(t, m, inv, publish, text("alerts/1"), text("hot"), 1|4)
	probe(t, m, inv, emit, text("next"), text("go"))
	probe(t, m, inv, followup, text("ops"), text("text/plain"), text("help"))
	probe(t, m, inv, logLine, 3, text("burning"))
	probe(t, m, inv, kvSet, text("k"), text("v"), 0)
	inv.Effects.Result = nil
	want := agent.Effects{
		Publishes: []agent.Publish{{Topic: "alerts/1", Data: []byte("hot"), QoS: 1, Retain: true}},
		Emits:     []agent.Emit{{Function: "test/next", Data: []byte("go")}},
		Followups: []agent.Followup{{Target: "ops", ContentType: "text/plain", Data: []byte("help")}},
		Logs:      []agent.LogLine{{Level: 8, Text: "burning"}},
		Writes:    []agent.Write{{Scope: "state/test/probe", Key: "k", Value: []byte("v")}},
	}
	if !sameEffects(inv.Effects, want) {
		t.Errorf("effects\n%+v, want\n%+v", inv.Effects, want)
	}
}

func TestARunReadsItsOwnWrites(t *testing.T) {
	m, begin := probeBench(t)
	inv := begin(view{"k": []byte("old"), "n": []byte("1")})
	probe(t, m, inv, kvSet, text("k"), text("new"), 60)
	if n, buf := probe(t, m, inv, kvGet, text("k"), bufAt, 8); n != 3 || string(buf[:3]) != "new" {
		t.Errorf("read %d %q after writing new", n, buf[:8])
	}
	if left := time.Until(inv.Effects.Writes[0].Expires); left < 50*time.Second || left > 61*time.Second {
		t.Errorf("expires in %v, want a minute", left)
	}
	probe(t, m, inv, kvAdd, text("n"), 1)
	if n, _ := probe(t, m, inv, kvAdd, text("n"), 1); n != 3 {
		t.Errorf("second add answered %d, want 3", n)
	}
	probe(t, m, inv, kvDelete, text("k"))
	if n, _ := probe(t, m, inv, kvGet, text("k"), bufAt, 8); n != -2 {
		t.Errorf("read of a deleted key answered %d, want -2", n)
	}
	if n, _ := probe(t, m, inv, kvList, text(""), 0, bufAt, 64); n != 3 {
		t.Errorf("listed %d bytes, want 3: only n is left", n)
	}
}

func TestNowIsTheRealTime(t *testing.T) {
	m, begin := probeBench(t)
	before := time.Now().UnixMilli()
	got, _ := probe(t, m, begin(view{}), nowMillis)
	if after := time.Now().UnixMilli(); got < before || got > after {
		t.Errorf("now_ms answered %d, want between %d and %d", got, before, after)
	}
}

// brokenView is a store that cannot be read.
type brokenView struct{}

func (brokenView) Get(string, string) ([]byte, error) { return nil, errors.New("disk gone") }

func (brokenView) Keys(string, string, int) ([]string, error) { return nil, errors.New("disk gone") }

func TestABrokenStoreIsAnErrorNumber(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("probe")
	m := s.load(fn)
	inv := agent.NewInvocation(&fn, brokenView{}, agent.Outside{})
	inv.Begin(event(""), "test/trigger", 1)
	for f, args := range map[byte][]any{
		kvGet:  {text("k"), bufAt, 8},
		kvCAS:  {text("k"), text("x"), text("y")},
		kvList: {text(""), 0, bufAt, 8},
	} {
		if got, _ := probe(t, m, inv, f, args...); got != -6 {
			t.Errorf("host call %d answered %d, want -6", f, got)
		}
	}
	if got, _ := probe(t, m, inv, kvAdd, text("k"), 1); got != math.MinInt64 {
		t.Errorf("kv_add answered %d", got)
	}
}
