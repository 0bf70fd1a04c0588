package cpu

func runReference(s *step) error {
	if s.out.Len() == 0 {
		return nil
	}
	return s.op.Eval(s.out, s.in, s.halt)
}
