// Package randomweights writes checkpoints with random weights that a seed fixes to
// the last bit: for measuring with a true architecture where no trained weights
// are at hand. What the architectures are is the business of the packages below
// workloads.
package randomweights

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
	"github.com/genie-sdk/go/transport/plan"
)

var (
	// ErrNoSpace marks a disk without room for the checkpoint.
	ErrNoSpace = errors.New("genie: not enough free disk space")
	// ErrDType marks an element type that weights cannot be made in.
	ErrDType = errors.New("genie: weights cannot be made in this type")
	// ErrUnknown marks the name of an architecture that nothing knows.
	ErrUnknown = errors.New("genie: unknown architecture")
)

// Files of a checkpoint.
const (
	weightsFile = "model.safetensors"
	configFile  = "config.json"
)

// Options change how [Write] works. The zero value is usable. Its fields are those of
// workloads.CheckpointOptions, which converts to it.
type Options struct {
	// DType is F32 (the default), F16 or BF16. Narrower weights are those of
	// F32, rounded to nearest even.
	DType plan.DType
	// Progress, if set, receives the bytes written so far and the total, from
	// the calling goroutine.
	Progress func(done, total int64)
	// Workers is the number of goroutines that generate numbers; 2 when it is
	// 0. The bytes do not depend on it.
	Workers int
}

// Storage is what DType is in a file, with its default, or an error that wraps [ErrDType].
func (o Options) Storage() (safetensors.DType, error) {
	switch o.DType {
	case plan.Invalid, plan.F32:
		return safetensors.F32, nil
	case plan.F16:
		return safetensors.F16, nil
	case plan.BF16:
		return safetensors.BF16, nil
	case plan.I32, plan.I64, plan.Bool:
	}
	return "", fmt.Errorf("%w: %v", ErrDType, o.DType)
}

// Checkpoint is what to write.
type Checkpoint struct {
	Specs  []Spec            // in the order of the file
	Config []byte            // config.json
	Files  map[string][]byte // other small files, by name
}

// Write makes a checkpoint in dir, made if absent: model.safetensors, the other
// files, and config.json.
//
// Specs, seed and dtype fix every byte on every machine: weights come from a
// counter-based integer generator and single IEEE operations, and a tensor's
// numbers depend on the seed and its name alone.
//
// The weights go through a small buffer, whatever the model's size. Every file
// appears whole or not at all, config.json last; cancelling ctx removes what is
// under way and returns its error. Too little free space gives [ErrNoSpace]
// before anything is written.
func Write(ctx context.Context, dir string, c Checkpoint, seed uint64, opts Options) (err error) {
	dtype, err := opts.Storage()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // a checkpoint is not secret
		return fmt.Errorf("make the checkpoint's folder: %w", err)
	}
	if err := checkSpace(dir, size(c.Specs, dtype)); err != nil {
		return err
	}
	entries := make([]safetensors.Entry, len(c.Specs))
	for i, s := range c.Specs {
		entries[i] = safetensors.Entry{Name: s.Name, DType: s.dtype(dtype), Shape: s.Shape}
	}
	path := filepath.Join(dir, weightsFile)
	w, err := safetensors.Create(path, entries, map[string]string{"format": "pt"})
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	if err := writeWeights(ctx, w, c.Specs, seed, dtype, opts); err != nil {
		return fmt.Errorf("write checkpoint %s: %w", path, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Files)) {
		if err := atomicfile.WriteFile(filepath.Join(dir, name), c.Files[name]); err != nil {
			return fmt.Errorf("write checkpoint: %w", err)
		}
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, configFile), c.Config); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// checkSpace refuses what does not fit, with some room for the header.
func checkSpace(dir string, bytes int64) error {
	const slack = 16 << 20
	free, ok := freeBytes(dir)
	if ok && free < uint64(bytes)+slack {
		return fmt.Errorf("%w: %s has %d bytes free, the checkpoint takes %d", ErrNoSpace, dir, free, bytes)
	}
	return nil
}
