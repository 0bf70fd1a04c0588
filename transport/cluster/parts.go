package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// partsRun is one run of a plan in parts.
type partsRun struct {
	s    *session
	ref  *planRef
	call transport.Call

	sizes plan.Bindings

	results []transport.Result // by part, as members gave them
	errs    []error            // by part
	ran     []bool             // by part: it has changed its carried state
}

// run runs a plan in parts. The caller has the turn.
func (s *session) run(ctx context.Context, ref *planRef, call transport.Call) (transport.Result, error) {
	if err := s.ready(ctx); err != nil {
		return transport.Result{}, err
	}
	if err := checkCall(ref.split.Whole, &call); err != nil {
		return transport.Result{}, err
	}
	if call.Profile {
		s.profiles(ref)
	}
	if ref.batch != nil {
		return s.micro(ctx, ref, call)
	}
	return s.parts(ctx, ref, call)
}

// parts runs the parts of a call. Several calls without carried state may do so
// at the same time.
func (s *session) parts(ctx context.Context, ref *planRef, call transport.Call) (transport.Result, error) {
	n := len(ref.parts)
	r := &partsRun{s: s, ref: ref, call: call, sizes: sizesOf(ref.split.Whole, call.Bindings), results: make([]transport.Result, n), errs: make([]error, n), ran: make([]bool, n)}
	if ref.split.Chain() && !ref.sends {
		r.chain(ctx)
	} else {
		r.graph(ctx)
	}
	done := 0
	for _, ok := range r.ran {
		if ok {
			done++
		}
	}
	if err := firstOf(r.errs); err != nil {
		s.x.counts.runs.Add(int64(done))
		s.carried.failed(r, err)
		r.release(ctx, false)
		return transport.Result{}, err
	}
	s.x.counts.runs.Add(int64(done - 1))
	r.release(ctx, true)
	return r.result()
}

// checkCall finds what is wrong with a call before a part of it runs.
func checkCall(p *plan.Plan, call *transport.Call) error {
	if len(call.Inputs) != len(p.Inputs) {
		return fmt.Errorf("%w: %d inputs, the plan has %d", transport.ErrUnknownInput, len(call.Inputs), len(p.Inputs))
	}
	if symbols := p.Symbols(); len(call.Bindings) != len(symbols) {
		return fmt.Errorf("%w: %d bindings for the symbols %v", transport.ErrShape, len(call.Bindings), symbols)
	}
	sizes := sizesOf(p, call.Bindings)
	for i, in := range p.Inputs {
		if !call.Inputs[i].Handle.IsZero() {
			continue
		}
		spec := &p.Values[in.Value].Spec
		n, err := spec.Shape.Elements().Eval(sizes)
		if err != nil {
			return fmt.Errorf("%w: input %q: %w", transport.ErrShape, in.Name, err)
		}
		if got := len(call.Inputs[i].Data); got != n*spec.DType.Size() {
			return fmt.Errorf("%w: input %q has %d bytes, %v wants %d", transport.ErrShape, in.Name, got, spec, n*spec.DType.Size())
		}
	}
	return nil
}

// chain runs the parts one after the other.
func (r *partsRun) chain(ctx context.Context) {
	for i := range r.ref.parts {
		if r.part(ctx, i, nil); r.errs[i] != nil {
			return
		}
	}
}

// graph runs each part as soon as those that it reads from have run. The first
// error ends the others, but for those that are changing carried state: cut short, a
// member could lose what can be taken back when the part has ended.
func (r *partsRun) graph(caller context.Context) {
	ctx, cancel := context.WithCancelCause(caller)
	defer cancel(nil)
	begun, done := make([]chan struct{}, len(r.ref.parts)), make([]chan struct{}, len(r.ref.parts))
	for i := range done {
		begun[i], done[i] = make(chan struct{}), make(chan struct{})
	}
	var wait sync.WaitGroup
	for i := range r.ref.parts {
		wait.Go(func() {
			defer close(done[i])
			once := sync.OnceFunc(func() { close(begun[i]) })
			defer once()
			if r.errs[i] = r.after(caller, ctx, i, begun, done, once); r.errs[i] != nil {
				cancel(&stopped{r.errs[i]})
			}
		})
	}
	wait.Wait()
}

// after runs part i after the parts that it reads from. Values that cross directly
// are expected from when those parts have begun: not all of a long chain at once.
func (r *partsRun) after(caller, ctx context.Context, i int, begun, done []chan struct{}, begins func()) error {
	r.await(i, begun)
	if ctx.Err() != nil {
		return fmt.Errorf("cluster session: %w", ctxError(ctx))
	}
	a, err := r.expect(ctx, i)
	if err != nil {
		return err
	}
	defer a.done()
	r.await(i, done)
	if ctx.Err() != nil {
		return fmt.Errorf("cluster session: %w", ctxError(ctx))
	}
	begins()
	if len(r.ref.split.Parts[i].States) > 0 {
		ctx = caller
	}
	r.part(ctx, i, a)
	return r.errs[i]
}

