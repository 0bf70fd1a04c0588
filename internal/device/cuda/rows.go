package cuda

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/halt"
)

// CopyRows implements [device.Memory] in one launch, which takes less time than
// asking whether to stop is worth.
func (d *Device) CopyRows(dst device.Piece, to int, src device.Piece, from, n int, s device.State, _ halt.Func) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.leave()
	st, err := d.stream()
	if err != nil {
		return err
	}
	defer d.giveStream(st)
	err = d.check(d.queueRows(st, dst, to, src, from, n, s))
	if late := st.wait(); err == nil {
		err = late
	}
	return err
}

func (d *Device) queueRows(st *stream, dst device.Piece, to int, src device.Piece, from, n int, s device.State) error {
	out, in := dst.Buffer.(*buffer), src.Buffer.(*buffer)
	if s.Axis >= 0 {
		a, b := kernels.Piece{At: out.at, Positions: dst.Positions}, kernels.Piece{At: in.at, Positions: src.Positions}
		return d.kernels.CopyRows(st, a, to, b, from, n, s.DType, s.Shape, s.Axis)
	}
	if all := min(out.n, in.n); all > 0 {
		return st.Copy(out.at, in.at, int64(all))
	}
	return nil
}
