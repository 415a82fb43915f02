package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

//go:embed alarm/alarm.wasm
var alarmModule []byte

// peer is a program under test; addr is where the broker listens, or where the
// peer has to.
type peer struct {
	name  string
	start func(ctx context.Context, dir, addr string, qos byte) (*exec.Cmd, error)
}

// peersOf are those of a scenario, Skerry first.
func peersOf(s scenario) []peer {
	if s.embedded {
		return []peer{{"skerry", skerry("skerry", "broker: {listen: '%s', name: plant, anonymous: true}")}, {"mochi hook", self("mochi")}}
	}
	connected := "brokers: [{name: plant, url: 'tcp://%s', inflight: 2000}]"
	peers := []peer{{"skerry", skerry("skerry", connected)}, {"bare paho", self("paho")}}
	if s.nodeRED {
		peers = append(peers, peer{"Node-RED", startNodeRED})
	}
	if s.alone {
		peers = append(peers, peer{"sync each", skerry("skerry-sync-each", connected)})
	}
	return peers
}

// self starts this program as a peer.
func self(name string) func(context.Context, string, string, byte) (*exec.Cmd, error) {
	return func(ctx context.Context, _, addr string, qos byte) (*exec.Cmd, error) {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, exe, "-peer", name, "-at", addr, "-qos", strconv.Itoa(int(qos))), nil
	}
}

// skerry publishes the alarm function to a layout and configures an agent with
// a fresh data directory; config has a place for the address.
func skerry(program, config string) func(context.Context, string, string, byte) (*exec.Cmd, error) {
	return func(ctx context.Context, dir, addr string, qos byte) (*exec.Cmd, error) {
		home, err := os.MkdirTemp(dir, "gateway-")
		if err != nil {
			return nil, err
		}
		app := fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: bench, version: 1.0.0}
functions:
  alarm: {module: {path: ./alarm.wasm}, env: {QOS: "%[1]d"}, permissions: {publish: ["alarms/#"]}, limits: {queue: 10000}}
triggers:
  - {name: reading, function: alarm, mqtt: {topic: sensors/+/temperature, qos: %[1]d}}
`, qos)
		return gateway(ctx, dir, home, program, app, fmt.Sprintf(config, addr))
	}
}

// gateway publishes app to a layout in home, and is an agent with a fresh data
// directory there; sections are those of its configuration.
func gateway(ctx context.Context, dir, home, program, app, sections string) (*exec.Cmd, error) {
	fleet := fleetsync.Access{Ref: "oci-layout:" + filepath.Join(home, "registry"), Keys: filepath.Join(home, "keys")}
	made, err := fleetsync.InitFleet(ctx, fleetsync.InitOptions{Access: fleet})
	if err != nil {
		return nil, err
	}
	device := fmt.Sprintf("device: {id: bench}\ndata: %[1]s/data\nadmin: {socket: %[1]s/s}\n"+
		"registry: {ref: 'oci-layout:%[1]s/registry', root_file: root.json}\nlog: {level: error}\n", home) + sections + "\n"
	files := map[string]string{"app.yaml": app, "skerry.yaml": device, "alarm.wasm": string(alarmModule), "root.json": string(made.Root)}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	_, err = fleetsync.Publish(ctx, fleetsync.PublishOptions{Access: fleet, AppFile: filepath.Join(home, "app.yaml")})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, program), "run", "-c", filepath.Join(home, "skerry.yaml"))
	cmd.Env = append(os.Environ(), "SKERRY_PAGE_LISTEN=off")
	return cmd, nil
}
