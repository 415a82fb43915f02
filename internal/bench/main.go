// Command bench measures the way of an event through a broker and back:
// mosquitto, Skerry with the function in WebAssembly, mosquitto. Beside it, in
// the same run and in turns, a bare paho subscriber does the same work
// natively in Go and keeps nothing. It prints the figures of both and their
// ratio; only the ratio carries over to another machine.
//
// All of it shares this machine's cores, so events/s is a figure of the whole
// box; CPU seconds per 100,000 events is the peer's own.
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
	rounds := flag.Int("rounds", 3, "alternating rounds; medians are printed")
	length := flag.Duration("for", 3*time.Second, "length of each measurement")
	peer := flag.String("peer", "", "be the bare paho subscriber on this broker (used by the bench itself)")
	qos := flag.Int("qos", 0, "QoS of the -peer")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *peer != "" {
		err = runBare(ctx, *peer, byte(*qos))
	} else {
		err = runBench(ctx, *rounds, *length)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
