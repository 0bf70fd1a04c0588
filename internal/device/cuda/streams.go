package cuda

import "github.com/genie-sdk/go/internal/device/cuda/driver"

// spareStreams is how many streams wait for their next use.
const spareStreams = 64

// stream takes a stream in which nothing is queued.
func (d *Device) stream() (*stream, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	if st := d.streams.take(); st != nil {
		return st, nil
	}
	return d.newStream()
}

func (d *Device) newStream() (_ *stream, err error) {
	st := &stream{d: d}
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	if st.Stream, err = d.ctx.NewStream(); err != nil {
		return nil, d.check(err)
	}
	for i := range st.events {
		if st.events[i], err = d.ctx.NewEvent(); err != nil {
			return nil, d.check(err)
		}
	}
	return st, nil
}

// close closes a stream in which nothing is queued.
func (st *stream) close() {
	for _, e := range st.events {
		if e != nil && st.d.usable() == nil {
			_ = st.d.check(e.Close()) // it fails with the context, which the next call finds lost
		}
	}
	if st.Stream != nil && st.d.usable() == nil {
		_ = st.d.check(st.Close())
	}
}

// giveStream takes a stream back. Nothing may be queued in it.
func (d *Device) giveStream(st *stream) {
	if d.usable() == nil && !d.streams.keep(st) {
		st.close()
	}
}

func (s *streams) take() *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.idle)
	if n == 0 {
		return nil
	}
	st := s.idle[n-1]
	s.idle = s.idle[:n-1]
	return st
}

func (s *streams) keep(st *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) >= spareStreams {
		return false
	}
	s.idle = append(s.idle, st)
	return true
}

// wait returns when all queued work is done, with its error.
func (st *stream) wait() error {
	if err := st.d.usable(); err != nil {
		return err
	}
	return st.d.waited(st.Synchronize())
}

// queueOut queues a copy from the device, and event i after it.
func (st *stream) queueOut(i int, dst []byte, at driver.Ptr) error {
	if err := st.CopyOut(dst, at); err != nil {
		return st.d.check(err)
	}
	return st.d.check(st.Record(st.events[i]))
}

// queueIn queues a copy to the device, and event i after it.
func (st *stream) queueIn(i int, at driver.Ptr, src []byte) error {
	if err := st.CopyIn(at, src); err != nil {
		return st.d.check(err)
	}
	return st.d.check(st.Record(st.events[i]))
}

// reached waits for event i.
func (st *stream) reached(i int) error {
	if err := st.d.usable(); err != nil {
		return err
	}
	return st.d.waited(st.events[i].Synchronize())
}
