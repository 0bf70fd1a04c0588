package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// viewBuffer is how much of a mapped file is copied at once.
const viewBuffer = 128 << 10

// findModel takes a weight from the model folder and reports whether it was
// found. If the content does not have the model's hash, it tries once more: the
// folder hashes the model again.
func (r *preparation) findModel(ctx context.Context, p Program, v plan.Value) (found bool, err error) {
	log := r.st.logger().With("model", r.model, "weight", v.Name)
	for range 2 {
		w, err := r.s.srv.opts.Weights.Find(ctx, r.model, v.Hash)
		if ctx.Err() != nil {
			return false, stopped(ctx, w)
		}
		if err != nil {
			log.Debug("weight not in the model folder", "error", err)
			return false, nil
		}
		// All clients may use what the operator's folder has under the given
		// model name.
		if _, ok := r.absent[v.Hash]; !ok && r.absent != nil {
			if w.Release != nil {
				w.Release()
			}
			return true, r.s.brought(v.Hash)
		}
		unusable, err := r.take(ctx, p, v, w)
		if err != nil {
			return false, err
		}
		if unusable == nil {
			return true, r.s.brought(v.Hash)
		}
		log.Warn("weight in the model folder is unusable", "error", unusable)
		if !errors.Is(unusable, transport.ErrCorrupt) || w.Distrust == nil {
			return false, nil
		}
		w.Distrust()
	}
	return false, nil
}

// stopped is the error of a request that ended during the search for a weight;
// a found weight is not taken.
func stopped(ctx context.Context, w transport.Weight) error {
	if w.Release != nil {
		w.Release()
	}
	return fmt.Errorf("genie: stopped: %w", context.Cause(ctx))
}

// take brings a weight of the model folder to the engine. unusable is the fault of the
// weight.
func (r *preparation) take(ctx context.Context, p Program, v plan.Value, w transport.Weight) (unusable, err error) {
	if w.Release != nil {
		defer w.Release()
	}
	if r.buffer == nil {
		if err := r.s.srv.charge(r.s.tenant, viewBuffer, "reading a weight"); err != nil {
			return nil, err
		}
		r.held += viewBuffer
		r.buffer = make([]byte, viewBuffer)
	}
	out, err := r.s.srv.opts.Engine.PutWeight(p, v)
	if err != nil {
		return nil, err
	}
	defer out.Abort()
	return host.Upload(ctx, out, w, r.buffer, r.turns.share, nil)
}
