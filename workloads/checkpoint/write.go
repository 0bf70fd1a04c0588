package checkpoint

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// fileTypes are the names that files give to types of elements.
var fileTypes = map[plan.DType]safetensors.DType{
	plan.F32: safetensors.F32, plan.F16: safetensors.F16, plan.BF16: safetensors.BF16,
	plan.I32: safetensors.I32, plan.I64: safetensors.I64, plan.Bool: safetensors.BOOL,
}

// Write writes a model directory, which it makes if there is none: config, as JSON,
// to config.json and the weights to model.safetensors. It is for tests of a family,
// and for programs that make models. Of each weight it takes the name, the type,
// the shape and the bytes. Each file appears under its name only when it is
// complete. Errors wrap [ErrWrite] or [ErrTarget], or are the system's.
func Write(ctx context.Context, dir string, config any, weights ...transport.Weight) error {
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("%w: config.json: %w", ErrWrite, err)
	}
	weights = slices.Clone(weights)
	slices.SortStableFunc(weights, func(a, b transport.Weight) int { // the format allows no gaps between tensors
		return cmp.Compare(b.Storage.Size(), a.Storage.Size())
	})
	entries := make([]safetensors.Entry, len(weights))
	for i, w := range weights {
		e := safetensors.Entry{Name: w.Name, DType: fileTypes[w.Storage], Shape: make([]int64, len(w.Shape))}
		for d, n := range w.Shape {
			e.Shape[d] = int64(n)
		}
		if e.DType == "" {
			return fmt.Errorf("%w: %q is %v, which no file has", ErrWrite, w.Name, w.Storage)
		}
		if n, err := e.Bytes(); err != nil || n != int64(len(w.Data)) {
			return fmt.Errorf("%w: %q is %v%v in %d bytes", ErrWrite, w.Name, w.Storage, w.Shape, len(w.Data))
		}
		entries[i] = e
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	if err := writeWeights(ctx, filepath.Join(dir, "model.safetensors"), entries, weights); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, "config.json"), append(text, '\n'))
}

func writeWeights(ctx context.Context, path string, entries []safetensors.Entry, weights []transport.Weight) error {
	w, err := safetensors.CreateContext(ctx, path, entries, map[string]string{"format": "pt"})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	defer func() { _ = w.Abort() }()
	for i := range weights {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("genie: stopped while writing %s: %w", path, context.Cause(ctx))
		}
		if err := w.Begin(weights[i].Name); err != nil {
			return err
		}
		var written error
		if err := weights[i].Read(func(data []byte) { _, written = w.Write(data) }); err != nil {
			return err
		}
		if written != nil {
			return written
		}
	}
	return w.Close()
}
