package worker_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
)

// chooser is a plan whose output is the index of the largest of three numbers.
func chooser() *plan.Plan {
	return &plan.Plan{
		Version: plan.Version, Name: "chooser", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "scores", Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(1), plan.C(3)}}, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "next", Spec: plan.Spec{DType: plan.I32, Shape: plan.Shape{plan.C(1)}}},
		},
		Steps:   []plan.Step{{Op: "argmax", Attrs: plan.Attrs{plan.Int("axis", -1)}, In: []int{0}, Out: 1}},
		Inputs:  []plan.Port{{Name: "scores", Value: 0}},
		Outputs: []plan.Output{{Name: "next", Value: 1, Place: plan.Download, Cause: plan.CauseToken}},
	}
}

// TestTurns has a greedy session, with a deep queue or a long loop, and one that
// runs once: it comes to its turn after one run of the other's or two.
func TestTurns(t *testing.T) {
	for name, greedy := range map[string]func(t *testing.T, g *gate, done chan<- error){
		"deep queue": func(t *testing.T, g *gate, done chan<- error) {
			s, call := g.join(t, "tcp")
			for range 20 {
				go func() {
					_, err := s.Run(t.Context(), call)
					done <- err
				}()
			}
			<-g.began
			g.waiting(t, 19)
		},
		"loop": func(t *testing.T, g *gate, done chan<- error) {
			ex, err := tcp.Dial(t.Context(), g.TCP)
			require.NoError(t, err)
			t.Cleanup(func() { _ = ex.Close() })
			s, err := ex.NewSession(t.Context())
			require.NoError(t, err)
			ref, err := s.Prepare(t.Context(), chooser(), nil, nil)
			require.NoError(t, err)
			go func() {
				done <- s.(transport.Looper).RunLoop(t.Context(),
					transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(1, 3, 2)}}},
					transport.Loop{Inputs: []transport.LoopInput{{}}, Limits: []int{20}},
					func([]byte, time.Duration) error { return nil })
			}()
			<-g.began
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, func(o *worker.Options) { o.MaxRunning = 1 })
			interactive, call := g.join(t, "tcp")
			others := make(chan error, 20)
			greedy(t, g, others)
			answered := make(chan error, 1)
			go func() {
				_, err := interactive.Run(t.Context(), call)
				answered <- err
			}()
			require.Eventually(t, func() bool { return g.Server.Load().Turns == 1 }, 10*time.Second, time.Millisecond)
			g.open <- struct{}{} // the greedy one's run ends
			<-g.began
			g.open <- struct{}{}
			select {
			case err := <-answered:
				require.NoError(t, err)
			case <-g.began:
				g.open <- struct{}{}
				require.NoError(t, <-answered)
			}
			require.LessOrEqual(t, g.runs.Load(), int64(4), "of twenty and one")
			close(g.open)
			require.NoError(t, <-others)
		})
	}
}

// BenchmarkInteractive measures a session that runs a short program now and then
// beside sessions that always run a long one: alone, with the worker's turns, and
// with all runs let in at once.
func BenchmarkInteractive(b *testing.B) {
	for _, tt := range []struct {
		name    string
		greedy  int
		running int
	}{
		{"turns", 0, 2},
		{"turns", 8, 2},
		{"no-turns", 8, 1000},
	} {
		b.Run(benchname.Of("interactive", tt.name, fmt.Sprintf("greedy=%d", tt.greedy)), func(b *testing.B) {
			w := workertest.Start(b, func(o *worker.Options) { o.MaxRunning = tt.running })
			stop := make(chan struct{})
			var others sync.WaitGroup
			var long, n atomic.Int64
			for range tt.greedy {
				s, call := chained(b, w, 256)
				others.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						res, err := s.Run(b.Context(), call)
						if err != nil {
							b.Error(err)
							return
						}
						long.Add(int64(res.Elapsed))
						n.Add(1)
					}
				})
			}
			s, call := chained(b, w, 1)
			var took []time.Duration
			var waits, runs time.Duration
			for b.Loop() {
				begin := time.Now()
				res, err := s.Run(b.Context(), call)
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begin))
				runs += res.Elapsed
				waits += took[len(took)-1] - res.Elapsed
				b.StopTimer()
				<-time.After(5 * time.Millisecond) // between the requests of a person
				b.StartTimer()
			}
			close(stop)
			others.Wait()
			slices.Sort(took)
			for _, q := range []int{50, 99} {
				b.ReportMetric(float64(took[(len(took)-1)*q/100]), fmt.Sprintf("p%d-ns", q))
			}
			if tt.greedy > 0 {
				b.ReportMetric(float64(long.Load())/float64(n.Load()), "greedy-run-ns/op")
			}
			b.ReportMetric(float64(runs)/float64(len(took)), "run-ns/op")
			b.ReportMetric(float64(waits)/float64(len(took)), "wait-ns/op")
		})
	}
}

// chained prepares 24 products with one matrix in a row, over rows rows.
func chained(b *testing.B, w *workertest.Worker, rows int) (transport.Session, transport.Call) {
	const width, depth = 256, 24
	ex, err := tcp.Dial(b.Context(), w.TCP)
	require.NoError(b, err)
	b.Cleanup(func() { _ = ex.Close() })
	content := make([]byte, 4*width*width)
	h := transport.HashWeight(plan.F32, []int{width, width}, content)
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.Sym("rows"), plan.C(width)}}
	p := &plan.Plan{
		Version: plan.Version, Name: "chained", Buffers: 2,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindWeight, Name: "w", Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(width), plan.C(width)}}, Buffer: plan.NoBuffer, Hash: h, Storage: plan.F32},
		},
		Inputs: []plan.Port{{Name: "x", Value: 0}},
	}
	attrs := plan.Attrs{plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", false)}
	for i := range depth {
		in := 0
		if i > 0 {
			in = len(p.Values) - 1
		}
		p.Values = append(p.Values, plan.Value{Kind: plan.KindTemp, Name: fmt.Sprint("y", i), Spec: spec, Buffer: i % 2})
		p.Steps = append(p.Steps, plan.Step{Op: "matmul", Attrs: attrs, In: []int{in, 1}, Out: len(p.Values) - 1})
	}
	p.Outputs = []plan.Output{{Name: "y", Value: len(p.Values) - 1, Place: plan.Download, Cause: plan.CauseActivation}}
	s, err := ex.NewSession(b.Context())
	require.NoError(b, err)
	weights := transport.Weights{h: {Name: "w", Hash: h, Storage: plan.F32, Shape: []int{width, width}, Data: content}}
	ref, err := s.Prepare(b.Context(), p, weights, nil)
	require.NoError(b, err)
	return s, transport.Call{Plan: ref, Bindings: []int{rows}, Inputs: []transport.Input{{Data: make([]byte, 4*rows*width)}}}
}
