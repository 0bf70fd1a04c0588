package onnxfile

// Model is a ModelProto.
type Model struct {
	IRVersion        int64
	Producer         string
	ProducerVersion  string
	Opsets           []Opset
	Graph            *Graph
	Functions        []*Function
	HasTraining      bool // it has training_info, which is not read
	DefaultOpset     int64
	opsetsByDomain   map[string]int64
	functionsByIdent map[FunctionID]*Function
}

// Opset is an OperatorSetIdProto. The default domain is empty; "ai.onnx" is
// another name of it, and read as such.
type Opset struct {
	Domain  string
	Version int64
}

// Graph is a GraphProto.
type Graph struct {
	Name         string
	Nodes        []*Node
	Initializers []*Tensor
	Sparse       int // sparse initialisers, which are not read
	Inputs       []*ValueInfo
	Outputs      []*ValueInfo
	Values       []*ValueInfo
}

// Node is a NodeProto. An input or output without a name is left out.
type Node struct {
	Name, OpType, Domain, Overload string
	Inputs, Outputs                []string
	Attrs                          []*Attr
}

// AttrType is the type of an attribute.
type AttrType int32

// The types of attributes.
const (
	AttrFloat AttrType = iota + 1
	AttrInt
	AttrString
	AttrTensor
	AttrGraph
	AttrFloats
	AttrInts
	AttrStrings
	AttrTensors
	AttrGraphs
	AttrSparseTensor
	AttrSparseTensors
	AttrTypeProto
	AttrTypeProtos
)

// Attr is an AttributeProto.
type Attr struct {
	Name    string
	Ref     string // attribute of the enclosing function that it takes its value from
	Type    AttrType
	F       float32
	I       int64
	S       string
	T       *Tensor
	G       *Graph
	Floats  []float32
	Ints    []int64
	Strings []string
	Tensors []*Tensor
	Graphs  []*Graph
}

// ValueInfo is a ValueInfoProto: the name and the type of a value.
type ValueInfo struct {
	Name string
	Type Type
}

// Kind says what a value is.
type Kind uint8

// The kinds of values.
const (
	KindNone Kind = iota // not declared
	KindTensor
	KindSequence
	KindMap
	KindOptional
	KindSparse
)

// Type is a TypeProto. Only a tensor's is read in full.
type Type struct {
	Kind     Kind
	Elem     DataType
	HasShape bool
	Dims     []Dim
}

// Dim is a dimension of a declared shape: a size, a name, or unknown.
type Dim struct {
	Size  int64
	Known bool
	Param string
}

// Function is a FunctionProto: an operator made of others.
type Function struct {
	ID       FunctionID
	Inputs   []string
	Outputs  []string
	Attrs    []string // required attributes
	Defaults []*Attr
	Nodes    []*Node
	Opsets   []Opset
}

// FunctionID is what a node names a function by.
type FunctionID struct{ Domain, Name, Overload string }

// Opset is the version of a domain that the model imports, 0 for none.
func (m *Model) Opset(domain string) int64 { return m.opsetsByDomain[domainName(domain)] }

// Function is the function that a node calls, or nil.
func (m *Model) Function(n *Node) *Function {
	return m.functionsByIdent[FunctionID{domainName(n.Domain), n.OpType, n.Overload}]
}

// domainName is the one name of a domain.
func domainName(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}
