package onnx

import (
	"fmt"

	"github.com/genie-sdk/go/internal/onnxfile"
)

// attr finds an attribute; in a function it may be one of the call.
func (c *call) attr(name string) *onnxfile.Attr {
	for _, a := range c.n.Attrs {
		if a.Name != name {
			continue
		}
		if a.Ref != "" {
			return c.s.attrs[a.Ref]
		}
		return a
	}
	return nil
}

// typed is an attribute of a type; files before version 2 of the format leave the
// type out.
func (c *call) typed(name string, t onnxfile.AttrType) *onnxfile.Attr {
	a := c.attr(name)
	if a != nil && a.Type != t && a.Type != 0 {
		c.fail(fmt.Errorf("%w: attribute %q is of type %d, not %d", ErrMalformed, name, a.Type, t))
		return nil
	}
	return a
}

func (c *call) hasAttr(name string) bool { return c.attr(name) != nil }

func (c *call) attrInt(name string, def int) int {
	if a := c.typed(name, onnxfile.AttrInt); a != nil {
		return int(a.I)
	}
	return def
}

func (c *call) attrBool(name string, def bool) bool {
	d := 0
	if def {
		d = 1
	}
	return c.attrInt(name, d) != 0
}

func (c *call) attrFloat(name string, def float64) float64 {
	if a := c.typed(name, onnxfile.AttrFloat); a != nil {
		return float64(a.F)
	}
	return def
}

func (c *call) attrString(name, def string) string {
	if a := c.typed(name, onnxfile.AttrString); a != nil {
		return a.S
	}
	return def
}

// attrInts is a list, nil if there is none.
func (c *call) attrInts(name string) []int {
	a := c.typed(name, onnxfile.AttrInts)
	if a == nil {
		return nil
	}
	out := make([]int, len(a.Ints))
	for i, n := range a.Ints {
		out[i] = int(n)
	}
	return out
}

func (c *call) attrFloats(name string) []float64 {
	a := c.typed(name, onnxfile.AttrFloats)
	if a == nil {
		return nil
	}
	out := make([]float64, len(a.Floats))
	for i, f := range a.Floats {
		out[i] = float64(f)
	}
	return out
}

func (c *call) attrStrings(name string) []string {
	if a := c.typed(name, onnxfile.AttrStrings); a != nil {
		return a.Strings
	}
	return nil
}

func (c *call) attrGraph(name string) *onnxfile.Graph {
	a := c.typed(name, onnxfile.AttrGraph)
	if a == nil || a.G == nil {
		c.fail(fmt.Errorf("%w: graph %q is missing", ErrMalformed, name))
		return nil
	}
	return a.G
}

// listOf is a list that is an attribute in old operator sets, and the second input in
// others; ok is false if there is neither.
func (c *call) listOf(attr string) (list []int, ok bool) {
	if c.hasAttr(attr) {
		return c.attrInts(attr), true
	}
	if c.has(1) {
		return c.ints(1), true
	}
	return nil, false
}
