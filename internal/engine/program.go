package engine

import (
	"container/list"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Program is a compiled plan: operators made, layouts resolved, dimensions
// turned into code over the numbers of symbols. It is immutable and shared by
// sessions.
type Program struct {
	plan    *plan.Plan
	hash    plan.Hash
	res     *op.Resolved
	symbols []string
	groups  []group         // what runs, in order
	kernels []kernel        // by group
	labels  []string        // by group, for profiles
	lanes   []span          // ranges of groups that may run at one time
	buffers int             // scratch buffers, shared by liveness of the groups
	layout  map[int]packing // by weight value
	keys    []WeightKey     // of the weights, each once
	keyOf   []int           // by key: a value that has it
	retains bool            // outputs may need memory of their own
	padded  []int           // groups whose kernels may need a pad, see [Program.pads]

	// Equal lists of dimensions, be they shapes, strides or offsets, are one
	// class: what is computed when a size changes is a handful of classes,
	// however many layers a model has.
	classes []class
	places  []place // by value
	order   []int   // all values, bases before their views
	views   []int   // values in the memory of another
	ofInput []int   // values in the memory of inputs
	ofState []int   // values in the memory of states
	roots   []int   // values with scratch memory of their own
	// By symbol, the last being that of all capacities: the scratch roots and
	// views that depend on it.
	rootsOf, viewsOf [][]int

	stateTypes []plan.DType // element types of the states

	together *together     // how calls run together, nil where they do not; it alone changes
	users    int           // under the engine's lock: sessions that use it
	idle     *list.Element // under the engine's lock: in the list of programs that nobody uses
}

// class is a list of dimensions, compiled.
type class struct {
	dims []poly
	mask uint64     // symbols that they depend on
	size bool       // it is the shape of some value, so its product must be in range
	text plan.Shape // for error texts
	why  string     // of dimensions that are conditions: what does not hold where one is negative
}

// Plan is the plan as it was compiled.
func (p *Program) Plan() *plan.Plan { return p.plan }

// Hash is the content hash of the plan.
func (p *Program) Hash() plan.Hash { return p.hash }

// Symbols lists the symbols in the order of a call's bindings.
func (p *Program) Symbols() []string { return p.symbols }

// place is where a value's memory comes from, small enough that a pass over
// many values touches little memory.
type place struct {
	base                   int32 // the value whose memory it lies in, itself for a root
	shape, strides, offset int32 // classes
	buffer, state          int32
	kind                   plan.Kind
	size                   uint8 // of an element
}

// poly is a compiled plan.Dim. Its first term of one symbol is inline, since
// most dimensions have no other.
type poly struct {
	c     int64
	coeff int64 // of the symbol sym; 0 for none
	terms []monomial
	sym   uint8
}

type monomial struct {
	coeff int64
	syms  []uint8
}

const maxSymbols = 64

func compile(p *plan.Plan, opts Options) (*Program, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	res, err := op.Resolve(p)
	if err != nil {
		return nil, err
	}
	if err := res.CheckBuffers(); err != nil {
		return nil, err
	}
	if !opts.plain {
		if res, err = op.ResolveLayouts(p, chooseLayout); err != nil {
			return nil, err
		}
	}
	prog := &Program{plan: p, res: res, symbols: p.Symbols(), layout: map[int]packing{}}
	all := append([]string(nil), prog.symbols...)
	for i := range p.States {
		all = append(all, op.CapSymbol(i))
	}
	// The capacities share one bit of the mask.
	if len(prog.symbols) > maxSymbols-1 || len(all) > 255 {
		return nil, fmt.Errorf("%w: %d symbols and %d states", plan.ErrInvalid, len(prog.symbols), len(p.States))
	}
	index := make(map[string]uint8, len(all))
	for i, s := range all {
		index[s] = uint8(i)
	}
	for _, st := range p.States {
		prog.stateTypes = append(prog.stateTypes, p.Values[st.In].Spec.DType)
	}
	prog.groups = fuse(p, res, opts)
	if opts.Branches {
		prog.branches()
	}
	for i := range prog.groups {
		k := kernelFor(&prog.groups[i], res.Ops)
		if opts.plain {
			k = runReference
		}
		prog.kernels = append(prog.kernels, k)
		prog.labels = append(prog.labels, prog.groups[i].label(p, res))
	}
	prog.classify(index)
	prog.conditions(index)
	prog.share()
	prog.dependencies()
	prog.packings()
	prog.together = newTogether(prog, opts)
	prog.listKeys()
	for _, o := range p.Outputs {
		copied := res.Base[o.Value] != o.Value || !res.Layouts[o.Value].Dense
		prog.retains = prog.retains || copied || o.Place == plan.Keep
	}
	prog.pads()
	return prog, nil
}

// listKeys lists the weights.
func (p *Program) listKeys() {
	for v := range p.plan.Values {
		if l, ok := p.layout[v]; ok {
			if k := (WeightKey{p.plan.Values[v].Hash, l}); !slices.Contains(p.keys, k) {
				p.keys, p.keyOf = append(p.keys, k), append(p.keyOf, v)
			}
		}
	}
}

// share gives the values that groups write their scratch buffers. The plan's
// own assignment holds for its steps one by one, not for groups of them.
func (p *Program) share() {
	def, last := make([]int, len(p.places)), make([]int, len(p.places))
	for v := range def {
		def[v] = -1
	}
	for g := range p.groups {
		k := &p.groups[g]
		def[p.res.Base[k.out]] = g
		last[p.res.Base[k.out]] = g
		for _, i := range k.steps {
			for _, v := range p.plan.Steps[i].In {
				last[p.res.Base[v]] = g
			}
		}
	}
	for _, o := range p.plan.Outputs {
		last[p.res.Base[o.Value]] = len(p.groups)
	}
	for _, s := range p.plan.States {
		last[p.res.Base[s.Out]] = len(p.groups)
	}
	var lives []op.Lifetime
	for v := range p.places {
		p.places[v].buffer = plan.NoBuffer
		if p.res.InScratch(v) && def[v] >= 0 {
			lives = append(lives, op.Lifetime{Value: v, Def: def[v], Last: last[v]})
		}
	}
	buffers, n := p.assign(lives)
	for i, l := range lives {
		p.places[l.Value].buffer = int32(buffers[i])
	}
	p.buffers = n
}

// stored reports whether a value has memory: the values inside a group have
// none.
func (p *Program) stored(v int) bool {
	base := int(p.places[v].base)
	return !p.res.InScratch(base) || p.places[base].buffer != plan.NoBuffer
}

// classify finds the distinct shapes, strides and offsets.
func (p *Program) classify(index map[string]uint8) {
	known := map[string]int32{}
	class := func(dims plan.Shape) int32 {
		key := dims.String()
		c, ok := known[key]
		if !ok {
			c = int32(len(p.classes))
			known[key] = c
			k := class{text: dims}
			for _, d := range dims {
				k.dims = append(k.dims, p.poly(d, index, &k.mask))
			}
			p.classes = append(p.classes, k)
		}
		return c
	}
	p.places = make([]place, len(p.plan.Values))
	for v, x := range p.plan.Values {
		l := p.res.Layouts[v]
		p.places[v] = place{
			base: int32(p.res.Base[v]), state: int32(p.res.State[v]),
			shape: class(x.Spec.Shape), strides: class(l.Strides), offset: class(plan.Shape{l.Offset}),
			kind: x.Kind, size: uint8(x.Spec.DType.Size()),
		}
		p.classes[p.places[v].shape].size = true
	}
}

// mask is the symbols that a value's place depends on.
func (p *Program) mask(v int) uint64 {
	x := &p.places[v]
	return p.classes[x.shape].mask | p.classes[x.strides].mask | p.classes[x.offset].mask
}

// dependencies fills the lists of what changes with what.
func (p *Program) dependencies() {
	p.rootsOf = make([][]int, len(p.symbols)+1)
	p.viewsOf = make([][]int, len(p.symbols)+1)
	for _, views := range []bool{false, true} {
		for v := range p.places {
			base := int(p.places[v].base)
			if (base != v) != views || !p.stored(v) {
				continue
			}
			p.order = append(p.order, v)
			if views {
				p.views = append(p.views, v)
				p.note(p.viewsOf, p.mask(v)|p.mask(base), v)
			}
			if p.places[base].kind == plan.KindInput {
				p.ofInput = append(p.ofInput, v)
			}
			if p.places[base].state >= 0 {
				p.ofState = append(p.ofState, v)
			}
			if p.res.InScratch(v) {
				p.roots = append(p.roots, v)
				p.note(p.rootsOf, p.mask(v), v)
			}
		}
	}
}

// note adds v to the list of every symbol in mask.
func (p *Program) note(lists [][]int, mask uint64, v int) {
	for i := range lists {
		if mask>>i&1 != 0 {
			lists[i] = append(lists[i], v)
		}
	}
}

func (p *Program) poly(d plan.Dim, index map[string]uint8, mask *uint64) poly {
	var r poly
	d.Terms(func(coeff int64, syms []string) {
		if len(syms) == 0 {
			r.c = coeff
			return
		}
		m := monomial{coeff: coeff}
		for _, s := range syms {
			i := index[s]
			m.syms = append(m.syms, i)
			*mask |= 1 << min(int(i), len(p.symbols))
		}
		if len(m.syms) == 1 && r.coeff == 0 {
			r.coeff, r.sym = coeff, m.syms[0]
			return
		}
		r.terms = append(r.terms, m)
	})
	return r
}

// eval is the value of d; false when it is negative or too large.
func (d *poly) eval(sizes []int64) (int, bool) {
	sum := d.c
	if d.coeff != 0 {
		v, ok := plan.MulChecked(d.coeff, sizes[d.sym])
		if sum += v; !ok || sum > plan.MaxDimSize || sum < -plan.MaxDimSize {
			return 0, false
		}
	}
	for i := range d.terms {
		t := &d.terms[i]
		v := t.coeff
		for _, s := range t.syms {
			var ok bool
			if v, ok = plan.MulChecked(v, sizes[s]); !ok {
				return 0, false
			}
		}
		if sum += v; sum > plan.MaxDimSize || sum < -plan.MaxDimSize {
			return 0, false
		}
	}
	return int(sum), sum >= 0 && sum <= plan.MaxDimSize
}
