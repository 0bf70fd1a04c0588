package onnx

import "github.com/genie-sdk/go/lazy"

// standard are the operators of the standard domain that are imported. docs/onnx.md
// has the same list with what the tests of the ONNX project say of each. It is a
// function since some of them import graphs, which use the table.
func standard() map[string]handler {
	return map[string]handler{
		"Abs": one(unary(lazy.Abs)), "Acos": one(unary(lazy.Acos)), "Acosh": one(unary(lazy.Acosh)),
		"Asin": one(unary(lazy.Asin)), "Asinh": one(unary(lazy.Asinh)), "Atan": one(unary(lazy.Atan)), "Atanh": one(unary(lazy.Atanh)),
		"Ceil": one(unary(lazy.Ceil)), "Cos": one(unary(lazy.Cos)), "Cosh": one(unary(lazy.Cosh)), "Erf": one(unary(lazy.Erf)),
		"Exp": one(unary(lazy.Exp)), "Floor": one(unary(lazy.Floor)), "Identity": identity, "Log": one(unary(lazy.Log)),
		"Neg": one(unary(lazy.Neg)), "Not": one(unary(lazy.Not)), "Reciprocal": one(unary(lazy.Reciprocal)), "Relu": one(relu),
		"Round": one(unary(lazy.Round)), "Sigmoid": one(unary(lazy.Sigmoid)), "Sign": one(unary(lazy.Sign)),
		"Sin": one(unary(lazy.Sin)), "Sinh": one(unary(lazy.Sinh)), "Softplus": one(unary(lazy.Softplus)), "Sqrt": one(unary(lazy.Sqrt)),
		"Tan": one(unary(lazy.Tan)), "Tanh": one(unary(lazy.Tanh)), "IsNaN": one(unary(lazy.IsNaN)), "IsInf": one(isInf),

		"Add": one(pairwise(lazy.Add)), "Sub": one(pairwise(lazy.Sub)), "Mul": one(pairwise(lazy.Mul)), "Div": one(pairwise(lazy.Div)),
		"Mod": one(mod), "Pow": one(pow), "Equal": one(equal), "Less": one(pairwise(lazy.Less)), "LessOrEqual": one(pairwise(lazy.LessEqual)),
		"Greater": one(pairwise(lazy.Greater)), "GreaterOrEqual": one(pairwise(lazy.GreaterEqual)),
		"And": one(pairwise(lazy.And)), "Or": one(pairwise(lazy.Or)), "Xor": one(pairwise(lazy.Xor)), "Where": one(where),
		"Max": one(variadic(lazy.Maximum)), "Min": one(variadic(lazy.Minimum)), "Sum": one(variadic(lazy.Add)), "Mean": one(mean),

		"Celu": one(celu), "Clip": one(clip), "Elu": one(elu), "Gelu": one(gelu), "HardSigmoid": one(hardSigmoid), "HardSwish": one(hardSwish),
		"LeakyRelu": one(leakyRelu), "Mish": one(mish), "PRelu": one(prelu), "Selu": one(selu), "Shrink": one(shrink),
		"Softsign": one(softsign), "Swish": one(swish), "ThresholdedRelu": one(thresholdedRelu),

		"Cast": one(cast), "CastLike": one(castLike), "Constant": constantNode, "If": ifNode, "Loop": loop, "Scan": scan, "ConstantOfShape": constantOfShape,
		"Shape": shapeOf, "Size": sizeOf, "Dropout": dropout,

		"Concat": one(concat), "DepthToSpace": one(depthToSpace), "Expand": one(expand), "Flatten": one(flatten), "Reshape": one(reshape),
		"Slice": one(slice), "SpaceToDepth": one(spaceToDepth), "Split": split, "Squeeze": one(squeeze), "Transpose": one(transpose),
		"Unsqueeze": one(unsqueeze),

		"Gemm": one(gemm), "MatMul": one(matMul),

		"ReduceL1": one(reduceL1), "ReduceL2": one(reduceL2), "ReduceLogSum": one(reduceLogSum), "ReduceLogSumExp": one(reduceLogSumExp),
		"ReduceMax": one(reduce("max")), "ReduceMean": one(reduce("mean")), "ReduceMin": one(reduce("min")), "ReduceProd": one(reduce("prod")),
		"ReduceSum": one(reduce("sum")), "ReduceSumSquare": one(reduceSumSquare),

		"BatchNormalization": one(batchNorm), "LayerNormalization": layerNorm, "LogSoftmax": one(logSoftmax), "Softmax": one(softmax),
		"InstanceNormalization": one(instanceNorm), "LpNormalization": one(lpNorm), "MeanVarianceNormalization": one(meanVarianceNorm),
		"RMSNormalization": one(rmsNorm), "GroupNormalization": one(groupNorm), "LRN": one(lrn),

		"ArgMax": one(argSelect(lazy.ArgMax)), "ArgMin": one(argSelect(lazy.ArgMin)), "CumSum": one(cumSum), "EyeLike": one(eyeLike),
		"Gather": one(gather), "GatherElements": one(gatherElements), "GatherND": one(gatherND), "OneHot": one(oneHot), "Pad": one(pad),
		"Range": one(rangeOf), "Scatter": one(scatterElements), "ScatterElements": one(scatterElements), "ScatterND": one(scatterND),
		"TensorScatter": one(tensorScatter), "Tile": one(tile), "TopK": topK, "Trilu": one(trilu),

		"Compress": one(compress), "Hardmax": one(hardmax), "MaxUnpool": one(maxUnpool), "NonZero": nonZero,
		"NegativeLogLikelihoodLoss": one(negativeLogLikelihood), "SoftmaxCrossEntropyLoss": softmaxCrossEntropy,

		"BlackmanWindow": one(cosines(0.42, -0.5, 0.08)), "HammingWindow": one(cosines(25.0/46, -21.0/46)), "HannWindow": one(cosines(0.5, -0.5)),
		"DFT": one(dft), "MelWeightMatrix": one(melWeights), "STFT": one(stft),

		"Attention": attention, "RotaryEmbedding": one(rotaryEmbedding), "SwiGLU": one(swiGLU),
		"CenterCropPad": one(centerCropPad), "GridSample": one(gridSample),

		"Einsum": one(einsum), "ReverseSequence": one(reverseSequence), "AffineGrid": one(affineGrid),
		"SequenceConstruct": sequenceConstruct, "SequenceEmpty": sequenceEmpty, "SequenceLength": sequenceLength, "SequenceAt": sequenceAt,
		"SequenceInsert": sequenceInsert, "SequenceErase": sequenceErase, "SplitToSequence": splitToSequence,
		"ConcatFromSequence": one(concatFromSequence), "OptionalHasElement": optionalHasElement, "OptionalGetElement": identity,

		"GRU": recurrent(lazy.GRU), "LSTM": recurrent(lazy.LSTM), "RNN": recurrent(lazy.RNN), "Resize": one(resize), "Upsample": one(resize),

		"Conv": one(conv), "MaxPool": one(maxPool), "AveragePool": one(averagePool), "LpPool": one(lpPool),
		"ConvTranspose": one(convTranspose), "GlobalLpPool": one(globalLpPool),
		"GlobalAveragePool": one(globalPool(lazy.Mean)), "GlobalMaxPool": one(globalPool(lazy.Max)),
	}
}

// handlerOf finds the handler of an operator.
func (im *importer) handlerOf(domain, op string) handler {
	if domain == "" {
		return im.operators[op]
	}
	return nil
}
