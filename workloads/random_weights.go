package workloads

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/genie-sdk/go/transport"
)

// Seed is the seed of the checkpoints that references were computed from.
const Seed = 1

// NewCheckpoint writes a checkpoint of a named architecture. Its errors wrap
// [ErrUnknownArchitecture], [ErrWeightType], [ErrNoSpace] or [ErrTarget], or are the
// system's or those of ctx.
type NewCheckpoint func(ctx context.Context, preset string, seed uint64, dir string, opts CheckpointOptions) error

// RandomWeightsDir is the directory of the float32 checkpoint of an
// architecture below [ModelsRoot], the output of genie models new PRESET. It is
// created at first use. progress may be nil.
func RandomWeightsDir(ctx context.Context, preset string, write NewCheckpoint, progress transport.Progress) (string, error) {
	root, err := ModelsRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, preset)
	_, err = os.Stat(filepath.Join(dir, "config.json")) // the file that is written last
	if err == nil {
		return dir, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("checkpoint with random weights: %w", err)
	}
	return dir, write(ctx, preset, Seed, dir, CheckpointOptions{Progress: progress})
}
