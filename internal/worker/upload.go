package worker

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// uploadBuffers is the number of pieces of a weight that may be in transit
// between the socket and the engine.
const uploadBuffers = 3

// upload is a weight that arrives. The receiving goroutine fills buffers;
// another goroutine hashes and packs them.
//
// A weight takes all its memory at once, since its first rows may be spread
// over all of it. So it does not take it before a substantial part has arrived;
// that part waits in memory that grows with it.
type upload struct {
	c       *conn
	s       *session
	st      *stream
	key     partialKey
	program Program
	value   plan.Value
	want    uint64    // bytes of the weight
	early   []byte    // the bytes before in is made
	got     uint64    // of them
	in      *incoming // nil until enough has arrived

	free   chan []byte           // empty buffers
	full   chan []byte           // full buffers, in order
	last   chan *task            // the task, once everything has arrived; closed without it on abort
	failed atomic.Pointer[error] // why no more is accepted

	held int64  // bytes taken for buffers
	buf  []byte // being filled
	left uint64 // remaining bytes
}

// putWeight handles PutWeight.
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
	u, err := st.newUpload(s, p.program, values[id], want, offset)
	if err != nil {
		return nil, err
	}
	st.upload = u
	st.c.wg.Add(1)
	go u.pack()
	return &task{free: nothing}, nil
}

// newUpload begins to receive a weight of want bytes from offset on. It checks
// here whether there is room for all of it, but takes none.
func (st *stream) newUpload(s *session, p Program, v plan.Value, want, offset uint64) (*upload, error) {
	u := &upload{c: st.c, s: s, st: st, program: p, value: v, want: want, left: want - offset}
	if err := u.reserve(uploadBytes); err != nil {
		return nil, err
	}
	found := false
	defer func() {
		if !found {
			u.unreserve()
		}
	}()
	if err := u.find(offset); err != nil {
		return nil, err
	}
	found = true
	u.free, u.full, u.last = make(chan []byte, uploadBuffers), make(chan []byte, uploadBuffers), make(chan *task, 1)
	for range uploadBuffers {
		u.free <- nil
	}
	return u, nil
}

// find takes over what there is up to offset, or checks that there is room for
// all of it.
func (u *upload) find(offset uint64) (err error) {
	s := u.c.s
	if u.key, err = s.partialKey(u.c.tenant, u.program, u.value); err != nil {
		return err
	}
	if offset == 0 {
		return u.fits()
	}
	u.in, err = s.resume(u.key, u.value.Name, offset)
	return err
}

// fits reports whether there is memory for the weight.
func (u *upload) fits() error {
	n, err := u.c.s.opts.Engine.WeightMemory(u.program, u.value)
	if err != nil {
		return err
	}
	if err := u.c.tenant.bytes.check(n); err != nil {
		return err
	}
	return u.c.s.opts.Engine.Memory().Check(n, "a weight")
}

// into returns memory for the next n bytes. It waits for the engine to catch
// up.
func (u *upload) into(n uint64) (*wire.Sink, error) {
	if err := u.failed.Load(); err != nil {
		return nil, *err
	}
	if n > u.left {
		return nil, fmt.Errorf("%w: %d bytes of weight too many", transport.ErrProtocol, n-u.left)
	}
	b := <-u.free
	if uint64(cap(b)) < n {
		size := pages(n)
		if err := u.reserve(int64(size) - int64(cap(b))); err != nil {
			u.free <- b
			return nil, err
		}
		b = u.c.s.buffer(size)
	}
	u.left -= n
	u.buf = b[:n]
	return wire.NewSink([]wire.Segment{{Data: u.buf, Cause: plan.CauseWeights}}), nil
}

// buffer makes a buffer for a piece of a weight, or takes a free one. Its
// memory has been reserved.
func (s *Server) buffer(n uint64) []byte {
	if n == wire.ChunkSize {
		if b, ok := s.buffers.Get().(*[]byte); ok {
			return *b
		}
	}
	return make([]byte, n)
}

// received passes the piece on.
func (u *upload) received() {
	if u.buf != nil {
		u.c.s.claims.came(u.s)
		u.full <- u.buf
		u.buf = nil
	}
}

