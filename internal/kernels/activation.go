package kernels

// activation is the kernel of an activation; internal/kernels/asm says what each is
// and generates the table of them, activations.
type activation struct {
	name     string
	operator string // that it computes by its name alone, or none
	apply    func(dst, src []float32)
	exact    func(x float64) float64
	// The error is at most so many units in the last place or, below an input, so
	// much.
	ulps, below, tail float64
}

// Activation is the kernel of the activation with an operator's name, which writes
// f(src[i]) to dst[i]; dst may be src. It is nil where there is none.
func Activation(operator string) func(dst, src []float32) {
	for _, a := range activations {
		if a.operator == operator && operator != "" {
			return a.apply
		}
	}
	return nil
}

// left computes the elements that assembly left as they were, whose size is above
// one, that of the results at most.
func left(dst []float32, f func(x float64) float64) {
	for i, x := range dst {
		if x > 1 || x < -1 {
			dst[i] = float32(f(float64(x)))
		}
	}
}
