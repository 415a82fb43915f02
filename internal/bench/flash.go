package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// flashRates are events per second, and for how many rounds' lengths each is measured.
var flashRates = []struct{ rate, lengths int }{{1, 5}, {100, 3}, {10_000, 1}}

var flashDurabilities = []string{"sync", "interval(50ms)", "none"}

// measureFlash prints what the way of an event through the gateway to the cloud
// costs on the device's disk: bytes that the process had written to it, from
// /proc, per byte of data that was accepted with QoS 1 and delivered over HTTP.
// Where nothing else is said commits wait for nobody (linger: 0).
func measureFlash(ctx context.Context, dir string, length time.Duration) error {
	fmt.Printf("%-44s %12s %12s %12s %10s %10s\n", "bytes written to the disk", "accepted", "delivered", "written", "per byte", "per event")
	for _, linger := range []time.Duration{0, 50 * time.Millisecond} {
		for _, durability := range flashDurabilities {
			if linger > 0 && durability != "sync" {
				continue // only what is synced lingers
			}
			for _, r := range flashRates {
				s := scenario{qos: 1, every: 1, rate: r.rate, conns: 1}
				if err := measureFlashOf(ctx, dir, s, durability, linger, time.Duration(r.lengths)*length); err != nil {
					return fmt.Errorf("%s, %d/s: %w", durability, r.rate, err)
				}
			}
		}
	}
	fmt.Println()
	return nil
}

func measureFlashOf(ctx context.Context, dir string, s scenario, durability string, linger, length time.Duration) error {
	cloud, err := startSink()
	if err != nil {
		return err
	}
	defer cloud.close()
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	cmd, err := flashGateway(ctx, dir, addr, cloud.addr, durability, linger)
	if err != nil {
		return err
	}
	if err := start(cmd); err != nil {
		return err
	}
	defer stop(cmd)
	l, err := flashWarm(ctx, addr, s, cloud)
	if err != nil {
		return err
	}
	defer l.close()
	base, before := cloud.bytes.Load(), cloud.events.Load()
	written, err := writtenBytes(cmd.Process.Pid)
	if err != nil {
		return err
	}
	n, err := l.publish(ctx, length)
	if err != nil {
		return err
	}
	if err := cloud.wait(ctx, before+int64(n)); err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond) // deliveries are written up to 100 ms later
	now, err := writtenBytes(cmd.Process.Pid)
	if err != nil {
		return err
	}
	data, cost := cloud.bytes.Load()-base, now-written
	text := fmt.Sprintf("%s, %d/s", durability, s.rate)
	if linger > 0 {
		text += fmt.Sprintf(", linger %s", linger)
	}
	fmt.Printf("%-44s %12d %12d %12d %10.2f %10.0f\n", text, data, data, cost, float64(cost)/float64(data), float64(cost)/float64(n))
	return nil
}

// flashGateway is a gateway that has its own broker and sends every event up.
func flashGateway(ctx context.Context, dir, addr, cloud, durability string, linger time.Duration) (*exec.Cmd, error) {
	home, err := os.MkdirTemp(dir, "flash-")
	if err != nil {
		return nil, err
	}
	app := fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: bench, version: 1.0.0}
triggers:
  - {name: up, mqtt: {topic: sensors/+/temperature}, durability: '%s', then: [{invoke: central/cloud}]}
`, durability)
	return gateway(ctx, dir, home, "skerry", app, fmt.Sprintf("linger: %s\nbroker: {listen: '%s', name: plant, anonymous: true}\n"+
		"targets: [{name: cloud, kind: http, url: 'http://%s/', in_flight: 64}]", linger, addr, cloud))
}

// flashWarm connects once the gateway sends up what it is given.
func flashWarm(ctx context.Context, addr string, s scenario, cloud *sink) (*load, error) {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		l, err := newLoad(ctx, addr, s)
		if err == nil {
			before := cloud.events.Load()
			if err = l.take(l.acks); err == nil {
				err = l.send(0, true)
			}
			for wait := time.Now().Add(300 * time.Millisecond); err == nil && cloud.events.Load() == before && time.Now().Before(wait); {
				time.Sleep(time.Millisecond)
			}
			if err == nil && cloud.events.Load() > before {
				return l, nil
			}
			l.close()
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, fmt.Errorf("the gateway sent nothing up within 20 s: %w", err)
		}
	}
}

// writtenBytes is what a process had written to disks, from /proc/PID/io.
func writtenBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, err
	}
	var n int64
	_, rest, _ := strings.Cut(string(text), "\nwrite_bytes:")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		return 0, fmt.Errorf("read /proc/%d/io: %w", pid, err)
	}
	return n, nil
}

// sink is a cloud that counts what it gets.
type sink struct {
	addr          string
	srv           *http.Server
	bytes, events atomic.Int64
}

func startSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{addr: l.Addr().String()}
	s.srv = &http.Server{Handler: s}
	go s.srv.Serve(l)
	return s, nil
}

func (s *sink) close() { s.srv.Close() }

func (s *sink) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return
	}
	s.bytes.Add(n)
	s.events.Add(1)
}

// wait waits for n events in all.
func (s *sink) wait(ctx context.Context, n int64) error {
	for deadline := time.Now().Add(time.Minute); s.events.Load() < n; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("%d of %d follow-ups arrived", s.events.Load(), n)
		}
	}
	return nil
}