// end says that the message is complete; t answers.
func (u *upload) end(t *task) {
	u.last <- t
	close(u.full)
}

// abort gives up the weight.
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
			if err = u.write(b); err != nil {
				u.failed.Store(&err)
			}
		}
		u.free <- b
	}
	t, ok := <-u.last
	switch {
	case !ok && err == nil && u.in != nil:
		u.c.s.partials.park(u.key, u.in)
		return
	case !ok:
		u.drop()
		return
	}
	committed := false
	defer u.c.s.claims.done(u.c.tenant, u.value.Hash)
	defer u.drop() // drops what is neither committed nor saved
	t.do = func(context.Context) (answer, error) {
		if err == nil && u.left != 0 {
			err = fmt.Errorf("%w: weight ends %d bytes early", transport.ErrProtocol, u.left)
		}
		if err == nil {
			err = u.open()
		}
		if err != nil {
			return answer{}, err
		}
		if err := u.in.Commit(); err != nil {
			return answer{}, err
		}
		committed = true
		return answer{}, u.s.brought(u.value.Hash)
	}
	t.run()
	if committed {
		u.in.save()
	}
}

// drop drops what has not been committed.
func (u *upload) drop() {
	if u.in != nil {
		u.in.Abort()
	}
}

// reserve takes memory for data in transit, charged to the tenant.
func (u *upload) reserve(n int64) error {
	err := u.c.s.charge(u.c.tenant, n, "a weight under way")
	if err == nil {
		u.held += n
	}
	return err
}

func (u *upload) unreserve() {
	u.c.s.uncharge(u.c.tenant, u.held)
	u.held = 0
}

// giveBack retains buffers of the usual size for other uploads.
func (u *upload) giveBack() {
	u.unreserve()
	u.release()
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

// write is one Write; a panic in it is an error.
func (u *upload) write(b []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = u.st.panicked(r)
		}
	}()
	if u.in == nil && u.got+uint64(len(b)) < u.earnest() {
		return u.wait(b)
	}
	if err := u.open(); err != nil {
		return err
	}
	_, err = u.in.Write(b)
	return err
}

// The part of a weight that has to arrive before the weight takes its memory,
// which is at most eight times as much. A small weight takes its memory at
// once.
const (
	earnestPart  = 8
	earnestBytes = 256 << 10
)

func (u *upload) earnest() uint64 {
	if u.want <= earnestBytes {
		return 0
	}
	return u.want / earnestPart
}

// wait stores the next bytes.
func (u *upload) wait(b []byte) error {
	end := u.got + uint64(len(b))
	if have := uint64(len(u.early)); end > have {
		size := pages(min(max(end, 2*have), u.earnest()))
		more := int64(size - have)
		if err := u.c.tenant.bytes.take(more); err != nil {
			return err
		}
		grown, err := u.c.s.staging.grow(u.early, size)
		u.early = grown
		if err != nil {
			u.c.tenant.bytes.give(more)
			return err
		}
	}
	copy(u.early[u.got:], b)
	u.got = end
	return nil
}

// open takes the weight's memory, if that has not been done, and moves the
// stored bytes into it.
func (u *upload) open() (err error) {
	if u.in != nil {
		return nil
	}
	s := u.c.s
	n, err := s.opts.Engine.WeightMemory(u.program, u.value)
	if err != nil {
		return err
	}
	if err := u.c.tenant.bytes.take(n); err != nil {
		return err
	}
	defer func() {
		if u.in == nil {
			u.c.tenant.bytes.give(n)
		}
	}()
	in, err := s.newIncoming(u.program, u.value, u.want)
	if err != nil {
		return err
	}
	in.payer, in.paid = u.c.tenant, n
	u.in = in
	if u.got > 0 {
		_, err = in.Write(u.early[:u.got])
	}
	u.release()
	return err
}

// release frees the memory of the first bytes.
func (u *upload) release() {
	if u.early != nil {
		u.c.tenant.bytes.give(int64(len(u.early)))
		u.c.s.staging.put(u.early)
		u.early = nil
	}
}
