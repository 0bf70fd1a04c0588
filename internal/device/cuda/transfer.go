package cuda

import (
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/halt"
)

// transfer copies between memory of this process and of the device, in pieces
// through two pieces of page-locked memory: one is filled or emptied while the
// other is copied.
type transfer struct {
	st     *stream
	halves [2]*pinned
}

// begin takes a stream and page-locked memory for n bytes. Few transfers hold
// any at once, and none waits for anything but the device.
func (d *Device) begin(n int) (t transfer, err error) {
	d.staging.turns <- struct{}{}
	if t.st, err = d.stream(); err != nil {
		d.end(&t)
		return t, err
	}
	for i := range t.halves {
		if i > 0 && n <= transferPiece {
			break
		}
		if t.halves[i], err = d.staging.take(min(n, transferPiece)); err != nil {
			d.end(&t)
			return t, err
		}
	}
	return t, nil
}

// end gives them back.
func (d *Device) end(t *transfer) {
	for _, p := range t.halves {
		d.staging.give(p)
	}
	if t.st != nil {
		d.giveStream(t.st)
	}
	<-d.staging.turns
}

// download copies device memory to dst until h says stop, after what is
// queued nowhere any more.
func (d *Device) download(dst []byte, at driver.Ptr, h halt.Func) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.leave()
	if len(dst) == 0 {
		return nil
	}
	t, err := d.begin(len(dst))
	if err != nil {
		return err
	}
	defer d.end(&t)
	return t.finish(t.out(dst, at, h))
}

// out copies pieces from the device: the next one is queued before the last one
// is emptied.
func (t *transfer) out(dst []byte, at driver.Ptr, h halt.Func) error {
	queued, emptied := 0, 0 // bytes
	for i := 0; emptied < len(dst); i++ {
		if queued < len(dst) && !h.Now() {
			n := min(transferPiece, len(dst)-queued)
			if err := t.st.queueOut(i%2, t.halves[i%2].mem[:n], at+driver.Ptr(queued)); err != nil {
				return err
			}
			queued += n
		}
		if i == 0 && queued < len(dst) {
			continue
		}
		if emptied == queued {
			return nil // halted
		}
		k := emptied / transferPiece % 2
		if err := t.st.reached(k); err != nil {
			return err
		}
		emptied += copy(dst[emptied:queued], t.halves[k].mem[:min(transferPiece, len(dst)-emptied)])
	}
	return nil
}

// upload copies src to device memory until h says stop.
func (d *Device) upload(at driver.Ptr, src []byte, h halt.Func) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.leave()
	if len(src) == 0 {
		return nil
	}
	t, err := d.begin(len(src))
	if err != nil {
		return err
	}
	defer d.end(&t)
	return t.finish(t.in(at, src, h))
}

// in copies pieces to the device: the next one is filled while the last one is
// copied.
func (t *transfer) in(at driver.Ptr, src []byte, h halt.Func) error {
	for i, done := 0, 0; done < len(src) && !h.Now(); i++ {
		if i >= 2 {
			if err := t.st.reached(i % 2); err != nil {
				return err
			}
		}
		half := t.halves[i%2].mem
		n := copy(half[:min(transferPiece, len(src)-done)], src[done:])
		if err := t.st.queueIn(i%2, at+driver.Ptr(done), half[:n]); err != nil {
			return err
		}
		done += n
	}
	return nil
}

// finish waits for what has been queued, also after an error.
func (t *transfer) finish(err error) error {
	if late := t.st.wait(); err == nil {
		err = late
	}
	return err
}
