package otelgenie_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/genie/otelgenie"
	"github.com/genie-sdk/go/internal/fault"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// cuttable is a traced client whose first connection ends with the next piece
// in one direction once that is asked for.
type cuttable struct {
	*traced
	session           *genie.Session
	cutCalls, cutBack atomic.Bool
}

func newCuttable(t *testing.T, scheme string) *cuttable {
	c := &cuttable{traced: &traced{here: tracetest.NewInMemoryExporter(), there: tracetest.NewInMemoryExporter()}}
	tracer := func(e sdk.SpanExporter) *otelgenie.Tracer {
		p := sdk.NewTracerProvider(sdk.WithSyncer(e))
		t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
		return otelgenie.New(otelgenie.WithTracerProvider(p))
	}
	c.worker = workertest.Start(t, func(o *worker.Options) { o.Tracer = tracer(c.there) })
	proxy, err := fault.Start(map[string]string{"tcp": c.worker.TCP, "grpc": c.worker.GRPC}[scheme], fault.Options{
		Decide: func(p fault.Piece) fault.Verdict {
			if p.Conn == 0 && (p.ToWorker && c.cutCalls.Load() || !p.ToWorker && c.cutBack.Load()) {
				return fault.Verdict{Action: fault.Cut}
			}
			return fault.Verdict{}
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = proxy.Close() })
	// Without heartbeats nothing but the test's own requests meets the cut.
	c.client, err = genie.Open(t.Context(), scheme+"://"+proxy.Addr(), genie.WithTracer(tracer(c.here)), genie.WithHeartbeat(-1))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.client.Close() })
	c.session, err = c.client.NewSession(t.Context())
	require.NoError(t, err)
	return c
}

// inTrace are the spans of one trace by name, as far as they have ended.
func inTrace(spans tracetest.SpanStubs, id trace.TraceID, name string) (out tracetest.SpanStubs) {
	for _, s := range named(spans, name) {
		if s.SpanContext.TraceID() == id {
			out = append(out, s)
		}
	}
	return out
}

func attr(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// TestReconnect cuts the link under a run: the run that is made again, and the
// way back to its session, are in the trace of the call, with the cause.
func TestReconnect(t *testing.T) {
	for _, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			c := newCuttable(t, scheme)
			g := lazy.NewGraph("double")
			x := g.Input("x", lazy.F32, "n")
			y := lazy.Add(x, x)
			run := func() {
				out, err := c.session.Run(t.Context(), genie.Feed{"x": genie.Float32s([]float32{1, 2}, 2)}, y)
				require.NoError(t, err)
				got, err := out[0].Float32s(t.Context())
				require.NoError(t, err)
				require.Equal(t, []float32{2, 4}, got)
			}
			run()
			require.Empty(t, named(c.here.GetSpans(), "genie.Reconnect"))
			c.cutCalls.Store(true)
			run()
			runs := named(c.here.GetSpans(), "genie.Run")
			require.Len(t, runs, 2)
			id := runs[1].SpanContext.TraceID()
			require.NotEqual(t, runs[0].SpanContext.TraceID(), id)

			again := inTrace(c.here.GetSpans(), id, "genie.Reconnect")
			require.Len(t, again, 1)
			require.Equal(t, runs[1].SpanContext.SpanID(), again[0].Parent.SpanID())
			require.Contains(t, attr(again[0], "genie.cause"), "unreachable")
			require.True(t, strings.HasPrefix(attr(again[0], "genie.worker"), scheme+"://"))

			// The worker's run is below the call's span; joining the session is
			// below that of the reconnect, unless the client did so on its own.
			require.Eventually(t, func() bool { return len(inTrace(c.there.GetSpans(), id, "genie.worker/Run")) == 1 }, 10*time.Second, time.Millisecond)
			require.Equal(t, runs[1].SpanContext.SpanID(), inTrace(c.there.GetSpans(), id, "genie.worker/Run")[0].Parent.SpanID())
			for _, s := range inTrace(c.there.GetSpans(), id, "genie.worker/OpenSession") {
				require.Equal(t, again[0].SpanContext.SpanID(), s.Parent.SpanID())
			}
			require.EqualValues(t, 1, c.worker.Server.Meter().SessionsResumed.Load())
		})
	}
}

// TestRebuild cuts the link in the middle of a generation: the trace of the
// generation contains the repeated work, with the cause.
func TestRebuild(t *testing.T) {
	m, err := gpt2.Load(t.Context(), filepath.Join("..", "..", "testdata", "gpt2", "basic"), gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	for _, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			c := newCuttable(t, scheme)
			n := 0
			out, err := genie.Generate(t.Context(), c.session, m.LM, genie.GenerateRequest{
				Prompts: [][]int{{1, 2, 3}}, MaxNew: 120, IgnoreEOS: true,
				OnToken: func(int, int) error {
					if n++; n == 3 {
						c.cutBack.Store(true)
					}
					return nil
				},
			})
			require.NoError(t, err)
			require.Positive(t, out.Rebuilt, "the text was written in one piece")
			here := c.here.GetSpans()
			root := named(here, "genie.Generate")
			require.Len(t, root, 1)
			id := root[0].SpanContext.TraceID()
			rebuilt := inTrace(here, id, "genie.Rebuild")
			require.Len(t, rebuilt, out.Rebuilt)
			require.NotEmpty(t, attr(rebuilt[0], "genie.cause"))
			loops := map[trace.SpanID]bool{}
			for _, s := range append(named(here, "genie.Loop"), named(here, "genie.Run")...) {
				require.Equal(t, id, s.SpanContext.TraceID())
				loops[s.SpanContext.SpanID()] = true
			}
			require.Greater(t, len(loops), 1)
			for _, name := range []string{"genie.worker/Loop", "genie.worker/Run"} {
				for _, s := range named(c.there.GetSpans(), name) {
					require.Equal(t, id, s.SpanContext.TraceID(), name)
					require.True(t, loops[s.Parent.SpanID()], name)
				}
			}
		})
	}
}
