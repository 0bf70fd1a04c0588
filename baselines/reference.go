package baselines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/genie-sdk/go/baselines/systems"
	"github.com/genie-sdk/go/internal/imaging"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
	"github.com/genie-sdk/go/workloads/vision"
	"github.com/genie-sdk/go/workloads/vqa"
)

// ComputeReference lets transformers compute the expected results of a
// checkpoint's workloads, in the environment that [systems.Setup] made, and
// stores them. said is called for each part, and may be nil. Without the
// environment the error is [ErrUnavailable].
func ComputeReference(ctx context.Context, c *workloads.Checkpoint, said func(string)) (file string, err error) {
	if said == nil {
		said = func(string) {}
	}
	p, err := systems.Start(ctx, systems.Reference, systems.Options{})
	if errors.Is(err, systems.ErrUnavailable) {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if _, err := p.Call(ctx, "open", map[string]any{"family": c.Family, "dir": c.Dir}, nil, nil); err != nil {
		return "", err
	}
	parts := map[string]json.RawMessage{}
	calls := referenceCalls(c)
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		said(fmt.Sprintf("%s: computing %s with transformers %s", c.Label(), name, p.Versions()["transformers"]))
		var part json.RawMessage
		if _, err := p.Call(ctx, calls[name].op, calls[name].args, nil, &part); err != nil {
			return "", fmt.Errorf("%s of %s: %w", name, c.Label(), err)
		}
		parts[name] = part
	}
	if _, err := checkpointWorkloads(c, &workloads.Reference{Name: c.Name, Parts: parts}); err != nil {
		return "", err
	}
	return workloads.WriteReference(c, p.Versions(), parts)
}

// referenceCall is an operation of [systems.Reference].
type referenceCall struct {
	op   string
	args map[string]any
}

// referenceCalls are the calls that a checkpoint's reference needs, by part.
func referenceCalls(c *workloads.Checkpoint) map[string]referenceCall {
	calls := map[string]referenceCall{}
	switch c.Family {
	case workloads.GPT2:
		for part, sequences := range llm.Parts(c) {
			calls[part] = referenceCall{"generations", map[string]any{"part": part, "sequences": sequences}}
		}
	case workloads.ResNet:
		calls[vision.Part] = referenceCall{"vision", map[string]any{"images": vision.CheckpointImages, "size": imageSize(c.Dir)}}
	default:
		calls[vqa.Part] = referenceCall{"vqa", map[string]any{"images": vqa.CheckpointImages}}
	}
	return calls
}

// imageSize is the size of a classifier's input images: the output size of its
// preprocessor_config.json, where that is square, and 224 otherwise.
func imageSize(dir string) int {
	const usual = 224
	p, err := imaging.LoadProcessor(dir, imaging.ConvNext)
	if err != nil {
		return usual
	}
	out, err := p.Process(imaging.NewImage(usual, usual))
	if err != nil || out.Height != out.Width {
		return usual
	}
	return out.Height
}
