package cudahost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/transport/plan"
)

// size is how much work a probe is.
type size struct {
	time    time.Duration // how long it repeats; the fastest time counts
	bytes   int64         // that are copied, at most a quarter of what is free
	m, k, n int           // of a product
}

// large is work that fills a device for a moment, with more than its caches hold.
var large = size{time: 200 * time.Millisecond, bytes: 1 << 30, m: 2048, k: 4096, n: 4096}

// probe measures the rates of a device, in a context of its own.
func probe(ctx context.Context, d driver.Driver, ordinal int, of size) (rates host.Rates, err error) {
	c, err := d.Open(ordinal)
	if err != nil {
		return rates, err
	}
	// It takes along what a probe has allocated, if that fails.
	defer func() { err = errors.Join(err, c.Close()) }()
	p, err := newProber(c, of)
	if err != nil {
		return rates, err
	}
	if rates.Copies, err = p.copies(ctx); err != nil {
		return rates, fmt.Errorf("memory: %w", err)
	}
	set, err := kernels.Load(c)
	if err != nil {
		return rates, err
	}
	for _, dtype := range []plan.DType{plan.F32, plan.BF16} {
		flops, err := p.products(ctx, set, dtype)
		if err != nil {
			return rates, fmt.Errorf("products of %v: %w", dtype, err)
		}
		rates.Products = append(rates.Products, host.ProductRate{DType: dtype.String(), FLOPs: flops})
	}
	return rates, nil
}

// prober times work of one stream on the device.
type prober struct {
	size
	ctx        driver.Context
	stream     driver.Stream
	begin, end driver.Event
}

func newProber(c driver.Context, of size) (*prober, error) {
	p := &prober{size: of, ctx: c}
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
	for begin := time.Now(); best == 0 || time.Since(begin) < p.time; {
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
	n := min(p.bytes, free/4) &^ 255
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

// half is 0.5 in bfloat16, twice, and a little more than 0.5 in float32.
const half = 0x3f003f00

// products is the floating-point operations per second of a product of rows with a
// weight of a type, as prefill computes it.
func (p *prober) products(ctx context.Context, set *kernels.Set, dtype plan.DType) (float64, error) {
	w := kernels.Packed{Elem: dtype, K: p.k, N: p.n}
	packed, source := kernels.PackedBytes(dtype, p.k, p.n), int64(p.k)*int64(p.n)*int64(dtype.Size())
	var a, out, from, scratch driver.Ptr
	for _, of := range []struct {
		at    *driver.Ptr
		bytes int64
	}{
		{&w.At, packed},
		{&from, source},
		{&a, int64(p.m) * int64(p.k) * 4},
		{&out, int64(p.m) * int64(p.n) * 4},
		{&scratch, int64(set.ProductScratch(&w, p.m))},
	} {
		var err error
		if *of.at, err = p.ctx.Alloc(of.bytes); err != nil {
			return 0, err
		}
	}
	err := errors.Join(
		set.Fill(p.stream, a, half, p.m*p.k),
		set.Fill(p.stream, from, half, int(source/4)),
		set.Pack(p.stream, w.At, dtype, p.k, p.n, from, false, 0, p.k),
	)
	if err != nil {
		return 0, err
	}
	rows := []kernels.Rows{{A: a, Out: out, Count: p.m, StrideA: p.k, StrideOut: p.n}}
	took, err := p.fastest(ctx, func() error { return set.Product(p.stream, &w, rows, scratch) })
	if err != nil {
		return 0, err
	}
	for _, at := range []driver.Ptr{w.At, from, a, out, scratch} {
		err = errors.Join(err, p.ctx.Free(at))
	}
	return 2 * float64(p.m) * float64(p.k) * float64(p.n) / took.Seconds(), err
}
