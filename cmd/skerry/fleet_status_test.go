package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// fakeFleet are the reports of 200 devices in the middle of a rollout.
func fakeFleet(now time.Time) (reports []fleetsync.Report, offline map[string]bool) {
	offline = map[string]bool{}
	for i := range 200 {
		since := now.Add(-72 * time.Hour)
		r := fleetsync.Report{
			Device: fmt.Sprintf("gw-%04d", i), Time: now.Add(-time.Duration(i) * time.Minute), ClockSure: true,
			Labels: map[string]string{"site": "west"}, Agent: "0.4.0", Started: since, Arch: "arm64", Engine: "compiler",
			Fleet: "west", Revision: 43, Generation: 7, Root: 1, Checked: now,
			Apps: []agent.AppStatus{{Name: "counter", Version: "2.0.0", State: "good", Since: since}, {Name: "overheat", Version: "1.3.2", State: "good", Since: since}},
			Disk: fleetsync.ReportDisk{Free: 12 << 30, Used: 3 << 20, Quota: 256 << 20},
		}
		overheat := &r.Apps[1]
		switch {
		case i%20 == 3: // half of the canaries went back
			overheat.State, overheat.Wanted = "quarantined", "1.4.0"
			overheat.Reason = fmt.Sprintf("%d of 100 runs failed, at most 5 may", 20+i%7)
		case i%20 == 4:
			*overheat = agent.AppStatus{Name: "overheat", Version: "1.4.0", State: "probation", Since: now, Previous: "1.3.2"}
		case i == 9:
			*overheat = agent.AppStatus{Name: "overheat", Version: "1.4.0", State: "failed", Since: now, Reason: "31 of 100 runs failed, at most 5 may"}
		case i%50 == 5:
			overheat.State, overheat.Wanted, overheat.Reason = "held", "1.4.0", "it requires agent >=0.5.0, this is 0.4.0"
		case i%40 == 6:
			r.Revision, r.Error = 42, fmt.Sprintf("ask the registry: dial tcp 10.0.0.%d:443: connection refused", i)
		case i%25 == 7:
			r.Agent, r.Arch, r.Engine, r.Stopped, r.Disk.Low, r.Dead = "0.3.1", "arm", "interpreter", []string{"counter/count"}, true, 12
			r.Outbox = fleetsync.ReportOutbox{Waiting: 17, Oldest: r.Time.Add(-30 * time.Hour)}
		}
		if offline[r.Device] = i%16 == 8; offline[r.Device] {
			r.Time, r.Revision = now.Add(-time.Duration(i)*time.Hour), 41
		}
		reports = append(reports, r)
	}
	return reports, offline
}

// offer gives known what a broker would.
func offerFleet(known *reports, now time.Time) {
	list, offline := fakeFleet(now)
	take := func(topic, text string) {
		known.take(&agent.Event{Subject: topic, Data: []byte(text), Retained: true}, nil)
	}
	for _, r := range list {
		take(fleetsync.ReportTopic("west", r.Device), string(r.Encode()))
		online := "1"
		if offline[r.Device] {
			online = "0"
		}
		take(fleetsync.OnlineTopic("west", r.Device), online)
	}
	take("skerry/west/hint", `{"revision":43}`)
	take("skerry/west/odd/report", "\x1b[2J")
	take("skerry/west/liar/report", string(list[0].Encode()))
	take("skerry/west/shy/online", "0")
	take("skerry/west/gone/report", "")
	take("skerry/west/a/b/report", "{}")
}

