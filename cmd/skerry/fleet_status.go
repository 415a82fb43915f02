package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/sensors"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// fleetStatusOptions are what the flags say.
type fleetStatusOptions struct {
	broker brokerAccess
	fleet  string // "": all there are
	app    string // only devices that have it
	behind bool   // only devices that do not have the newest revision
	all    bool   // a line for each device
	watch  bool
	quiet  time.Duration // so long nothing comes any more: it was all
	output string
}

func fleetStatusCommand() *cobra.Command {
	var o fleetStatusOptions
	cmd := &cobra.Command{
		Use:   "status --broker URL [--fleet NAME]",
		Short: "Show what the devices of a fleet say of themselves",
		Long: `Show what the devices of a fleet say of themselves: what runs how often, and who
went back to an older version, is held back, behind, failing or away, and why. The
devices leave their reports at a broker (fleet.broker in their configuration). Reports
are not signed: whoever may publish there can write one.`,
		Example: "  skerry fleet status --broker mqtts://hub.example:8883 --fleet plant-west --username ops --password-file ops.password\n" +
			"  skerry fleet status --broker tcp://127.0.0.1:1883 --app overheat --all",
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return usageError{err}
			}
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	o.broker.flags(cmd, "broker", "the fleet's broker, such as mqtts://host:8883")
	f := cmd.Flags()
	f.StringVar(&o.fleet, "fleet", "", "name of the fleet; without it, all that report to the broker")
	f.StringVar(&o.app, "app", "", "only devices that run this app, or should")
	f.BoolVar(&o.behind, "behind", false, "only devices that do not have the newest revision")
	f.BoolVar(&o.all, "all", false, "a line for each device")
	f.BoolVarP(&o.watch, "watch", "w", false, "go on, and show it again when something changes")
	f.DurationVar(&o.quiet, "wait", time.Second, "how long nothing may come before it is all; more for slow lines")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	return cmd
}

func (o *fleetStatusOptions) check() error {
	if o.broker.URL == "" {
		return errors.New("--broker is missing: name the broker that fleet.broker in the devices' configuration stands for, such as --broker mqtts://hub.example:8883")
	}
	if err := fleetsync.CheckTopicName(o.fleet); o.fleet != "" && err != nil {
		return fmt.Errorf("--fleet %w", err)
	}
	if o.quiet <= 0 {
		return errors.New("--wait is longer than 0s")
	}
	return checkOutput(o.output)
}

func (o *fleetStatusOptions) run(ctx context.Context, w io.Writer) error {
	known := newReports(o.fleet)
	return o.broker.connected(ctx, known.take, func(ctx context.Context, m *sensors.MQTT) error {
		if err := known.gather(ctx, m, o.quiet); err != nil {
			return err
		}
		if fleets := known.fleets(); len(fleets) > 1 {
			return usageError{fmt.Errorf("devices of several fleets report to this broker: name one of %s with --fleet", strings.Join(fleets, ", "))}
		}
		shown := known.view(o, time.Now())
		if len(shown.Devices) == 0 && !o.watch {
			return errors.New(o.nobody(known))
		}
		if err := shown.print(w, o); err != nil || !o.watch {
			return err
		}
		return o.follow(ctx, w, known)
	})
}

// nobody says why there is nothing to show.
func (o *fleetStatusOptions) nobody(known *reports) string {
	switch {
	case known.size() > 0:
		return "no device is as asked for: leave out --app or --behind"
	case o.fleet != "":
		return fmt.Sprintf("no device of fleet %s has reported to this broker: look at fleet.name and fleet.broker in a device's configuration and at `skerry status` there, and whether this user may read %s", o.fleet, fleetsync.ReportTopic(o.fleet, "+"))
	}
	return "no device has reported to this broker: look at fleet.broker in a device's configuration and at `skerry status` there, and whether this user may read " + fleetsync.ReportTopic("+", "+")
}

// follow shows it again whenever something has changed.
func (o *fleetStatusOptions) follow(ctx context.Context, w io.Writer, known *reports) error {
	f, isFile := w.(*os.File)
	screen := isFile && isTerminal(f)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-known.changed:
		}
		pause(ctx, time.Second) // what changes together is shown together
		var text strings.Builder
		if screen {
			text.WriteString("\x1b[H\x1b[2J")
		}
		if err := known.view(o, time.Now()).print(&text, o); err != nil {
			return err
		}
		if o.output == "text" && !screen {
			text.WriteByte('\n')
		}
		if _, err := io.WriteString(w, text.String()); err != nil {
			return err
		}
	}
}

func (v *fleetView) print(w io.Writer, o *fleetStatusOptions) error {
	if o.output == "json" {
		enc := json.NewEncoder(w)
		if !o.watch {
			enc.SetIndent("", "  ")
		}
		return enc.Encode(v)
	}
	return v.printText(w, o)
}
