package genie

import (
	"context"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// weightInput is a weight as an input, for policies that send weights with every
// run. Half precision is widened once and stored with the program.
func (p *program) weightInput(ctx context.Context, h plan.Hash) (transport.Input, error) {
	w, err := p.graph.Weight(h)
	if err != nil || w.Storage != plan.F16 && w.Storage != plan.BF16 {
		return transport.Input{Data: w.Data, File: w.File}, err
	}
	if b := p.widened(h); b != nil {
		return transport.Input{Data: b}, nil
	}
	if err := take(ctx, p.making, "a weight"); err != nil {
		return transport.Input{}, err
	}
	defer func() { p.making <- struct{}{} }()
	if b := p.widened(h); b != nil {
		return transport.Input{Data: b}, nil
	}
	b, err := w.Widened()
	if err != nil {
		return transport.Input{}, err
	}
	p.rememberWide(h, b)
	return transport.Input{Data: b}, nil
}

// widened is a weight that has been widened; nil for none.
func (p *program) widened(h plan.Hash) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wide[h]
}

func (p *program) rememberWide(h plan.Hash, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wide == nil {
		p.wide = map[plan.Hash][]byte{}
	}
	p.wide[h] = b
}
