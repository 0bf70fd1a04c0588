package cpu

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
)

// runSample draws a token from each row of logits; without a temperature it is
// the greatest one.
func runSample(s *step) error {
	logits := s.in[0]
	rows, v, st, _ := rowRun(logits)
	ask := s.halt.Counter()
	for i := range rows {
		if ask.Stop(v) {
			return nil
		}
		p := op.SampleParams{
			Temperature: s.in[1].F32()[i*s.in[1].Strides[0]],
			TopP:        s.in[2].F32()[i*s.in[2].Strides[0]],
			TopK:        int(s.in[3].I32()[i*s.in[3].Strides[0]]),
			Seed:        s.in[4].I64()[i*s.in[4].Strides[0]],
			Counter:     int64(s.in[5].Int(i * s.in[5].Strides[0])),
		}
		row := logits.F32()[i*st : i*st+v]
		if p.Temperature > 0 {
			s.out.I32()[i] = int32(s.scratch.draw(p, row, s.halt))
		} else {
			s.out.I32()[i] = int32(max(kernels.ArgMax(row, s.halt), 0))
		}
	}
	return nil
}

func runArgMax(s *step) error {
	rows, n, st, _ := rowRun(s.in[0])
	ask := s.halt.Counter()
	for r := range rows {
		if ask.Stop(n) {
			return nil
		}
		s.out.I32()[r] = int32(kernels.ArgMax(s.in[0].F32()[r*st:r*st+n], s.halt))
	}
	return nil
}

// runTopK finds values and indices; the operator outputs one of them.
func runTopK(s *step) error {
	o := s.op.(op.TopK)
	rows, n, st, _ := rowRun(s.in[0])
	mem, err := s.work.get(4 * o.K)
	if err != nil {
		return err
	}
	defer s.work.put(mem)
	values, indices := (&op.Array{Data: mem}).F32(), (&op.Array{Data: mem}).I32()
	ask := s.halt.Counter()
	for r := range rows {
		if ask.Stop(n) {
			return nil
		}
		if o.Indices {
			indices = s.out.I32()[r*o.K : (r+1)*o.K]
		} else {
			values = s.out.F32()[r*o.K : (r+1)*o.K]
		}
		kernels.TopK(values, indices, s.in[0].F32()[r*st:r*st+n], o.K, s.halt)
	}
	return nil
}
