package fleetsync

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// grant is what a function needs in its app to use an import of skerry_v1.
type grant struct {
	imported string
	key      string // of the function; it must be there, and an empty list will do
	example  string // grants something
	none     string // grants nothing, knowingly
	prefix   string // of the entries that count; "" for all
	list     func(*AppFunction) []string
}

var grants = []grant{
	{
		"publish", "permissions.publish", `permissions: {publish: ["<topic filter>"]}`, "permissions: {publish: []}", "",
		func(fn *AppFunction) []string { return fn.Permissions.Publish },
	},
	{
		"followup", "permissions.invoke", "permissions: {invoke: [central/<target>]}", "permissions: {invoke: []}", "central/",
		func(fn *AppFunction) []string { return fn.Permissions.Invoke },
	},
	{
		"emit", "permissions.invoke", "permissions: {invoke: [local/<function>]}", "permissions: {invoke: []}", "local/",
		func(fn *AppFunction) []string { return fn.Permissions.Invoke },
	},
	{
		"http", "permissions.http", "permissions: {http: [<host>]}", "permissions: {http: []}", "",
		func(fn *AppFunction) []string { return fn.Permissions.HTTP },
	},
	{
		"secret_get", "secrets", "secrets: [<name>]", "secrets: []", "",
		func(fn *AppFunction) []string { return fn.Secrets },
	},
}

// checkGrants compares what a module imports with what its function is
// granted. Compilers import what is used, so where the key is missing it was
// most likely forgotten, and every call would be denied. File names the app's
// document. Warnings are about lists with entries, none of them of the kind.
func checkGrants(file, name string, fn *AppFunction, imports []string) (warnings []string, err error) {
	var errs []error
	for _, g := range grants {
		list := g.list(fn)
		switch {
		case !slices.Contains(imports, g.imported):
		case list == nil:
			errs = append(errs, &DocumentError{
				File: file, Path: join("functions", name) + "." + g.key,
				Reason: fmt.Sprintf("the module imports %s, and this grants it nothing: add %s to function %s, or %s if it needs none",
					g.imported, g.example, name, g.none),
			})
		case len(list) > 0 && !slices.ContainsFunc(list, func(entry string) bool { return strings.HasPrefix(entry, g.prefix) }):
			warnings = append(warnings, fmt.Sprintf("function %s imports %s, and no entry of its %s starts with %s: each such call will be denied",
				name, g.imported, g.key, g.prefix))
		}
	}
	return warnings, errors.Join(errs...)
}

// memory is the function's limit in bytes.
func (f *AppFunction) memory() int64 {
	return cmp.Or(int64(f.Limits.Memory), agent.DefaultLimits.Memory)
}

// runnable checks an app with its modules, which are in the cache, before it is
// activated. The modules of the version that ran here last were checked then.
func (p *Puller) runnable(app *App) error {
	if err := p.fits(app); err != nil {
		return err
	}
	v := agent.AppVersion{Name: app.Metadata.Name, Version: app.Metadata.Version}
	if last, _ := p.now.last(v.Name); last == v || p.opts.Checks.Module == nil {
		return nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(app.Functions)) {
		fn := app.Functions[name]
		var imports []string
		module, err := p.cache.Blob(agent.Digest(fn.Module.Digest))
		if err == nil {
			imports, err = p.opts.Checks.Module(module, fn.memory())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("module of function %s: %w", name, err))
			continue
		}
		if _, err := checkGrants(appFile(v), name, &fn, imports); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// NeededGrant is what a function must have in its app to use an import of
// skerry_v1, as YAML: "permissions: {publish: [...]}"; "" if it needs nothing.
func NeededGrant(imported string) string {
	for _, g := range grants {
		if g.imported == imported {
			return g.example
		}
	}
	return ""
}
