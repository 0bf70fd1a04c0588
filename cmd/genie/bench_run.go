package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"
	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/baselines/matrix"
	"github.com/genie-sdk/go/baselines/results"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/workloads"
)

type benchRunOptions struct {
	selection

	checkpoints  []string // FAMILY=DIR
	match        string
	count, alive int
	out          string
	resume, json bool
}

func (a *app) benchRunCommand() *cobra.Command {
	var o benchRunOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Measure the matrix of workloads and baselines",
		Long: `run measures the selected cases and writes each result as soon as it is known. The
cases of a workload and link take turns, one sample each, and every round begins
with another case, so that drift of the machine affects all of them alike. Each
case verifies its output before it is measured. A case that cannot run on this
machine is recorded with the reason. So is one that fails; the command then exits
with 1 at the end.

--checkpoint measures Hugging Face directories instead of the scale's models, and
verifies them against the results of transformers; see genie bench reference. The
results contain their names and hashes.

After Ctrl-C the file has all measurements so far, and --resume continues it, on
the same commit, machine and scale.`,
		Example: `  genie bench run --scale small --net loopback,lan-1g-500us --count 10 --out new.txt
  genie bench run --workload llm-decode --baseline full,capture-only --count 6
  genie bench run --workload micro --match 'workload=micro-(conv|echo)'
  genie bench run --checkpoint gpt2=./gpt2-xl,resnet=./resnet-50 --out xl.txt`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.checkpoints) > 0 && cmd.Flags().Changed("scale") {
				return usagef("--checkpoint replaces --scale: give only one of them")
			}
			if err := o.check(); err != nil {
				return err
			}
			return a.benchRun(cmd.Context(), o, cases)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Scale, "scale", "small", "size of the models: tiny, small or full")
	f.StringSliceVar(&o.Nets, "net", []string{"loopback"}, "links, separated by commas: loopback, dc-10g-100us, lan-1g-500us, wan-100m-20ms")
	f.StringSliceVar(&o.Workloads, "workload", nil, "workloads, separated by commas (default all: "+strings.Join(baselines.WorkloadNames(), ", ")+")")
	f.StringSliceVar(&o.Baselines, "baseline", nil, "baselines, separated by commas (default all: "+strings.Join(knownBaselines(), ", ")+")")
	f.StringSliceVar(&o.checkpoints, "checkpoint", nil, "checkpoints in place of a scale's models, FAMILY=DIR separated by commas; families: "+strings.Join(workloads.Families(), ", "))
	f.StringVar(&o.match, "match", "", "regular expression that selects cases by name")
	f.StringVar(&o.Testdata, "testdata", "", "folder with inputs and references (default: testdata of the enclosing checkout)")
	f.IntVar(&o.count, "count", 10, "samples of each case")
	f.IntVar(&o.alive, "alive", 0, "maximum number of open cases; 0 means all of a group, or 1 at the full scale")
	f.StringVar(&o.out, "out", "", "file to write (default standard output)")
	f.BoolVar(&o.resume, "resume", false, "continue the file that --out names")
	f.BoolVar(&o.json, "json", false, "print a JSON object about the run at its end")
	return cmd
}

func (o *benchRunOptions) check() error {
	switch {
	case !slices.Contains([]string{"tiny", "small", "full"}, o.Scale):
		return usagef("--scale is %q, not tiny, small or full", o.Scale)
	case o.count < 1:
		return usagef("--count is %d, not at least 1", o.count)
	case o.alive < 0:
		return usagef("--alive is %d, not at least 0", o.alive)
	case o.resume && o.out == "":
		return usagef("--resume needs --out: the file to continue")
	case o.json && o.out == "":
		return usagef("--json needs --out: both would go to standard output")
	}
	if _, err := regexp.Compile(o.match); err != nil {
		return usagef("--match: %v", err)
	}
	if o.alive == 0 && o.Scale == "full" {
		o.alive = 1
	}
	return nil
}

// matching are the cases whose names match --match.
func (o *benchRunOptions) matching(groups [][]matrix.Case) ([][]matrix.Case, error) {
	re, err := regexp.Compile(o.match) // an empty one matches all
	if err != nil {
		return nil, usagef("--match: %v", err)
	}
	var found [][]matrix.Case
	for _, g := range groups {
		g = slices.DeleteFunc(slices.Clone(g), func(c matrix.Case) bool { return !re.MatchString(c.Name()) })
		if len(g) > 0 {
			found = append(found, g)
		}
	}
	if len(found) == 0 && o.match != "" {
		return nil, usagef("--match %q matches none of the selected cases", o.match)
	}
	return found, nil
}

