package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors/probe"
	"github.com/skerry-edge/skerry/uplink"
)

// rootOf is a file system with these files.
func rootOf(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// told fails unless one of the findings has this state and text.
func told(t *testing.T, where string, found []finding, state findingState, text string) {
	t.Helper()
	if !slices.ContainsFunc(found, func(f finding) bool { return f.State == state && strings.Contains(f.Text, text) }) {
		t.Errorf("%s: no %s of %q in %+v", where, state, text, found)
	}
	for _, f := range found {
		if f.State != fine && f.Next == "" {
			t.Errorf("%s: no next step: %+v", where, f)
		}
	}
}

func TestDoctorLooksAtMounts(t *testing.T) {
	data := t.TempDir()
	for _, tt := range []struct {
		line, want string
		state      findingState
	}{
		{"/ rw,relatime - ext4 /dev/mmcblk0p2 rw", "(ext4), noatime would save", fine},
		{"/ rw,noatime - f2fs /dev/mmcblk0p2 rw", "(f2fs), noatime", fine},
		{"/ rw - ext4 /dev/mmcblk0p2 ro,errors=remount-ro", "read-only", failing},
		{"/ rw - ext4 /dev/mmcblk0p2 rw,nobarrier", "without barriers", failing},
		{"/ rw,sync - ext4 /dev/mmcblk0p2 rw", "mounted with sync", warning},
		{"/ rw,strictatime - ext4 /dev/mmcblk0p2 rw", "each read writes", warning},
		{"/ rw - overlay overlay rw,upperdir=/x", "may forget", warning},
		{"/ rw - nfs4 server:/x rw", "on another machine", warning},
	} {
		root := rootOf(t, map[string]string{"proc/self/mountinfo": "21 1 179:2 / " + tt.line + "\n22 1 8:1 / /else ro - vfat x ro\n"})
		told(t, tt.line, checkMount(data, root), tt.state, tt.want)
	}
	m, ok := mountOf("1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /mnt/my\\040disk rw,noatime master:1 - xfs b rw\n", "/mnt/my disk/x")
	if !ok || m.Point != "/mnt/my disk" || m.Kind != "xfs" || m.Device != "8:2" || !slices.Equal(m.Options, []string{"noatime", "rw"}) {
		t.Errorf("%+v", m)
	}
}

func TestDoctorTellsHowWornTheFlashIs(t *testing.T) {
	for life, want := range map[string]findingState{"0x01 0x02\n": fine, "0x0a 0x01\n": warning, "0x01 0x0b\n": failing} {
		root := rootOf(t, map[string]string{"sys/devices/mmc/block/mmcblk0/device/life_time": life, "sys/devices/mmc/block/mmcblk0/mmcblk0p2/dev": "179:2"})
		link := filepath.Join(root, "sys/dev/block/179:2")
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(root, "sys/devices/mmc/block/mmcblk0/mmcblk0p2"), link); err != nil {
			t.Fatal(err)
		}
		if got := checkWear("179:2", root); len(got) != 1 || got[0].State != want {
			t.Errorf("%q: %+v", life, got)
		}
	}
	if got := checkWear("8:1", t.TempDir()); got != nil {
		t.Errorf("a disk that does not tell: %+v", got)
	}
}

func TestDoctorKnowsWhoKeepsTheClock(t *testing.T) {
	c := readClock(rootOf(t, map[string]string{"proc/12/comm": "chronyd\n", "proc/13/comm": "sh\n", "sys/class/rtc/rtc0/since_epoch": "1000\n"}))
	if c.Keeper != "chronyd" || c.RTC != "rtc0" || c.RTCOff > -1e9 {
		t.Errorf("%+v", c)
	}
	if c := readClock(t.TempDir()); c.Keeper != "" || c.RTC != "" {
		t.Errorf("nothing there: %+v", c)
	}
}

func TestDoctorSaysWhatABrokerLoses(t *testing.T) {
	b := &BrokerConfig{Name: "plant", MaxPacket: 256 << 10}
	good := probe.Facts{V5: true, Keeps: true, Limits: probe.Limits{SessionExpiry: probe.Forever, MaxQoS: 2}, Software: "mosquitto version 2.0"}
	told(t, "good", brokerFindings(b, &good), fine, "gives QoS 1, takes packets of any size (mosquitto version 2.0)")
	for _, tt := range []struct {
		change func(f *probe.Facts)
		state  findingState
		want   string
	}{
		{func(f *probe.Facts) { f.Keeps = false }, failing, "keeps no session"},
		{func(f *probe.Facts) { f.Limits.SessionExpiry = 3600 }, warning, "for 1h0m0s only"},
		{func(f *probe.Facts) { f.Limits.MaxQoS = 0 }, failing, "QoS 0 only"},
		{func(f *probe.Facts) { f.Lowered = []string{"a"} }, failing, "QoS 0 only"},
		{func(f *probe.Facts) { f.Refused = []string{"a", "b", "c", "d"} }, failing, "a, b, c and 1 more"},
		{func(f *probe.Facts) { f.Limits.MaxPacket = 1 << 10 }, warning, "packets of 1.0 KiB at most"},
		{func(f *probe.Facts) { f.Limits.NoRetain = true }, warning, "no retained messages"},
		{func(f *probe.Facts) { f.Limits.NoWildcards, f.Asked = true, []string{"x", "a/+"} }, failing, "a trigger has a/+"},
		{func(f *probe.Facts) { f.NoShared = true }, warning, "no shared subscriptions"},
		{func(f *probe.Facts) { f.Dropped = 7 }, warning, "dropped 7 messages"},
		{func(f *probe.Facts) { *f = probe.Facts{Keeps: true, Dropped: -1} }, fine, "MQTT 3.1.1 only"},
	} {
		f := good
		tt.change(&f)
		told(t, tt.want, brokerFindings(b, &f), tt.state, tt.want)
	}
}

