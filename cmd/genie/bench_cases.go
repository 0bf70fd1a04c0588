package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/baselines/matrix"
	"github.com/genie-sdk/go/transport/link"
	"github.com/genie-sdk/go/workloads"
)

// errNoCase means that a selection has nothing to measure.
var errNoCases = errors.New("genie: no cases")

// sampleTime is the minimum duration of a sample of a case: a slow case runs
// once, a fast one as often as fits.
const sampleTime = 300 * time.Millisecond

// selection selects a part of the matrix. Empty lists select everything.
type selection struct {
	Scale     string
	Nets      []string
	Workloads []string
	Baselines []string
	Testdata  string
	// Checkpoints replace the models of a scale.
	Checkpoints []*workloads.Checkpoint
}

// cases are the cases of a selection: one group for each workload, in each of
// its variants, and each link.
func cases(_ context.Context, s selection) ([][]matrix.Case, error) {
	bases, err := s.baselines()
	if err != nil {
		return nil, err
	}
	names := s.Workloads
	if len(names) == 0 {
		names = baselines.WorkloadNames()
	}
	choices, err := s.choices(names)
	if err != nil {
		return nil, err
	}
	var groups [][]matrix.Case
	for _, net := range s.Nets {
		if _, err := link.Parse(net); err != nil {
			return nil, &usageError{err}
		}
		for _, c := range choices {
			if g := s.group(c, bases, net); len(g) > 0 {
				groups = append(groups, g)
			}
		}
	}
	if len(groups) == 0 {
		return nil, errNoCases
	}
	return groups, nil
}

// choice is a workload with the data that a case's process needs to find it.
type choice struct {
	workloads.Workload

	testdata   string
	checkpoint *workloads.Checkpoint
}

// choices are the workloads of some names, of the scale or of the checkpoints.
func (s selection) choices(names []string) (out []choice, err error) {
	for _, name := range names {
		if !slices.Contains(baselines.WorkloadNames(), name) {
			return nil, usagef("--workload is %q, not one of %s", name, strings.Join(baselines.WorkloadNames(), ", "))
		}
	}
	if len(s.Checkpoints) > 0 {
		return checkpointChoices(s.Checkpoints, names)
	}
	scale, err := workloads.ParseScale(s.Scale)
	if err != nil {
		return nil, &usageError{err}
	}
	if s.Testdata, err = testdataDir(s.Testdata); err != nil {
		return nil, err
	}
	for _, name := range names {
		all, err := baselines.Workloads(s.Testdata, name, scale)
		if err != nil {
			return nil, err //nolint:wrapcheck // names the file
		}
		for _, w := range all {
			out = append(out, choice{Workload: w, testdata: s.Testdata})
		}
	}
	return out, nil
}

// checkpointChoices are the workloads of checkpoints, in the order of names.
func checkpointChoices(checkpoints []*workloads.Checkpoint, names []string) (out []choice, err error) {
	for _, name := range names {
		for _, c := range checkpoints {
			all, err := baselines.CheckpointWorkloads(c)
			if err != nil {
				return nil, err //nolint:wrapcheck // names the file
			}
			for _, w := range all {
				if w.ID().Name == name {
					out = append(out, choice{Workload: w, checkpoint: c})
				}
			}
		}
	}
	return out, nil
}

func (s selection) baselines() ([]baselines.Baseline, error) {
	if len(s.Baselines) == 0 {
		return append(baselines.All(), baselines.Ablations()...), nil
	}
	var out []baselines.Baseline
	for _, name := range s.Baselines {
		if name == "ablation" {
			out = append(out, baselines.Ablations()...)
			continue
		}
		b, err := baselines.Named(name)
		if err != nil {
			return nil, &usageError{err}
		}
		out = append(out, b)
	}
	return out, nil
}

// group is a workload on a link with each baseline that is meaningful for it.
func (s selection) group(w choice, bases []baselines.Baseline, net string) []matrix.Case {
	var g []matrix.Case
	for _, b := range bases {
		spec := baselines.Spec{Workload: w.Workload, Baseline: b, Net: net}
		if !spec.Meaningful() {
			continue
		}
		id := w.ID()
		g = append(g, &processCase{title: spec.Benchmark(), samples: spec.Samples(), name: baselines.Name{
			Testdata: w.testdata, Workload: id.Name, Label: id.Label(), Scale: id.Scale, Baseline: b.Name, Net: net,
			Checkpoint: w.checkpoint,
		}})
	}
	return g
}

// testdataDir finds the folder with inputs and references: the named one, or
// testdata of the checkout in which the program runs.
func testdataDir(dir string) (string, error) {
	if dir != "" {
		_, err := os.Stat(filepath.Join(dir, "llm"))
		if err != nil {
			return "", &usageError{fmt.Errorf("--testdata: %w", err)}
		}
		return dir, nil
	}
	at, err := os.Getwd()
	if err != nil {
		return "", err //nolint:wrapcheck // says what it did
	}
	for {
		dir := filepath.Join(at, "testdata")
		if _, err := os.Stat(filepath.Join(dir, "llm", "tiny-decode.json")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(at)
		if up == at {
			return "", usagef("inputs and references are in testdata of a checkout: run there, or name the folder with --testdata")
		}
		at = up
	}
}

// processCase is a case of package baselines in its own process.
type processCase struct {
	name    baselines.Name
	title   string
	samples int // sufficient number, 0 for any
	p       *baselines.Process
}

// Name implements [matrix.Case].
func (c *processCase) Name() string { return c.title }

// MaxSamples implements [matrix.Bounded].
func (c *processCase) MaxSamples() int {
	if c.samples == 0 {
		return math.MaxInt
	}
	return c.samples
}

// Open implements [matrix.Case].
func (c *processCase) Open(ctx context.Context) error {
	p, err := baselines.StartProcess(ctx, c.name)
	if errors.Is(err, baselines.ErrUnavailable) {
		return fmt.Errorf("%w: %w", matrix.ErrUnavailable, err)
	}
	if err != nil {
		return err //nolint:wrapcheck // names the case
	}
	c.p = p
	return nil
}

// Run implements [matrix.Case].
func (c *processCase) Run(context.Context) (map[string]float64, int, error) {
	r, err := c.p.Run(sampleTime)
	if err != nil {
		return nil, 0, err //nolint:wrapcheck // names the case
	}
	values := map[string]float64{"ns/op": float64(r.Mean)}
	for _, m := range r.Metrics {
		values[m.Unit] = m.Value
	}
	return values, r.Runs, nil
}

// Close implements [matrix.Case].
func (c *processCase) Close() error { return c.p.Close() } //nolint:wrapcheck // names the case

// Versions implements [matrix.Versioned]: libraries by their names, and
// settings by their subject.
func (c *processCase) Versions() map[string]string {
	all := maps.Clone(c.p.Versions())
	for what, value := range c.p.Settings() {
		all[strings.Join([]string{what, c.name.Baseline, c.name.Workload, c.name.Label}, "/")] = value
	}
	return all
}

// knownBaselines are the names that --baseline accepts.
func knownBaselines() []string {
	var names []string
	for _, b := range baselines.All() {
		names = append(names, b.Name)
	}
	return slices.Concat(names, []string{"ablation"})
}
