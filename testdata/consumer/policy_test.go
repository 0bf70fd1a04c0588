package main

import (
	"errors"
	"math"
	"testing"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"

	"example.com/consumer/fuse"
)

// recurrent is a network with a carried value, whose activation is written out.
func recurrent() (x, y, next *lazy.Tensor) {
	w := make([]float32, 2*hidden*hidden)
	for i := range w {
		w[i] = float32(i*7919%101)/101 - .5
	}
	g := lazy.NewGraph("recurrent")
	x = g.Input("x", lazy.F32, "rows", hidden)
	h := g.Input("h", lazy.F32, "rows", hidden)
	u := lazy.Add(lazy.MatMul(x, g.WeightF32("in", w[:hidden*hidden], hidden, hidden)), h)
	one := g.Const([]float32{1}, 1)
	act := lazy.Div(u, lazy.Add(one, lazy.Exp(lazy.Scale(u, -1))))
	next = g.Output("next", lazy.Identity(lazy.Tanh(act)))
	g.Carry(h, next)
	y = g.Output("y", lazy.MatMul(act, g.WeightF32("out", w[:hidden*classes], hidden, classes)))
	return x, y, next
}

// answers are what some steps give, and how many bytes of weights were sent for them.
func answers(t *testing.T, executor string, p semantic.Policy) (all []float32, weights int64) {
	t.Helper()
	client, err := genie.Open(t.Context(), executor, genie.WithPolicy(p))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	x, y, next := recurrent()
	for step := range 4 {
		data := make([]float32, 3*hidden)
		for i := range data {
			data[i] = float32((i+step)%17)/8 - 1
		}
		values, err := session.Run(t.Context(), genie.Feed{x.Name(): genie.Float32s(data, 3, hidden)}, y, next)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			f, err := v.Float32s(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, f...)
		}
	}
	return all, client.Ledger().Sent.Map()["weights"]
}

// TestPolicy runs a policy of this module's in process and on a worker: its numbers
// are those of the policy full, and its decisions show in what travels.
func TestPolicy(t *testing.T) {
	for _, executor := range []string{"local:", startWorker(t)} {
		want, _ := answers(t, executor, semantic.Full())
		got, weights := answers(t, executor, fuse.Policy{SmallWeight: hidden * hidden})
		if len(got) != len(want) {
			t.Fatalf("%d numbers, want %d", len(got), len(want))
		}
		for i := range want {
			if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-6*max(1, math.Abs(float64(want[i])))) {
				t.Fatalf("%s: number %d is %g, full has %g", executor, i, got[i], want[i])
			}
		}
		if small := int64(4 * 4 * hidden * classes); executor != "local:" && weights != small {
			t.Errorf("%d bytes of weights were sent, want %d: the small one with each of 4 runs", weights, small)
		}
	}
}

// TestPolicyPlan verifies that the activation is one operator in the plan, that
// the operator that passes its input on is gone, and that the carried value is
// returned.
func TestPolicyPlan(t *testing.T) {
	_, y, next := recurrent()
	srg, err := semantic.Analyze(y.Graph())
	if err != nil {
		t.Fatal(err)
	}
	request := semantic.Request{Outputs: []lazy.Named{{Name: "y", Tensor: y}, {Name: "next", Tensor: next}}}
	s, err := fuse.Policy{}.Schedule(srg, request)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(srg, request); err != nil {
		t.Fatal(err)
	}
	steps := map[string]int{}
	for _, step := range s.Plan.Steps {
		steps[step.Op]++
	}
	if steps["silu"] != 1 || steps["div"]+steps["exp"]+steps["identity"] != 0 {
		t.Errorf("the plan computes %v", steps)
	}
	if s.Carries[0].State != "" || len(s.Plan.States) != 0 {
		t.Errorf("the carried value is at %+v", s.Carries[0])
	}
}

// wrong is a policy that computes something else.
type wrong struct{}

func (wrong) Name() string { return "wrong" }

func (p wrong) Schedule(s *semantic.SRG, r semantic.Request) (*semantic.Schedule, error) {
	return semantic.Rules{Features: semantic.Features{Label: p.Name()}, Rewrite: func(g *semantic.Rewriter) error {
		for _, v := range g.Values() {
			if o := v.Op(); o == nil || o.Name() != "tanh" {
				continue
			}
			relu, err := g.Insert("relu", nil, v.In()...)
			if err != nil {
				return err
			}
			return g.Replace(v, relu)
		}
		return nil
	}}.Schedule(s, r)
}

// TestWrongPolicy gets an error, and no numbers.
func TestWrongPolicy(t *testing.T) {
	client, err := genie.Open(t.Context(), "local:", genie.WithPolicy(wrong{}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	x, y, _ := recurrent()
	_, err = session.Run(t.Context(), genie.Feed{x.Name(): genie.Float32s(make([]float32, hidden), 1, hidden)}, y)
	if !errors.Is(err, semantic.ErrPolicy) {
		t.Errorf("got %v", err)
	}
}
