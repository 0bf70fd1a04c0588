package engine

import (
	"container/list"
	"encoding/binary"
	"fmt"

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
	// By content of weights: the keys, few, see maxForms.
	keysOf    map[plan.Hash][]int
	filtersIn map[int]int // by value: the first convolution that has it for filters
	retains   bool        // outputs may need memory of their own
	padded    []int       // groups whose kernels may need a pad, see [Program.pads]

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
	size     int64         // bytes, see [Program.measure]
	bound    int64         // bytes of a binding
	drawn    []int         // groups that draw from rows of logits
	users    int           // under the engine's lock: sessions that use it
	counted  bool          // under the engine's lock: it is in the account
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

// Size is the memory of the program on the Go heap, in bytes.
func (p *Program) Size() int64 { return p.size }

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
	sym   uint16
}

type monomial struct {
	coeff int64
	syms  []uint16
}

const maxSymbols = 64

// compile makes a program of a valid plan.
func compile(p *plan.Plan, opts Options, w *op.Work) (*Program, error) {
	res, err := resolve(p, opts, w)
	if err != nil {
		return nil, err
	}
	prog := &Program{plan: p, res: res, symbols: p.Symbols(), layout: map[int]packing{}}
	all := append([]string(nil), prog.symbols...)
	for i := range p.States {
		all = append(all, op.CapSymbol(i))
	}
	// The capacities share one bit of the mask.
	if len(prog.symbols) > maxSymbols-1 {
		return nil, fmt.Errorf("%w: %d symbols, the limit of an executor is %d", plan.ErrInvalid, len(prog.symbols), maxSymbols-1)
	}
	index := make(map[string]uint16, len(all))
	for i, s := range all {
		index[s] = uint16(i)
	}
	for _, st := range p.States {
		prog.stateTypes = append(prog.stateTypes, p.Values[st.In].Spec.DType)
	}
	passes := []func(){
		func() { prog.groups = fuse(p, res, opts) },
		func() {
			if opts.Branches {
				prog.branches()
			}
		},
		func() { prog.findKernels(opts) },
		func() { prog.classify(index) },
		func() { prog.conditions(index) },
		prog.share, prog.dependencies, prog.packings,
		func() { prog.together = newTogether(prog, opts) },
		prog.listKeys, prog.pads,
	}
	for _, pass := range passes { // each is linear in the plan
		if err := w.Spend(len(p.Values) + len(p.Steps)); err != nil {
			return nil, err
		}
		pass()
	}
	for _, o := range p.Outputs {
		copied := res.Base[o.Value] != o.Value || !res.Layouts[o.Value].Dense
		prog.retains = prog.retains || copied || o.Place == plan.Retain
	}
	return prog, nil
}

// resolve checks operators, shapes and buffers, and lays out the values.
func resolve(p *plan.Plan, opts Options, w *op.Work) (*op.Resolved, error) {
	res, err := op.ResolveLayouts(p, w, op.RowMajor)
	if err != nil {
		return nil, err
	}
	if err := res.CheckBuffers(); err != nil || opts.plain {
		return res, err
	}
	return op.ResolveLayouts(p, w, chooseLayout)
}

// findKernels chooses what computes each group.
func (p *Program) findKernels(opts Options) {
	p.filtersIn = map[int]int{}
	for i := range p.groups {
		g := &p.groups[i]
		k := kernelFor(g, p.res.Ops)
		if opts.plain {
			k = runReference
		}
		p.kernels = append(p.kernels, k)
		p.labels = append(p.labels, g.label(p.plan, p.res))
		if _, ok := p.filtersIn[g.conv.filters]; g.kind == convolve && !ok {
			p.filtersIn[g.conv.filters] = i
		}
	}
}

// listKeys lists the weights.
func (p *Program) listKeys() {
	seen := make(map[WeightKey]bool, len(p.layout))
	p.keysOf = make(map[plan.Hash][]int, len(p.layout))
	for v := range p.plan.Values {
		l, ok := p.layout[v]
		if !ok {
			continue
		}
		if k := (WeightKey{p.plan.Values[v].Hash, l}); !seen[k] {
			seen[k] = true
			p.keysOf[k.hash] = append(p.keysOf[k.hash], len(p.keys))
			p.keys, p.keyOf = append(p.keys, k), append(p.keyOf, v)
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
func (p *Program) classify(index map[string]uint16) {
	known := map[string]int32{}
	var key []byte
	class := func(dims plan.Shape) int32 {
		key = key[:0]
		for _, d := range dims {
			key = appendDim(key, d, index)
		}
		c, ok := known[string(key)]
		if !ok {
			c = int32(len(p.classes))
			known[string(key)] = c
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

// appendDim appends what no other dimension has: it is shorter than the text.
func appendDim(b []byte, d plan.Dim, index map[string]uint16) []byte {
	b = binary.AppendUvarint(b, uint64(d.NumTerms()))
	d.Terms(func(coeff int64, syms []string) {
		b = append(binary.AppendVarint(b, coeff), byte(len(syms)))
		for _, s := range syms {
			b = binary.AppendUvarint(b, uint64(index[s]))
		}
	})
	return b
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

func (p *Program) poly(d plan.Dim, index map[string]uint16, mask *uint64) poly {
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
