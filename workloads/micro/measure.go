package micro

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
)

// Sampling configures how often cases are measured. The zero value is usable.
type Sampling struct {
	// Rounds is the number of passes over all cases; 0 means 7. A round
	// measures each case once more, so that drift of the machine affects all
	// cases.
	Rounds int
	// Time and Runs are lower bounds for a case in a round; 0 means 30 ms and 3
	// runs.
	Time time.Duration
	Runs int
	// Fastest uses the fastest run of a case instead of the median: for a
	// machine with other work, which can only make a run slower.
	Fastest bool
	// Progress is called with the number of cases measured and their total, all
	// rounds together. It may be nil.
	Progress transport.Progress
}

func (s Sampling) withDefaults() Sampling {
	if s.Rounds <= 0 {
		s.Rounds = 7
	}
	if s.Time <= 0 {
		s.Time = 30 * time.Millisecond
	}
	if s.Runs <= 0 {
		s.Runs = 3
	}
	return s
}

// Measurement is the time of one case.
type Measurement struct {
	Case
	Wall     float64 // seconds from call to result
	Executor float64 // seconds that the executor itself reports
	Runs     int
}

// samples are the single runs of a case.
type samples struct{ wall, executor []float64 }

// Measure runs cases through a client repeatedly. Before it times a case it
// verifies the output, and weights are resident if the client's policy retains
// them. Only one case at a time holds memory.
func Measure(ctx context.Context, client *genie.Client, cases []Case, s Sampling) ([]Measurement, error) {
	s = s.withDefaults()
	shared := &pool{}
	all := make([]samples, len(cases))
	for round := range s.Rounds {
		for i, c := range cases {
			if err := all[i].take(ctx, client, c, shared, s, round == 0); err != nil {
				return nil, fmt.Errorf("%v: %w", c, err)
			}
			if s.Progress != nil {
				s.Progress(int64(round*len(cases)+i+1), int64(s.Rounds*len(cases)))
			}
		}
	}
	out := make([]Measurement, len(cases))
	for i, c := range cases {
		out[i] = Measurement{Case: c, Wall: s.one(all[i].wall), Executor: s.one(all[i].executor), Runs: len(all[i].wall)}
	}
	return out, nil
}

// one is the representative of several times.
func (s Sampling) one(times []float64) float64 {
	if s.Fastest {
		return slices.Min(times)
	}
	return median(times)
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	n := len(x)
	if n == 0 {
		return 0
	}
	return (x[(n-1)/2] + x[n/2]) / 2
}

// take measures a case in one round, after a warm-up run.
func (m *samples) take(ctx context.Context, client *genie.Client, c Case, shared *pool, s Sampling, verify bool) (err error) {
	g, err := c.inMemory()
	if err != nil {
		return err
	}
	p := &program{c: c, graph: g, in: shared.inputs(c)}
	r, err := p.open(ctx, client)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	out, err := r.Run(ctx, workloads.RunOptions{})
	if err != nil {
		return err
	}
	if verify {
		if err := c.verify(out.Tensors[output]); err != nil {
			return err
		}
	}
	for begin, n := time.Now(), 0; n < s.Runs || time.Since(begin) < s.Time; n++ {
		if out, err = r.Run(ctx, workloads.RunOptions{}); err != nil {
			return err
		}
		m.wall = append(m.wall, out.First.Seconds())
		m.executor = append(m.executor, out.Executor[0].Seconds())
	}
	return nil
}

// kernel is the single kernel of a case, as the cost model sees it.
func (c Case) kernel() (*semantic.SRG, semantic.Kernel, error) {
	g, err := c.inMemory()
	if err != nil {
		return nil, semantic.Kernel{}, err
	}
	srg, err := semantic.Analyze(g)
	if err != nil {
		return nil, semantic.Kernel{}, err
	}
	kernels, err := srg.Kernels(nil)
	if err != nil {
		return nil, semantic.Kernel{}, err
	}
	if len(kernels) != 1 {
		return nil, semantic.Kernel{}, fmt.Errorf("%w: %v is %d kernels, not one", ErrCase, c, len(kernels))
	}
	return srg, kernels[0], nil
}
