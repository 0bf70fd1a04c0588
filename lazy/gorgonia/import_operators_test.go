package gorgonia_test

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

type (
	unaryFunc  = func(a *gorgonia.Node) (*gorgonia.Node, error)
	binaryFunc = func(a, b *gorgonia.Node) (*gorgonia.Node, error)
)

// operatorPrograms are the operators of Gorgonia's own tests, in forward
// direction.
func operatorPrograms() []importProgram {
	var out []importProgram
	add := func(name string, build func(b *graphBuilder) *gorgonia.Node) {
		out = append(out, importProgram{name: name, build: func(b *graphBuilder) gorgonia.Nodes { return gorgonia.Nodes{build(b)} }})
	}
	edges := []float32{-3.5, -1, -0.25, 0, 0.25, 1, 1.5, 20, -20, 2.5e6, -2.5e6, 0.001}
	for name, f := range map[string]unaryFunc{
		"abs": gorgonia.Abs, "sign": gorgonia.Sign, "ceil": gorgonia.Ceil, "floor": gorgonia.Floor, "neg": gorgonia.Neg,
		"square": gorgonia.Square, "cube": gorgonia.Cube, "tanh": gorgonia.Tanh, "sigmoid": gorgonia.Sigmoid, "rectify": gorgonia.Rectify,
	} {
		add("unary "+name, func(b *graphBuilder) *gorgonia.Node { return must(f(b.given("x", edges, 3, 4))) })
	}
	for name, f := range map[string]unaryFunc{
		"sin": gorgonia.Sin, "cos": gorgonia.Cos, "log": gorgonia.Log, "log2": gorgonia.Log2, "log1p": gorgonia.Log1p, "softplus": gorgonia.Softplus,
		"exp": gorgonia.Exp, "expm1": gorgonia.Expm1, "sqrt": gorgonia.Sqrt, "inverse": gorgonia.Inverse, "inverse sqrt": gorgonia.InverseSqrt,
	} {
		add("unary "+name, func(b *graphBuilder) *gorgonia.Node { return must(f(b.positive("x", 3, 4))) })
		add("unary scalar "+name, func(b *graphBuilder) *gorgonia.Node { return must(f(b.given("x", []float32{0.7}))) })
	}
	arithmetic := map[string]binaryFunc{
		"add": gorgonia.Add, "sub": gorgonia.Sub, "mul": gorgonia.HadamardProd, "div": gorgonia.HadamardDiv,
	}
	for kind, same := range map[string]bool{"number": true, "bool": false} {
		for name, f := range map[string]func(a, b *gorgonia.Node, retSame bool) (*gorgonia.Node, error){
			"lt": gorgonia.Lt, "gt": gorgonia.Gt, "lte": gorgonia.Lte, "gte": gorgonia.Gte, "eq": gorgonia.Eq, "ne": gorgonia.Ne,
		} {
			arithmetic[name+" to "+kind] = func(a, b *gorgonia.Node) (*gorgonia.Node, error) { return f(a, b, same) }
		}
	}
	for name, f := range arithmetic {
		add("binary "+name, func(b *graphBuilder) *gorgonia.Node {
			x := b.given("x", []float32{1, 2, 3, 4, 5, 6}, 2, 3)
			return must(f(x, b.given("y", []float32{1, 3, 2, 4, -5, 7}, 2, 3)))
		})
	}
	for name, f := range map[string]binaryFunc{
		"add": gorgonia.Add, "sub": gorgonia.Sub, "mul": gorgonia.HadamardProd, "div": gorgonia.HadamardDiv,
	} {
		add("tensor scalar "+name, func(b *graphBuilder) *gorgonia.Node { return must(f(b.in("x", 2, 3), b.given("s", []float32{1.5}))) })
		add("scalar tensor "+name, func(b *graphBuilder) *gorgonia.Node {
			return must(f(b.given("s", []float32{1.5}), b.positive("x", 2, 3)))
		})
		add("scalars "+name, func(b *graphBuilder) *gorgonia.Node {
			return must(f(b.given("s", []float32{1.5}), b.given("r", []float32{-2})))
		})
	}
	out = append(out, constantPrograms()...)
	out = append(out, shapePrograms()...)
	out = append(out, productPrograms()...)
	return append(out, layerPrograms()...)
}

