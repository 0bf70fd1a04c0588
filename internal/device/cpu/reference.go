package cpu

import (
	"time"

	"github.com/genie-sdk/go/internal/program"
)

// runReference computes a group without a kernel by its operator's reference. The
// stages of a product follow it. Only such a group reads the clock when nothing is
// measured.
func runReference(s *step) error {
	if s.out.Len() == 0 {
		return nil
	}
	s.reference = true
	if c := s.work.d.opts.Slow; c != nil {
		begun := time.Now()
		defer func() { c.Add(time.Since(begun)) }()
	}
	if err := s.op.Eval(s.out, s.in, s.halt); err != nil {
		return err
	}
	if s.group.Kind == program.Linear {
		n := s.out.Shape[len(s.out.Shape)-1]
		s.finish(0, s.out.Len()/n, 0, n)
	}
	return nil
}
