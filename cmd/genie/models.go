package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

func (a *app) modelsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "models",
		Short: "List the model architectures, and make checkpoints of them",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(cmd, args)
			}
			return a.models(asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	cmd.AddCommand(a.modelsNewCommand())
	return cmd
}

// models lists the presets.
func (a *app) models(asJSON bool) error {
	list := presets()
	if asJSON {
		return a.printJSON(list)
	}
	if err := a.printf("%-24s %10s %10s %7s %7s  %s\n", "preset", "weights", "float32", "layers", "hidden", "takes"); err != nil {
		return err
	}
	for _, p := range list {
		err := a.printf("%-24s %10s %10s %7d %7d  %s\n",
			p.Name, millions(p.Parameters), formatBytes(float64(p.Bytes)), p.Layers, p.Hidden, p.takes())
		if err != nil {
			return err
		}
	}
	return a.printf("\ngenie models new PRESET --out DIR writes a checkpoint with random weights.\n")
}

// millions writes a number of weights.
func millions(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.1f k", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f M", float64(n)/1e6)
}

type modelsNewOptions struct {
	preset, out, dtype string
	seed               uint64
	force, json        bool
}

func (a *app) modelsNewCommand() *cobra.Command {
	var o modelsNewOptions
	cmd := &cobra.Command{
		Use:   "new PRESET --out DIR",
		Short: "Write a checkpoint with random weights",
		Long: `new writes a checkpoint of a true architecture in the layout of Hugging Face,
with random weights that depend on the seed alone: the same bytes on every
machine. It writes no tokenizer, since no seed gives a vocabulary; generate with
--tokens. It is for measuring, not for reading.`,
		Example: "  genie models new gpt2 --seed 1 --out ./models/gpt2\n  genie models new resnet-50 --out ./models/resnet-50",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("one preset is needed: %s", presetNames())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.preset = args[0]
			return a.modelsNew(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "directory to write, made if absent (required)")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the weights")
	f.StringVar(&o.dtype, "dtype", "f32", "type of the weights: f32, f16 or bf16")
	f.BoolVar(&o.force, "force", false, "replace an existing checkpoint")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return cmd
}

func (a *app) modelsNew(ctx context.Context, o modelsNewOptions) error {
	dtypes := map[string]plan.DType{
		"f32": plan.F32, "float32": plan.F32, "f16": plan.F16, "float16": plan.F16,
		"bf16": plan.BF16, "bfloat16": plan.BF16,
	}
	dtype, ok := dtypes[strings.ToLower(o.dtype)]
	model, known := presetNamed(o.preset)
	switch {
	case !known:
		return usagef("there is no preset %q; there are %s", o.preset, presetNames())
	case o.out == "":
		return usagef("--out is missing: the directory to write")
	case !ok:
		return usagef("--dtype is %q, not f32, f16 or bf16", o.dtype)
	}
	weights := filepath.Join(o.out, "model.safetensors")
	if _, err := os.Lstat(weights); err == nil && !o.force {
		return fmt.Errorf("%s already exists; --force replaces it", weights)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err //nolint:wrapcheck // names the path
	}
	p := a.progress("writing " + o.preset)
	err := model.write(ctx, o.preset, o.seed, o.out, workloads.CheckpointOptions{DType: dtype, Progress: p.report})
	p.stop()
	if err != nil {
		return err
	}
	bytes := model.Parameters * int64(dtype.Size())
	if o.json {
		return a.printJSON(map[string]any{
			"preset": o.preset, "seed": o.seed, "dtype": dtype.String(), "dir": o.out,
			"parameters": model.Parameters, "bytes": bytes,
		})
	}
	return a.printf("%s: %s, seed %d, %s weights, %s\n", o.out, o.preset, o.seed, millions(model.Parameters), formatBytes(float64(bytes)))
}
