package onnx

import (
	"errors"
	"fmt"

	"github.com/genie-sdk/go/internal/onnxfile"
)

// inline imports the body of a function in place of a call of it.
func (im *importer) inline(c *call, f *onnxfile.Function) ([]*value, error) {
	if c.s.depth == maxCallDepth {
		return nil, fatalError{fmt.Errorf("%w: functions call each other more than %d deep", ErrMalformed, maxCallDepth)}
	}
	if len(c.in) > len(f.Inputs) || len(c.n.Outputs) > len(f.Outputs) {
		return nil, fmt.Errorf("%w: %d inputs and %d outputs of a function of %d and %d", ErrMalformed, len(c.in), len(c.n.Outputs), len(f.Inputs), len(f.Outputs))
	}
	s := &scope{
		values: map[string]*value{}, depth: c.s.depth + 1, path: c.s.below(c.n, ""),
		opsets: opsetsOf(f, c.s.opsets), attrs: map[string]*onnxfile.Attr{},
	}
	for i, name := range f.Inputs {
		if c.has(i) {
			v := *c.in[i]
			s.values[name] = &v
		} else {
			s.values[name] = nil // left out
		}
	}
	for _, a := range f.Defaults {
		s.attrs[a.Name] = a
	}
	for _, a := range c.n.Attrs {
		if a := c.attr(a.Name); a != nil {
			s.attrs[a.Name] = a
		}
	}
	before := len(im.refused)
	if err := im.graph(s, dropMissing(s, f.Nodes)); err != nil {
		return nil, fatalError{err}
	}
	return im.resultsOf(s, f.Outputs, before)
}

// resultsOf are the values of a body's outputs. What it refused is named where it is,
// and the caller's outputs are bad.
func (im *importer) resultsOf(s *scope, names []string, refusedBefore int) ([]*value, error) {
	out := make([]*value, len(names))
	for i, name := range names {
		v := s.find(name)
		if v == nil {
			return nil, fmt.Errorf("%w: nothing computes %.80q", ErrMalformed, name)
		}
		if v.bad && len(im.refused) == refusedBefore {
			return nil, errors.New("one of its inputs was refused")
		}
		out[i] = v
	}
	return out, nil
}

// opsetsOf are the operator sets of a function's body.
func opsetsOf(f *onnxfile.Function, outside func(string) int64) func(string) int64 {
	own := map[string]int64{}
	for _, o := range f.Opsets {
		own[o.Domain] = o.Version
	}
	return func(domain string) int64 {
		if v, ok := own[domain]; ok {
			return v
		}
		return outside(domain)
	}
}

// dropMissing removes the names of a function's inputs that a call leaves out, so
// that its nodes leave them out too.
func dropMissing(s *scope, nodes []*onnxfile.Node) []*onnxfile.Node {
	missing := map[string]bool{}
	for name, v := range s.values {
		if v == nil {
			missing[name] = true
			delete(s.values, name)
		}
	}
	if len(missing) == 0 {
		return nodes
	}
	out := make([]*onnxfile.Node, len(nodes))
	for i, n := range nodes {
		m := *n
		m.Inputs = nil
		for _, in := range n.Inputs {
			if missing[in] {
				in = ""
			}
			m.Inputs = append(m.Inputs, in)
		}
		out[i] = &m
	}
	return out
}
