package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/fleetsim"
	"github.com/skerry-edge/skerry/sensors"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// simFlags are the flags of skerry fleet sim as they are written.
type simFlags struct {
	opts               fleetsim.Options
	loss, away, errors string
	steps              []string
	labels             []string
	broker             brokerAccess
	output             string
}

func fleetSimCommand() *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use:   "sim [app.yaml] [fleet.yaml]",
		Short: "Rehearse a rollout on many simulated devices",
		Long: `Roll an app out to simulated devices, on this machine and in a throw-away
repository: what it is published to for real is not touched. The devices use the
agent's own sync: signatures, downloads, selection, percentages, health gates and
the return to the version before. Their functions, links and clock are simulated,
so that a day passes in seconds.

First every device gets the version before (--was, or the same app as 0.0.0),
then the app comes to one percentage after the other. With a fleet document the
percentages are those of its assignments of that version, and the version before
stands for all others. Without an app an example is taken.`,
		Example: `  skerry fleet sim --devices 1000 --loss 20% --offline 10%
  skerry fleet sim app.yaml fleet.yaml --label site=west:30,east:70 --steps 1,10,100
  skerry fleet sim app.yaml --errors 20% --steps 10 --hold 1h`,
		Args: args(0, 2),
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := f.read(files); err != nil {
				return usageError{err}
			}
			dir, err := os.MkdirTemp("", "skerry-sim-*")
			if err != nil {
				return fmt.Errorf("make a folder to rehearse in: %w", err)
			}
			defer os.RemoveAll(dir)
			return f.run(cmd, dir)
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&f.opts.Devices, "devices", 1000, "how many, up to 100000")
	fl.StringVar(&f.loss, "loss", "0%", "share of requests that get lost on the way")
	fl.StringVar(&f.away, "offline", "0%", "share of devices that are away at any time")
	fl.DurationVar(&f.opts.AwayFor, "offline-for", time.Hour, "how long a device is away at a time")
	fl.StringVar(&f.errors, "errors", "0%", "share of the new version's runs that fail")
	fl.Float64Var(&f.opts.Rate, "rate", 60, "runs of a function per minute")
	fl.StringSliceVar(&f.steps, "steps", []string{"1", "10", "100"}, "percentages, one after the other")
	fl.DurationVar(&f.opts.Hold, "hold", 6*time.Hour, "simulated time from one step to the next")
	fl.DurationVar(&f.opts.Poll, "poll", time.Hour, "how often devices look, unless the fleet document says so")
	fl.DurationVar(&f.opts.Jitter, "jitter", 5*time.Minute, "of devices that were woken by a hint")
	fl.BoolVar(&f.opts.Hint, "hint", true, "devices are woken by a hint, besides looking by themselves")
	fl.StringVar(&f.opts.Was, "was", "", "app.yaml of the version before")
	fl.StringVar(&f.opts.Registry, "registry", "", "scratch repository to rehearse in, oci://HOST/REPOSITORY, in place of one in this process")
	f.broker.flags(cmd, "broker", "leave the devices' reports at this broker after each step, for skerry fleet status --fleet rehearsal")
	fl.StringArrayVar(&f.labels, "label", nil, "a label and its shares in percent: site=west:30,east:70")
	fl.StringVarP(&f.output, "output", "o", "text", "text or json")
	return cmd
}

// read checks the flags.
func (f *simFlags) read(files []string) error {
	o := &f.opts
	if err := checkOutput(f.output); err != nil {
		return err
	}
	if o.Devices < 1 || o.Devices > 100_000 {
		return fmt.Errorf("--devices %d: 1 to 100000 can be simulated", o.Devices)
	}
	for _, d := range []struct {
		flag string
		is   time.Duration
	}{{"hold", o.Hold}, {"poll", o.Poll}, {"offline-for", o.AwayFor}} {
		if d.is < time.Minute || d.is > 365*24*time.Hour {
			return fmt.Errorf("--%s %s: write 1m to 8760h", d.flag, d.is)
		}
	}
	if o.Jitter < 0 || o.Rate < 0 {
		return errors.New("--jitter and --rate must not be negative")
	}
	for flag, part := range map[string]struct {
		text string
		into *float64
	}{"loss": {f.loss, &o.Loss}, "offline": {f.away, &o.Away}, "errors": {f.errors, &o.Errors}} {
		percent, err := parsePercent(part.text)
		if err != nil {
			return fmt.Errorf("--%s %s: %w", flag, part.text, err)
		}
		*part.into = percent / 100
	}
	for _, text := range f.steps {
		percent, err := parsePercent(text)
		if err != nil {
			return fmt.Errorf("--steps %s: %w", text, err)
		}
		o.Steps = append(o.Steps, percent)
	}
	for _, text := range f.labels {
		label, err := parseShares(text)
		if err != nil {
			return fmt.Errorf("--label %s: %w", text, err)
		}
		o.Labels = append(o.Labels, label)
	}
	var err error
	if o.App, o.Fleet, err = sortFiles(files); err == nil && o.App == "" && o.Fleet != "" {
		err = fmt.Errorf("%s says who runs what: name the app.yaml too that is rolled out", o.Fleet)
	}
	return err
}

