package fleetsync_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

func TestReportIsSmallWhateverItTells(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	usual := fleetsync.Report{
		Device: "gw-0001", Time: at, ClockSure: true, Labels: map[string]string{"site": "west", "hw": "pi5"}, Agent: "0.4.0", Started: at,
		Arch: "arm64", Engine: "compiler", Fleet: "plant-west", Revision: 43, Generation: 12, Root: 2, Checked: at,
		Apps: []agent.AppStatus{{Name: "overheat", Version: "1.4.0", State: "good", Since: at}, {Name: "counter", Version: "2.0.0", State: "good", Since: at}},
		Disk: fleetsync.ReportDisk{Free: 12 << 30, Used: 3 << 20, Quota: 256 << 20},
	}
	data := usual.Encode()
	t.Logf("a usual report has %d bytes: %s", len(data), data)
	if len(data) > 800 {
		t.Errorf("a usual report has %d bytes", len(data))
	}
	back, err := fleetsync.ParseReport(data)
	if usual.V = 1; err != nil || !reflect.DeepEqual(back, usual) {
		t.Errorf("came back as %+v, %v", back, err)
	}

	long := usual
	long.Labels = map[string]string{}
	long.Error, long.Device = strings.Repeat("no route\n", 5000), strings.Repeat("\x01", 5000)
	long.Outbox.Oldest = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -12*3600))
	for i := range 100 {
		long.Labels[fmt.Sprint("label", i)] = strings.Repeat("v", 100)
		long.Stopped, long.OverBudget = append(long.Stopped, strings.Repeat("f", 100)), append(long.OverBudget, strings.Repeat("t", 100))
		state := "good"
		if i%30 == 0 {
			state = "quarantined"
		}
		long.Apps = append(long.Apps, agent.AppStatus{Name: fmt.Sprint("app", i), Version: "1.0.0", State: state, Reason: strings.Repeat("<é\x00", 1000)})
	}
	data = long.Encode()
	if _, err = fleetsync.ParseReport(data); err != nil || len(data) > 2000 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	long.Device = "gw1"
	data = long.Encode()
	if back, err = fleetsync.ParseReport(data); err != nil || len(data) > 2000 || back.Left+len(back.Apps) != 102 || back.Apps[len(back.Apps)-1].State != "quarantined" {
		t.Errorf("%d bytes, %v, %d apps and %d left out: %+v", len(data), err, len(back.Apps), back.Left, back.Apps)
	}
}

// What apps say themselves is not said again as an error.
func TestReportOfSaysThingsOnce(t *testing.T) {
	held := "a@2 cannot run here; a target is missing"
	r := fleetsync.ReportOf("gw7", agent.SyncStatus{
		Fleet: "west", Revision: 4, Error: "no route; " + held, Apps: []agent.AppStatus{{Name: "a", State: "held", Reason: held}},
	})
	if r.Error != "no route" || r.Device != "gw7" || r.Fleet != "west" || r.Revision != 4 || len(r.Apps) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestHintIsSmall(t *testing.T) {
	h := fleetsync.Hint{Revision: 1<<63 - 1, Digest: "sha256:" + strings.Repeat("a", 64)}
	data := h.Encode()
	back, err := fleetsync.ParseHint(data)
	if err != nil || back != h || len(data) >= 200 {
		t.Errorf("%d bytes, came back as %+v, %v", len(data), back, err)
	}
	for _, bad := range []string{"", "1", "null", "{}", `{"revision":-1}`, `{"revision":"1"}`, `{"revision":1,"digest":"latest"}`, `{"revision":1,"x":"` + strings.Repeat("x", 200) + `"}`} {
		if h, err := fleetsync.ParseHint([]byte(bad)); err == nil || h != (fleetsync.Hint{}) {
			t.Errorf("%.40s is taken: %+v, %v", bad, h, err)
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"v":1,"device":"gw7","apps":[{"name":"a","state":"good"}],"labels":{"a":"b"}}`))
	f.Add([]byte(`{"v":1,"time":"9999-12-31T23:59:59-12:00"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := fleetsync.ParseReport(data)
		if err != nil {
			return
		}
		again := r.Encode()
		if len(again) > 2000 || bytes.ContainsAny(again, "\x1b\x07\n") {
			t.Errorf("%d bytes: %q", len(again), again)
		}
	})
}

func FuzzHint(f *testing.F) {
	f.Add([]byte(`{"revision":43,"digest":"sha256:` + strings.Repeat("a", 64) + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := fleetsync.ParseHint(data)
		if err != nil {
			return
		}
		if back, err := fleetsync.ParseHint(h.Encode()); err != nil || back != h {
			t.Errorf("%+v came back as %+v, %v", h, back, err)
		}
	})
}
