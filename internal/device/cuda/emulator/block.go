package emulator

import (
	"fmt"
	"math/bits"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// block is a block of threads. One goroutine executes it, warp after warp, and
// uses its memory again for the next.
type block struct {
	k        *kernel
	launch   *launch
	x, y, z  int
	warps    []*warp
	spare    []*warp
	shared   region
	agent    agent
	region   *region // that was accessed last
	interval uint64  // barriers that were passed
}

// prepare takes the registers and the memory that a launch needs.
func (b *block) prepare(l *launch) {
	b.launch, b.k, b.region = l, l.k, nil
	threads := l.block.X * l.block.Y * l.block.Z
	for len(b.spare) < (threads+lanes-1)/lanes {
		b.spare = append(b.spare, &warp{b: b, index: len(b.spare)})
	}
	b.warps = b.spare[:(threads+lanes-1)/lanes]
	for i, w := range b.warps {
		w.prepare(b.k, min(threads-i*lanes, lanes))
		w.setThreads(l)
	}
	size := b.k.static
	if l.shared > 0 {
		size = roundUp(size, 16) + l.shared
	}
	b.shared.resize("shared memory", size, l.check == Full)
}

// grown is s with n elements, in the same memory if it has them.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func (w *warp) prepare(k *kernel, threads int) {
	w.r32, w.r64 = grown(w.r32, k.n32), grown(w.r64, k.n64)
	w.preds, w.marks = grown(w.preds, k.preds), grown(w.marks, k.marks)
	for _, c := range k.constants {
		switch c.slot.file {
		case file32:
			fill(&w.r32[c.slot.at], uint32(c.value))
		case file64:
			for i := range w.r64[c.slot.at] {
				w.r64[c.slot.at][i] = c.value
			}
		case filePred:
			w.preds[c.slot.at] = uint32(c.value)
		}
	}
	w.live = uint32(1<<threads - 1)
	w.local.resize("local memory", k.local*lanes, w.b.launch.check == Full)
}

func fill(r *row32, x uint32) {
	for i := range r {
		r[i] = x
	}
}

// run executes block i of the grid.
func (b *block) run(i int) *driver.Error {
	g := b.launch.grid
	b.x, b.y, b.z = i%g.X, i/g.X%g.Y, i/g.X/g.Y
	b.agent.begin(b.launch, uint32(i))
	b.interval = 0
	threads := b.launch.block.X * b.launch.block.Y * b.launch.block.Z
	b.shared.forget()
	for j, w := range b.warps {
		w.live = uint32(1<<min(threads-j*lanes, lanes) - 1)
		w.start()
	}
	steps := int64(0)
	for {
		running := false
		for _, w := range b.warps {
			if w.state != ready {
				continue
			}
			running = true
			w.run()
			if w.err != nil {
				err := w.err
				w.release()
				w.err = nil
				return err
			}
			steps += slice
		}
		if steps > b.launch.limit {
			return b.fault(LaunchTimeout, "it ran for too many instructions")
		}
		if b.launch.stopped() {
			return nil
		}
		if running {
			continue
		}
		if more, err := b.pass(); !more || err != nil {
			return err
		}
	}
}

// start makes the warp ready for a block's first instruction.
func (w *warp) start() {
	clear(w.marks)
	w.pc, w.meet, w.mask, w.state, w.stack = 0, -1, w.live, ready, w.stack[:0]
	w.syncs, w.groups, w.steps = 0, w.groups[:0], 0
	w.local.forget()
	w.setSpecials()
	w.identify()
}

// pass lets the warps pass whose barrier is complete, and reports whether there
// are any.
func (b *block) pass() (bool, *driver.Error) {
	live := 0
	var first *warp
	same := true
	for _, w := range b.warps {
		if w.state != waiting {
			continue
		}
		if first == nil {
			first = w
		}
		same = same && w.at == first.at && w.id == first.id
		live += bits.OnesCount32(w.live)
	}
	if first == nil {
		return false, nil
	}
	if same && (first.at.b < 0 || w32(first, first.at.b) >= uint32(live)) {
		if first.at.b >= 0 && w32(first, first.at.b) > uint32(live) {
			return false, b.barrierFault(first)
		}
		for _, w := range b.warps {
			if w.state == waiting {
				w.state = ready
			}
		}
		b.advance()
		return true, nil
	}
	arrived := map[uint32]int{}
	for _, w := range b.warps {
		if w.state == waiting && w.at.b >= 0 {
			arrived[w.id] += lanes
		}
	}
	for _, w := range b.warps {
		if w.state == waiting && w.at.b >= 0 && arrived[w.id] == int(w32(w, w.at.b)) {
			id := w.id
			for _, v := range b.warps {
				if v.state == waiting && v.id == id {
					v.state = ready
				}
			}
			b.advance()
			return true, nil
		}
	}
	return false, b.barrierFault(first)
}

func w32(w *warp, at int32) uint32 { return w.r32[at][bits.TrailingZeros32(w.live)&31] }

// barrierFault is warps that wait at barriers that never complete.
func (b *block) barrierFault(first *warp) *driver.Error {
	for _, w := range b.warps {
		if w.state == waiting && (w.at != first.at || w.id != first.id) {
			w.fail(w.at, w.live, BarrierDivergence, fmt.Sprintf("warp %d waits at the barrier of PTX line %d and warp %d at another", first.index, first.at.line, w.index))
			err := w.err
			w.err = nil
			return err
		}
	}
	first.fail(first.at, first.live, BarrierDivergence, "the barrier waits for more threads than there are")
	err := first.err
	first.err = nil
	return err
}

// advance begins the interval after a barrier.
func (b *block) advance() {
	b.interval++
	if b.interval >= maxIntervals {
		b.interval = 0
		b.agent.renew(b.launch)
	}
	for _, w := range b.warps {
		w.syncs = 0
		w.identify()
	}
}

func (b *block) fault(name, detail string) *driver.Error {
	return &driver.Error{Call: "cuLaunchKernel", Name: name, Code: codes[name], Sticky: true, Detail: fmt.Sprintf("kernel %s, block %s: %s", b.k.name, b.place(), detail)}
}

func (b *block) place() string { return fmt.Sprintf("(%d,%d,%d)", b.x, b.y, b.z) }

// thread is the index of thread i of the block.
func (b *block) thread(i int) string {
	n := b.launch.block
	return fmt.Sprintf("(%d,%d,%d)", i%n.X, i/n.X%n.Y, i/n.X/n.Y)
}
