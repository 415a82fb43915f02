package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/examples"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/uplink"
)

// demoOptions are the flags of skerry demo.
type demoOptions struct {
	length  time.Duration // 0: until interrupted
	offline time.Duration // how long the cloud is cut off; 0: never
	output  string
	rate    int // readings per second, all sensors together
	verbose bool
}

// demoSummary is what skerry demo -o json prints.
type demoSummary struct {
	Events             int64 `json:"events"`              // readings the agent was offered
	Invocations        int64 `json:"invocations"`         // runs of functions
	Filtered           int64 `json:"filtered"`            // readings that no function wanted
	Failures           int64 `json:"failures"`            // failed runs
	FollowupsEmitted   int64 `json:"followups_emitted"`   // committed by functions
	FollowupsDelivered int64 `json:"followups_delivered"` // different ones the central FaaS has
	BytesIn            int64 `json:"bytes_in"`            // of readings
	BytesUp            int64 `json:"bytes_up"`            // written to the cloud's connections, headers included
	P50us              int64 `json:"p50_us"`              // from arrival to the durable outcome
	P99us              int64 `json:"p99_us"`
	RSSBytes           int64 `json:"rss_bytes"` // of this process: agent, broker, plant and cloud
}

func demoCommand() *cobra.Command {
	var opts demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole thing on this machine: plant, broker, registry, agent and cloud",
		Long: `Run a simulated plant of 50 sensors against a real agent, all in this process:
an embedded MQTT broker, a registry made on the fly as an OCI image layout, and
a central FaaS that receives follow-ups. Nothing leaves this machine and nothing
stays on it.

In the summary, p50 and p99 are from an event's arrival at the agent to its
durable outcome, and bytes up are counted on the connections to the cloud.`,
		Example: `  skerry demo                       # until Ctrl-C
  skerry demo --offline 5s          # cut the cloud off and see the outbox fill and drain
  skerry demo --for 10s -o json     # one summary for scripts`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.check(); err != nil {
				return usageError{err}
			}
			return runDemo(cmd.Context(), opts, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.DurationVar(&opts.length, "for", 0, "how long the plant runs (0: until Ctrl-C)")
	f.DurationVar(&opts.offline, "offline", 0, "cut the cloud off for so long, in the middle")
	f.StringVarP(&opts.output, "output", "o", "text", "text or json")
	f.IntVar(&opts.rate, "rate", 1000, "readings per second, all sensors together")
	f.BoolVarP(&opts.verbose, "verbose", "v", false, "show the agent's log on standard error")
	return cmd
}

func (o demoOptions) check() error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	switch {
	case o.length < 0 || o.offline < 0:
		return errors.New("--for and --offline cannot be negative")
	case o.length > 0 && o.offline > 0 && o.offline+2*time.Second > o.length:
		return fmt.Errorf("--offline %s does not fit into --for %s: leave at least 2s for the time before and after", o.offline, o.length)
	case o.rate < 1 || o.rate > 100_000:
		return errors.New("--rate must be from 1 to 100000 readings per second")
	}
	return nil
}

// runDemo builds a small world in a temporary folder, runs it and tears it down.
func runDemo(ctx context.Context, opts demoOptions, out, errOut io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "skerry-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cloud, err := newCloud()
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	if opts.verbose {
		log = slog.New(slog.NewTextHandler(errOut, nil))
	}
	cfg, err := demoConfig(ctx, dir, cloud.url())
	if err != nil {
		return err
	}
	dev, err := newDevice(cfg, tuning{maxBackoff: 500 * time.Millisecond}, log)
	if err != nil {
		return err
	}
	d := &demo{opts: opts, dir: dir, cfg: cfg, device: dev, cloud: cloud, plant: newPlant(cfg.Broker.Listen, opts.rate)}
	return d.run(ctx, out)
}

// demoConfig publishes the examples to a registry in dir, signed with keys that end
// with the demo, and configures a device that runs them.
func demoConfig(ctx context.Context, dir, cloudURL string) (Config, error) {
	registry := fleetsync.Access{Ref: layoutScheme + filepath.Join(dir, "registry"), Keys: filepath.Join(dir, "keys")}
	fleet, err := fleetsync.InitFleet(ctx, fleetsync.InitOptions{Access: registry, Name: "demo"})
	if err != nil {
		return Config{}, err
	}
	for _, app := range []string{"overheat", "rollup"} {
		if err := publishExample(ctx, dir, app, registry); err != nil {
			return Config{}, fmt.Errorf("publish the example %s: %w", app, err)
		}
	}
	addr, err := freeAddress()
	if err != nil {
		return Config{}, err
	}
	cfg := Config{
		Device:   DeviceConfig{ID: "demo-gateway"},
		Data:     filepath.Join(dir, "data"),
		Admin:    AdminConfig{Socket: filepath.Join(dir, "skerry.sock")},
		Page:     PageConfig{Listen: os.Getenv(pageEnv), Write: true}, // else the default, if nobody is there
		Broker:   ListenConfig{Listen: addr, Name: "plant", Anonymous: true},
		Registry: RegistryConfig{Ref: registry.Ref, Root: string(fleet.Root)},
		Targets:  []TargetConfig{{TargetConfig: uplink.TargetConfig{Name: "alerts", Kind: "cloudevents", URL: cloudURL}}},
	}
	cfg.fillDefaults()
	return cfg, nil
}

