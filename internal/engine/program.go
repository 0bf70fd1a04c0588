package engine

import (
	"container/list"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// Program is a compiled plan with the kernels that compute its groups and the
// forms of its weights. It is immutable, but for what is said below, and shared
// by sessions.
type Program struct {
	*program.Program

	hash    plan.Hash
	kernels []kernel // by group
	// By group: the kernels of its pointwise operators.
	elements [][]elementwise
	layout   map[int]packing // by weight value
	keys     []WeightKey     // of the weights, each once
	keyOf    []int           // by key: a value that has it
	// By content of weights: the keys, few, see maxForms.
	keysOf    map[plan.Hash][]int
	filtersIn map[int]int // by value: the first convolution that has it for filters
	padded    []int       // groups whose kernels may need a pad, see [Program.pads]

	together *together     // how calls run together, nil where they do not; it alone changes
	size     int64         // bytes, see [Program.measure]
	bound    int64         // bytes of a binding
	drawn    []int         // groups that draw from rows of logits
	users    int           // under the engine's lock: sessions that use it
	counted  bool          // under the engine's lock: it is in the account
	idle     *list.Element // under the engine's lock: in the list of programs that nobody uses
}

// Hash is the content hash of the plan.
func (p *Program) Hash() plan.Hash { return p.hash }

// Size is the memory of the program on the Go heap, in bytes.
func (p *Program) Size() int64 { return p.size }

// compile makes a program of a valid plan.
func compile(p *plan.Plan, opts Options, w *op.Work) (*Program, error) {
	c, err := program.Compile(p, program.Options{
		Separate: opts.separate, Plain: opts.plain, Branches: opts.Branches,
		Convolution: hasConvolution, Pointwise: hasPointwise,
	}, w)
	if err != nil {
		return nil, err
	}
	prog := &Program{Program: c, layout: map[int]packing{}}
	passes := []func(){
		func() { prog.findKernels(opts) },
		prog.packings,
		func() { prog.together = newTogether(prog, opts) },
		prog.listKeys, prog.pads,
	}
	for _, pass := range passes { // each is linear in the plan
		if err := w.Spend(len(p.Values) + len(p.Steps)); err != nil {
			return nil, err
		}
		pass()
	}
	return prog, nil
}

// findKernels chooses what computes each group.
func (p *Program) findKernels(opts Options) {
	p.filtersIn = map[int]int{}
	for i := range p.Groups {
		g := &p.Groups[i]
		k := kernelFor(g, p.Res.Ops)
		if opts.plain {
			k = runReference
		}
		p.kernels = append(p.kernels, k)
		p.elements = append(p.elements, elementsOf(g, p.Res.Ops))
		if _, ok := p.filtersIn[g.Conv.Filters]; g.Kind == program.Convolve && !ok {
			p.filtersIn[g.Conv.Filters] = i
		}
	}
}

// listKeys lists the weights.
func (p *Program) listKeys() {
	seen := make(map[WeightKey]bool, len(p.layout))
	p.keysOf = make(map[plan.Hash][]int, len(p.layout))
	for v := range p.Plan().Values {
		l, ok := p.layout[v]
		if !ok {
			continue
		}
		if k := (WeightKey{p.Plan().Values[v].Hash, l}); !seen[k] {
			seen[k] = true
			p.keysOf[k.hash] = append(p.keysOf[k.hash], len(p.keys))
			p.keys, p.keyOf = append(p.keys, k), append(p.keyOf, v)
		}
	}
}
