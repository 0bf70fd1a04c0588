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
	s    *session
	st   *stream
	hash plan.Hash
	key  partialKey
	in   *incoming
	free chan []byte // buffers to fill
	full chan []byte // buffers to pack, in order
	last chan *task  // the task once all is there; closed without it on abort

	buffers, room uint64 // how many there are, and the bytes that are reserved for each
	buf           []byte // being filled
	left          uint64 // still to come
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
	offset := m.GetOffset()
	if offset > want {
		return nil, fmt.Errorf("%w: offset %d in a weight of %d bytes", transport.ErrProtocol, offset, want)
	}
	if err := st.total(h, m.GetBytes(), want-offset); err != nil {
		return nil, err
	}
	u, err := st.newUpload(s, p.program, values[id], want, offset, h.Payload)
	if err != nil {
		return nil, err
	}
	st.upload = u
	st.c.wg.Add(1)
	go u.pack()
	return &task{free: nothing}, nil
}

// newUpload takes all memory for a weight of want bytes that arrives from
// offset on in pieces of about the size of the first.
func (st *stream) newUpload(s *session, p Program, v plan.Value, want, offset, piece uint64) (*upload, error) {
	c, left := st.c, want-offset
	u := &upload{c: c, s: s, st: st, hash: v.Hash, left: left, room: min(left, max(wire.ChunkSize, piece)), buffers: 1}
	if left > 0 {
		u.buffers = min(uploadBuffers, (left+u.room-1)/u.room)
	}
	if err := u.reserve(u.buffers * u.room); err != nil {
		return nil, err
	}
	defer func() {
		if u.in == nil {
			u.unreserve(u.buffers * u.room)
		}
	}()
	var err error
	if u.key, err = c.s.partialKey(c.tenant, p, v); err != nil {
		return nil, err
	}
	if offset > 0 {
		u.in, err = c.s.resume(u.key, v.Name, offset)
	} else {
		u.in, err = c.s.newIncoming(p, v, want)
	}
	if err != nil {
		u.in = nil
		return nil, err
	}
	u.free, u.full, u.last = make(chan []byte, uploadBuffers), make(chan []byte, uploadBuffers), make(chan *task, 1)
	for range u.buffers {
		u.free <- nil
	}
	return u, nil
}

// into gives memory for the next n bytes, waiting for the engine to catch up.
func (u *upload) into(n uint64) (*wire.Sink, error) {
	if n > u.left {
		return nil, fmt.Errorf("%w: %d bytes of weight too many", transport.ErrProtocol, n-u.left)
	}
	if n > u.room { // a peer whose pieces get larger
		if err := u.reserve(u.buffers * (n - u.room)); err != nil {
			return nil, err
		}
		u.room = n
	}
	u.left -= n
	b := <-u.free
	if uint64(cap(b)) < n {
		b = u.c.s.buffer(u.room)
	}
	u.buf = b[:n]
	return wire.NewSink([]wire.Segment{{Data: u.buf, Cause: plan.CauseWeights}}), nil
}

// buffer makes a buffer for a piece of a weight, or takes one that is free. Its
// memory has been reserved.
func (s *Server) buffer(n uint64) []byte {
	if n == wire.ChunkSize {
		if b, ok := s.buffers.Get().(*[]byte); ok {
			return *b
		}
	}
	return make([]byte, n)
}

// received hands the piece over.
func (u *upload) received() {
	u.c.s.claims.came(u.s)
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
	defer u.c.s.guard(u.c.log)
	defer u.giveBack()
	err := error(nil)
	for b := range u.full {
		if err == nil {
			err = u.write(b)
		}
		u.free <- b
	}
	t, ok := <-u.last
	switch {
	case !ok && err == nil:
		u.c.s.partials.park(u.key, u.in)
		return
	case !ok:
		u.in.Abort()
		return
	}
	committed := false
	defer u.c.s.claims.done(u.c.tenant, u.hash)
	defer u.in.Abort() // what is neither committed nor saved
	t.do = func(context.Context) (answer, error) {
		if err != nil {
			return answer{}, err
		}
		if u.left != 0 {
			return answer{}, fmt.Errorf("%w: weight ends %d bytes early", transport.ErrProtocol, u.left)
		}
		if err := u.in.Commit(); err != nil {
			return answer{}, err
		}
		committed = true
		return answer{}, u.s.brought(u.hash)
	}
	t.run()
	if committed {
		u.in.save()
	}
}

// reserve counts memory for buffers, which the tenant pays for.
func (u *upload) reserve(n uint64) error {
	if err := u.c.tenant.bytes.take(int64(n)); err != nil {
		return err
	}
	err := u.c.s.staging.reserve(n)
	if err != nil {
		u.c.tenant.bytes.give(int64(n))
	}
	return err
}

func (u *upload) unreserve(n uint64) {
	u.c.s.staging.unreserve(n)
	u.c.tenant.bytes.give(int64(n))
}

// giveBack keeps buffers of the usual size for other uploads.
func (u *upload) giveBack() {
	u.unreserve(u.buffers * u.room)
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
	_, err = u.in.Write(b)
	return err
}