func TestFleetStatusTable(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	known := newReports("west")
	offerFleet(known, now)
	for name, o := range map[string]fleetStatusOptions{
		"table": {}, "all": {all: true}, "behind": {behind: true}, "app": {app: "overheat"},
	} {
		var out strings.Builder
		o.output = "text"
		if err := known.view(&o, now).print(&out, &o); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "fleet", name+".txt")
		if os.Getenv("TEST_UPDATE") != "" {
			if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || string(want) != out.String() {
			t.Errorf("%s: %v; TEST_UPDATE=1 writes it anew\n%s", golden, err, &out)
		}
		if lines := strings.Count(out.String(), "\n"); !o.all && lines > 60 {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
}

// The command shows what a real broker has of a thousand devices, all of it, as text
// and as JSON, and says what to do when there is nothing.
func TestFleetStatusOfAThousand(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Config: "max_queued_messages 100\n"})
	list, _ := fakeFleet(time.Now())
	c := client(t, broker.URL)
	var last paho.Token
	for round := range 5 {
		for _, r := range list {
			r.Device = fmt.Sprintf("%s-%d", r.Device, round)
			c.Publish(fleetsync.ReportTopic("west", r.Device), 0, true, r.Encode())
			last = c.Publish(fleetsync.OnlineTopic("west", r.Device), 1, true, "1")
		}
		if err := token(last); err != nil {
			t.Fatal(err)
		}
	}
	text, err := skerryCommand(t, "fleet", "status", "--broker", broker.URL)()
	if err != nil || !strings.HasPrefix(text, "fleet west, revision 43: 1000 devices, 1000 online, 0 offline; ") {
		t.Errorf("%v: %s", err, text)
	}
	text, _ = skerryCommand(t, "fleet", "status", "--broker", broker.URL, "-o", "json", "--app", "overheat")()
	var v fleetView
	if err = json.Unmarshal([]byte(text), &v); err != nil || v.Totals.Devices != 1000 || v.Totals.RolledBack != 50 || len(v.Devices) != 1000 || len(v.Apps) != 2 {
		t.Errorf("%v: %+v", err, v.Totals)
	}
	for args, want := range map[string]string{
		"--fleet east --broker " + broker.URL:                            "no device of fleet east has reported to this broker: look at fleet.name",
		"--app none --broker " + broker.URL:                              "no device is as asked for",
		"--fleet east":                                                   "--broker is missing",
		"--fleet a/b --broker " + broker.URL:                             "--fleet is 1 to 64 letters",
		"--broker tcp://" + closedPort(t) + " --wait 0s":                 "--wait is longer than 0s",
		"--broker " + broker.URL + " --ca-file nowhere.pem":              "unknown flag",
		"--broker http://127.0.0.1":                                      "URL scheme \"http\" is unknown",
		"--broker mqtts://127.0.0.1 --broker-ca-file testdata/none.pem ": "none.pem",
	} {
		text, err := skerryCommand(t, append([]string{"fleet", "status"}, strings.Fields(args)...)...)()
		if err == nil || !strings.Contains(text, want) {
			t.Errorf("%s says %s", args, text)
		}
	}
	c.Publish(fleetsync.ReportTopic("east", "gw1"), 1, true, list[0].Encode()).WaitTimeout(time.Minute)
	if text, err := skerryCommand(t, "fleet", "status", "--broker", broker.URL)(); err == nil || !strings.Contains(text, "name one of east, west with --fleet") {
		t.Errorf("two fleets: %s", text)
	}
}

// Watching shows who goes, and since when.
func TestFleetStatusSeesDevicesGo(t *testing.T) {
	now := time.Now()
	known := newReports("west")
	offerFleet(known, now)
	known.take(&agent.Event{Subject: "skerry/west/gw-0001/online", Data: []byte("0")}, nil)
	v := known.view(&fleetStatusOptions{}, now.Add(2*time.Hour))
	for _, d := range v.Devices {
		if d.Device == "gw-0001" && (d.OfflineSince.IsZero() || d.Troubles[0].Text != "went less than a day ago") {
			t.Errorf("%+v", d)
		}
	}
	known.take(&agent.Event{Subject: "skerry/west/gw-0001/online", Data: []byte("1")}, nil)
	if n := known.view(&fleetStatusOptions{}, now).Totals.Offline; n != v.Totals.Offline-1 {
		t.Errorf("%d are offline, before there were %d", n, v.Totals.Offline)
	}
}
