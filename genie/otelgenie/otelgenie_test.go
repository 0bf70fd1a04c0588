package otelgenie_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/genie/otelgenie"
	"github.com/genie-sdk/go/internal/measure"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/gpt2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// traced is a worker and a client with exporters of their own, as two processes
// have.
type traced struct {
	here, there *tracetest.InMemoryExporter
	client      *genie.Client
	worker      *workertest.Worker
}

func newTraced(t *testing.T, scheme string, opts ...genie.Option) *traced {
	tr := &traced{here: tracetest.NewInMemoryExporter(), there: tracetest.NewInMemoryExporter()}
	tracer := func(e sdk.SpanExporter) *otelgenie.Tracer {
		p := sdk.NewTracerProvider(sdk.WithSyncer(e))
		t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
		return otelgenie.New(otelgenie.WithTracerProvider(p))
	}
	tr.worker = workertest.Start(t, func(o *worker.Options) { o.Tracer = tracer(tr.there) })
	url := map[string]string{"tcp": "tcp://" + tr.worker.TCP, "grpc": "grpc://" + tr.worker.GRPC}[scheme]
	var err error
	tr.client, err = genie.Open(t.Context(), url, append(opts, genie.WithTracer(tracer(tr.here)))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tr.client.Close() })
	return tr
}

func named(spans tracetest.SpanStubs, name string) (out tracetest.SpanStubs) {
	for _, s := range spans {
		if s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

// TestGenerate follows one generation through client and worker: one trace,
// every span below the one that caused it.
func TestGenerate(t *testing.T) {
	for _, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			tr := newTraced(t, scheme, genie.WithPolicy(measure.InTurn(semantic.Full())))
			ctx := t.Context()
			m, err := gpt2.Load(ctx, filepath.Join("..", "..", "testdata", "gpt2", "basic"), gpt2.LoadOptions{})
			require.NoError(t, err)
			defer m.Close()
			s, err := tr.client.NewSession(ctx)
			require.NoError(t, err)
			defer s.Close()
			_, err = genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: [][]int{{1, 2, 3}}, MaxNew: 9, IgnoreEOS: true})
			require.NoError(t, err)

			here := tr.here.GetSpans()
			root := named(here, "genie.Generate")
			require.Len(t, root, 1)
			require.False(t, root[0].Parent.IsValid())
			id := root[0].SpanContext.TraceID()
			asked := map[trace.SpanID]string{}
			for _, name := range []string{"genie.Prepare", "genie.Prepare", "genie.Run", "genie.Loop"} {
				for _, span := range named(here, name) {
					require.Equal(t, root[0].SpanContext.SpanID(), span.Parent.SpanID(), name)
					require.Equal(t, id, span.SpanContext.TraceID(), name)
					require.Equal(t, trace.SpanKindClient, span.SpanKind, name)
					asked[span.SpanContext.SpanID()] = name
				}
			}
			require.Len(t, asked, 4)

			// A request's span ends just after its answer has gone.
			require.Eventually(t, func() bool { return len(named(tr.there.GetSpans(), "genie.worker/Loop")) == 1 }, 5*time.Second, time.Millisecond)
			there := tr.there.GetSpans()
			caused := map[string]string{
				"genie.worker/Prepare": "genie.Prepare", "genie.worker/PutWeight": "genie.Prepare",
				"genie.worker/Run": "genie.Run", "genie.worker/Loop": "genie.Loop",
			}
			for name, by := range caused {
				spans := named(there, name)
				require.NotEmpty(t, spans, name)
				for _, span := range spans {
					require.Equal(t, id, span.SpanContext.TraceID(), name)
					require.Equal(t, by, asked[span.Parent.SpanID()], name)
					require.True(t, span.Parent.IsRemote(), name)
					require.Equal(t, trace.SpanKindServer, span.SpanKind, name)
				}
			}
			// Below a request are its queue, its run and the sending of its answer;
			// the steps of a loop are counted, not traced.
			for _, name := range []string{"genie.worker/Run", "genie.worker/Loop"} {
				request := named(there, name)[0]
				var parts []string
				for _, span := range there {
					if span.Parent.SpanID() == request.SpanContext.SpanID() {
						parts = append(parts, span.Name)
						require.False(t, span.StartTime.Before(request.StartTime))
						require.False(t, span.EndTime.After(request.EndTime))
					}
				}
				require.Equal(t, []string{"queue", "run", "send"}, parts, name)
			}
			loop := named(there, "genie.worker/Loop")[0]
			for _, span := range named(there, "run") {
				if span.Parent.SpanID() == loop.SpanContext.SpanID() {
					require.Contains(t, span.Attributes, attribute.Int64("genie.runs", 8))
				}
			}
			if scheme == "grpc" {
				require.NoError(t, tr.client.Close())
				require.Eventually(t, func() bool { return len(named(tr.there.GetSpans(), "genie.v1.Genie/Connect")) == 1 }, 5*time.Second, time.Millisecond,
					"the connection has a span by otelgrpc")
			}
		})
	}
}

