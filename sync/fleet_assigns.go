package fleetsync

import (
	"encoding/json"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// assigns tells whether an assignment names the version.
func (f *Fleet) assigns(v agent.AppVersion) bool {
	return slices.ContainsFunc(f.Assignments, func(a Assignment) bool { return a.App == v.Name && a.Version == v.Version })
}

// names tells whether there is an assignment of the app.
func (f *Fleet) names(app string) bool {
	return slices.ContainsFunc(f.Assignments, func(a Assignment) bool { return a.App == app })
}

// holds tells whether devices were told to keep the version of the app they run.
func (f *Fleet) holds(app string) bool {
	return slices.ContainsFunc(f.Assignments, func(a Assignment) bool { return a.App == app && a.Paused })
}

// only is the assignment of the app, if there is one only and it is for every
// device; whatever is finer is a person's decision.
func (f *Fleet) only(app string) *Assignment {
	var found *Assignment
	for i := range f.Assignments {
		a := &f.Assignments[i]
		if a.App != app {
			continue
		}
		if found != nil {
			return nil
		}
		found = a
	}
	if found == nil || !found.forAll() || found.Version == versionNone {
		return nil
	}
	return found
}

// clone shares nothing with f.
func (f *Fleet) clone() *Fleet {
	data, err := json.Marshal(f)
	if err == nil {
		var out Fleet
		if err = json.Unmarshal(data, &out); err == nil {
			return &out
		}
	}
	panic(err) // a document that was read can be written
}
