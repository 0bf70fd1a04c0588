package onnx

import (
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

func globalPool(f func(x *lazy.Tensor, axes ...int) *lazy.Tensor) func(c *call) *lazy.Tensor {
	return func(c *call) *lazy.Tensor {
		x := c.t(0)
		if c.err != nil {
			return nil
		}
		axes := from(2, len(x.Shape()))
		if len(axes) == 0 {
			c.failf("%w: pool of %v", ErrMalformed, x.Shape())
			return nil
		}
		return reshapeTo(f(x, axes...), kept(x.Shape(), axes))
	}
}

// window is the geometry of a convolution or a pool, by spatial axis.
type window struct {
	kernel, stride, dilation, before, after []int
	ceil                                    bool
}

// window reads the geometry; kernel may come from the filters.
func (c *call) window(kernel []int, spatial plan.Shape) window {
	w := c.windowOf(kernel, len(spatial))
	if c.err == nil {
		c.autoPad(&w, spatial)
	}
	return w
}

// windowOf is the geometry over n axes, without padding that is said by name.
func (c *call) windowOf(kernel []int, n int) window {
	fill := func(v []int, name string, size int, def int) []int {
		if v == nil {
			v = make([]int, size)
			for i := range v {
				v[i] = def
			}
		}
		if len(v) != size {
			c.failf("%w: %s %v for %d axes", ErrMalformed, name, v, n)
			return make([]int, size)
		}
		for _, k := range v {
			if k < 0 || k > 1<<16 || def == 1 && k == 0 {
				c.failf("%w: %s %v", ErrMalformed, name, v)
				return make([]int, size)
			}
		}
		return v
	}
	if kernel == nil {
		kernel = c.attrInts("kernel_shape")
	}
	w := window{
		kernel: fill(kernel, "kernel_shape", n, 1), stride: fill(c.attrInts("strides"), "strides", n, 1),
		dilation: fill(c.attrInts("dilations"), "dilations", n, 1), ceil: c.attrBool("ceil_mode", false),
	}
	pads := fill(c.attrInts("pads"), "pads", 2*n, 0)
	w.before, w.after = slices.Clone(pads[:n]), slices.Clone(pads[n:])
	return w
}

// autoPad replaces the padding where it is said by name.
func (c *call) autoPad(w *window, spatial plan.Shape) {
	kind := c.attrString("auto_pad", "NOTSET")
	switch kind {
	case "NOTSET", "":
		return
	case "VALID":
		w.before, w.after = make([]int, len(spatial)), make([]int, len(spatial))
		return
	case "SAME_UPPER", "SAME_LOWER":
	default:
		c.failf("%w: auto_pad is %.40q", ErrMalformed, kind)
		return
	}
	w.before, w.after = make([]int, len(spatial)), make([]int, len(spatial))
	for i, d := range spatial {
		n, ok := d.Const()
		if !ok {
			if w.stride[i] != 1 {
				c.failf("auto_pad %s of an axis of size %v with stride %d", kind, d, w.stride[i])
				return
			}
			n = w.kernel[i] * w.dilation[i] // any size: the padding is that of the kernel
		}
		out := (n + w.stride[i] - 1) / w.stride[i]
		total := max((out-1)*w.stride[i]+(w.kernel[i]-1)*w.dilation[i]+1-n, 0)
		w.before[i], w.after[i] = total/2, total-total/2
		if kind == "SAME_LOWER" {
			w.before[i], w.after[i] = w.after[i], w.before[i]
		}
	}
}
