package normal

// rule rewrites one pattern.
type rule struct {
	name  string   // of the pattern, as notes show it
	roots []string // operators of a candidate
	// apply returns what replaces n, made by b.make, or false. n is not stored
	// yet; its inputs are in normal form.
	apply func(b *builder, n *node) (*node, bool)
}

// rules are all rules, in the order in which those of one root are tried: what
// leaves things out comes first, whole patterns come before the forms of their
// parts.
var rules []rule

// The list refers to functions that make values, which look the list up.
func init() { //nolint:gochecknoinits // breaks the cycle of initialisation
	rules = []rule{
		// Views.
		{"identity", []string{"identity"}, identity},
		{"cast to the same type", []string{"cast"}, castToSame},
		{"reshape of reshape", []string{"reshape"}, reshapeOfReshape},
		{"transpose of transpose", []string{"transpose"}, transposeOfTranspose},
		{"chain of views", []string{"reshape", "transpose"}, viewChain},
		{"slice of slice", []string{"slice"}, sliceOfSlice},
		{"product with ones", []string{"mul"}, timesOnes},
		{"concat of copies", []string{"concat"}, concatOfCopies},
		{"concat of slices", []string{"concat"}, concatOfSlices},
		// Whole patterns.
		{"attention", []string{"matmul"}, attention},
		{"transposed operand", []string{"matmul"}, transposedOperand},
	}
}
