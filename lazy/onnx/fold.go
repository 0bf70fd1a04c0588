package onnx

import (
	"fmt"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Limits of evaluation while a model is read. Shapes, axes and the like are small;
// what is larger is computed by the program.
const (
	foldElements = 1 << 16 // of one tensor
	foldBudget   = 1 << 24 // elements and arithmetic of all
	foldDepth    = 512     // operators between a value and its leaves
	maxExplained = 256     // refusals that say which input is to blame
)

// folded is a tensor evaluated while the model is read: its content, or the reason
// why it is not known.
type folded struct {
	a   *op.Array
	err error
}

// elements are the elements of a value that must be known before a run.
func (im *importer) elements(v *value) (*elems, error) {
	if v.elems != nil {
		return v.elems, nil
	}
	if v.isSeq {
		return nil, refusedf("%q is a sequence", v.name)
	}
	if v.t == nil && v.raw != nil {
		shape, err := sizes(v.raw.Dims)
		if err != nil {
			return nil, err
		}
		return im.fileElements(v, shape)
	}
	t, err := im.tensor(v)
	if err != nil {
		return nil, err
	}
	a, err := im.evaluate(t, 0)
	if err != nil {
		return nil, im.dataDependent(v, t, err)
	}
	e, ok := decodeElems(modelType(a.DType), a.Shape, contiguous(a))
	if !ok {
		return nil, refusedf("%q has %d elements, a shape or the like at most %d", v.name, a.Len(), maxElems)
	}
	v.elems = e
	return e, nil
}

// fileElements reads a small tensor of the file.
func (im *importer) fileElements(v *value, shape []int) (*elems, error) {
	if count(shape) > maxElems {
		return nil, refusedf("%q has shape %d, a shape or the like at most %d elements", v.name, shape, maxElems)
	}
	b, err := im.fileBytes(v.raw)
	if err != nil {
		return nil, err
	}
	e, ok := decodeElems(v.raw.Type, shape, b)
	if !ok {
		return nil, refusedf("%q is of element type %v", v.name, v.raw.Type)
	}
	v.elems = e
	return e, nil
}

// fileBytes copies the content of a tensor of the file.
func (im *importer) fileBytes(t *onnxfile.Tensor) ([]byte, error) {
	c, err := im.file.Content(t)
	if err != nil {
		return nil, fatalError{err}
	}
	b := make([]byte, len(c.Data))
	if err := c.CopyTo(b); err != nil {
		return nil, fatalError{err}
	}
	return b, nil
}

func contiguous(a *op.Array) []byte { return a.Data[:a.Len()*a.DType.Size()] }

// dataDependent is the refusal of a value that is not known before a run. If it
// depends on inputs whose content is given, the model is read once more with
// those as constants.
func (im *importer) dataDependent(v *value, t *lazy.Tensor, err error) error {
	if len(im.refused) > maxExplained {
		return fmt.Errorf("%w: %q", ErrDataDependent, v.name)
	}
	missing := ""
	for _, name := range im.inputsOf(t) {
		if _, ok := im.opts.shapeValues[name]; !ok {
			missing = name
		}
	}
	if missing != "" {
		return fmt.Errorf("%w: %q depends on the values of input %q", ErrDataDependent, v.name, missing)
	}
	found := false
	for _, name := range im.inputsOf(t) {
		im.wanted[name], found = true, true
	}
	if !found {
		return fmt.Errorf("%w: %q: %w", ErrDataDependent, v.name, err)
	}
	return fmt.Errorf("%w: %q", ErrDataDependent, v.name)
}

// inputsOf lists the inputs of the program that a tensor depends on.
func (im *importer) inputsOf(t *lazy.Tensor) []string {
	var out []string
	seen := map[*lazy.Tensor]bool{}
	for todo := []*lazy.Tensor{t}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if at == nil || seen[at] {
			continue
		}
		seen[at] = true
		if name, ok := im.inputs[at]; ok {
			out = append(out, name)
		}
		todo = append(todo, at.In()...)
	}
	return out
}

// evaluate computes a tensor of the program from constants and weights, by the
// reference kernels of its operators.
func (im *importer) evaluate(t *lazy.Tensor, depth int) (*op.Array, error) {
	if f, ok := im.known[t]; ok {
		return f.a, f.err
	}
	a, err := im.compute(t, depth)
	im.known[t] = &folded{a, err}
	return a, err
}

func (im *importer) compute(t *lazy.Tensor, depth int) (*op.Array, error) {
	shape, ok := constants(t.Shape())
	n := count(shape)
	switch {
	case !ok:
		return nil, refusedf("its shape %v has symbols", t.Shape())
	case t.Kind() == lazy.KindInput:
		return nil, refusedf("it is an input")
	case n > foldElements:
		return nil, refusedf("it has %d elements, the limit of what is evaluated early is %d", n, foldElements)
	case depth > foldDepth:
		return nil, refusedf("it is computed by more than %d operators", foldDepth)
	}
	switch t.Kind() {
	case lazy.KindConst:
		return arrayOf(t.DType(), shape, t.ConstData()), nil
	case lazy.KindWeight:
		h, _ := t.WeightRef()
		w, err := im.g.Weight(h)
		if err != nil {
			return nil, err //nolint:wrapcheck // it names the weight
		}
		b, err := w.Widened()
		if err != nil {
			return nil, fatalError{err}
		}
		if w.File != "" && len(b) > 0 && &b[0] == &w.Data[0] {
			b = make([]byte, len(w.Data))
			if _, err := w.CopyTo(b, 0); err != nil {
				return nil, fatalError{err}
			}
		}
		return arrayOf(t.DType(), shape, b), nil
	default:
		return im.computeOp(t, shape, depth)
	}
}

func (im *importer) computeOp(t *lazy.Tensor, shape []int, depth int) (*op.Array, error) {
	o := lazygraph.Op(t)
	in := make([]*op.Array, len(t.In()))
	shapes := make([][]int, len(in))
	for i, x := range t.In() {
		a, err := im.evaluate(x, depth+1)
		if err != nil {
			return nil, err
		}
		in[i], shapes[i] = a, a.Shape
	}
	work := o.FLOPs(shapes, shape)
	if im.budget -= count(shape) + int(min(work, foldBudget)); im.budget < 0 {
		return nil, refusedf("the model has more to evaluate early than %d operations", foldBudget)
	}
	out := op.NewArray(t.DType(), shape...)
	if err := o.Eval(out, in, func() bool { return im.ctx.Err() != nil }); err != nil {
		return nil, err //nolint:wrapcheck // of an operator
	}
	return out, nil
}

func arrayOf(dt plan.DType, shape []int, b []byte) *op.Array {
	a := op.NewArray(dt, shape...) // aligned, as content of a file need not be
	copy(a.Data, b)
	return a
}
