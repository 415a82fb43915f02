package instrument

// The call stack that a function takes, as wazero 1.12.0 compiles it, is a
// fixed part and one slot of 8 bytes (16 in functions that use vectors) for
// every value that was ever out of registers: slots are not used twice. Values
// are: what is assigned to a local variable; a local variable where paths with
// different values of it meet; an operand that waits on the stack during a call
// or for long. Counting these gives an upper bound, and real compilers produce
// functions that need a third of it. A frame is estimated at half of the bound:
// what a function really takes is never more than twice its estimate.
const (
	frameBase = 208       // return address, saved registers
	frameSlot = 4         // half of a slot
	maxFrame  = 128 << 10 // of a function; seen in real modules: 32 KiB
	longSpan  = 10        // instructions that an operand waits, from which it may leave its register
)

// frameMeter estimates the frame of one function while it is scanned.
type frameMeter struct {
	slots    int
	operands []int // on the stack: number of the instruction that pushed each
	now      int   // number of the current instruction
	stop     int   // of the last one at which all values leave their registers
	arity    int   // of the largest call
	vectors  bool
	helper   bool // calls a function that Rewrite adds
}

func (f *frameMeter) reset() { *f = frameMeter{operands: f.operands[:0]} }

// cut removes the operands above height.
func (f *frameMeter) cut(height int) {
	for _, at := range f.operands[height:] {
		if at < f.stop || f.now-at >= longSpan {
			f.slots++
		}
	}
	f.operands = f.operands[:height]
}

func (f *frameMeter) push(n int) {
	for range n {
		f.operands = append(f.operands, f.now)
	}
}

// call notes a call that moves arity parameters and results. The place of
// memory, two values, is read again after it.
func (f *frameMeter) call(arity int) {
	f.stop = f.now
	f.slots += 2
	f.arity = max(f.arity, arity)
}

// bytes is the estimate.
func (f *frameMeter) bytes() int {
	slot := frameSlot
	if f.vectors {
		slot *= 2
	}
	bytes := frameBase + slot*(f.slots+2*f.arity)
	if f.helper {
		bytes += frameBase / 2
	}
	return bytes
}
