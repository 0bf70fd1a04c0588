package lazy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"

	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/plan"
)

// Element types.
const (
	F32  = plan.F32
	I32  = plan.I32
	I64  = plan.I64
	Bool = plan.Bool
)

// Dim is the symbolic dimension named name: a letter, then letters, digits,
// underscores or dots.
func Dim(name string) plan.Dim { return plan.Sym(name) }

// Kind is the kind of a tensor in the captured program.
type Kind uint8

// The kinds.
const (
	KindOp Kind = iota
	KindInput
	KindWeight
	KindConst
)

// The Gorgonia graph below a program and the node below a tensor, to which
// lazy/gorgonia gives access.
type (
	below = lazygraph.Graph
	node  = lazygraph.Tensor
)

// Graph is a captured program. Capture from one goroutine; a graph that no
// longer grows is safe to share.
type Graph struct {
	below

	name    string
	tensors []*Tensor
	names   map[string]bool
	inputs  []*Tensor
	outputs []Named
	carries []Carried
	carried map[*Tensor]bool // inputs of carries
	weights transport.Weights
	model   string
	state   string         // name of what is carried, if it is shared
	sizes   map[string]int // placeholder of each symbol in Gorgonia's shapes
	custom  map[string]*custom.Operator
	specs   []plan.Spec    // memory that Apply reuses
	err     error          // first capture error

	memo   sync.Map
	fpOnce sync.Once
	fp     string
}

// Named is an output: a tensor and its name.
type Named struct {
	Name   string
	Tensor *Tensor
}

// Carried is a loop-carried pair: the value of Out after one run is In of the
// next run of the same session.
type Carried struct{ In, Out *Tensor }

// NewGraph starts an empty program. The name is a label.
func NewGraph(name string) *Graph {
	return &Graph{
		name: name, below: lazygraph.NewGraph(name),
		names: map[string]bool{}, weights: transport.Weights{}, sizes: map[string]int{}, carried: map[*Tensor]bool{},
	}
}

// Name is the label given to [NewGraph].
func (g *Graph) Name() string { return g.name }

// Tensors lists the program's tensors in order of capture, which is a
// topological order.
func (g *Graph) Tensors() []*Tensor { return g.tensors }

// Inputs lists the input leaves in order of capture.
func (g *Graph) Inputs() []*Tensor { return g.inputs }

// Outputs lists the declared outputs.
func (g *Graph) Outputs() []Named { return g.outputs }

// Carries lists the loop-carried pairs.
func (g *Graph) Carries() []Carried { return g.carries }

// Err is the first capture error of the program, or nil.
func (g *Graph) Err() error { return g.err }

// Weight finds a weight's content by hash; with [Graph.Model] it makes a graph
// a [transport.WeightSource].
func (g *Graph) Weight(h plan.Hash) (transport.Weight, error) { return g.weights.Weight(h) }

// Model is the name under which a worker may have the weights in its model
// folder.
func (g *Graph) Model() string { return g.model }

// SetModel gives the weights the name of a model folder.
func (g *Graph) SetModel(name string) { g.model = name }

// Input adds an input leaf. Dimensions are ints, plan.Dim values or strings
// naming symbols. A run feeds the input by its name.
func (g *Graph) Input(name string, dt plan.DType, dims ...any) *Tensor {
	shape, err := parseShape(dims)
	if err == nil && dt != F32 && dt != Bool && !dt.IsInt() {
		err = fmt.Errorf("%w: an input cannot be %v", ErrDType, dt)
	}
	t := g.leaf(KindInput, "input", name, plan.Spec{DType: dt, Shape: shape}, err)
	if t.err == nil {
		g.inputs = append(g.inputs, t)
	}
	return t
}

