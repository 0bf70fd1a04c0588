package gorgonia

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// ErrNoStock is the cause of errors about an operator that Gorgonia's own
// operators cannot express.
var ErrNoStock = errors.New("genie: no stock Gorgonia form")

// StockProgram is a program lowered to Gorgonia's own operators, for one set of
// sizes, with the TapeMachine that runs it. None of its nodes runs a kernel of
// this module. A StockProgram is not safe for concurrent use; programs of one
// graph share the memory of its weights and may run concurrently.
//
// # Traps
//
// What the lowering has to work around, found in gorgonia v0.9.18:
//
//   - A slice is hashed by its bounds modulo 256, so slices of a wide tensor
//     become one node. Wide axes are cut in two steps with distinct shapes.
//   - Nodes with equal 32-bit hashes become one, when a graph is built
//     (children are not compared) and again when it is compiled. The lowering
//     checks each new node's children, then all hashes, and tries other leaf
//     names.
//   - The machine overwrites the first operand of an elementwise operator after
//     its last use, and a reshape shares memory, which this liveness ignores. A
//     shared first operand, a weight or an output is therefore swapped with the
//     second or copied.
//   - A reshape in place changes the shape of the bound input itself: inputs
//     are bound again before every run.
//   - A slice of length one drops its axis, a slice of a later axis copies the
//     whole tensor once for each axis before it, a tensor of size zero cannot
//     be read, BatchedMatMul of two matrices does not end, and a matrix product
//     with a transposed operand has no equivalent.
//   - SoftMax subtracts the maximum of all but the first element of a row and
//     of the first of the whole tensor, so a row far from that one becomes NaN.
//     The lowering composes it of Max, Exp and a quotient.
//   - An index outside a table panics on another goroutine, where it cannot be
//     recovered: [StockProgram.Feed] checks indices.
type StockProgram struct {
	*gorgonia.ExprGraph

	machine gorgonia.VM
	graph   *lazy.Graph
	sizes   plan.Bindings
	nodes   map[*lazy.Tensor]*gorgonia.Node
	leaves  []*stockLeaf
	outputs []*lazy.Tensor
	ran     bool
}

// stockLeaf is one input node: a captured leaf at a shape, or a constant of the
// lowering.
type stockLeaf struct {
	node  *gorgonia.Node
	of    *lazy.Tensor // nil for a constant of the lowering
	shape tensor.Shape
	data  any // []float32 or []int
	rows  int // of the table that []int indexes, 0 if none
	clamp bool
}

// LowerStock lowers what outputs need (the declared outputs, if none are given)
// to stock Gorgonia operators at the given sizes. The graph's weights are not
// copied; those stored as f16 or bf16 are widened once for all programs of the
// graph. An operator without a stock equivalent is an error that wraps
// [ErrNoStock] and names it.
func LowerStock(g *lazy.Graph, sizes plan.Bindings, outputs ...*lazy.Tensor) (*StockProgram, error) {
	if g.Err() != nil {
		return nil, g.Err()
	}
	if len(outputs) == 0 {
		for _, o := range g.Outputs() {
			outputs = append(outputs, o.Tensor)
		}
	}
	if len(outputs) == 0 {
		return nil, fmt.Errorf("%w: no outputs", lazy.ErrCapture)
	}
	for _, t := range outputs {
		if err := check(g, t); err != nil {
			return nil, err
		}
	}
	for salt := range maxSalts {
		p, err := lowerStock(g, sizes, outputs, salt)
		if !errors.Is(err, errHashes) {
			return p, err
		}
	}
	return nil, errHashes
}

func lowerStock(g *lazy.Graph, sizes plan.Bindings, outputs []*lazy.Tensor, salt int) (p *StockProgram, err error) {
	b := newStockBuilder(g, sizes, outputs, salt)
	at := "program"
	defer func() {
		if r := recover(); r != nil { // Gorgonia's constructors panic
			p, err = nil, fmt.Errorf("%w: %s: %v", ErrNoStock, at, r)
		}
	}()
	for _, t := range g.Tensors() {
		if b.uses[t] == 0 || lazygraph.Op(t) == nil {
			continue
		}
		at = t.String()
		n, err := b.lower(t)
		if err != nil {
			return nil, fmt.Errorf("lower %v: %w", t, err)
		}
		b.nodes[t] = n
	}
	p = &StockProgram{ExprGraph: b.g, graph: g, sizes: sizes, nodes: b.nodes, leaves: b.leaves, outputs: slices.Clone(outputs)}
	at = "compile"
	if !distinctHashes(b.g) {
		return nil, errHashes
	}
	prog, locations, err := gorgonia.Compile(b.g)
	if err != nil {
		return nil, fmt.Errorf("compile stock program: %w", err)
	}
	p.machine = gorgonia.NewTapeMachine(b.g, gorgonia.WithPrecompiled(prog, locations))
	return p, nil
}

