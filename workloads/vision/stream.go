package vision

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/resnet"
)

const (
	// Stream is the number of batches of a run.
	Stream = 4
	// lanes is the number of sessions to which a stream's batches are dealt:
	// one computes while the images of the next batch are in transit.
	lanes = 2
)

type program struct {
	w     *Workload
	model *resnet.Model
}

// Graph implements [workloads.Program].
func (p *program) Graph() *lazy.Graph { return p.model.Graph }

// Close implements [workloads.Program].
func (p *program) Close() error { return p.model.Close() }

// Open implements [workloads.Program].
func (p *program) Open(ctx context.Context, client *genie.Client) (_ workloads.Runner, err error) {
	r := &runner{p: p, pixels: genie.FromTensor(p.w.pixels)}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	srg, err := client.Analyze(p.model.Graph)
	if err != nil {
		return nil, err
	}
	profile, err := srg.ProfileOf(plan.Bindings{"batch": p.w.id.Batch})
	if err != nil {
		return nil, err
	}
	for range lanes {
		s, err := client.NewSession(ctx)
		if err != nil {
			return nil, err
		}
		r.sessions = append(r.sessions, s)
		if err := s.Prepare(ctx, profile, p.model.Logits); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// runner is the sessions of a stream.
type runner struct {
	p        *program
	pixels   *genie.Value
	sessions []*genie.Session
}

// Close implements [workloads.Runner].
func (r *runner) Close() error {
	var err error
	for _, s := range r.sessions {
		err = errors.Join(err, s.Close())
	}
	return err
}

// Run implements [workloads.Runner]: it classifies [Stream] batches.
func (r *runner) Run(ctx context.Context, o workloads.RunOptions) (*workloads.Run, error) {
	st := &stream{batches: Stream, start: time.Now(), onFirst: o.OnFirst}
	if o.MaxBatches > 0 {
		st.batches = min(Stream, o.MaxBatches)
	}
	sessions := r.sessions[:min(len(r.sessions), st.batches)]
	if o.Serial {
		sessions = sessions[:1]
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range sessions {
		group.Go(func() error {
			for st.next() {
				if err := r.batch(ctx, s, st); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return st.run(r.p.w.id.Batch), nil
}

func (r *runner) batch(ctx context.Context, s *genie.Session, st *stream) error {
	out, err := s.Run(ctx, genie.Feed{"pixels": r.pixels}, r.p.model.Logits)
	if err != nil {
		return err
	}
	logits, err := out[0].Float32s(ctx)
	if err != nil {
		return err
	}
	return st.add(logits, s.ExecutorTime())
}

// stream is a run in progress. Every batch has the same images and must
// therefore have the same bits as the first.
type stream struct {
	batches int
	start   time.Time
	onFirst func()

	mu       sync.Mutex
	dealt    int
	logits   []float32
	done     []time.Duration // since start
	executor []time.Duration
}

// next deals a batch, if one is left.
func (s *stream) next() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dealt++
	return s.dealt <= s.batches
}

// add takes a batch's result.
func (s *stream) add(logits []float32, executor time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done, s.executor = append(s.done, time.Since(s.start)), append(s.executor, executor)
	if s.logits == nil {
		s.logits = logits
		if s.onFirst != nil {
			s.onFirst()
		}
		return nil
	}
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
	if !slices.EqualFunc(s.logits, logits, same) {
		return fmt.Errorf("%w: two batches of the same images differ", workloads.ErrMismatch)
	}
	return nil
}

func (s *stream) run(batch int) *workloads.Run {
	r := &workloads.Run{
		Output:   workloads.Output{Tensors: map[string][]float32{Logits: s.logits}},
		Items:    s.batches * batch,
		First:    s.done[0],
		Executor: s.executor,
	}
	for i, t := range s.done[1:] {
		r.Steps = append(r.Steps, t-s.done[i])
	}
	return r
}
