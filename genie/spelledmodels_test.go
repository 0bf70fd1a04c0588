package genie_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/spellings"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// spelledPrograms is the number of random programs of TestSpelledModels:
// GENIE_SPELLED_MODELS, or a share that every run affords.
func spelledPrograms(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("GENIE_SPELLED_MODELS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		return n
	}
	if testing.Short() {
		return 20
	}
	return 60
}

// TestSpelledModels assembles whole models from spellings that are drawn at
// random, for every concept in every layer, and compares each with the same
// model in the canonical spellings: values of several runs, kernels, caches,
// phases and branches. GENIE_SEED repeats a run.
func TestSpelledModels(t *testing.T) {
	seed := uint64(1)
	if s := os.Getenv("GENIE_SEED"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		seed = v
	}
	lib := loadSpellings(t)
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer client.Close()
	n := spelledPrograms(t)
	for _, m := range spelledModels {
		t.Run(m.name, func(t *testing.T) {
			want := map[string]spelledResult{} // by what is drawn of the model itself
			for i := range n / len(spelledModels) {
				rng := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // not secret
				variant := rng.IntN(m.variants)
				key := strconv.Itoa(variant)
				if _, ok := want[key]; !ok {
					want[key] = runSpelled(t, client, m, &speller{lib: lib, variant: variant})
				}
				s := &speller{lib: lib, variant: variant, rng: rng}
				got := runSpelled(t, client, m, s)
				requireSame(t, want[key], got, fmt.Sprintf("program %d of GENIE_SEED=%d: %v", i, seed, s.drawn))
			}
		})
	}
}

func requireSame(t *testing.T, want, got spelledResult, what string) {
	t.Helper()
	require.Equal(t, want.caches, got.caches, "caches: %s", what)
	require.Equal(t, want.phases, got.phases, "phases: %s", what)
	require.Equal(t, want.branches, got.branches, "branches: %s", what)
	require.Equal(t, want.kernels, got.kernels, "kernels: %s", what)
	for i, v := range want.values {
		require.Len(t, got.values[i], len(v), what)
		top := 1.0
		for _, x := range v {
			top = max(top, math.Abs(float64(x)))
		}
		for k, x := range v {
			require.LessOrEqual(t, math.Abs(float64(x-got.values[i][k])), 1e-5*top, "run %d: %s", i, what)
		}
	}
}

// spelledResult is what is compared.
type spelledResult struct {
	values   [][]float32 // of each run
	kernels  []string    // of each run, but copies and views
	caches   int
	phases   []semantic.Phase
	branches int
}

func runSpelled(t *testing.T, client *genie.Client, m spelledModel, s *speller) spelledResult {
	t.Helper()
	s.t, s.g = t, lazy.NewGraph(m.name)
	y := s.g.Output("y", m.build(s))
	require.NoError(t, s.g.Err(), s.drawn)
	srg, err := semantic.Analyze(s.g)
	require.NoError(t, err)
	r := spelledResult{caches: len(srg.Caches), branches: len(srg.Branches)}
	require.Len(t, srg.Caches, m.caches(s), "%v; carried %d; notes %v", s.drawn, len(s.g.Carries()), srg.Notes)
	session, err := client.NewSession(t.Context())
	require.NoError(t, err)
	defer session.Close()
	past := 0
	for i, rows := range m.runs {
		b := plan.Bindings{"b": 2, "t": rows, "past": past, "s": 4}
		p, err := srg.ProfileOf(b)
		require.NoError(t, err)
		r.phases = append(r.phases, p.Phase)
		kernels, err := srg.Kernels(b)
		require.NoError(t, err)
		r.kernels = append(r.kernels, kernelNames(kernels)...)
		out, err := session.Run(t.Context(), feedsOf(s.g, b, i), y)
		require.NoError(t, err, s.drawn)
		v, err := out[0].Float32s(t.Context())
		require.NoError(t, err)
		r.values = append(r.values, slices.Clone(v))
		past += rows
	}
	return r
}

