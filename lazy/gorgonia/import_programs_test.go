package gorgonia_test

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// importProgram is a program on which import and Gorgonia's TapeMachine agree.
type importProgram struct {
	name  string
	build func(b *graphBuilder) gorgonia.Nodes
	model bool // a whole model, which a worker runs too
}

// importPrograms are whole models in the manner of Gorgonia's examples, and the
// operators of its tests in forward direction.
var importPrograms = append(modelPrograms, operatorPrograms()...)

var modelPrograms = []importProgram{
	{"mnist feedforward", mnistFeedForward, true},
	{"mnist convnet", convnet, true},
	{"convnet with batch normalisation", convnetNorm, true},
	{"char rnn step", charRNN(1), true},
	{"char rnn unrolled", charRNN(4), true},
	{"stacked autoencoder", autoencoder, true},
	{"logistic regression", logisticRegression, true},
	{"iris regression", irisRegression, false},
	{"residual block", residualBlock, true},
	{"tiny yolo block", yoloBlock, true},
	{"attention", attentionBlock, true},
}

// mnistFeedForward is examples/mnist: three layers, rectified, dropout of none.
func mnistFeedForward(b *graphBuilder) gorgonia.Nodes {
	x := b.in("x", 10, 784)
	h := must(gorgonia.Dropout(must(gorgonia.Rectify(must(gorgonia.Mul(x, b.w("w0", 784, 300))))), 0))
	h = must(gorgonia.Dropout(must(gorgonia.Rectify(must(gorgonia.Mul(h, b.w("w1", 300, 100))))), 0))
	return gorgonia.Nodes{must(gorgonia.SoftMax(must(gorgonia.Mul(h, b.w("w2", 100, 10)))))}
}