// Feed gives an input its value. The data is not copied and must not change
// until the last run that uses it.
func (p *StockProgram) Feed(t *lazy.Tensor, x transport.Tensor) error {
	if err := check(p.graph, t); err != nil {
		return err
	}
	if t.Kind() != lazy.KindInput {
		return fmt.Errorf("%w: feed of something that is no input", lazy.ErrCapture)
	}
	want, err := t.Shape().Eval(p.sizes)
	if err != nil {
		return err
	}
	if x.DType != t.DType() {
		return fmt.Errorf("%w: input %q is %v, got %v", lazy.ErrDType, t.Name(), t.DType(), x.DType)
	}
	if !slices.Equal(want, x.Shape) || len(x.Data) != x.Elements()*x.DType.Size() {
		return fmt.Errorf("%w: input %q is %v, got %v and %d bytes", lazy.ErrShape, t.Name(), want, x.Shape, len(x.Data))
	}
	for _, l := range p.leaves {
		if l.of != t {
			continue
		}
		if err := l.set(x); err != nil {
			return fmt.Errorf("input %q: %w", t.Name(), err)
		}
	}
	return nil
}

func (l *stockLeaf) set(x transport.Tensor) error {
	if x.DType == plan.F32 {
		l.data = float32s(x.Data)
		return nil
	}
	a := &op.Array{DType: x.DType, Data: aligned(x.Data)}
	n := x.Elements()
	if l.clamp { // mask starts are compared as floats
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(max(a.Int(i), 0))
		}
		l.data = v
		return nil
	}
	v := make([]int, n)
	for i := range v {
		v[i] = a.Int(i)
		if v[i] < 0 || v[i] >= l.rows {
			return op.IndexError(v[i], l.rows)
		}
	}
	l.data = v
	return nil
}

// Run runs the program on the inputs fed last.
func (p *StockProgram) Run() error {
	for _, l := range p.leaves {
		if l.data == nil {
			return fmt.Errorf("%w: input %q has no value", transport.ErrUnknownInput, l.of.Name())
		}
		v := tensor.New(tensor.WithShape(l.shape...), tensor.WithBacking(l.data))
		if err := gorgonia.Let(l.node, v); err != nil {
			return fmt.Errorf("bind stock input: %w", err)
		}
	}
	p.machine.Reset()
	p.ran = false
	if err := p.machine.RunAll(); err != nil {
		return fmt.Errorf("stock program: %w", err)
	}
	p.ran = true
	return nil
}

// Value reads an output of the last run. The program owns its memory, which is
// valid until the next run.
func (p *StockProgram) Value(t *lazy.Tensor) (transport.Tensor, error) {
	if !slices.Contains(p.outputs, t) {
		return transport.Tensor{}, fmt.Errorf("%w: %v is no output of the stock program", lazy.ErrCapture, t)
	}
	n := p.nodes[t]
	if !p.ran || n == nil || n.Value() == nil {
		return transport.Tensor{}, fmt.Errorf("%w: %v has no value", lazy.ErrCapture, t)
	}
	shape, err := t.Shape().Eval(p.sizes)
	if err != nil {
		return transport.Tensor{}, err
	}
	a, err := lazygraph.ArrayOf(n.Value())
	if err != nil {
		return transport.Tensor{}, err
	}
	return transport.Tensor{DType: a.DType, Shape: shape, Data: a.Data}, nil
}

// Close frees the machine.
func (p *StockProgram) Close() error { return p.machine.Close() }

// weightF32s is a weight as float32, copied from its file, once for all stock
// programs of the graph.
func weightF32s(g *lazy.Graph, h plan.Hash) ([]float32, error) {
	w, err := g.Weight(h)
	if err != nil {
		return nil, err
	}
	if w.Storage == plan.F32 && w.File == "" {
		return float32s(w.Data), nil
	}
	// Gorgonia's machines read in their own goroutines, where a truncated
	// mapped file would end the process.
	return lazygraph.Widened(g, h, func() ([]float32, error) {
		a, err := weightArray(w)
		if err != nil {
			return nil, err
		}
		if a.DType != plan.F32 {
			return nil, fmt.Errorf("%w: a weight of %v", ErrNoStock, w.Storage)
		}
		return a.F32(), nil
	})
}

// float32s is b seen as float32, copied only when it is not aligned.
func float32s(b []byte) []float32 {
	if len(b) == 0 {
		return []float32{}
	}
	return (&op.Array{Data: aligned(b)}).F32()
}

func aligned(b []byte) []byte {
	if len(b) == 0 || uintptr(unsafe.Pointer(&b[0]))%8 == 0 {
		return b
	}
	out := make([]byte, len(b))
	copy(out, b)
	return out
}