func TestDoctorAsksBrokers(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Users: map[string]string{"gw": "right"}, Config: "max_packet_size 3000\n"})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	cfg := Config{Brokers: []BrokerConfig{
		{Name: "plant", URL: broker.URL, Username: "gw", Password: "right", MaxPacket: 256 << 10},
		{Name: "wrong", URL: broker.URL, Username: "gw", Password: "never"},
		{Name: "off", URL: "tcp://" + closedPort(t)},
		{Name: "silent", URL: "tcp://" + silent.Addr().String()},
	}}
	found := checkBrokers(ctx, &cfg, map[string][]string{"plant": {"a/#"}})
	told(t, "plant", found, warning, "plant: it takes packets of 2.9 KiB at most")
	told(t, "wrong", found, failing, "wrong: it does not let the client in")
	told(t, "off", found, failing, "off does not answer: ")
	told(t, "silent", found, failing, "silent does not answer: nothing came back within")
}

func TestDoctorReachesTargets(t *testing.T) {
	asked := make(chan string, 10)
	far := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	far.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	far.StartTLS()
	defer far.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	target := func(name, kind, url string) TargetConfig {
		return TargetConfig{TargetConfig: uplink.TargetConfig{Name: name, Kind: kind, URL: url}}
	}
	cfg := Config{Targets: []TargetConfig{
		target("secure", "http", far.URL), target("plain", "http", plain.URL+"/a"), target("again", "http", plain.URL+"/b"), target("off", "mqtt", "tcp://"+closedPort(t)),
	}}
	found := checkTargets(t.Context(), &cfg)
	if len(found) != 3 {
		t.Errorf("%d findings of 3 places: %+v", len(found), found)
	}
	told(t, "TLS", found, failing, "signed by unknown authority")
	told(t, "plain", found, fine, "plain, again at ")
	told(t, "off", found, warning, "is not reached")
	if len(asked) > 0 {
		t.Errorf("it was asked for %s", <-asked)
	}
	aws := TargetConfig{TargetConfig: uplink.TargetConfig{Kind: "stepfunctions", Region: "eu-north-1"}}
	if p := placesOf(&aws); len(p) != 1 || p[0].addr != "states.eu-north-1.amazonaws.com:443" || !p[0].secure {
		t.Errorf("%+v", p)
	}
}

func TestDoctorLooksWhoReadsFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cfg := Config{
		Brokers: []BrokerConfig{{PasswordFile: write("password", 0o644), CAFile: write("ca", 0o644)}},
		Secrets: []SecretConfig{{File: write("open", 0o666)}, {File: write("closed", 0o600)}, {File: filepath.Join(dir, "gone")}},
	}
	found := checkFiles(&cfg)
	told(t, "read", found, warning, "password (brokers[0].password_file) has mode 0644: everybody on this device can read it")
	told(t, "written", found, failing, "open (secrets[0].file) has mode 0666: everybody can change it")
	told(t, "gone", found, failing, "gone (secrets[2].file)")
	if len(found) != 3 {
		t.Errorf("%+v", found)
	}
	fineOnes := Config{Secrets: cfg.Secrets[1:2]}
	told(t, "fine", checkFiles(&fineOnes), fine, "1 configured file, with the right permissions")
}

// What is wrong with the registry is told once, also where the agent says it too.
func TestDoctorTellsOfTheRegistryOnce(t *testing.T) {
	cfg := Config{}
	s := agent.Status{Sync: agent.SyncStatus{
		Error: "ask oci://r: no route; a@2 is held back: no room",
		Apps:  []agent.AppStatus{{Name: "a", State: "held", Reason: "a@2 is held back: no room"}},
	}}
	told(t, "alone", agentFindings(&cfg, &s, nil, false)[:1], fine, "has run for ")
	if all := agentFindings(&cfg, &s, nil, true); len(all) != 2 || all[1].Text != "a@2 is held back: no room" {
		t.Errorf("%+v", all)
	}
	if all := agentFindings(&cfg, &s, nil, false); len(all) != 2 || all[1].Text != s.Sync.Error {
		t.Errorf("%+v", all)
	}
}

// TestDoctorTellsWhatTheAgentCannotDo: a disk that is full by limits.disk has room in the
// file system's eyes, and a function that is stopped is known to the agent alone.
func TestDoctorTellsWhatTheAgentCannotDo(t *testing.T) {
	s := agent.Status{
		Started: time.Now(),
		Store:   agent.StoreStatus{Error: "journal has reached its quota of 16 MiB: store full"},
		Functions: []agent.FunctionStatus{
			{Name: "boiler/alarm", Breaker: &agent.BreakerStatus{Failures: 9, Cause: "trap:\n\x1b[2Jgone"}},
			{Name: "boiler/fine"},
		},
	}
	all := agentFindings(&Config{}, &s, nil, false)
	if len(all) != 3 {
		t.Fatalf("%+v", all)
	}
	told(t, "full", all[1:2], failing, "nothing is kept now: journal has reached its quota of 16 MiB: store full")
	told(t, "stopped", all[2:], warning, `boiler/alarm is stopped, it keeps failing: "trap: \x1b[2Jgone"`)
	if strings.Contains(all[2].Text, "\x1b") || !strings.Contains(all[2].Next, "skerry logs boiler/alarm") || !strings.Contains(all[1].Next, "skerry uplink why") {
		t.Errorf("%+v", all)
	}
}