// TestOneRequest follows a generation that is one request: its prefill and its
// loop have one span on each side.
func TestOneRequest(t *testing.T) {
	tr := newTraced(t, "tcp")
	ctx := t.Context()
	m, err := gpt2.Load(ctx, filepath.Join("..", "..", "testdata", "gpt2", "basic"), gpt2.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	s, err := tr.client.NewSession(ctx)
	require.NoError(t, err)
	defer s.Close()
	_, err = genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: [][]int{{1, 2, 3}}, MaxNew: 9, IgnoreEOS: true})
	require.NoError(t, err)
	here := tr.here.GetSpans()
	require.Len(t, named(here, "genie.Prepare"), 2)
	require.Empty(t, named(here, "genie.Run"))
	loop := named(here, "genie.Loop")
	require.Len(t, loop, 1)
	require.Contains(t, loop[0].Attributes, attribute.Int64("genie.runs", 9))
	require.Eventually(t, func() bool { return len(named(tr.there.GetSpans(), "genie.worker/Loop")) == 1 }, 5*time.Second, time.Millisecond)
	require.Equal(t, loop[0].SpanContext.SpanID(), named(tr.there.GetSpans(), "genie.worker/Loop")[0].Parent.SpanID())
}

// TestErrors verifies that a failed request is a failed span on both sides.
func TestErrors(t *testing.T) {
	tr := newTraced(t, "tcp", genie.WithPolicy(measure.InTurn(semantic.Full())), genie.WithRecovery(false))
	ctx := t.Context()
	m, err := gpt2.Load(ctx, filepath.Join("..", "..", "testdata", "gpt2", "basic"), gpt2.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	s, err := tr.client.NewSession(ctx)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, tr.worker.Close())
	_, err = genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: [][]int{{1}}, MaxNew: 3})
	require.Error(t, err)
	for _, name := range []string{"genie.Generate", "genie.Prepare"} {
		spans := named(tr.here.GetSpans(), name)
		require.NotEmpty(t, spans, name)
		for _, span := range spans {
			require.Equal(t, codes.Error, span.Status.Code, name)
		}
	}
}

// TestTraceparent goes there and back through the form on the wire.
func TestTraceparent(t *testing.T) {
	p := sdk.NewTracerProvider()
	defer func() { _ = p.Shutdown(context.Background()) }()
	tracer := otelgenie.New(otelgenie.WithTracerProvider(p))
	require.Empty(t, tracer.Traceparent(t.Context()))
	ctx, span := tracer.Start(t.Context(), "x", transport.SpanClient, slog.Int("n", 1), slog.Bool("b", true), slog.Float64("f", 0.5), slog.String("s", "t"))
	defer span.End(nil)
	text := tracer.Traceparent(ctx)
	require.Len(t, text, transport.TraceparentLen)
	got := trace.SpanContextFromContext(tracer.Continue(t.Context(), text))
	want := trace.SpanContextFromContext(ctx)
	require.Equal(t, want.TraceID(), got.TraceID())
	require.Equal(t, want.SpanID(), got.SpanID())
	require.True(t, got.IsRemote())
	for _, bad := range []string{"", "00", "00-00000000000000000000000000000000-0000000000000000-01", text[:54] + "x"} {
		require.False(t, trace.SpanContextFromContext(tracer.Continue(t.Context(), bad)).IsValid(), bad)
	}
}
