package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/internal/admission"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// run handles Run: it receives the payload into memory of the session, input by
// input, while earlier calls of the session may still be running.
func (st *stream) run(h wire.Header, control []byte) (*task, error) {
	var m wirepb.Run
	if err := decode(control, &m); err != nil {
		return nil, err
	}
	r, err := st.newCall(h, &m, len(control))
	if err != nil {
		return nil, err
	}
	return &task{session: r.s, call: r, do: r.do, free: r.free, seq: m.GetSeq()}, nil
}

// newCall makes a call from a control message of that many bytes; its inputs
// follow.
func (st *stream) newCall(h wire.Header, m *wirepb.Run, control int) (*call, error) {
	st.bound(m.GetDeadlineMs())
	r, sizes, err := st.callOf(m)
	if err != nil {
		return nil, err
	}
	r.arrival = &arrival{s: r.s}
	r.lies(r.arrival, sizes)
	if err := st.total(h, m.GetBytes(), r.arrival.want); err != nil {
		return nil, err
	}
	if err := r.receive(len(sizes), control); err != nil {
		return nil, err
	}
	st.arrival, st.complete = r.arrival, r.arrived
	return r, nil
}

// callOf reads what to run, and the sizes of the inputs in bytes.
func (st *stream) callOf(m *wirepb.Run) (*call, []uint64, error) {
	s, err := st.c.session(m.GetSession())
	if err != nil {
		return nil, nil, err
	}
	p, err := s.plan(m.GetPlan())
	if err != nil {
		return nil, nil, err
	}
	if err := s.opened(p); err != nil {
		return nil, nil, err
	}
	r := &call{s: s, p: p, bindings: make([]int, len(m.GetBindings())), profile: m.GetProfile()}
	for i, b := range m.GetBindings() {
		if b > plan.MaxDimSize {
			return nil, nil, fmt.Errorf("%w: binding %d is %d", transport.ErrShape, i, b)
		}
		r.bindings[i] = int(b)
	}
	sizes, err := p.layout.BindInputs(r.bindings)
	if err != nil {
		return nil, nil, err
	}
	if err := p.says(m.GetCauses()); err != nil {
		return nil, nil, err
	}
	return r, sizes, r.takeHandles(m.GetHandles(), len(sizes))
}

// call is one run of a prepared plan.
type call struct {
	s        *session
	p        *prepared
	bindings []int
	handles  []transport.Handle // zero where the input is bytes
	inputs   [][]byte
	lie      []uint64         // place of each input in memory
	sizes    []uint64         // of inputs, in bytes
	arrival  *arrival         // of the payload; with an opening, that of the loop
	profile  bool             // measure it
	counted  bool             // counted as one of its tenant's calls
	held     int64            // bytes for the lists of the call
	place    *admission.Place // in the worker's queue, once the request has arrived completely
}

func (r *call) takeHandles(list []*wirepb.InputHandle, inputs int) error {
	r.handles = make([]transport.Handle, inputs)
	for _, ih := range list {
		i := ih.GetInput()
		if uint64(i) >= uint64(inputs) {
			return fmt.Errorf("%w: a handle for input %d of %d", transport.ErrUnknownInput, i, inputs)
		}
		h := wire.HandleFrom(ih.GetHandle())
		if h.IsZero() || !r.handles[i].IsZero() {
			return fmt.Errorf("%w: input %d has no handle, or two", transport.ErrProtocol, i)
		}
		r.handles[i] = h
	}
	return nil
}

// lies places the inputs that are bytes in the arrival.
func (r *call) lies(a *arrival, sizes []uint64) {
	r.sizes, r.lie = sizes, make([]uint64, len(sizes))
	for i, n := range sizes {
		if r.handles[i].IsZero() {
			r.lie[i] = a.add(n, r.p.causes.of(i))
		}
	}
}

// arrived locates the inputs in memory when all of them have arrived.
func (r *call) arrived(mem []byte) {
	r.inputs = make([][]byte, len(r.sizes))
	for i, n := range r.sizes {
		if r.handles[i].IsZero() {
			at := r.lie[i]
			r.inputs[i] = mem[at : at+n : at+n]
		}
	}
}

func (r *call) free() {
	defer func() {
		r.s.srv.uncharge(r.s.tenant, r.held)
		r.held = 0
	}()
	defer r.ended()
	defer r.place.End()
	r.arrival.free()
}

// receive counts the call, with that many inputs and bytes of control message,
// if its payload would fit.
func (r *call) receive(inputs, control int) (err error) {
	if err := r.arrival.fits(); err != nil {
		return err
	}
	if err := r.s.tenant.calls.take(1); err != nil {
		return err
	}
	r.counted = true
	defer func() {
		if r.held == 0 {
			r.ended()
		}
	}()
	n := int64(inputs)*inputBytes + int64(control)*controlFactor
	if err := r.s.srv.charge(r.s.tenant, n, "a call"); err != nil {
		return err
	}
	r.held = n
	return nil
}

// ended ends the call's count of its tenant. It is called before the last part
// of the answer is sent, so a client with the answer may call again.
func (r *call) ended() {
	if r.counted {
		r.counted = false
		r.s.tenant.calls.give(1)
	}
}

// do runs the program.
func (r *call) do(ctx context.Context) (answer, error) {
	defer r.ended()
	begun := time.Now()
	r.p.expected.brief = false // until it has succeeded
	if err := r.s.mayKeep(r.p.keeps); err != nil {
		return answer{}, err
	}
	if err := r.s.es.Await(ctx, r.handles...); err != nil {
		return answer{}, err
	}
	ec, err := r.s.es.NewCall(ctx, r.p.program, r.bindings)
	if err != nil {
		return answer{}, err
	}
	done := false
	defer func() { // an error or a panic must not leave the session locked
		if !done {
			ec.Release()
		}
	}()
	a, err := r.execute(ctx, ec)
	if err != nil {
		return answer{}, err
	}
	a.done, done = ec.Release, true
	if !ec.Gathers() {
		r.p.expected.learn(r.bindings, time.Since(begun) <= r.s.srv.opts.brief, a)
	}
	return a, nil
}

// feedAndRun gives the program its inputs and runs it.
func (r *call) feedAndRun(ctx context.Context, ec Call) error {
	if r.profile {
		if err := ec.Measure(); err != nil {
			return err
		}
	}
	err := host.Feed(ec, len(r.handles), func(i int) transport.Input {
		return transport.Input{Handle: r.handles[i], Data: r.inputs[i]}
	})
	if err != nil {
		return err
	}
	return r.turn(ctx, ec)
}

func (r *call) execute(ctx context.Context, ec Call) (answer, error) {
	if err := r.feedAndRun(ctx, ec); err != nil {
		return answer{}, err
	}
	r.s.srv.meter.Run.Observe(ec.Elapsed())
	m := &wirepb.Ran{ElapsedNs: uint64(ec.Elapsed())}
	outputs := r.p.layout.Plan.Outputs
	segs := make([]wire.Segment, 0, len(outputs))
	for i, o := range outputs {
		t, h := ec.Output(i)
		if o.Place == plan.Retain {
			m.Retained = append(m.Retained, wire.HandleMessage(h))
			r.s.keeps(h, o.Cause)
			continue
		}
		segs = append(segs, wire.Segment{Data: t.Data, Cause: o.Cause})
	}
	return answer{control: m, payload: segs}, nil
}
