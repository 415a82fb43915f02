package fleetsync

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// LocalDeployment reads the documents of apps that are being written, and gives
// what a device would run of them that has all they need: whatever brokers,
// targets, secrets and sources they name. Device is the rest of it; its first
// broker is the one that triggers without a name listen to. Modules are by digest.
func LocalDeployment(files []string, device Device, checks Checks) (d agent.Deployment, modules map[agent.Digest][]byte, err error) {
	var apps []*App
	var chosen []agent.AppVersion
	modules = map[agent.Digest][]byte{}
	device.HTTP = true
	for _, file := range files {
		app, err := localApp(file, checks, modules)
		if err != nil {
			return d, nil, err
		}
		if slices.ContainsFunc(apps, func(a *App) bool { return a.Metadata.Name == app.Metadata.Name }) {
			return d, nil, fmt.Errorf("%s is another app named %s: name one of the two", file, app.Metadata.Name)
		}
		apps = append(apps, app)
		chosen = append(chosen, agent.AppVersion{Name: app.Metadata.Name, Version: app.Metadata.Version})
		device.Give(app)
	}
	d, _, err = bind(1, chosen, apps, &device)
	return d, modules, err
}

// localApp reads one app with its modules.
func localApp(file string, checks Checks, modules map[agent.Digest][]byte) (*App, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read app: %w", err)
	}
	app, err := ParseApp(file, data, checks)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(app.Functions)) {
		f := app.Functions[name]
		if f.Module.Path == "" {
			return nil, errors.New("function " + name + " names no file: give it module: {path: …}")
		}
		module, err := os.ReadFile(resolvePath(file, f.Module.Path))
		if err != nil {
			return nil, fmt.Errorf("read the module of function %s: %w", name, err)
		}
		digest := agent.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(module)))
		modules[digest] = module
		f.Module.Digest, f.Module.Size = string(digest), int64(len(module))
		app.Functions[name] = f
	}
	return app, nil
}

// Give has the device have whatever app names.
func (d *Device) Give(app *App) {
	var invoke []string
	for _, f := range app.Functions {
		d.Secrets = append(d.Secrets, f.Secrets...)
		invoke = append(invoke, f.Permissions.Invoke...)
	}
	for _, t := range app.Triggers {
		if t.MQTT != nil && t.MQTT.Broker != "" {
			d.Brokers = append(d.Brokers, t.MQTT.Broker)
		}
		if t.Source != nil {
			d.Sources = append(d.Sources, t.Source.Name)
		}
		for _, then := range t.Then {
			invoke = append(invoke, then.Invoke)
		}
	}
	for _, named := range app.brokersOf() {
		d.Brokers = append(d.Brokers, named...)
	}
	for _, name := range invoke {
		if target, central := strings.CutPrefix(name, "central/"); central {
			d.Targets = append(d.Targets, target)
		}
	}
}
