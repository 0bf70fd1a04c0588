package emulator

import (
	"fmt"
	"math/bits"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// warp is 32 threads in step. Where they part at a branch, one part runs until
// it is where they meet again, then the other.
type warp struct {
	b     *block
	index int
	r32   []row32
	r64   []row64
	preds []uint32
	marks []uint32 // of each register, the lanes that wrote it

	pc, meet int32
	mask     uint32 // the threads that run
	live     uint32 // the threads that have not left
	stack    []frame

	state   state
	at      *instruction // of the barrier where it waits
	id      uint32       // of that barrier
	me      uint64       // its identity in cells, less the lane
	syncs   uint64
	held    *page   // locked by the access under way
	holds   uint64  // which page it is
	of      *region // of this region
	local   region
	product *matrices
	carries uint32 // of add.cc
	groups  []asyncGroup
	steps   int64
	threads int64 // instructions of single threads
	err     *driver.Error
}

// frame is threads that wait to run.
type frame struct {
	pc, meet int32
	mask     uint32
}

// state is whether a warp can run.
type state uint8

const (
	ready state = iota
	waiting
	done
)

// slice is how many instructions a warp executes before another's turn.
const slice = 1 << 14

// run executes instructions until the warp waits at a barrier, ends or fails, or
// its turn is over.
func (w *warp) run() {
	code := w.b.k.code
	for n := 0; n < slice; n++ {
		if w.pc == w.meet || w.mask == 0 {
			if !w.pop() {
				w.state = done
				w.steps += int64(n)
				return
			}
			n--
			continue
		}
		in := &code[w.pc]
		mask := w.mask
		if in.guard >= 0 {
			p := w.preds[in.guard]
			if in.not {
				p = ^p
			}
			mask &= p
		}
		if len(in.uses) > 0 && !w.written(in, mask) {
			return
		}
		w.threads += int64(bits.OnesCount32(mask))
		if in.action == compute {
			w.pc++
			if mask == 0 {
				continue
			}
			in.exec(w, in, mask)
			if w.err != nil {
				return
			}
			if len(in.sets) > 0 {
				w.mark(in, mask)
			}
			continue
		}
		if !w.flow(in, mask) {
			w.steps += int64(n)
			return
		}
	}
	w.steps += slice
}

// written checks that threads have written what an instruction uses.
func (w *warp) written(in *instruction, mask uint32) bool {
	for _, s := range in.uses {
		m := mask
		if s.file == filePred && s.at == in.guard {
			m = w.mask
		}
		if missing := m &^ w.marks[s.mark]; missing != 0 {
			w.fail(in, missing, UnwrittenRead, "it uses a register that was never written")
			return false
		}
	}
	return true
}

// mark marks the registers that an instruction set.
func (w *warp) mark(in *instruction, mask uint32) {
	has := mask
	from := func(i int) uint32 {
		if at := in.from[i]; at >= 0 {
			return w.marks[at]
		}
		return full
	}
	switch in.moves {
	case moveItself:
		return
	case moveOne:
		has &= from(0)
	case moveSelected:
		p := w.preds[in.c]
		has &= p&from(0) | ^p&from(1)
	case noMove:
	}
	for _, s := range in.sets {
		w.marks[s.mark] = w.marks[s.mark]&^mask | has
	}
}

// pop continues with threads that waited, and reports whether there are any.
func (w *warp) pop() bool {
	for len(w.stack) > 0 {
		f := w.stack[len(w.stack)-1]
		w.stack = w.stack[:len(w.stack)-1]
		if f.mask &= w.live; f.mask != 0 {
			w.pc, w.meet, w.mask = f.pc, f.meet, f.mask
			return true
		}
	}
	return false
}

// flow executes an instruction that is more than computing, and reports whether
// the warp continues.
func (w *warp) flow(in *instruction, mask uint32) bool {
	switch in.action {
	case branch:
		w.branch(in, mask)
		return true
	case leave:
		w.leave(mask)
		w.pc++
		return true
	case syncWarp:
		w.pc++
		return w.together(in, mask, full) && w.synchronized()
	default:
	}
	w.pc++
	if mask == 0 {
		return true
	}
	if mask != w.live {
		w.fail(in, mask, BarrierDivergence, fmt.Sprintf("%d threads of the warp are at a barrier and %d are elsewhere", bits.OnesCount32(mask), bits.OnesCount32(w.live&^mask)))
		return false
	}
	w.state, w.at, w.id = waiting, in, w.r32[in.a][bits.TrailingZeros32(mask)]
	return false
}

func (w *warp) leave(mask uint32) {
	w.live &^= mask
	w.mask &^= mask
}

// branch parts the threads of a warp.
func (w *warp) branch(in *instruction, taken uint32) {
	next := w.pc + 1
	stay := w.mask &^ taken
	if taken != 0 && stay != 0 {
		// A thread whose next step is to leave does so now: it waits for none.
		if w.b.k.code[in.target].leaves() {
			w.leave(taken)
			taken = 0
		} else if w.b.k.code[next].leaves() {
			w.leave(stay)
			stay = 0
		}
	}
	switch {
	case taken == 0:
		w.pc = next
		return
	case stay == 0:
		w.pc = in.target
		return
	}
	if in.meet >= 0 && in.meet != w.meet {
		w.stack = append(w.stack, frame{in.meet, w.meet, w.mask})
	}
	w.meet = in.meet
	if next != in.meet {
		w.stack = append(w.stack, frame{next, in.meet, stay})
	}
	if in.target != in.meet {
		w.pc, w.mask = in.target, taken
	} else {
		w.pop()
	}
}

func (in *instruction) leaves() bool { return in.action == leave && in.guard < 0 }

// together checks that the threads of a member mask that live are those that run.
func (w *warp) together(in *instruction, mask, members uint32) bool {
	if in.action == syncWarp {
		members = w.r32[in.a][bits.TrailingZeros32(w.mask)&31]
	}
	if mask == 0 {
		return true
	}
	if elsewhere := members & w.live &^ mask; elsewhere != 0 {
		w.fail(in, mask, BarrierDivergence, fmt.Sprintf("it synchronises the lanes %#x, and lanes %#x are elsewhere", members, elsewhere))
		return false
	}
	if strangers := mask &^ members; strangers != 0 {
		w.fail(in, strangers, BarrierDivergence, fmt.Sprintf("lanes %#x execute it, and it names only %#x", mask, members))
		return false
	}
	return true
}

// synchronized orders the accesses of the threads of the warp before and after.
func (w *warp) synchronized() bool {
	if w.syncs++; w.syncs >= maxSyncs {
		w.b.advance()
	}
	w.identify()
	return true
}

// fail ends the launch with an error.
func (w *warp) fail(in *instruction, mask uint32, name, detail string) {
	if w.err != nil {
		return
	}
	lane := bits.TrailingZeros32(mask) & 31
	w.err = &driver.Error{
		Call: "cuLaunchKernel", Name: name, Code: codes[name], Sticky: true,
		Detail: fmt.Sprintf("kernel %s, PTX line %d (%s), block %s, thread %s: %s", w.b.k.name, in.line, in.op, w.b.place(), w.b.thread(w.index*lanes+lane), detail),
	}
}
