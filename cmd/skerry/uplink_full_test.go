package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestAFullFileSystemAcknowledgesNothingItCannotKeep gives the agent a small file
// system of its own, has something else fill that to the last byte while its
// target is away, and then takes it away again.
func TestAFullFileSystemAcknowledgesNothingItCannotKeep(t *testing.T) {
	t.Parallel()
	u := newUplinkRig(t, "limits: {disk: 32MiB}", "")
	data := u.onSmallDisk("64m")
	u.running(levelsRules)
	c := u.frank()
	var bodies []string
	publish := func(c paho.Client, n int) paho.Token {
		return c.Publish(fmt.Sprintf("in/%d/x", n%10), 1, false, bodies[n])
	}
	next := func() paho.Token {
		bodies = append(bodies, fmt.Sprintf(`{"n":%d}`, len(bodies)))
		return publish(c, len(bodies)-1)
	}
	for range 50 {
		if err := token(next()); err != nil {
			t.Fatal(err)
		}
	}
	u.waits(50)

	fill(t, filepath.Join(data, "filler"))
	var held []paho.Token
	testbed.Eventually(t, 30*time.Second, "an event is held up", func() error {
		tok := next()
		if tok.WaitTimeout(2 * time.Second) { // there was room in what the journal has reserved
			return errors.New("all were acknowledged")
		}
		held = append(held, tok)
		return nil
	})
	acknowledged := len(bodies) - 1
	for range 20 {
		held = append(held, next())
	}
	u.eventually("it says that the disk is full", func(s agent.Status) bool { return strings.Contains(s.Store.Error, "free on the disk") })
	shows(t, u.on("why"), "Nothing new is kept now", "free on the disk")
	for _, tok := range held {
		if tok.WaitTimeout(time.Millisecond) && tok.Error() == nil {
			t.Error("an event was acknowledged for which there was no room")
			break
		}
	}
	if n := u.target().Waiting; n != acknowledged {
		t.Errorf("%d wait while the disk is full, want the %d that were acknowledged", n, acknowledged)
	}

	if err := os.Remove(filepath.Join(data, "filler")); err != nil {
		t.Fatal(err)
	}
	u.eventually("it says so no more", func(s agent.Status) bool { return s.Store.Error == "" })
	c.Disconnect(0)
	c = client(t, u.broker)
	for n := acknowledged; n < len(bodies); n++ { // a sender that heard nothing sends again
		if err := token(publish(c, n)); err != nil {
			t.Fatal(err)
		}
	}
	u.door.open()
	u.on("retry", "--all")
	came := u.door.wait(t, len(bodies))
	slices.Sort(came)
	slices.Sort(bodies)
	if !slices.Equal(came, bodies) {
		t.Errorf("there came %q, want %q", came, bodies)
	}
}

// frank is a client that does not connect again by itself: one that does takes
// what it then sends again for acknowledged.
func (u *uplinkRig) frank() paho.Client {
	u.t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(u.broker).SetClientID("sensor").SetAutoReconnect(false))
	if err := token(c.Connect()); err != nil {
		u.t.Fatal(err)
	}
	return c
}

