package uplink

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// OTLPAttr is an attribute of a resource, a log record or a point. Value is a
// string; bytes that are no text go as bytes.
type OTLPAttr struct{ Key, Value string }

// protobuf is a message that is being written; field numbers are those of the
// OpenTelemetry protocol, opentelemetry/proto/*/v1.
type protobuf []byte

func (p *protobuf) message(field protowire.Number, fill func(*protobuf)) {
	var in protobuf
	fill(&in)
	*p = protowire.AppendTag(*p, field, protowire.BytesType)
	*p = protowire.AppendBytes(*p, in)
}

func (p *protobuf) text(field protowire.Number, s string) {
	if s != "" {
		*p = protowire.AppendTag(*p, field, protowire.BytesType)
		*p = protowire.AppendString(*p, strings.ToValidUTF8(s, "\uFFFD"))
	}
}

func (p *protobuf) varint(field protowire.Number, n uint64) {
	*p = protowire.AppendTag(*p, field, protowire.VarintType)
	*p = protowire.AppendVarint(*p, n)
}

func (p *protobuf) fixed64(field protowire.Number, n uint64) {
	*p = protowire.AppendTag(*p, field, protowire.Fixed64Type)
	*p = protowire.AppendFixed64(*p, n)
}

// time is nanoseconds since 1970, nothing for what is before.
func (p *protobuf) time(field protowire.Number, t time.Time) {
	if ns := t.UnixNano(); !t.IsZero() && ns > 0 {
		p.fixed64(field, uint64(ns))
	}
}

// value is an AnyValue: its string_value or, of what is no text, its bytes_value.
func (p *protobuf) value(field protowire.Number, s string) {
	p.message(field, func(v *protobuf) {
		kind := protowire.Number(1)
		if !utf8.ValidString(s) {
			kind = 7
		}
		*v = protowire.AppendTag(*v, kind, protowire.BytesType)
		*v = protowire.AppendString(*v, s)
	})
}

// attributes are repeated KeyValues.
func (p *protobuf) attributes(field protowire.Number, attrs []OTLPAttr) {
	for _, a := range attrs {
		p.message(field, func(kv *protobuf) {
			kv.text(1, a.Key)
			kv.value(2, a.Value)
		})
	}
}

// exportRequest is an Export…ServiceRequest of one resource, compressed.
func exportRequest(resource []OTLPAttr, scopes func(*protobuf)) []byte {
	var p protobuf
	p.message(1, func(of *protobuf) {
		of.message(1, func(r *protobuf) { r.attributes(1, resource) })
		scopes(of)
	})
	return gzipped(p)
}

// errWire says that bytes are no message.
var errWire = errors.New("no protobuf message")

// fields calls f with each field of a message; value is nil for other than bytes,
// n is 0 for other than numbers.
func fields(b []byte, f func(field protowire.Number, n uint64, value []byte)) error {
	for len(b) > 0 {
		field, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errWire
		}
		b = b[size:]
		var n uint64
		var value []byte
		switch kind {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(field, kind, b)
		}
		if size < 0 {
			return errWire
		}
		b = b[size:]
		f(field, n, value)
	}
	return nil
}

// partial is the partial_success of an Export…ServiceResponse: how many of what
// was sent the far side threw away, and its words. What is no such message says
// nothing.
func partial(answer []byte) (rejected int64, words string) {
	err := fields(answer, func(field protowire.Number, _ uint64, value []byte) {
		if field != 1 || value == nil {
			return
		}
		if fields(value, func(field protowire.Number, n uint64, value []byte) {
			switch field {
			case 1:
				rejected = int64(n)
			case 2:
				words = string(value)
			}
		}) != nil {
			rejected, words = 0, ""
		}
	})
	if err != nil {
		return 0, ""
	}
	return rejected, words
}
