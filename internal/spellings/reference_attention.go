package spellings

import (
	"math"

	"github.com/genie-sdk/go/transport/plan"
)

// attentionOf are the numbers of one attention: q [b, h, t, d], k and v
// [b, g, s, d].
type attentionOf struct {
	b, h, g, t, s, d int
	q, k, v          func(b, h, i, j int) float64
	score            func(x float64, b, h, i, j int) float64 // of query i and key j, after scaling
	allowed          func(b, i, j int) bool
}

// result is the attention of one query of a head.
func (a attentionOf) result(b, h, i int) []float64 {
	kv := h / (a.h / a.g)
	weights := make([]float64, a.s)
	top := math.Inf(-1)
	for j := range weights {
		dot := 0.0
		for c := range a.d {
			dot += a.q(b, h, i, c) * a.k(b, kv, j, c)
		}
		weights[j] = math.Inf(-1)
		if a.allowed == nil || a.allowed(b, i, j) {
			weights[j] = dot / math.Sqrt(float64(a.d))
			if a.score != nil {
				weights[j] = a.score(weights[j], b, h, i, j)
			}
		}
		top = max(top, weights[j])
	}
	sum := 0.0
	for j, w := range weights {
		if weights[j] = math.Exp(w - top); math.IsInf(top, -1) {
			weights[j] = 1 // a row that may attend to nothing
		}
		sum += weights[j]
	}
	out := make([]float64, a.d)
	for j, w := range weights {
		for c := range out {
			out[c] += w / sum * a.v(b, kv, j, c)
		}
	}
	return out
}

// heads are the elements of a value [b, h, t, d], and of one in which the axes
// are in another order.
func heads(v Value, strides func(s []int) [4]int) func(b, h, i, j int) float64 {
	s := strides(v.Shape)
	return func(b, h, i, j int) float64 { return v.Data[b*s[0]+h*s[1]+i*s[2]+j*s[3]] }
}

func headsFirst(s []int) [4]int  { return [4]int{s[1] * s[2] * s[3], s[2] * s[3], s[3], 1} }
func rowsFirst(s []int) [4]int   { return [4]int{s[1] * s[2] * s[3], s[3], s[2] * s[3], 1} }
func withoutHead(s []int) [4]int { return [4]int{s[1] * s[2], 0, s[2], 1} }

// attend is attention of q, k and v [b, heads, rows, d] with details that change
// a.
func attend(details func(a *attentionOf, in map[string]Value, p map[string]float64)) Reference {
	return func(in map[string]Value, p map[string]float64) map[string]Value {
		q, k := in["q"], in["k"]
		s := q.Shape
		a := attentionOf{
			b: s[0], h: s[1], g: k.Shape[1], t: s[2], s: k.Shape[2], d: s[3],
			q: heads(q, headsFirst), k: heads(k, headsFirst), v: heads(in["v"], headsFirst),
		}
		if details != nil {
			details(&a, in, p)
		}
		y := Value{DType: plan.F32, Shape: s}
		for b := range a.b {
			for h := range a.h {
				for i := range a.t {
					y.Data = append(y.Data, a.result(b, h, i)...)
				}
			}
		}
		return one(y)
	}
}

func causal(a *attentionOf, _ map[string]Value, _ map[string]float64) {
	past := a.s - a.t
	a.allowed = func(_, i, j int) bool { return j <= past+i }
}

func windowed(a *attentionOf, in map[string]Value, p map[string]float64) {
	causal(a, in, p)
	past, w := a.s-a.t, 3
	a.allowed = func(_, i, j int) bool { return j <= past+i && j > past+i-w }
}

func capped(a *attentionOf, in map[string]Value, p map[string]float64) {
	causal(a, in, p)
	c := p["cap"]
	a.score = func(x float64, _, _, _, _ int) float64 { return c * math.Tanh(x/c) }
}

func alibi(a *attentionOf, in map[string]Value, p map[string]float64) {
	causal(a, in, p)
	a.score = func(x float64, _, h, _, j int) float64 { return x + float64(j)*math.Pow(2, -2*float64(h+1)) }
}

func padded(a *attentionOf, in map[string]Value, _ map[string]float64) {
	m := in["mask"]
	a.allowed = func(b, _, j int) bool { return m.Data[b*m.Shape[1]+j] != 0 }
}

func paddedBy(weak float64) func(a *attentionOf, in map[string]Value, _ map[string]float64) {
	return func(a *attentionOf, in map[string]Value, _ map[string]float64) {
		m := in["mask"]
		a.score = func(x float64, b, _, _, j int) float64 { return x + (1-m.Data[b*m.Shape[1]+j])*weak }
	}
}

// attendRows is attention between rows [b, t, h*d].
func attendRows(in map[string]Value, _ map[string]float64) map[string]Value {
	const d = 8
	q, k := in["q"], in["k"]
	h := q.Shape[2] / d
	split := func(s []int) [4]int { return [4]int{s[1] * s[2], d, s[2], 1} }
	a := attentionOf{
		b: q.Shape[0], h: h, g: h, t: q.Shape[1], s: k.Shape[1], d: d,
		q: heads(q, split), k: heads(k, split), v: heads(in["v"], split),
	}
	y := Value{DType: plan.F32, Shape: q.Shape}
	for b := range a.b {
		for i := range a.t {
			for h := range a.h {
				y.Data = append(y.Data, a.result(b, h, i)...)
			}
		}
	}
	return one(y)
}

// attendMultiQuery is causal attention of q [b, t, h, d] to k and v [b, s, d].
func attendMultiQuery(in map[string]Value, p map[string]float64) map[string]Value {
	q, k := in["q"], in["k"]
	s := q.Shape
	a := attentionOf{
		b: s[0], h: s[2], g: 1, t: s[1], s: k.Shape[1], d: s[3],
		q: heads(q, rowsFirst), k: heads(k, withoutHead), v: heads(in["v"], withoutHead),
	}
	causal(&a, in, p)
	y := Value{DType: plan.F32, Shape: s}
	for b := range a.b {
		for i := range a.t {
			for h := range a.h {
				y.Data = append(y.Data, a.result(b, h, i)...)
			}
		}
	}
	return one(y)
}

// attentionReferences are those of attention in its forms.
func attentionReferences() map[string]Reference {
	return map[string]Reference{
		"attention":                 attendRows,
		"causal_attention":          attend(causal),
		"grouped_attention":         attend(causal),
		"multi_query_attention":     attendMultiQuery,
		"window_attention":          attend(windowed),
		"capped_attention":          attend(capped),
		"alibi_attention":           attend(alibi),
		"padded_attention":          attend(padded),
		"additive_padded_attention": attend(paddedBy(-10000)),
	}
}
