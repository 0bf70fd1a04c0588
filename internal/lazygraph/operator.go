package lazygraph

import (
	"encoding/binary"
	"fmt"
	"hash"
	"unsafe"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// nodeOp is the gorgonia.Op of one node: an operator with the types and the
// shape from capture. Gorgonia merges nodes with equal 32-bit hashes, so every
// nodeOp has a unique number as its hash, and two nodes never merge by
// accident.
type nodeOp struct {
	op     op.Op
	serial uint32
	types  []hm.Type // of the inputs, then of the output

	out   plan.Spec
	shape tensor.Shape
}

var _ gorgonia.Op = (*nodeOp)(nil)

// NewOp makes a Gorgonia operator from o, with the types of its inputs, and the
// type and the shape of its output. Operators of one graph have distinct
// serials.
func NewOp(o op.Op, serial uint32, in []plan.Spec, out plan.Spec, shape tensor.Shape) gorgonia.Op {
	n := &nodeOp{op: o, serial: serial, out: out, shape: shape, types: make([]hm.Type, len(in)+1)}
	for i, s := range in {
		n.types[i] = hmType(s.DType, len(s.Shape))
	}
	n.types[len(in)] = hmType(out.DType, len(shape))
	return n
}

// Apply adds the node of an operator of [NewOp], with inputs or without.
func Apply(g *gorgonia.ExprGraph, o gorgonia.Op, kids ...*gorgonia.Node) (*gorgonia.Node, error) {
	n, ok := o.(*nodeOp)
	if len(kids) > 0 || !ok || n.Arity() > 0 {
		return gorgonia.ApplyOp(o, kids...)
	}
	return gorgonia.NewUniqueNode(gorgonia.WithType(n.types[0]), gorgonia.WithOp(o), gorgonia.In(g), gorgonia.WithShape(n.shape...)), nil
}

// Arity implements gorgonia.Op.
func (n *nodeOp) Arity() int { return len(n.types) - 1 }

// hmTypes are Gorgonia's types by element type and rank; a scalar has the
// element type itself.
var hmTypes = func() (t [plan.Bool + 1][plan.MaxRank + 1]hm.Type) {
	for dt := range t {
		of := dtypeOf(plan.DType(dt))
		t[dt][0] = of
		for rank := 1; rank <= plan.MaxRank; rank++ {
			t[dt][rank] = gorgonia.TensorType{Dims: rank, Of: of}
		}
	}
	return t
}()

func hmType(dt plan.DType, rank int) hm.Type { return hmTypes[dt][rank] }

// Type implements gorgonia.Op. Gorgonia recycles the returned function type,
// so each call makes a new one.
func (n *nodeOp) Type() hm.Type { return hm.NewFnType(n.types...) }

// InferShape implements gorgonia.Op with the shape known from capture.
func (n *nodeOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return n.shape, nil }

// Do implements gorgonia.Op with the operator's reference kernel.
func (n *nodeOp) Do(vals ...gorgonia.Value) (gorgonia.Value, error) {
	in := make([]*op.Array, len(vals))
	for i, v := range vals {
		a, err := ArrayOf(v)
		if err != nil {
			return nil, fmt.Errorf("%s: input %d: %w", n.op.Name(), i, err)
		}
		in[i] = a
	}
	out := op.NewArray(n.out.DType, n.shape...)
	if err := n.op.Eval(out, in, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", n.op.Name(), err)
	}
	return ValueOf(out)
}

// ReturnsPtr implements gorgonia.Op: results are new memory.
func (n *nodeOp) ReturnsPtr() bool { return false }

// CallsExtern implements gorgonia.Op.
func (n *nodeOp) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op: never.
func (n *nodeOp) OverwritesInput() int { return -1 }

// WriteHash implements gorgonia.Op: name, every attribute without loss, and
// the node's number.
func (n *nodeOp) WriteHash(h hash.Hash) {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], n.serial)
	_, _ = h.Write(b[:])
	_, _ = h.Write([]byte(n.op.Name()))
}

// Hashcode implements gorgonia.Op.
func (n *nodeOp) Hashcode() uint32 { return n.serial }