func one(f func(b *graphBuilder) *gorgonia.Node) func(b *graphBuilder) gorgonia.Nodes {
	return func(b *graphBuilder) gorgonia.Nodes { return gorgonia.Nodes{f(b)} }
}

func constantPrograms() []importProgram {
	out := []importProgram{
		{name: "constant tensor", build: one(func(b *graphBuilder) *gorgonia.Node {
			c := gorgonia.NewConstant(tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6})))
			return must(gorgonia.Add(b.in("x", 2, 3), c))
		})},
		{name: "one minus", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Sub(gorgonia.NewConstant(float32(1)), b.in("x", 7)))
		})},
		{name: "min and max between", build: func(b *graphBuilder) gorgonia.Nodes {
			x, y := b.in("x", 3, 4), b.in("y", 3, 4)
			return gorgonia.Nodes{must(gorgonia.MinBetween(x, y)), must(gorgonia.MaxBetween(x, y))}
		}},
		{name: "leaky rectifier", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.LeakyRelu(b.in("x", 3, 4), 0.2)) })},
		{name: "power of two tensors", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Pow(b.positive("x", 3, 4), b.in("y", 3, 4)))
		})},
		{name: "softplus of both sides", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Softplus(b.given("x", []float32{-200, -20, -1, 0, 1, 13, 15, 80}, 2, 4)))
		})},
		{name: "log softmax", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.LogSoftMax(b.given("x", []float32{-200, -20, -1, 0, 1, 13, 15, 80}, 2, 4)))
		})},
		{name: "weights alone", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Add(b.in("x", 3), must(gorgonia.Tanh(b.w("w", 3)))))
		})},
	}
	for _, p := range []float32{0.5, 1, 2, 3, 4, -0.5, -1, -2, 0, 1.7, -3, 5} {
		out = append(out, importProgram{name: fmt.Sprint("power ", p), build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Pow(b.positive("x", 3, 4), gorgonia.NewConstant(p)))
		})})
	}
	return out
}

func shapePrograms() []importProgram {
	slice := func(name string, shape []int, s ...tensor.Slice) importProgram {
		return importProgram{name: name, build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.Slice(b.in("x", shape...), s...)) })}
	}
	reduce := func(name string, f func(a *gorgonia.Node, along ...int) (*gorgonia.Node, error), axes ...int) importProgram {
		return importProgram{name: name, build: one(func(b *graphBuilder) *gorgonia.Node { return must(f(b.in("x", 3, 4, 5), axes...)) })}
	}
	broadcast := func(name string, l, r []int, left, right []byte) importProgram {
		return importProgram{name: name, build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.BroadcastSub(b.in("x", l...), b.in("y", r...), left, right))
		})}
	}
	return []importProgram{
		slice("slice rows", []int{5, 4}, gorgonia.S(1, 3)),
		slice("slice columns", []int{5, 4}, nil, gorgonia.S(1, 3)),
		slice("slice a row", []int{5, 4}, gorgonia.S(2)),
		slice("slice a column", []int{5, 4}, nil, gorgonia.S(2)),
		slice("slice both", []int{5, 4, 6}, gorgonia.S(1), gorgonia.S(0, 2), gorgonia.S(2, 5)),
		slice("slice an element", []int{5}, gorgonia.S(3)),
		slice("slice wide", []int{2, 600}, nil, gorgonia.S(300, 557)),
		slice("slice strided", []int{8, 3}, gorgonia.S(0, 8, 2)),
		reduce("sum of all", gorgonia.Sum), reduce("sum of rows", gorgonia.Sum, 0), reduce("sum of two", gorgonia.Sum, 0, 2),
		reduce("max of all", gorgonia.Max), reduce("max of one", gorgonia.Max, 1),
		reduce("mean of all", gorgonia.Mean), reduce("mean of one", gorgonia.Mean, 2), reduce("mean of two", gorgonia.Mean, 1, 2),
		broadcast("broadcast row", []int{3, 4}, []int{1, 4}, nil, []byte{0}),
		broadcast("broadcast column", []int{3, 4}, []int{3, 1}, nil, []byte{1}),
		broadcast("broadcast vector", []int{3, 4}, []int{3}, nil, []byte{1}),
		broadcast("broadcast left", []int{1, 4}, []int{3, 4}, []byte{0}, nil),
		broadcast("broadcast both", []int{3, 1}, []int{1, 4}, []byte{1}, []byte{0}),
		broadcast("broadcast image", []int{2, 3, 4, 5}, []int{1, 3, 1, 1}, nil, []byte{0, 2, 3}),
		{name: "transpose", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.Transpose(b.in("x", 2, 3, 4), 2, 0, 1)) })},
		{name: "reshape", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Reshape(b.in("x", 2, 6), tensor.Shape{3, 4}))
		})},
		{name: "ravel", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.Ravel(b.in("x", 2, 6))) })},
		{name: "concat rows", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Concat(0, b.in("x", 2, 3), b.in("y", 4, 3)))
		})},
		{name: "concat columns", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Concat(1, b.in("x", 2, 3), b.in("y", 2, 5), b.w("z", 2, 1)))
		})},
		{name: "diagonal", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.DiagFlat(b.in("x", 2, 2))) })},
		{name: "size", build: one(func(b *graphBuilder) *gorgonia.Node {
			x := b.in("x", 3, 4)
			return must(gorgonia.Mul(x, must(gorgonia.SizeOf(1, x))))
		})},
		{name: "norm", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.Norm(b.in("x", 3, 4), 1, 2)) })},
		{name: "rows by index", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.ByIndices(b.in("x", 5, 3), b.indices("i", 4, 0, 4), 0))
		})},
		{name: "columns by index", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.ByIndices(b.in("x", 3, 5), b.indices("i", 1, 3), 1))
		})},
	}
}

