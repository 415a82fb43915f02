// Command bench measures the way of an event through a broker and back:
// mosquitto, Skerry with the function in WebAssembly, mosquitto. Beside it, in
// the same run and in turns, others do the same work and keep nothing: a bare
// paho subscriber and a hook in a bare mochi broker, natively in Go, and
// Node-RED. It prints the figures of all and their ratios; only the ratios carry
// over to another machine.
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
	rounds := flag.Int("rounds", 5, "alternating rounds; medians are printed")
	length := flag.Duration("for", 3*time.Second, "length of each measurement")
	only := flag.String("only", "", "regular expression of the scenarios to measure")
	peer := flag.String("peer", "", "be a peer: paho or mochi (used by the bench itself)")
	at := flag.String("at", "", "the broker of -peer paho, the address of -peer mochi")
	qos := flag.Int("qos", 0, "QoS of the -peer")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch *peer {
	case "paho":
		err = runBare(ctx, *at, byte(*qos))
	case "mochi":
		err = runMochi(ctx, *at, byte(*qos))
	default:
		err = runBench(ctx, *rounds, *length, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
