package cluster

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// planRef implements [transport.PlanRef].
type planRef struct {
	session *session
	hash    plan.Hash
	split   *plan.Split
	parts   []transport.PlanRef // by part, of the members' sessions
	batch   *batched            // nil where runs are not divided further
	sends   bool                // values cross directly from member to member
}

// Hash implements [transport.PlanRef].
func (r *planRef) Hash() plan.Hash { return r.hash }

// alone is the member that runs the whole plan.
func (r *planRef) alone() (member int, ok bool) {
	return r.split.Parts[0].Device, len(r.split.Parts) == 1
}

// Prepare implements [transport.Session]. Members prepare their parts at the same
// time.
func (s *session) Prepare(ctx context.Context, p *plan.Plan, weights transport.WeightSource, progress transport.Progress) (transport.PlanRef, error) {
	if err := s.enter(ctx, some); err != nil {
		return nil, err
	}
	defer s.leave(some)
	split, err := s.split(p)
	if err != nil {
		return nil, err
	}
	ref := &planRef{session: s, split: split, parts: make([]transport.PlanRef, len(split.Parts))}
	if k, ok := ref.alone(); ok {
		on, err := s.member(ctx, k)
		if err != nil {
			return nil, err
		}
		if ref.parts[0], err = on.Prepare(ctx, split.Parts[0].Plan, weights, progress); err != nil {
			return nil, s.x.failed(k, err)
		}
		ref.hash = ref.parts[0].Hash()
		if split.Parts[0].Plan != p {
			ref.hash = p.Hash()
		}
		return ref, nil
	}
	ref.hash, ref.batch = p.Hash(), s.x.batchOf(split)
	if ref.sends, err = s.direct(ctx, split); err != nil {
		return nil, err
	}
	bar := newProgress(split, progress)
	group, all := errgroup.WithContext(ctx)
	for k := range s.on {
		group.Go(func() error { return s.prepareOn(all, k, ref, weights, bar) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	bar.finish()
	return ref, nil
}

// prepareOn prepares the parts of one member.
func (s *session) prepareOn(ctx context.Context, k int, ref *planRef, weights transport.WeightSource, bar *progress) error {
	for i := range ref.split.Parts {
		part := &ref.split.Parts[i]
		if part.Device != k {
			continue
		}
		on, err := s.member(ctx, k)
		if err != nil {
			return err
		}
		if ref.parts[i], err = on.Prepare(ctx, part.Plan, weights, bar.part(i)); err != nil {
			return s.x.failed(k, err)
		}
		bar.done(i)
	}
	return nil
}

// split divides a plan between the members, and notes where its carried states
// are: those of other plans of the session stay where they are.
func (s *session) split(p *plan.Plan) (*plan.Split, error) {
	devices, err := s.x.devices(p)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	split, err := plan.SplitBy(p, devices, s.homes)
	if err != nil {
		return nil, err
	}
	if s.homes == nil {
		s.homes = map[string]int{}
	}
	for i := range p.States {
		s.homes[p.States[i].Name] = split.Home(i)
	}
	return split, nil
}

// devices are the members that a plan's steps are placed on. Every device that
// the plan names must be one of them.
func (x *Executor) devices(p *plan.Plan) ([]int, error) {
	out := make([]int, len(p.Steps))
	for i := range p.Steps {
		if out[i] = p.Steps[i].Device; out[i] < 0 || out[i] >= len(x.members) {
			return nil, fmt.Errorf("%w: step %d (%s) is for device %d, the cluster has %d members", transport.ErrInvalidPlan, i, p.Steps[i].Op, out[i], len(x.members))
		}
	}
	if x.opts.placement == nil {
		return out, nil
	}
	placed := x.opts.placement(p)
	if placed == nil {
		return out, nil
	}
	for i, d := range placed {
		if d < 0 || d >= len(x.members) {
			return nil, fmt.Errorf("%w: step %d is placed on device %d, the cluster has %d members", transport.ErrInvalidPlan, i, d, len(x.members))
		}
	}
	return placed, nil
}

// progress adds up what the members report. The total is the bytes of all weights
// of all parts; those that a member has already are done when its part is.
type progress struct {
	report transport.Progress

	mu       sync.Mutex
	size     []int64 // by part
	at       []int64 // by part: done
	reported bool
	total    int64
}

func newProgress(split *plan.Split, report transport.Progress) *progress {
	b := &progress{report: report, size: make([]int64, len(split.Parts)), at: make([]int64, len(split.Parts))}
	type held struct {
		device int
		hash   plan.Hash
	}
	seen := map[held]bool{}
	for i := range split.Parts {
		part := &split.Parts[i]
		for j := range part.Plan.Values {
			v := &part.Plan.Values[j]
			if v.Kind != plan.KindWeight || seen[held{part.Device, v.Hash}] {
				continue
			}
			seen[held{part.Device, v.Hash}] = true
			if n, ok := v.Spec.Shape.Elements().Const(); ok {
				b.size[i] += int64(n) * int64(v.Storage.Size())
			}
		}
		b.total += b.size[i]
	}
	return b
}

// part is the progress of a part's Prepare.
func (b *progress) part(i int) transport.Progress {
	if b.report == nil {
		return nil
	}
	return func(done, total int64) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.reported = true
		b.move(i, min(b.size[i], max(b.at[i], b.size[i]-total+done)))
	}
}

// done says that a part has all its weights.
func (b *progress) done(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at[i] = b.size[i]
}

// finish reports the end, if anything was reported.
func (b *progress) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reported {
		b.move(0, b.size[0])
	}
}

func (b *progress) move(i int, at int64) {
	b.at[i] = at
	done := int64(0)
	for _, n := range b.at {
		done += n
	}
	b.report(done, b.total)
}
