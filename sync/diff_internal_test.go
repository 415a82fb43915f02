package fleetsync

import "testing"

// FuzzDiffApps compares whatever reads as an app: with itself there is no
// difference, with another one no panic and no line without words.
func FuzzDiffApps(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"skerry/v1","kind":"App","metadata":{"name":"a","version":"1.0.0"},"functions":{"f":{"module":{"path":"x"},"secrets":["s"]}},"triggers":[{"function":"f","mqtt":{"topic":"a"},"then":[{"publish":"b"}]}]}`),
		[]byte("apiVersion: skerry/v1\nkind: App\nmetadata: {name: a, version: 1.1.0}\nrequires: {arch: [arm]}\ntriggers:\n  - {name: r, inside: {topic: \"#\"}, then: [{publish: b, data: {x: [1]}}]}\n"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		a, err := ParseApp("a", one, Checks{})
		if err != nil {
			return
		}
		if same := diffApps(a, a); len(same) > 0 {
			t.Errorf("an app differs from itself: %v", same)
		}
		b, err := ParseApp("b", two, Checks{})
		if err != nil {
			return
		}
		for _, c := range append(diffApps(a, b), diffApps(nil, b)...) {
			if c.Path == "" || c.Old == "" && c.New == "" {
				t.Errorf("%+v says nothing", c)
			}
		}
	})
}
