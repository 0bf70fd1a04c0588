package genie

import (
	"fmt"
	"slices"
	"sync"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// program is what is known of one graph: analysed once, planned once for each
// profile, policy and choice of outputs. Sizes are numbered by symbol, so that
// a step of a loop looks up no names of dimensions.
type program struct {
	graph   *lazy.Graph
	srg     *semantic.SRG
	symbols []string // of the inputs
	inputs  map[string]*inputInfo
	carries []*inputInfo // the carried inputs, by carry
	next    []carriedSize

	used uint64 // under the client's lock: when, by its clock

	mu    sync.Mutex
	plans map[planKey]*scheduled
}

// inputInfo is one input leaf.
type inputInfo struct {
	t     *lazy.Tensor
	dims  []dimInfo
	carry int // index of the carried pair, or -1
}

// dimInfo is one dimension: a symbol by number, or something to evaluate.
type dimInfo struct {
	symbol int // -1 for a constant or an expression
	dim    plan.Dim
}

// carriedSize says that after a run symbol has the size that dim had in it:
// what a carried value's shape does to the next run. Pairs that agree share
// one.
type carriedSize struct {
	symbol int
	dim    plan.Dim
}

func newProgram(g *lazy.Graph, srg *semantic.SRG) *program {
	p := &program{graph: g, srg: srg, inputs: map[string]*inputInfo{}, plans: map[planKey]*scheduled{}}
	for _, t := range g.Inputs() {
		for _, d := range t.Shape() {
			p.symbols = d.Symbols(p.symbols)
		}
	}
	for _, t := range g.Inputs() {
		in := &inputInfo{t: t, carry: -1}
		for _, d := range t.Shape() {
			di := dimInfo{symbol: -1, dim: d}
			if s, ok := d.Symbol(); ok {
				di.symbol = slices.Index(p.symbols, s)
			}
			in.dims = append(in.dims, di)
		}
		p.inputs[t.Name()] = in
	}
	for i, c := range g.Carries() {
		in := p.inputs[c.In.Name()]
		in.carry = i
		p.carries = append(p.carries, in)
		for d, di := range in.dims {
			n := carriedSize{di.symbol, c.Out.Shape()[d]}
			if di.symbol >= 0 && !slices.ContainsFunc(p.next, func(o carriedSize) bool { return o.symbol == n.symbol && o.dim.Equal(n.dim) }) {
				p.next = append(p.next, n)
			}
		}
	}
	return p
}

// planKey says what a plan of one graph was made for. Sizes are no part of it.
type planKey struct {
	profile semantic.Profile
	keep    bool
	fed     string
	outputs string
}

// scheduled is a schedule with the places of its symbols in a run's sizes.
type scheduled struct {
	*semantic.Schedule
	symbols, clientSymbols []int
	allStay                bool // every carried pair stays on the executor
}

func (p *program) schedule(policy semantic.Policy, profile semantic.Profile, keep bool, fed []int, outputs []*lazy.Tensor) (*scheduled, error) {
	key := planKey{profile: profile, keep: keep, fed: fmt.Sprint(fed)}
	named := make([]lazy.Named, len(outputs))
	for i, t := range outputs {
		key.outputs += fmt.Sprintf("%d,", t.ID())
		named[i] = lazy.Named{Name: fmt.Sprintf("out:%d:%d", i, t.ID()), Tensor: t}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.plans[key]; ok {
		return s, nil
	}
	sch, err := policy.Schedule(p.srg, semantic.Request{Profile: profile, Outputs: named, Keep: keep, Fed: fed})
	if err != nil {
		return nil, err
	}
	s := &scheduled{Schedule: sch}
	s.allStay = !slices.ContainsFunc(sch.Carries, func(c semantic.CarryPlace) bool { return c.State == "" })
	if s.symbols, err = p.places(sch.Plan.Symbols()); err != nil {
		return nil, err
	}
	if sch.Client != nil {
		if s.clientSymbols, err = p.places(sch.Client.Symbols()); err != nil {
			return nil, err
		}
	}
	if len(p.plans) >= maxPlans {
		clear(p.plans)
	}
	p.plans[key] = s
	return s, nil
}

func (p *program) places(symbols []string) ([]int, error) {
	out := make([]int, len(symbols))
	for i, s := range symbols {
		if out[i] = slices.Index(p.symbols, s); out[i] < 0 {
			return nil, fmt.Errorf("%w: no input has the dimension %q", ErrShape, s)
		}
	}
	return out, nil
}

// unbound is the size of a symbol that has none yet.
const unbound = -1

// sizes are the sizes of one run, by symbol.
type sizes []int

// set gives a symbol a size; another one than it has is an error.
func (z sizes) set(p *program, symbol, n int, who string) error {
	if old := z[symbol]; old != unbound && old != n {
		return fmt.Errorf("%w: %s makes %s %d, another input makes it %d", ErrShape, who, p.symbols[symbol], n, old)
	}
	z[symbol] = n
	return nil
}

// pick orders sizes as a plan does.
func (z sizes) pick(p *program, symbols []int) ([]int, error) {
	out := make([]int, len(symbols))
	for i, s := range symbols {
		if out[i] = z[s]; out[i] == unbound {
			return nil, fmt.Errorf("%w: dimension %q has no size; feed an input that has it", ErrShape, p.symbols[s])
		}
	}
	return out, nil
}
