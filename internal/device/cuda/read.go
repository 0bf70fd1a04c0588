package cuda

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
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
	at := r.tensors[v].At
	if !r.bound.Contiguous(v) {
		at = r.scratch()
	}
	if err := r.copyTo(v, at); err != nil {
		return err
	}
	return r.d.download(dst[:n], r.tensors[v].At, r.halt)
}

// Copy implements [device.Run].
func (r *run) Copy(v int, dst device.Buffer) (err error) {
	defer device.Recovered(&err)
	if r.bound.Bytes(v) == 0 {
		return r.d.usable()
	}
	return r.copyTo(v, dst.(*buffer).at)
}
