package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/baselines/matrix"
	"github.com/genie-sdk/go/workloads"
)

type benchReferenceOptions struct {
	checkpoints []string
	again, json bool
}

func (a *app) benchReferenceCommand() *cobra.Command {
	var o benchReferenceOptions
	cmd := &cobra.Command{
		Use:   "reference --checkpoint FAMILY=DIR",
		Short: "Compute a checkpoint's reference outputs with transformers",
		Long: `reference computes the expected results of the workloads on a checkpoint, with
transformers in the environment of genie bench setup. It stores them below the
user's cache folder (or in GENIE_REFERENCES) by the hash of the checkpoint's
content. A checkpoint that has a reference is left unchanged. genie bench run
--checkpoint computes missing references too.

  gpt2      llm-decode and llm-prefill: greedy tokens of random prompts
  resnet    vision-cnn: logits of images
  clip      multimodal-vqa: logits of images and texts
  easy-vqa  multimodal-vqa: logits of questions about images`,
		Example: "  genie bench reference --checkpoint gpt2=./gpt2-xl,resnet=./resnet-50,clip=./clip-vit-base-patch32",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.checkpoints) == 0 {
				return usagef("--checkpoint FAMILY=DIR is missing")
			}
			return a.benchReference(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.checkpoints, "checkpoint", nil, "checkpoints, FAMILY=DIR separated by commas (required)")
	f.BoolVar(&o.again, "again", false, "also recompute existing references")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return cmd
}

// keptReference is the report about a checkpoint and its reference.
type keptReference struct {
	workloads.Checkpoint

	File     string            `json:"file"`
	Versions map[string]string `json:"versions"`
}

func (a *app) benchReference(ctx context.Context, o benchReferenceOptions) error {
	opened, err := a.openCheckpoints(ctx, o.checkpoints, o.again)
	if err != nil {
		return err
	}
	all := []keptReference{}
	for _, c := range opened {
		r, err := workloads.ReadReference(c)
		if err != nil {
			return err //nolint:wrapcheck // names the file
		}
		file, err := workloads.ReferenceFile(c)
		if err != nil {
			return err //nolint:wrapcheck // says what it did
		}
		all = append(all, keptReference{*c, file, r.Versions})
	}
	if o.json {
		return a.printJSON(struct {
			References []keptReference `json:"references"`
		}{all})
	}
	for _, k := range all {
		if err := a.printf("%s %s: %s, by transformers %s\n", k.Family, k.Label(), k.File, k.Versions["transformers"]); err != nil {
			return err
		}
	}
	return nil
}

// openCheckpoints opens checkpoints and computes missing references, with
// progress on standard error.
func (a *app) openCheckpoints(ctx context.Context, named []string, again bool) ([]*workloads.Checkpoint, error) {
	hashing := a.progress("hashing weights")
	defer hashing.stop()
	opened, err := baselines.OpenCheckpoints(ctx, named, baselines.CheckpointOptions{
		Progress: hashing.report, Again: again,
		Said: func(line string) { _, _ = fmt.Fprintln(a.stderr, line) },
	})
	if errors.Is(err, baselines.ErrUnknown) {
		return nil, &usageError{err}
	}
	return opened, err //nolint:wrapcheck // names the checkpoint
}

// benchCheckpoints replaces a scale's models by checkpoints and adds them to
// the header: a recording of some checkpoints is not continued with others.
func (a *app) benchCheckpoints(ctx context.Context, o *benchRunOptions, header *matrix.Header) error {
	opened, err := a.openCheckpoints(ctx, o.checkpoints, false)
	if err != nil {
		return err
	}
	o.Checkpoints, header.Scale = opened, "checkpoint"
	for _, c := range opened {
		header.Versions["checkpoint/"+c.Label()] = fmt.Sprintf("%s sha256:%s", c.Family, c.Hash)
		if o.alive == 0 && c.Scale() == workloads.Full {
			o.alive = 1
		}
	}
	return nil
}
