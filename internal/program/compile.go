package program

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Compile makes a program of a valid plan.
func Compile(p *plan.Plan, opts Options, w *op.Work) (*Program, error) {
	res, err := resolve(p, opts, w)
	if err != nil {
		return nil, err
	}
	prog := &Program{plan: p, Res: res, symbols: p.Symbols()}
	all := append([]string(nil), prog.symbols...)
	for i := range p.States {
		all = append(all, op.CapSymbol(i))
	}
	// The capacities share one bit of the mask.
	if len(prog.symbols) > maxSymbols-1 {
		return nil, fmt.Errorf("%w: %d symbols, the limit of an executor is %d", plan.ErrInvalid, len(prog.symbols), maxSymbols-1)
	}
	prog.factors = make(map[string]uint16, len(all))
	for i, s := range all {
		prog.factors[s] = uint16(i)
	}
	for _, st := range p.States {
		prog.StateTypes = append(prog.StateTypes, p.Values[st.In].Spec.DType)
	}
	passes := []func(){
		func() { prog.Groups = fuse(p, res, opts) },
		func() {
			if opts.Branches {
				prog.branches()
			}
		},
		prog.label,
		prog.classify,
		prog.conditions,
		prog.share, prog.dependencies, prog.findPaged,
	}
	for _, pass := range passes { // each is linear in the plan
		if err := w.Spend(len(p.Values) + len(p.Steps)); err != nil {
			return nil, err
		}
		pass()
	}
	prog.factors = nil
	if len(prog.quotients) > maxQuotients {
		return nil, fmt.Errorf("%w: %d quotients in dimensions, the limit of an executor is %d", plan.ErrInvalid, len(prog.quotients), maxQuotients)
	}
	for _, o := range p.Outputs {
		copied := res.Base[o.Value] != o.Value || !res.Layouts[o.Value].Dense
		prog.Retains = prog.Retains || copied || o.Place == plan.Retain
	}
	return prog, nil
}

// resolve checks operators, shapes and buffers, and lays out the values.
func resolve(p *plan.Plan, opts Options, w *op.Work) (*op.Resolved, error) {
	res, err := op.ResolveLayouts(p, opts.Custom, w, op.RowMajor)
	if err != nil {
		return nil, err
	}
	if err := res.CheckBuffers(); err != nil || opts.Plain {
		return res, err
	}
	return op.ResolveLayouts(p, opts.Custom, w, chooseLayout)
}
