package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/tokenizer"
)

// generateOptions are the flags of generate.
type generateOptions struct {
	model, executor, policy string
	placement               string
	hashes                  string
	secure                  secureFlags

	prompt, tokens string
	byTokens       bool // --tokens was given, not --prompt

	maxNew      int
	greedy      bool
	temperature float32
	topK        int
	topP        float32
	seed        int64
	ignoreEOS   bool
	noRecovery  bool

	stop           []string
	ignoreSettings bool
	given          map[string]bool // flags on the command line

	logitsOut string
	threads   int
	json      bool
	profile   bool
	otlp      string
}

func (o *generateOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.model, "model", "", "directory of the checkpoint (required)")
	f.StringVar(&o.executor, "executor", "local:", "where to run: local:, tcp://host:port or grpc://host:port; of several workers, separated by commas, the first that answers")
	placementFlag(f, &o.placement)
	o.secure.flags(f, "--executor")
	f.StringVar(&o.policy, "policy", "full", "what stays on the executor between calls: blind, resident or full")
	hashesFlag(f, &o.hashes)
	f.StringVar(&o.prompt, "prompt", "", "text to continue")
	f.StringVar(&o.tokens, "tokens", "", "token ids to continue, such as 1,2,3")
	f.IntVar(&o.maxNew, "max-new", 50, "maximum number of new tokens; the checkpoint's own, if it has one, is the default")
	f.BoolVar(&o.greedy, "greedy", false, "take the likeliest token at each step; the default without a sampling flag, unless the checkpoint sets do_sample")
	f.Float32Var(&o.temperature, "temperature", 0, "sample at this temperature; 1 when only --top-k or --top-p is given")
	f.IntVar(&o.topK, "top-k", 0, "sample among the K likeliest tokens; 0 means all")
	f.Float32Var(&o.topP, "top-p", 1, "sample among the likeliest tokens whose probabilities sum to this value")
	f.Int64Var(&o.seed, "seed", 0, "sampling seed")
	f.BoolVar(&o.ignoreEOS, "ignore-eos", false, "continue after the model's end token")
	f.StringArrayVar(&o.stop, "stop", nil, "string that ends the generation and is cut off; a token id if there is no tokenizer; may be repeated")
	f.BoolVar(&o.ignoreSettings, "ignore-generation-config", false, "use only the end tokens of generation_config.json")
	f.BoolVar(&o.noRecovery, "no-recovery", false, "fail when the worker is lost instead of resuming on it or on another one")
	f.StringVar(&o.logitsOut, "logits-out", "", "write the logits to this safetensors file: prefill [prompt, vocab] and step [new-1, vocab]")
	f.IntVar(&o.threads, "threads", 0, "compute threads of local:; 0 means one per CPU")
	f.BoolVar(&o.profile, "profile", false, "show where the executor's time went: kernel, time, runs and bytes of each computation")
	f.BoolVar(&o.json, "json", false, "print one JSON object instead of text")
	f.StringVar(&o.otlp, "otlp-endpoint", "", "send traces to this OTLP gRPC endpoint: http://host:port or, with TLS, https://host:port")
}

// check finds missing, conflicting and out-of-range flags.
func (o *generateOptions) check(f *pflag.FlagSet) error {
	if o.model == "" {
		return usagef("--model is missing: the directory of a checkpoint")
	}
	o.byTokens, o.given = f.Changed("tokens"), givenFlags(f)
	switch {
	case slices.Contains(o.stop, ""):
		return usagef("--stop is empty")
	case o.byTokens && f.Changed("prompt"):
		return usagef("--prompt and --tokens exclude each other")
	case !o.byTokens && !f.Changed("prompt"):
		return usagef("--prompt TEXT or --tokens IDS is missing")
	case !o.byTokens && o.prompt == "":
		return usagef("--prompt is empty")
	case o.maxNew < 1:
		return usagef("--max-new is %d, not at least 1", o.maxNew)
	case o.threads < 0:
		return usagef("--threads is %d", o.threads)
	}
	if err := checkOTLP(o.otlp); err != nil {
		return err
	}
	if o.byTokens {
		if _, err := parseTokens(o.tokens); err != nil {
			return err
		}
	}
	return o.checkSampling(f)
}

func (o *generateOptions) checkSampling(f *pflag.FlagSet) error {
	for _, name := range []string{"temperature", "top-k", "top-p"} {
		if o.greedy && f.Changed(name) {
			return usagef("--greedy and --%s exclude each other", name)
		}
	}
	// The comparisons are written so that a NaN fails.
	switch {
	case !(o.temperature >= 0 && o.temperature <= 1e6):
		return usagef("--temperature is %g, not 0 or more", o.temperature)
	case o.topK < 0:
		return usagef("--top-k is %d, not 0 or more", o.topK)
	case !(o.topP > 0 && o.topP <= 1):
		return usagef("--top-p is %g, not above 0 and up to 1", o.topP)
	}
	if !f.Changed("temperature") && (f.Changed("top-k") || f.Changed("top-p")) {
		o.temperature = 1
	}
	return nil
}

// checkFolder checks before the work that its result can be written.
func (o *generateOptions) checkFolder() error {
	if o.logitsOut == "" {
		return nil
	}
	if err := atomicfile.Check(o.logitsOut); err != nil {
		return fmt.Errorf("--logits-out: %w", err)
	}
	return nil
}

func (o *generateOptions) remote() bool { return !strings.HasPrefix(o.executor, "local:") }

// promptTokens is the prompt in token ids.
func (o *generateOptions) promptTokens(m *workloads.LanguageModel) ([]int, error) {
	if o.byTokens {
		return parseTokens(o.tokens)
	}
	if m.Tokenizer == nil && !errors.Is(m.TokenizerErr, tokenizer.ErrNoTokenizer) {
		return nil, fmt.Errorf("--prompt needs a tokenizer; give --tokens: %w", m.TokenizerErr)
	}
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("%s has no tokenizer.json, which --prompt needs; give --tokens", o.model)
	}
	ids, err := m.Tokenizer.Encode(o.prompt)
	if err != nil {
		return nil, fmt.Errorf("--prompt: %w", err)
	}
	if len(ids) == 0 {
		return nil, usagef("--prompt has no tokens")
	}
	return ids, nil
}

func (o *generateOptions) request(prompt []int) genie.GenerateRequest {
	return genie.GenerateRequest{
		Prompts: [][]int{prompt}, MaxNew: o.maxNew, Temperature: o.temperature, TopK: o.topK, TopP: o.topP,
		Seed: o.seed, IgnoreEOS: o.ignoreEOS, IgnoreSettings: o.ignoreSettings, OwnStops: true,
	}
}

// parseTokens reads a list of ids such as "1,2,3".
func parseTokens(text string) ([]int, error) {
	var ids []int
	for part := range strings.SplitSeq(text, ",") {
		id, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || id < 0 {
			return nil, usagef("--tokens %q is not a list of token ids such as 1,2,3", text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
