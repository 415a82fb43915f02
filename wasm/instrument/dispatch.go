package instrument

// dispatches shortens the jumps of Go, which has no goto in WebAssembly. Its
// functions are a loop that starts with
//
//	loop  block ... block  local.get p  br_table ...
//
// and a jump notes in p where to go on and branches to the loop. If the place
// lies ahead, behind the end of one of these blocks that is still open, the jump
// may as well go there straight:
//
//	i32.const n  local.set p  br (loop)   becomes   i32.const n  local.set p  br (block)
//
// That spares the way through the table, and the fuel that the loop charges for
// each pass. Both readers of a body, the one that checks and the one that
// writes, see the short jumps.
type dispatches struct {
	depth int // open blocks, that of the function included
	list  []dispatch
	phase phase
	place uint32 // the constant
	local uint32 // that it is put into
}

// dispatch is an open loop that starts as above.
type dispatch struct {
	at      int      // its place among the open blocks, from the outside
	blocks  int      // that start right behind it
	left    int      // of these, open ones: the outer ones
	local   uint32   // p
	targets []uint32 // labels of the br_table, the last one included
}

// phase says what the last instructions were.
type phase byte

const (
	phaseNone  phase = iota
	phaseLoop        // loop, any number of blocks
	phaseGet         // and local.get
	phaseConst       // i32.const
	phaseSet         // and local.set
)

func (d *dispatches) reset() { d.depth, d.list, d.phase = 1, d.list[:0], phaseNone }

// follow takes note of the next instruction of a body, or shortens it.
func (d *dispatches) follow(in *instr) {
	was := d.phase
	d.phase = phaseNone
	switch in.op {
	case opLoop, opBlock, opIf:
		d.begin(in, was)
	case opEnd:
		d.end()
	case opLocalGet:
		if was == phaseLoop {
			d.phase, d.list[len(d.list)-1].local = phaseGet, in.x
		}
	case opI32Const:
		d.phase, d.place = phaseConst, uint32(in.v)
	case opLocalSet:
		if was == phaseConst {
			d.phase, d.local = phaseSet, in.x
		}
	case opBrTable:
		if was == phaseGet {
			l := &d.list[len(d.list)-1]
			l.targets = append(append(l.targets[:0], in.targets...), in.x)
			l.left = l.blocks
		}
	case opBr:
		if was == phaseSet {
			in.x = d.straight(in.x)
		}
	}
}

func (d *dispatches) begin(in *instr, was phase) {
	empty := in.v == blockEmpty-0x80
	switch {
	case in.op == opLoop && empty:
		if n := len(d.list); n < cap(d.list) { // with the targets of an earlier one, to use again
			d.list = d.list[:n+1]
		} else {
			d.list = append(d.list, dispatch{})
		}
		l := &d.list[len(d.list)-1]
		*l = dispatch{at: d.depth, targets: l.targets[:0]}
		d.phase = phaseLoop
	case in.op == opBlock && empty && was == phaseLoop:
		d.list[len(d.list)-1].blocks++
		d.phase = phaseLoop
	}
	d.depth++
}

func (d *dispatches) end() {
	d.depth--
	if n := len(d.list) - 1; n >= 0 {
		switch l := &d.list[n]; {
		case d.depth == l.at:
			d.list = d.list[:n]
		case d.depth == l.at+l.left && l.left > 0:
			l.left--
		}
	}
}

// straight gives the label to branch to instead of label: that of the block to
// whose end the loop would lead.
func (d *dispatches) straight(label uint32) uint32 {
	for i := len(d.list) - 1; i >= 0; i-- {
		l := &d.list[i]
		if int64(l.at) != int64(d.depth-1)-int64(label) {
			continue
		}
		if l.left == 0 || l.local != d.local {
			return label
		}
		block := int64(l.targets[min(int64(d.place), int64(len(l.targets)-1))])
		if at := int64(l.blocks) - block; at > 0 && at <= int64(l.left) {
			return uint32(int64(d.depth-1-l.at) - at)
		}
		return label
	}
	return label
}
