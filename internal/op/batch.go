package op

import "github.com/genie-sdk/go/transport/plan"

// Batch reports whether o computes each entry of a batch from the same entry of
// its inputs, where a batch is counted along the first axis, in equal numbers of
// rows: those rows of the output then have the same bits whatever other entries
// there are. batched says which inputs have the batch; the others are the same for
// all entries.
func Batch(o Op, in []plan.Spec, out plan.Spec, batched []bool) bool {
	if len(in) == 0 || len(out.Shape) == 0 {
		return false
	}
	first := batched[0]
	for _, b := range batched[1:] {
		first = first && !b
	}
	switch o := o.(type) {
	case Reshape:
		return first // row-major: the caller checks the shapes
	case Conv2D, BatchNorm, MaxPool2D, AvgPool2D:
		return first
	case Reduce:
		for _, a := range o.Axes {
			if a == 0 || a == -len(in[0].Shape) {
				return false
			}
		}
		return first
	case ArgMax:
		return first && o.Axis != 0 && o.Axis != -len(in[0].Shape)
	case Embedding:
		return len(in) == 2 && !batched[0] && batched[1]
	case Transpose:
		return first && len(o.Perm) > 0 && o.Perm[0] == 0
	}
	axes, _, ok := Rows(o, in, out, Slice{Axis: 0, Start: plan.C(0), Stop: out.Shape[0]})
	if !ok {
		return false
	}
	for i, a := range axes {
		if batched[i] != (a == 0) {
			return false
		}
	}
	return true
}
