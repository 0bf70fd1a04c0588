package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/gpt2"
)

type explainOptions struct {
	model, phase, format, policy string
	batch, seq, past             int
	json                         bool
}

// explainPast is the length of the prompt, or of the cache, that costs assume.
const explainPast = 72

func (a *app) explainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain --model DIR --phase prefill|decode",
		Short: "Show what each tensor of a model means, and the plan",
		Long: `explain writes out the semantically rich graph of a checkpoint: for every node
its phase, residency, modality, branch and cost, for every edge its bytes, rates
and whether it is on the critical path, and the plan that a policy makes of it
for choosing the next token. Nothing is run.`,
		Example: `  genie explain --model ./gpt2 --phase decode --format text
  genie explain --model ./gpt2 --phase prefill --seq 512 --format dot | dot -Tsvg > prefill.svg`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			return a.explain(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "directory of the checkpoint (required)")
	f.StringVar(&o.phase, "phase", "", "prefill or decode (required)")
	f.StringVar(&o.format, "format", "text", "text, json or dot")
	f.StringVar(&o.policy, "policy", "semantic", "policy of the plan: blind, resident or semantic")
	f.IntVar(&o.batch, "batch", 1, "sequences at once")
	f.IntVar(&o.seq, "seq", 0, "new rows of a sequence: 72 for prefill, 1 for decode")
	f.IntVar(&o.past, "past", 0, "rows in the cache: 0 for prefill, 72 for decode")
	f.BoolVar(&o.json, "json", false, "the same as --format json")
	return cmd
}

// check completes the options and finds what does not fit.
func (o *explainOptions) check(cmd *cobra.Command) error {
	f := cmd.Flags()
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
	if !f.Changed("seq") {
		o.seq = seq
	}
	if !f.Changed("past") {
		o.past = past
	}
	if o.json {
		if f.Changed("format") && o.format != "json" {
			return usagef("--json and --format %s exclude each other", o.format)
		}
		o.format = "json"
	}
	switch {
	case o.model == "":
		return usagef("--model is missing: the directory of a checkpoint")
	case o.format != "text" && o.format != "json" && o.format != "dot":
		return usagef("--format is %q, not text, json or dot", o.format)
	case o.batch < 1 || o.seq < 1 || o.past < 0:
		return usagef("--batch %d --seq %d --past %d: batch and seq are at least 1, past at least 0", o.batch, o.seq, o.past)
	case o.phase == "decode" && (o.seq != 1 || o.past == 0):
		return usagef("--seq %d --past %d is no decode, which adds 1 row to a cache that has some", o.seq, o.past)
	case o.phase == "prefill" && o.seq == 1 && o.past > 0:
		return usagef("--seq 1 --past %d is a decode, not a prefill", o.past)
	}
	return nil
}

func (a *app) explain(ctx context.Context, o explainOptions) error {
	policy, err := semantic.PolicyNamed(o.policy)
	if err != nil {
		return &usageError{err}
	}
	hashing := a.progress("hashing weights")
	m, err := gpt2.Load(ctx, o.model, gpt2.LoadOptions{Progress: hashing.report})
	hashing.stop()
	if err != nil {
		return err
	}
	defer m.Close()
	if rows := o.past + o.seq; rows > m.Config.Positions {
		return usagef("--past and --seq are %d rows together, the model takes %d", rows, m.Config.Positions)
	}
	srg, err := semantic.Analyze(m.LM.Graph)
	if err != nil {
		return err
	}
	sizes := plan.Bindings{"batch": o.batch, "seq": o.seq, "past": o.past}
	e, err := semantic.Explain(srg, policy, sizes, lazy.Named{Name: "next", Tensor: m.LM.Next})
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
