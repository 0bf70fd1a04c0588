package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// widthPart elements of a row of the output of [Attention] are computed at
// once, so that the reference needs no more memory for a wide one.
const widthPart = 1 << 12

// attention is an evaluation of [Attention].
type attention struct {
	Attention
	q, k, v, mask []float32
	may           []byte // a bool mask
	keys, dim     int
	dq, dk, dm    int // distance of elements of a query, of a key, and of the mask for two keys
	rk, rv, dv    int // distance of two keys and two values, and of elements of a value
	ask           *halt.Counter
}

// Eval is the reference kernel; it passes over the keys twice, and computes in
// float64.
func (o Attention) Eval(out *Array, in []*Array, h halt.Func) error {
	ask := h.Counter()
	q, k, v := in[0], in[1], in[2]
	r := len(q.Shape)
	e := attention{
		Attention: o, q: q.F32(), k: k.F32(), v: v.F32(), keys: k.Shape[r-2], dim: q.Shape[r-1],
		dq: q.Strides[r-1], dk: k.Strides[r-1], rk: k.Strides[r-2], rv: v.Strides[r-2], dv: v.Strides[r-1], ask: &ask,
	}
	// The heads are cut into kvHeads times a group; the last axis is a row's.
	split := func(of []int, group, head int) []int {
		s := append(append([]int(nil), of[:r-3]...), group, head)
		return append(s, of[r-2], 0)
	}
	group := 1
	if k.Shape[r-3] > 0 {
		group = q.Shape[r-3] / k.Shape[r-3]
	}
	shape := append(append([]int(nil), q.Shape[:r-3]...), k.Shape[r-3], group, q.Shape[r-2], 1)
	shared := func(a *Array) []int { // keys and values: no axis of queries
		s := split(a.Strides, a.Strides[r-3], 0)
		s[r-1] = 0
		return s
	}
	strides := [][]int{
		split(q.Strides, group*q.Strides[r-3], q.Strides[r-3]), split(out.Strides, group*out.Strides[r-3], out.Strides[r-3]),
		shared(k), shared(v), make([]int, r+1),
	}
	if i := o.MaskInput(); i >= 0 {
		scores := append(append([]int(nil), q.Shape[:r-1]...), e.keys)
		m := in[i].BroadcastStrides(scores)
		strides[4], e.dm = split(m, group*m[r-3], m[r-3]), m[r-1]
		if e.mask = in[i].F32(); o.Mask == MaskBool {
			e.mask, e.may = nil, in[i].Data
		}
	}
	perBatch, queries, at := product(q.Shape[1:r-1]), q.Shape[r-2], 0
	y, sy, width := out.F32(), out.Strides[r-1], out.Shape[r-1]
	values := make([]float64, min(width, widthPart))
	return walk(shape, &ask, e.keys, func(p []int) {
		start := 0
		if i := o.StartInput(); i >= 0 {
			start = in[i].Int(at / perBatch * in[i].Strides[0])
		}
		lo, hi := o.Range(at%queries, queries, e.keys, start)
		at++
		for j := 0; j < width; j += len(values) {
			part := values[:min(len(values), width-j)]
			if e.row(part, p, j, lo, hi); ask.Stop(elementWork * len(part)) {
				return
			}
			for i, x := range part {
				y[p[1]+(j+i)*sy] = float32(x)
			}
		}
	}, strides...)
}

// row computes the elements of an output row from element first on. p are the
// offsets of the query, the output, the keys, the values and the mask.
func (e *attention) row(out []float64, p []int, first, lo, hi int) {
	top := math.Inf(-1)
	for j := range e.keys {
		top = math.Max(top, e.score(p, j, lo, hi))
		if e.ask.Stop(elementWork) {
			return
		}
	}
	clear(out)
	var sum float64
	for j := range e.keys {
		w := math.Exp(e.score(p, j, lo, hi) - top)
		sum += w
		at := p[3] + j*e.rv + first*e.dv
		for i := range out {
			out[i] += w * float64(e.v[at+i*e.dv])
		}
		if e.ask.Stop(elementWork * (1 + len(out))) {
			return
		}
	}
	for i := range out {
		if e.keys > 0 {
			out[i] /= sum
		}
	}
}

// score is that of key j.
func (e *attention) score(p []int, j, lo, hi int) float64 {
	m := p[4] + j*e.dm
	if j < lo || j >= hi || e.may != nil && e.may[m] == 0 {
		return MaskValue
	}
	var s float64
	for i := range e.dim {
		if i%innerWork == innerWork-1 && e.ask.Stop(elementWork*innerWork) {
			return 0
		}
		s += float64(e.q[p[0]+i*e.dq]) * float64(e.k[p[2]+j*e.rk+i*e.dk])
	}
	s *= float64(e.Scale)
	if e.Softcap > 0 {
		s = float64(e.Softcap) * math.Tanh(s/float64(e.Softcap))
	}
	if e.mask != nil {
		s += float64(e.mask[m])
	}
	return s
}
