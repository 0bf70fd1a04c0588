package normal

// rule rewrites one pattern.
type rule struct {
	name  string   // of the pattern, as notes show it
	roots []string // operators of a candidate
	// apply returns what replaces n, made by b.make, or false. n is not stored
	// yet; its inputs are in normal form.
	apply func(b *builder, n *node) (*node, bool)
}

// anyOperator is the root of a rule for every operator.
const anyOperator = "*"

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
		{"cast of cast", []string{"cast"}, castOfCast},
		{"slice of slice", []string{"slice"}, sliceOfSlice},
		{"slice of concat", []string{"slice"}, sliceOfConcat},
		{"concat of slices", []string{"concat"}, concatOfSlices},
		{"expand of expand", []string{"expand"}, expandOfExpand},
		{"pointwise of expand", []string{anyOperator}, pointwiseOfExpand},
		{"product of expand", []string{"matmul"}, productOfExpand},
		{"gather of expand", []string{"embedding"}, gatherOfExpand},
		{"transposed operand", []string{"matmul"}, transposedOperand},

		// Arithmetic.
		{"scale by a constant", []string{"mul", "div", "neg"}, scaleByConstant},
		{"sum with a constant", []string{"add"}, sumWithConstant},
		{"difference", []string{"sub"}, difference},
		{"power by a constant", []string{"pow"}, powerByConstant},
		{"root of a quotient", []string{"sqrt", "reciprocal"}, rootOfQuotient},
		{"quotient", []string{"div"}, quotient},
		{"product with a reciprocal", []string{"mul"}, productWithReciprocal},
		{"vector without leading ones", []string{"add", "sub", "mul", "div"}, vectorWithoutLeadingOnes},
		{"sum with a vector", []string{"add"}, sumWithVector},
		{"bias of pointwise", []string{"bias"}, biasOfPointwise},
	}
}
