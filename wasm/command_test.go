package wasm_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

func TestCommand(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("command")
	m := s.load(fn)
	inv, err := invoke(m, &fn, nil, ".first line\nsecond")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(inv.Effects.Result); got != ".first line\nsecond" {
		t.Errorf("result %q, want what was written to standard output", got)
	}
	want := []agent.LogLine{{Text: ".first line"}, {Text: "second"}}
	if !reflect.DeepEqual(inv.Effects.Logs, want) {
		t.Errorf("log %+v, want %+v", inv.Effects.Logs, want)
	}
	if inv, err := invoke(m, &fn, nil, "0 exits with 0"); err != nil || inv.Effects.Result == nil {
		t.Errorf("exit code 0: %v", err)
	}
}

func TestCommandExitCodes(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("command")
	m := s.load(fn)
	inv, err := invoke(m, &fn, nil, "1 noise\n1 the reason\n")
	wantFault(t, err, agent.FaultError, "exited with code 1: 1 the reason")
	if inv.Effects.Result != nil {
		t.Errorf("a failed run set a result: %q", inv.Effects.Result)
	}
	if _, err = invoke(m, &fn, nil, "R no id"); !errors.Is(err, agent.ErrReject) || !strings.Contains(err.Error(), "R no id") {
		t.Errorf("exit code 65: %v", err)
	}
	if _, err = invoke(m, &fn, nil, "T later"); !errors.Is(err, agent.ErrRetry) {
		t.Errorf("exit code 75: %v", err)
	}
}

func TestCommandEnvironment(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("command")
	fn.Env = map[string]string{"SITE": "west", "SKERRY_TOPIC": "forged"}
	fn.Secrets = []string{"pager-token", "unknown"}
	inv, err := invoke(s.load(fn), &fn, nil, "E")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(inv.Effects.Result), "\x00"), "\x00")
	slices.Sort(got)
	want := []string{
		"SITE=west", "SKERRY_ATTEMPT=1", "SKERRY_EVENT_ID=ev1", "SKERRY_EVENT_SOURCE=/gw7/mqtt/plant",
		"SKERRY_EVENT_TYPE=io.skerry.mqtt", "SKERRY_FUNCTION=test/command", "SKERRY_SECRET_PAGER_TOKEN=of pager-token", "SKERRY_TIME=2023-11-14T22:13:20.123Z",
		"SKERRY_TOPIC=sensors/l1/s1/temperature", "SKERRY_TRIGGER=test/trigger",
	}
	if !slices.Equal(got, want) {
		t.Errorf("environment\n%q, want\n%q", got, want)
	}
}

func TestCommandOutputIsLimited(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("outflood")
	inv, err := invoke(s.load(fn), &fn, nil, "")
	wantFault(t, err, agent.FaultLimit, "wrote more than 1048576 bytes")
	if !errors.Is(err, agent.ErrLimit) || inv.Effects.Result != nil {
		t.Errorf("got %v and a result of %d bytes", err, len(inv.Effects.Result))
	}
}
