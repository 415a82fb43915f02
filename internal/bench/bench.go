package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

//go:embed alarm/alarm.wasm
var alarmModule []byte

// scenario is one kind of load.
type scenario struct {
	qos   byte
	every int // one event in so many is hot
}

func (s scenario) String() string { return fmt.Sprintf("QoS %d, %3d %% hits", s.qos, 100/s.every) }

// figures are one measurement.
type figures struct {
	perSec   float64 // events
	cpu      float64 // seconds of the peer per 100,000 events
	p50, p99 time.Duration
}

// peer is a program under test.
type peer struct {
	name  string
	start func(ctx context.Context, url string, qos byte) (*exec.Cmd, error)
}

// runBench measures all scenarios and prints the medians.
func runBench(ctx context.Context, rounds int, length time.Duration) error {
	dir, err := os.MkdirTemp("", "skerry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "skerry"), "./cmd/skerry").CombinedOutput(); err != nil {
		return fmt.Errorf("build skerry: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	peers := []peer{
		{"skerry", func(ctx context.Context, url string, qos byte) (*exec.Cmd, error) {
			return startSkerry(ctx, dir, url, qos)
		}},
		{"bare paho", func(ctx context.Context, url string, qos byte) (*exec.Cmd, error) {
			return exec.CommandContext(ctx, self, "-peer", url, "-qos", strconv.Itoa(int(qos))), nil
		}},
	}
	fmt.Printf("%d rounds of %s each, medians; through mosquitto, 50 topics, 125-byte events, everything on this machine\n\n", rounds, length)
	fmt.Printf("%-20s %-10s %12s %16s %10s %10s\n", "", "", "events/s", "CPU s/100k", "p50", "p99")
	for _, s := range []scenario{{0, 100}, {0, 1}, {1, 100}, {1, 1}} {
		if err := measureScenario(ctx, s, peers, dir, rounds, length); err != nil {
			return err
		}
	}
	return nil
}

func measureScenario(ctx context.Context, s scenario, peers []peer, dir string, rounds int, length time.Duration) error {
	results := make([][]figures, len(peers))
	for range rounds {
		for i, p := range peers {
			f, err := measure(ctx, s, p, dir, length)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", s, p.name, err)
			}
			results[i] = append(results[i], f)
		}
	}
	var medians []figures
	for i, p := range peers {
		m := median(results[i])
		medians = append(medians, m)
		fmt.Printf("%-20s %-10s %12.0f %16.2f %10s %10s\n", s, p.name, m.perSec, m.cpu, m.p50.Round(time.Microsecond), m.p99.Round(time.Microsecond))
	}
	a, b := medians[0], medians[1]
	fmt.Printf("%-20s %-10s %11.2fx %15.2fx %9.2fx %9.2fx\n\n", "", "ratio", a.perSec/b.perSec, a.cpu/b.cpu,
		float64(a.p50)/float64(b.p50), float64(a.p99)/float64(b.p99))
	return nil
}