// parsePercent reads "20%" and "20".
func parsePercent(text string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), "%"), 64)
	if err != nil || !(n >= 0 && n <= 100) {
		return 0, errors.New("write a percentage, 0 to 100, as in 20%")
	}
	return n, nil
}

// parseShares reads "site=west:30,east:70".
func parseShares(text string) (fleetsim.Label, error) {
	name, list, ok := strings.Cut(text, "=")
	label, sum := fleetsim.Label{Name: name}, 0.0
	for part := range strings.SplitSeq(list, ",") {
		value, share, _ := strings.Cut(part, ":")
		percent, err := parsePercent(share)
		if !ok || name == "" || value == "" || err != nil {
			return label, errors.New("write name=value:percent,value:percent, as in site=west:30,east:70")
		}
		label.Shares = append(label.Shares, fleetsim.Share{Value: value, Percent: percent})
		sum += percent
	}
	if sum > 100 {
		return label, fmt.Errorf("its shares are %g percent together, at most 100", sum)
	}
	return label, nil
}

// run rehearses, and tells how it goes.
func (f *simFlags) run(cmd *cobra.Command, dir string) error {
	o, out := &f.opts, cmd.OutOrStdout()
	o.Dir, o.Checks = dir, publishChecks()
	if o.App == "" {
		if err := writeExample(dir, "overheat"); err != nil {
			return fmt.Errorf("write the example: %w", err)
		}
		o.App = filepath.Join(dir, "overheat", "app.yaml")
	}
	live := f.output == "text" && isTerminal(os.Stderr)
	if f.output == "text" {
		fmt.Fprintf(out, "%d devices, %s of requests lost, %s of devices away, looking every %s\n", o.Devices, f.loss, f.away, o.Poll)
		fmt.Fprintf(out, "%-9s %9s %7s %10s %12s %7s %9s %9s %10s  %s\n", "step", "after", "behind", "probation", "rolled back", "flapped", "half by", "95% by", "down/dev", "devices by version")
	}
	o.Told = func(s fleetsim.Step) {
		switch {
		case f.output != "text":
		case s.Done:
			if live {
				fmt.Fprint(cmd.ErrOrStderr(), "\r\x1b[K")
			}
			fmt.Fprintln(out, simLine(s))
		case live:
			fmt.Fprint(cmd.ErrOrStderr(), "\r\x1b[K"+simLine(s))
		}
	}
	if f.broker.URL != "" {
		o.Report = func(list []fleetsim.Report) error { return leaveReports(cmd.Context(), f.broker, list) }
	}
	steps, err := fleetsim.Rehearse(cmd.Context(), *o)
	if err == nil && f.output == "json" {
		return json.NewEncoder(out).Encode(steps)
	}
	if err == nil {
		err = simVerdict(out, steps)
	}
	return err
}

// leaveReports leaves the devices' reports at a broker, as they would themselves.
func leaveReports(ctx context.Context, broker brokerAccess, list []fleetsim.Report) error {
	var records []agent.Record
	leave := func(topic string, data []byte) {
		records = append(records, agent.Record{Event: agent.Event{Subject: topic, Data: data, QoS: 1}, Retain: true})
	}
	for i := range list {
		r := &list[i]
		online := "0"
		if r.Online {
			online = "1"
		}
		leave(fleetsync.ReportTopic(r.Fleet, r.Device), r.Encode())
		leave(fleetsync.OnlineTopic(r.Fleet, r.Device), []byte(online))
	}
	err := broker.connected(ctx, func(*agent.Event, func(error)) {}, func(ctx context.Context, m *sensors.MQTT) error {
		return errors.Join(m.Send(ctx, records)...)
	})
	if err != nil {
		return fmt.Errorf("leave the devices' reports: %w", err)
	}
	return nil
}

func simLine(s fleetsim.Step) string {
	var by []string
	for _, v := range slices.Sorted(maps.Keys(s.Versions)) {
		name := v
		if v == "" {
			name = "none"
		}
		by = append(by, fmt.Sprintf("%s: %d", name, s.Versions[v]))
	}
	took := func(d time.Duration) string {
		if d == 0 {
			return "-"
		}
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%-9s %9s %7d %10d %12d %7d %9s %9s %10s  %s", s.Name, s.After.Round(time.Second), s.Behind, s.Probation,
		s.RolledBack, s.Flapped, took(s.HalfAfter), took(s.MostAfter), agent.BytesText(s.BytesDown/int64(s.Devices)), strings.Join(by, ", "))
}

// simVerdict says in words what the table shows.
func simVerdict(w io.Writer, steps []fleetsim.Step) error {
	last := steps[len(steps)-1]
	var b strings.Builder
	switch {
	case last.RolledBack > 0:
		fmt.Fprintf(&b, "The new version failed its health gate: %d devices are back on the version before, by themselves.\n", last.RolledBack)
	case last.Behind > 0:
		fmt.Fprintf(&b, "%d devices have not seen the last step yet: a longer --hold shows when they do.\n", last.Behind)
	default:
		fmt.Fprintln(&b, "Every device runs what it was meant to run.")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
