package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

type explainOptions struct {
	model, phase, format, policy string
	hashes, gpu                  string
	batch, texts, seq, past      int
	json                         bool
	dims                         []string
	over                         assumedCluster
}

// explainPast is the length of the prompt, or of the cache, that costs assume.
const explainPast = 72

func (a *app) explainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain --model DIR [--phase prefill|decode] | explain FILE.onnx",
		Short: "Show what each tensor of a model means, and the plan",
		Long: `explain prints the semantically rich graph (SRG) of a checkpoint and the plan
that a policy derives from it. It runs nothing.

  nodes     phase, residency, modality, branch and cost
  edges     bytes, rates, and whether they are on the critical path
  graph     parallel branches, and the cost of each phase

Times are those of a reference CPU, or with --gpu those of a GPU by the peak rates
of its data sheet; the text says which.

It takes checkpoints of these families; what is counted follows its flag:

` + sizesTable() + `
The plan of a model with a cache samples the next token in the given phase.

It also takes an ONNX file; the sizes of the dimensions that the model names follow
--dim.`,
		Example: `  genie explain --model ./gpt2 --phase decode --format text
  genie explain --model ./gpt2 --phase prefill --seq 512 --format dot | dot -Tsvg > prefill.svg
  genie explain --model ./bert-base-uncased --seq 128
  genie explain --model ./resnet-50 --batch 8 --json
  genie explain --model ./clip-vit-base-patch32 --texts 10
  genie explain minilm.onnx --dim batch_size=1 --dim sequence_length=128`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && isONNX(args[0]) && o.model == "" {
				o.model, args = args[0], nil
			}
			if err := noArgs(cmd, args); err != nil {
				return err
			}
			return a.explain(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "directory of the checkpoint, or an ONNX file (required)")
	f.StringVar(&o.phase, "phase", "", "prefill or decode (required for a language model)")
	f.StringVar(&o.format, "format", "text", "text, json or dot")
	f.StringVar(&o.policy, "policy", "full", "policy of the plan: blind, resident or full")
	f.IntVar(&o.batch, "batch", 1, "sequences or images in a batch")
	f.IntVar(&o.texts, "texts", 1, "texts in a batch, for a model that also reads images")
	f.IntVar(&o.seq, "seq", 0, "new rows of a sequence (default 72 for prefill, 1 for decode); without a cache: tokens of a text, 0 means the maximum")
	f.IntVar(&o.past, "past", 0, "rows in the KV cache (default 0 for prefill, 72 for decode)")
	f.StringVar(&o.gpu, "gpu", "", "costs on this GPU by its published figures, which are not measurements: "+strings.Join(semantic.PublishedGPUs(), ", "))
	f.StringArrayVar(&o.dims, "dim", nil, "NAME=SIZE: size of a dimension of an ONNX model; repeat it for each")
	o.over.flags(f)
	hashesFlag(f, &o.hashes)
	f.BoolVar(&o.json, "json", false, "the same as --format json")
	return cmd
}

// check finds errors that do not depend on the model.
func (o *explainOptions) check(cmd *cobra.Command) error {
	if o.json {
		if cmd.Flags().Changed("format") && o.format != "json" {
			return usagef("--json and --format %s exclude each other", o.format)
		}
		o.format = "json"
	}
	switch {
	case o.model == "":
		return usagef("--model is missing: the directory of a checkpoint")
	case o.format != "text" && o.format != "json" && o.format != "dot":
		return usagef("--format is %q, not text, json or dot", o.format)
	case o.batch < 1 || o.texts < 1 || o.seq < 0 || o.past < 0:
		return usagef("--batch %d --texts %d --seq %d --past %d: batch and texts are at least 1, the others at least 0", o.batch, o.texts, o.seq, o.past)
	}
	return nil
}

func (a *app) explain(cmd *cobra.Command, o explainOptions) (err error) {
	if err := o.check(cmd); err != nil {
		return err
	}
	policy, err := semantic.PolicyNamed(o.policy)
	if err != nil {
		return &usageError{err}
	}
	device := semantic.ReferenceDevice()
	if o.gpu != "" {
		var known bool
		if device, known = semantic.PublishedNamed(o.gpu); !known {
			return usagef("--gpu is %q; there is %s", o.gpu, strings.Join(semantic.PublishedGPUs(), ", "))
		}
	}
	if isONNX(o.model) {
		return a.explainONNX(cmd, &o, policy, device)
	}
	if len(o.dims) > 0 {
		return usagef("--dim is for an ONNX file")
	}
	m, sizes, err := a.explainable(cmd, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	srg, err := semantic.Analyze(m.Graph)
	if err != nil {
		return err
	}
	e, err := o.over.explain(device, srg, policy, sizes, m.Outputs)
	if err != nil {
		return err
	}
	return a.printExplanation(o.format, e)
}

func (a *app) printExplanation(format string, e *semantic.Explanation) error {
	switch format {
	case "json":
		return a.printJSON(e)
	case "dot":
		return a.printf("%s", e.Dot())
	}
	return a.printf("%s", e.Text())
}

// explainable loads the model, once the flags are known to fit it, and binds its sizes.
func (a *app) explainable(cmd *cobra.Command, o *explainOptions) (*workloads.FamilyModel, plan.Bindings, error) {
	family, err := familyOf("explain", o.model, anyFamily)
	if err != nil {
		return nil, nil, err
	}
	cached := family.Takes(workloads.SizePast)
	if cached {
		if err := o.checkPhase(cmd); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range []string{"phase", workloads.SizeBatch, workloads.SizeTexts, workloads.SizeSeq, workloads.SizePast} {
		fits := family.Takes(name) || name == "phase" && cached
		if !fits && cmd.Flags().Changed(name) {
			return nil, nil, usagef("--%s is not for a checkpoint of %s", name, family.Title)
		}
	}
	hashing := a.progress("hashing weights")
	defer hashing.stop()
	m, err := family.Load(cmd.Context(), o.model, workloads.FamilyOptions{Progress: hashing.report, Hashes: o.hashes, Logger: a.warnings()})
	if err != nil {
		return nil, nil, err
	}
	sizes, err := m.Bind(workloads.Sizes{Batch: o.batch, Texts: o.texts, Seq: o.seq, Past: o.past})
	if err != nil {
		_ = m.Close()
		return nil, nil, &usageError{err}
	}
	return m, sizes, nil
}

// checkPhase completes the options of a language model and checks them.
func (o *explainOptions) checkPhase(cmd *cobra.Command) error {
	seq, past := explainPast, 0
	switch o.phase {
	case "prefill":
	case "decode":
		seq, past = 1, explainPast
	case "":
		return usagef("--phase is missing: prefill or decode")
	default:
		return usagef("--phase is %q, not prefill or decode", o.phase)
	}
	if !cmd.Flags().Changed("seq") {
		o.seq = seq
	}
	if !cmd.Flags().Changed("past") {
		o.past = past
	}
	switch {
	case o.seq < 1:
		return usagef("--seq is %d", o.seq)
	case o.phase == "decode" && (o.seq != 1 || o.past == 0):
		return usagef("--seq %d --past %d is no decode, which adds 1 row to a cache that has some", o.seq, o.past)
	case o.phase == "prefill" && o.seq == 1 && o.past > 0:
		return usagef("--seq 1 --past %d is a decode, not a prefill", o.past)
	}
	return nil
}
