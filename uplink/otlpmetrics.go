package uplink

import "time"

// OTLPMetric is one metric with its points.
type OTLPMetric struct {
	Name    string
	Unit    string // UCUM: "By", "us", "{event}"
	Counter bool   // it only grows, since the start; else it is a gauge
	Points  []OTLPPoint
}

// OTLPPoint is a value of a metric.
type OTLPPoint struct {
	Attrs []OTLPAttr
	Value int64
}

// OTLPMetrics is the body of a POST to /v1/metrics, an
// ExportMetricsServiceRequest, gzip compressed. Counters began at start.
func OTLPMetrics(resource []OTLPAttr, start, now time.Time, metrics []OTLPMetric) []byte {
	return exportRequest(resource, func(of *protobuf) {
		of.message(2, func(s *protobuf) {
			s.message(1, func(in *protobuf) { in.text(1, "skerry") })
			for i := range metrics {
				s.message(2, func(p *protobuf) { metrics[i].write(p, start, now) })
			}
		})
	})
}

const cumulative = 2 // AGGREGATION_TEMPORALITY_CUMULATIVE

func (m *OTLPMetric) write(p *protobuf, start, now time.Time) {
	p.text(1, m.Name)
	p.text(3, m.Unit)
	points := func(of *protobuf) {
		for _, pt := range m.Points {
			of.message(1, func(p *protobuf) {
				if m.Counter {
					p.time(2, start)
				}
				p.time(3, now)
				p.fixed64(6, uint64(pt.Value))
				p.attributes(7, pt.Attrs)
			})
		}
	}
	if !m.Counter {
		p.message(5, points)
		return
	}
	p.message(7, func(sum *protobuf) {
		points(sum)
		sum.varint(2, cumulative)
		sum.varint(3, 1) // is_monotonic
	})
}
