package baselines

import (
	"slices"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
	"github.com/genie-sdk/go/workloads/micro"
)

// Metric is one figure with its unit.
type Metric struct {
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// Samples accumulate the runs of a case.
type Samples struct {
	id            workloads.ID
	runs, items   int
	prompt        int
	total         time.Duration
	first, steps  []time.Duration
	counted       bool
	moved, perTok transport.Snapshot
	transfer      time.Duration // time in which the bytes of perTok moved: outside the executor
}

// NewSamples begins a collection for a workload.
func NewSamples(w workloads.Workload) *Samples { return &Samples{id: w.ID()} }

// Add adds a run. Bytes per token count the steps after the first token, or the
// prompt when there is no other.
func (s *Samples) Add(f *Figures) {
	s.runs++
	s.items += f.Items
	s.prompt += f.Prompt
	s.total += f.Total
	s.first = append(s.first, f.First)
	s.steps = append(s.steps, f.Steps...)
	s.counted = f.Counted
	s.moved = sum(s.moved, f.FirstMoved, f.RestMoved)
	for i, d := range f.Steps {
		if i+1 < len(f.Executor) {
			s.transfer += d - f.Executor[i+1]
		}
	}
	if len(f.Steps) > 0 {
		s.perTok = sum(s.perTok, f.RestMoved)
		return
	}
	s.perTok = sum(s.perTok, f.FirstMoved)
	if len(f.Executor) > 0 {
		s.transfer += f.First - f.Executor[0]
	}
}

// Transfers describe a language model: the bytes that a step moved, or a whole
// run without steps, and the rate at which they moved while the executor did
// not compute, in bytes per second.
func (s *Samples) Transfers() (each int, rate float64) {
	n := max(len(s.steps), 1)
	if len(s.steps) == 0 {
		n = max(s.runs, 1)
	}
	if s.transfer <= 0 || !isLLM(s.id) {
		return 0, 0
	}
	return int(bytes(s.perTok)) / n, bytes(s.perTok) / s.transfer.Seconds()
}

// sum adds up the bytes moved.
func sum(parts ...transport.Snapshot) (t transport.Snapshot) {
	for _, p := range parts {
		t = t.Add(p)
	}
	return t
}

// Operations is the number of operations in the runs: one per batch in a stream
// of images, otherwise one per run.
func (s *Samples) Operations() int {
	if n := s.id.Batch; itemsUnit(s.id) == "images/s" && n > 0 {
		return max(s.items/n, 1)
	}
	return max(s.runs, 1)
}

// Mean is the mean time of an operation.
func (s *Samples) Mean() time.Duration { return s.total / time.Duration(s.Operations()) }

// Metrics are the accumulated figures of all runs, with the properties of the
// case. ops is the number of operators that the worker executed during them.
func (s *Samples) Metrics(facts Facts, ops int64) []Metric {
	if s.runs == 0 {
		return nil
	}
	out := s.rates()
	if s.counted {
		out = append(out, s.wire(ops)...)
	}
	for _, role := range []string{"client", "worker", "other"} {
		if n := facts.PeakRSS[role]; n > 0 {
			out = append(out, Metric{float64(n), role + "-peak-B"})
		}
	}
	return append(out, Metric{facts.MaxAbsErr, "max-abs-err"})
}

// rates are the figures of speed.
func (s *Samples) rates() []Metric {
	if !isLLM(s.id) {
		if unit := itemsUnit(s.id); unit != "" {
			return []Metric{{float64(s.items) / s.total.Seconds(), unit}}
		}
		return nil
	}
	spent, tokens := s.steps, len(s.steps)*s.id.Batch
	if len(s.steps) == 0 {
		spent, tokens = s.first, s.prompt
	}
	var d time.Duration
	for _, v := range spent {
		d += v
	}
	out := []Metric{
		{float64(tokens) / d.Seconds(), "tok/s"},
		{quantile(s.first, 0.5), "ttft-p50-ns"},
		{quantile(s.first, 0.99), "ttft-p99-ns"},
	}
	if len(s.steps) > 0 {
		out = append(out, Metric{quantile(s.steps, 0.5), "itl-p50-ns"}, Metric{quantile(s.steps, 0.99), "itl-p99-ns"})
	}
	return out
}

// wire is the figures of bytes on the wire.
func (s *Samples) wire(ops int64) []Metric {
	runs := float64(s.Operations())
	out := []Metric{
		{bytes(s.moved) / runs, "wire-B/op"},
	}
	if s.moved.RoundTrips > 0 || ops > 0 || bytes(s.moved) == 0 {
		out = append(out, Metric{float64(s.moved.RoundTrips) / runs, "rtts/op"}, Metric{float64(ops) / runs, "remote-ops/op"})
	}
	for c := range plan.NumCauses {
		if n := s.moved.Sent[c] + s.moved.Received[c]; n > 0 {
			out = append(out, Metric{float64(n) / runs, plan.Cause(c).String() + "-wire-B/op"})
		}
	}
	switch {
	case !isLLM(s.id):
	case len(s.steps) > 0:
		out = append(
			out, Metric{bytes(s.perTok) / float64(len(s.steps)*s.id.Batch), "wire-B/tok"},
		)
		if s.moved.RoundTrips > 0 {
			out = append(out, Metric{float64(s.perTok.RoundTrips) / float64(len(s.steps)), "rtts/step"})
		}
	case s.prompt > 0:
		out = append(out, Metric{bytes(s.perTok) / float64(s.prompt), "wire-B/tok"})
	}
	return out
}

func bytes(m transport.Snapshot) float64 { return float64(m.SocketSent + m.SocketReceived) }

// quantile is the nearest-rank quantile in nanoseconds.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return float64(s[min(len(s)-1, int(q*float64(len(s))))])
}

func isLLM(id workloads.ID) bool { return id.Name == llm.Decode || id.Name == llm.Prefill }

// itemsUnit is the unit of a workload's items per second.
func itemsUnit(id workloads.ID) string {
	if isLLM(id) || id.Name == micro.Name {
		return ""
	}
	return "images/s"
}
