package cpu

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// recurring is an LSTM or a GRU in progress.
type recurring struct {
	hidden, gates, batch, seq int
	// ofInputs are the products of all positions with W, and the biases that are added
	// to them; ofState those of the state with R.
	ofInputs, ofState []float32
	bias, stateBias   []float32
	h, c, temp        []float32 // the states, and a row of work
	// The current product: rows of a with the rows of b.
	to, a, b    []float32
	lda, ldb, m int
	k, n, ldc   int
}

// recurrentLens are the elements that the kernel works in, by use.
func recurrentLens(s *step) [7]int {
	seq, batch := s.in[0].Shape[0], s.in[0].Shape[1]
	gates, hidden := s.in[1].Shape[1], s.in[4].Shape[2]
	return [...]int{seq * batch * gates, batch * gates, gates, gates, batch * hidden, batch * hidden, batch * hidden}
}

func (s *step) recurrentWorkspace() int {
	n := 0
	for _, size := range recurrentLens(s) {
		n += size
	}
	return program.Align(max(4*n, 1))
}

// runRecurrent multiplies the inputs of all positions with W at once, and then the
// state with R by position.
func runRecurrent(s *step) error {
	mem, err := s.work.get(s.recurrentWorkspace())
	if err != nil {
		return err
	}
	defer s.work.put(mem)
	r := s.recurring
	r.seq, r.batch, r.gates, r.hidden = s.in[0].Shape[0], s.in[0].Shape[1], s.in[1].Shape[1], s.in[4].Shape[2]
	floats, lens := elems[float32](mem), recurrentLens(s)
	for i, dst := range [...]*[]float32{&r.ofInputs, &r.ofState, &r.bias, &r.stateBias, &r.h, &r.c, &r.temp} {
		*dst, floats = floats[:lens[i]:lens[i]], floats[lens[i]:]
	}
	dirs := s.in[1].Shape[0]
	for d := range dirs {
		s.beginDirection(d)
		back := d == 1 || s.op.(op.Recurrent).Direction == "reverse"
		for i := range r.seq {
			if s.halt.Now() {
				return nil
			}
			at := i
			if back {
				at = r.seq - 1 - i
			}
			s.recur(d, at)
			s.writeStates(d, at)
		}
		s.writeStates(d, r.seq)
	}
	return nil
}

// recurrentRows are multiplied with W between two questions whether to stop.
const recurrentRows = 4096

// beginDirection computes what does not depend on the states, and sets the first.
func (s *step) beginDirection(d int) {
	r, o := s.recurring, s.op.(op.Recurrent)
	w, b := s.in[1], s.in[3]
	_, _, lda, _ := rowRun(s.in[0])
	x, rows := s.in[0].F32(), r.seq*r.batch
	for from := 0; from < rows; from += recurrentRows {
		if s.halt.Now() {
			return
		}
		n := min(recurrentRows, rows-from)
		s.product(r.ofInputs[from*r.gates:], r.gates, x[from*lda:], lda, n, tail(w, d*w.Strides[0]), w.Strides[1], r.gates, w.Shape[2])
	}
	biases, st := tail(b, d*b.Strides[0]), b.Strides[1]
	for i := range r.gates {
		r.bias[i], r.stateBias[i] = biases[i*st], biases[(r.gates+i)*st]
		if !o.Coupled || i < 2*r.hidden { // only a GRU's last gate has its reset in between
			r.bias[i] += r.stateBias[i]
		}
	}
	ask := s.halt.Counter()
	for i := range rows {
		if ask.Stop(r.gates) {
			return
		}
		row := r.ofInputs[i*r.gates:][:r.gates]
		kernels.Add(row, row, r.bias)
	}
	r.first(r.h, s.in[4], d)
	if o.Kind == op.CellLSTM {
		r.first(r.c, s.in[5], d)
	}
}

// first copies the first state of a direction.
func (r *recurring) first(dst []float32, from *op.Array, d int) {
	x := from.F32()
	for b := range r.batch {
		for i := range r.hidden {
			dst[b*r.hidden+i] = x[d*from.Strides[0]+b*from.Strides[1]+i*from.Strides[2]]
		}
	}
}

