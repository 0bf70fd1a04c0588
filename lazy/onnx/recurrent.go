package onnx

import (
	"strings"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// gateActivations are the activations of gates, as programs name them.
var gateActivations = map[string]string{
	"sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "softsign": "softsign", "softplus": "softplus", "hardsigmoid": "hard_sigmoid",
}

// recurrent is an LSTM, GRU or RNN. Its outputs are the states after each position,
// the last one, and the last cell state.
func recurrent(cell lazy.Cell) handler {
	return func(c *call) []*value {
		x, l := c.t(0), lazy.Recurrent{Cell: cell, W: c.t(1), R: c.t(2), B: c.opt(3), Lengths: c.opt(4), H: c.opt(5)}
		if cell == lazy.LSTM {
			l.C, l.P = c.opt(6), c.opt(7)
		}
		c.recurrentAttrs(&l)
		if c.err != nil {
			return nil
		}
		batchFirst := c.attrBool("layout", false)
		swap := func(t *lazy.Tensor, perm ...int) *lazy.Tensor {
			if t == nil || !batchFirst {
				return t
			}
			return lazy.Transpose(t, perm...)
		}
		x, l.H, l.C = swap(x, 1, 0, 2), swap(l.H, 1, 0, 2), swap(l.C, 1, 0, 2)
		y, h, cellState := l.Run(x)
		if y.Err() != nil {
			return []*value{{t: y}}
		}
		out := []*value{{t: swap(y, 2, 0, 1, 3)}, {t: swap(h, 1, 0, 2)}}
		if cellState != nil {
			out = append(out, &value{t: swap(cellState, 1, 0, 2)})
		}
		return out
	}
}

func (c *call) recurrentAttrs(l *lazy.Recurrent) {
	switch d := c.attrString("direction", "forward"); d {
	case "forward", "reverse":
		l.Direction = d
	case "bidirectional":
		l.Direction = "both"
	default:
		c.failf("%w: direction %.40q", ErrMalformed, d)
	}
	l.Clip = c.attrFloat("clip", 0)
	switch l.Cell {
	case lazy.LSTM:
		l.Coupled = c.attrBool("input_forget", false)
	case lazy.GRU:
		l.Coupled = c.attrBool("linear_before_reset", false)
	}
	for _, n := range c.attrStrings("activations") {
		name := gateActivations[strings.ToLower(n)]
		if name == "" {
			c.failf("activation %.40q", n)
			return
		}
		l.Activations = append(l.Activations, name)
	}
	for _, name := range []string{"activation_alpha", "activation_beta"} {
		if v := c.attrFloats(name); len(v) > 0 {
			c.failf("%s %v", name, v)
		}
	}
	if l.Lengths != nil && c.err == nil {
		l.Lengths = castTo(l.Lengths, plan.I32)
	}
}