// AddWeight adds a weight leaf: constant content, named by its hash, stored as
// f32, f16 or bf16 (computed as f32), or as an integer type. The content is not
// copied and must not change while the graph is in use.
func (g *Graph) AddWeight(w transport.Weight) *Tensor {
	spec := plan.Spec{DType: w.Storage, Shape: op.Static(w.Shape)}
	if w.Storage == plan.F16 || w.Storage == plan.BF16 {
		spec.DType = F32
	}
	var err error
	want := w.Storage.Size()
	for _, d := range w.Shape {
		if d < 0 || d > plan.MaxDimSize || want > math.MaxInt/(d+1) {
			err = fmt.Errorf("%w: weight %q has shape %v", ErrShape, w.Name, w.Shape)
			break
		}
		want *= d
	}
	if err == nil && !w.Storage.Valid() {
		err = fmt.Errorf("%w: weight %q is stored as %v", ErrDType, w.Name, w.Storage)
	}
	if err == nil && len(w.Data) != want {
		err = fmt.Errorf("%w: weight %q has %d bytes for %v%v", ErrShape, w.Name, len(w.Data), w.Storage, w.Shape)
	}
	t := g.leaf(KindWeight, "weight", w.Name, spec, err)
	if t.err == nil {
		t.hash, t.storage = w.Hash, w.Storage
		g.weights[w.Hash] = w
	}
	return t
}

