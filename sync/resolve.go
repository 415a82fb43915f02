package fleetsync

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Resolve gives the device's share of the fleet: the functions and triggers of
// every app version that is assigned to it, with all names bound. Warnings are
// sentences about what does not run as written. The error joins all that the
// device lacks, each with the next step.
func Resolve(fleet *Fleet, apps []*App, device Device) (agent.Deployment, []string, error) {
	return bind(fleet.Metadata.Revision, choose(fleet, &device, nil), apps, &device)
}

// bind makes a deployment of the chosen versions.
func bind(revision int64, chosen []agent.AppVersion, apps []*App, device *Device) (agent.Deployment, []string, error) {
	b := binding{device: device}
	b.out.Generation = uint64(max(revision, 0))
	var warnings []string
	for _, want := range chosen {
		i := slices.IndexFunc(apps, func(a *App) bool {
			return a.Metadata.Name == want.Name && a.Metadata.Version == want.Version
		})
		if i < 0 {
			b.fail("the fleet assigns %s@%s, which was not published: publish that version", want.Name, want.Version)
			continue
		}
		b.out.Apps = append(b.out.Apps, want)
		warnings = append(warnings, apps[i].Warnings()...)
		b.add(apps[i])
	}
	if err := errors.Join(b.errs...); err != nil {
		return agent.Deployment{}, warnings, err
	}
	return b.out, warnings, nil
}

// binding collects a deployment and what is missing for it.
type binding struct {
	device *Device
	out    agent.Deployment
	errs   []error
}

func (b *binding) fail(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

func (b *binding) add(app *App) {
	name := app.Metadata.Name
	for _, short := range slices.Sorted(maps.Keys(app.Functions)) {
		fn := app.Functions[short]
		full := name + "/" + short
		b.needs(full, fn.Permissions.Invoke)
		for _, secret := range fn.Secrets {
			if !slices.Contains(b.device.Secrets, secret) {
				b.fail("function %s needs the secret %q: give it under secrets: in skerry.yaml", full, secret)
			}
		}
		if fn.Module.Digest == "" {
			b.fail("function %s names a file, not a published module: publish the app", full)
		}
		if most := b.device.ModuleSize; most > 0 && fn.Module.Size > most {
			b.fail("the module of function %s has %d bytes, and this device takes %d: raise limits.module in skerry.yaml, or make it smaller", full, fn.Module.Size, most)
		}
		b.out.Functions = append(b.out.Functions, fn.bind(full, b.device))
	}
	for i := range app.Triggers {
		b.trigger(name, &app.Triggers[i])
	}
	named := app.brokersOf()
	for _, who := range slices.Sorted(maps.Keys(named)) {
		for _, broker := range named[who] {
			if !slices.Contains(b.device.Brokers, broker) {
				b.fail("%s publishes to the broker %q, which this device does not have: add it under brokers: in skerry.yaml", who, broker)
			}
		}
	}
}

// needs checks that every central target is one of the device's.
func (b *binding) needs(who string, invoke []string) {
	for _, name := range invoke {
		target, central := strings.CutPrefix(name, "central/")
		if central && !slices.Contains(b.device.Targets, target) {
			b.fail("%s sends to the target %q, which this device does not have: bind it under targets: in skerry.yaml", who, target)
		}
	}
}

const (
	isolationWarm  = "warm"
	isolationFresh = "fresh"
)

// usualPriority is that of a function that states none, and of rules.
const usualPriority = 5

func (f *AppFunction) bind(name string, device *Device) agent.Function {
	isolation := map[string]agent.Isolation{isolationFresh: agent.IsolationFresh}[f.Isolation]
	return agent.Function{
		Name: name, Digest: agent.Digest(f.Module.Digest), Size: f.Module.Size,
		Env: maps.Clone(f.Env), Secrets: slices.Clone(f.Secrets), Limits: f.Limits.bind(device),
		Permissions: agent.Permissions{
			Publish: slices.Clone(f.Permissions.Publish),
			Invoke:  slices.Clone(f.Permissions.Invoke),
			HTTP:    slices.Clone(f.Permissions.HTTP),
		},
		Ways: f.ways(), Log: f.Log.rule(),
		Isolation: isolation, Priority: uint8(or(f.Priority, usualPriority)), KeepWarm: f.KeepWarm, IdleAfter: time.Duration(f.IdleAfter),
	}
}

// DefaultLimits are the limits of a function that states none. A device that
// interprets WebAssembly, 30 to 170 times slower than compiled, gives it more
// time.
func DefaultLimits(interpreted bool) agent.Limits {
	l := agent.DefaultLimits
	if interpreted {
		l.Timeout = 10 * time.Second
	}
	return l
}

func (l *AppLimits) bind(device *Device) agent.Limits {
	d := DefaultLimits(device.Interpreted)
	return agent.Limits{
		Memory:      cmp.Or(int64(l.Memory), d.Memory),
		Timeout:     cmp.Or(time.Duration(l.Timeout), d.Timeout),
		Concurrency: or(l.Concurrency, d.Concurrency),
		Queue:       or(l.Queue, d.Queue),
		Inbox:       cmp.Or(int64(l.Inbox), d.Inbox),
		State:       cmp.Or(int64(l.State), d.State),
		Output:      cmp.Or(int64(l.Output), d.Output),
		Outputs:     or(l.Outputs, d.Outputs),
		Fuel:        l.Fuel,
		Calls:       or(l.Calls, d.Calls),
		Uplink:      int64(l.Uplink),
	}
}

// durability reads "sync", "none" and "interval(50ms)"; "" is the default.
func durability(text string) (agent.Durability, time.Duration, error) {
	switch text {
	case "":
		return agent.DurabilityDefault, 0, nil
	case "sync":
		return agent.DurabilitySync, 0, nil
	case "none":
		return agent.DurabilityNone, 0, nil
	}
	var d Duration
	rest, ok := strings.CutPrefix(text, "interval(")
	inner, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed {
		return 0, 0, fmt.Errorf("%.40q is not one of sync, none, interval(50ms)", text)
	}
	if err := d.UnmarshalText([]byte(inner)); err != nil {
		return 0, 0, err
	}
	if time.Duration(d) > maxInterval {
		return 0, 0, fmt.Errorf("%s is longer than 1m: a crash would lose all that came in it", inner)
	}
	return agent.DurabilityInterval, time.Duration(d), nil
}

func or(n *int, absent int) int {
	if n == nil {
		return absent
	}
	return *n
}
