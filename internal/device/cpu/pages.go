package cpu

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
)

// set sets where a value is stored.
func (p *pages) set(at *device.Pages) {
	p.mem, p.floats, p.rows = p.mem[:0], p.floats[:0], at.Rows
	for _, b := range at.Buffers {
		mem := bytes(b)
		p.mem = append(p.mem, mem)
		p.floats = append(p.floats, (&op.Array{Data: mem}).F32())
	}
}

// first is the first page, which is the whole of a value in one piece.
func (p *pages) first() []byte {
	if len(p.mem) == 0 {
		return nil
	}
	return p.mem[0]
}

// paged reports whether a value is stored in several pages; false for nil.
func (p *pages) paged() bool { return p != nil && len(p.mem) > 1 }

// rowsOf is the rows, from element off on, of an operand of attention: dense, or
// for keys in one piece also adjacent.
func (p *pages) rowsOf(a *op.Array, off int) kernels.Rows {
	stride := a.Strides[len(a.Shape)-2]
	switch {
	case !unitRows(a):
		return kernels.Rows{Data: tail(a, off), Stride: a.Strides[len(a.Shape)-1], Turned: true}
	case !p.paged():
		return kernels.InOnePiece(tail(a, off), stride)
	}
	return kernels.Rows{Pages: p.floats, Offset: off, Stride: stride, PageRows: p.rows}
}
