package kernels

// lanes is the number of partial sums of a reduction over one row.
const lanes = 16

// addLanes is the constant tree: l and l+8, l and l+4, l and l+2, l and l+1.
func addLanes(s *[lanes]float32) float32 {
	for half := lanes / 2; half > 0; half /= 2 {
		for l := range half {
			s[l] += s[l+half]
		}
	}
	return s[0]
}