// onSmallDisk starts the agent with its data in a file system of its own of that
// size, which nobody else sees, and gives a path to it.
func (u *uplinkRig) onSmallDisk(size string) (data string) {
	u.t.Helper()
	if err := os.Mkdir(u.path("data"), 0o700); err != nil {
		u.t.Fatal(err)
	}
	script := fmt.Sprintf("mount -t tmpfs -o size=%s tmpfs '%s' && exec '%s' run -c '%s'", size, u.path("data"), os.Args[0], u.path("skerry.yaml"))
	u.proc = testbed.Start(u.t, "apt-get install util-linux", func() error { _, err := u.ask(); return err },
		"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script)
	return filepath.Join("/proc", fmt.Sprint(u.proc.Pid()), "root", u.path("data"))
}

// fill writes a file until its file system is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatIsLeastUrgentGoesFirstWhenTheDiskIsFull offers more than may wait, in
// three priorities: the high ones and the newest low ones arrive, and why says
// what became of the others.
func TestWhatIsLeastUrgentGoesFirstWhenTheDiskIsFull(t *testing.T) {
	t.Parallel()
	u := newUplinkRig(t, "limits: {disk: 16MiB}\nuplink: {disk: 1MiB}", "")
	u.run()
	c := client(t, u.broker)
	text := strings.Repeat("x", 4000)
	body := func(p, n int) string { return fmt.Sprintf(`{"p":%d,"n":%d,"text":"%s"}`, p, n, text) }
	for n := range 50 {
		u.send(c, "in/9/a", body(9, n))
	}
	u.send(c, "short/a", body(2, 0))
	for n := range 400 {
		u.send(c, fmt.Sprintf("in/1/s%d", n), body(1, n))
	}
	u.until("some are evicted", func(s agent.TargetStatus) bool { return s.Drops.Evicted > 100 && s.WaitingBytes < 1<<20 })
	s := u.target()
	if s.ByPriority[9] != 50 || s.ByPriority[2] != 0 {
		t.Errorf("there wait %v", s.ByPriority)
	}
	shows(t, u.on(), "evicted", "1.0 MiB")
	shows(t, u.on("why", "alerts"), fmt.Sprint(s.Drops.Evicted), "uplink.disk")
	u.door.open()
	u.on("retry", "alerts")
	came := u.door.wait(t, s.Waiting)
	u.waits(0)
	for n := range 50 {
		if !slices.Contains(came, body(9, n)) {
			t.Errorf("number %d of priority 9 is missing", n)
		}
	}
	if !slices.Contains(came, body(1, 399)) || slices.Contains(came, body(1, 0)) {
		t.Error("of the lowest priority the newest must stay, and the oldest go")
	}
}

// TestWhatIsHeldWaitsAtTheSource has uplink.full: hold; nothing is evicted, and
// who would add waits until there is room.
func TestWhatIsHeldWaitsAtTheSource(t *testing.T) {
	t.Parallel()
	u := newUplinkRig(t, "limits: {disk: 16MiB}\nuplink: {disk: 1MiB, full: hold}", "")
	u.run()
	c := client(t, u.broker)
	text := strings.Repeat("x", 4000)
	var sent []paho.Token
	for n := range 600 {
		sent = append(sent, c.Publish(fmt.Sprintf("in/1/s%d", n), 1, false, fmt.Sprintf(`{"n":%d,"text":"%s"}`, n, text)))
	}
	testbed.Eventually(t, 60*time.Second, "it says that it is full", func() error {
		if text := u.on("why"); !strings.Contains(text, "uplink.full is hold") {
			return errors.New(text)
		}
		return nil
	})
	u.door.open()
	u.on("retry", "alerts")
	for _, tok := range sent {
		if err := token(tok); err != nil {
			t.Fatal(err)
		}
	}
	u.door.wait(t, 600)
	if s := u.target(); s.Drops.Evicted > 0 {
		t.Errorf("%d were evicted", s.Drops.Evicted)
	}
}

// TestWhatIsOverTheBudgetWaitsForMore uses a day's budget up, asks why, and
// raises it.
func TestWhatIsOverTheBudgetWaitsForMore(t *testing.T) {
	t.Parallel()
	u := newUplinkRig(t, "links: [{name: lte, day: 60kB, reserve: 10kB}]\nuplink: {link: lte}", "")
	u.door.open()
	u.run()
	c := client(t, u.broker)
	text := strings.Repeat("x", 1000)
	for n := range 100 {
		u.send(c, fmt.Sprintf("in/5/s%d", n), fmt.Sprintf(`{"n":%d,"text":"%s"}`, n, text))
	}
	u.until("the budget is used up", func(s agent.TargetStatus) bool { return s.OverBudget != "" && s.Delivered > 10 })
	shows(t, u.on(), "over budget", "lte", "of 58.6 KiB")
	shows(t, u.on("why", "alerts"), "lte", "are kept for priority 8 and 9", "raise")
	before := u.target().Waiting
	u.send(c, "in/9/a", `{"urgent":true}`)
	testbed.Eventually(t, 60*time.Second, "what is urgent goes from the reserve", func() error {
		if !slices.Contains(u.door.came(), `{"urgent":true}`) {
			return fmt.Errorf("%d came, %d wait", len(u.door.came()), u.target().Waiting)
		}
		return nil
	})
	u.send(c, "shed/a", `{"shed":true}`)
	u.until("what may be dropped over the budget is", func(s agent.TargetStatus) bool { return s.Drops.OverBudget == 1 })
	if n := u.target().Waiting; n != before {
		t.Errorf("%d wait, want %d as before", n, before)
	}

	u.proc.Stop()
	config, err := os.ReadFile(u.path("skerry.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	u.write("skerry.yaml", strings.Replace(string(config), "day: 60kB", "day: 10MB", 1))
	u.run()
	u.door.wait(t, 101)
	u.waits(0)
	if slices.Contains(u.door.came(), `{"shed":true}`) {
		t.Error("what was dropped came")
	}
}
