// Command benchwasm measures what WebAssembly costs: one small function, the
// alarm, in each language, run by the agent's runtime. Beside it, in the same
// run and in turns, wazero alone runs the same module as its compiler wrote it,
// and Go does the same work natively. It also measures cold starts, two workers
// beside one, 500 functions at once, and what bounding fuel costs.
//
// Figures are medians of several rounds on this machine; marks are what an
// amd64 server of our time keeps. -strict fails if one is missed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"

	"github.com/skerry-edge/skerry/wasm/codecache"
)

// compileModule as the first argument makes this process one that compiles.
const compileModule = "compile-module"

func main() {
	if len(os.Args) > 1 && os.Args[1] == compileModule {
		os.Exit(codecache.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	rounds := flag.Int("rounds", 5, "alternating rounds; medians are printed")
	format := flag.String("o", "text", "text or json")
	strict := flag.Bool("strict", false, "exit with 1 if a mark is missed")
	only := flag.String("only", "", "regular expression of what to measure: warm, cold, workers, many, fuel")
	languages := flag.String("guest", "", "regular expression of the guests to measure it with")
	many := flag.String("many", "", "be the process with many functions from this folder (used by the bench itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *many != "" {
		err = serveMany(ctx, *many)
	} else {
		err = bench(ctx, *rounds, *format, *strict, *only, *languages)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchwasm:", err)
		os.Exit(1)
	}
}

// measures are all there is to measure.
var measures = []struct {
	name string
	run  func(context.Context, *report, []guest, int) error
}{{"warm", warm}, {"cold", cold}, {"workers", workers}, {"many", many}, {"fuel", fuel}}

// bench runs the measures that only matches, and reports each figure as soon as
// it is there.
func bench(ctx context.Context, rounds int, format string, strict bool, only, languages string) error {
	if format != "text" && format != "json" {
		return fmt.Errorf("-o %s is not known; use text or json", format)
	}
	what, err1 := regexp.Compile(only)
	which, err2 := regexp.Compile(languages)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	guests, missing, err := findGuests(ctx, which)
	if err != nil {
		return err
	}
	var r report
	r.live = format == "text"
	for _, name := range missing {
		r.failed(name, errors.New("its module is missing"))
	}
	for _, m := range measures {
		if !what.MatchString(m.name) {
			continue
		}
		if err := m.run(ctx, &r, guests, rounds); err != nil {
			return err
		}
	}
	if format == "json" {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(r.figures); err != nil {
			return err
		}
	}
	if n := r.missed(); n > 0 && strict {
		return fmt.Errorf("%d marks are missed", n)
	}
	return nil
}
