package worker

import (
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// arrival is a payload on its way into memory. Memory is taken as the bytes
// arrive: announced bytes cost nothing, and received bytes at most twice their
// size. The memory is contiguous, so it moves when it grows.
type arrival struct {
	s     *session
	parts []stretch
	room  uint64 // size of the whole payload in memory
	want  uint64 // size of the payload
	got   uint64
	mem   []byte
	next  int    // part that the next byte belongs to
	in    uint64 // bytes of that part received
}

// stretch is a part of a payload and its place in memory.
type stretch struct {
	at, n uint64
	cause plan.Cause
}

// add appends n bytes that count as cause, aligned to cache lines.
func (a *arrival) add(n uint64, cause plan.Cause) (at uint64) {
	at = a.room
	a.parts = append(a.parts, stretch{at, n, cause})
	a.room += align(n)
	a.want += n
	return at
}

// fits reports whether the whole payload would fit now.
func (a *arrival) fits() error {
	if err := a.s.tenant.bytes.check(int64(pages(a.room))); err != nil {
		return err
	}
	return a.s.srv.staging.check(pages(a.room))
}

// into is the memory for the next n bytes. It takes that memory.
func (a *arrival) into(n uint64) (*wire.Sink, error) {
	n = min(n, a.want-a.got)
	segs := make([]wire.Segment, 0, min(len(a.parts), 8))
	if n == 0 {
		return wire.NewSink(segs), nil
	}
	if err := a.reach(a.end(n)); err != nil {
		return nil, err
	}
	a.got += n
	for n > 0 {
		p := a.parts[a.next]
		k := min(n, p.n-a.in)
		if k > 0 {
			at := p.at + a.in
			segs = append(segs, wire.Segment{Data: a.mem[at : at+k], Cause: p.cause})
		}
		a.in, n = a.in+k, n-k
		if a.in == p.n {
			a.next, a.in = a.next+1, 0
		}
	}
	return wire.NewSink(segs), nil
}

// end is where the next n bytes end in memory.
func (a *arrival) end(n uint64) uint64 {
	for i, in := a.next, a.in; ; i, in = i+1, 0 {
		p := a.parts[i]
		if n <= p.n-in {
			return p.at + in + n
		}
		n -= p.n - in
	}
}

// reach makes the memory at least n bytes long: as long as the whole payload if
// that is arriving, else twice as long as before.
func (a *arrival) reach(n uint64) error {
	have := uint64(len(a.mem))
	if n <= have {
		return nil
	}
	if have == 0 && n == a.end(a.want) {
		mem, err := a.s.memory(a.room)
		a.mem = mem
		return err
	}
	if have == 0 {
		a.mem = a.s.takeSpare()
		if have = uint64(len(a.mem)); have > a.room+a.room/4 && !a.s.srv.staging.plenty(a.room) {
			a.s.unstage(a.mem)
			a.mem, have = nil, 0
		}
		if have >= n {
			return nil
		}
	}
	mem, err := a.s.extend(a.mem, min(max(n, 2*have), a.room))
	a.mem = mem
	return err
}

// free frees the memory, or retains it for the session's next call.
func (a *arrival) free() {
	a.s.giveBack(a.mem)
	a.mem = nil
}

// A message in parts has to bring minProgress bytes, or the rest of it, within
// Options.Patience: its memory is charged to an identity.
const minProgress = 64 << 10

// progress is what a message in parts has brought.
type progress struct {
	since time.Time
	bytes uint64 // since then
}

// brought counts the payload of a frame of an unfinished message, or of its
// last one.
func (c *conn) brought(st *stream, n uint64, more bool) {
	if !more {
		if st.progress != nil {
			delete(c.inParts, st)
			st.progress = nil
		}
		return
	}
	if st.task == nil {
		return
	}
	if st.progress == nil {
		st.progress = &progress{since: time.Now()}
		c.inParts[st] = struct{}{}
	}
	if st.progress.bytes += n; st.progress.bytes >= minProgress {
		*st.progress = progress{since: time.Now()}
	}
}

// impatient fails stalled messages. It is called whenever anything arrives; a
// client that sends nothing at all is ended by its silence.
func (c *conn) impatient() {
	if len(c.inParts) == 0 {
		return
	}
	now, patience := time.Now(), c.s.opts.Patience
	for st := range c.inParts {
		if st.task == nil || now.Sub(st.progress.since) < patience {
			continue
		}
		delete(c.inParts, st)
		st.fail(fmt.Errorf("%w: %v brought %d bytes in %v, the least is %d", transport.ErrLimit, st.typ, st.progress.bytes, patience, minProgress))
	}
}