// convnet is examples/convnet on a smaller image.
func convnet(b *graphBuilder) gorgonia.Nodes {
	layer := func(x *gorgonia.Node, name string, out, in int) *gorgonia.Node {
		c := must(gorgonia.Conv2d(x, b.w(name, out, in, 3, 3), tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
		return must(gorgonia.MaxPool2D(must(gorgonia.Rectify(c)), tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
	}
	p := layer(layer(b.in("x", 4, 1, 16, 16), "w0", 6, 1), "w1", 8, 6)
	s := p.Shape()
	flat := must(gorgonia.Reshape(p, tensor.Shape{s[0], s[1] * s[2] * s[3]}))
	fc := must(gorgonia.Rectify(must(gorgonia.Mul(flat, b.w("w3", s[1]*s[2]*s[3], 20)))))
	return gorgonia.Nodes{must(gorgonia.SoftMax(must(gorgonia.Mul(fc, b.w("w4", 20, 10)))))}
}

func convnetNorm(b *graphBuilder) gorgonia.Nodes {
	x := b.in("x", 2, 3, 8, 8)
	c := must(gorgonia.Conv2d(x, b.w("w0", 4, 3, 3, 3), tensor.Shape{3, 3}, []int{1, 1}, []int{2, 2}, []int{1, 1}))
	n, _, _, _, err := gorgonia.BatchNorm(c, b.w("scale", 1, 4, 1, 1), b.w("bias", 1, 4, 1, 1), 0.9, 1e-5)
	return gorgonia.Nodes{must(gorgonia.GlobalAveragePool2D(must(gorgonia.Rectify(must(n, err)))))}
}

// charRNN is examples/charRNN: an embedding, two LSTM layers and a decoder, for
// a number of characters.
func charRNN(steps int) func(b *graphBuilder) gorgonia.Nodes {
	return func(b *graphBuilder) gorgonia.Nodes {
		const vocab, embed, hidden = 20, 12, 16
		table, decode, bias := b.w("Embedding", vocab, embed), b.w("whd", vocab, hidden), b.w("bias_d", vocab)
		gates := map[string]*gorgonia.Node{}
		for l, in := range []int{embed, hidden} {
			for _, gate := range []string{"i", "f", "o", "c"} {
				gates[fmt.Sprintf("w%sx%d", gate, l)] = b.w(fmt.Sprintf("w%sx_%d", gate, l), hidden, in)
				gates[fmt.Sprintf("w%sh%d", gate, l)] = b.w(fmt.Sprintf("w%sh_%d", gate, l), hidden, hidden)
				gates[fmt.Sprintf("b%s%d", gate, l)] = b.w(fmt.Sprintf("bias_%s_%d", gate, l), hidden)
			}
		}
		var h, c [2]*gorgonia.Node
		for l := range h {
			h[l], c[l] = b.in(fmt.Sprintf("prevHidden_%d", l), hidden), b.in(fmt.Sprintf("prevCell_%d", l), hidden)
		}
		var out gorgonia.Nodes
		for step := range steps {
			x := must(gorgonia.Slice(table, gorgonia.S((3*step+1)%vocab)))
			for l := range h {
				gate := func(name string) *gorgonia.Node {
					wx := must(gorgonia.Mul(gates[fmt.Sprintf("w%sx%d", name, l)], x))
					wh := must(gorgonia.Mul(gates[fmt.Sprintf("w%sh%d", name, l)], h[l]))
					return must(gorgonia.Add(must(gorgonia.Add(wx, wh)), gates[fmt.Sprintf("b%s%d", name, l)]))
				}
				i, f, o := must(gorgonia.Sigmoid(gate("i"))), must(gorgonia.Sigmoid(gate("f"))), must(gorgonia.Sigmoid(gate("o")))
				write := must(gorgonia.Tanh(gate("c")))
				c[l] = must(gorgonia.Add(must(gorgonia.HadamardProd(f, c[l])), must(gorgonia.HadamardProd(i, write))))
				h[l] = must(gorgonia.HadamardProd(o, must(gorgonia.Tanh(c[l]))))
				x = h[l]
			}
			out = gorgonia.Nodes{must(gorgonia.SoftMax(must(gorgonia.Add(must(gorgonia.Mul(decode, x)), bias))))}
		}
		return out
	}
}

// autoencoder is examples/stacked_autoencoder: layers of sigmoids with tied
// weights, decoded by the transposed matrices.
func autoencoder(b *graphBuilder) gorgonia.Nodes {
	x := b.in("x", 5, 40)
	w0, w1 := b.w("w0", 40, 20), b.w("w1", 20, 8)
	layer := func(x, w *gorgonia.Node, name string, n int) *gorgonia.Node {
		xw := must(gorgonia.Mul(x, w))
		return must(gorgonia.Sigmoid(must(gorgonia.BroadcastAdd(xw, b.w(name, n), nil, []byte{0}))))
	}
	code := layer(layer(x, w0, "b0", 20), w1, "b1", 8)
	back := layer(layer(code, must(gorgonia.Transpose(w1)), "b2", 20), must(gorgonia.Transpose(w0)), "b3", 40)
	return gorgonia.Nodes{back}
}

// logisticRegression is examples/logisticregression.
func logisticRegression(b *graphBuilder) gorgonia.Nodes {
	x := b.in("x", 12, 7)
	return gorgonia.Nodes{must(gorgonia.Sigmoid(must(gorgonia.Add(must(gorgonia.Mul(x, b.w("w", 7))), b.w("bias")))))}
}

// irisRegression is examples/iris: the mean squared error of a line.
func irisRegression(b *graphBuilder) gorgonia.Nodes {
	x, y := b.in("x", 15, 5), b.in("y", 15)
	e := must(gorgonia.Square(must(gorgonia.Sub(must(gorgonia.Mul(x, b.w("theta", 5))), y))))
	return gorgonia.Nodes{must(gorgonia.Mean(e))}
}

// residualBlock is a block of examples/resnet.
func residualBlock(b *graphBuilder) gorgonia.Nodes {
	x := b.in("x", 2, 4, 6, 6)
	conv := func(x *gorgonia.Node, name string) *gorgonia.Node {
		return must(gorgonia.Conv2d(x, b.w(name, 4, 4, 3, 3), tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
	}
	h := must(gorgonia.Rectify(conv(x, "w0")))
	sum := must(gorgonia.Rectify(must(gorgonia.Add(conv(h, "w1"), x))))
	return gorgonia.Nodes{must(gorgonia.GlobalAveragePool2D(sum))}
}

// yoloBlock is what examples/tiny-yolo-v3-coco is made of: a convolution with a
// bias, a leaky rectifier, a pool with padding before, and an upsampled route.
func yoloBlock(b *graphBuilder) gorgonia.Nodes {
	x := b.in("x", 1, 3, 13, 13)
	c := must(gorgonia.Conv2d(x, b.w("w0", 4, 3, 3, 3), tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
	c = must(gorgonia.BroadcastAdd(c, b.w("b0", 1, 4, 1, 1), nil, []byte{0, 2, 3}))
	c = must(gorgonia.LeakyRelu(c, 0.1))
	p := must(gorgonia.MaxPool2D(c, tensor.Shape{2, 2}, []int{0, 1, 0, 1}, []int{1, 1}))
	up := must(gorgonia.Upsample2D(p, 2))
	return gorgonia.Nodes{must(gorgonia.Concat(1, up, up))}
}

func attentionBlock(b *graphBuilder) gorgonia.Nodes {
	x := b.in("x", 6, 8)
	heads := func(name string) *gorgonia.Node {
		y := must(gorgonia.Reshape(must(gorgonia.Mul(x, b.w(name, 8, 8))), tensor.Shape{6, 2, 4}))
		return must(gorgonia.Transpose(y, 1, 0, 2))
	}
	scores := must(gorgonia.BatchedMatMul(heads("wq"), heads("wk"), false, true))
	flat := must(gorgonia.Reshape(must(gorgonia.Mul(scores, gorgonia.NewConstant(float32(0.5)))), tensor.Shape{12, 6}))
	p := must(gorgonia.Reshape(must(gorgonia.SoftMax(flat)), tensor.Shape{2, 6, 6}))
	y := must(gorgonia.Transpose(must(gorgonia.BatchedMatMul(p, heads("wv"))), 1, 0, 2))
	return gorgonia.Nodes{must(gorgonia.Mul(must(gorgonia.Reshape(y, tensor.Shape{6, 8})), b.w("wo", 8, 8)))}
}
