package sensors_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
)

// Who does not want to wait for the next try of a broker that was away for long
// need not.
func TestHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int64
		m, err := sensors.NewMQTT(sensors.MQTTOptions{
			Name: "cloud", Device: "gw7", URL: "tcp://192.0.2.1", Log: slog.New(slog.DiscardHandler),
			Dial: func(context.Context, string, string) (net.Conn, error) {
				dials.Add(1)
				return nil, errors.New("away")
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx, func(*agent.Event, func(error)) {}) }()
		<-time.After(10 * time.Minute)
		synctest.Wait()
		before := dials.Load()
		m.Hurry()
		synctest.Wait()
		if n := dials.Load(); n != before+1 {
			t.Errorf("%d tries before, %d behind a hurry", before, n)
		}
		stop()
		<-ended
	})
}
