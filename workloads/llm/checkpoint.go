package llm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// ModelDir is the directory of the float32 checkpoint at a scale. It generates
// a missing one, which writes 0.5 GB at the small scale and 6.2 GB at the full
// one; progress may be nil.
func ModelDir(ctx context.Context, testdata string, scale workloads.Scale, progress transport.Progress) (string, error) {
	return ModelDirAs(ctx, testdata, scale, plan.F32, progress)
}

// ModelDirAs is [ModelDir] with the same weights rounded to another type: F16
// or BF16. The tiny scale has only F32.
func ModelDirAs(ctx context.Context, testdata string, scale workloads.Scale, dtype plan.DType, progress transport.Progress) (string, error) {
	arch := preset(scale)
	if arch == "" {
		if dtype != plan.F32 {
			return "", fmt.Errorf("%w: no %v checkpoint at scale %s", workloads.ErrScale, dtype, scale)
		}
		return filepath.Join(testdata, "gpt2", "basic"), nil
	}
	root, err := workloads.ModelsRoot()
	if err != nil {
		return "", err
	}
	name := arch
	if dtype != plan.F32 {
		name += "-" + dtype.String()
	}
	dir := filepath.Join(root, name)
	_, err = os.Stat(filepath.Join(dir, "model.safetensors"))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := os.MkdirAll(root, 0o750); err != nil {
		return "", err
	}
	return dir, gpt2.NewCheckpoint(ctx, arch, 1, dir, gpt2.CheckpointOptions{DType: dtype, Progress: progress})
}
