package worker

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// uploadBuffers is the number of pieces of a weight that may be under way
// between the socket and the engine.
const uploadBuffers = 3

// upload is a weight that arrives. The receiving goroutine fills buffers, a
// goroutine of its own hashes and packs them.
type upload struct {
	c    *conn
	st   *stream
	out  WeightWriter
	free chan []byte // buffers to fill
	full chan []byte // buffers to pack, in order
	last chan *task  // the task once all is there; closed without it on abort

	held uint64 // bytes of buffers made
	buf  []byte // being filled
	left uint64 // still to come
}

// putWeight is PutWeight.
func (st *stream) putWeight(h wire.Header, control []byte) (*task, error) {
	var m wirepb.PutWeight
	if err := decode(control, &m); err != nil {
		return nil, err
	}
	s, err := st.c.session(m.GetSession())
	if err != nil {
		return nil, err
	}
	p, err := s.plan(m.GetPlan())
	if err != nil {
		return nil, err
	}
	values := p.layout.Plan.Values
	id := m.GetValue()
	if uint64(id) >= uint64(len(values)) || values[id].Kind != plan.KindWeight {
		return nil, fmt.Errorf("%w: value %d is no weight", transport.ErrMissingWeight, id)
	}
	want, err := wire.WeightBytes(&values[id])
	if err != nil {
		return nil, err
	}
	if err := st.total(h, m.GetBytes(), want); err != nil {
		return nil, err
	}
	out, err := st.c.s.opts.Engine.PutWeight(p.program, values[id])
	if err != nil {
		return nil, err
	}
	u := &upload{
		c: st.c, st: st, out: out, left: want,
		free: make(chan []byte, uploadBuffers), full: make(chan []byte, uploadBuffers), last: make(chan *task, 1),
	}
	for range uploadBuffers {
		u.free <- nil
	}
	st.upload = u
	st.c.wg.Add(1)
	go u.pack()
	return &task{free: nothing}, nil
}

// into gives memory for the next n bytes, waiting for the engine to catch up.
func (u *upload) into(n uint64) (*wire.Sink, error) {
	if n > u.left {
		return nil, fmt.Errorf("%w: %d bytes of weight too many", transport.ErrProtocol, n-u.left)
	}
	u.left -= n
	b := <-u.free
	if uint64(cap(b)) < n {
		grown, err := u.c.s.buffer(n)
		if err != nil {
			return nil, err
		}
		u.held += uint64(cap(grown))
		b = grown
	}
	u.buf = b[:n]
	return wire.NewSink([]wire.Segment{{Data: u.buf, Cause: plan.CauseWeights}}), nil
}

// buffer makes a buffer for a piece of a weight, or takes one that is free.
func (s *Server) buffer(n uint64) ([]byte, error) {
	n = max(n, wire.ChunkSize)
	if err := s.staging.reserve(n); err != nil {
		return nil, err
	}
	if b, ok := s.buffers.Get().(*[]byte); ok && uint64(cap(*b)) == n {
		return *b, nil
	}
	return make([]byte, n), nil
}

// received hands the piece over.
func (u *upload) received() {
	u.full <- u.buf
	u.buf = nil
}

// end says that the message is complete; t answers.
func (u *upload) end(t *task) {
	u.last <- t
	close(u.full)
}

// abort gives the weight up.
func (u *upload) abort() {
	close(u.last)
	close(u.full)
}

// pack writes pieces into the engine, and commits after the last.
func (u *upload) pack() {
	defer u.c.wg.Done()
	defer u.giveBack()
	err := error(nil)
	for b := range u.full {
		if err == nil {
			err = u.write(b)
		}
		u.free <- b
	}
	t, ok := <-u.last
	if !ok {
		u.out.Abort()
		return
	}
	t.do = func(context.Context) (answer, error) {
		defer u.out.Abort()
		if err != nil {
			return answer{}, err
		}
		if u.left != 0 {
			return answer{}, fmt.Errorf("%w: weight ends %d bytes early", transport.ErrProtocol, u.left)
		}
		return answer{}, u.out.Commit()
	}
	t.run()
}

// giveBack keeps buffers of the usual size for other uploads.
func (u *upload) giveBack() {
	u.c.s.staging.unreserve(u.held)
	for {
		select {
		case b := <-u.free:
			if cap(b) == wire.ChunkSize {
				u.c.s.buffers.Put(&b)
			}
		default:
			return
		}
	}
}

// write is one Write, a panic of which is an error.
func (u *upload) write(b []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = u.st.panicked(r)
		}
	}()
	_, err = u.out.Write(b)
	return err
}
