package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// figures are one measurement.
type figures struct {
	perSec   float64 // events
	cpu      float64 // seconds of the peer per 100,000 events
	rss      float64 // MB of the peer, at the end
	p50, p99 time.Duration
}

// runBench measures all scenarios and prints the medians.
func runBench(ctx context.Context, rounds int, length time.Duration, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	dir, err := os.MkdirTemp("", "skerry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for program, tags := range map[string]string{"skerry": "", "skerry-sync-each": "synceach"} {
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", tags, "-o", filepath.Join(dir, program), "./cmd/skerry")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build skerry: %w\n%s", err, out)
		}
	}
	fmt.Printf("%d rounds of %s each, medians; 50 topics, 125-byte events, everything on this machine\n", rounds, length)
	sync, err := syncTime(dir)
	if err != nil {
		return err
	}
	fmt.Printf("a sync of this disk: %s\n\n%-36s %-14s %11s %12s %9s %9s %8s\n", sync.Round(time.Microsecond), "", "", "events/s", "CPU s/100k", "p50", "p99", "RSS MB")
	for _, s := range scenarios {
		if !wanted.MatchString(s.String()) {
			continue
		}
		if err := measureScenario(ctx, s, dir, rounds, length); err != nil {
			return err
		}
	}
	if !wanted.MatchString("flash") {
		return nil
	}
	return measureFlash(ctx, dir, length)
}

func measureScenario(ctx context.Context, s scenario, dir string, rounds int, length time.Duration) error {
	peers := peersOf(s)
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
	var ours figures
	for i, p := range peers {
		m := median(results[i])
		fmt.Printf("%-36s %-14s %11.0f %12.2f %9s %9s %8.0f\n", s, p.name, m.perSec, m.cpu, m.p50.Round(time.Microsecond), m.p99.Round(time.Microsecond), m.rss)
		if i == 0 {
			ours = m
			continue
		}
		fmt.Printf("%-36s %-14s %10.2fx %11.2fx %8.2fx %8.2fx %7.2fx\n", "", "  skerry is", ours.perSec/m.perSec, ours.cpu/m.cpu,
			float64(ours.p50)/float64(m.p50), float64(ours.p99)/float64(m.p99), ours.rss/m.rss)
	}
	fmt.Println()
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
		rss:    mid(func(f figures) float64 { return f.rss }),
		p50:    time.Duration(mid(func(f figures) float64 { return float64(f.p50) })),
		p99:    time.Duration(mid(func(f figures) float64 { return float64(f.p99) })),
	}
}

// measure starts a broker, unless the peer is one, and the peer, warms it up,
// loads it and stops both. A fresh broker holds no session of an earlier peer,
// whose queue would be filled, or delivered, at this one's expense.
func measure(ctx context.Context, s scenario, p peer, dir string, length time.Duration) (f figures, err error) {
	addr, err := freeAddr()
	if err != nil {
		return f, err
	}
	if !s.embedded {
		broker, err := startMosquitto(dir, addr)
		if err != nil {
			return f, err
		}
		defer stop(broker)
	}
	cmd, err := p.start(ctx, dir, addr, s.qos)
	if err != nil {
		return f, err
	}
	if err := start(cmd); err != nil {
		return f, err
	}
	defer stop(cmd)
	if err := warmUp(ctx, addr, s); err != nil {
		return f, err
	}
	l, err := newLoad(ctx, addr, s)
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
	after, err1 := cpuSeconds(cmd.Process.Pid)
	rss, err2 := residentMB(cmd.Process.Pid)
	return figures{
		perSec: float64(n) / took.Seconds(), cpu: (after - before) / float64(n) * 100_000, rss: rss,
		p50: l.percentile(50), p99: l.percentile(99),
	}, errors.Join(err1, err2)
}

func start(cmd *exec.Cmd) error {
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.Start()
}

func stop(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// warmUp publishes hot readings until the peer answers, then a second of load.
func warmUp(ctx context.Context, addr string, s scenario) error {
	s.rate, s.conns = 0, 1
	first := s
	first.every = 1
	deadline := time.Now().Add(20 * time.Second)
	for {
		alive, err := tryOut(ctx, addr, first)
		if alive {
			l, err := newLoad(ctx, addr, s)
			if err != nil {
				return err
			}
			defer l.close()
			n, err := l.publish(ctx, time.Second)
			if err != nil {
				return err
			}
			return l.drain(ctx, n)
		}
		if time.Now().After(deadline) {
			return errors.Join(errors.New("the peer did not answer within 20 s"), err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// tryOut tells whether one reading leads to an alarm.
func tryOut(ctx context.Context, addr string, s scenario) (bool, error) {
	l, err := newLoad(ctx, addr, s)
	if err != nil {
		return false, err // the peer may not listen yet
	}
	defer l.close()
	if err := l.send(0, true); err != nil {
		return false, err
	}
	for wait := time.Now().Add(200 * time.Millisecond); l.alarms.Load() == 0 && time.Now().Before(wait); {
		time.Sleep(time.Millisecond)
	}
	return l.alarms.Load() > 0, nil
}
