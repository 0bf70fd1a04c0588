package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/tokenizer"
)

func (a *app) generateCommand() *cobra.Command {
	var o generateOptions
	cmd := &cobra.Command{
		Use:   "generate --model DIR (--prompt TEXT | --tokens 1,2,3)",
		Short: "Generate text with a language model",
		Long: `generate continues a prompt. It takes checkpoints in the Hugging Face layout of
` + titles(familiesThat(generates)) + `, and runs in this process or on a worker. The same seed gives the same
tokens on every executor and under every policy.

Without a sampling flag it takes the likeliest token at each step. For a
directory without tokenizer.json give --tokens; it then prints token ids.

Settings that no flag gives come from the checkpoint's generation_config.json,
or from config.json if there is no such file: end tokens, do_sample with its
temperature, top_k and top_p, max_new_tokens, stop_strings. An unsupported
setting that would change the tokens, such as repetition_penalty, is an error;
--ignore-generation-config ignores it.

A --stop string ends the generation and is cut off, even when it spans several
tokens. The reported tokens include the one that completed it.`,
		Example: `  genie generate --model ./gpt2 --prompt "It is a truth" --max-new 40
  genie generate --model ./gpt2 --tokens 464,3290 --executor tcp://127.0.0.1:7070 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd.Flags()); err != nil {
				return err
			}
			return hashedAnew(func() error { return a.generate(cmd.Context(), o) })
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

// generateReport is what generate --json prints.
type generateReport struct {
	Tokens       []int              `json:"tokens"` // the new ones
	Text         string             `json:"text"`
	Finish       genie.FinishReason `json:"finish"`
	PromptTokens int                `json:"prompt_tokens"`
	Policy       string             `json:"policy"`
	Executor     string             `json:"executor"`
	TTFT         float64            `json:"ttft_ms"`
	Rate         float64            `json:"tok_per_s"`
	RoundTrips   int64              `json:"rtts"`
	Wire         wireReport         `json:"wire"`
	RemoteOps    int64              `json:"remote_ops"`
	WorkerPID    int                `json:"worker_pid,omitempty"`
	// Profiles are where the time of each plan went, with --profile.
	Profiles []transport.Profile `json:"profiles,omitempty"`
	// Interrupted says that a signal ended the generation: Tokens and Text are
	// those up to then.
	Interrupted bool `json:"interrupted,omitempty"`
	// Error is why the generation ended early.
	Error *errorReport `json:"error,omitempty"`
}

// wireReport is bytes by direction and cause.
type wireReport struct {
	Sent     map[string]int64 `json:"sent"`
	Received map[string]int64 `json:"received"`
}

func newWireReport(s transport.Snapshot) wireReport {
	return wireReport{s.Sent.Map(), s.Received.Map()}
}

// sum is the bytes of all causes.
func sum(byCause map[string]int64) float64 {
	n := int64(0)
	for _, bytes := range byCause {
		n += bytes
	}
	return float64(n)
}

// openExecutor opens the executor of --executor; an invalid URL is a usage
// error.
func openExecutor(ctx context.Context, url string, opts []genie.Option) (*genie.Client, error) {
	client, err := genie.Open(ctx, url, opts...)
	if errors.Is(err, genie.ErrURL) {
		return nil, &usageError{err}
	}
	return client, err
}

// executorOptions reads the flags about the executor.
func (o *generateOptions) executorOptions() (semantic.Policy, []genie.Option, error) {
	policy, err := semantic.PolicyNamed(o.policy)
	if err != nil {
		return nil, nil, &usageError{err}
	}
	opts, err := o.secure.options()
	if err != nil {
		return nil, nil, err
	}
	placed, err := placementOptions(o.placement)
	opts = append(opts, placed...)
	if o.profile {
		opts = append(opts, genie.WithProfile())
	}
	return policy, opts, err
}

// family is that of the model, once it is known that the result can be written.
func (o *generateOptions) family() (workloads.Family, error) {
	if err := o.checkFolder(); err != nil {
		return workloads.Family{}, err
	}
	return familyOf("generate", o.model, generates)
}

func (a *app) generate(ctx context.Context, o generateOptions) (err error) {
	policy, secure, err := o.executorOptions()
	if err != nil {
		return err
	}
	family, err := o.family()
	if err != nil {
		return err
	}
	moving := "loading weights"
	if o.remote() {
		moving = "sending weights"
	}
	upload := a.progress(moving)
	defer upload.stop()
	tracer, stopTracing, err := a.tracing(ctx, o.otlp, "genie")
	if err != nil {
		return err
	}
	defer stopTracing()
	client, err := openExecutor(ctx, o.executor, append(secure,
		genie.WithPolicy(policy), genie.WithThreads(o.threads), genie.WithProgress(upload.report),
		genie.WithRecovery(!o.noRecovery), genie.WithTracer(tracer)))
	if err != nil {
		return err
	}
	defer client.Close()
	hashing := a.progress("hashing weights")
	m, err := family.Load(ctx, o.model, workloads.FamilyOptions{Progress: hashing.report, Hashes: o.hashes, Logger: a.warnings()})
	hashing.stop()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	request, texts, err := o.fit(m.Language)
	if err != nil {
		return err
	}
	out := io.Discard
	if !o.json {
		out = a.text()
	}
	r := &generationRun{client: client, model: m.Language, out: out, remote: o.remote(), stops: texts}
	var logits *logitsFile
	if o.logitsOut != "" {
		logits = &logitsFile{vocab: m.Language.Vocab}
		request.OnLogits = logits.add
	}
	report, err := r.run(ctx, request)
	if report != nil {
		report.Policy, report.Executor = policy.Name(), o.executor
	}
	if err != nil {
		return a.cutShort(ctx, o, report, err)
	}
	if logits != nil {
		if err := logits.write(ctx, o.logitsOut); err != nil {
			return err
		}
	}
	if o.json {
		return a.printJSON(report)
	}
	printProfiles(a.stderr, report.Profiles)
	a.summary(report)
	return nil
}

// cutShort reports what there is of an unfinished generation.
func (a *app) cutShort(ctx context.Context, o generateOptions, report *generateReport, err error) error {
	if report == nil || !o.json {
		return err
	}
	code := exitFailure
	if signalled, ok := errors.AsType[*signalError](context.Cause(ctx)); ok {
		report.Interrupted, report.Finish = true, "interrupted"
		code, err = signalled.exitCode(), errors.Join(signalled, err)
	} else {
		report.Finish = "failed"
	}
	report.Error = newErrorReport(err, code)
	if report.Interrupted {
		report.Error.Message = "interrupted"
	}
	return &reportedError{errors.Join(err, a.printJSON(report))}
}

// summary prints the costs on a terminal.
func (a *app) summary(r *generateReport) {
	if a.progress("").out == nil {
		return
	}
	_, _ = fmt.Fprintf(a.stderr, "%d tokens, first after %.1f ms, then %.1f tok/s; %d round trips, %s sent, %s received\n",
		len(r.Tokens), r.TTFT, r.Rate, r.RoundTrips, formatBytes(sum(r.Wire.Sent)), formatBytes(sum(r.Wire.Received)))
}

// generationRun is one call of genie.Generate with its text.
type generationRun struct {
	client *genie.Client
	model  *workloads.LanguageModel
	out    io.Writer // streamed text
	remote bool
	stops  []string // strings that end the generation
}

// run generates. After a failure the error comes with a report of the
// unfinished generation. It reads the worker's counters before and after: work
// of other clients in between is included.
func (r *generationRun) run(ctx context.Context, request genie.GenerateRequest) (*generateReport, error) {
	session, err := r.client.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	before, err := r.client.Stats(ctx)
	if err != nil {
		return nil, err
	}
	w := &textWriter{out: r.out, tokenizer: r.model.Tokenizer, stop: stopper{texts: r.stops}}
	if !request.IgnoreEOS {
		w.skip = r.model.Settings.EOS
	}
	watch := request.OnToken
	request.OnToken = func(sequence, token int) error {
		if watch != nil {
			if err := watch(sequence, token); err != nil {
				return err
			}
		}
		return w.token(token)
	}
	out, err := genie.Generate(ctx, session, r.model.LM, request)
	if e := w.end(); err == nil {
		err = e
	}
	if err != nil && w.count == 0 {
		return nil, err
	}
	if err != nil {
		report := &generateReport{Tokens: w.ids, Text: w.all, PromptTokens: len(request.Prompts[0])}
		if out != nil {
			report.TTFT, report.Rate = float64(out.TTFT.Microseconds())/1e3, out.TokensPerSecond()
			report.RoundTrips, report.Wire = out.Wire.RoundTrips, newWireReport(out.Wire)
		}
		return report, err
	}
	after, err := r.client.Stats(ctx)
	if err != nil {
		return nil, err
	}
	report := &generateReport{
		Tokens: out.Tokens[0], Text: w.all, Finish: out.Reasons[0], PromptTokens: len(request.Prompts[0]),
		TTFT: float64(out.TTFT.Microseconds()) / 1e3, Rate: out.TokensPerSecond(),
		RoundTrips: out.Wire.RoundTrips, Wire: newWireReport(out.Wire), Profiles: after.Profiles,
	}
	if r.remote {
		report.RemoteOps, report.WorkerPID = after.Ops-before.Ops, after.PID
	}
	return report, nil
}

// textWriter writes tokens as text, or as ids without a tokenizer.
type textWriter struct {
	out       io.Writer
	tokenizer *tokenizer.Tokenizer
	skip      []int // the end tokens, which have no text
	stop      stopper
	stream    *tokenizer.Stream
	all       string
	ids       []int
	count     int
}

func (w *textWriter) token(id int) error {
	w.count++
	w.ids = append(w.ids, id)
	if w.tokenizer == nil {
		sep := " "
		if w.count == 1 {
			sep = ""
		}
		return w.write(sep + strconv.Itoa(id))
	}
	if slices.Contains(w.skip, id) {
		return nil
	}
	if w.stream == nil {
		w.stream = w.tokenizer.Stream()
	}
	text, err := w.stream.Next(id)
	if errors.Is(err, tokenizer.ErrUnknownToken) {
		// A model may have more tokens than its tokenizer.
		text, err = w.stream.Flush()+"\uFFFD", nil
	}
	if err != nil {
		return err
	}
	text, stopped := w.stop.next(text)
	w.all += text
	if err := w.write(text); err != nil {
		return err
	}
	return stopped
}

// end ends the line, also after an error.
func (w *textWriter) end() error {
	if w.count == 0 {
		return nil
	}
	rest := ""
	if w.stream != nil {
		rest, _ = w.stop.next(w.stream.Flush())
		rest += w.stop.rest()
		w.all += rest
	}
	return w.write(rest + "\n")
}

func (w *textWriter) write(text string) error {
	if _, err := io.WriteString(w.out, text); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}
