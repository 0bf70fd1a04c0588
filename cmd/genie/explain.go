package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/semantic"
)

type explainOptions struct {
	model, phase, format, policy string
	hashes                       string
	log                          *slog.Logger
	batch, texts, seq, past      int
	json                         bool
}

// explainPast is the length of the prompt, or of the cache, that costs assume.
const explainPast = 72

func (a *app) explainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain --model DIR [--phase prefill|decode]",
		Short: "Show what each tensor of a model means, and the plan",
		Long: `explain prints the semantically rich graph (SRG) of a checkpoint and the plan
that a policy derives from it. It runs nothing.

  nodes     phase, residency, modality, branch and cost
  edges     bytes, rates, and whether they are on the critical path
  graph     parallel branches, and the cost of each phase

It takes checkpoints of GPT-2 (the plan samples the next token in the given
--phase, with --seq and --past), BERT (--batch texts of --seq tokens), ResNet
(--batch images) and CLIP (--batch images against --texts texts of --seq tokens).`,
		Example: `  genie explain --model ./gpt2 --phase decode --format text
  genie explain --model ./gpt2 --phase prefill --seq 512 --format dot | dot -Tsvg > prefill.svg
  genie explain --model ./bert-base-uncased --seq 128
  genie explain --model ./resnet-50 --batch 8 --json
  genie explain --model ./clip-vit-base-patch32 --texts 10`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.explain(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "directory of the checkpoint (required)")
	f.StringVar(&o.phase, "phase", "", "prefill or decode (required for a language model)")
	f.StringVar(&o.format, "format", "text", "text, json or dot")
	f.StringVar(&o.policy, "policy", "full", "policy of the plan: blind, resident or full")
	f.IntVar(&o.batch, "batch", 1, "sequences or images in a batch")
	f.IntVar(&o.texts, "texts", 1, "texts in a batch (CLIP)")
	f.IntVar(&o.seq, "seq", 0, "new rows of a sequence (default 72 for prefill, 1 for decode); BERT and CLIP: tokens of a text, 0 means the maximum")
	f.IntVar(&o.past, "past", 0, "rows in the KV cache (default 0 for prefill, 72 for decode)")
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
	m, err := a.explainable(cmd, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	srg, err := semantic.Analyze(m.graph)
	if err != nil {
		return err
	}
	e, err := semantic.Explain(srg, policy, m.sizes, m.outputs...)
	if err != nil {
		return err
	}
	switch o.format {
	case "json":
		return a.printJSON(e)
	case "dot":
		return a.printf("%s", e.Dot())
	}
	return a.printf("%s", e.Text())
}

// explainable loads the model, once the flags are known to fit it.
func (a *app) explainable(cmd *cobra.Command, o *explainOptions) (*explainable, error) {
	kind, err := modelType(o.model)
	if err != nil {
		return nil, err
	}
	load := map[string]func(context.Context, *explainOptions, func(done, total int64)) (*explainable, error){
		"": explainGPT2, "gpt2": explainGPT2, "bert": explainBERT, "roberta": explainBERT, "xlm-roberta": explainBERT, "camembert": explainBERT,
		"resnet": explainResNet, "clip": explainCLIP,
	}[kind]
	if load == nil {
		return nil, fmt.Errorf("%s is a checkpoint of model_type %q; explain takes gpt2, bert, resnet and clip", o.model, kind)
	}
	text := []string{"phase", "past", "texts"}
	refused := map[string][]string{
		"resnet": {"phase", "texts", "seq", "past"}, "clip": {"phase", "past"},
		"bert": text, "roberta": text, "xlm-roberta": text, "camembert": text,
	}[kind]
	if kind == "" || kind == "gpt2" {
		refused = []string{"texts"}
		if err := o.checkPhase(cmd); err != nil {
			return nil, err
		}
	}
	for _, name := range refused {
		if cmd.Flags().Changed(name) {
			return nil, usagef("--%s is not for a checkpoint of model_type %q", name, kind)
		}
	}
	hashing := a.progress("hashing weights")
	defer hashing.stop()
	o.log = a.warnings()
	return load(cmd.Context(), o, hashing.report)
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
