package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/store"
)

// reach are the flags of commands that ask the running agent or, if none runs,
// open its data directory.
type reach struct{ config, socket, output string }

func (r *reach) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&r.config, "config", "c", "/etc/skerry/skerry.yaml", "configuration file of the agent")
	cmd.Flags().StringVar(&r.socket, "socket", "", "the agent's unix socket, instead of a configuration file")
	cmd.Flags().StringVarP(&r.output, "output", "o", "text", "text or json")
}

// within calls do with what remote makes of the running agent's socket or, if no
// agent answers there, with what local makes of its data directory.
func within[T any](r reach, remote func(socket string) T, local func(*store.Store) T, do func(T) error) error {
	if err := checkOutput(r.output); err != nil {
		return err
	}
	if r.socket != "" {
		return do(remote(r.socket))
	}
	places, err := configPlaces(r.config)
	if err != nil {
		return usageError{err}
	}
	err = do(remote(places.Admin.Socket))
	if !errors.Is(err, admin.ErrNoAgent) {
		return err
	}
	dir := filepath.Join(places.Data, storeDir)
	info, statErr := os.Stat(dir)
	if statErr != nil {
		return err
	}
	if err := checkOwner(dir, info, os.Geteuid()); err != nil {
		return err
	}
	st, err := store.Open(dir, store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("no agent answers on %s, and its data cannot be opened: %w", places.Admin.Socket, err)
	}
	return errors.Join(do(local(st)), st.Close())
}

// checkOwner keeps others than the agent's user, root above all, from leaving
// files in its data that it cannot write.
func checkOwner(dir string, info os.FileInfo, user int) error {
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != user {
		return fmt.Errorf("no agent runs, and %s is another user's: start the agent, or run this as its user: sudo -u '#%d' skerry …", dir, owner.Uid)
	}
	return nil
}

// done tells how many were done what, and why not more.
func (r reach) done(cmd *cobra.Command, what string, n int, err error) error {
	if err != nil && n > 0 {
		err = fmt.Errorf("%s %d, then: %w", what, n, err)
	}
	if err != nil {
		return err
	}
	if r.output == "json" {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]int{what: n})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d\n", what, n)
	return err
}

// printJSON writes v as a person may read it too; a list without entries is [].
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printFields writes what there is to say of one thing, a line each, and its data
// below; what is empty is left out.
func printFields(w io.Writer, fields [][2]string, data []byte) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		if f[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", f[0], shown(f[1])) // Flush tells of errors
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", data)
	return err
}

// waitsFor names who a queue is for: a function, or a target or broker with
// what it is.
func waitsFor(queue string) string {
	if target, priority, _, ok := agent.SplitTarget(queue); ok {
		return fmt.Sprintf("target %s, priority %d", target, priority)
	}
	if broker, ok := strings.CutPrefix(queue, agent.QueueBroker("")); ok {
		return "broker " + broker
	}
	return strings.TrimPrefix(queue, agent.QueueInbox(""))
}