// await waits for the parts that part i reads from. They end when the context of
// the run ends.
func (r *partsRun) await(i int, all []chan struct{}) {
	for _, in := range r.ref.split.Parts[i].Inputs {
		for _, e := range in.Edges {
			<-all[r.ref.split.Edges[e].From]
		}
	}
}

// stopped is why parts end: another one has failed.
type stopped struct{ error }

// firstOf is why a run failed: the first error that is not another one's effect.
func firstOf(errs []error) error {
	var effect error
	for _, err := range errs {
		var s *stopped
		switch {
		case err == nil:
		case errors.As(err, &s):
			effect = s.error
		default:
			return err
		}
	}
	return effect
}

// part runs part i. a has the values that cross directly to it; nil for none.
func (r *partsRun) part(ctx context.Context, i int, a *arrivals) {
	part := &r.ref.split.Parts[i]
	k := part.Device
	call := transport.Call{Plan: r.ref.parts[i], Profile: r.call.Profile, Inputs: make([]transport.Input, len(part.Inputs))}
	if len(part.Symbols) > 0 {
		call.Bindings = make([]int, len(part.Symbols))
		for j, sym := range part.Symbols {
			call.Bindings[j] = r.call.Bindings[sym]
		}
	}
	for j, in := range part.Inputs {
		var err error
		if in.Port >= 0 {
			call.Inputs[j], err = r.s.input(ctx, k, r.call.Inputs[in.Port])
		} else {
			call.Inputs[j], err = r.edge(ctx, k, in.Edges[0], a)
		}
		if err != nil {
			r.errs[i] = err
			return
		}
	}
	on, err := r.s.member(ctx, k)
	if err != nil {
		r.errs[i] = err
		return
	}
	res, err := on.Run(ctx, call)
	if err != nil {
		r.errs[i] = r.s.x.failed(k, err)
		return
	}
	r.results[i], r.ran[i] = res, true
}

// edge is the value of an edge as an input of member k.
func (r *partsRun) edge(ctx context.Context, k, e int, a *arrivals) (transport.Input, error) {
	edge := &r.ref.split.Edges[e]
	from := &r.ref.split.Parts[edge.From]
	out := &r.results[edge.From].Outputs[edge.Output]
	switch {
	case out.Handle.IsZero():
		return transport.Input{Data: out.Tensor.Data, Cause: plan.CauseActivation}, nil
	case from.Device == k:
		return transport.Input{Handle: out.Handle, Cause: plan.CauseActivation}, nil
	}
	if a != nil {
		if in, ok, err := a.edge(ctx, e); ok || err != nil {
			return in, err
		}
	}
	return r.s.moved(ctx, from.Device, out.Handle, plan.CauseActivation)
}

// result is what the whole plan gives.
func (r *partsRun) result() (transport.Result, error) {
	res := transport.Result{Outputs: make([]transport.OutputValue, len(r.ref.split.Whole.Outputs))}
	for i := range r.ref.split.Parts {
		part := &r.ref.split.Parts[i]
		res.Elapsed += r.results[i].Elapsed
		for j, to := range part.Outputs {
			if to.Port < 0 {
				continue
			}
			out := r.results[i].Outputs[j]
			var err error
			if out.Handle, err = r.s.x.named(part.Device, out.Handle); err != nil {
				return transport.Result{}, err
			}
			res.Outputs[to.Port] = out
		}
	}
	return res, nil
}

// release frees the values that went from part to part, and those for the caller
// when the run has failed. A member that cannot do it now does it before the next
// run.
func (r *partsRun) release(ctx context.Context, ok bool) {
	for i := range r.ref.split.Parts {
		if !r.ran[i] {
			continue
		}
		part := &r.ref.split.Parts[i]
		kept := map[int]bool{} // until the failed run is taken back
		for _, save := range part.Saves {
			kept[save.Output] = !ok
		}
		for j, to := range part.Outputs {
			if kept[j] {
				continue
			}
			if h := r.results[i].Outputs[j].Handle; !h.IsZero() && (to.Port < 0 || !ok) {
				r.s.spend(part.Device, h)
			}
		}
	}
	r.s.releaseSpent(ctx)
}

// spend notes a value of a member that nothing reads any more.
func (s *session) spend(k int, h transport.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent[k] = append(s.spent[k], h)
}

// takeSpent takes the values that are to be released.
func (s *session) takeSpent(k int) []transport.Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.spent[k]
	s.spent[k] = nil
	return list
}

// releaseSpent frees values that nothing reads any more.
func (s *session) releaseSpent(ctx context.Context) {
	for k := range s.on {
		if ctx.Err() != nil {
			return
		}
		list := s.takeSpent(k)
		if len(list) == 0 || s.on[k].opened.Load().Release(ctx, list...) == nil {
			continue
		}
		for _, h := range list {
			s.spend(k, h)
		}
	}
}
