package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// MaxMicroBatches bounds [WithMicroBatches].
const MaxMicroBatches = 64

// WithMicroBatches divides a run in parts into up to n runs over parts of its
// batch, so that members work at the same time: the second stage on one
// micro-batch while the first stage works on the next one. batch finds the symbol
// of a plan that is a batch, such as semantic.BatchSymbol of package semantic;
// plans without one, and those with carried state, run as they are. The bits are
// the same.
//
// As many micro-batches are under way as the plan has rounds of parts, and one more;
// the next begins when one of them ends.
func WithMicroBatches(n int, batch func(*plan.Plan) (symbol string, ok bool)) Option {
	return optionFunc(func(o *options) { o.micro, o.batch = min(n, MaxMicroBatches), batch })
}

// batched is the batch of a plan in parts.
type batched struct {
	symbol int   // index in the whole's symbols
	rows   []int // by input of the whole: its bytes grow with the batch, along the first axis
}

// batchOf finds the batch of a plan; nil for none.
func (x *Executor) batchOf(split *plan.Split) *batched {
	p := split.Whole
	if x.opts.micro < 2 || x.opts.batch == nil || len(split.Parts) < 2 || len(p.States) > 0 {
		return nil
	}
	name, ok := x.opts.batch(p)
	if !ok {
		return nil
	}
	b := &batched{symbol: slices.Index(p.Symbols(), name)}
	if b.symbol < 0 {
		return nil
	}
	counts := func(v int) bool {
		shape := p.Values[v].Spec.Shape
		return len(shape) > 0 && slices.Contains(shape[0].Symbols(nil), name)
	}
	for i, in := range p.Inputs {
		if counts(in.Value) {
			b.rows = append(b.rows, i)
		}
	}
	for _, o := range p.Outputs {
		if o.Place != plan.Download || !counts(o.Value) {
			return nil
		}
	}
	return b
}

// micro runs a plan over parts of its batch. The caller has the turn.
func (s *session) micro(ctx context.Context, ref *planRef, call transport.Call) (transport.Result, error) {
	b := ref.batch
	size := call.Bindings[b.symbol]
	n := min(s.x.opts.micro, size)
	if n < 2 || slices.ContainsFunc(b.rows, func(i int) bool { return !call.Inputs[i].Handle.IsZero() }) {
		return s.parts(ctx, ref, call)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results, errs := make([]transport.Result, n), make([]error, n)
	places := make(chan struct{}, ref.split.Parts[len(ref.parts)-1].Round+2)
	var wait sync.WaitGroup
	for i := range n {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			errs[i] = fmt.Errorf("cluster session: %w", ctxError(ctx))
			continue
		}
		wait.Go(func() {
			defer func() { <-places }()
			if results[i], errs[i] = s.parts(ctx, ref, b.slice(call, i, n)); errs[i] != nil {
				cancel(&stopped{errs[i]})
			}
		})
	}
	wait.Wait()
	if err := firstOf(errs); err != nil {
		return transport.Result{}, err
	}
	s.x.counts.runs.Add(int64(n - 1))
	return joined(results), nil
}

// slice is the call over micro-batch i of n.
func (b *batched) slice(call transport.Call, i, n int) transport.Call {
	size := call.Bindings[b.symbol]
	from, to := size*i/n, size*(i+1)/n
	call.Bindings = slices.Clone(call.Bindings)
	call.Bindings[b.symbol] = to - from
	call.Inputs = slices.Clone(call.Inputs)
	for _, k := range b.rows {
		data := call.Inputs[k].Data
		each := len(data) / size
		call.Inputs[k].Data = data[each*from : each*to : each*to]
	}
	return call
}

// joined are the results of the whole batch.
func joined(results []transport.Result) transport.Result {
	out := transport.Result{Outputs: slices.Clone(results[0].Outputs)}
	for i := range out.Outputs {
		t := &out.Outputs[i].Tensor
		t.Shape = slices.Clone(t.Shape)
		size := 0
		for _, r := range results {
			size += len(r.Outputs[i].Tensor.Data)
		}
		data := make([]byte, 0, size)
		for j, r := range results {
			data = append(data, r.Outputs[i].Tensor.Data...)
			if j > 0 {
				t.Shape[0] += r.Outputs[i].Tensor.Shape[0]
			}
		}
		t.Data = data
	}
	for _, r := range results {
		out.Elapsed += r.Elapsed
	}
	return out
}
