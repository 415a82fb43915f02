package wasm_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// goGuest builds the Go module in testdata/goguest.
func goGuest(t *testing.T, s *bench) agent.Function {
	t.Helper()
	out := filepath.Join(t.TempDir(), "goguest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./testdata/goguest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the guest: %v\n%s", err, text)
	}
	fn := s.function(out)
	fn.Name = "test/goguest"
	fn.Limits.Memory = 16 << 20
	fn.Limits.Timeout = time.Minute // interpreting Go on 32 bits takes its time
	fn.Env = map[string]string{"LIMIT": "80"}
	fn.Secrets = []string{"token"}
	fn.Permissions = agent.Permissions{Publish: []string{"alerts/#"}, Invoke: []string{"central/ops", "local/next"}}
	return fn
}

func TestGoGuest(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := goGuest(t, s)
	m := s.load(fn)
	inv := agent.NewInvocation(&fn, view{}, agent.Outside{Secrets: func(string) (string, bool) { return "s3cret", true }})
	inv.Begin(event("123"), "test/trigger", 2)
	if err := m.Invoke(context.Background(), inv); err != nil {
		t.Fatal(err)
	}
	want := "sensors/l1/s1/temperature|application/json|test/trigger|ev1|/gw7/mqtt/plant|io.skerry.mqtt|test/goguest|2|2023-11-14T22:13:20.123Z|80|s3cret|3"
	if got := string(inv.Effects.Result); got != want {
		t.Errorf("result\n%s, want\n%s", got, want)
	}
	fx := inv.Effects
	if len(fx.Publishes) != 1 || len(fx.Emits) != 1 || len(fx.Followups) != 1 || len(fx.Logs) != 2 || len(fx.Writes) != 5 {
		t.Errorf("effects %+v", fx)
	}
}

func TestGoGuestVerdicts(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := goGuest(t, s)
	m := s.load(fn)
	if _, err := invoke(m, &fn, nil, "reject"); !errors.Is(err, agent.ErrReject) || !strings.Contains(err.Error(), "never") {
		t.Errorf("reject: %v", err)
	}
	if _, err := invoke(m, &fn, nil, "retry"); !errors.Is(err, agent.ErrRetry) || !strings.Contains(err.Error(), "later") {
		t.Errorf("retry: %v", err)
	}
	_, err := invoke(m, &fn, nil, "fail")
	wantFault(t, err, agent.FaultError, "broken")
	inv, err := invoke(m, &fn, nil, "panic")
	wantFault(t, err, agent.FaultTrap, "panic: guest panics")
	if len(inv.Effects.Logs) == 0 || !strings.Contains(inv.Effects.Logs[0].Text, "guest panics") {
		t.Errorf("the panic is not in the log: %+v", inv.Effects.Logs)
	}
	if _, err := invoke(m, &fn, nil, "retry"); !errors.Is(err, agent.ErrRetry) {
		t.Errorf("after the panic: %v", err)
	}
}

func TestCAndAssemblyScriptGuests(t *testing.T) {
	for _, name := range []string{"cguest", "asguest"} {
		t.Run(name, func(t *testing.T) {
			s := newBench(t, wasm.Options{})
			fn := s.function(name)
			fn.Env = map[string]string{"LIMIT": "80"}
			fn.Secrets = []string{"token"}
			fn.Permissions = agent.Permissions{Publish: []string{"alerts/#"}, Invoke: []string{"central/ops", "local/next"}}
			m := s.load(fn)
			inv, err := invoke(m, &fn, view{}, `{"a":"b", "b" : "x\"y","c":[1,{"d":"]"}],"e":-1.25e1 }`)
			if err != nil {
				t.Fatal(err)
			}
			fx := inv.Effects
			if string(fx.Result) != "done" || len(fx.Publishes) != 1 || len(fx.Emits) != 1 || len(fx.Followups) != 1 || len(fx.Logs) != 1 {
				t.Errorf("effects %+v", fx)
			}
		})
	}
}
