package randomweights

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/internal/safetensors"
)

const (
	chunkElements      = 1 << 18
	chunksInFlight     = 8
	defaultMakeWorkers = 2
)

// chunk is a range of one tensor's elements, passed from the goroutine that
// generates it to the one that writes it.
type chunk struct {
	spec        int
	from, count int64
	data        []byte
	ready       chan struct{} // holds one token when data is filled
}

// writeWeights generates the tensors chunk by chunk in parallel and writes them
// in order. It uses chunksInFlight buffers, so memory is bounded.
func writeWeights(ctx context.Context, w *safetensors.Writer, specs []Spec, seed uint64, dtype safetensors.DType, opts Options) error {
	workers := opts.Workers
	if workers <= 0 {
		workers = defaultMakeWorkers
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	free := make(chan *chunk, chunksInFlight)
	for range chunksInFlight {
		free <- &chunk{ready: make(chan struct{}, 1)}
	}
	todo := make(chan *chunk, chunksInFlight)  // to be generated, in any order
	order := make(chan *chunk, chunksInFlight) // the same, to be written in order
	group.Go(func() error {
		defer close(todo)
		defer close(order)
		return deal(ctx, specs, free, todo, order)
	})
	for range workers {
		group.Go(func() error {
			for c := range todo {
				c.data = newNoise(seed, specs[c.spec]).fill(c.data[:0], specs[c.spec].dtype(dtype), c.from, c.count)
				c.ready <- struct{}{}
			}
			return nil
		})
	}
	err := collect(ctx, w, specs, order, free, size(specs, dtype), opts.Progress)
	if err != nil {
		cancel()
	}
	if waitErr := group.Wait(); err == nil {
		err = waitErr
	}
	return err
}

// deal splits the tensors into chunks. Only the send to free can block: there
// are as many places as chunks.
func deal(ctx context.Context, specs []Spec, free <-chan *chunk, todo, order chan<- *chunk) error {
	for i, s := range specs {
		for from, n := int64(0), s.Elements(); from < n; from += chunkElements {
			select {
			case <-ctx.Done():
				return ctx.Err() //nolint:wrapcheck // wrapped by the caller
			case c := <-free:
				c.spec, c.from, c.count = i, from, min(chunkElements, n-from)
				order <- c
				todo <- c
			}
		}
	}
	return nil
}

// collect writes the chunks in order and returns them.
func collect(ctx context.Context, w *safetensors.Writer, specs []Spec, order <-chan *chunk, free chan<- *chunk, total int64, progress func(done, total int64)) error {
	done := int64(0)
	for c := range order {
		<-c.ready // every chunk in order is in todo as well, or is about to be
		if err := ctx.Err(); err != nil {
			return err //nolint:wrapcheck // wrapped by the caller
		}
		if c.from == 0 {
			if err := w.Begin(specs[c.spec].Name); err != nil {
				return err //nolint:wrapcheck // names file and tensor
			}
		}
		n, err := w.Write(c.data)
		if err != nil {
			return err //nolint:wrapcheck // names file and tensor
		}
		done += int64(n)
		free <- c
		if progress != nil {
			progress(done, total)
		}
	}
	if err := ctx.Err(); err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	if done != total {
		return fmt.Errorf("%d of %d bytes made", done, total)
	}
	return nil
}
