package cuda

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport"
)

// Read implements [device.Run].
func (r *run) Read(v int, dst []byte) (err error) {
	defer device.Recovered(&err)
	n := r.bound.Bytes(v)
	if n > len(dst) {
		return fmt.Errorf("%w: value %d has %d bytes, the memory for it %d", transport.ErrInternal, v, n, len(dst))
	}
	if n == 0 {
		return r.d.usable()
	}
	for i := range r.fetched {
		if f := &r.fetched[i]; f.valid && f.value == v {
			copy(dst, f.data)
			return nil
		}
	}
	if err := r.d.enter(); err != nil {
		return err
	}
	defer r.d.leave()
	if err := r.bringAll(); err != nil {
		return err
	}
	at := r.tensors[v].At
	if !r.bound.Contiguous(v) {
		at = r.scratch()
		if err := r.copyTo(v, at); err != nil {
			return err
		}
	}
	return r.d.download(dst[:n], at, r.halt)
}

// Copy implements [device.Run].
func (r *run) Copy(v int, dst device.Buffer) (err error) {
	defer device.Recovered(&err)
	if err := r.d.enter(); err != nil {
		return err
	}
	defer r.d.leave()
	if r.bound.Bytes(v) == 0 {
		return nil
	}
	if err := r.bringAll(); err != nil {
		return err
	}
	return r.copyTo(v, dst.(*buffer).at)
}

// bringAll brings what the run reads from this process to the device, where no
// group of this device has run.
func (r *run) bringAll() error {
	if r.uploaded {
		return nil
	}
	err := r.begin()
	if _, late := r.Wait(0); err == nil { // gives the queue back, also after an error
		err = late
	}
	return err
}

// copyTo copies a value, row-major, to memory of the device.
func (r *run) copyTo(v int, at driver.Ptr) error {
	st, err := r.d.stream()
	if err != nil {
		return err
	}
	defer r.d.giveStream(st)
	if r.bound.Contiguous(v) {
		err = r.d.check(st.Copy(at, r.tensors[v].At, int64(r.bound.Bytes(v))))
	} else {
		var strides axes
		err = r.d.check(r.d.kernels.Copy(st, rowMajor(&r.tensors[v], at, &strides), r.tensors[v]))
	}
	if late := st.wait(); err == nil {
		err = late
	}
	return err
}
