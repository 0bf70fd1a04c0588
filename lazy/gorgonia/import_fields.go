package gorgonia

import (
	"errors"
	"fmt"
	"hash"
	"reflect"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// errLayout is the cause of errors about a Gorgonia whose types this package
// does not know.
var errLayout = errors.New("this version of Gorgonia stores its attributes otherwise")

// fields reads the attributes of a stock operator, which are unexported, by
// reflection. It only reads, and only numbers, so that nothing of Gorgonia's
// is called or changed. The first attribute that is missing or of another kind
// sticks. A test for each operator holds the names against the version of
// Gorgonia in go.mod.
type fields struct {
	v   reflect.Value
	err error
}

// attributes are the fields of an operator's struct.
func attributes(op gorgonia.Op) *fields {
	v := reflect.ValueOf(op)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	f := &fields{v: v}
	if v.Kind() != reflect.Struct {
		f.err = fmt.Errorf("%w: %T is no struct", errLayout, op)
	}
	return f
}

func (f *fields) field(name string, kind ...reflect.Kind) (reflect.Value, bool) {
	if f.err != nil {
		return reflect.Value{}, false
	}
	v := f.v.FieldByName(name)
	if v.IsValid() {
		for _, k := range kind {
			if v.Kind() == k {
				return v, true
			}
		}
	}
	f.err = fmt.Errorf("%w: %v has no %v %s", errLayout, f.v.Type(), kind, name)
	return reflect.Value{}, false
}

func (f *fields) int(name string) int {
	v, ok := f.field(name, reflect.Int)
	if !ok {
		return 0
	}
	return int(v.Int())
}

func (f *fields) bool(name string) bool {
	v, ok := f.field(name, reflect.Bool)
	return ok && v.Bool()
}

func (f *fields) float(name string) float64 {
	v, ok := f.field(name, reflect.Float64)
	if !ok {
		return 0
	}
	return v.Float()
}

// byte is an enumeration.
func (f *fields) byte(name string) int {
	v, ok := f.field(name, reflect.Uint8)
	if !ok {
		return 0
	}
	return int(v.Uint())
}

func (f *fields) ints(name string) []int {
	v, ok := f.field(name, reflect.Slice)
	if !ok {
		return nil
	}
	out := make([]int, v.Len())
	for i := range out {
		if v.Index(i).Kind() != reflect.Int {
			f.err = fmt.Errorf("%w: %v.%s is no list of ints", errLayout, f.v.Type(), name)
			return nil
		}
		out[i] = int(v.Index(i).Int())
	}
	return out
}

// within are the fields of the struct in an interface.
func (f *fields) within(name string) *fields {
	v, ok := f.field(name, reflect.Interface)
	if !ok {
		return f
	}
	in := &fields{v: v.Elem()}
	if in.v.Kind() != reflect.Struct {
		in.err = fmt.Errorf("%w: %v.%s holds no struct", errLayout, f.v.Type(), name)
	}
	return in
}

// slice is the bounds of a slice operator; all is a slice of everything. The
// hash of the operator has them modulo 256 only, its field has them whole.
func (f *fields) slice() (start, end, step int, all bool) {
	v, ok := f.field("Slice", reflect.Interface)
	if !ok || v.IsNil() {
		return 0, 0, 0, true
	}
	s, isSlice := reflect.TypeAssert[tensor.Slice](v) // the field is exported
	if !isSlice {
		f.err = fmt.Errorf("%w: %v.Slice is a %v", errLayout, f.v.Type(), v.Type())
		return 0, 0, 0, true
	}
	return s.Start(), s.End(), s.Step(), s.End() <= s.Start()
}

var nodeType = reflect.TypeFor[gorgonia.Node]()

// children are the operands of a node in order. ExprGraph.From finds a node by a
// cache of positions that goes stale when a node is removed, as Gorgonia does
// where it stabilises a logarithm, and then gives the operands of another node.
func children(n *gorgonia.Node) ([]*gorgonia.Node, error) {
	v := reflect.ValueOf(n).Elem().FieldByName("children")
	if v.Kind() != reflect.Slice || v.Type().Elem() != reflect.TypeFor[*gorgonia.Node]() {
		return nil, fmt.Errorf("%w: a node has no children", errLayout)
	}
	out := make([]*gorgonia.Node, v.Len())
	for i := range out {
		if out[i] = (*gorgonia.Node)(v.Index(i).UnsafePointer()); out[i] == nil {
			return nil, errors.New("operand is nil")
		}
	}
	return out, nil
}

// ownName is the name that a node was given; Name makes one up where there is
// none.
func ownName(n *gorgonia.Node) string {
	v := reflect.ValueOf(n).Elem().FieldByName("name")
	if v.Kind() != reflect.String {
		return ""
	}
	return v.String()
}

// opName names an operator as an error shows it.
func opName(op gorgonia.Op) string {
	if op == nil {
		return "leaf"
	}
	t := reflect.TypeOf(op)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() != nodeType.PkgPath() {
		return t.String()
	}
	switch t.Name() {
	case "elemUnaryOp":
		if k, err := unaryKind(op); err == nil {
			return unaryNames[k]
		}
	case "elemBinOp":
		if k := attributes(op).within(binaryField).byte(binaryTypeField); k < len(binaryNames) {
			return binaryNames[k]
		}
	case "softmaxOp":
		if attributes(op).bool("isLog") {
			return "LogSoftMax"
		}
		return "SoftMax"
	}
	return t.Name()
}

// stockName is the name of the type of one of Gorgonia's own operators.
func stockName(op gorgonia.Op) (string, error) {
	t := reflect.TypeOf(op)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() != nodeType.PkgPath() {
		return "", errForeign
	}
	if n := t.Name(); strings.HasSuffix(n, "DiffOp") || n == "sliceIncrOp" || n == "col2imOp" {
		return "", errGradient
	}
	return t.Name(), nil
}

// Fields whose names are not ASCII.
const (
	binaryField     = "ʘBinaryOperator"
	binaryTypeField = "ʘBinaryOperatorType"
	linAlgField     = "āBinaryOperator"
)

// firstByte is the first byte that an operator writes to its hash.
type firstByte struct {
	hash.Hash

	b    byte
	seen bool
}

func (w *firstByte) Write(p []byte) (int, error) {
	if len(p) > 0 && !w.seen {
		w.b, w.seen = p[0], true
	}
	return len(p), nil
}

// unaryKind is which elementwise operator of one operand op is. The operator
// itself is a pointer to a function, whose position in a table Gorgonia compares;
// WriteHash writes that position first.
func unaryKind(op gorgonia.Op) (int, error) {
	var w firstByte
	op.WriteHash(&w)
	if !w.seen || int(w.b) >= len(unaryNames) {
		return 0, fmt.Errorf("%w: elementwise operator %d", errLayout, w.b)
	}
	return int(w.b), nil
}
