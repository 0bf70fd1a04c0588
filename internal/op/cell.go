package op

import (
	"github.com/genie-sdk/go/internal/halt"
)

// cell is one sequence of a recurrent layer in one direction.
type cell struct {
	o         Recurrent
	x, w, r   *Array
	d, b      int
	bias      []float64 // of the gates, that of W
	rbias     []float64 // that of R
	peepholes []float64
	f         []func(float64) float64

	h, c  []float64 // hidden and cell state
	gates []float64
	reset []float64 // a GRU's hidden state times its reset gate
}

func newCell(o Recurrent, in []*Array, d, b int, f []func(float64) float64) *cell {
	hidden, gates := in[4].Shape[2], in[1].Shape[1]
	n := cells[o.Kind].activations
	c := &cell{
		o: o, x: in[0], w: in[1], r: in[2], d: d, b: b, f: f[d*n : d*n+n],
		h: row(in[4], hidden, d, b), gates: make([]float64, gates), reset: make([]float64, hidden),
	}
	both := row(in[3], 2*gates, d)
	c.bias, c.rbias = both[:gates], both[gates:]
	if o.Kind == CellLSTM {
		c.c = row(in[5], hidden, d, b)
	}
	if o.Peepholes {
		c.peepholes = row(in[len(in)-1], 3*hidden, d)
	}
	return c
}

// row is the n elements of the last axis at a position of the others.
func row(a *Array, n int, at ...int) []float64 {
	off := 0
	for i, p := range at {
		off += p * a.Strides[i]
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(a.F32()[off+i*a.Strides[len(at)]])
	}
	return out
}

// product is the sum of row i of the weights m times the n elements v(j).
func (c *cell) product(m *Array, i, n int, v func(j int) float64, ask *halt.Counter) float64 {
	w, off, st := m.F32(), c.d*m.Strides[0]+i*m.Strides[1], m.Strides[2]
	sum := 0.0
	for j := range n {
		if j%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
			return 0
		}
		sum += float64(w[off+j*st]) * v(j)
	}
	return sum
}

// input is row i of W times x at a position.
func (c *cell) input(i, at int, ask *halt.Counter) float64 {
	x, off, st := c.x.F32(), at*c.x.Strides[0]+c.b*c.x.Strides[1], c.x.Strides[2]
	return c.product(c.w, i, c.x.Shape[2], func(j int) float64 { return float64(x[off+j*st]) }, ask)
}

// recurrence is row i of R times v.
func (c *cell) recurrence(i int, v []float64, ask *halt.Counter) float64 {
	return c.product(c.r, i, len(v), func(j int) float64 { return v[j] }, ask)
}

// clip bounds what an activation is applied to.
func (c *cell) clip(x float64) float64 {
	if c.o.Clip == 0 {
		return x
	}
	return min(max(x, -c.o.Clip), c.o.Clip)
}

// step computes the states after a position of x; false when it was stopped.
func (c *cell) step(at int, ask *halt.Counter) bool {
	hidden := len(c.h)
	plain := len(c.gates) // gates that are sums of both products
	if c.o.Kind == CellGRU {
		plain = 2 * hidden
	}
	for i := range plain {
		if ask.Stop(elementWork * positionWork) {
			return false
		}
		c.gates[i] = c.input(i, at, ask) + c.recurrence(i, c.h, ask) + c.bias[i] + c.rbias[i]
	}
	if ask.Stop(elementWork * hidden) {
		return false
	}
	switch c.o.Kind {
	case CellLSTM:
		c.lstm()
	case CellGRU:
		return c.gru(at, ask)
	default:
		for i := range c.h {
			c.h[i] = c.f[0](c.clip(c.gates[i]))
		}
	}
	return true
}

func (c *cell) lstm() {
	n := len(c.h)
	for i := range n {
		in, out, forget, cand := c.gates[i], c.gates[n+i], c.gates[2*n+i], c.gates[3*n+i]
		if c.peepholes != nil {
			in += c.peepholes[i] * c.c[i]
			forget += c.peepholes[2*n+i] * c.c[i]
		}
		in = c.f[0](c.clip(in))
		if forget = c.f[0](c.clip(forget)); c.o.Coupled {
			forget = 1 - in
		}
		c.c[i] = forget*c.c[i] + in*c.f[1](c.clip(cand))
		if c.peepholes != nil {
			out += c.peepholes[n+i] * c.c[i]
		}
		c.h[i] = c.f[0](c.clip(out)) * c.f[2](c.c[i])
	}
}

func (c *cell) gru(at int, ask *halt.Counter) bool {
	n := len(c.h)
	for i := range n {
		c.reset[i] = c.f[0](c.clip(c.gates[n+i]))
		if !c.o.Coupled {
			c.reset[i] *= c.h[i]
		}
	}
	for i := range n {
		if ask.Stop(elementWork * positionWork) {
			return false
		}
		j := 2*n + i
		sum := c.input(j, at, ask) + c.bias[j]
		if c.o.Coupled {
			sum += c.reset[i] * (c.recurrence(j, c.h, ask) + c.rbias[j])
		} else {
			sum += c.recurrence(j, c.reset, ask) + c.rbias[j]
		}
		c.gates[j] = c.f[1](c.clip(sum))
	}
	for i := range n {
		z := c.f[0](c.clip(c.gates[i]))
		c.h[i] = (1-z)*c.gates[2*n+i] + z*c.h[i]
	}
	return true
}

// write stores the states in a row of the output.
func (c *cell) write(out *Array, at int) {
	y, off, st := out.F32(), at*out.Strides[0]+c.d*out.Strides[1]+c.b*out.Strides[2], out.Strides[3]
	for i, v := range c.h {
		y[off+i*st] = float32(v)
	}
	for i, v := range c.c {
		y[off+(len(c.h)+i)*st] = float32(v)
	}
}
