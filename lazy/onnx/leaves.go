package onnx

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// leavesOf makes the values of a graph's inputs and initialisers.
func (im *importer) leavesOf(s *scope, g *onnxfile.Graph) error {
	initial := map[string]*onnxfile.Tensor{}
	for _, t := range g.Initializers {
		if t.Name == "" || initial[t.Name] != nil {
			return fmt.Errorf("%w: two initialisers %.80q", ErrMalformed, t.Name)
		}
		initial[t.Name] = t
	}
	if g.Sparse > 0 {
		im.refuse("", "sparse initialiser", "", errNoOperator)
	}
	inputs := map[string]bool{}
	for _, i := range g.Inputs {
		if i.Name == "" || inputs[i.Name] {
			return fmt.Errorf("%w: two inputs %.80q", ErrMalformed, i.Name)
		}
		inputs[i.Name] = true
		if initial[i.Name] != nil && !im.opts.inputs[i.Name] {
			if _, given := im.opts.values[i.Name]; !given {
				continue
			}
		}
		s.values[i.Name] = im.input(i)
	}
	for _, t := range g.Initializers {
		if s.values[t.Name] == nil {
			s.values[t.Name] = &value{name: t.Name, raw: t}
		}
	}
	return im.checkOptions(inputs)
}

// checkOptions finds options about inputs that the model does not have.
func (im *importer) checkOptions(inputs map[string]bool) error {
	o := im.opts
	for _, names := range []func(yield func(string) bool){keys(o.shapes), keys(o.values), keys(o.shapeValues), keys(o.inputs)} {
		for n := range names {
			if !inputs[n] {
				return fmt.Errorf("%w: there is no input %.80q", ErrOption, n)
			}
		}
	}
	return nil
}

func keys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// input is an input of the model: a leaf of the program, or a given content.
func (im *importer) input(i *onnxfile.ValueInfo) *value {
	bad := func(err error) *value {
		im.refuse(i.Name, "input", "", err)
		return &value{name: i.Name, bad: true}
	}
	given, ok := im.opts.values[i.Name]
	if !ok && im.fixed[i.Name] {
		given, ok = im.opts.shapeValues[i.Name], true
	}
	if ok {
		if e := modelType(given.DType); e != i.Type.Elem && i.Type.Elem != onnxfile.Undefined {
			im.misfit = fmt.Errorf("%w: input %.80q is %v, not %v", ErrOption, i.Name, given.DType, i.Type.Elem)
		}
		if n := len(given.Data); n != count(given.Shape)*given.DType.Size() {
			return bad(fmt.Errorf("%w: %d bytes for %v%d", ErrOption, n, given.DType, given.Shape))
		}
		return &value{name: i.Name, given: &given}
	}
	if i.Type.Kind != onnxfile.KindTensor {
		return bad(refusedf("it is no tensor"))
	}
	dt, err := computed(i.Type.Elem)
	if err == nil && modelType(dt) != i.Type.Elem {
		err = refusedf("element type %v", i.Type.Elem)
	}
	if err != nil {
		return bad(err)
	}
	dims, ok := im.opts.shapes[i.Name]
	if !ok {
		if !i.Type.HasShape {
			return bad(refusedf("the model does not say its rank; give its shape with WithInput"))
		}
		for axis, d := range i.Type.Dims {
			dims = append(dims, im.declared(i.Name, axis, d))
		}
	}
	t := im.g.Input(i.Name, dt, dims...)
	if t.Err() != nil {
		return bad(t.Err())
	}
	im.inputs[t] = i.Name
	return &value{name: i.Name, t: t}
}

// declared is a dimension of an input.
func (im *importer) declared(input string, axis int, d onnxfile.Dim) plan.Dim {
	if d.Known && d.Size >= 0 && d.Size <= plan.MaxDimSize {
		return plan.C(int(d.Size))
	}
	if d.Param == "" {
		return plan.Sym(symbol(input + "." + strconv.Itoa(axis)))
	}
	if to, ok := im.opts.dims[d.Param]; ok {
		return to
	}
	if e, err := plan.ParseDim(strings.ReplaceAll(d.Param, " ", "")); err == nil {
		return e.Subst(im.opts.dims)
	}
	return plan.Sym(symbol(d.Param))
}

// symbol makes a symbol of a text.
func symbol(s string) string {
	out := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
	if !plan.ValidSymbol(out) {
		out = "_" + out[:min(len(out), 60)]
	}
	return out
}

// maxConst is the number of elements of a constant that is part of the program's
// plan. Floats that the model has as initialisers are weights.
const maxConst = 1 << 12

// tensor is a value as a tensor of the program.
func (im *importer) tensor(v *value) (*lazy.Tensor, error) {
	if v.t != nil {
		return v.t, v.t.Err() //nolint:wrapcheck // a [lazy.CaptureError]
	}
	spec, err := im.spec(v)
	if err != nil {
		return nil, err
	}
	switch {
	case v.elems != nil:
		v.t, err = im.elemsTensor(v, spec)
	case v.given != nil:
		w := transport.Weight{Name: im.leafName(v.name), Storage: v.given.DType, Shape: v.given.Shape, Data: v.given.Data}
		w.Hash = transport.HashWeight(w.Storage, w.Shape, w.Data)
		v.t, err = im.leaf(v, w, spec.DType)
	default:
		v.t, err = im.rawTensor(v, spec)
	}
	if err != nil {
		v.t = nil
		return nil, err
	}
	return v.t, v.t.Err() //nolint:wrapcheck // a [lazy.CaptureError]
}

// leaf is a constant or a weight.
func (im *importer) leaf(v *value, w transport.Weight, dt plan.DType) (*lazy.Tensor, error) {
	n := count(w.Shape)
	if !v.as.weight && (n <= 1 || n <= maxConst && (v.small || dt != plan.F32)) {
		data, err := w.Widened()
		if err != nil {
			return nil, err //nolint:wrapcheck // it names the weight
		}
		return im.g.ConstBytes(dt, data, w.Shape...), nil
	}
	return im.g.AddWeight(w), nil
}

// leafName is a name that no other weight has, within the limit of plans.
func (im *importer) leafName(name string) string {
	const long = plan.MaxNameLen - 16
	base := name[:min(len(name), long)]
	if base == "" {
		base = "constant"
	}
	out := base
	for i := 1; im.leaves[out]; i++ {
		out = base + "~" + strconv.Itoa(i)
	}
	im.leaves[out] = true
	return out
}
