package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/kernels"
)

// probeTime is how long a probe repeats; the fastest time counts.
const probeTime = 200 * time.Millisecond

// fastest runs f on threads 0 to n-1 at once, repeatedly, and returns the
// shortest time for all of them.
func fastest(ctx context.Context, n int, f func(thread int)) time.Duration {
	var best time.Duration
	for begin := time.Now(); best == 0 || time.Since(begin) < probeTime && ctx.Err() == nil; {
		t := time.Now()
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { f(i) })
		}
		wg.Wait()
		if d := time.Since(t); best == 0 || d < best {
			best = max(d, 1)
		}
	}
	return best
}

// checkReads measures the rate of memory reads, which limits decoding.
func checkReads(ctx context.Context) check {
	const bytes = 256 << 20 // more than caches hold
	one, all := reads(ctx, 1, bytes), reads(ctx, runtime.GOMAXPROCS(0), bytes)
	return check{
		"memory reads", statusOK, fmt.Sprintf("%.1f GB/s on one thread, %.1f GB/s on %d", one/1e9, all/1e9, runtime.GOMAXPROCS(0)),
		map[string]any{"one_thread_bytes_per_s": one, "bytes_per_s": all},
	}
}

// reads is the rate at which threads read memory of the given size, in B/s.
func reads(ctx context.Context, threads, bytes int) float64 {
	data := make([]float32, bytes/4)
	for i := range data {
		data[i] = 1
	}
	part := len(data) / threads
	sums := make([]float32, threads)
	d := fastest(ctx, threads, func(i int) { sums[i] = kernels.Sum(data[i*part : (i+1)*part]) })
	return float64(4*part*threads) / d.Seconds()
}

// checkProducts measures the rate of float32 matrix products with operands in a
// cache, which limits prefill.
func checkProducts(ctx context.Context) check {
	one, all := products(ctx, 1), products(ctx, runtime.GOMAXPROCS(0))
	return check{
		"matrix products", statusOK, fmt.Sprintf("%.0f GFLOP/s on one thread, %.0f GFLOP/s on %d", one/1e9, all/1e9, runtime.GOMAXPROCS(0)),
		map[string]any{"one_thread_flops": one, "flops": all},
	}
}

// products is the rate of float32 matrix products with operands in a cache, in FLOP/s.
func products(ctx context.Context, threads int) float64 {
	const m, n, k = 96, 1024, 512
	panels := kernels.Panels(n)
	a, b := make([]float32, m*k), make([]float32, k*n)
	for i := range a {
		a[i] = float32(i%7) - 3
	}
	for i := range b {
		b[i] = float32(i%5) - 2
	}
	packed, c := make([]float32, kernels.PackedLen(k, n)), make([]float32, m*n)
	kernels.Pack(packed, b, n, 1, k, n)
	d := fastest(ctx, threads, func(i int) {
		kernels.GemmPacked(c, n, a, k, packed, m, n, k, i*panels/threads, (i+1)*panels/threads, nil)
	})
	return 2 * m * n * k / d.Seconds()
}

// checkLoopback measures TCP within this machine, the limit for a worker on it.
func checkLoopback(ctx context.Context) check {
	const name = "loopback TCP"
	near, far, err := loopback(ctx)
	if err != nil {
		return failure(name, err)
	}
	defer near.Close()
	defer far.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = near.Close(), far.Close() })
	defer stop()
	trip, err := roundTrip(near, far)
	if err != nil {
		return failure(name, err)
	}
	rate, err := throughput(near, far)
	if err != nil {
		return failure(name, err)
	}
	return check{
		name, statusOK, fmt.Sprintf("round trip %.0f us, %.1f GB/s", float64(trip.Nanoseconds())/1e3, rate/1e9),
		map[string]any{"round_trip_us": float64(trip.Nanoseconds()) / 1e3, "bytes_per_s": rate},
	}
}

// loopback returns both ends of a connection.
func loopback(ctx context.Context) (near, far net.Conn, err error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // names the address
	}
	defer l.Close()
	var d net.Dialer
	// The kernel completes the connection before it is accepted.
	if near, err = d.DialContext(ctx, "tcp", l.Addr().String()); err != nil {
		return nil, nil, err //nolint:wrapcheck // names the address
	}
	if far, err = l.Accept(); err != nil {
		return nil, nil, errors.Join(err, near.Close())
	}
	return near, far, nil
}

// roundTrip is the median time of a short message and its answer.
func roundTrip(near, far net.Conn) (time.Duration, error) {
	const rounds, size = 2000, 64
	echoed := make(chan error, 1)
	go func() {
		_, err := io.CopyN(far, far, rounds*size)
		echoed <- err
	}()
	buf := make([]byte, size)
	times := make([]time.Duration, rounds)
	for i := range times {
		begin := time.Now()
		if _, err := near.Write(buf); err != nil {
			return 0, err //nolint:wrapcheck // names the addresses
		}
		if _, err := io.ReadFull(near, buf); err != nil {
			return 0, err //nolint:wrapcheck // names the addresses
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return times[rounds/2], <-echoed
}

// throughput is bytes per second in one direction.
func throughput(near, far net.Conn) (float64, error) {
	const size, chunk = 512 << 20, 1 << 20
	sent := make(chan error, 1)
	begin := time.Now()
	go func() {
		buf := make([]byte, chunk)
		for range size / chunk {
			if _, err := near.Write(buf); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	buf := make([]byte, chunk)
	for left := size; left > 0; {
		n, err := far.Read(buf[:min(chunk, left)])
		if err != nil {
			return 0, err //nolint:wrapcheck // names the addresses
		}
		left -= n
	}
	rate := float64(size) / time.Since(begin).Seconds()
	return rate, <-sent
}