// writeExample writes an example's files to a folder of its own in dir.
func writeExample(dir, app string) error {
	return fs.WalkDir(examples.Files, app, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := examples.Files.ReadFile(path)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		return os.WriteFile(file, data, 0o600)
	})
}

// publishExample writes an example's files to dir and publishes it from there.
func publishExample(ctx context.Context, dir, app string, registry fleetsync.Access) error {
	if err := writeExample(dir, app); err != nil {
		return err
	}
	_, err := fleetsync.Publish(ctx, fleetsync.PublishOptions{
		Access: registry, AppFile: filepath.Join(dir, app, "app.yaml"), Checks: publishChecks(),
	})
	return err
}

// freeAddress is a loopback address nobody listens on just now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	addr := l.Addr().String()
	return addr, l.Close()
}

// demo is the small world while it runs.
type demo struct {
	opts   demoOptions
	dir    string
	cfg    Config
	device *device
	cloud  *cloud
	plant  *plant
}

// run lasts until the plant's time is over and everything is delivered.
func (d *demo) run(ctx context.Context, out io.Writer) error {
	world, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, world := errgroup.WithContext(world)
	g.Go(func() error { return d.cloud.run(world) })
	g.Go(func() error { return d.device.run(world) })
	g.Go(func() error {
		defer stop()
		return d.story(ctx, world, out)
	})
	return g.Wait()
}

// story is what happens in the demo, in order.
func (d *demo) story(ctx, world context.Context, out io.Writer) error {
	if err := d.ready(world); err != nil {
		return err
	}
	if d.opts.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.opts.length)
		defer cancel()
	}
	screen := newScreen(d, out)
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return d.plant.run(running, world) })
	g.Go(func() error { return d.cutOff(running) })
	g.Go(func() error { return screen.run(running) })
	if err := g.Wait(); err != nil {
		return err
	}
	if err := d.drained(world, screen); err != nil {
		return err
	}
	summary := d.summary()
	if d.opts.output == "json" {
		return json.NewEncoder(out).Encode(summary)
	}
	return screen.end(summary)
}

const demoPatience = 30 * time.Second

// ready waits until the agent runs the examples and the broker listens.
func (d *demo) ready(ctx context.Context) error {
	return poll(ctx, demoPatience, func() error {
		s := d.device.status()
		if len(s.Functions) == 0 {
			return fmt.Errorf("the agent runs no function yet: %s", s.Sync.Error)
		}
		c, err := net.Dial("tcp", d.cfg.Broker.Listen)
		if err != nil {
			return fmt.Errorf("the broker does not listen yet: %w", err)
		}
		return c.Close()
	})
}

// drained waits until the cloud has every follow-up.
func (d *demo) drained(ctx context.Context, screen *screen) error {
	return poll(ctx, demoPatience+d.opts.offline, func() error {
		s := d.summary()
		screen.draw(false)
		if s.FollowupsDelivered != s.FollowupsEmitted {
			return fmt.Errorf("%d of %d follow-ups arrived at the cloud", s.FollowupsDelivered, s.FollowupsEmitted)
		}
		return nil
	})
}

// cutOff takes the cloud away for a while.
func (d *demo) cutOff(ctx context.Context) error {
	if d.opts.offline == 0 {
		return nil
	}
	before := 5 * time.Second
	if d.opts.length > 0 {
		before = (d.opts.length - d.opts.offline) / 2
	}
	if !pause(ctx, before) {
		return nil
	}
	if err := d.cloud.cut(); err != nil {
		return err
	}
	pause(ctx, d.opts.offline)
	return d.cloud.mend()
}

func (d *demo) summary() demoSummary {
	s := d.device.status()
	return demoSummary{
		Events: s.Events.Events, Invocations: s.Events.Invocations, Filtered: s.Events.Filtered,
		Failures: s.Events.Failures, FollowupsEmitted: s.Events.Followups, FollowupsDelivered: d.cloud.different(),
		BytesIn: s.Events.Bytes, BytesUp: cloudTarget(s).BytesUp, P50us: s.Events.P50us, P99us: s.Events.P99us, RSSBytes: s.RSSBytes,
	}
}

// pause waits, and tells whether it waited to the end.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// poll asks again and again until ok answers nil, and returns its last error
// when the patience is over.
func poll(ctx context.Context, patience time.Duration, ok func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := ok()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || !pause(ctx, 20*time.Millisecond) {
			return err
		}
	}
}

// cloudTarget is the outbox of the cloud.
func cloudTarget(s agent.Status) agent.TargetStatus {
	for _, t := range s.Targets {
		if t.Name == "alerts" {
			return t
		}
	}
	return agent.TargetStatus{}
}
