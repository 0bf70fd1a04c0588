package cudahost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/host"
)

const (
	// probeTime is how long a probe repeats; the fastest time counts.
	probeTime = 200 * time.Millisecond
	// probeBytes are copied, much more than caches hold, where there is as much.
	probeBytes = 1 << 30
)

// probe measures the rates of a device, in a context of its own.
func probe(ctx context.Context, d driver.Driver, ordinal int) (rates host.Rates, err error) {
	c, err := d.Open(ordinal)
	if err != nil {
		return rates, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	p, err := newProber(c)
	if err != nil {
		return rates, err
	}
	rates.Copies, err = p.copies(ctx)
	return rates, err
}

// prober times work of one stream on the device.
type prober struct {
	ctx        driver.Context
	stream     driver.Stream
	begin, end driver.Event
}

func newProber(c driver.Context) (*prober, error) {
	p := &prober{ctx: c}
	var err error
	if p.stream, err = c.NewStream(); err != nil {
		return nil, err
	}
	if p.begin, err = c.NewEvent(); err != nil {
		return nil, err
	}
	p.end, err = c.NewEvent()
	return p, err
}

// fastest runs work repeatedly and returns the shortest time, as the device has it.
func (p *prober) fastest(ctx context.Context, work func() error) (time.Duration, error) {
	var best time.Duration
	for begin := time.Now(); best == 0 || time.Since(begin) < probeTime; {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		if err := errors.Join(p.stream.Record(p.begin), work(), p.stream.Record(p.end), p.stream.Synchronize()); err != nil {
			return 0, err
		}
		took, err := p.end.Since(p.begin)
		if err != nil {
			return 0, err
		}
		if best == 0 || took < best {
			best = max(took, 1)
		}
	}
	return best, nil
}

// copies is the bytes per second that the device's memory reads and writes.
func (p *prober) copies(ctx context.Context) (float64, error) {
	free, _, err := p.ctx.MemInfo()
	if err != nil {
		return 0, err
	}
	n := min(probeBytes, free/4) &^ 255
	if n == 0 {
		return 0, fmt.Errorf("genie: a device with %d bytes of free memory is not measured", free)
	}
	from, err := p.ctx.Alloc(n)
	if err != nil {
		return 0, err
	}
	to, err := p.ctx.Alloc(n)
	if err != nil {
		return 0, err
	}
	if err := p.stream.Fill(from, 1, n); err != nil {
		return 0, err
	}
	took, err := p.fastest(ctx, func() error { return p.stream.Copy(to, from, n) })
	if err != nil {
		return 0, err
	}
	return 2 * float64(n) / took.Seconds(), errors.Join(p.ctx.Free(from), p.ctx.Free(to))
}
