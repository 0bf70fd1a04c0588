package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// opening is the run that gives a loop its first tokens.
type opening struct {
	call  *call
	reset bool
	token int
}

// calls makes the calls of a loop. The payload is the inputs of the opening, if
// there is one, and of the loop's first run; the loop owns the memory for both.
func (r *repetition) calls(st *stream, h wire.Header, m *wirepb.Loop, control int) (err error) {
	o := m.GetOpening()
	if o == nil {
		r.call, err = st.newCall(h, m.GetRun(), control)
		return err
	}
	st.bound(m.GetRun().GetDeadlineMs())
	first, firstSizes, err := st.callOf(o.GetRun())
	if err != nil {
		return err
	}
	c, sizes, err := st.callOf(m.GetRun())
	if err != nil {
		return err
	}
	if c.s != first.s {
		return fmt.Errorf("%w: a loop of two sessions", transport.ErrProtocol)
	}
	check := transport.Opening{Token: int(o.GetToken())}
	if err := check.Check(first.p.layout.Plan); err != nil {
		return err
	}
	c.arrival = &arrival{s: c.s}
	first.lies(c.arrival, firstSizes)
	c.lies(c.arrival, sizes)
	if err := st.total(h, m.GetRun().GetBytes(), c.arrival.want); err != nil {
		return err
	}
	if err := c.receive(len(firstSizes)+len(sizes), control); err != nil {
		return err
	}
	st.arrival, st.complete = c.arrival, func(mem []byte) {
		first.arrived(mem)
		c.arrived(mem)
	}
	r.call, r.opening = c, &opening{call: first, reset: o.GetFresh(), token: check.Token}
	return nil
}

// open makes the opening's run, which is answered like those of the loop.
func (r *repetition) open(ctx context.Context) ([]byte, time.Duration, error) {
	o := r.opening
	if o.reset {
		o.call.s.es.Reset()
	}
	o.call.place = r.call.place
	return o.call.once(ctx, o.token)
}
