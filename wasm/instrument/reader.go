package instrument

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

var (
	errCut    = errors.New("the module ends too early; build or copy it again")
	errNumber = errors.New("a number in the module is too long; build it again with an up-to-date compiler")
)

// reader takes apart what is left of b. The first error sticks and empties b,
// so that a loop that looks at err ends.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) failf(format string, args ...any) { r.fail(fmt.Errorf(format, args...)) }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errCut)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// bytes gives the next n bytes, which stay part of the module.
func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)) {
		r.fail(errCut)
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v>>32 != 0 {
				break
			}
			return uint32(v)
		}
	}
	r.fail(errNumber)
	return 0
}

// signed reads a signed LEB128 number of at most bits bits (32, 33 or 64).
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		c := r.byte()
		if rest := bits - shift; rest < 7 { // the unused bits repeat the sign
			if ext := int8(c<<1) >> rest; c >= 0x80 || ext != 0 && ext != -1 {
				break
			}
		}
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			if used := shift + 7; used < 64 {
				v = v << (64 - used) >> (64 - used)
			}
			return v
		}
	}
	r.fail(errNumber)
	return 0
}

func (r *reader) name() string {
	s := r.bytes(r.u32())
	if !utf8.Valid(s) {
		r.fail(errors.New("a name in the module is not UTF-8; build it again"))
		return ""
	}
	return string(s)
}

// each calls f for every element of a vector, until the first error. It trusts
// no count: memory is used for what was read, not for what was announced.
func (r *reader) each(f func()) {
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		f()
	}
}

// atMost is each for a vector that may have most elements, called what.
func (r *reader) atMost(most int, what string, f func()) {
	all := *r
	if n := all.u32(); int64(n) > int64(most) {
		r.failf("the module has %d %s, %d are allowed; build it smaller", n, what, most)
		return
	}
	r.each(f)
}

func (r *reader) valueType() byte {
	c := r.byte()
	switch c {
	case typeI32, typeI64, typeF32, typeF64, typeV128, typeFuncref, typeExternref:
	default:
		r.failf("value type 0x%02x is not part of WebAssembly 2.0; build without garbage collection and exceptions", c)
	}
	return c
}

func (r *reader) refType() byte {
	c := r.byte()
	if c != typeFuncref && c != typeExternref {
		r.failf("reference type 0x%02x is not part of WebAssembly 2.0; build without garbage collection and exceptions", c)
	}
	return c
}
