package main

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent/admin"
)

func pageCommand() *cobra.Command {
	var path, socket, output string
	var stay bool
	cmd := &cobra.Command{
		Use:   "page [-c skerry.yaml]",
		Short: "Give a link to the running agent's page, and open it where there is a browser",
		Long: `Ask the running agent for a link to its page. The link lets its finder in, once
and within two minutes; what follows lasts 12 hours. Where there is a desktop the
browser is opened. On a device without one, open the link on another machine
through its SSH: ssh -L 9180:127.0.0.1:9180 DEVICE.`,
		Example: "  skerry page -c /etc/skerry/skerry.yaml\n  skerry page --no-open -o json",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			socket, err := agentSocket(socket, path)
			if err != nil {
				return err
			}
			link, err := admin.Login(cmd.Context(), socket)
			if err != nil {
				return err
			}
			if err := printLink(cmd.OutOrStdout(), link, output); err != nil {
				return err
			}
			if out, ok := cmd.OutOrStdout().(*os.File); stay || output == "json" || !ok || !isTerminal(out) {
				return nil
			}
			return openLink(cmd.Context(), link, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", defaultConfig, "configuration file of the agent")
	cmd.Flags().StringVar(&socket, "socket", "", "the agent's unix socket, instead of a configuration file")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.Flags().BoolVar(&stay, "no-open", false, "print the link only")
	return cmd
}

func printLink(w io.Writer, link, output string) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(map[string]string{"url": link})
	}
	_, err := fmt.Fprintln(w, link)
	return err
}

const browserTime = 5 * time.Second // for it to read the file

// openLink has the desktop's browser open a file that leads to link: everybody on
// this machine sees what programs are started with, and the link is a secret.
func openLink(ctx context.Context, link string, errOut io.Writer) error {
	if os.Getenv("SSH_CONNECTION") != "" {
		hint := "DEVICE"
		if u, err := url.Parse(link); err == nil {
			hint = fmt.Sprintf("ssh -L %s:%s DEVICE", u.Port(), u.Host)
		}
		fmt.Fprintf(errOut, "To open it on the machine where you sit, first let this run there: %s\n", hint)
		return nil
	}
	opener, err := exec.LookPath("xdg-open")
	if err != nil || os.Getenv("DISPLAY")+os.Getenv("WAYLAND_DISPLAY") == "" {
		return nil // the link is printed
	}
	dir, err := os.MkdirTemp(os.Getenv("XDG_RUNTIME_DIR"), "skerry-page-")
	if err != nil {
		return fmt.Errorf("open the browser: %w", err)
	}
	defer os.RemoveAll(dir) // the link in it is used or too old soon
	file := filepath.Join(dir, "page.html")
	text := `<!doctype html><meta http-equiv="refresh" content="0;url=` + html.EscapeString(link) + `">`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("open the browser: %w", err)
	}
	if err := exec.CommandContext(ctx, opener, file).Run(); err != nil {
		return fmt.Errorf("open the browser: %w: open the link above in it", err)
	}
	pause(ctx, browserTime)
	return nil
}
