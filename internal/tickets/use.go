package tickets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport"
)

// Use is one presentation of a ticket. A later one takes its place: its sender has
// lost the connection of the first. One goroutine at a time may use it.
type Use struct {
	t *Table
	k *ticket
	n uint64
}

// Present begins to use a ticket. presents reports whether the caller is its sender
// and knows its secret; nobody else learns more than that there is no such ticket.
func (t *Table) Present(id uint64, presents func(sender transport.PeerID, secret [32]byte) bool) (*Use, error) {
	k := t.find(id)
	if k == nil || !presents(k.spec.Sender, k.secret) {
		return nil, refused(id)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case k.used || k.ending:
		return &Use{t, k, 0}, nil
	case k.gone:
		return nil, refused(id)
	}
	k.uses++
	k.busy = true
	return &Use{t, k, k.uses}, nil
}

func refused(id uint64) error {
	return fmt.Errorf("%w: ticket %d is not known here, or is of another sender", transport.ErrTicket, id)
}

func (t *Table) find(id uint64) *ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.by[id]
}

// Got is how much has arrived; complete means that the ticket is used.
func (u *Use) Got() (n int64, complete bool) {
	u.t.mu.Lock()
	defer u.t.mu.Unlock()
	return u.k.got, u.k.used
}

// Spec is what the ticket is for.
func (u *Use) Spec() *transport.TicketSpec { return &u.k.spec }

// Size is its number of bytes.
func (u *Use) Size() int64 { return u.k.sink.Size() }

// Check reports whether this presentation may write size bytes from offset on: the
// rest of what the ticket is for.
func (u *Use) Check(offset, size int64) error {
	u.t.mu.Lock()
	defer u.t.mu.Unlock()
	if err := u.current(); err != nil {
		return err
	}
	if offset != u.k.got || size != u.k.sink.Size()-offset {
		return fmt.Errorf("%w: ticket %d is for %d bytes, of which %d are here, not for %d from byte %d on",
			transport.ErrTicket, u.k.id, u.k.sink.Size(), u.k.got, size, offset)
	}
	return nil
}

// current is nil while the presentation may write. The caller holds the lock.
func (u *Use) current() error {
	switch k := u.k; {
	case k.used || k.ending:
		return fmt.Errorf("%w: ticket %d was used", transport.ErrTicket, k.id)
	case k.gone:
		return fmt.Errorf("%w: ticket %d has expired or was taken back", transport.ErrTicket, k.id)
	case k.uses != u.n:
		return fmt.Errorf("%w: ticket %d was presented again", transport.ErrTicket, k.id)
	}
	return nil
}

// Write takes the next bytes.
func (u *Use) Write(b []byte) error {
	<-u.k.writes // a write of an earlier presentation is short
	defer func() { u.k.writes <- struct{}{} }()
	at, err := u.next(int64(len(b)))
	if err != nil {
		return err
	}
	if err := u.k.sink.Write(b, at); err != nil {
		return err
	}
	return u.wrote(int64(len(b)))
}

// next is where the next n bytes go.
func (u *Use) next(n int64) (at int64, err error) {
	u.t.mu.Lock()
	defer u.t.mu.Unlock()
	if err := u.current(); err != nil {
		return 0, err
	}
	if at = u.k.got; n > u.k.sink.Size()-at {
		return 0, fmt.Errorf("%w: %d bytes too many for ticket %d", transport.ErrTicket, n-(u.k.sink.Size()-at), u.k.id)
	}
	return at, nil
}

func (u *Use) wrote(n int64) error {
	u.t.mu.Lock()
	defer u.t.mu.Unlock()
	if err := u.current(); err != nil {
		return err
	}
	u.k.got += n
	return nil
}

// Finish puts what has arrived, which is all of it, in its place. If ctx ends before
// that, the ticket can be presented again; after another error it cannot.
func (u *Use) Finish(ctx context.Context) error {
	if err := u.begins(); err != nil {
		return err
	}
	arrived := false
	var err error
	defer func() { // also when it panics
		if u.settles(arrived, err != nil && errors.Is(err, context.Cause(ctx)) && ctx.Err() != nil) {
			u.k.ended(arrived)
		}
	}()
	err = u.k.sink.Arrived(ctx)
	arrived = err == nil
	return err
}

// begins marks that the ticket is being used up.
func (u *Use) begins() error {
	u.t.mu.Lock()
	defer u.t.mu.Unlock()
	if err := u.current(); err != nil {
		return err
	}
	if left := u.k.sink.Size() - u.k.got; left != 0 {
		return fmt.Errorf("%w: ticket %d ends %d bytes early", transport.ErrTicket, u.k.id, left)
	}
	u.k.ending = true
	return nil
}

// settles records the outcome of Finish, and reports whether the ticket has ended.
func (u *Use) settles(arrived, again bool) (ended bool) {
	t, k := u.t, u.k
	t.mu.Lock()
	defer t.mu.Unlock()
	k.ending = false
	if again && !k.owner.closed {
		return false
	}
	t.remove(k)
	if !arrived || k.owner.closed {
		return true
	}
	k.used = true
	t.by[k.id] = k // its sender may ask
	o := k.owner
	if o.used = append(o.used, k.id); len(o.used) > usedTickets {
		delete(t.by, o.used[0])
		o.used = o.used[1:]
	}
	return true
}

// Leave ends the presentation. If the ticket was not used, it can be presented again
// for a while.
func (u *Use) Leave() {
	u.t.mu.Lock()
	defer u.t.mu.Unlock()
	k := u.k
	if k.uses != u.n || !k.busy {
		return
	}
	k.busy = false
	if !k.gone && !k.used {
		k.timer.Reset(max(u.t.linger, time.Until(k.expires)))
	}
}
