package baselines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
	"github.com/genie-sdk/go/workloads/vision"
	"github.com/genie-sdk/go/workloads/vqa"
)

// EnvCheckpoints names the environment variable with the checkpoints that Go
// benchmarks measure instead of a scale's models: gpt2=DIR,resnet=DIR,clip=DIR.
const EnvCheckpoints = "GENIE_CHECKPOINTS"

// CheckpointOptions configure how [OpenCheckpoints] prepares checkpoints. The
// zero value is ready to use.
type CheckpointOptions struct {
	Progress transport.Progress // of hashing
	Said     func(line string)  // called for each reference that is computed
	Again    bool               // recompute existing references
}

// OpenCheckpoints opens checkpoints named FAMILY=DIR and ensures that each has
// its reference. It computes missing references. Without an environment for
// that, the error is an [ErrUnavailable] that names the commands. An invalid
// name is [ErrUnknown].
func OpenCheckpoints(ctx context.Context, named []string, o CheckpointOptions) ([]*workloads.Checkpoint, error) {
	var all []*workloads.Checkpoint
	for _, n := range named {
		family, dir, ok := strings.Cut(n, "=")
		if !ok || dir == "" || !slices.Contains(workloads.Families(), family) {
			return nil, fmt.Errorf("%w: checkpoint %q, want FAMILY=DIR with one of %s", ErrUnknown, n, strings.Join(workloads.Families(), ", "))
		}
		c, err := workloads.OpenCheckpoint(ctx, family, dir, o.Progress)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(other *workloads.Checkpoint) bool { return other.Family == family && other.Label() == c.Label() }) {
			return nil, fmt.Errorf("%w: %s twice", ErrUnknown, c.Label())
		}
		if err := o.refer(ctx, c); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// refer ensures that a checkpoint has its reference.
func (o CheckpointOptions) refer(ctx context.Context, c *workloads.Checkpoint) error {
	_, err := workloads.ReadReference(c)
	if err == nil && !o.Again || err != nil && !errors.Is(err, workloads.ErrNoReference) && !o.Again {
		return err
	}
	missing := err
	_, err = ComputeReference(ctx, c, o.Said)
	if errors.Is(err, ErrUnavailable) {
		if missing != nil {
			err = fmt.Errorf("%w; %w", missing, err)
		}
		return fmt.Errorf("%w; then run 'genie bench reference --checkpoint %s=%s'", err, c.Family, c.Dir)
	}
	return err
}

// CheckpointWorkloads are the workloads of a checkpoint with a stored
// reference, in every batch size.
func CheckpointWorkloads(c *workloads.Checkpoint) ([]workloads.Workload, error) {
	r, err := workloads.ReadReference(c)
	if err != nil {
		return nil, err
	}
	return checkpointWorkloads(c, r)
}

func checkpointWorkloads(c *workloads.Checkpoint, r *workloads.Reference) (all []workloads.Workload, err error) {
	switch c.Family {
	case workloads.GPT2:
		models, err := llm.OfCheckpoint(c, r)
		for _, w := range models {
			all = append(all, w)
		}
		return all, err
	case workloads.ResNet:
		models, err := vision.OfCheckpoint(c, r)
		for _, w := range models {
			all = append(all, w)
		}
		return all, err
	}
	return vqa.OfCheckpoint(c, r)
}

// WorkloadsFromEnv are the workloads of a name on the checkpoints that
// GENIE_CHECKPOINTS names or, if it names none, those of a scale. A name
// without a matching checkpoint has none.
func WorkloadsFromEnv(ctx context.Context, testdata, name string, scale workloads.Scale) ([]workloads.Workload, error) {
	named := os.Getenv(EnvCheckpoints)
	if named == "" {
		return Workloads(testdata, name, scale)
	}
	checkpoints, err := OpenCheckpoints(ctx, strings.Split(named, ","), CheckpointOptions{
		Said: func(line string) { fmt.Fprintln(os.Stderr, line) },
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", EnvCheckpoints, err)
	}
	var out []workloads.Workload
	for _, c := range checkpoints {
		all, err := CheckpointWorkloads(c)
		if err != nil {
			return nil, err
		}
		for _, w := range all {
			if w.ID().Name == name {
				out = append(out, w)
			}
		}
	}
	return out, nil
}
