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
func init() { //nolint:gochecknoinits,funlen // breaks the cycle of initialisation; it is one list
	rules = []rule{
		// Views.
		{"identity", []string{"identity"}, identity},
		{"cast to the same type", []string{"cast"}, castToSame},
		{"reshape of reshape", []string{"reshape"}, reshapeOfReshape},
		{"transpose of transpose", []string{"transpose"}, transposeOfTranspose},
		{"chain of views", []string{"reshape", "transpose"}, viewChain},
		{"cast of cast", []string{"cast"}, castOfCast},
		{"slice of slice", []string{"slice"}, sliceOfSlice},
		{"slice of concat", []string{"slice"}, sliceOfConcat},
		{"concat of slices", []string{"concat"}, concatOfSlices},
		{"gather of known rows", []string{"gather"}, gatherKnown},
		{"logic with a constant", []string{"and", "or", "not"}, logicWithConstant},
		{"product with ones", []string{"mul"}, timesOnes},
		{"expand of expand", []string{"expand"}, expandOfExpand},
		{"pointwise of expand", []string{anyOperator}, pointwiseOfExpand},
		{"product of expand", []string{"matmul"}, productOfExpand},
		{"gather of expand", []string{"embedding"}, gatherOfExpand},

		// Updates of carried tensors.
		{"stacked update", []string{"concat"}, stackedUpdate},
		{"stacked slices", []string{"concat"}, stackedSlices},
		{"update behind a view", []string{"concat", "write_rows"}, updateBehindView},
		{"slice update", []string{"concat"}, sliceUpdate},
		{"sum by selection", []string{"add"}, oneHotSum},
		{"selected rows", []string{"where"}, whereWrite},

		// Whole patterns.
		{"attention", []string{"matmul"}, attention},
		{"transposed operand", []string{"matmul"}, transposedOperand},

		{"rows of a reshape", []string{"reshape"}, reshapedRows},
		{"gather of constant positions", []string{"gather"}, gatherOfConstant},
		{"slice of a stack", []string{"slice"}, sliceOfStack},
		{"slice of a split axis", []string{"reshape"}, sliceOfSplit},
		{"concat of a split axis", []string{"reshape"}, concatOfSplit},
		{"outer product", []string{"matmul"}, outerProduct},
		{"outer product", []string{"transpose"}, transposedOuter},

		// Rotary position embedding.
		{"rope", []string{"add"}, ropeOfRotated},
		{"rope", []string{"concat"}, ropeOfParts},
		{"rope", []string{"concat"}, ropeRest},
		{"rope", []string{"reshape"}, ropeOfPairs},
		{"rope", []string{"reshape"}, ropeOfMatrix},
		{"rope", []string{"transpose"}, ropeTransposed},
		{"rope", []string{"rope"}, ropeAngles},

		// Reductions.
		{"axes of a reduction", []string{"reduce"}, reducedAxes},
		{"reshape of a reduction", []string{"reshape"}, reshapeOfReduction},

		// Activations.
		{"gelu", []string{"mul", "div"}, gelu},
		{"gelu", []string{"mul", "div"}, geluTanh},
		{"gelu", []string{"add"}, geluSum},
		{"silu", []string{"mul", "div"}, silu},
		{"sigmoid", []string{"mul", "div", "reciprocal", "pow", "add"}, sigmoid},
		{"softplus", []string{"log", "log1p"}, softplus},
		{"softplus", []string{"add"}, softplusOfNegative},
		{"softplus", []string{"mul", "neg", "div"}, softplusOfSigmoid},
		{"softplus", []string{"where"}, thresholdSoftplus},

		// Softmax.
		{"softmax", []string{"mul", "div"}, softmaxOfExp},
		{"softmax", []string{"softmax", "log_softmax"}, lastAxis},
		{"softmax", []string{"transpose"}, transposedSoftmax},
		{"log_softmax", []string{"log"}, logOfSoftmax},
		{"softmax", []string{"exp"}, expOfLogSoftmax},
		{"log_softmax", []string{"sub", "add"}, minusLogSum},

		// Norms.
		{"normalisation", []string{"mul", "div"}, normalised},
		{"layer_norm", []string{"add", "sub"}, foldedNorm},
		{"layer_norm", []string{"rms_norm"}, rmsNormOfCentred},
		{"norm with a weight", []string{"mul"}, normWeight},
		{"norm with a weight", []string{"add"}, normResidual},
		{"norm with a shift", []string{"add", "bias"}, normBias},
		{"norm without parameters", []string{"layer_norm", "rms_norm"}, normParameters},

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