// recur computes the states after a position.
func (s *step) recur(d, at int) {
	r, m, o := s.recurring, s.in[2], s.op.(op.Recurrent)
	weights, n := tail(m, d*m.Strides[0]), r.gates
	if o.Kind == op.CellGRU && !o.Coupled {
		n = 2 * r.hidden
	}
	s.product(r.ofState, r.gates, r.h, r.hidden, r.batch, weights, m.Strides[1], n, r.hidden)
	x := r.ofInputs[at*r.batch*r.gates:]
	for b := range r.batch {
		g := r.ofState[b*r.gates:][:r.gates]
		h, c, temp := r.row(r.h, b), r.row(r.c, b), r.row(r.temp, b)
		if in := x[b*r.gates:][:r.gates]; o.Kind == op.CellLSTM {
			kernels.Add(g, g, in)
			r.lstm(g, h, c, temp)
		} else {
			r.resets(g, in, h, temp, o.Coupled)
		}
	}
	if o.Kind != op.CellGRU {
		return
	}
	if !o.Coupled {
		s.product(r.ofState[n:], r.gates, r.temp, r.hidden, r.batch, weights[n*m.Strides[1]:], m.Strides[1], r.hidden, r.hidden)
	}
	for b := range r.batch {
		r.gru(r.ofState[b*r.gates:][:r.gates], x[b*r.gates:][:r.gates], r.row(r.h, b), r.row(r.temp, b), o.Coupled)
	}
}

// row is the part of a state of sequence b.
func (r *recurring) row(a []float32, b int) []float32 { return a[b*r.hidden:][:r.hidden] }

var sigmoid, tanh = kernels.Activation("sigmoid"), kernels.Activation("tanh")

// lstm computes the states from the gates, which are input, output, forget and cell.
func (r *recurring) lstm(g, h, c, temp []float32) {
	n := r.hidden
	sigmoid(g[:3*n], g[:3*n])
	tanh(g[3*n:], g[3*n:])
	kernels.Mul(c, c, g[2*n:3*n])
	kernels.Mul(temp, g[:n], g[3*n:])
	kernels.Add(c, c, temp)
	tanh(temp, c)
	kernels.Mul(h, temp, g[n:2*n])
}

// resets computes a GRU's first two gates, and in temp what the reset gate leaves: of
// the state, or of its product.
func (r *recurring) resets(g, in, h, temp []float32, coupled bool) {
	n := r.hidden
	kernels.Add(g[:2*n], g[:2*n], in[:2*n])
	sigmoid(g[:2*n], g[:2*n])
	if !coupled {
		kernels.Mul(temp, g[n:2*n], h)
		return
	}
	kernels.Add(temp, g[2*n:], r.stateBias[2*n:])
	kernels.Mul(temp, temp, g[n:2*n])
}

// gru computes a GRU's last gate and the state.
func (r *recurring) gru(g, in, h, temp []float32, coupled bool) {
	n := r.hidden
	last := g[2*n:]
	if coupled {
		copy(last, temp)
	}
	kernels.Add(last, last, in[2*n:])
	tanh(last, last)
	kernels.Sub(h, h, last) // (1-z)*last + z*h
	kernels.Mul(h, h, g[:n])
	kernels.Add(h, h, last)
}

// writeStates stores the states in a row of the output.
func (s *step) writeStates(d, at int) {
	r, out := s.recurring, s.out
	y := out.F32()
	for b := range r.batch {
		dst := y[at*out.Strides[0]+d*out.Strides[1]+b*out.Strides[2]:]
		copy(dst, r.row(r.h, b))
		if out.Shape[3] > r.hidden {
			copy(dst[r.hidden:], r.row(r.c, b))
		}
	}
}

// product is c [m, n] = a [m, k] x b [n, k]^T.
func (s *step) product(c []float32, ldc int, a []float32, lda, m int, b []float32, ldb, n, k int) {
	r := s.recurring
	r.to, r.ldc, r.a, r.lda, r.m, r.b, r.ldb, r.n, r.k = c, ldc, a, lda, m, b, ldb, n, k
	perPanel := max(1, m*k*kernels.PanelWidth)
	s.pool.run(s.job, s, kernels.Panels(n), max(grainPanels, grainMACs/perPanel), recurrentChunk)
	r.to, r.a, r.b = nil, nil, nil
}

func recurrentChunk(s *step, lo, hi int) {
	r := s.recurring
	kernels.GemmNT(r.to, r.ldc, r.a, r.lda, r.b, r.ldb, r.m, lo*kernels.PanelWidth, min(hi*kernels.PanelWidth, r.n), r.k, s.halt)
}
