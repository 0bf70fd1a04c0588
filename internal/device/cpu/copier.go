package cpu

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// copier copies an array to another one of its shape, or that it broadcasts to,
// of any layouts.
type copier struct {
	nest
	to, from []byte
	size     int // bytes of an element
	// turned is the axis along which the source has no gaps, where that is not the
	// inner one: the copy is then a transposition, by blocks of that axis and the
	// inner one. It is -1 where there is none.
	turned int
	blocks int               // of axis turned
	units  int               // parts that can be copied independently
	each   int               // units that are worth a chunk of their own
	memory [plan.MaxRank]int // of strides that are not those of a value
}

const (
	// turnedBlock is the side of a block of a transposition.
	turnedBlock = 64
	// leastTurned is the length of an axis from which it pays.
	leastTurned = 2
)

// set describes the copy of in to out, except their memory.
func (c *copier) set(out, in *op.Array) {
	c.nest.set(out, in)
	c.size, c.turned = out.DType.Size(), -1
	last := c.rank - 1
	c.units, c.each = c.total, max(1, copyGrain/c.size)
	if st := c.strides[1][last]; c.total == 0 || st == 1 || st == 0 || c.strides[0][last] != 1 || c.size == 2 {
		return
	}
	for d := range last {
		if c.strides[1][d] == 1 && c.n[d] >= leastTurned {
			c.turned = d
			c.blocks = (c.n[d] + turnedBlock - 1) / turnedBlock
			c.units = c.total / c.n[d] / c.n[last] * c.blocks
			c.each = max(1, copyGrain/c.size/(turnedBlock*c.n[last]))
		}
	}
}

// copyGrain is the number of bytes of a chunk.
const copyGrain = 64 << 10

// run copies the units lo to hi, or a part of them when h says stop.
func (c *copier) run(lo, hi int, h halt.Func) {
	if lo >= hi {
		return
	}
	ask := h.Counter()
	switch {
	case c.turned >= 0:
		for ; lo < hi; lo++ {
			if !c.turn(lo, &ask) {
				return
			}
		}
	case c.full[0] && c.full[1]:
		c.plain(lo*c.size, lo*c.size, (hi-lo)*c.size, &ask)
	default:
		c.loops(lo, hi, &ask)
	}
	if c.streams() {
		kernels.StreamEnd()
	}
}

func (c *copier) streams() bool { return c.nest.streams(c.size) }

// plain copies n bytes that have no gaps. It reports whether it is to continue.
func (c *copier) plain(to, from, n int, ask *halt.Counter) bool {
	stream := c.streams()
	for i := 0; i < n; i += copyPiece {
		m := min(copyPiece, n-i)
		dst, src := c.to[to+i:to+i+m], c.from[from+i:from+i+m]
		if stream && m >= 1024 {
			kernels.Stream(dst, src)
		} else {
			copy(dst, src)
		}
		if ask.Stop(m + copyStep) {
			return false
		}
	}
	return true
}

// loops copies elements by inner loops.
func (c *copier) loops(lo, hi int, ask *halt.Counter) {
	last := c.rank - 1
	inner, to, from := c.n[last], c.strides[0][last], c.strides[1][last]
	for p := c.find(lo); lo < hi; {
		if p.at == 0 && to == 1 && from == 1 && last > 0 && inner*c.size <= shortRow {
			if rows := min((hi-lo)/inner, c.n[last-1]-p.idx[last-1], copyPiece/shortRow); rows > 1 {
				c.rows(&p, rows)
				if lo += rows * inner; ask.Stop(rows * (inner*c.size + shortCopy)) {
					return
				}
				continue
			}
		}
		n := min(hi-lo, inner-p.at, copyPiece/c.size)
		t, f := (p.off[0]+p.at*to)*c.size, (p.off[1]+p.at*from)*c.size
		switch {
		case to != 1 && n > 1:
			scatter(c.to[t:], c.from[f:], n, to, from, c.size)
		case from == 1 || n == 1:
			if !c.plain(t, f, n*c.size, ask) {
				return
			}
		case from == 0:
			repeat(c.to[t:t+n*c.size], c.from[f:], c.size)
		default:
			gather(c.to[t:t+n*c.size], c.from[f:], from, c.size)
		}
		lo += n
		if p.at += n; p.at == inner {
			c.next(&p)
		}
		if ask.Stop(n*c.size + copyStep) {
			return
		}
	}
}

