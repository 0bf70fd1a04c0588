package cpu

import "github.com/genie-sdk/go/internal/program"

// runReference computes a group without a kernel by its operator's reference. The
// stages of a product follow it.
func runReference(s *step) error {
	if s.out.Len() == 0 {
		return nil
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
