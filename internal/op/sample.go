package op

import (
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Sample draws a token for each row of logits [batch, vocab]. The inputs are
// logits (f32), temperature (f32 [batch]), top_p (f32 [batch]), top_k (i32
// [batch]), seed (i64 [batch]) and counter (i32 or i64 [batch]); the output is
// i32 [batch].
//
// Temperature 0 (or less) is greedy: the first largest logit. Otherwise logits
// are divided by the temperature. Only the top_k largest remain (0: all), and
// of these the smallest set whose probability reaches top_p (1: all; Holtzman
// et al., 2019). One is drawn with a uniform number that is a function of seed
// and counter alone, so the draw does not depend on the batch, the executor or
// earlier draws. All arithmetic is float64 without fused operations: the same
// logits give the same token on every machine.
type Sample struct{}

// Name is sample.
func (Sample) Name() string { return "sample" }

// Traits are those of a reduction.
func (Sample) Traits() Traits { return Traits{Class: ClassReduce, Reduces: true} }

// Attrs has none: the parameters are inputs, so that a plan serves every
// request.
func (Sample) Attrs() plan.Attrs { return nil }

// Infer checks the six inputs.
func (Sample) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 6, 6); err != nil {
		return plan.Spec{}, err
	}
	s := in[0].Shape
	if len(s) != 2 || s[1].Is(0) {
		return plan.Spec{}, shapeErr("sample from %v, want [batch, vocab]", s)
	}
	if err := wantF32(in[:3]...); err != nil {
		return plan.Spec{}, err
	}
	for i, p := range in[1:] {
		if len(p.Shape) != 1 || !p.Shape[0].Equal(s[0]) {
			return plan.Spec{}, shapeErr("sample parameter %d has shape %v, want [%v]", i+1, p.Shape, s[0])
		}
	}
	if in[3].DType != plan.I32 || in[4].DType != plan.I64 || !in[5].DType.IsInt() {
		return plan.Spec{}, dtypeErr("sample with top_k %v, seed %v, counter %v", in[3].DType, in[4].DType, in[5].DType)
	}
	return plan.Spec{DType: plan.I32, Shape: s[:1]}, nil
}

// Conditions are that there are tokens to draw from.
func (Sample) Conditions(in []plan.Spec) (plan.Shape, string) {
	return plan.Shape{some(in[0].Shape[1])}, "a token of an empty vocabulary"
}

// FLOPs counts one pass over the logits.
func (Sample) FLOPs(in [][]int, _ []int) float64 { return 5 * fproduct(in[0]) }

// Eval draws.
func (Sample) Eval(out *Array, in []*Array, h halt.Func) error {
	b, v := in[0].Shape[0], in[0].Shape[1]
	if v == 0 && b > 0 {
		return shapeErr("sample from %v", in[0].Shape)
	}
	x := in[0].F32()
	ask := h.Counter()
	row := make([]float32, v)
	for i := range b {
		for j := range row {
			if ask.Stop(elementWork) {
				return ErrHalted
			}
			row[j] = x[i*in[0].Strides[0]+j*in[0].Strides[1]]
		}
		p := SampleParams{
			Temperature: in[1].F32()[i*in[1].Strides[0]],
			TopP:        in[2].F32()[i*in[2].Strides[0]],
			TopK:        int(in[3].I32()[i*in[3].Strides[0]]),
			Seed:        in[4].I64()[i*in[4].Strides[0]],
			Counter:     int64(in[5].Int(i * in[5].Strides[0])),
		}
		out.I32()[i] = int32(p.DrawScratch(row, &SampleScratch{}, h))
		if h.Now() {
			return ErrHalted
		}
	}
	return nil
}

// SampleParams are the parameters of one draw.
type SampleParams struct {
	Temperature, TopP float32
	TopK              int
	Seed, Counter     int64
}

// SampleScratch is memory that draws reuse. The zero value is ready to use.
type SampleScratch struct{ cand candidates }

// Draw picks an index of logits as [Sample] describes.
func (p SampleParams) Draw(logits []float32) int { return p.DrawScratch(logits, &SampleScratch{}, nil) }

