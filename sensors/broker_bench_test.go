package sensors_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// BenchmarkBroker is the way of a message from a client of the embedded broker
// into the agent, and beside it the same through a bare mochi with one hook.
// cpu-ns is what both ends and the kernel take for a message.
func BenchmarkBroker(b *testing.B) {
	for _, qos := range []byte{0, 1} {
		for _, clients := range []int{1, 50} {
			for _, name := range []string{"skerry", "mochi"} {
				b.Run(fmt.Sprintf("qos%d/%dc/%s", qos, clients, name), func(b *testing.B) {
					var seen atomic.Int64
					addr := map[string]func(*testing.B, *atomic.Int64) string{"skerry": ours, "mochi": bareMochi}[name](b, &seen)
					pubs := make([]*publisher, clients)
					for i := range pubs {
						pubs[i] = newPublisher(b, addr, i, qos)
					}
					sent, before := int64(0), cpu()
					for b.Loop() {
						pubs[sent%int64(clients)].publish()
						if sent++; sent%1024 == 0 {
							for _, p := range pubs {
								p.flush()
							}
							for sent-seen.Load() > 4096 {
								runtime.Gosched() // the broker is behind
							}
						}
					}
					for _, p := range pubs {
						p.flush()
					}
					testbed.Eventually(b, time.Minute, "all", func() error {
						if seen.Load() < sent {
							return errors.New("not yet")
						}
						return nil
					})
					b.ReportMetric(float64(cpu()-before)/float64(sent), "cpu-ns/op")
				})
			}
		}
	}
}

func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func ours(b *testing.B, seen *atomic.Int64) string {
	src, err := sensors.NewBroker(sensors.BrokerOptions{Name: "plant", Device: "gw7", Listen: "127.0.0.1:0", Anonymous: true, Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	src.Follow([]agent.Trigger{{Via: "plant", Filter: "a/#", QoS: 1}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- src.Run(ctx, func(_ *agent.Event, done func(error)) {
			seen.Add(1)
			if done != nil {
				done(nil)
			}
		})
	}()
	b.Cleanup(func() {
		cancel()
		<-ended
	})
	testbed.Eventually(b, 10*time.Second, "broker", func() error {
		if src.Addr() == "" {
			return errors.New("no address")
		}
		return nil
	})
	return src.Addr()
}

// countHook takes messages in as an embedded agent would.
type countHook struct {
	allowAll
	seen *atomic.Int64
}

func (countHook) ID() string           { return "count" }
func (countHook) Provides(m byte) bool { return m == mochi.OnPublish || (allowAll{}).Provides(m) }
func (h countHook) OnPublish(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	h.seen.Add(1)
	return pk, nil
}

func bareMochi(b *testing.B, seen *atomic.Int64) string {
	server := mochi.New(&mochi.Options{Logger: quiet()})
	if err := server.AddHook(countHook{allowAll{&mochi.HookBase{}}, seen}, nil); err != nil {
		b.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err := server.AddListener(l); err != nil {
		b.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Close() })
	return l.Address()
}

// publisher writes PUBLISH packets of 120 bytes of data, many at a time.
type publisher struct {
	out    *bufio.Writer
	packet []byte
	id     []byte // in packet; nil for QoS 0
	n      uint16
}

func newPublisher(b *testing.B, addr string, i int, qos byte) *publisher {
	b.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	hello := append([]byte("\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03"), fmt.Sprintf("%03d", i)...)
	if _, err := c.Write(hello); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		b.Fatal(err)
	}
	go io.Copy(io.Discard, c) // ends with the connection
	topic := fmt.Sprintf("a/%03d", i)
	body := append(binary.BigEndian.AppendUint16(nil, uint16(len(topic))), topic...)
	p := &publisher{out: bufio.NewWriterSize(c, 16<<10)}
	if qos > 0 {
		body = append(body, 0, 0)
	}
	body = append(body, bytes.Repeat([]byte("x"), 110)...)
	p.packet = append([]byte{0x30 | qos<<1, byte(len(body))}, body...)
	if qos > 0 {
		p.id = p.packet[4+len(topic):][:2]
	}
	return p
}

func (p *publisher) publish() {
	if p.id != nil {
		p.n = p.n%60000 + 1
		binary.BigEndian.PutUint16(p.id, p.n)
	}
	p.out.Write(p.packet)
}

func (p *publisher) flush() { p.out.Flush() }
