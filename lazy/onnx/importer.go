package onnx

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Limits of what a model may become. Functions and loops repeat nodes, and some
// operators make many, so the file's size does not bound them.
const (
	maxNodes     = plan.MaxSteps
	maxTensors   = plan.MaxValues
	maxCallDepth = 32 // of functions that call each other
	minOpset     = 1
	maxOpset     = 28
)

// importer makes one program of one model.
type importer struct {
	ctx  context.Context //nolint:containedctx // of the one call of run that the importer lives for
	file *onnxfile.File
	opts *options
	g    *lazy.Graph

	operators map[string]handler

	hashes  map[hashKey]hashed       // shared by attempts
	fixed   map[string]bool          // inputs that are constants, as earlier attempts found
	wanted  map[string]bool          // further ones that this attempt found
	inputs  map[*lazy.Tensor]string  // names of the inputs
	leaves  map[string]bool          // names of leaves of the graph
	known   map[*lazy.Tensor]*folded // see fold.go
	budget  int                      // of evaluation, see fold.go
	raws    map[rawKey]*lazy.Tensor  // leaves of tensors of the file
	elems   int                      // elements known one by one, of all values
	filled  int                      // bytes of filled weights
	tables  int                      // numbers of computed tables
	nodes   int
	refused []Refusal
	misfit  error // of an option
	done    int64 // bytes hashed
}

func newImporter(f *onnxfile.File, o *options, hashes map[hashKey]hashed, fixed map[string]bool) *importer {
	name := o.name
	if name == "" {
		name = f.Model.Graph.Name
	}
	return &importer{
		file: f, opts: o, g: lazy.NewGraph(name), operators: standard(), hashes: hashes, fixed: fixed, wanted: map[string]bool{},
		inputs: map[*lazy.Tensor]string{}, leaves: map[string]bool{}, known: map[*lazy.Tensor]*folded{}, budget: foldBudget,
		raws: map[rawKey]*lazy.Tensor{},
	}
}

// scope is the values that names stand for in a graph or a function.
type scope struct {
	parent *scope // of the graph that contains this one
	values map[string]*value
	opsets func(domain string) int64
	attrs  map[string]*onnxfile.Attr // of the function's call
	path   string                    // of the function or graph, for the names of leaves
	depth  int                       // of functions
}

func (s *scope) find(name string) *value {
	for at := s; at != nil; at = at.parent {
		if v := at.values[name]; v != nil {
			return v
		}
	}
	return nil
}

func (im *importer) run(ctx context.Context) error {
	im.ctx = ctx
	m := im.file.Model
	if v := m.DefaultOpset; v != 0 && (v < minOpset || v > maxOpset) {
		im.refuse("", "model", "", refusedf("operator set %d, read are %d to %d", v, minOpset, maxOpset))
		return &RefusedError{im.refused}
	}
	s := &scope{values: map[string]*value{}, opsets: m.Opset}
	if err := im.leavesOf(s, m.Graph); err != nil {
		return err
	}
	if im.misfit != nil {
		return im.misfit
	}
	if err := im.graph(s, m.Graph.Nodes); err != nil {
		return err
	}
	im.outputs(s, m.Graph)
	if len(im.refused) > 0 {
		return &RefusedError{im.refused}
	}
	if err := im.carries(m.Graph); err != nil {
		return err
	}
	return im.g.Err() //nolint:wrapcheck // a [lazy.CaptureError]
}

func (im *importer) refuse(node, op, domain string, err error) {
	im.refused = append(im.refused, Refusal{Node: node, Op: op, Domain: domain, Err: err})
}

// graph imports nodes, which are in topological order.
func (im *importer) graph(s *scope, nodes []*onnxfile.Node) error {
	for _, n := range nodes {
		if im.nodes++; im.nodes > maxNodes {
			return fmt.Errorf("%w: more than %d nodes, with those of functions and loops", ErrMalformed, maxNodes)
		}
		if n := len(im.g.Tensors()); n > maxTensors {
			return fmt.Errorf("%w: it becomes more than %d operators", ErrMalformed, maxTensors)
		}
		if err := im.ctx.Err(); err != nil {
			return err //nolint:wrapcheck // the caller's
		}
		if err := im.node(s, n); err != nil {
			return err
		}
	}
	return nil
}

