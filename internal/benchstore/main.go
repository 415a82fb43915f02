// Command benchstore measures the store beside Badger on the same disk, in the
// same run and in turns: durable records of 500 bytes from 32 producers, the
// bytes that each of them costs on the disk, and how soon a store with a
// million waiting records is there again after kill -9. Only the ratios carry
// over to another machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 5, "alternating rounds; medians are printed")
	length := flag.Duration("for", time.Second, "length of each measurement")
	records := flag.Int("records", 1_000_000, "records that wait when the store is killed")
	dir := flag.String("dir", "", "where to write; empty means a temporary folder")
	child := flag.String("child", "", "fill or open the store in -dir (used by the bench itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch *child {
	case "fill":
		err = fill(ctx, *dir, *records)
	case "open":
		err = open(ctx, *dir)
	default:
		err = bench(ctx, *dir, *rounds, *length, *records)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchstore:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, parent string, rounds int, length time.Duration, records int) error {
	dir, err := os.MkdirTemp(parent, "skerry-benchstore-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := benchProducers(ctx, dir, rounds, length); err != nil {
		return err
	}
	if err := benchBytes(ctx, dir, 3*length); err != nil {
		return err
	}
	return benchReopen(ctx, dir, rounds, records)
}