func productPrograms() []importProgram {
	dot := func(name string, l, r, la, ra []int) importProgram {
		return importProgram{name: name, build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Tensordot(la, ra, b.in("x", l...), b.in("y", r...)))
		})}
	}
	mul := func(name string, l, r []int, f binaryFunc) importProgram {
		return importProgram{name: name, build: one(func(b *graphBuilder) *gorgonia.Node { return must(f(b.in("x", l...), b.w("y", r...))) })}
	}
	batched := func(a, b bool) binaryFunc {
		return func(x, y *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.BatchedMatMul(x, y, a, b) }
	}
	return []importProgram{
		mul("matrix product", []int{3, 4}, []int{4, 5}, gorgonia.Mul),
		mul("matrix times vector", []int{3, 4}, []int{4}, gorgonia.Mul),
		mul("square matrix times vector", []int{4, 4}, []int{4}, gorgonia.Mul),
		mul("vector times matrix", []int{3}, []int{3, 4}, gorgonia.Mul),
		mul("vector dot", []int{4}, []int{4}, gorgonia.Mul),
		mul("outer product", []int{3}, []int{4}, gorgonia.OuterProd),
		mul("batched", []int{2, 3, 4}, []int{2, 4, 5}, batched(false, false)),
		mul("batched, second transposed", []int{2, 3, 4}, []int{2, 5, 4}, batched(false, true)),
		mul("batched, first transposed", []int{2, 4, 3}, []int{2, 4, 5}, batched(true, false)),
		mul("batched of rank 4", []int{2, 3, 4, 5}, []int{2, 3, 5, 2}, batched(false, false)),
		dot("tensordot matrices", []int{3, 4}, []int{4, 5}, []int{1}, []int{0}),
		dot("tensordot first axes", []int{4, 3}, []int{4, 5}, []int{0}, []int{0}),
		dot("tensordot two axes", []int{2, 3, 4}, []int{4, 3, 5}, []int{2, 1}, []int{0, 1}),
	}
}

