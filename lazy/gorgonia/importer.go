package gorgonia

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// importer captures the nodes of a Gorgonia graph.
type importer struct {
	g    *lazy.Graph
	expr *gorgonia.ExprGraph
	opts importOptions
	at   *gorgonia.Node // being captured
	most int            // nodes that outputs may need

	tensors map[*gorgonia.Node]*lazy.Tensor
	counts  map[*gorgonia.Node]plan.Dim    // nodes that are sizes
	small   map[*lazy.Tensor]*lazy.Tensor  // what was repeated along axes of size one
	sums    map[*lazy.Tensor]summed        // results of sums
	convs   map[*lazy.Tensor]convolution   // results of convolutions without bias
	norms   map[*lazy.Tensor]normalisation // results of batch normalisations
	numbers map[uint32]*lazy.Tensor        // constants of rank 0, by their bits
	sizes   plan.Bindings                  // of the symbols in the Gorgonia graph
	inputs  map[*gorgonia.Node]declaredInput
	names   map[string]bool // of weights
}

func newImporter(g *gorgonia.ExprGraph) *importer {
	return &importer{
		g: lazy.NewGraph("gorgonia"), expr: g, most: maxImported,
		tensors: map[*gorgonia.Node]*lazy.Tensor{}, counts: map[*gorgonia.Node]plan.Dim{},
		small: map[*lazy.Tensor]*lazy.Tensor{}, sums: map[*lazy.Tensor]summed{},
		convs: map[*lazy.Tensor]convolution{}, norms: map[*lazy.Tensor]normalisation{},
		numbers: map[uint32]*lazy.Tensor{}, sizes: plan.Bindings{},
		inputs: map[*gorgonia.Node]declaredInput{}, names: map[string]bool{},
	}
}

func (im *importer) run(outputs gorgonia.Nodes) error {
	if im.expr == nil || len(outputs) == 0 {
		return im.fault(nil, errors.New("no graph or no outputs"))
	}
	if err := im.declare(); err != nil {
		return err
	}
	order, err := im.order(outputs)
	if err != nil {
		return err
	}
	for _, n := range order {
		im.at = n
		if err := im.capture(n); err != nil {
			return im.fault(n, err)
		}
	}
	names := map[string]bool{}
	for i, n := range outputs {
		im.at = n
		if im.g.Output(im.outputName(n, i, names), im.operand(n)); im.g.Err() != nil {
			return im.fault(n, im.g.Err())
		}
	}
	return nil
}

func (im *importer) outputName(n *gorgonia.Node, i int, taken map[string]bool) string {
	name := ownName(n)
	if name == "" || len(name) > plan.MaxNameLen || taken[name] {
		name = fmt.Sprintf("output.%d", i)
	}
	taken[name] = true
	return name
}

// order lists what the outputs need, operands first. It keeps its own stack, so
// that a chain of any length needs no deep recursion.
func (im *importer) order(outputs gorgonia.Nodes) ([]*gorgonia.Node, error) {
	type visit struct {
		n    *gorgonia.Node
		kids []*gorgonia.Node // not yet visited
	}
	var order []*gorgonia.Node
	var stack []visit
	state := map[*gorgonia.Node]bool{} // false while its operands are visited
	push := func(n *gorgonia.Node) error {
		if done, ok := state[n]; ok {
			if !done {
				return im.fault(n, errors.New("the graph has a cycle"))
			}
			return nil
		}
		if n.Graph() != im.expr && n.Graph() != nil {
			return im.fault(n, fmt.Errorf("%w: a node of another graph", lazy.ErrCapture))
		}
		if len(state) >= im.most {
			return im.fault(n, fmt.Errorf("%w: more than %d nodes", transport.ErrLimit, im.most))
		}
		kids, err := im.needed(n)
		if err != nil {
			return im.fault(n, err)
		}
		state[n] = false
		stack = append(stack, visit{n, kids})
		return nil
	}
	for _, o := range outputs {
		if o == nil {
			return nil, im.fault(nil, errors.New("an output is nil"))
		}
		if err := push(o); err != nil {
			return nil, err
		}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(top.kids) == 0 {
				state[top.n] = true
				order = append(order, top.n)
				stack = stack[:len(stack)-1]
				continue
			}
			kid := top.kids[0]
			top.kids = top.kids[1:]
			if err := push(kid); err != nil {
				return nil, err
			}
		}
	}
	return order, nil
}

// needed are the operands that capturing n needs. A convolution is captured from
// its image and filter, without the columns between.
func (im *importer) needed(n *gorgonia.Node) ([]*gorgonia.Node, error) {
	if _, ok := im.inputs[n]; ok {
		return nil, nil
	}
	if c, ok := im.matchConv(n); ok {
		return []*gorgonia.Node{c.image, c.filter}, nil
	}
	return children(n)
}

