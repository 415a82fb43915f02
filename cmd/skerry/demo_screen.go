package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/examples"
)

// screen shows the demo to a person: on a terminal a picture that is redrawn,
// elsewhere a line per second. With -o json it shows nothing.
type screen struct {
	demo     *demo
	out      io.Writer
	quiet    bool
	terminal bool
	started  time.Time
	last     demoSummary
	lastAt   time.Time
	perSec   float64
	lines    int // drawn the last time
}

func newScreen(d *demo, out io.Writer) *screen {
	now := time.Now()
	s := &screen{demo: d, out: out, quiet: d.opts.output == "json", started: now, lastAt: now}
	if f, ok := out.(*os.File); ok {
		s.terminal = isTerminal(f)
	}
	return s
}

// run draws until ctx ends.
func (s *screen) run(ctx context.Context) error {
	if s.quiet {
		return nil
	}
	fmt.Fprintf(s.out, `
  50 sensors ─MQTT▶ broker ▶ agent: functions in WebAssembly ─follow-ups▶ central FaaS
                               ▲ pulled from %s

  overheat   C, %s: alarm with hysteresis, one follow-up per fault
  rollup     AssemblyScript, %s: mean per sensor, published every 20 readings
  Each run is a transaction: state, publishes, follow-ups and the MQTT
  acknowledgement are committed together.

  In another terminal:  %s status --socket %s
%s
`, s.demo.cfg.Registry.Ref, moduleSize("overheat"), moduleSize("rollup"), os.Args[0], s.demo.cfg.Admin.Socket, s.demo.pageText())
	every := time.Second
	if s.terminal {
		every = 250 * time.Millisecond
	}
	for pause(ctx, every) {
		s.draw(true)
	}
	return nil
}

// pageText says where the agent's page is, if it has one.
func (d *demo) pageText() string {
	link, err := d.device.pageLink()
	if err != nil { // another program is where it would be
		return ""
	}
	return "  In a browser:         " + link + "\n"
}

func moduleSize(example string) string {
	module, err := examples.Files.ReadFile(example + "/" + example + ".wasm")
	if err != nil {
		return "missing"
	}
	return agent.BytesText(int64(len(module)))
}

// draw shows where things stand; away from a terminal only when asked to.
func (s *screen) draw(line bool) {
	if s.quiet || !s.terminal && !line {
		return
	}
	now, sum := time.Now(), s.demo.summary()
	if passed := now.Sub(s.lastAt).Seconds(); passed >= 0.2 {
		s.perSec = float64(sum.Events-s.last.Events) / passed
		s.last, s.lastAt = sum, now
	}
	waiting := cloudTarget(s.demo.device.status()).Waiting
	if !s.terminal {
		fmt.Fprintf(s.out, "%4.0fs  %6.0f events/s  %7d runs  outbox %3d  follow-ups %d of %d at the cloud%s  in %s, up %s\n",
			now.Sub(s.started).Seconds(), s.perSec, sum.Invocations, waiting, sum.FollowupsDelivered,
			sum.FollowupsEmitted, s.link(), agent.BytesText(sum.BytesIn), agent.BytesText(sum.BytesUp))
		return
	}
	s.redraw(s.picture(sum, waiting))
}

func (s *screen) link() string {
	if s.demo.cloud.online() {
		return ""
	}
	return " (cut off)"
}

func (s *screen) picture(sum demoSummary, waiting int) []string {
	cloud := "online"
	if !s.demo.cloud.online() {
		cloud = cutOff
	}
	lines := []string{
		fmt.Sprintf("  plant    %8.0f readings/s  %9d in all, %d faults injected", s.perSec, sum.Events, s.demo.plant.faults.Load()),
		fmt.Sprintf("  agent    %8d runs, %d failed; durable after %s (p50), %s (p99); %s of memory",
			sum.Invocations, sum.Failures, micros(sum.P50us), micros(sum.P99us), agent.BytesText(sum.RSSBytes)),
		fmt.Sprintf("  outbox   %8d waiting  %s", waiting, strings.Repeat("▪", min(waiting, 60))),
		fmt.Sprintf("  cloud    %8d of %d follow-ups there, %s", sum.FollowupsDelivered, sum.FollowupsEmitted, cloud),
		fmt.Sprintf("  bytes    %s in, %s up: %.1f %%", agent.BytesText(sum.BytesIn), agent.BytesText(sum.BytesUp), percent(sum.BytesUp, sum.BytesIn)),
		"",
		"  follow-ups as they arrive:",
	}
	for _, f := range s.demo.cloud.recent() {
		lines = append(lines, fmt.Sprintf("    %s  %s", f.at.Format("15:04:05.000"), f.body))
	}
	return lines
}

func percent(part, whole int64) float64 { return 100 * float64(part) / float64(max(1, whole)) }

// redraw replaces what was drawn the last time. Lines are cut to the terminal's
// width: one that wraps would spoil the picture.
func (s *screen) redraw(lines []string) {
	width, height := terminalSize()
	lines = lines[:min(len(lines), height-2)]
	var b strings.Builder
	if s.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.lines)
	}
	for _, l := range lines {
		if text := []rune(l); len(text) >= width {
			l = string(text[:width-1])
		}
		b.WriteString("\x1b[2K" + strings.Replace(l, cutOff, "\x1b[31m"+cutOff+"\x1b[0m", 1) + "\n")
	}
	for range s.lines - len(lines) {
		b.WriteString("\x1b[2K\n")
	}
	s.lines = max(s.lines, len(lines))
	io.WriteString(s.out, b.String()) // a picture that cannot be shown is no reason to stop
}

// terminalSize is what standard output shows, or the size of old.
func terminalSize() (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col < 20 || size.Row < 5 {
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}

const cutOff = "CUT OFF"

// end tells how it went.
func (s *screen) end(sum demoSummary) error {
	_, err := fmt.Fprintf(s.out, `
  %d readings became %d follow-ups; all %d are at the central FaaS.
  %s came in, %s went up (%.1f %%). Runs: %d, failed: %d. p50 %s, p99 %s to the durable outcome.
`, sum.Events, sum.FollowupsEmitted, sum.FollowupsDelivered, agent.BytesText(sum.BytesIn), agent.BytesText(sum.BytesUp),
		percent(sum.BytesUp, sum.BytesIn), sum.Invocations, sum.Failures, micros(sum.P50us), micros(sum.P99us))
	return err
}
