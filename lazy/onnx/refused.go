package onnx

// Reasons of the refusal of operators by name.
const (
	whyCount     = "the number of its results depends on data"
	whyRandom    = "it is random"
	whyQuantized = "it computes with 8-bit integers"
	whyBits      = "it computes with the bits of integers"
	whyText      = "it computes with text"
	whyNone      = "no operators of a plan compute it"
)

// refusedOperators are the operators of the standard domain that are refused, whatever
// their operands are. docs/onnx.md lists them.
var refusedOperators = map[string]string{
	"Bernoulli": whyRandom, "Multinomial": whyRandom, "RandomNormal": whyRandom, "RandomNormalLike": whyRandom,
	"RandomUniform": whyRandom, "RandomUniformLike": whyRandom,
	"NonMaxSuppression": whyCount, "Unique": whyCount,
	"ConvInteger": whyQuantized, "DequantizeLinear": whyQuantized, "DynamicQuantizeLinear": whyQuantized, "MatMulInteger": whyQuantized,
	"QLinearConv": whyQuantized, "QLinearMatMul": whyQuantized, "QuantizeLinear": whyQuantized,
	"BitCast": whyBits, "BitShift": whyBits, "BitwiseAnd": whyBits, "BitwiseNot": whyBits, "BitwiseOr": whyBits, "BitwiseXor": whyBits,
	"ImageDecoder": "it decodes images", "RegexFullMatch": whyText, "StringConcat": whyText, "StringNormalizer": whyText,
	"StringSplit": whyText, "TfIdfVectorizer": "it counts n-grams",
	"CausalConvWithState": whyNone, "Col2Im": whyNone, "CumProd": whyNone, "DeformConv": whyNone, "Det": whyNone,
	"LinearAttention": whyNone, "MaxRoiPool": whyNone, "RoiAlign": whyNone,
	"Optional": "optional values", "SequenceMap": "a graph for each element of a sequence",
}