// capture adds the tensor of one node, whose operands have theirs.
func (im *importer) capture(n *gorgonia.Node) error {
	if d, ok := im.inputs[n]; ok || n.Op() == nil {
		return im.leaf(n, d)
	}
	if err := im.checkType(n); err != nil {
		return err
	}
	name, err := stockName(n.Op())
	if err != nil {
		return err
	}
	lower, ok := stockOperators[name]
	if !ok {
		return errNoCounterpart
	}
	kids, err := children(n)
	if err != nil {
		return err
	}
	if c, ok := im.matchConv(n); ok {
		return im.set(n, im.convolve(c), nil)
	}
	f := attributes(n.Op())
	t, err := lower(im, n, kids, f)
	if f.err != nil {
		return f.err
	}
	if errors.Is(err, errIsSize) {
		return nil
	}
	return im.set(n, t, err)
}

// set makes t the tensor of n, if it has the node's shape.
func (im *importer) set(n *gorgonia.Node, t *lazy.Tensor, err error) error {
	if err != nil {
		return err
	}
	if t.Err() != nil {
		return t.Err()
	}
	shape, err := t.Shape().Eval(im.sizes)
	if err != nil {
		return err
	}
	want := n.Shape()
	if !slices.Equal(shape, want) {
		if t, err = im.reshape(t, want); err != nil {
			return fmt.Errorf("captured as %v, the node is %v: %w", shape, want, err)
		}
	}
	im.tensors[n] = t
	return nil
}

// operand is the captured tensor of a node; a size becomes one when it is used
// as a number.
func (im *importer) operand(n *gorgonia.Node) *lazy.Tensor {
	if t := im.tensors[n]; t != nil {
		return t
	}
	d, ok := im.counts[n]
	if !ok {
		return nil
	}
	t := im.count(d)
	im.tensors[n] = t
	return t
}

// count is a size as a number.
func (im *importer) count(d plan.Dim) *lazy.Tensor {
	if c, ok := d.Const(); ok {
		return im.number(float32(c))
	}
	return lazy.Sum(lazy.Expand(lazy.Reshape(im.number(1), 1), d))
}

// number is a constant of rank 0, one for each value.
func (im *importer) number(v float32) *lazy.Tensor {
	bits := math.Float32bits(v)
	if t := im.numbers[bits]; t != nil {
		return t
	}
	t := im.g.Const([]float32{v})
	im.numbers[bits] = t
	return t
}

// errIsSize is what a lowering returns that has recorded a size in place of a
// tensor.
var errIsSize = errors.New("a size, which has no tensor yet")

type lowering func(im *importer, n *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error)

// stockOperators are the operators that have a counterpart, by the names of
// their types in Gorgonia.
var stockOperators = map[string]lowering{
	"Iop":                 (*importer).identity,
	"constantScalar":      (*importer).constant,
	"constantTensor":      (*importer).constant,
	"elemUnaryOp":         (*importer).unary,
	"elemBinOp":           (*importer).binary,
	"minBetween":          (*importer).minBetween,
	"maxBetween":          (*importer).maxBetween,
	"linAlgBinOp":         (*importer).product,
	"tensordotOp":         (*importer).tensordot,
	"sumOp":               (*importer).sum,
	"maxOp":               (*importer).max,
	"softmaxOp":           (*importer).softmax,
	"BatchNormOp":         (*importer).batchNorm,
	"GroupNormOp":         (*importer).groupNorm,
	"dropoutOp":           (*importer).dropout,
	"reshapeOp":           (*importer).reshapeNode,
	"transposeOp":         (*importer).transpose,
	"sliceOp":             (*importer).slice,
	"concatOp":            (*importer).concat,
	"repeatOp":            (*importer).repeat,
	"atOp":                (*importer).element,
	"sizeOp":              (*importer).size,
	"byIndicesOp":         (*importer).byIndices,
	"diagFlatOp":          (*importer).diagonal,
	"dtConvOp":            (*importer).convert,
	"upsampleOp":          (*importer).upsample,
	"im2colOp":            (*importer).columns,
	"maxPoolOp":           (*importer).maxPool,
	"avgPoolOp":           (*importer).averagePool,
	"globalAveragePoolOp": (*importer).globalAverage,
	"letOp":               refuse(errStatement),
	"readOp":              refuse(errStatement),
	"randomOp":            refuse(errRandomLeaf),
}

var errRandomLeaf = errors.New("a random node; make it an input")

func refuse(err error) lowering {
	return func(*importer, *gorgonia.Node, []*gorgonia.Node, *fields) (*lazy.Tensor, error) { return nil, err }
}
