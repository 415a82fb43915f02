// Goguest calls every function of the Go package for guests once.
package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

func init() { skerry.Handle(handle) }

func main() {}

func handle(ev *skerry.Event) error {
	switch string(ev.Data()) {
	case "reject":
		return fmt.Errorf("wrapped: %w", skerry.Reject("never"))
	case "retry":
		return skerry.Retry("later")
	case "fail":
		return errors.New("broken")
	case "panic":
		panic("guest panics")
	}
	return errors.Join(about(ev), effects(), state(), refusals())
}

// about sets as the result all that an event tells.
func about(ev *skerry.Event) error {
	secret, err := skerry.Secret("token")
	if err != nil {
		return err
	}
	return skerry.Result(fmt.Appendf(nil, "%s|%s|%s|%s|%s|%s|%s|%d|%s|%s|%s|%d", ev.Subject(), ev.ContentType(), ev.Trigger(), ev.ID(),
		ev.Source(), ev.Type(), ev.Function(), ev.Attempt(), ev.Time().UTC().Format(time.RFC3339Nano),
		skerry.Config("LIMIT"), secret, len(ev.Data())))
}

func effects() error {
	skerry.Log(skerry.Warn, "careful")
	fmt.Println("printed")
	return errors.Join(
		skerry.Publish("alerts/1", []byte("hot"), skerry.QoS1|skerry.Retain),
		skerry.Emit("next", []byte("go")),
		skerry.Followup("ops", "text/plain", []byte("help")))
}

func state() error {
	err := errors.Join(
		skerry.Set("a", []byte(strings.Repeat("x", 1000)), 0),
		skerry.Set("b", []byte("2"), 1500*time.Millisecond),
		skerry.Set("gone", []byte("3"), 0),
		skerry.Delete("gone"))
	n, addErr := skerry.Add("n", -7)
	done, casErr := skerry.CompareAndSet("b", []byte("2"), []byte("two"))
	created, newErr := skerry.CompareAndSet("c", nil, []byte("new"))
	keys, keysErr := skerry.Keys("", 0)
	long, getErr := skerry.Get("a")
	if n != -7 || !done || !created || strings.Join(keys, ",") != "a,b,c,n" || len(long) != 1000 {
		return fmt.Errorf("state: %d %v %v %v %d", n, done, created, keys, len(long))
	}
	return errors.Join(err, addErr, casErr, newErr, keysErr, getErr)
}

func refusals() error {
	_, unset := skerry.Get("none")
	_, secret := skerry.Secret("root")
	for _, tt := range []struct{ got, want error }{
		{unset, skerry.ErrNotFound},
		{secret, skerry.ErrDenied},
		{skerry.Publish("a/#", nil, 0), skerry.ErrInvalid},
		{skerry.Publish("other", nil, 0), skerry.ErrDenied},
		{skerry.Set("big", make([]byte, 100_000), 0), skerry.ErrLimit},
	} {
		if !errors.Is(tt.got, tt.want) {
			return fmt.Errorf("got %v, want %v", tt.got, tt.want)
		}
	}
	return nil
}