// kernelNames are the kernels that compute something, in any order: what only
// moves depends on the layout of what a spelling carries.
func kernelNames(ks []semantic.Kernel) []string {
	var out []string
	for _, k := range ks {
		switch k.Class {
		case semantic.ClassProduct, semantic.ClassNarrow, semantic.ClassAttention, semantic.ClassNorm, semantic.ClassGather:
			out = append(out, k.Name)
		default:
		}
	}
	slices.Sort(out)
	return out
}

// feedsOf are random inputs of one run. They depend on the input's name and the
// run alone.
func feedsOf(g *lazy.Graph, b plan.Bindings, run int) genie.Feed {
	feed := genie.Feed{}
	for _, in := range g.Inputs() {
		if slices.ContainsFunc(g.Carries(), func(c lazy.Carried) bool { return c.In == in }) {
			continue
		}
		shape, _ := in.Shape().Eval(b)
		n := 1
		for _, d := range shape {
			n *= d
		}
		rng := named(in.Name(), uint64(run))
		switch in.Name() {
		case "ids":
			v := make([]int32, n)
			for i := range v {
				v[i] = int32(rng.IntN(spelledVocab))
			}
			feed[in.Name()] = genie.Int32s(v, shape...)
		case "positions":
			v := make([]int64, n)
			for i := range v {
				v[i] = int64(b["past"] + i%b["t"])
			}
			feed[in.Name()] = genie.Int64s(v, shape...)
		case "mask":
			v := make([]bool, n)
			for i := range v {
				v[i] = i%shape[len(shape)-1] == 0 || rng.IntN(3) > 0
			}
			feed[in.Name()] = genie.Bools(v, shape...)
		default:
			v := make([]float32, n)
			for i := range v {
				v[i] = float32(rng.NormFloat64())
			}
			feed[in.Name()] = genie.Float32s(v, shape...)
		}
	}
	return feed
}

func named(name string, seed uint64) *rand.Rand {
	h := uint64(14695981039346656037)
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h)) //nolint:gosec // not secret
}

func loadSpellings(t *testing.T) map[string]*spellings.Concept {
	t.Helper()
	lib := map[string]*spellings.Concept{}
	for _, dir := range []string{"../testdata/spellings", "../testdata/spellings/caches"} {
		cs, err := spellings.Load(dir)
		require.NoError(t, err)
		for _, c := range cs {
			lib[c.Name] = c
		}
	}
	return lib
}

// speller draws spellings: the canonical ones without a source of randomness.
type speller struct {
	t       *testing.T
	lib     map[string]*spellings.Concept
	rng     *rand.Rand
	variant int
	g       *lazy.Graph
	used    int
	drawn   []string
}

// concept is the output of a spelling of a concept for the given values.
func (s *speller) concept(name, output string, values map[string]*lazy.Tensor, dims map[string]plan.Dim) *lazy.Tensor {
	c := s.lib[name]
	require.NotNil(s.t, c, name)
	sp := c.Spellings[0]
	if s.rng != nil {
		sp = c.Spellings[s.rng.IntN(len(c.Spellings))]
	}
	s.used++
	s.drawn = append(s.drawn, name+"."+sp.Name)
	built, err := c.Build(sp, s.g, spellings.Args{
		Name: fmt.Sprintf("%s%d", name, s.used), Values: values, Dims: dims,
		Weight: func(w string, shape []int) []float32 {
			return weights(fmt.Sprintf("%s%d.%s", name, s.used, w), shape...)
		},
	})
	require.NoError(s.t, err, s.drawn)
	return built.Out[output]
}

func weights(name string, shape ...int) []float32 {
	n := 1
	for _, d := range shape {
		n *= d
	}
	rng := named(name, 3)
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64()) / 4
	}
	return v
}