// String implements fmt.Stringer.
func (n *nodeOp) String() string {
	if k := n.op.Attrs().Key(); k != "" {
		return n.op.Name() + "{" + k + "}"
	}
	return n.op.Name()
}

func bytesOf[T any](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

// ArrayOf reads a Gorgonia value, without a copy if possible.
func ArrayOf(v gorgonia.Value) (*op.Array, error) {
	a := &op.Array{Shape: v.Shape()}
	if t, ok := v.(tensor.Tensor); ok && !t.DataOrder().IsContiguous() {
		return nil, fmt.Errorf("%w: value is not contiguous", op.ErrShape)
	}
	if v.Shape().TotalSize() == 0 { // Data of an empty tensor panics
		a.DType, a.Strides = planDType(v.Dtype()), op.ContiguousStrides(a.Shape)
		if !a.DType.Valid() {
			return nil, fmt.Errorf("%w: value holds %v", op.ErrDType, v.Dtype())
		}
		return a, nil
	}
	switch d := v.Data().(type) {
	case []float32:
		a.DType, a.Data = plan.F32, bytesOf(d)
	case []int32:
		a.DType, a.Data = plan.I32, bytesOf(d)
	case []int64:
		a.DType, a.Data = plan.I64, bytesOf(d)
	case []bool:
		a.DType, a.Data = plan.Bool, bytesOf(d)
	case bool:
		a.DType, a.Data = plan.Bool, bytesOf([]bool{d})
	case float32:
		a.DType, a.Data = plan.F32, bytesOf([]float32{d})
	case int32:
		a.DType, a.Data = plan.I32, bytesOf([]int32{d})
	case int64:
		a.DType, a.Data = plan.I64, bytesOf([]int64{d})
	default:
		return nil, fmt.Errorf("%w: value holds %T", op.ErrDType, d)
	}
	a.Strides = op.ContiguousStrides(a.Shape)
	return a, nil
}

func planDType(d tensor.Dtype) plan.DType {
	switch d {
	case tensor.Float32:
		return plan.F32
	case tensor.Int32:
		return plan.I32
	case tensor.Int64:
		return plan.I64
	case tensor.Bool:
		return plan.Bool
	}
	return plan.Invalid
}

// ValueOf makes a Gorgonia value over the array's memory; booleans are copied.
func ValueOf(a *op.Array) (gorgonia.Value, error) {
	var backing any
	switch a.DType {
	case plan.F32:
		backing = a.F32()
	case plan.I32:
		backing = a.I32()
	case plan.I64:
		backing = a.I64()
	default:
		b := make([]bool, len(a.Data))
		for i, x := range a.Data {
			b[i] = x != 0
		}
		backing = b
	}
	if len(a.Shape) == 0 {
		return scalarOf(a), nil
	}
	return tensor.New(tensor.WithShape(a.Shape...), tensor.WithBacking(backing)), nil
}

func scalarOf(a *op.Array) gorgonia.Value {
	switch a.DType {
	case plan.I32:
		return gorgonia.NewI32(a.I32()[0])
	case plan.I64:
		return gorgonia.NewI64(a.I64()[0])
	case plan.Bool:
		return gorgonia.NewB(a.Data[0] != 0)
	default:
		return gorgonia.NewF32(a.F32()[0])
	}
}

// NewLeaf adds an input node. Gorgonia requires a scalar node instead of a
// tensor of rank 0.
func NewLeaf(g *gorgonia.ExprGraph, dt plan.DType, name string, shape tensor.Shape) *gorgonia.Node {
	if len(shape) == 0 {
		return gorgonia.NewScalar(g, dtypeOf(dt), gorgonia.WithName(name))
	}
	return gorgonia.NewTensor(g, dtypeOf(dt), len(shape), gorgonia.WithName(name), gorgonia.WithShape(shape...))
}

func dtypeOf(d plan.DType) tensor.Dtype {
	switch d {
	case plan.I32:
		return tensor.Int32
	case plan.I64:
		return tensor.Int64
	case plan.Bool:
		return tensor.Bool
	default:
		return tensor.Float32
	}
}
