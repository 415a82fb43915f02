package admin_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

// healthy is a device of which nothing is wrong, and the facts beside.
func healthy() (agent.Status, admin.Facts) {
	return agent.Status{
		Functions: []agent.FunctionStatus{{Name: "overheat/alarm"}},
		Sources:   []agent.SourceStatus{{Name: "inside", Kind: "inside"}, {Name: "schedule", Kind: "schedule", Connected: true}, {Name: "plant", Kind: "mqtt", Connected: true}, {Name: "orders", Kind: "files", Connected: true}},
		Targets:   []agent.TargetStatus{{Name: "alerts", Kind: "cloudevents"}},
		Links:     []agent.LinkStatus{{Name: "lte", Day: agent.Account{Used: 1 << 20, Limit: 5 << 20}}},
		Sync:      agent.SyncStatus{Registry: "oci://r.example/fleet", Fleet: "plant", Revision: 7, Checked: time.Now(), Apps: []agent.AppStatus{{Name: "overheat", Version: "1.0.0"}}},
		Store:     agent.StoreStatus{JournalBytes: 4 << 20, QuotaBytes: 256 << 20},
	}, admin.Facts{Now: time.Date(2026, 5, 4, 3, 2, 0, 0, time.UTC), Right: true, Applied: true, Room: 1 << 30}
}

func TestHealth(t *testing.T) {
	type change func(*agent.Status, *admin.Facts)
	for _, tt := range []struct {
		name   string
		change change
		ready  bool
		check  string // that is not OK; "" for none
		text   string
	}{
		{"nothing is wrong", func(*agent.Status, *admin.Facts) {}, true, "", ""},
		{"commits fail", func(s *agent.Status, _ *admin.Facts) { s.Store.Error = "no space left on device" }, false, "store", "cannot be kept, so events wait at their sources: no space left"},
		{"the disk is damaged", func(s *agent.Status, _ *admin.Facts) { s.Store.Gaps = 2 }, true, "store", "2 frames on the disk were found damaged"},
		{"the quota is nearly used", func(s *agent.Status, _ *admin.Facts) { s.Store.JournalBytes = 240 << 20 }, true, "disk", "240.0 MiB of 256.0 MiB"},
		{"the file system is full", func(_ *agent.Status, f *admin.Facts) { f.Room = 0 }, true, "disk", "hardly any space left"},
		{"it has just started", func(_ *agent.Status, f *admin.Facts) { f.Applied = false }, false, "functions", "has started yet"},
		{"no app could start", func(s *agent.Status, _ *admin.Facts) { s.Functions, s.Sync.Apps[0].Version = nil, "" }, false, "functions", "could start: overheat"},
		{"one of two apps could not", func(s *agent.Status, _ *admin.Facts) {
			s.Sync.Apps = append(s.Sync.Apps, agent.AppStatus{Name: "rollup"})
		}, true, "functions", "apps that do not run: rollup"},
		{"a function is stopped", func(s *agent.Status, _ *admin.Facts) { s.Functions[0].Breaker = &agent.BreakerStatus{} }, true, "functions", "stopped since they keep failing: overheat/alarm"},
		{"many are stopped", func(s *agent.Status, _ *admin.Facts) {
			s.Functions = nil
			for i := range 40 {
				s.Functions = append(s.Functions, agent.FunctionStatus{Name: fmt.Sprintf("hall/f%d", i), Breaker: &agent.BreakerStatus{}})
			}
		}, true, "functions", "stopped since they keep failing: hall/f0, hall/f1, hall/f2, hall/f3, hall/f4 and 35 more"},
		{"there is nothing to run", func(s *agent.Status, _ *admin.Facts) { s.Functions, s.Sync.Apps = nil, nil }, true, "", ""},
		{"a broker is away", func(s *agent.Status, _ *admin.Facts) { s.Sources[2].Connected, s.Sources[2].Note = false, "refused" }, true, "sources", "no events come from plant (refused)"},
		{"nothing comes from anywhere", func(s *agent.Status, _ *admin.Facts) {
			s.Sources[2].Connected, s.Sources[3].Connected = false, false
		}, false, "sources", "plant, orders"},
		{"nothing keeps the clock right", func(_ *agent.Status, f *admin.Facts) { f.Right = false }, true, "clock", "run an NTP client"},
		{"the registry is away", func(s *agent.Status, _ *admin.Facts) { s.Sync.Error = "no route\nto host" }, true, "registry", "no route; to host"},
		{"the cloud is away", func(s *agent.Status, _ *admin.Facts) {
			s.Targets[0].Breaker, s.Targets[0].Waiting = &agent.BreakerStatus{Cause: "no route"}, 9
		}, true, "link", "away: alerts (no route); 9 records wait"},
		{"somebody paused a target", func(s *agent.Status, _ *admin.Facts) { s.Targets[0].Paused = true }, true, "link", "paused by a person: alerts"},
		{"the budget is nearly used", func(s *agent.Status, _ *admin.Facts) { s.Links[0].Day.Used = 5 << 20 }, true, "budget", "lte used 5.0 MiB of 5.0 MiB today"},
	} {
		s, f := healthy()
		tt.change(&s, &f)
		h := admin.HealthOf(&s, f)
		var names []string
		for _, c := range h.Checks {
			if names = append(names, c.Name); c.Text == "" || strings.Contains(c.Text, "\n") {
				t.Errorf("%s: %s says %q", tt.name, c.Name, c.Text)
			}
			if c.OK != (c.Name != tt.check) || !c.OK && !strings.Contains(c.Text, tt.text) {
				t.Errorf("%s: %+v", tt.name, c)
			}
		}
		for _, want := range []string{"clock", "disk", "link", "budget", "sources", "store"} {
			if !slices.Contains(names, want) {
				t.Errorf("%s: there is no check %s", tt.name, want)
			}
		}
		rec := httptest.NewRecorder()
		admin.Readyz(func() admin.Health { return h }).ServeHTTP(rec, httptest.NewRequest("GET", "/readyz", nil))
		code, body := 200, "ready\n"
		if !tt.ready {
			code, body = 503, "not ready: "+tt.check+"\n"
		}
		if h.Ready != tt.ready || rec.Code != code || rec.Body.String() != body {
			t.Errorf("%s: ready %v, /readyz %d %q", tt.name, h.Ready, rec.Code, rec.Body)
		}
	}
}

