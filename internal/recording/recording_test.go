package recording_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
)

var start = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

const header = `{"skerry":"events","version":1,"device":"gw7","broker":"plant","start":"2026-05-01T08:00:00Z"}` + "\n"

// read reads everything.
func read(t *testing.T, from io.Reader) (entries []recording.Entry, truncated bool) {
	t.Helper()
	r, err := recording.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries, r.Truncated()
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Event != nil {
			r.Header.Complete(&e, r.Number())
		}
		entries = append(entries, e)
	}
}

func events() []recording.Entry {
	var list []recording.Entry
	for i, ev := range []agent.Event{
		{ContentType: "application/json", Data: []byte(`{"t": 1.50, "html": "<&>"}`), QoS: 1},
		{ContentType: "application/json", Data: []byte("{\n\"t\": 1}"), Retained: true, Unsure: true, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{ContentType: "application/json", Data: []byte(` {"t":1}`)},
		{ContentType: "application/json", Data: []byte("not json")},
		{ContentType: "application/octet-stream", Data: []byte("21.5")},
		{ContentType: "application/octet-stream", Data: []byte{0, 0xff, 1}},
		{ContentType: "text/plain; charset=utf-8", Data: []byte("line\tone\n\"two\" <three> \u2028")},
		{ContentType: "application/octet-stream", Data: []byte{}},
		{Data: []byte("null")},
		{},
	} {
		ev.ID, ev.Source, ev.Type = "k-"+string(rune('a'+i)), "/gw7/mqtt/plant", recording.TypeMQTT
		ev.Subject, ev.Via, ev.Time = "line/ü/temp", "plant", start.Add(time.Duration(i)*time.Second+1234567)
		list = append(list, recording.Entry{At: time.Duration(i) * 1_000_250 * time.Microsecond, Event: &ev})
	}
	return append(list, recording.Entry{At: 11 * time.Second, Gap: 3})
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	want := events()
	for _, name := range []string{"r.jsonl", "r.jsonl.gz"} {
		path := filepath.Join(t.TempDir(), name)
		w, err := recording.Create(path, recording.Header{Device: "gw7", Broker: "plant", Start: start})
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if err := errors.Join(w.Write(&want[i]), w.Flush()); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, cut := read(t, bytes.NewReader(data)); !reflect.DeepEqual(got, want) || cut {
			t.Errorf("%s: read %+v, want %+v", name, got, want)
		}
		if packed := data[0] != '{'; packed != strings.HasSuffix(name, ".gz") {
			t.Errorf("%s begins with %q", name, data[:2])
		}
		got, cut := read(t, bytes.NewReader(data[:len(data)-12]))
		if !cut || len(got) < len(want)-2 || !reflect.DeepEqual(got, want[:len(got)]) {
			t.Errorf("%s, cut off: read %d of %d, truncated is %v", name, len(got), len(want), cut)
		}
	}
}

func TestEventsWrittenByHand(t *testing.T) {
	got, _ := read(t, strings.NewReader(header+`
{"at":1.5,"subject":"a/b","data":{"t":1}}

{"at":2,"via":"http","subject":"orders/7","datacontenttype":"text/plain","data":"hello","comment":"not known"}
{"at":2,"via":"spool","type":"io.skerry.tail","subject":"log","data_base64":"AP8=","qos":0}
`))
	want := []agent.Event{
		{
			ID: "line-3", Source: "/gw7/mqtt/plant", Type: "io.skerry.mqtt", Subject: "a/b", Time: start.Add(1500 * time.Millisecond),
			ContentType: "application/json", Data: []byte(`{"t":1}`), Via: "plant", QoS: 1,
		},
		{
			ID: "line-5", Source: "/gw7/http/http", Type: "io.skerry.http", Subject: "orders/7", Time: start.Add(2 * time.Second),
			ContentType: "text/plain", Data: []byte("hello"), Via: "http", QoS: 1,
		},
		{
			ID: "line-6", Source: "/gw7/tail/spool", Type: "io.skerry.tail", Subject: "log", Time: start.Add(2 * time.Second),
			Data: []byte{0, 0xff}, Via: "spool",
		},
	}
	if len(got) != len(want) {
		t.Fatalf("read %d events, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(*got[i].Event, want[i]) {
			t.Errorf("event %d is %+v, want %+v", i, *got[i].Event, want[i])
		}
	}
}

func TestWhatIsWrongIsSaidWithItsLine(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "no recording"},
		{`{"id":"x"}` + "\n", "no recording"},
		{`{"skerry":"events","version":2}` + "\n", "use a newer one"},
		{header + "{}\n{\"at\":-1}\n{}\n", "line 3"},
		{header + "{\"at\":1e300}\n", "out of range"},
		{header + "nonsense\n", "line 2"},
		{header + `{"data":1,"data_base64":""}` + "\n", "remove one"},
		{header + `{"qos":2}` + "\n", "0 or 1"},
		{header + `{"specversion":"0.3"}` + "\n", "write 1.0"},
		{"\x1f\x8b nonsense", "unpack"},
	} {
		r, err := recording.NewReader(strings.NewReader(tt.text))
		for err == nil {
			_, err = r.Next()
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want it to say %q", tt.text, err, tt.want)
		}
	}
}

// FuzzReader lets strangers write recordings: nothing in them may do more than
// end in an error, and what can be read can be written and read again.
func FuzzReader(f *testing.F) {
	f.Add([]byte(header + `{"at":0.25,"id":"a","subject":"a/b","data":{"t":1.0}}` + "\n" + `{"at":1,"gap":2}` + "\n{\"at\""))
	f.Add([]byte(header + `{"type":"x","datacontenttype":"text/plain","data":"t","time":"2026-05-01T08:00:00+02:00"}`))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := recording.NewReader(bytes.NewReader(data))
		for n := 1; err == nil && n < 100; n++ {
			var e recording.Entry
			if e, err = r.Next(); err != nil {
				return
			}
			if e.Event != nil {
				r.Header.Complete(&e, n)
			}
			line, err := recording.AppendEntry(nil, &e)
			if err != nil {
				continue // a time that JSON has no words for
			}
			again, err := recording.ParseEntry(line)
			if err != nil {
				t.Fatalf("%s cannot be read again: %v", line, err)
			}
			if back, err := recording.AppendEntry(nil, &again); err != nil || !bytes.Equal(back, line) {
				t.Errorf("%q, read and written again: %q, %v", line, back, err)
			}
			if e.Event != nil && !bytes.Equal(e.Event.Data, again.Event.Data) {
				t.Errorf("%q: data %q became %q", line, e.Event.Data, again.Event.Data)
			}
		}
	})
}
