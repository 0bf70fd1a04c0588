package worker

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// run is Run: the payload is received into memory of the session, input by
// input, while earlier calls of the session may still be running.
func (st *stream) run(h wire.Header, control []byte) (*task, []wire.Segment, error) {
	var m wirepb.Run
	if err := decode(control, &m); err != nil {
		return nil, nil, err
	}
	r, segs, err := st.newCall(h, &m)
	if err != nil {
		return nil, nil, err
	}
	return &task{session: r.s, do: r.do, free: r.free, seq: m.GetSeq()}, segs, nil
}

// newCall makes a call and says where its inputs go.
func (st *stream) newCall(h wire.Header, m *wirepb.Run) (*call, []wire.Segment, error) {
	s, err := st.c.session(m.GetSession())
	if err != nil {
		return nil, nil, err
	}
	p, err := s.plan(m.GetPlan())
	if err != nil {
		return nil, nil, err
	}
	r := &call{s: s, p: p, bindings: make([]int, len(m.GetBindings()))}
	for i, b := range m.GetBindings() {
		if b > plan.MaxDimSize {
			return nil, nil, fmt.Errorf("%w: binding %d is %d", transport.ErrShape, i, b)
		}
		r.bindings[i] = int(b)
	}
	sizes, err := p.layout.Bind(r.bindings)
	if err != nil {
		return nil, nil, err
	}
	if err := p.says(m.GetCauses()); err != nil {
		return nil, nil, err
	}
	if err := r.takeHandles(m.GetHandles(), len(sizes.Inputs)); err != nil {
		return nil, nil, err
	}
	want, room := r.payload(sizes.Inputs)
	if err := st.total(h, m.GetBytes(), want); err != nil {
		return nil, nil, err
	}
	if r.memory, err = s.memory(room); err != nil {
		return nil, nil, err
	}
	return r, r.segments(sizes.Inputs), nil
}

// call is one run of a prepared plan.
type call struct {
	s        *session
	p        *prepared
	bindings []int
	handles  []transport.Handle // zero where the input is bytes
	inputs   [][]byte
	memory   []byte
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

// payload is the length of the payload and of the memory for it.
func (r *call) payload(sizes []uint64) (want, room uint64) {
	for i, n := range sizes {
		if r.handles[i].IsZero() {
			want += n
			room += align(n)
		}
	}
	return want, room
}

// segments lays the inputs out in the memory.
func (r *call) segments(sizes []uint64) []wire.Segment {
	r.inputs = make([][]byte, len(sizes))
	segs := make([]wire.Segment, 0, len(sizes))
	at := uint64(0)
	for i, n := range sizes {
		if !r.handles[i].IsZero() {
			continue
		}
		r.inputs[i] = r.memory[at : at+n : at+n]
		segs = append(segs, wire.Segment{Data: r.inputs[i], Cause: r.p.causes.of(i)})
		at += align(n)
	}
	return segs
}

func (r *call) free() { r.s.giveBack(r.memory) }

// do runs the program.
func (r *call) do(ctx context.Context) (answer, error) {
	ec, err := r.s.es.NewCall(r.p.program, r.bindings)
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
	return a, nil
}

// feedAndRun gives the program its inputs and runs it.
func (r *call) feedAndRun(ctx context.Context, ec Call) error {
	for i, h := range r.handles {
		var err error
		if h.IsZero() {
			err = ec.SetInput(i, r.inputs[i])
		} else {
			err = ec.SetHandle(i, h)
		}
		if err != nil {
			return err
		}
	}
	return ec.Run(ctx)
}

func (r *call) execute(ctx context.Context, ec Call) (answer, error) {
	if err := r.feedAndRun(ctx, ec); err != nil {
		return answer{}, err
	}
	r.s.c.s.meter.Run.Observe(ec.Elapsed())
	m := &wirepb.Ran{ElapsedNs: uint64(ec.Elapsed())}
	outputs := r.p.layout.Plan.Outputs
	segs := make([]wire.Segment, 0, len(outputs))
	for i, o := range outputs {
		t, h := ec.Output(i)
		if o.Place == plan.Keep {
			m.Kept = append(m.Kept, wire.HandleMessage(h))
			r.s.keeps(h, o.Cause)
			continue
		}
		segs = append(segs, wire.Segment{Data: t.Data, Cause: o.Cause})
	}
	return answer{control: m, payload: segs}, nil
}
