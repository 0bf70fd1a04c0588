package cuda

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/halt"
)

// CopyRows implements [device.Memory]: a copy for each run of positions that is
// without gaps in both pieces.
func (d *Device) CopyRows(dst device.Piece, to int, src device.Piece, from, n int, s device.State, h halt.Func) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.leave()
	out, in := dst.Buffer.(*buffer), src.Buffer.(*buffer)
	st, err := d.stream()
	if err != nil {
		return err
	}
	defer d.giveStream(st)
	err = d.queueRows(st, out.at, to, dst.Positions, in.at, from, src.Positions, n, min(out.n, in.n), s, h)
	if late := st.wait(); err == nil {
		err = late
	}
	return err
}

// rowsAtOnce is the number of copies queued between two halt checks.
const rowsAtOnce = 1 << 10

func (d *Device) queueRows(st *stream, dst driver.Ptr, to, room int, src driver.Ptr, from, had, n, all int, s device.State, h halt.Func) error {
	if s.Axis < 0 {
		if all == 0 {
			return nil
		}
		return d.check(st.Copy(dst, src, int64(all)))
	}
	outer, row := 1, s.DType.Size() // slices, and bytes of a position in one
	for i, m := range s.Shape {
		switch {
		case i < s.Axis:
			outer *= m
		case i > s.Axis:
			row *= m
		}
	}
	if n*row == 0 {
		return nil
	}
	for i := range outer {
		if i > 0 && i%rowsAtOnce == 0 && h.Now() {
			return nil // the caller that stops it discards the memory
		}
		if err := d.check(st.Copy(dst+driver.Ptr((i*room+to)*row), src+driver.Ptr((i*had+from)*row), int64(n*row))); err != nil {
			return err
		}
	}
	return nil
}
