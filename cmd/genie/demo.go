package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/testdata/models"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
)

type demoOptions struct {
	maxNew int
	prompt string
	seed   int64
	json   bool
}

func (a *app) demoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Generate with a small model on a temporary worker, under each policy",
		Long: `demo starts a worker process on a free loopback port and generates from one
prompt four times, with a small model that is part of this program: in this
process, and on the worker under each policy. It checks that all generations
are the same and prints their costs side by side. The worker ends with the demo.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.maxNew, "max-new", 48, "number of new tokens, at least 2")
	f.StringVar(&o.prompt, "prompt", "It is a truth universally acknowledged, that", "text to continue")
	f.Int64Var(&o.seed, "seed", 7, "sampling seed")
	f.BoolVar(&o.json, "json", false, "print one JSON object instead of a table")
	return cmd
}

// demoReport is what demo --json prints.
type demoReport struct {
	Model     string    `json:"model"`
	Prompt    string    `json:"prompt"`
	Text      string    `json:"text"`
	Tokens    []int     `json:"tokens"`
	Identical bool      `json:"identical"` // all runs gave these tokens
	WorkerPID int       `json:"worker_pid"`
	Runs      []demoRun `json:"runs"`
}

// demoRun is one of the generations.
type demoRun struct {
	Name string `json:"name"` // local, or the policy on the worker
	generateReport
	// Setup is the bytes moved up to the first token, PerToken those for each
	// further token.
	Setup    wireReport `json:"setup"`
	PerToken perToken   `json:"per_token"`
}

// perToken is averages over the tokens after the first.
type perToken struct {
	Sent       map[string]float64 `json:"sent"`
	Received   map[string]float64 `json:"received"`
	RoundTrips float64            `json:"rtts"`
}

type demoLedgers struct{ first, last transport.Snapshot }

// demo fails when a run fails or the generations differ.
func (a *app) demo(ctx context.Context, o demoOptions) error {
	if o.maxNew < 2 {
		return usagef("--max-new is %d, not at least 2", o.maxNew)
	}
	dir, err := os.MkdirTemp("", "genie-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := unpack(models.Files, models.Austen, dir); err != nil {
		return err
	}
	m, err := gpt2.Load(ctx, filepath.Join(dir, models.Austen), gpt2.LoadOptions{})
	if err != nil {
		return err
	}
	defer m.Close()
	prompt, err := m.Tokenizer.Encode(o.prompt)
	if err != nil {
		return fmt.Errorf("--prompt: %w", err)
	}
	if len(prompt) == 0 {
		return usagef("--prompt is empty")
	}
	if room := m.Config.Positions - len(prompt) + 1; o.maxNew > room {
		return usagef("--max-new is %d; after this prompt the model has room for %d", o.maxNew, max(room, 0))
	}
	w, err := startWorker(ctx)
	if err != nil {
		return err
	}
	defer w.stop()
	report := &demoReport{
		Model:  fmt.Sprintf("GPT-2 of %.1f million weights, trained on Jane Austen's novels", float64(m.Config.Parameters())/1e6),
		Prompt: o.prompt, WorkerPID: w.pid,
	}
	d := &demoRunner{a: a, o: o, model: m.Language(), prompt: prompt, url: w.url, report: report}
	if err := d.runs(ctx); err != nil {
		return err
	}
	if o.json {
		err = a.printJSON(report)
	} else {
		err = a.demoTable(report)
	}
	if err == nil && !report.Identical {
		err = errors.New("the generations differ")
	}
	return err
}

// unpack writes a folder of an embedded file system below dir.
func unpack(files fs.FS, name, dir string) error {
	sub, err := fs.Sub(files, name)
	if err == nil {
		err = os.CopyFS(filepath.Join(dir, name), sub)
	}
	if err != nil {
		return fmt.Errorf("unpack the model: %w", err)
	}
	return nil
}

// demoRunner generates from one prompt in several ways.
type demoRunner struct {
	a      *app
	o      demoOptions
	model  *workloads.LanguageModel
	prompt []int
	url    string
	report *demoReport
}

func (d *demoRunner) runs(ctx context.Context) error {
	out := io.Discard
	if !d.o.json {
		out = d.a.stdout
		err := d.a.printf("model   %s\nworker  %s, process %d\n\n%s", d.report.Model, d.url, d.report.WorkerPID, d.o.prompt)
		if err != nil {
			return err
		}
	}
	// The first run, in this process, streams the text.
	if err := d.run(ctx, "local", "local:", semantic.Full(), out); err != nil {
		return err
	}
	for _, p := range []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()} {
		if err := d.run(ctx, p.Name(), d.url, p, io.Discard); err != nil {
			return err
		}
	}
	r := d.report
	r.Text, r.Tokens, r.Identical = r.Runs[0].Text, r.Runs[0].Tokens, true
	for _, run := range r.Runs {
		r.Identical = r.Identical && run.Text == r.Text && slices.Equal(run.Tokens, r.Tokens)
	}
	return nil
}

func (d *demoRunner) run(ctx context.Context, name, executor string, policy semantic.Policy, out io.Writer) error {
	client, err := genie.Open(ctx, executor, genie.WithPolicy(policy))
	if err != nil {
		return err
	}
	defer client.Close()
	var ledgers demoLedgers
	count := 0
	r := &generationRun{client: client, model: d.model, out: out, remote: executor != "local:"}
	report, err := r.run(ctx, genie.GenerateRequest{
		Prompts: [][]int{d.prompt}, MaxNew: d.o.maxNew, IgnoreEOS: true, IgnoreSettings: true,
		Temperature: 0.8, TopK: 40, Seed: d.o.seed,
		OnToken: func(int, int) error {
			ledgers.last = client.Ledger()
			if count == 0 {
				ledgers.first = ledgers.last
			}
			count++
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	report.Policy, report.Executor = policy.Name(), executor
	d.report.Runs = append(d.report.Runs, newDemoRun(name, report, ledgers))
	return nil
}

// newDemoRun splits the moved bytes at the first token.
func newDemoRun(name string, report *generateReport, l demoLedgers) demoRun {
	decode := l.last.Sub(l.first)
	wire := newWireReport(decode)
	n := float64(len(report.Tokens) - 1)
	split := func(total, decode map[string]int64) (setup map[string]int64, average map[string]float64) {
		setup, average = map[string]int64{}, map[string]float64{}
		for cause := range total {
			setup[cause] = total[cause] - decode[cause]
			average[cause] = float64(decode[cause]) / n
		}
		return setup, average
	}
	run := demoRun{Name: name, generateReport: *report}
	run.Setup.Sent, run.PerToken.Sent = split(report.Wire.Sent, wire.Sent)
	run.Setup.Received, run.PerToken.Received = split(report.Wire.Received, wire.Received)
	run.PerToken.RoundTrips = float64(decode.RoundTrips) / n
	return run
}
