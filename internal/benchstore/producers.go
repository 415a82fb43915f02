package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skerry-edge/skerry/internal/store"
)

const recordBytes = 500

func newRecord() []byte {
	b := make([]byte, recordBytes)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// benchProducers lets 32 producers write single durable records.
func benchProducers(ctx context.Context, dir string, rounds int, length time.Duration) error {
	perSec := make([][]float64, len(engines))
	for range rounds {
		for i := range engines {
			n, err := produce(ctx, dir, engines[i], length)
			if err != nil {
				return fmt.Errorf("%s: %w", engines[i].name, err)
			}
			perSec[i] = append(perSec[i], n/length.Seconds())
		}
	}
	fmt.Printf("32 producers, durable records of %d bytes, %d rounds\n", recordBytes, rounds)
	for i := range engines {
		line := fmt.Sprintf("  %-46s %8.0f records/s", engines[i].name, median(perSec[i]))
		if i > 0 {
			line += fmt.Sprintf("   skerry / this: %.2f", median(ratios(perSec[0], perSec[i])))
		}
		fmt.Println(line)
	}
	return nil
}

// produce tells how many records became durable.
func produce(ctx context.Context, parent string, o opener, length time.Duration) (float64, error) {
	dir := filepath.Join(parent, "producers")
	defer os.RemoveAll(dir)
	e, err := o.open(dir)
	if err != nil {
		return 0, err
	}
	var (
		g    errgroup.Group
		n    atomic.Int64
		end  = time.Now().Add(length)
		data = newRecord()
	)
	for range 32 {
		g.Go(func() error {
			for time.Now().Before(end) {
				if err := e.put(ctx, data); err != nil {
					return err
				}
				n.Add(1)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	return float64(n.Load()), e.Close()
}

// benchBytes prints what the store writes to the disk for each byte it is given.
func benchBytes(ctx context.Context, dir string, length time.Duration) error {
	fmt.Println("bytes written to the disk per byte accepted")
	for _, tt := range []struct {
		name      string
		every     time.Duration // between groups; 0: as fast as possible
		producers int
		group     int // records that one commit takes
	}{
		{"groups of 64 records", 0, 1, 64},
		{"32 producers of single records", 0, 32, 1},
		{"100 records/s, groups of what 50 ms bring", 50 * time.Millisecond, 1, 5}, // as the agent lingers
		{"100 records/s, one by one", 10 * time.Millisecond, 8, 1},
	} {
		e, err := openStore(filepath.Join(dir, "bytes"), store.Options{})
		if err != nil {
			return err
		}
		before, err := written()
		if err != nil {
			return err
		}
		n, err := feed(ctx, e, tt.producers, tt.group, tt.every, length)
		if err != nil {
			return err
		}
		after, err := written()
		if err != nil {
			return err
		}
		fmt.Printf("  %-46s %8.2f\n", tt.name, (after-before)/float64(n*recordBytes))
		if err := e.Close(); err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(dir, "bytes")); err != nil {
			return err
		}
	}
	return nil
}

// feed gives records to e, one group every so often, and returns their number.
func feed(ctx context.Context, e engine, producers, group int, every, length time.Duration) (int64, error) {
	var (
		g    errgroup.Group
		n    atomic.Int64
		data = make([][]byte, group)
		end  = time.Now().Add(length)
		due  = make(chan struct{})
	)
	for i := range data {
		data[i] = newRecord()
	}
	go func() {
		defer close(due)
		for next := time.Now(); next.Before(end); next = next.Add(every) {
			time.Sleep(time.Until(next))
			if every == 0 {
				next = time.Now()
			}
			due <- struct{}{}
		}
	}()
	for range producers {
		g.Go(func() error {
			for range due {
				if err := e.put(ctx, data...); err != nil {
					return err
				}
				n.Add(int64(group))
			}
			return nil
		})
	}
	err := g.Wait()
	return n.Load(), err
}

// written is what this process has sent to the disk so far.
func written() (n float64, err error) {
	return ofThisProcess("io", "\nwrite_bytes:")
}

// ofThisProcess is the number behind a label in a file of /proc/self.
func ofThisProcess(file, label string) (n float64, err error) {
	b, err := os.ReadFile("/proc/self/" + file)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), label)
	_, err = fmt.Sscan(rest, &n)
	return n, err
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

func ratios(a, b []float64) []float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = a[i] / b[i]
	}
	return list
}
