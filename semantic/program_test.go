package semantic

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport/plan"
)

// A file of testdata/graphs is a labelled graph: sizes, a program, labels.
// See README.md there.
type graphFile struct {
	Params  map[string]string   `json:"params"`
	Vary    map[string][2]int   `json:"vary"`
	Program []json.RawMessage   `json:"program"`
	Labels  graphLabels         `json:"labels"`
	Runs    []labelledRun       `json:"runs"`
	Notes   string              `json:"notes"`
	Phases  map[string][]string `json:"phases"`
}

// graphLabels select tensors by name, by #tag, or all with *.
type graphLabels struct {
	Residency map[string][]string      `json:"residency"`
	Modality  map[string][]string      `json:"modality"`
	Caches    map[string]labelledCache `json:"caches"`
	Attention []string                 `json:"attention"`
	Patterns  string                   `json:"patterns"` // number of attention patterns
	Sampling  []string                 `json:"sampling"`
	Branches  [][]string               `json:"branches"`
	Dead      []string                 `json:"dead"`
}

type labelledCache struct{ Mode, Axis, Old, New, Query string }

type labelledRun struct {
	Bind  plan.Bindings `json:"bind"`
	Phase string        `json:"phase"`
}

// progNode is a tensor of a labelled program before capture. Mutations work on
// these.
type progNode struct {
	kind    string // op, input, weight, const
	dtype   plan.DType
	shape   plan.Shape // leaves
	value   float32    // constants
	op      string
	attrs   plan.Attrs
	in      []*progNode
	name    string // empty for an inserted node
	tags    []string
	of      *progNode // what an inserted node views
	deadend bool
	spec    plan.Spec // known once captured
}

type progGraph struct {
	nodes   []*progNode // in topological order
	outputs []*progNode
	carries [][2]*progNode
	sizes   map[string]plan.Dim
}

func loadGraphs(t testing.TB) map[string]*graphFile {
	t.Helper()
	paths, err := filepath.Glob("../testdata/graphs/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	out := map[string]*graphFile{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		require.NoError(t, err)
		f := &graphFile{}
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(f), p)
		out[strings.TrimSuffix(filepath.Base(p), ".json")] = f
	}
	return out
}

// program reads a file's program with some of its sizes replaced.
func (f *graphFile) build(sizes map[string]int) (*progGraph, error) {
	r := &programReader{env: map[string]*progNode{}, p: &progGraph{sizes: map[string]plan.Dim{}}}
	for k, v := range f.Params {
		d, err := plan.ParseDim(v)
		if err != nil {
			return nil, err
		}
		if n, ok := sizes[k]; ok {
			d = plan.C(n)
		}
		r.p.sizes[k] = d
	}
	for range f.Params { // sizes may be defined by others
		for k, d := range r.p.sizes {
			r.p.sizes[k] = d.Subst(r.p.sizes)
		}
	}
	return r.p, r.block(f.Program, nil)
}

type programReader struct {
	env map[string]*progNode
	p   *progGraph
}