func median(runs []figures) figures {
	mid := func(of func(figures) float64) float64 {
		var all []float64
		for _, r := range runs {
			all = append(all, of(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return figures{
		perSec: mid(func(f figures) float64 { return f.perSec }),
		cpu:    mid(func(f figures) float64 { return f.cpu }),
		p50:    time.Duration(mid(func(f figures) float64 { return float64(f.p50) })),
		p99:    time.Duration(mid(func(f figures) float64 { return float64(f.p99) })),
	}
}

// measure starts a broker and the peer, warms it up, loads it and stops both.
// A fresh broker holds no session of an earlier peer, whose queue would be
// filled, or delivered, at this one's expense.
func measure(ctx context.Context, s scenario, p peer, dir string, length time.Duration) (f figures, err error) {
	addr, stop, err := startMosquitto(dir)
	if err != nil {
		return f, err
	}
	defer stop()
	cmd, err := p.start(ctx, "tcp://"+addr, s.qos)
	if err != nil {
		return f, err
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return f, err
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	if err := warmUp(ctx, addr, s); err != nil {
		return f, err
	}
	l, err := newLoad(addr, s.qos, s.every)
	if err != nil {
		return f, err
	}
	defer l.close()
	before, err := cpuSeconds(cmd.Process.Pid)
	if err != nil {
		return f, err
	}
	begin := time.Now()
	n, err := l.publish(ctx, length)
	if err == nil {
		err = l.drain(ctx, n)
	}
	if err != nil {
		return f, err
	}
	took := time.Since(begin)
	after, err := cpuSeconds(cmd.Process.Pid)
	return figures{
		perSec: float64(n) / took.Seconds(), cpu: (after - before) / float64(n) * 100_000,
		p50: l.percentile(50), p99: l.percentile(99),
	}, err
}

// warmUp publishes hot readings until the peer answers, then a second of load.
func warmUp(ctx context.Context, addr string, s scenario) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		l, err := newLoad(addr, s.qos, 1)
		if err != nil {
			return err
		}
		_, err = l.publish(ctx, time.Millisecond)
		for wait := time.Now().Add(200 * time.Millisecond); err == nil && l.alarms.Load() == 0 && time.Now().Before(wait); {
			time.Sleep(time.Millisecond)
		}
		alive := l.alarms.Load() > 0
		if alive {
			_, err = l.publish(ctx, time.Second)
			time.Sleep(300 * time.Millisecond) // what is under way arrives
		}
		if err = errors.Join(err, l.close()); err != nil || alive {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("the peer did not answer within 20 s")
		}
	}
}

// cpuSeconds is user and system time of a process, from /proc/PID/stat.
func cpuSeconds(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100, errors.Join(err1, err2) // USER_HZ is 100 on Linux
}

// startMosquitto starts a broker that neither delays nor drops.
func startMosquitto(dir string) (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr = l.Addr().String()
	if err := l.Close(); err != nil {
		return "", nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(dir, "mosquitto.conf")
	text := "listener " + port + " 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n" +
		"max_queued_messages 200000\nmax_inflight_messages 1000\nlog_type error\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	cmd := exec.Command(path, "-c", conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start mosquitto: %w: install it with: make deps", err)
	}
	stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return addr, stop, c.Close()
		}
		if time.Now().After(deadline) {
			stop()
			return "", nil, fmt.Errorf("mosquitto does not listen: %w", err)
		}
	}
}

// startSkerry publishes the alarm function to a layout and configures an agent
// with a fresh data directory.
func startSkerry(ctx context.Context, dir, url string, qos byte) (*exec.Cmd, error) {
	home, err := os.MkdirTemp(dir, "gateway-")
	if err != nil {
		return nil, err
	}
	app := fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: bench, version: 1.0.0}
functions:
  alarm: {module: {path: ./alarm.wasm}, env: {QOS: "%[1]d"}, permissions: {publish: ["alarms/#"]}, limits: {queue: 10000}}
triggers:
  - {name: reading, function: alarm, mqtt: {topic: sensors/+/temperature, qos: %[1]d}}
`, qos)
	config := fmt.Sprintf(`device: {id: bench}
data: %[1]s/data
admin: {socket: %[1]s/s}
brokers: [{name: plant, url: '%[2]s', inflight: 2000}]
registry: {ref: 'oci-layout:%[1]s/registry'}
log: {level: error}
`, home, url)
	for name, text := range map[string]string{"app.yaml": app, "skerry.yaml": config, "alarm.wasm": string(alarmModule)} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	_, err = fleetsync.Publish(ctx, fleetsync.PublishOptions{
		Ref: "oci-layout:" + filepath.Join(home, "registry"), AppFile: filepath.Join(home, "app.yaml"),
	})
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, filepath.Join(dir, "skerry"), "run", "-c", filepath.Join(home, "skerry.yaml")), nil
}
