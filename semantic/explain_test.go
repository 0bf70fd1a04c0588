package semantic_test

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// cachedAttention is one head of attention over a cache, with names that a
// drawing has to quote.
func cachedAttention(t *testing.T) (*lazy.Graph, *lazy.Tensor) {
	t.Helper()
	g := lazy.NewGraph(`a "graph" \ of one head`)
	const hidden, vocab = 4, 8
	ids := g.Input("tokens", lazy.I32, "batch", "seq")
	table := g.WeightF32(`w"te\`, make([]float32, vocab*hidden), vocab, hidden)
	x := lazy.Embedding(table, ids)
	cached := func(name string) *lazy.Tensor {
		w := make([]float32, hidden*hidden)
		w[0] = float32(len(name))
		rows := lazy.MatMul(x, g.WeightF32(name+".w", w, hidden, hidden))
		past := g.Input(name, lazy.F32, "batch", "past", hidden)
		all := lazy.Concat(1, past, rows)
		g.Carry(past, all)
		return all
	}
	k, v := cached("k"), cached("vv")
	h := lazy.MatMul(lazy.Softmax(lazy.CausalMask(lazy.MatMul(x, k, lazy.TransB), nil), -1), v)
	lazy.ReLU(h) // nothing reads it
	next := lazy.ArgMax(lazy.Last(lazy.MatMul(h, table, lazy.TransB), 1), -1)
	g.Output("next", next)
	require.NoError(t, g.Err())
	return g, next
}

func explain(t *testing.T, policy semantic.Policy, sizes plan.Bindings) *semantic.Explanation {
	t.Helper()
	g, next := cachedAttention(t)
	s, err := semantic.Analyze(g)
	require.NoError(t, err)
	e, err := semantic.Explain(s, policy, sizes, lazy.Named{Name: "next", Tensor: next})
	require.NoError(t, err)
	return e
}

func policies() []semantic.Policy {
	return []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()}
}

func TestExplain(t *testing.T) {
	sizes := plan.Bindings{"batch": 2, "seq": 1, "past": 6}
	e := explain(t, semantic.Full(), sizes)
	require.Equal(t, semantic.PhaseDecode, e.Phase)
	require.Len(t, e.Caches, 2)
	require.Len(t, e.Plan.States, 2)
	require.Nil(t, e.Client)
	require.Len(t, e.Buffers, e.Plan.Buffers)
	dead := 0
	sum := 0.0
	for i, n := range e.Nodes {
		require.Equal(t, i, n.ID)
		sum += n.Cost.FLOPs
		if n.Dead {
			dead++
			require.Nil(t, n.Sizes)
			continue
		}
		require.Equal(t, semantic.PhaseDecode, n.Phase)
		require.Len(t, n.Sizes, len(n.Shape))
	}
	require.Equal(t, 1, dead)
	require.InDelta(t, e.Total.FLOPs, sum, 1e-9)
	require.Positive(t, e.Total.Seconds)
	critical := 0
	for _, x := range e.Edges {
		require.False(t, math.IsInf(x.Rate, 0) || math.IsNaN(x.Rate))
		if x.Critical {
			critical++
		}
	}
	require.Positive(t, critical)

	prefill := explain(t, semantic.Blind(), plan.Bindings{"batch": 2, "seq": 5, "past": 0})
	require.Equal(t, semantic.PhasePrefill, prefill.Phase)
	require.Empty(t, prefill.Plan.States)

	g, _ := cachedAttention(t)
	s, err := semantic.Analyze(g)
	require.NoError(t, err)
	_, err = semantic.Explain(s, semantic.Full(), plan.Bindings{"batch": 1})
	require.Error(t, err, "sizes are missing")
}

func TestExplainJSON(t *testing.T) {
	for _, p := range policies() {
		b, err := json.Marshal(explain(t, p, plan.Bindings{"batch": 1, "seq": 1, "past": 3}))
		require.NoError(t, err)
		var back struct {
			Phase string `json:"phase"`
			Nodes []struct {
				Residency string `json:"residency"`
				Modality  string `json:"modality"`
			} `json:"nodes"`
			Edges []map[string]any `json:"edges"`
			Plan  struct {
				Steps []any `json:"steps"`
			} `json:"plan"`
		}
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, "llm_decode", back.Phase)
		require.Equal(t, "external_input", back.Nodes[0].Residency)
		require.Equal(t, "text", back.Nodes[0].Modality)
		require.NotEmpty(t, back.Edges)
		require.NotEmpty(t, back.Plan.Steps)
	}
}

func TestExplainText(t *testing.T) {
	e := explain(t, semantic.Full(), plan.Bindings{"batch": 1, "seq": 1, "past": 3})
	text := e.Text()
	for _, want := range []string{
		"phase llm_decode, policy full", "sizes batch=1 past=3 seq=1", "nothing reads it",
		"stateful_kv_cache", "2 KV caches", "plan for the executor", "states 2", "append(axis=1)",
	} {
		require.Contains(t, text, want)
	}
	require.Equal(t, text, e.Text())
}

// TestExplainDot parses the drawing: every line is a statement with complete
// strings, braces are balanced, and an edge joins declared nodes.
func TestExplainDot(t *testing.T) {
	quoted := regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	arrow := regexp.MustCompile(`^(\w+) -> (\w+)(?: \[.*\])?;$`)
	node := regexp.MustCompile(`^(\w+) \[label=.*\];$`)
	for _, p := range policies() {
		e := explain(t, p, plan.Bindings{"batch": 1, "seq": 4, "past": 0})
		declared := map[string]bool{}
		var edges [][2]string
		depth, nodes := 0, 0
		for line := range strings.Lines(e.Dot()) {
			line = strings.TrimSpace(quoted.ReplaceAllString(line, `S`))
			require.NotContains(t, line, `"`)
			depth += strings.Count(line, "{") - strings.Count(line, "}")
			require.GreaterOrEqual(t, depth, 0)
			if m := arrow.FindStringSubmatch(line); m != nil {
				edges = append(edges, [2]string{m[1], m[2]})
			} else if m := node.FindStringSubmatch(line); m != nil {
				require.False(t, declared[m[1]], m[1])
				declared[m[1]] = true
				if strings.HasPrefix(m[1], "n") {
					nodes++
				}
			}
		}
		require.Zero(t, depth)
		require.Len(t, e.Nodes, nodes)
		for _, x := range edges {
			require.True(t, declared[x[0]] && declared[x[1]], fmt.Sprint(x))
		}
	}
}