func (r *programReader) block(lines []json.RawMessage, tags []string) error {
	for _, raw := range lines {
		var line string
		if json.Unmarshal(raw, &line) == nil {
			if err := r.line(line, tags); err != nil {
				return fmt.Errorf("%q: %w", line, err)
			}
			continue
		}
		var b struct {
			Repeat, Tag string
			Do          []json.RawMessage
		}
		if err := json.Unmarshal(raw, &b); err != nil {
			return err
		}
		times := 1
		if b.Repeat != "" {
			d, err := r.dim(b.Repeat)
			if err != nil {
				return err
			}
			times, _ = d.Const()
		}
		inner := tags
		if b.Tag != "" {
			inner = append(append([]string(nil), tags...), b.Tag)
		}
		for range times {
			if err := r.block(b.Do, inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// line reads one statement:
//
//	NAME = input DTYPE [DIMS]
//	NAME = weight [DIMS]
//	NAME = const [DIMS] VALUE
//	NAME = OPERATOR NAME... KEY=VALUE...
//	output NAME
//	carry INPUT NAME
func (r *programReader) line(s string, tags []string) error {
	w := fields(s)
	get := func(name string) (*progNode, error) {
		n := r.env[name]
		if n == nil {
			return nil, fmt.Errorf("no tensor %q", name)
		}
		return n, nil
	}
	switch w[0] {
	case "output":
		n, err := get(w[1])
		r.p.outputs = append(r.p.outputs, n)
		return err
	case "carry":
		in, err := get(w[1])
		if err != nil {
			return err
		}
		out, err := get(w[2])
		r.p.carries = append(r.p.carries, [2]*progNode{in, out})
		return err
	}
	if len(w) < 3 || w[1] != "=" {
		return errors.New("no statement")
	}
	n := &progNode{kind: "op", op: w[2], name: w[0], tags: tags}
	var err error
	switch w[2] {
	case "input":
		n.kind = "input"
		if n.dtype, err = plan.ParseDType(w[3]); err == nil {
			n.shape, err = r.dims(w[4])
		}
	case "weight":
		n.kind, n.dtype = "weight", plan.F32
		n.shape, err = r.dims(w[3])
	case "const":
		n.kind, n.dtype = "const", plan.F32
		v, _ := strconv.ParseFloat(w[4], 32)
		n.value = float32(v)
		n.shape, err = r.dims(w[3])
	default:
		err = r.operator(n, w[3:], get)
	}
	r.env[w[0]] = n
	r.p.nodes = append(r.p.nodes, n)
	return err
}

func (r *programReader) operator(n *progNode, args []string, get func(string) (*progNode, error)) error {
	values := map[string]string{}
	maps.Copy(values, defaults[n.op])
	for _, a := range args {
		if k, v, ok := strings.Cut(a, "="); ok {
			values[k] = v
			continue
		}
		in, err := get(a)
		if err != nil {
			return err
		}
		n.in = append(n.in, in)
	}
	for _, k := range attrOrder {
		v, ok := values[k]
		if !ok {
			continue
		}
		a, err := r.attr(k, v)
		if err != nil {
			return err
		}
		n.attrs = append(n.attrs, a)
	}
	return nil
}

var defaults = map[string]map[string]string{
	"matmul":      {"trans_a": "0", "trans_b": "0"},
	"causal_mask": {"window": "0"},
	"conv2d":      {"stride": "[1,1]", "pad": "[0,0]", "dilation": "[1,1]", "groups": "1"},
	"max_pool2d":  {"stride": "[2,2]", "pad": "[0,0]", "kernel": "[2,2]"},
	"layer_norm":  {"eps": "1e-5"},
	"batch_norm":  {"eps": "1e-5"},
	"reduce":      {"keep": "0"},
	"gelu":        {"tanh": "1"},
	"softmax":     {"axis": "-1"},
	"topk":        {"indices": "0"},
}

// attrOrder lists the attribute keys in order, which is how plans have them.
var attrOrder = []string{"axes", "axis", "dilation", "eps", "groups", "indices", "k", "keep", "kernel", "kind", "pad", "perm", "shape", "start", "stop", "stride", "tanh", "to", "trans_a", "trans_b", "window"}

func (r *programReader) attr(k, v string) (plan.Attr, error) {
	switch k {
	case "eps":
		f, err := strconv.ParseFloat(v, 64)
		return plan.Float(k, f), err
	case "kind":
		return plan.Str(k, v), nil
	case "to":
		d, err := plan.ParseDType(v)
		return plan.Int(k, int(d)), err
	case "shape":
		s, err := r.dims(v)
		return plan.Dims(k, s...), err
	case "start", "stop":
		d, err := r.dim(v)
		return plan.Dims(k, d), err
	case "axes", "dilation", "kernel", "pad", "perm", "stride":
		s, err := r.dims(v)
		ints := make([]int, len(s))
		for i, d := range s {
			ints[i], _ = d.Const()
		}
		return plan.Ints(k, ints), err
	}
	d, err := r.dim(v)
	n, _ := d.Const()
	return plan.Int(k, n), err
}

func (r *programReader) dim(s string) (plan.Dim, error) {
	d, err := plan.ParseDim(s)
	return d.Subst(r.p.sizes), err
}

func (r *programReader) dims(s string) (plan.Shape, error) {
	s = strings.Trim(s, "[]")
	shape := plan.Shape{}
	if s == "" {
		return shape, nil
	}
	for f := range strings.SplitSeq(s, ",") {
		d, err := r.dim(f)
		if err != nil {
			return nil, err
		}
		shape = append(shape, d)
	}
	return shape, nil
}

// fields splits at spaces; spaces after commas do not count.
func fields(s string) []string {
	return strings.Fields(strings.ReplaceAll(s, ", ", ","))
}
