package worker_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
)

// The soak's model: soakWords words on a circle, and a generation no longer
// than soakLongest.
const (
	soakWords   = 16
	soakLongest = 90
)

func circle(n int, radius, step float64) []byte {
	v := make([]float32, 0, 2*n)
	for i := range n {
		sin, cos := math.Sincos(step * float64(i))
		v = append(v, float32(radius*sin), float32(radius*cos))
	}
	return floats(v...)
}

// talker is a plan whose next token depends on every one before it: a row for
// each goes to a cache, the newest attends to all of them, and the nearest word
// to the result is the next token. Inputs are a token and its position.
func talker() (*plan.Plan, transport.Weights) {
	past, one, two := plan.Sym("past"), plan.C(1), plan.C(2)
	now := past.Add(one)
	f32 := func(dims ...plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: dims} }
	i32 := plan.Spec{DType: plan.I32, Shape: plan.Shape{one}}
	words, places := circle(soakWords, 1, 2*math.Pi/soakWords), circle(soakLongest+1, 2, 2.4)
	weights := transport.Weights{}
	weight := func(name string, rows int, data []byte) plan.Value {
		h := transport.HashWeight(plan.F32, []int{rows, 2}, data)
		weights[h] = transport.Weight{Name: name, Hash: h, Storage: plan.F32, Shape: []int{rows, 2}, Data: data}
		return plan.Value{Kind: plan.KindWeight, Name: name, Spec: f32(plan.C(rows), two), Buffer: plan.NoBuffer, Hash: h, Storage: plan.F32}
	}
	p := &plan.Plan{
		Version: plan.Version, Name: "talker",
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "token", Spec: i32, Buffer: plan.NoBuffer},
			{Kind: plan.KindInput, Name: "position", Spec: i32, Buffer: plan.NoBuffer},
			weight("words", soakWords, words), weight("places", soakLongest+1, places),
			{Kind: plan.KindState, Name: "said", Spec: f32(past, two), Buffer: plan.NoBuffer},
		},
		Inputs: []plan.Port{{Name: "token", Value: 0}, {Name: "position", Value: 1}},
	}
	step := func(op string, spec plan.Spec, attrs plan.Attrs, in ...int) int {
		v := plan.Value{Kind: plan.KindTemp, Name: op, Spec: spec, Buffer: p.Buffers}
		if op == "append" {
			v.Buffer = plan.NoBuffer
		} else {
			p.Buffers++
		}
		p.Values = append(p.Values, v)
		p.Steps = append(p.Steps, plan.Step{Op: op, Attrs: attrs, In: in, Out: len(p.Values) - 1})
		return len(p.Values) - 1
	}
	product := func(transB bool) plan.Attrs {
		return plan.Attrs{plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", transB)}
	}
	row := step("add", f32(one, two), nil, step("embedding", f32(one, two), nil, 2, 0), step("embedding", f32(one, two), nil, 3, 1))
	kv := step("append", f32(now, two), plan.Attrs{plan.Int("axis", 0)}, 4, row)
	seen := step("softmax", f32(one, now), plan.Attrs{plan.Int("axis", -1)}, step("matmul", f32(one, now), product(true), row, kv))
	out := step("add", f32(one, two), nil, row, step("matmul", f32(one, two), product(false), seen, kv))
	scores := step("matmul", f32(one, plan.C(soakWords)), product(true), out, 2)
	next := step("argmax", i32, plan.Attrs{plan.Int("axis", -1)}, scores)
	p.Outputs = []plan.Output{{Name: "next", Value: next, Place: plan.Download, Cause: plan.CauseToken}}
	p.States = []plan.State{{Name: "said", Mode: plan.StateAppend, In: 4, Out: kv}}
	return p, weights
}

// soakCall is the run of a token.
func soakCall(ref transport.PlanRef, past int, token int32) transport.Call {
	return transport.Call{Plan: ref, Bindings: []int{past}, Inputs: []transport.Input{
		{Data: int32s(token), Cause: plan.CauseToken}, {Data: int32s(int32(past)), Cause: plan.CauseToken},
	}}
}

// soakReference is what follows each first word, computed in this process, run
// by run.
func soakReference(ctx context.Context) ([][]int32, error) {
	ex, err := local.Open(local.WithThreads(1))
	if err != nil {
		return nil, err
	}
	defer func() { _ = ex.Close() }()
	s, err := ex.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	p, weights := talker()
	ref, err := s.Prepare(ctx, p, weights, nil)
	if err != nil {
		return nil, err
	}
	all := make([][]int32, soakWords)
	distinct := map[string]bool{}
	for first := range all {
		if err := s.Reset(ctx); err != nil {
			return nil, err
		}
		token := int32(first)
		for past := range soakLongest {
			res, err := s.Run(ctx, soakCall(ref, past, token))
			if err != nil {
				return nil, err
			}
			token = int32(binary.LittleEndian.Uint32(res.Outputs[0].Tensor.Data))
			all[first] = append(all[first], token)
		}
		distinct[fmt.Sprint(all[first])] = true
	}
	if len(distinct) < soakWords/2 {
		return nil, fmt.Errorf("%d first words give %d texts, which tells too little", soakWords, len(distinct))
	}
	return all, nil
}

// soakSession is a session with the plan.
type soakSession struct {
	transport.Session
	ref transport.PlanRef
}

func newSoakSession(ctx context.Context, ex transport.Executor) (*soakSession, error) {
	s, err := ex.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	p, weights := talker()
	ref, err := s.Prepare(ctx, p, weights, nil)
	return &soakSession{s, ref}, err
}

// loop generates runs tokens on the worker.
func (s *soakSession) loop(ctx context.Context, first, runs int, each func(i int, token int32) error) error {
	call, i := soakCall(s.ref, 0, int32(first)), 0
	return s.Session.(transport.Looper).RunLoop(ctx, call, transport.Loop{
		Inputs: []transport.LoopInput{{Kind: transport.LoopToken}, {Kind: transport.LoopCount, Max: soakLongest}},
		Grow:   []int{1}, Limits: []int{runs},
	}, func(tokens []byte, _ time.Duration) error {
		i++
		return each(i-1, int32(binary.LittleEndian.Uint32(tokens)))
	})
}