// node imports a node. A refusal is noted; an error ends the import.
func (im *importer) node(s *scope, n *onnxfile.Node) error {
	c := &call{im: im, s: s, n: n, opset: s.opsets(n.Domain)}
	bad := false
	for _, name := range n.Inputs {
		var v *value
		if name != "" {
			if v = s.find(name); v == nil {
				return fmt.Errorf("%w: %s (node %.80q) reads %.80q, which nothing before it computes", ErrMalformed, n.OpType, n.Name, name)
			}
			bad = bad || v.bad
		}
		c.in = append(c.in, v)
	}
	out, err := im.results(c, bad)
	if fatal := (fatalError{}); errors.As(err, &fatal) {
		return fatal.error
	}
	if err != nil {
		im.refuse(nodeName(n), n.OpType, n.Domain, cause(err))
		bad = true
	}
	for i, name := range n.Outputs {
		switch {
		case name == "":
			continue
		case s.values[name] != nil:
			return fmt.Errorf("%w: %s (node %.80q) computes %.80q again", ErrMalformed, n.OpType, n.Name, name)
		case bad || i >= len(out):
			s.values[name] = &value{name: name, bad: true}
		default:
			v := *out[i]
			v.name = name
			s.values[name] = &v
		}
	}
	return nil
}

// fatalError ends the import; other errors refuse a node.
type fatalError struct{ error }

// below is the path of what a node contains, for the names of leaves.
func (s *scope) below(n *onnxfile.Node, label string) string {
	const long = 200
	p := s.path + nodeName(n) + label + "/"
	return p[max(0, len(p)-long):]
}

func nodeName(n *onnxfile.Node) string {
	if n.Name != "" {
		return n.Name
	}
	if len(n.Outputs) > 0 {
		return n.Outputs[0]
	}
	return ""
}

// results computes the outputs of a node; of one whose inputs were refused it only
// finds out whether it would be refused by itself.
func (im *importer) results(c *call, bad bool) ([]*value, error) {
	n := c.n
	if f := im.file.Model.Function(n); f != nil {
		if bad {
			return nil, nil
		}
		return im.inline(c, f)
	}
	h := im.handlerOf(n.Domain, n.OpType)
	switch {
	case h == nil:
		if why := refusedOperators[n.OpType]; why != "" && n.Domain == "" {
			return nil, refusedf("%s", why)
		}
		return nil, errNoOperator
	case bad:
		return nil, nil
	case n.Domain == "" && c.opset == 0:
		return nil, fmt.Errorf("%w: the model imports no operator set of its domain", ErrMalformed)
	}
	if e := c.fold(); e != nil {
		out := make([]*value, len(e))
		for i := range e {
			out[i] = &value{elems: e[i]}
		}
		return out, nil
	}
	out := h(c)
	if c.err != nil {
		return nil, c.err
	}
	for _, v := range out {
		if v != nil && v.t != nil && v.t.Err() != nil {
			return nil, cause(v.t.Err())
		}
	}
	for i, name := range n.Outputs {
		if name != "" && (i >= len(out) || out[i] == nil) {
			return nil, refusedf("its output %d", i)
		}
	}
	return out, nil
}

// cause is a fault of an operator without the place in this package.
func cause(err error) error {
	c, ok := errors.AsType[*lazy.CaptureError](err)
	if !ok {
		return err
	}
	in := make([]string, len(c.In))
	for i, s := range c.In {
		in[i] = s.String()
	}
	return fmt.Errorf("%s(%s): %w", c.Op, strings.Join(in, ", "), c.Err)
}

// outputs declares the outputs of the model.
func (im *importer) outputs(s *scope, g *onnxfile.Graph) {
	seen := map[string]bool{}
	for _, o := range g.Outputs {
		v := s.values[o.Name]
		switch {
		case v == nil || seen[o.Name]:
			im.refuse(o.Name, "output", "", fmt.Errorf("%w: nothing computes it, or it is listed twice", ErrMalformed))
			continue
		case v.bad:
			continue
		}
		seen[o.Name] = true
		if e := v.elemType(); !v.isSeq && o.Type.Kind == onnxfile.KindTensor && o.Type.Elem != onnxfile.Undefined && o.Type.Elem != e {
			im.refuse(o.Name, "output", "", refusedf("element type %v, computed as %v", o.Type.Elem, e))
			continue
		}
		t, err := im.tensor(v)
		if err == nil {
			if t.Kind() != lazy.KindOp || slices.ContainsFunc(im.g.Outputs(), func(n lazy.Named) bool { return n.Tensor == t }) {
				t = lazy.Identity(t)
			}
			err = im.g.Output(o.Name, t).Err()
		}
		if err != nil {
			im.refuse(o.Name, "output", "", cause(err))
		}
	}
}
