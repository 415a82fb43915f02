package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// nodeRED is the version that is measured.
const nodeRED = "node-red@4.1.15"

// installNodeRED gets Node-RED from npm, once, into the user's cache.
func installNodeRED(ctx context.Context) (dir string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, "skerry-bench", nodeRED)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "node-red", "red.js")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	fmt.Printf("installing %s (117 MB) to %s\n", nodeRED, dir)
	cmd := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--omit=dev", "--prefix", dir, nodeRED)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install %s: %w: install Node.js and npm, or leave it out with -only; npm said:\n%s", nodeRED, err, out)
	}
	return dir, nil
}

// startNodeRED makes a flow of the work: mqtt in, function, mqtt out.
func startNodeRED(ctx context.Context, dir, broker string, qos byte) (*exec.Cmd, error) {
	installed, err := installNodeRED(ctx)
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp(dir, "nodered-")
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(broker)
	if err != nil {
		return nil, err
	}
	flows := fmt.Sprintf(`[{"id":"t","type":"tab","label":"bench"},
{"id":"b","type":"mqtt-broker","broker":"%s","port":"%s","protocolVersion":"4","keepalive":"60","cleansession":true,"autoConnect":true},
{"id":"in","type":"mqtt in","z":"t","topic":"sensors/+/temperature","qos":"%[3]d","datatype":"json","broker":"b","wires":[["f"]]},
{"id":"f","type":"function","z":"t","func":"const r = msg.payload; if (!(r.temperature > 80)) return null; msg.payload = {alarm: 'high', id: r.id, seq: r.seq, ts: r.ts, temperature: r.temperature}; return msg;","outputs":1,"wires":[["out"]]},
{"id":"out","type":"mqtt out","z":"t","topic":"%s","qos":"%[3]d","retain":"false","broker":"b","wires":[]}]`, host, port, qos, alarmTopic)
	settings := `module.exports = {uiPort: 0, uiHost: "127.0.0.1", httpAdminRoot: false, httpNodeRoot: false, flowFile: "flows.json",
diagnostics: {enabled: false}, telemetry: {enabled: false}, runtimeState: {enabled: false}, logging: {console: {level: "warn", metrics: false, audit: false}}};`
	for name, text := range map[string]string{"flows.json": flows, "settings.js": settings} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	red := filepath.Join(installed, "node_modules", "node-red", "red.js")
	return exec.CommandContext(ctx, "node", "--max-old-space-size=512", red, "-u", home, "-s", filepath.Join(home, "settings.js")), nil
}
