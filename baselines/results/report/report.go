package report

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/genie-sdk/go/baselines/results"
)

// Report is a recording, compared with an older one if there is one.
type Report struct {
	New Run  `json:"new"`
	Old *Run `json:"old,omitempty"`
	// Sections has one section per workload and link, in the order of the
	// recording.
	Sections []Section `json:"sections"`
	// CostModels are predicted against measured times, one per link.
	CostModels []results.CostModel `json:"cost_models"`
	// Absent are the cases that could not run, or failed.
	Absent []results.Absence `json:"absent"`
	// Gone are the cases that only the old recording has.
	Gone     []results.Key `json:"gone,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
}

// Run describes a recording.
type Run struct {
	Path     string            `json:"path"` // the file's name without its folder
	Settings []results.Setting `json:"settings"`
	Cases    int               `json:"cases"`
	Samples  int               `json:"samples"`
}

// Section is everything about a workload over a link.
type Section struct {
	Workload string            `json:"workload"`
	Net      string            `json:"net"`
	Tables   []Table           `json:"tables"`
	Absent   []results.Absence `json:"absent,omitempty"`

	order []results.Key // of its cases
}

// Table is one unit of a section.
type Table struct {
	Unit string `json:"unit"` // a base unit: sec, not ns
	// Better is "higher", "lower" or empty.
	Better string `json:"better,omitempty"`
	// Exact units have no noise.
	Exact bool `json:"exact,omitempty"`
	// Headline tables come first: rates of work, latencies, total bytes.
	Headline bool  `json:"headline,omitempty"`
	Rows     []Row `json:"rows"`

	kind results.Kind
}

// Row is a benchmark case in a table.
type Row struct {
	results.Key
	Summary results.Summary `json:"summary"`
	// The ratios compare the case with a baseline: above 1 is better. Absent
	// where the baseline was not measured.
	VsPyTorch *float64 `json:"vs_local_pytorch,omitempty"`
	VsCapture *float64 `json:"vs_capture_only,omitempty"`
	// Change is from the old recording to the new one.
	Change *results.Change `json:"change,omitempty"`
}

// New makes the report of a recording; before may be nil.
func New(before, after *results.File) *Report {
	r := &Report{
		New: newRun(after), Sections: []Section{}, Warnings: after.Warnings,
		// Never null in JSON.
		CostModels: append([]results.CostModel{}, after.CostModels()...),
		Absent:     append([]results.Absence{}, after.Absent...),
	}
	if before != nil {
		old := newRun(before)
		r.Old = &old
		r.Warnings = append(slices.Clone(before.Warnings), r.Warnings...)
		for _, c := range before.Cases {
			if after.Find(c.Key) == nil {
				r.Gone = append(r.Gone, c.Key)
			}
		}
	}
	for _, c := range after.Cases {
		s := r.section(c.Workload, c.Net)
		s.order = append(s.order, c.Key)
		for _, unit := range c.Units() {
			s.table(after, unit).add(before, after, c)
		}
	}
	for _, a := range after.Absent {
		s := r.section(a.Workload, a.Net)
		s.Absent = append(s.Absent, a)
	}
	for i := range r.Sections {
		r.Sections[i].demote()
		slices.SortStableFunc(r.Sections[i].Tables, func(a, b Table) int { return cmp.Compare(place(a.kind), place(b.kind)) })
	}
	return r
}

// demote removes the time of an operation from the headlines where tokens have
// times of their own: a slow case may generate fewer tokens per operation.
func (s *Section) demote() {
	tokens := slices.ContainsFunc(s.Tables, func(t Table) bool { return t.kind == results.Latency && t.Unit != "sec/op" })
	for i := range s.Tables {
		if t := &s.Tables[i]; tokens && t.Unit == "sec/op" {
			t.kind, t.Headline = results.Other, false
		}
	}
}

func newRun(f *results.File) Run {
	run := Run{Path: filepath.Base(f.Path), Settings: f.Header, Cases: len(f.Cases)}
	for _, c := range f.Cases {
		run.Samples += c.Runs
	}
	// What differs between results is in their names and does not describe the
	// run.
	run.Settings = slices.DeleteFunc(slices.Clone(run.Settings), func(s results.Setting) bool {
		return s.Key == "ablation" || slices.ContainsFunc(f.Cases, func(c *results.Case) bool { return c.Part(s.Key) != "" || s.Key == "net" && c.Net != "" })
	})
	return run
}

// OfAll are the settings of the whole run, OfCases those of single cases, whose
// keys are paths.
func (r Run) OfAll() []results.Setting { return r.settings(false) }

// OfCases is the other half of OfAll.
func (r Run) OfCases() []results.Setting { return r.settings(true) }

func (r Run) settings(path bool) (out []results.Setting) {
	for _, s := range r.Settings {
		if strings.Contains(s.Key, "/") == path {
			out = append(out, s)
		}
	}
	return out
}

// section finds or makes a section.
func (r *Report) section(workload, net string) *Section {
	i := slices.IndexFunc(r.Sections, func(s Section) bool { return s.Workload == workload && s.Net == net })
	if i < 0 {
		i = len(r.Sections)
		r.Sections = append(r.Sections, Section{Workload: workload, Net: net, Tables: []Table{}})
	}
	return &r.Sections[i]
}

// table finds or makes the table of a unit.
func (s *Section) table(f *results.File, unit string) *Table {
	i := slices.IndexFunc(s.Tables, func(t Table) bool { return t.Unit == unit })
	if i < 0 {
		i = len(s.Tables)
		kind := results.KindOf(unit)
		s.Tables = append(s.Tables, Table{
			Unit: unit, Exact: f.Exact(unit), kind: kind,
			Better:   map[int]string{1: "higher", -1: "lower"}[f.Direction(unit)],
			Headline: place(kind) <= place(results.WireTotal),
		})
	}
	return &s.Tables[i]
}

// place orders the kinds of units for display.
func place(k results.Kind) int {
	return slices.Index([]results.Kind{results.Throughput, results.Latency, results.WireTotal, results.WireCause, results.Other}, k)
}

func (t *Table) add(before, after *results.File, c *results.Case) {
	s, ok := c.Summary(t.Unit)
	if !ok {
		return
	}
	row := Row{Key: c.Key, Summary: s}
	direction := after.Direction(t.Unit)
	to := func(baseline string) *float64 {
		base := after.Find(c.With(baseline))
		if base == nil {
			return nil
		}
		b, ok := base.Summary(t.Unit)
		if !ok {
			return nil
		}
		return results.Ratio(s.Median, b.Median, direction)
	}
	row.VsPyTorch, row.VsCapture = to(results.LocalPyTorch), to(results.CaptureOnly)
	if before != nil {
		if change, ok := results.Compare(before.Find(c.Key), c, t.Unit); ok {
			row.Change = &change
		}
	}
	t.Rows = append(t.Rows, row)
}

// variants are the variants of a table's rows, in order of appearance.
func (t *Table) variants() []string {
	var all []string
	for _, r := range t.Rows {
		if !slices.Contains(all, r.Variant) {
			all = append(all, r.Variant)
		}
	}
	return all
}

// of are the rows of a variant.
func (t *Table) of(variant string) []Row {
	return slices.DeleteFunc(slices.Clone(t.Rows), func(r Row) bool { return r.Variant != variant })
}

// variantText is the readable form of a variant: "gpt2, batch 4", "upload, 1
// MiB".
func variantText(variant string) string {
	var all []string
	for part := range strings.SplitSeq(variant, "/") {
		name, value, ok := strings.Cut(part, "=")
		switch {
		case !ok:
			all = append(all, part)
		case name == "model" || name == "op":
			all = append(all, value)
		case name == "bytes":
			all = append(all, bytesText(value))
		default:
			all = append(all, name+" "+value)
		}
	}
	return strings.Join(all, ", ")
}
