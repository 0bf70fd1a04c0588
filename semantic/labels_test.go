package semantic

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
)

// score counts true positives (tp), false positives (fp) and false negatives
// (fn) of a label.
type score struct{ tp, fp, fn int }

func (s *score) count(want, got bool) {
	switch {
	case want && got:
		s.tp++
	case got:
		s.fp++
	case want:
		s.fn++
	}
}

type scores map[string]*score

func (s scores) of(label string) *score {
	if s[label] == nil {
		s[label] = &score{}
	}
	return s[label]
}

func (s scores) class(kind, want, got string) {
	s.of(kind+"="+want).count(true, want == got)
	if want != got {
		s.of(kind+"="+got).count(false, true)
	}
}

// checker compares the recognised meanings with the labels of one capture.
type checker struct {
	f        *graphFile
	p        *progGraph
	c        *captured
	srg      *SRG
	constant map[*progNode]bool
	results  map[*progNode]bool // outputs and carried out
	scores   scores
	mismatch []string
}

func (k *checker) class(kind string, n *progNode, want, got string) {
	k.scores.class(kind, want, got)
	if want != got {
		k.mismatch = append(k.mismatch, fmt.Sprintf("%s of %q (%v): want %s, got %s", kind, n.name, k.c.at[n], want, got))
	}
}

func (k *checker) flag(kind string, n *progNode, want, got bool) {
	k.scores.of(kind).count(want, got)
	if want != got {
		k.mismatch = append(k.mismatch, fmt.Sprintf("%s of %q (%v): want %v, got %v", kind, n.name, k.c.at[n], want, got))
	}
}

func (n *progNode) root() *progNode {
	for n.of != nil {
		n = n.of
	}
	return n
}

func (k *checker) check() error {
	k.constant, k.results = map[*progNode]bool{}, map[*progNode]bool{}
	for _, n := range k.p.outputs {
		k.results[n] = true
	}
	for _, c := range k.p.carries {
		k.results[c[1]] = true
	}
	for changed := true; changed; {
		changed = false
		for _, n := range k.p.nodes {
			constant := n.kind != "input" && !slices.ContainsFunc(n.in, func(x *progNode) bool { return !k.constant[x] })
			changed = changed || constant != k.constant[n]
			k.constant[n] = constant
		}
	}
	for _, n := range k.p.nodes {
		k.node(n)
	}
	k.caches()
	k.branches()
	k.patterns()
	return k.runs()
}

func (k *checker) node(n *progNode) {
	got := k.srg.Nodes[k.c.at[n].ID()]
	root := n.root()
	dead := n.deadend || root.name != "" && selects(k.f.Labels.Dead, root)
	if n.name != "" || n.deadend {
		k.flag("dead", n, dead, got.Dead)
	}
	if dead || root.name == "" {
		return
	}
	if want, ok := k.residency(n, root); ok {
		k.class("residency", n, want, got.Residency.String())
	}
	k.class("modality", n, k.modality(root), got.Modality.String())
	k.flag("sampling", n, selects(k.f.Labels.Sampling, root), got.Sampling)
	if n.name != "" {
		k.flag("attention", n, selects(k.f.Labels.Attention, n), got.Attention > 0)
	}
}

func (k *checker) residency(n, root *progNode) (string, bool) {
	base := ""
	for r, sel := range k.f.Labels.Residency {
		if selects(sel, root) {
			base = r
		}
	}
	switch {
	case base == StatefulKVCache.String():
		copied := n.op == "reshape" && n.in[0].of != nil // a view of a copy is not a view of the cache
		return base, n == root && !copied || k.results[n]
	case base == RecurrentState.String() && (n.kind == "input" || k.results[n]):
		return base, true
	case root.kind == "weight", root.kind == "const":
		return PersistentWeight.String(), n == root
	case n.kind == "input":
		return ExternalInput.String(), true
	case k.results[n]:
		return ExternalOutput.String(), true
	}
	return EphemeralActivation.String(), !k.constant[n]
}

func (k *checker) modality(n *progNode) string {
	if k.constant[n] {
		return ModalityNone.String()
	}
	want, rest := "", ModalityNone.String()
	for m, sel := range k.f.Labels.Modality {
		switch {
		case slices.Contains(sel, n.name):
			return m
		case slices.Contains(sel, "*"):
			rest = m
		case selects(sel, n):
			want = m
		}
	}
	return cmp.Or(want, rest)
}

func (k *checker) caches() {
	r := &programReader{p: k.p}
	found := map[*lazy.Tensor]*Cache{}
	for i := range k.srg.Caches {
		found[k.srg.Graph.Carries()[k.srg.Caches[i].Carry].In] = &k.srg.Caches[i]
	}
	for _, pair := range k.p.carries {
		in := pair[0]
		want, ok := k.f.Labels.Caches[in.name]
		got := found[k.c.at[in]]
		k.flag("cache", in, ok, got != nil)
		if !ok || got == nil {
			continue
		}
		mode := map[CacheMode]string{CacheAppend: "append", CacheWrite: "write", CacheRoll: "roll"}[got.Mode]
		k.class("cache-mode", in, want.Mode, mode)
		k.class("cache-axis", in, want.Axis, strconv.Itoa(got.Axis))
		for _, d := range []struct{ kind, want, got string }{
			{"old", want.Old, got.Old.String()}, {"new", want.New, got.New.String()}, {"query", want.Query, got.Query.String()},
		} {
			w, err := r.dim(d.want)
			if err != nil {
				k.mismatch = append(k.mismatch, err.Error())
			}
			k.flag("cache-"+d.kind, in, true, w.String() == d.got)
		}
	}
}

