package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/internal/store"
)

// benchReopen kills a store in which records wait and measures the next start.
func benchReopen(ctx context.Context, parent string, rounds, records int) error {
	dir := filepath.Join(parent, "reopen")
	if err := fillAndKill(ctx, dir, records); err != nil {
		return err
	}
	var first, cpu, whole, memory []float64
	for range rounds {
		cmd, out, err := self(ctx, "-child", "open", "-dir", dir)
		if err != nil {
			return err
		}
		var f, c, w, m float64
		var n int
		if _, err := fmt.Fscan(out, &n, &f, &c, &w, &m); err != nil || n != records {
			return fmt.Errorf("open again: %d records of %d, %w", n, records, err)
		}
		first, cpu, whole, memory = append(first, f), append(cpu, c), append(whole, w), append(memory, m)
		if err := kill(cmd); err != nil { // so that the next start follows a kill too
			return err
		}
	}
	fmt.Printf("%d waiting records of %d bytes after kill -9\n", records, recordBytes)
	fmt.Printf("  %-46s %8.0f ms, %.0f ms of processor time\n", "first record out", median(first), median(cpu))
	fmt.Printf("  %-46s %8.0f ms\n", "all of them verified", median(whole))
	fmt.Printf("  %-46s %8.1f MB\n", "anonymous memory, highest", median(memory))
	return nil
}

func fillAndKill(ctx context.Context, dir string, records int) error {
	cmd, out, err := self(ctx, "-child", "fill", "-dir", dir, "-records", fmt.Sprint(records))
	if err != nil {
		return err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "full\n" {
		return fmt.Errorf("fill the store: %q, %w", line, err)
	}
	return kill(cmd)
}

// self starts this program again.
func self(ctx context.Context, args ...string) (*exec.Cmd, io.Reader, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return cmd, out, cmd.Start()
}

func kill(cmd *exec.Cmd) error {
	if err := cmd.Process.Kill(); err != nil {
		return err
	}
	_ = cmd.Wait() // it says that it was killed
	return nil
}

// fill is the child that is killed when its records are durable.
func fill(ctx context.Context, dir string, records int) error {
	e, err := openStore(dir, store.Options{})
	if err != nil {
		return err
	}
	data := make([][]byte, 100)
	for i := range data {
		data[i] = newRecord()
	}
	for n := 0; n < records; n += len(data) {
		if err := e.put(ctx, data[:min(len(data), records-n)]...); err != nil {
			return err
		}
	}
	fmt.Println("full")
	<-ctx.Done()
	return nil
}

// open is the child that starts on what was left: it prints the number of
// records, milliseconds to the first one, of processor time until then, to the
// last verified one, and megabytes.
func open(ctx context.Context, dir string) error {
	began := time.Now()
	s, err := store.Open(dir, store.Options{Quota: 16 << 30, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := s.Queue("target/cloud").Next(ctx, 0, 1); err != nil {
		return err
	}
	first, used := time.Since(began), processorTime()
	highest, err := anonymous()
	if err != nil {
		return err
	}
	go s.Run(ctx)
	for !s.Verified() {
		time.Sleep(time.Millisecond)
		now, err := anonymous()
		if err != nil {
			return err
		}
		highest = max(highest, now)
	}
	fmt.Println(s.Queue("target/cloud").Len(), first.Seconds()*1000, used.Seconds()*1000, time.Since(began).Seconds()*1000, highest)
	<-ctx.Done()
	return nil
}

func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// anonymous is the resident memory of this process without files, in MB.
func anonymous() (mb float64, err error) {
	kb, err := ofThisProcess("status", "\nRssAnon:")
	return kb / 1000, err
}
