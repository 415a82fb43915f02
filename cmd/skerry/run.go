package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
)

// stopWithin is how long a stop may take. Whatever is cut off then was not
// acknowledged and comes again.
const stopWithin = 5 * time.Second

func runCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "run -c skerry.yaml",
		Short: "Run the agent",
		Long: `Run the agent: connect to the brokers, bring the apps that the fleet document
gives this device, and run their functions on events. It starts with what it
has cached when the registry is away. SIGTERM stops it within 5 seconds; any
other end loses nothing that was acknowledged.`,
		Example: "  skerry run -c /etc/skerry/skerry.yaml",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			told, err := enrolAtStart(path)
			if err != nil {
				return usageError{err}
			}
			cfg, err := LoadConfig(path)
			if err != nil {
				return usageError{err}
			}
			log := newLog(cfg.Log, cmd.ErrOrStderr())
			for _, text := range told {
				log.Info(text)
			}
			for _, w := range cfg.Warnings {
				log.Warn(w)
			}
			return runAgent(cmd.Context(), cfg, log)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "/etc/skerry/skerry.yaml", "configuration file (docs/configuration.md)")
	return cmd
}

// runAgent runs a device until ctx ends, and not much longer.
func runAgent(ctx context.Context, cfg Config, log *slog.Logger) error {
	limitMemory()
	dev, err := newDevice(cfg, tuning{}, log)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- dev.run(ctx) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		log.Info("stopping: finishing what was taken in", "within", stopWithin)
		select {
		case err = <-ended:
			log.Info("stopped")
		case <-time.After(stopWithin):
			dev.underway.forget()
			log.Warn("stopped the hard way: something did not end in time; nothing acknowledged is lost")
			return nil
		}
	}
	return err
}

// newLog writes the agent's log as the configuration says.
func newLog(cfg LogConfig, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo // LoadConfig has checked it
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