// branches matches labelled and found branches as sets of labelled tensors.
func (k *checker) branches() {
	want, got := map[string]bool{}, map[string]bool{}
	key := func(in func(*progNode) bool) string {
		var ids []string
		for i, n := range k.p.nodes {
			if n.name != "" && in(n) {
				ids = append(ids, fmt.Sprintf("%s.%d", n.name, i))
			}
		}
		return strings.Join(ids, " ")
	}
	for _, sel := range k.f.Labels.Branches {
		want[key(func(n *progNode) bool { return selects(sel, n) })] = true
	}
	for _, b := range k.srg.Branches {
		got[key(func(n *progNode) bool { return k.srg.Nodes[k.c.at[n].ID()].Branch == b.ID })] = true
	}
	for s := range want {
		k.scores.of("branch").count(true, got[s])
		if !got[s] {
			k.mismatch = append(k.mismatch, "branch not found: "+s)
		}
	}
	for s := range got {
		if !want[s] {
			k.scores.of("branch").count(false, true)
			k.mismatch = append(k.mismatch, "branch that is none: "+s)
		}
	}
}

func (k *checker) patterns() {
	r := &programReader{p: k.p}
	want, err := r.dim(cmp.Or(k.f.Labels.Patterns, "0"))
	if err != nil {
		k.mismatch = append(k.mismatch, err.Error())
	}
	n := 0
	for _, x := range k.srg.Nodes {
		n = max(n, x.Attention)
	}
	if !want.Is(n) {
		k.mismatch = append(k.mismatch, fmt.Sprintf("%d attention patterns, want %v", n, want))
	}
	w, _ := want.Const()
	s := k.scores.of("attention-pattern")
	s.tp, s.fp, s.fn = s.tp+min(n, w), s.fp+max(n-w, 0), s.fn+max(w-n, 0)
}

func (k *checker) runs() error {
	for _, run := range k.f.Runs {
		p, err := k.srg.ProfileOf(run.Bind)
		if err != nil {
			return err
		}
		k.scores.class("phase", run.Phase, p.Phase.String())
		if run.Phase != p.Phase.String() {
			k.mismatch = append(k.mismatch, fmt.Sprintf("phase with %v: want %s, got %s", run.Bind, run.Phase, p))
		}
		for _, n := range k.p.nodes {
			if n.name == "" || n.deadend || selects(k.f.Labels.Dead, n) {
				continue
			}
			want := p.Phase.String()
			for phase, sel := range k.f.Phases {
				if selects(sel, n) {
					want = phase
				}
			}
			k.class("node-phase", n, want, k.srg.PhaseOf(k.c.at[n], p).String())
		}
	}
	return nil
}

func (f *graphFile) analyse(p *progGraph, rng *rand.Rand, s scores) ([]string, error) {
	c, err := p.capture(rng)
	if err != nil {
		return nil, err
	}
	srg, err := Analyze(c.graph)
	if err != nil {
		return nil, err
	}
	k := &checker{f: f, p: p, c: c, srg: srg, scores: s}
	err = k.check()
	return k.mismatch, err
}

// seedOf returns the seed of this run: GENIE_SEED, or the time.
func seedOf(t testing.TB) uint64 {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("GENIE_SEED"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		seed = v
	}
	return seed
}

func TestLabelledGraphs(t *testing.T) {
	originals := scores{}
	for name, f := range loadGraphs(t) {
		t.Run(name, func(t *testing.T) {
			p, err := f.build(nil)
			require.NoError(t, err)
			wrong, err := f.analyse(p, nil, originals)
			require.NoError(t, err)
			require.Empty(t, wrong)
		})
	}
	originals.report(t)
}

const mutationsPerGraph = 200

func TestMutatedGraphs(t *testing.T) {
	seed := seedOf(t)
	n := mutationsPerGraph
	if testing.Short() {
		n /= 10
	}
	var mu sync.Mutex
	all := scores{}
	t.Run("graphs", func(t *testing.T) {
		for name, f := range loadGraphs(t) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				mutated := scores{}
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					all.merge(mutated)
				}()
				for i := range n {
					rng := rand.New(rand.NewPCG(seed, uint64(i)))
					p, err := f.build(f.sizesFor(rng))
					require.NoError(t, err)
					require.NoError(t, p.infer())
					(&mutator{p, rng}).mutate()
					wrong, err := f.analyse(p, rng, mutated)
					require.NoError(t, err, "mutation %d of GENIE_SEED=%d", i, seed)
					require.Empty(t, wrong, "mutation %d of GENIE_SEED=%d", i, seed)
				}
			})
		}
	})
	all.report(t)
}

func (s scores) merge(o scores) {
	for l, x := range o {
		y := s.of(l)
		y.tp, y.fp, y.fn = y.tp+x.tp, y.fp+x.fp, y.fn+x.fn
	}
}

// report logs precision and recall of every label, and requires both to be 1.
func (s scores) report(t *testing.T) {
	var labels []string
	for l := range s {
		labels = append(labels, l)
	}
	slices.Sort(labels)
	t.Logf("%-36s %9s %5s %5s %9s %9s", "label", "tp", "fp", "fn", "precision", "recall")
	for _, l := range labels {
		x := s[l]
		precision, recall := ratio(x.tp, x.fp), ratio(x.tp, x.fn)
		t.Logf("%-36s %9d %5d %5d %9.3f %9.3f", l, x.tp, x.fp, x.fn, precision, recall)
		if precision != 1 || recall != 1 {
			t.Errorf("%s: precision %.3f, recall %.3f", l, precision, recall)
		}
	}
}

func ratio(hit, miss int) float64 {
	if hit+miss == 0 {
		return 1
	}
	return float64(hit) / float64(hit+miss)
}
