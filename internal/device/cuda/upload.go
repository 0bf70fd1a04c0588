package cuda

import (
	"encoding/binary"
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
)

// begin gives the run a queue and brings what it reads from this process to the
// device, unless it has both.
func (r *run) begin() error {
	if r.queue == nil {
		q, err := r.d.takeQueue()
		if err != nil {
			return err
		}
		r.queue, r.st = q, q.st
	}
	if r.uploaded {
		return nil
	}
	if err := r.upload(); err != nil {
		return err
	}
	r.uploaded = true
	return nil
}

// upload queues the copy of small values, and of page tables and constants if
// they are not on the device; it copies the large ones.
func (r *run) upload() error {
	w := &r.space
	host := r.queue.host.mem[uploadsFrom:]
	pageable := w.small > len(host)
	if pageable {
		host = make([]byte, w.small) // a plan of many values
	}
	from := w.inputs
	if w.stale {
		from = 0
		for i := range r.states {
			if s := &r.states[i]; len(s.at) > 1 {
				for k, at := range s.at {
					binary.LittleEndian.PutUint64(host[w.tables[i]+8*k:], uint64(at))
				}
			}
		}
		for k, v := range r.code.brought[:r.code.inputs] {
			if err := r.bring(host, k, v, r.prog.Plan().Values[v].Const); err != nil {
				return err
			}
		}
	}
	for k, v := range r.code.brought[r.code.inputs:] {
		in := &r.inputs[r.code.sources[k]]
		if in.Buffer != nil {
			continue
		}
		if err := r.bring(host, r.code.inputs+k, v, in.Data); err != nil {
			return err
		}
	}
	if from < w.small {
		if err := r.d.check(r.queue.st.CopyIn(r.address(from), host[from:w.small])); err != nil {
			return err
		}
		if pageable { // the driver may read it until then, and nothing else refers to it
			if err := r.queue.st.wait(); err != nil {
				return err
			}
		}
	}
	w.stale = false
	r.arena.owner = r.id
	return nil
}

// bring copies a value, number k of those of this process: to the memory that
// is copied as a whole, or to the device.
func (r *run) bring(host []byte, k, v int, data []byte) error {
	n, at := r.bound.Bytes(v), r.space.brought[k]
	if len(data) < n {
		return fmt.Errorf("%w: value %d has %d bytes, not %d", transport.ErrInternal, v, len(data), n)
	}
	if n <= smallValue {
		copy(host[at:], data[:n])
		return nil
	}
	if err := r.d.upload(r.address(at), data[:n], r.halt); err != nil {
		return err
	}
	if r.ctl.Halted() {
		return op.ErrHalted
	}
	return nil
}