const (
	// shortRow is the number of bytes of an inner loop below which finding it takes
	// longer than copying it.
	shortRow = 1 << 10
	// shortCopy is the work of copying one, beside its bytes.
	shortCopy = 8
)

// rows copies so many inner loops without gaps from place p on, and moves it.
func (c *copier) rows(p *place, rows int) {
	last := c.rank - 1
	n := c.n[last] * c.size
	to, from := p.off[0]*c.size, p.off[1]*c.size
	nextTo, nextFrom := c.strides[0][last-1]*c.size, c.strides[1][last-1]*c.size
	for range rows {
		copy(c.to[to:to+n], c.from[from:from+n])
		to, from = to+nextTo, from+nextFrom
	}
	c.skip(p, rows-1)
	c.next(p)
}

// turn copies a block of axis turned, for all of the inner one. It reports
// whether it is to continue.
func (c *copier) turn(unit int, ask *halt.Counter) bool {
	last := c.rank - 1
	first := unit % c.blocks * turnedBlock
	unit /= c.blocks
	to, from := first*c.strides[0][c.turned], first
	for d := last - 1; d >= 0; d-- {
		if d != c.turned {
			i := unit % c.n[d]
			unit /= c.n[d]
			to += i * c.strides[0][d]
			from += i * c.strides[1][d]
		}
	}
	cols := min(turnedBlock, c.n[c.turned]-first)
	ldd, lds := c.strides[0][c.turned], c.strides[1][last]
	for i := 0; i < c.n[last]; i += turnedBlock {
		rows := min(turnedBlock, c.n[last]-i)
		turnBlock(c.to[(to+i)*c.size:], ldd, c.from[(from+i*lds)*c.size:], lds, rows, cols, c.size)
		if ask.Stop((rows*cols)*c.size + copyStep) {
			return false
		}
	}
	return true
}

func turnBlock(to []byte, ldd int, from []byte, lds, rows, cols, size int) {
	switch size {
	case 1:
		kernels.Transpose(to[:(cols-1)*ldd+rows], ldd, from, lds, rows, cols)
	case 4:
		kernels.Transpose(elems[uint32](to)[:(cols-1)*ldd+rows], ldd, elems[uint32](from), lds, rows, cols)
	case 8:
		kernels.Transpose(elems[uint64](to)[:(cols-1)*ldd+rows], ldd, elems[uint64](from), lds, rows, cols)
	}
}

// copyStrided copies in to out, which have one element type and a shape that in
// broadcasts to, or a part of it when h says stop.
func copyStrided(out, in *op.Array, h halt.Func) {
	var c copier
	c.set(out, in)
	c.to, c.from = out.Data, in.Data
	c.run(0, c.units, h)
}

// copyStep is the work of finding a dense run, as [halt.Counter] counts it.
const copyStep = 64

// copyDense copies a to mem without gaps.
func copyDense(mem []byte, a *op.Array, h halt.Func) {
	var strides [plan.MaxRank]int
	dense := op.Array{DType: a.DType, Shape: a.Shape, Strides: denseStrides(a.Shape, &strides), Data: mem}
	copyStrided(&dense, a, h)
}

// denseStrides are the row-major strides of shape.
func denseStrides(shape []int, strides *[plan.MaxRank]int) []int {
	n := 1
	for d := len(shape) - 1; d >= 0; d-- {
		strides[d] = n
		n *= shape[d]
	}
	return strides[:len(shape)]
}

// copyTo copies in to out with the help of other threads.
func (s *step) copyTo(out, in *op.Array) {
	c := s.copier
	c.set(out, in)
	c.to, c.from = out.Data, in.Data
	s.pool.run(s.job, s, c.units, c.each, copyChunk)
}

func copyChunk(s *step, lo, hi int) { s.copier.run(lo, hi, s.halt) }

func runCopy(s *step) error {
	in := *s.in[0]
	if o, ok := s.op.(op.Transpose); ok {
		for i, p := range o.Perm {
			s.copier.memory[i] = s.in[0].Strides[p]
		}
		in.Shape, in.Strides = s.out.Shape, s.copier.memory[:len(o.Perm)]
	}
	s.copyTo(s.out, &in)
	return nil
}

// runReshape copies in row-major order of the input's shape.
func runReshape(s *step) error {
	in := s.in[0]
	out := op.Array{DType: in.DType, Shape: in.Shape, Strides: denseStrides(in.Shape, &s.copier.memory), Data: s.out.Data}
	s.copyTo(&out, in)
	return nil
}