// DrawScratch is Draw with reusable memory; a greedy draw needs none. When h
// stops it the index is arbitrary.
func (p SampleParams) DrawScratch(logits []float32, scratch *SampleScratch, h halt.Func) int {
	best := 0
	hi := math.Inf(-1)
	ask := h.Counter()
	for i, v := range logits {
		if ask.Stop(elementWork) {
			return 0
		}
		if f := float64(v); f > hi {
			best, hi = i, f
		}
	}
	if !(p.Temperature > 0) || math.IsInf(hi, 0) {
		return best
	}
	if cap(scratch.cand) < len(logits) {
		scratch.cand = make(candidates, 0, len(logits))
	}
	cand := scratch.cand[:0]
	for i, v := range logits {
		if ask.Stop(elementWork) {
			return 0
		}
		if f := float64(v); f >= -math.MaxFloat32 { // neither NaN nor -Inf
			cand = append(cand, candidate{i, v, 0})
		}
	}
	scratch.cand = cand
	if p.TopK > 0 && p.TopK < len(cand) {
		cand = cand.largest(&ask, func(n int, _ float64) bool { return n == p.TopK })
	}
	var sum float64
	for i := range cand {
		if ask.Stop(elementWork * positionWork) {
			return 0
		}
		cand[i].weight = expDet((float64(cand[i].logit) - hi) / float64(p.Temperature))
		sum += cand[i].weight
	}
	if p.TopP < 1 {
		limit := float64(p.TopP) * sum
		sum = 0
		cand = cand.largest(&ask, func(_ int, w float64) bool {
			sum += w
			return sum >= limit
		})
	}
	u := Uniform(uint64(p.Seed), uint64(p.Counter)) * sum
	var cum float64
	for _, c := range cand {
		if ask.Stop(elementWork) {
			return 0
		}
		cum += c.weight
		if u < cum {
			return c.index
		}
	}
	return best
}

// heapWork is the work of popping a heap: a large one misses the caches.
const heapWork = 8

type candidate struct {
	index  int
	logit  float32
	weight float64
}

func (c candidate) before(o candidate) bool {
	return c.logit > o.logit || c.logit == o.logit && c.index < o.index
}

type candidates []candidate

// largest pops candidates, largest logit first and ties by lower index, until
// enough accepts their number and the last one's weight. It works in place with
// a heap: the vocabulary need not be sorted for the few that are retained. When
// ask says stop it returns the candidates so far.
func (c candidates) largest(ask *halt.Counter, enough func(n int, weight float64) bool) candidates {
	for i := len(c)/2 - 1; i >= 0; i-- {
		if ask.Stop(elementWork * positionWork) {
			return nil
		}
		c.down(i)
	}
	heap := c
	for len(heap) > 0 && !ask.Stop(elementWork*heapWork) {
		last := len(heap) - 1
		heap[0], heap[last] = heap[last], heap[0]
		heap = heap[:last]
		heap.down(0)
		if enough(len(c)-last, c[last].weight) {
			break
		}
	}
	taken := c[len(heap):]
	slices.Reverse(taken)
	return taken
}

func (c candidates) down(i int) {
	for {
		k := 2*i + 1
		if k >= len(c) {
			return
		}
		if k+1 < len(c) && c[k+1].before(c[k]) {
			k++
		}
		if !c[k].before(c[i]) {
			return
		}
		c[i], c[k] = c[k], c[i]
		i = k
	}
}

// Uniform is a number in [0, 1) with 53 random bits that depends on seed and
// counter alone: two rounds of the SplitMix64 finaliser (Steele, Lea and
// Flood, 2014).
func Uniform(seed, counter uint64) float64 {
	x := mix64(seed+0x9e3779b97f4a7c15) + (counter+1)*0x9e3779b97f4a7c15
	return float64(mix64(x)>>11) / (1 << 53)
}

func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// expDet is e to the x for x <= 0 by range reduction and a Taylor polynomial,
// rounded after every operation so that every machine gives the same bits;
// its relative error is below 1e-14.
func expDet(x float64) float64 {
	if x < -745 {
		return 0
	}
	const ln2hi, ln2lo = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	r := float64(x-float64(k*ln2hi)) - float64(k*ln2lo)
	p := expCoeffs[0]
	for _, c := range expCoeffs[1:] {
		p = float64(p*r) + c
	}
	if k < -1000 { // below the normal numbers
		return math.Ldexp(p, int(k))
	}
	return p * math.Float64frombits(uint64(int64(k)+1023)<<52)
}

// expCoeffs are 1/n! from n = 14 down to 0, each correctly rounded.
var expCoeffs = [...]float64{
	1.0 / 87178291200, 1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
	1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1,
}