func TestHealthz(t *testing.T) {
	for trouble, want := range map[string]string{"": "200 ok\n", "write /var/lib/skerry/store/7: no space left": "503 failing: store\n"} {
		rec := httptest.NewRecorder()
		admin.Healthz(func() string { return trouble }).ServeHTTP(rec, httptest.NewRequest("GET", "/healthz", nil))
		if got := rec.Result().Status[:4] + rec.Body.String(); got != want {
			t.Errorf("%q: %q", trouble, got)
		}
	}
}

func TestHealthAndLoginOverTheSocket(t *testing.T) {
	s, f := healthy()
	h := admin.WithHealth(admin.Handler(func() agent.Status { return s }, nil, nil, nil), func() admin.Health { return admin.HealthOf(&s, f) })
	socket := filepath.Join(t.TempDir(), "s")
	l, err := admin.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- admin.Serve(ctx, l, admin.WithLogin(h, func() (string, error) { return "http://127.0.0.1:9180/#token=x", nil }))
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	got, err := admin.AskHealth(t.Context(), socket)
	if err != nil || !got.Ready || len(got.Checks) != 8 {
		t.Errorf("%v: %+v", err, got)
	}
	if url, err := admin.Login(t.Context(), socket); err != nil || url != "http://127.0.0.1:9180/#token=x" {
		t.Errorf("%v: %s", err, url)
	}
}