// WeightF32 adds a weight leaf from float32 values.
func (g *Graph) WeightF32(name string, data []float32, shape ...int) *Tensor {
	b := make([]byte, 0, len(data)*4)
	for _, v := range data {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return g.AddWeight(transport.Weight{Name: name, Storage: F32, Shape: shape, Data: b, Hash: transport.HashWeight(F32, shape, b)})
}

// Const adds a constant leaf of float32 values; it is part of the plan.
func (g *Graph) Const(data []float32, shape ...int) *Tensor {
	b := make([]byte, 0, len(data)*4)
	for _, v := range data {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return g.constant(F32, b, shape)
}

// ConstInt adds a constant leaf of int32 indices.
func (g *Graph) ConstInt(data []int32, shape ...int) *Tensor {
	b := make([]byte, 0, len(data)*4)
	for _, v := range data {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return g.constant(I32, b, shape)
}

// ConstBytes adds a constant leaf of f32, i32, i64 or bool values, given as
// bytes in row-major order, little-endian.
func (g *Graph) ConstBytes(dt plan.DType, data []byte, shape ...int) *Tensor {
	if dt != F32 && dt != Bool && !dt.IsInt() {
		return g.fail("constant", nil, fmt.Errorf("%w: a constant cannot be %v", ErrDType, dt))
	}
	return g.constant(dt, data, shape)
}

func (g *Graph) constant(dt plan.DType, b []byte, shape []int) *Tensor {
	n, ok := int64(dt.Size()), true
	for _, d := range shape {
		if ok = ok && d >= 0; ok {
			n, ok = plan.MulChecked(n, int64(d))
		}
	}
	var err error
	switch {
	case !ok || n != int64(len(b)):
		err = fmt.Errorf("%w: constant of %d bytes for %v%v", ErrShape, len(b), dt, shape)
	case n > plan.MaxConstBytes:
		err = fmt.Errorf("%w: constant of %d bytes, the limit is %d; use a weight", ErrShape, n, plan.MaxConstBytes)
	}
	t := g.leaf(KindConst, "constant", "const."+strconv.Itoa(len(g.tensors)), plan.Spec{DType: dt, Shape: op.Static(shape)}, err)
	t.data = b
	return t
}

// Output declares t as a result of the program with the given name.
func (g *Graph) Output(name string, t *Tensor) *Tensor {
	err := check(g, t)
	if err == nil {
		if g.names["output"+name] {
			err = fmt.Errorf("%w: output %q is declared twice", ErrCapture, name)
		}
		if name == "" || len(name) > plan.MaxNameLen {
			err = fmt.Errorf("%w: output name %.80q is empty or too long", ErrCapture, name)
		}
	}
	if err != nil {
		return g.fail("output", []*Tensor{t}, err)
	}
	g.names["output"+name] = true
	g.outputs = append(g.outputs, Named{name, t})
	return t
}

// Carry declares that the value of out after one run is the value of the input
// in of the next run in the same session. Before the first run in is zeros, of
// length zero along every symbol that only carried inputs have. Element type
// and rank must agree; so must the dimensions that the loop does not change.
func (g *Graph) Carry(in, out *Tensor) {
	err := errors.Join(check(g, in), check(g, out))
	switch {
	case err != nil:
	case in.kind != KindInput:
		err = fmt.Errorf("%w: carry into something that is no input", ErrCapture)
	case in.spec.DType != out.spec.DType:
		err = fmt.Errorf("%w: carry of %v into %v", ErrDType, out.spec.DType, in.spec.DType)
	case len(in.spec.Shape) != len(out.spec.Shape):
		err = fmt.Errorf("%w: carry of %v into %v", ErrShape, out.spec.Shape, in.spec.Shape)
	default:
		for i, d := range in.spec.Shape {
			a, fixed := d.Const()
			if b, ok := out.spec.Shape[i].Const(); fixed && ok && a != b {
				err = fmt.Errorf("%w: carry of %v into %v: axis %d cannot change", ErrShape, out.spec.Shape, in.spec.Shape, i)
			}
		}
	}
	if err == nil && g.carried[in] {
		err = fmt.Errorf("%w: input %q is carried twice", ErrCapture, in.name)
	}
	if err != nil {
		g.fail("carry", []*Tensor{in, out}, err)
		return
	}
	g.carried[in] = true
	g.carries = append(g.carries, Carried{in, out})
}

func (g *Graph) leaf(kind Kind, what, name string, spec plan.Spec, err error) *Tensor {
	switch {
	case err != nil:
	case name == "" || len(name) > plan.MaxNameLen:
		err = fmt.Errorf("%w: name %.80q is empty or too long", ErrCapture, name)
	case g.names[what+name]:
		err = fmt.Errorf("%w: there is another %s %q", ErrCapture, what, name)
	case len(spec.Shape) > plan.MaxRank:
		err = fmt.Errorf("%w: rank %d, the limit is %d", ErrShape, len(spec.Shape), plan.MaxRank)
	}
	if err != nil {
		t := g.fail(what+" "+strconv.Quote(name), nil, err)
		t.spec = spec
		return t
	}
	g.names[what+name] = true
	// Gorgonia merges inputs of one name: the pair of kind and name is unique.
	t := &Tensor{g: g, id: len(g.tensors), kind: kind, name: name, spec: spec}
	if expr := lazygraph.Expr(g); expr != nil {
		t.node = lazygraph.NewTensor(nil, lazygraph.NewLeaf(expr, spec.DType, what+":"+name, g.placeholder(spec.Shape)))
	}
	t.recordCallers()
	g.tensors = append(g.tensors, t)
	return t
}

func (g *Graph) fail(what string, in []*Tensor, err error) *Tensor {
	if _, ok := errors.AsType[*CaptureError](err); !ok {
		err = captureError(what, specs(in), err)
	}
	if g != nil && g.err == nil {
		g.err = err
	}
	return &Tensor{g: g, id: -1, err: err}
}

// placeholder returns concrete sizes for Gorgonia: a prime for each symbol.
func (g *Graph) placeholder(s plan.Shape) tensor.Shape {
	out := make(tensor.Shape, len(s))
	for i, d := range s {
		if n, ok := d.Const(); ok {
			out[i] = n
			continue
		}
		if sym, ok := d.Symbol(); ok && g.sizes[sym] > 0 {
			out[i] = g.sizes[sym]
			continue
		}
		for _, sym := range d.Symbols(nil) {
			if _, ok := g.sizes[sym]; !ok {
				g.sizes[sym] = primes[len(g.sizes)%len(primes)]
			}
		}
		n, err := d.Eval(g.sizes)
		if err != nil {
			n = 1
		}
		out[i] = n
	}
	return out
}

var primes = [...]int{101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157}

func parseShape(dims []any) (plan.Shape, error) {
	s := make(plan.Shape, len(dims))
	for i, d := range dims {
		switch d := d.(type) {
		case int:
			if d < 0 || d > plan.MaxDimSize {
				return nil, fmt.Errorf("%w: dimension %d is %d", ErrShape, i, d)
			}
			s[i] = plan.C(d)
		case plan.Dim:
			s[i] = d
		case string:
			if !plan.ValidSymbol(d) {
				return nil, fmt.Errorf("%w: dimension %d has the name %.80q", ErrShape, i, d)
			}
			s[i] = plan.Sym(d)
		default:
			return nil, fmt.Errorf("%w: dimension %d is a %T, want int, string or Dim", ErrShape, i, d)
		}
		if err := s[i].Err(); err != nil {
			return nil, fmt.Errorf("%w: dimension %d: %w", ErrShape, i, err)
		}
		for _, sym := range s[i].Symbols(nil) {
			if !plan.ValidSymbol(sym) {
				return nil, fmt.Errorf("%w: dimension %d has the name %.80q", ErrShape, i, sym)
			}
		}
	}
	return s, nil
}