func layerPrograms() []importProgram {
	conv := func(name string, image, filter []int, pad, stride, dilation []int) importProgram {
		return importProgram{name: name, build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Conv2d(b.in("x", image...), b.w("w", filter...), tensor.Shape(filter[2:]), pad, stride, dilation))
		})}
	}
	pool := func(name string, kernel tensor.Shape, pad, stride []int) importProgram {
		return importProgram{name: name, build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.MaxPool2D(b.in("x", 2, 3, 7, 8), kernel, pad, stride))
		})}
	}
	return []importProgram{
		conv("conv", []int{2, 3, 8, 8}, []int{5, 3, 3, 3}, []int{0, 0}, []int{1, 1}, []int{1, 1}),
		conv("conv, padded and strided", []int{2, 3, 9, 7}, []int{5, 3, 3, 2}, []int{1, 1}, []int{2, 3}, []int{1, 1}),
		conv("conv, dilated", []int{1, 2, 9, 9}, []int{3, 2, 3, 3}, []int{2, 2}, []int{1, 1}, []int{2, 2}),
		{name: "conv 1-d", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Conv1d(b.in("x", 1, 2, 1, 12), b.w("w", 3, 2, 1, 3), 3, 1, 1, 1))
		})},
		{name: "im2col", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Im2Col(b.in("x", 2, 2, 5, 6), tensor.Shape{2, 3}, tensor.Shape{1, 1}, tensor.Shape{1, 2}, tensor.Shape{1, 1}))
		})},
		pool("max pool", tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}),
		pool("max pool, padded", tensor.Shape{3, 3}, []int{1, 1}, []int{2, 2}),
		pool("max pool, padded before", tensor.Shape{2, 2}, []int{0, 1, 0, 1}, []int{1, 1}),
		pool("max pool, padded behind", tensor.Shape{2, 2}, []int{1, 0, 1, 0}, []int{1, 1}),
		pool("max pool, padded before and strided", tensor.Shape{3, 3}, []int{0, 2, 1, 2}, []int{2, 3}),
		pool("max pool, padded behind and strided", tensor.Shape{3, 3}, []int{2, 0, 2, 1}, []int{2, 1}),
		pool("max pool, more padding behind than the stride divides", tensor.Shape{3, 2}, []int{1, 0, 1, 0}, []int{2, 2}),
		{name: "max pool 1-d", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.MaxPool1D(b.in("x", 1, 2, 1, 9), 3, 0, 2)) })},
		{name: "average pool as wide as the image", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.AveragePool2D(b.in("x", 1, 2, 4, 4), tensor.Shape{2, 2}, []int{0, 0}, []int{1, 1}))
		})},
		{name: "global average pool", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.GlobalAveragePool2D(b.in("x", 2, 3, 4, 5)))
		})},
		{name: "upsample", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.Upsample2D(b.in("x", 1, 2, 3, 4), 3)) })},
		{name: "softmax", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.SoftMax(b.in("x", 3, 4))) })},
		{name: "softmax of a vector", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.SoftMax(b.in("x", 6))) })},
		{name: "softmax of columns", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.SoftMax(b.in("x", 3, 4), 0)) })},
		{name: "softmax of a column", build: one(func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.SoftMax(b.in("x", 4, 1))) })},
		{name: "batch normalisation of rows", build: one(func(b *graphBuilder) *gorgonia.Node {
			y, _, _, _, err := gorgonia.BatchNorm(b.in("x", 6, 3), b.w("scale", 1, 3), b.w("bias", 1, 3), 0.9, 1e-5)
			return must(y, err)
		})},
		{name: "group normalisation", build: one(func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.GroupNorm(b.in("x", 2, 4, 4, 4), b.w("scale", 1, 4, 1, 1), b.w("bias", 1, 4, 1, 1), 2, 4, 1e-5))
		})},
		{name: "gradient of a layer", build: func(b *graphBuilder) gorgonia.Nodes {
			x, w := b.in("x", 4, 3), b.w("w", 3, 2)
			cost := must(gorgonia.Sum(must(gorgonia.Square(must(gorgonia.Tanh(must(gorgonia.Mul(x, w))))))))
			grads, err := gorgonia.Grad(cost, w)
			return gorgonia.Nodes{cost, must(grads[0], err)}
		}},
		{name: "gelu by hand", build: one(func(b *graphBuilder) *gorgonia.Node {
			x := b.in("x", 3, 4)
			c := gorgonia.NewConstant(float32(math.Sqrt(2 / math.Pi)))
			inner := must(gorgonia.Add(x, must(gorgonia.Mul(gorgonia.NewConstant(float32(0.044715)), must(gorgonia.Cube(x))))))
			y := must(gorgonia.Add(must(gorgonia.Tanh(must(gorgonia.Mul(inner, c)))), gorgonia.NewConstant(float32(1))))
			return must(gorgonia.HadamardProd(must(gorgonia.Mul(x, gorgonia.NewConstant(float32(0.5)))), y))
		})},
	}
}
