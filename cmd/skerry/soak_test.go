package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

const (
	soakQuota  = 64 << 20 // bytes of the gateway's data
	soakDay    = 432_000  // events of a day: 50 sensors, one reading in 10 s
	soakGrowth = 1.05     // of memory, from behind the warm-up to the end
)

// TestSoak runs days of a plant as fast as they go. Behind the first quarter
// memory, goroutines and files stay as they are; the disk stays under its quota.
// SOAK_TIME is for how long; memory is compared from 5 minutes on.
func TestSoak(t *testing.T) {
	length := seconds(t, "SOAK_TIME", 10*time.Second)
	r := newLedgerRig(t, ledgerOptions{
		app:     ledgerApp(t, "env: {}", "qos: 1"),
		gateway: "limits: {disk: 64MiB}\n",
	})
	stop := make(chan struct{})
	pressed := make(chan struct{})
	go func() {
		r.plant.Press(2000, stop)
		close(pressed)
	}()
	var samples []usage
	var disk int64
	for start := time.Now(); time.Since(start) < length; wait(length / 100) {
		samples = append(samples, r.usage())
		disk = max(disk, size(t, r.path("data")))
	}
	close(stop)
	<-pressed
	r.plant.Complete(time.Minute)
	r.proc.Stop()
	for _, wrong := range r.plant.Audit(nil) {
		t.Error(wrong)
	}

	quarter := len(samples) / 4
	early, late := middle(samples[quarter:2*quarter]), middle(samples[len(samples)-quarter:])
	events := r.plant.Published()
	t.Logf("%d events in %s: %.1f days of 50 sensors; disk at most %d MiB", events, length, float64(events)/soakDay, disk>>20)
	for i := range min(10, len(samples)) {
		t.Logf("tenth %2d: %s", i+1, middle(samples[i*len(samples)/10:(i+1)*len(samples)/10]))
	}
	if disk > soakQuota {
		t.Errorf("the data directory has %d MiB, at most %d", disk>>20, soakQuota>>20)
	}
	if late.goroutines > early.goroutines+leakBound || late.files > early.files+leakBound {
		t.Error("goroutines or files grow")
	}
	if late.rss > memoryBound {
		t.Errorf("the gateway takes %d MiB, at most %d", late.rss>>20, memoryBound>>20)
	}
	if length >= 5*time.Minute && float64(late.rss) > soakGrowth*float64(early.rss) {
		t.Error("memory grows")
	}
}

func (u usage) String() string {
	const mib = 1 << 20
	return fmt.Sprintf("%.1f MiB (%.1f anonymous), %d goroutines, %d files",
		float64(u.rss)/mib, float64(u.anon)/mib, u.goroutines, u.files)
}

// middle is the median of each number.
func middle(samples []usage) usage {
	median := func(of func(usage) int) int {
		var all []int
		for _, s := range samples {
			all = append(all, of(s))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return usage{
		rss:        median(func(u usage) int { return u.rss }),
		anon:       median(func(u usage) int { return u.anon }),
		goroutines: median(func(u usage) int { return u.goroutines }),
		files:      median(func(u usage) int { return u.files }),
	}
}

// size is what the files below dir take on the disk.
func size(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += blocks(info)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) { // files come and go
		t.Fatal(err)
	}
	return sum
}

// blocks is what a file really takes: Badger makes files that are mostly holes.
func blocks(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
