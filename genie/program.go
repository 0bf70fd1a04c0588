package genie

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// program is what is known about one graph: analysed once, planned once for
// each profile, policy and selection of outputs. Sizes are numbered by symbol,
// so that a step of a loop looks up no dimension names.
type program struct {
	graph   *lazy.Graph
	srg     *semantic.SRG
	symbols []string // of the inputs
	inputs  map[string]*inputInfo
	carries []*inputInfo // the carried inputs, by carry
	next    []carriedSize

	making chan struct{} // one token: its holder makes a plan or widens a weight

	// homes is the device that has each carried state, by the state's name: that
	// of all sessions of a client. It is used with the token of making.
	homes map[string]int

	mu    sync.Mutex
	plans map[planKey]*scheduled
	wide  map[plan.Hash][]byte // weights in half precision, widened
}

// inputInfo is one input leaf.
type inputInfo struct {
	t     *lazy.Tensor
	dims  []dimInfo
	carry int // index of the carried pair, or -1
}

// dimInfo is one dimension: a symbol by number, or an expression to evaluate.
type dimInfo struct {
	symbol int // -1 for a constant or an expression
	dim    plan.Dim
}

// carriedSize says that after a run symbol has the size that dim had in it: the
// effect of a carried value's shape on the next run. Pairs that agree share
// one.
type carriedSize struct {
	symbol int
	dim    plan.Dim
}

func newProgram(g *lazy.Graph, srg *semantic.SRG) *program {
	p := &program{graph: g, srg: srg, inputs: map[string]*inputInfo{}, plans: map[planKey]*scheduled{}, homes: map[string]int{}, making: oneToken()}
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

// planKey identifies a plan of one graph. Sizes are not part of it.
type planKey struct {
	profile semantic.Profile
	keep    bool
	state   string
	fed     string
	outputs string
	sizes   uint64 // class of the sizes for which the plan was placed
}

// scheduled is a schedule with the places of its symbols in a run's sizes.
type scheduled struct {
	*semantic.Schedule
	symbols, clientSymbols []int
	allStay                bool // every carried pair stays on the executor
	slow                   predicted
	copied                 []bool // by result: another result or carried value shares its memory
}

// shared reports which results share memory with a carried value or an earlier
// result: the caller may modify each result freely.
func shared(sch *semantic.Schedule) []bool {
	taken := map[semantic.Result]bool{}
	for _, c := range sch.Carries {
		if c.State == "" {
			taken[semantic.Result{Output: c.Output}] = true
		}
	}
	out := make([]bool, len(sch.Results))
	for i, r := range sch.Results {
		out[i] = taken[r]
		taken[r] = true
	}
	return out
}

// wanted is what a run needs from a plan.
type wanted struct {
	profile semantic.Profile
	keep    bool
	fed     []int
	state   string
	outputs []*lazy.Tensor
	place   *placing // over the devices of a cluster; nil for one executor
}

func (w *wanted) key() planKey {
	key := planKey{profile: w.profile, keep: w.keep, state: w.state, fed: fmt.Sprint(w.fed)}
	if w.place != nil {
		key.sizes = w.place.class
	}
	for _, t := range w.outputs {
		key.outputs += fmt.Sprintf("%d,", t.ID())
	}
	return key
}

// schedule finds a plan, or makes it: one caller at a time, for which another
// waits no longer than ctx.
func (p *program) schedule(ctx context.Context, policy semantic.Policy, w wanted) (*scheduled, error) {
	key := w.key()
	if s := p.planned(key); s != nil {
		return s, nil
	}
	if err := take(ctx, p.making, "a plan"); err != nil {
		return nil, err
	}
	defer func() { p.making <- struct{}{} }()
	if s := p.planned(key); s != nil {
		return s, nil
	}
	req := semantic.Request{Profile: w.profile, Keep: w.keep, Fed: w.fed, State: w.state}
	for i, t := range w.outputs {
		req.Outputs = append(req.Outputs, lazy.Named{Name: fmt.Sprintf("out:%d:%d", i, t.ID()), Tensor: t})
	}
	sch, err := w.place.schedule(policy, p, req)
	if err != nil {
		return nil, err
	}
	if err := sch.Check(p.srg, w.place.ask(req, p.homes, 0)); err != nil {
		return nil, fmt.Errorf("policy %s: %w", policy.Name(), err)
	}
	w.place.took(sch, p.homes)
	s := &scheduled{Schedule: sch, copied: shared(sch)}
	s.allStay = !slices.ContainsFunc(sch.Carries, func(c semantic.CarryPlace) bool { return c.State == "" })
	if s.symbols, err = p.places(sch.Plan.Symbols()); err != nil {
		return nil, err
	}
	if sch.Client != nil {
		if s.clientSymbols, err = p.places(sch.Client.Symbols()); err != nil {
			return nil, err
		}
	}
	p.remember(key, s)
	return s, nil
}

// planned is a plan that has been made; nil for none.
func (p *program) planned(key planKey) *scheduled {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.plans[key]
}

func (p *program) remember(key planKey, s *scheduled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.plans) >= maxPlans {
		clear(p.plans)
	}
	p.plans[key] = s
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

// set gives a symbol a size; it is an error if the symbol has another one.
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
