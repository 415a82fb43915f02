package fleetsync

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// leaf is a value in a document: by its path, or an entry of a list whose order
// means nothing.
type leaf struct{ path, entry string }

// leaves are the values, as text.
type leaves map[leaf]string

// add takes a value of any shape apart into its leaves. Lists stay whole.
func (l leaves) add(path string, value any) {
	if object, ok := value.(map[string]any); ok {
		for key, v := range object {
			l.add(join(path, key), v)
		}
		return
	}
	text, ok := value.(string)
	if !ok || text == "" {
		text = jsonText(value)
	}
	l[leaf{path: path}] = text
}

// list adds entries whose order means nothing.
func (l leaves) list(path string, entries []string) {
	for _, entry := range entries {
		l[leaf{path, entry}] = entry
	}
}

// asJSON is v as encoding/json reads it back.
func asJSON(v any) any {
	var out any
	if data, err := json.Marshal(v); err == nil {
		_ = json.Unmarshal(data, &out) // what was just written
	}
	return out
}

// diffLeaves lists what differs, by path.
func diffLeaves(old, next leaves) []Change {
	var out []Change
	for at, text := range next {
		if was, there := old[at]; !there || was != text {
			out = append(out, Change{Path: at.path, Old: was, New: text})
		}
	}
	for at, was := range old {
		if _, there := next[at]; !there {
			out = append(out, Change{Path: at.path, Old: was})
		}
	}
	sortChanges(out)
	return out
}

func sortChanges(list []Change) {
	slices.SortFunc(list, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Old, b.Old), cmp.Compare(a.New, b.New))
	})
}

// diffApps compares two versions of an app; old is nil for a new app. What an app
// may do that the old one might not is Gained.
func diffApps(old, next *App) []Change {
	if old == nil {
		old = &App{}
	}
	out := diffLeaves(old.settings(), next.settings())
	reach := old.destinations()
	for _, name := range bothKeys(old.Functions, next.Functions) {
		was, before := old.Functions[name]
		fn, there := next.Functions[name]
		out = append(out, diffPart(join("functions", name), before, there, was.module(), fn.module(), was.leaves(), fn.leaves())...)
	}
	was, now := old.triggersByName(), next.triggersByName()
	for _, name := range bothKeys(was, now) {
		a, before := was[name]
		b, there := now[name]
		changes := diffPart(name, before, there, a.text(), b.text(), a.leaves(), b.leaves())
		out = append(out, changes...)
		if !there {
			continue
		}
		for _, to := range b.destinations() {
			if !slices.Contains(reach, to) {
				out = append(out, Change{Path: name + ".then", New: to, Gained: true})
				reach = append(reach, to)
			}
		}
	}
	sortChanges(out)
	return out
}

// diffPart compares a function or trigger. One that is new or gone is told in a
// line, by its text, and what it is granted.
func diffPart(path string, before, there bool, was, text string, old, next leaves) []Change {
	if !there {
		return []Change{{Path: path, Old: was}}
	}
	var out []Change
	if !before {
		out = append(out, Change{Path: path, New: text})
	}
	for _, c := range diffLeaves(old, next) {
		c.Gained = c.New != "" && grantPath(c.Path)
		if before || c.Gained {
			c.Path = path + "." + c.Path
			out = append(out, c)
		}
	}
	return out
}

// grantPath tells whether what a function is granted stands at path.
func grantPath(path string) bool { return path == "secrets" || strings.HasPrefix(path, "permissions.") }

func bothKeys[V any](a, b map[string]V) []string {
	keys := map[string]bool{}
	for _, m := range []map[string]V{a, b} {
		for key := range m {
			keys[key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// settings are the app's values but for its functions and triggers.
func (a *App) settings() leaves {
	out := leaves{}
	if a.Requires != nil {
		out.add("requires", asJSON(a.Requires))
	}
	if a.StateVersion != 0 {
		out.add("stateVersion", asJSON(a.StateVersion))
	}
	return out
}

// module is "module 7ae3…, 3.1 MiB", for a function that is new or gone.
func (f AppFunction) module() string {
	return fmt.Sprintf("module %s of %d bytes", short(f.Module.Digest), f.Module.Size)
}

// leaves are what can differ in a function.
func (f AppFunction) leaves() leaves {
	out := leaves{}
	out.list("secrets", f.Secrets)
	out.list("permissions.publish", f.Permissions.Publish)
	out.list("permissions.invoke", f.Permissions.Invoke)
	out.list("permissions.http", f.Permissions.HTTP)
	if f.Module.Digest != "" {
		out.add("module", f.module())
	}
	f.Module, f.Secrets, f.Permissions = AppModule{}, nil, AppPermissions{}
	out.add("", asJSON(f))
	delete(out, leaf{path: "permissions"})
	return out
}

// triggersByName are the triggers by path; one without a name has its place.
func (a *App) triggersByName() map[string]*AppTrigger {
	out := map[string]*AppTrigger{}
	for i := range a.Triggers {
		path := fmt.Sprintf("triggers[%d]", i)
		if t := &a.Triggers[i]; t.Name != "" {
			path = join("triggers", t.Name)
		}
		out[path] = &a.Triggers[i]
	}
	return out
}

// leaves are what can differ in a trigger.
func (t *AppTrigger) leaves() leaves {
	out := leaves{}
	if t == nil {
		return out
	}
	out.add("", asJSON(*t))
	delete(out, leaf{path: "name"})
	return out
}

// text is what starts what: `mqtt {"topic":"a/b"} starts f`.
func (t *AppTrigger) text() string {
	if t == nil {
		return ""
	}
	what := cmp.Or(t.Function, "a rule")
	for _, s := range []struct {
		kind  string
		there bool
		from  any
	}{
		{"mqtt", t.MQTT != nil, t.MQTT},
		{"schedule", t.Schedule != nil, t.Schedule},
		{"http", t.HTTP != nil, t.HTTP},
		{"source", t.Source != nil, t.Source},
		{"inside", t.Inside != nil, t.Inside},
	} {
		if s.there {
			return fmt.Sprintf("%s %s starts %s", s.kind, jsonText(s.from), what)
		}
	}
	return what
}

// destinations are where what a trigger makes goes without any permission.
func (t *AppTrigger) destinations() []string {
	var out []string
	for _, then := range t.Then {
		switch {
		case then.Publish != "":
			out = append(out, "publish "+then.Publish)
		case strings.HasPrefix(then.Invoke, "central/"):
			out = append(out, "invoke "+then.Invoke)
		}
	}
	if t.Retry != nil && t.Retry.DeadLetter != "" {
		out = append(out, "publish "+t.Retry.DeadLetter)
	}
	return out
}

func (a *App) destinations() []string {
	var out []string
	for i := range a.Triggers {
		out = append(out, a.Triggers[i].destinations()...)
	}
	return out
}
