package spellings

import (
	"fmt"
	"maps"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Args is where a spelling is used.
type Args struct {
	// Name begins the names of the inputs, weights and states that the spelling
	// makes. Two uses in one graph have two names.
	Name string
	// Values are inputs of the concept that exist, by name. The others are made,
	// if the spelling uses them.
	Values map[string]*lazy.Tensor
	// Dims are sizes; what neither they nor the shapes of Values say is the
	// concept's default: a size, or a symbol of the dimension's name.
	Dims map[string]plan.Dim
	// Params overrule the defaults of the concept's parameters.
	Params map[string]float64
	// Weight is the content of a weight input that is made: ones if it is nil.
	Weight func(name string, shape []int) []float32
}

// Built is what a spelling became.
type Built struct {
	Out    map[string]*lazy.Tensor // by the concept's names
	Made   map[string]*lazy.Tensor // inputs and weights of the concept that were made
	States []lazy.Carried          // in the order of the spelling; they are declared
}

// Build writes a spelling into a graph.
func (c *Concept) Build(s *Spelling, g *lazy.Graph, a Args) (*Built, error) {
	b := &builder{
		c: c, g: g, a: a, dims: map[string]plan.Dim{}, numbers: map[string]float64{}, values: map[string]*lazy.Tensor{},
		built: &Built{Out: map[string]*lazy.Tensor{}, Made: map[string]*lazy.Tensor{}},
	}
	if err := b.begin(); err != nil {
		return nil, fmt.Errorf("%s, %s: %w", c.Name, s.Name, err)
	}
	for _, st := range s.body {
		if err := b.statement(st); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", c.Name, s.Name, err)
		}
	}
	for _, o := range c.Outputs {
		t := b.values[o]
		if t == nil {
			return nil, fmt.Errorf("%s, %s: the output %s is not assigned", c.Name, s.Name, o)
		}
		b.built.Out[o] = t
	}
	return b.built, nil
}

// Program is a graph of its own with a spelling, whose outputs it declares.
func (c *Concept) Program(s *Spelling, a Args) (*lazy.Graph, *Built, error) {
	g := lazy.NewGraph(c.Name + "." + s.Name)
	built, err := c.Build(s, g, a)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range c.Outputs {
		g.Output(o, built.Out[o])
	}
	return g, built, g.Err()
}

// Leaf makes an input or a weight of a concept in a graph.
func (c *Concept) Leaf(name string, g *lazy.Graph) (*lazy.Tensor, error) {
	b := &builder{c: c, g: g, dims: map[string]plan.Dim{}, numbers: map[string]float64{}, built: &Built{}}
	if err := b.begin(); err != nil {
		return nil, err
	}
	for _, in := range c.Inputs {
		if in.Name == name {
			return b.leaf(in)
		}
	}
	return nil, fmt.Errorf("%s has no input %s", c.Name, name)
}

type builder struct {
	c *Concept
	g *lazy.Graph
	a Args

	dims    map[string]plan.Dim
	numbers map[string]float64 // parameters, and dimensions with a size
	values  map[string]*lazy.Tensor
	made    int // tables that became weights
	built   *Built
}

// begin finds the sizes and the parameters.
func (b *builder) begin() error {
	for _, in := range b.c.Inputs {
		t := b.a.Values[in.Name]
		if t == nil {
			continue
		}
		if len(t.Shape()) != len(in.shape) || t.DType() != in.DType {
			return fmt.Errorf("%s is %v, want %v of rank %d", in.Name, t.Spec(), in.DType, len(in.shape))
		}
		for i, n := range in.shape {
			if n.kind == name {
				b.dims[n.name] = t.Dim(i)
			}
		}
	}
	for _, d := range b.c.Dims {
		switch _, bound := b.dims[d.Name]; {
		case bound:
		case d.Size > 0:
			b.dims[d.Name] = plan.C(d.Size)
		default:
			b.dims[d.Name] = plan.Sym(d.Name)
		}
	}
	maps.Copy(b.dims, b.a.Dims)
	for _, p := range b.c.Params {
		b.numbers[p.Name] = p.Value
		if v, ok := b.a.Params[p.Name]; ok {
			b.numbers[p.Name] = v
		}
	}
	for k, d := range b.dims {
		if n, ok := d.Const(); ok {
			b.numbers[k] = float64(n)
		}
	}
	return nil
}

func (b *builder) statement(s statement) error {
	switch s.kind {
	case declareState:
		shape, err := b.shape(s.shape)
		if err != nil {
			return err
		}
		t := b.g.Input(b.named(s.names[0]), s.dtype, anys(shape)...)
		if t.Err() != nil {
			return s.at.errorf("%w", t.Err())
		}
		b.values[s.names[0]] = t
		return nil
	case carry:
		in, err := b.lookUp(s.names[0], s.at)
		if err != nil {
			return err
		}
		out, err := b.tensor(s.value)
		if err != nil {
			return err
		}
		if b.g.Carry(in, out); b.g.Err() != nil {
			return s.at.errorf("%w", b.g.Err())
		}
		b.built.States = append(b.built.States, lazy.Carried{In: in, Out: out})
		return nil
	default:
		ts, err := b.results(s.value)
		if err != nil {
			return err
		}
		if len(ts) != len(s.names) {
			return s.at.errorf("%d values for %d names", len(ts), len(s.names))
		}
		for i, n := range s.names {
			b.values[n] = ts[i]
		}
		return nil
	}
}

func (b *builder) named(s string) string {
	if b.a.Name == "" {
		return s
	}
	return b.a.Name + "." + s
}

// lookUp is the value with a name: assigned, given, or an input that is made now.
func (b *builder) lookUp(name string, at pos) (*lazy.Tensor, error) {
	if t := b.values[name]; t != nil {
		return t, nil
	}
	if t := b.a.Values[name]; t != nil {
		b.values[name] = t
		return t, nil
	}
	for _, in := range b.c.Inputs {
		if in.Name != name {
			continue
		}
		t, err := b.leaf(in)
		if err != nil {
			return nil, err
		}
		b.values[name], b.built.Made[name] = t, t
		return t, nil
	}
	return nil, at.errorf("%s is not a value", name)
}

func (b *builder) leaf(in Input) (*lazy.Tensor, error) {
	shape, err := b.shape(in.shape)
	if err != nil {
		return nil, err
	}
	var t *lazy.Tensor
	if in.Weight {
		sizes, err := constants(shape, in.at)
		if err != nil {
			return nil, err
		}
		t = b.g.WeightF32(b.named(in.Name), b.content(in.Name, sizes), sizes...)
	} else {
		t = b.g.Input(b.named(in.Name), in.DType, anys(shape)...)
	}
	if t.Err() != nil {
		return nil, in.at.errorf("%w", t.Err())
	}
	return t, nil
}

func (b *builder) content(name string, shape []int) []float32 {
	if b.a.Weight != nil {
		return b.a.Weight(name, shape)
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

func anys(s plan.Shape) []any {
	out := make([]any, len(s))
	for i, d := range s {
		out[i] = d
	}
	return out
}
