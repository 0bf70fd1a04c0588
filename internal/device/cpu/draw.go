package cpu

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
)

// sampler is the memory of draws. The zero value is ready to use.
type sampler struct {
	weights   []float64
	values    []float32
	indices   []int32
	reference op.SampleScratch
	halt      halt.Func // of the draw
}

// drawRows is how many of the largest logits are examined for top_p at first.
// If they have half of the wanted weight, eight times as many are examined. A
// flatter distribution is left to the reference, whose heap suits large sets
// better.
const drawRows = 256

// draw picks an index of logits as [op.Sample] describes, with the same result
// as [op.SampleParams.Draw]: weights have the same bits, and are added in the
// same order.
func (s *sampler) draw(p op.SampleParams, logits []float32, h halt.Func) int {
	s.halt = h
	best := max(kernels.ArgMax(logits, s.halt), 0)
	top := logits[best]
	if !(p.Temperature > 0) || math.IsInf(float64(top), 0) || top != top {
		return p.DrawScratch(logits, &s.reference, s.halt) // the greatest, or an empty choice
	}
	n := len(logits)
	if p.TopK > 0 && p.TopK < n {
		if !s.largest(logits, p.TopK) {
			return p.DrawScratch(logits, &s.reference, s.halt)
		}
		s.weigh(s.values, top, p.Temperature)
		return s.choose(p, s.keep(p.TopP, s.sum()), s.indices, best)
	}
	s.weigh(logits, top, p.Temperature)
	sum := s.sum()
	if p.TopP >= 1 {
		return s.choose(p, sum, nil, best)
	}
	return s.nucleus(p, logits, top, sum, best)
}

// nucleus draws from the smallest set of largest logits whose weights reach
// top_p of sum.
func (s *sampler) nucleus(p op.SampleParams, logits []float32, top float32, sum float64, best int) int {
	limit := float64(p.TopP) * sum
	for k := drawRows; k <= 8*drawRows && k < len(logits); k *= 8 {
		if !s.largest(logits, k) {
			break
		}
		s.weigh(s.values, top, p.Temperature)
		switch have := s.sum(); {
		case have >= limit:
			return s.choose(p, s.keep(p.TopP, sum), s.indices, best)
		case have < limit/2:
			return p.DrawScratch(logits, &s.reference, s.halt)
		}
	}
	return p.DrawScratch(logits, &s.reference, s.halt)
}

// largest finds the k largest logits. It reports whether all of them can be
// drawn, which excludes NaN and -Inf.
func (s *sampler) largest(logits []float32, k int) bool {
	if cap(s.values) < k {
		s.values, s.indices = make([]float32, k), make([]int32, k)
	}
	s.values, s.indices = s.values[:k], s.indices[:k]
	kernels.TopK(s.values, s.indices, logits, k, s.halt)
	last := s.values[k-1]
	return last >= -math.MaxFloat32
}

// weigh computes the weights of logits.
func (s *sampler) weigh(logits []float32, top, temperature float32) {
	if cap(s.weights) < len(logits) {
		s.weights = make([]float64, len(logits))
	}
	s.weights = s.weights[:len(logits)]
	kernels.DrawWeights(s.weights, logits, top, temperature, s.halt)
}

func (s *sampler) sum() (sum float64) {
	ask := s.halt.Counter()
	for _, w := range s.weights {
		if sum += w; ask.Stop(1) {
			break
		}
	}
	return sum
}

// keep drops the weights after those that reach top_p of sum, and returns the
// sum of the rest.
func (s *sampler) keep(topP float32, sum float64) float64 {
	if topP >= 1 {
		return sum
	}
	limit := float64(topP) * sum
	sum = 0
	ask := s.halt.Counter()
	for i, w := range s.weights {
		if sum += w; sum >= limit || ask.Stop(1) {
			s.weights = s.weights[:i+1]
			break
		}
	}
	return sum
}

// choose draws one of the weights. indices are the logits that they belong to;
// nil means that each index is its own position.
func (s *sampler) choose(p op.SampleParams, sum float64, indices []int32, best int) int {
	u := op.Uniform(uint64(p.Seed), uint64(p.Counter)) * sum
	var cum float64
	ask := s.halt.Counter()
	for i, w := range s.weights {
		cum += w
		if ask.Stop(1) {
			return best
		}
		if u < cum {
			if indices != nil {
				return int(indices[i])
			}
			return i
		}
	}
	return best
}
