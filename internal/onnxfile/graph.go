package onnxfile

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// model reads a ModelProto.
func (d *decoder) model(b []byte) (*Model, error) {
	m := &Model{opsetsByDomain: map[string]int64{}, functionsByIdent: map[FunctionID]*Function{}}
	err := d.fields(b, "model", func(v field) error {
		switch v.num {
		case 1:
			return d.integer(v, "model", &m.IRVersion)
		case 2:
			return d.name(v, "producer", &m.Producer)
		case 3:
			return d.name(v, "producer version", &m.ProducerVersion)
		case 7:
			if m.Graph != nil {
				return malformed("two graphs")
			}
			g, err := d.graph(v, 0)
			m.Graph = g
			return err
		case 8:
			return d.opset(v, &m.Opsets)
		case 20:
			m.HasTraining = true
		case 25:
			f, err := d.function(v)
			if err != nil {
				return err
			}
			m.Functions = append(m.Functions, f)
			if m.functionsByIdent[f.ID] != nil {
				return malformed("two functions %q of domain %q", f.ID.Name, f.ID.Domain)
			}
			m.functionsByIdent[f.ID] = f
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case m.Graph == nil:
		return nil, malformed("no graph: this is no ONNX model")
	case len(m.Opsets) == 0:
		m.Opsets = []Opset{{"", 1}} // as the format says of files before it had versions
	}
	for _, o := range m.Opsets {
		m.opsetsByDomain[o.Domain] = max(o.Version, m.opsetsByDomain[o.Domain])
	}
	m.DefaultOpset = m.opsetsByDomain[""]
	return m, nil
}

func (d *decoder) opset(v field, to *[]Opset) error {
	if err := d.message(v, "operator set"); err != nil {
		return err
	}
	var o Opset
	err := d.fields(v.bytes, "operator set", func(v field) error {
		switch v.num {
		case 1:
			return d.name(v, "domain", &o.Domain)
		case 2:
			return d.integer(v, "operator set", &o.Version)
		}
		return nil
	})
	o.Domain = domainName(o.Domain)
	*to = append(*to, o)
	return err
}

func (d *decoder) graph(v field, depth int) (*Graph, error) {
	if err := d.message(v, "graph"); err != nil {
		return nil, err
	}
	if depth > MaxDepth {
		return nil, malformed("graphs nested more than %d deep", MaxDepth)
	}
	g := &Graph{}
	return g, d.fields(v.bytes, "graph", func(v field) error {
		switch v.num {
		case 1:
			n, err := d.node(v, depth)
			g.Nodes = append(g.Nodes, n)
			return err
		case 2:
			return d.name(v, "graph", &g.Name)
		case 5:
			t, err := d.tensor(v)
			g.Initializers = append(g.Initializers, t)
			return err
		case 11:
			return d.valueInfo(v, &g.Inputs)
		case 12:
			return d.valueInfo(v, &g.Outputs)
		case 13:
			return d.valueInfo(v, &g.Values)
		case 15:
			g.Sparse++
			return d.count(1)
		}
		return nil
	})
}

func (d *decoder) node(v field, depth int) (*Node, error) {
	if err := d.message(v, "node"); err != nil {
		return nil, err
	}
	n := &Node{}
	err := d.fields(v.bytes, "node", func(v field) error {
		switch v.num {
		case 1:
			return d.names(v, "node", &n.Inputs)
		case 2:
			return d.names(v, "node", &n.Outputs)
		case 3:
			return d.name(v, "node", &n.Name)
		case 4:
			return d.name(v, "operator", &n.OpType)
		case 5:
			a, err := d.attr(v, depth)
			n.Attrs = append(n.Attrs, a)
			return err
		case 7:
			return d.name(v, "domain", &n.Domain)
		case 8:
			return d.name(v, "overload", &n.Overload)
		}
		return nil
	})
	n.Domain = domainName(n.Domain)
	return n, err
}

func (d *decoder) attr(v field, depth int) (*Attr, error) {
	if err := d.message(v, "attribute"); err != nil {
		return nil, err
	}
	a := &Attr{}
	return a, d.fields(v.bytes, "attribute", func(v field) error { return d.attrField(a, v, depth) })
}

func (d *decoder) attrField(a *Attr, v field, depth int) error {
	const what = "attribute"
	switch v.num {
	case 1:
		return d.name(v, what, &a.Name)
	case 2:
		if v.typ != protowire.Fixed32Type {
			return malformed("attribute %q is no float", a.Name)
		}
		a.F = math.Float32frombits(uint32(v.n))
	case 3:
		return d.integer(v, what, &a.I)
	case 4:
		return d.content(v, &a.S)
	case 5:
		t, err := d.tensor(v)
		a.T = t
		return err
	case 6:
		g, err := d.graph(v, depth+1)
		a.G = g
		return err
	case 7:
		return d.floats(v, what, &a.Floats)
	case 8:
		return d.integers(v, what, &a.Ints)
	case 9:
		var s string
		err := d.content(v, &s)
		a.Strings = append(a.Strings, s)
		return err
	case 10:
		t, err := d.tensor(v)
		a.Tensors = append(a.Tensors, t)
		return err
	case 11:
		g, err := d.graph(v, depth+1)
		a.Graphs = append(a.Graphs, g)
		return err
	case 20:
		var t int64
		err := d.integer(v, what, &t)
		a.Type = AttrType(t)
		return err
	case 21:
		return d.name(v, what, &a.Ref)
	}
	return nil
}

// content copies the bytes of an attribute, which need not be text.
func (d *decoder) content(v field, to *string) error {
	if v.typ != protowire.BytesType {
		return malformed("attribute: field %d is no string", v.num)
	}
	if d.text -= len(v.bytes); d.text < 0 {
		return malformed("more than %d bytes of names", MaxTextBytes)
	}
	*to = string(v.bytes)
	return d.count(1)
}

func (d *decoder) function(v field) (*Function, error) {
	if err := d.message(v, "function"); err != nil {
		return nil, err
	}
	const what = "function"
	f := &Function{}
	err := d.fields(v.bytes, what, func(v field) error {
		switch v.num {
		case 1:
			return d.name(v, what, &f.ID.Name)
		case 4:
			return d.names(v, what, &f.Inputs)
		case 5:
			return d.names(v, what, &f.Outputs)
		case 6:
			return d.names(v, what, &f.Attrs)
		case 7:
			n, err := d.node(v, 0)
			f.Nodes = append(f.Nodes, n)
			return err
		case 9:
			return d.opset(v, &f.Opsets)
		case 10:
			return d.name(v, what, &f.ID.Domain)
		case 11:
			a, err := d.attr(v, 0)
			f.Defaults = append(f.Defaults, a)
			return err
		case 13:
			return d.name(v, what, &f.ID.Overload)
		}
		return nil
	})
	f.ID.Domain = domainName(f.ID.Domain)
	return f, err
}
