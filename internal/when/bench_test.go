package when_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/when"
)

// large is a reading of 1 KB.
var large = `{"id":"s017","values":[` + strings.Repeat(`{"name":"phase-1","volt":229.87,"ampere":11.203},`, 18) + `{"name":"last"}],"temperature":21.5,"unit":"C"}`

var readings = map[string]string{"120B": sensor, "1KB": large}

// misses makes conditions that do not hold for a reading.
func misses(b *testing.B, text string, n int) []agent.Predicate {
	b.Helper()
	predicates := make([]agent.Predicate, n)
	for i := range predicates {
		p, err := compile(fmt.Sprintf(text, 100+i))
		if err != nil {
			b.Fatal(err)
		}
		predicates[i] = p
	}
	return predicates
}

// missed does for one event what the router does.
func missed(b *testing.B, ev *agent.Event, predicates []agent.Predicate) {
	for _, p := range predicates {
		if ok, err := p.Match(agent.Terms{Event: ev}); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
	ev.Forget()
}

// BenchmarkMiss is the cost of an event that no trigger on its topic wants, beside
// decoding it once with encoding/json: so many times as fast it is (x-decode).
func BenchmarkMiss(b *testing.B) {
	for _, size := range []string{"120B", "1KB"} {
		for _, text := range []string{`data.temperature > %d`, `data.unit == "K" and data.temperature > %d`, `data.temperature * 2 > %d * 2`} {
			for _, n := range []int{1, 5, 50} {
				b.Run(fmt.Sprintf("%s/%d/%s", size, n, text), func(b *testing.B) {
					predicates := misses(b, text, n)
					ev := event(readings[size])
					missing, decoding := time.Hour, time.Hour
					start := time.Now()
					b.ReportAllocs()
					for i := 1; b.Loop(); i++ {
						missed(b, ev, predicates)
						if i%batch == 0 {
							missing = min(missing, time.Since(start))
							decoding = min(decoding, decodedBeside(b, ev.Data))
							start = time.Now()
						}
					}
					b.ReportMetric(float64(decoding)/float64(missing), "x-decode")
				})
			}
		}
	}
}

// batch is of how many events the time is taken at once. The shortest counts, on
// both sides: it is the one that nothing else on the machine came between.
const batch = 256

// decodedBeside is how long encoding/json takes for a batch, outside of what b measures.
func decodedBeside(b *testing.B, data []byte) time.Duration {
	b.StopTimer()
	defer b.StartTimer()
	start := time.Now()
	for range batch {
		if err := json.Unmarshal(data, new(any)); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}

// BenchmarkCompile is what a new condition costs; kept-B is the memory it holds.
func BenchmarkCompile(b *testing.B) {
	for _, text := range []string{
		`data.temperature > %d`,
		`data.temperature > %d and data.unit == "C" and level(1) == "7"`,
		`any(data.rooms, .t > %d)`,
		`(data.limit ?? 80) * 2 + data.temperature > %d or len(data.list) > 3`,
	} {
		b.Run(text, func(b *testing.B) {
			var kept []agent.Predicate
			before := heap()
			n := 0
			for b.Loop() {
				p, _, err := when.Language{}.Condition(fmt.Sprintf(text, n), nil)
				if err != nil {
					b.Fatal(err)
				}
				if n++; len(kept) < 1000 {
					kept = append(kept, p)
				}
			}
			b.ReportMetric(float64(heap()-before)/float64(len(kept)), "kept-B")
			runtime.KeepAlive(kept)
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

const sensor = `{"id":"s017","seq":1234567,"ts":1763689000123456,"temperature":95.25,"humidity":45.2,"unit":"C","site":"hall-3","fw":"1.4.2"}`

func BenchmarkMatch(b *testing.B) {
	for _, text := range []string{
		`data.temperature > 80`,
		`data.temperature > 80 and data.unit == "C"`,
		`level(1) == "7"`,
		`qos == 1`,
	} {
		b.Run(text, func(b *testing.B) {
			p, err := compile(text)
			if err != nil {
				b.Fatal(err)
			}
			ev := event(sensor)
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := p.Match(agent.Terms{Event: ev}); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

// BenchmarkFresh decodes each event once, as the agent does.
func BenchmarkFresh(b *testing.B) {
	p, err := compile(`data.temperature > 80`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := p.Match(terms(sensor)); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// BenchmarkNative is the same condition written in Go.
func BenchmarkNative(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var r struct{ Temperature float64 }
		if err := json.Unmarshal([]byte(sensor), &r); err != nil || r.Temperature <= 80 {
			b.Fatal(err)
		}
	}
}
