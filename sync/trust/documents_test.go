package trust_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/sync/trust"
)

func TestDocuments(t *testing.T) {
	const app = "apps/overheat/1.2.0.json"
	w := newWorld(t)
	for _, tt := range []struct {
		what string
		name string
		is   []byte
		want error
	}{
		{"as signed", app, w.third[app], nil},
		{"the fleet document", "fleet.json", w.third["fleet.json"], nil},
		{"of the same length", app, []byte(`{"n":9}`), trust.ErrTampered},
		{"shorter", app, []byte(`{}`), trust.ErrTampered},
		{"longer", app, []byte(`{"n":2} `), trust.ErrTooLarge},
		{"another one that is signed", app, w.third["apps/overheat/1.1.0.json"], trust.ErrTampered},
		{"never signed", "apps/overheat/9.9.9.json", []byte(`{}`), trust.ErrAbsent},
	} {
		t.Run(tt.what, func(t *testing.T) {
			data, err := w.accept(w.kept, w.third.with(tt.name, tt.is)).Document(context.Background(), tt.name)
			refused(t, err, tt.want, tt.name)
			if tt.want == nil && !bytes.Equal(data, tt.is) || tt.want != nil && data != nil {
				t.Errorf("got %q", data)
			}
		})
	}
	missing := w.third.with(app, nil)
	delete(missing, app)
	_, err := w.accept(w.kept, missing).Document(context.Background(), app)
	refused(t, err, trust.ErrAbsent, app)

	w.repo.Delete("apps/overheat/1.0.0.json")
	if v := w.accept(w.kept, w.publish()); len(v.Documents) != 3 || v.Documents["apps/overheat/1.0.0.json"] != 0 {
		t.Errorf("documents after a revocation: %v", v.Documents)
	}
}

// TestCarrierErrorsPassThrough keeps what the network says apart from verdicts.
func TestCarrierErrorsPassThrough(t *testing.T) {
	w := newWorld(t)
	_, err := trust.Verify(context.Background(), w.factory, w.kept, away{}, w.now)
	refused(t, err, context.DeadlineExceeded, "2.root.json")
	if v, err := w.kept.Check(w.factory, w.now); err != nil || v.Version != 2 || v.State.Timestamp == nil {
		t.Errorf("what is kept: %+v, %v", v, err)
	}
	_, err = w.kept.Check(w.factory, w.now.Add(400*day))
	refused(t, err, trust.ErrExpired, "timestamp.json")
	_, err = trust.State{}.Check(w.factory, time.Time{})
	refused(t, err, trust.ErrAbsent, "timestamp.json")
}

type away struct{}

func (away) File(context.Context, string, int64) ([]byte, error) {
	return nil, context.DeadlineExceeded
}