// benchRunReport is what bench run --json prints.
type benchRunReport struct {
	File    string            `json:"file"`
	Samples int               `json:"samples"`
	Failed  int               `json:"failed"`
	Absent  []results.Absence `json:"absent"`
}

// benchRun measures the cases that choose returns.
func (a *app) benchRun(ctx context.Context, o benchRunOptions, choose func(context.Context, selection) ([][]matrix.Case, error)) error {
	header := benchHeader(ctx, o.Scale)
	if len(o.checkpoints) > 0 {
		if err := a.benchCheckpoints(ctx, &o, &header); err != nil {
			return err
		}
	}
	groups, err := choose(ctx, o.selection)
	if err != nil {
		return err
	}
	if groups, err = o.matching(groups); err != nil {
		return err
	}
	options := matrix.Options{Count: o.count, Alive: o.alive, Header: header, Available: availableMemory}
	out, done, err := a.benchOutput(ctx, o, &options.Header)
	if err != nil {
		return err
	}
	options.Done = done
	bar := a.benchProgress()
	options.Progress = bar.report
	outcome, err := matrix.Run(ctx, out, groups, options)
	bar.stop()
	if out != a.stdout {
		err = errors.Join(err, closeOutput(out))
	}
	if outcome == nil {
		return err
	}
	if said := a.benchSummary(o, outcome); err == nil {
		err = said
	}
	if failed := outcome.Failed(); err == nil && failed > 0 {
		err = fmt.Errorf("%d of the cases failed", failed)
	}
	return err
}

// benchOutput opens the target of the results. It continues or refuses an
// existing file but never overwrites it; it writes to a pipe or a device.
func (a *app) benchOutput(ctx context.Context, o benchRunOptions, h *matrix.Header) (out io.Writer, done map[results.Key]int, err error) {
	switch {
	case o.out == "":
		return a.stdout, nil, nil
	case o.resume:
		return matrix.Resume(o.out, h)
	}
	path, through, err := atomicfile.Resolve(o.out)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // names the path
	}
	if through {
		out, err = atomicfile.CreateContext(ctx, o.out)
		return out, nil, err //nolint:wrapcheck // names the path
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, nil, fmt.Errorf("%s already exists; --resume continues it", o.out)
	}
	return f, nil, err //nolint:wrapcheck // names the path
}

// closeOutput closes what benchOutput opened.
func closeOutput(out io.Writer) error {
	switch f := out.(type) {
	case *os.File:
		return f.Close() //nolint:wrapcheck // names the path
	case *atomicfile.File:
		return f.Commit() //nolint:wrapcheck // names the path
	}
	return nil
}

// benchSummary reports the result of the run on standard error, or as JSON.
func (a *app) benchSummary(o benchRunOptions, outcome *matrix.Outcome) error {
	if o.json {
		absent := append([]results.Absence{}, outcome.Absent...)
		return a.printJSON(benchRunReport{o.out, outcome.Samples, outcome.Failed(), absent})
	}
	for _, x := range outcome.Absent {
		how := "left out"
		if x.Failed {
			how = "FAILED"
		}
		_, _ = fmt.Fprintf(a.stderr, "%s %s: %s\n", how, x.Key, wire.Printable(x.Reason))
	}
	_, _ = fmt.Fprintf(a.stderr, "%d results recorded\n", outcome.Samples)
	return nil
}

func availableMemory() (int64, bool) {
	_, available, ok := memory()
	return available, ok
}

// benchHeader describes this program and machine.
func benchHeader(ctx context.Context, scale string) matrix.Header {
	v := currentVersion()
	h := matrix.Header{
		Commit: v.Revision, Dirty: v.Modified, Date: time.Now().UTC().Format(time.RFC3339), Go: runtime.Version(),
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: strings.TrimSpace(cpuid.CPU.BrandName), Cores: runtime.NumCPU(),
		GOMAXPROCS: runtime.GOMAXPROCS(0), Scale: scale, Units: results.DefaultUnits(),
		Versions: map[string]string{"kernels": v.Kernels},
	}
	if h.Commit == "" { // go run does not stamp the program it builds
		h.Commit, h.Dirty = gitState(ctx)
	}
	return h
}

// gitState is the commit of the folder in which the program runs, and whether
// files were modified; empty where that is unknown.
func gitState(ctx context.Context) (commit string, dirty bool) {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "", false
	}
	status, err := exec.CommandContext(ctx, "git", "status", "--porcelain").Output()
	return strings.TrimSpace(string(head)), err != nil || len(status) > 0
}
