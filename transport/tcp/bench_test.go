package tcp_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// first is a plan that takes n floats and gives the first back.
func first(n int) *plan.Plan {
	return &plan.Plan{
		Version: plan.Version, Name: "first",
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Buffer: plan.NoBuffer, Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(n)}}},
			{Kind: plan.KindTemp, Name: "y", Buffer: plan.NoBuffer, Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(1)}}},
		},
		Steps: []plan.Step{{
			Op: "slice", In: []int{0}, Out: 1,
			Attrs: plan.Attrs{plan.Int("axis", 0), plan.Dims("start", plan.C(0)), plan.Dims("stop", plan.C(1))},
		}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 1, Place: plan.Download, Cause: plan.CauseActivation}},
	}
}

func prepare(b *testing.B, p *plan.Plan) (transport.Session, transport.PlanRef) {
	b.Helper()
	ex := dial(b, workertest.Start(b, nil))
	b.Cleanup(func() { _ = ex.Close() })
	s, err := ex.NewSession(b.Context())
	require.NoError(b, err)
	ref, err := s.Prepare(b.Context(), p, nil, nil)
	require.NoError(b, err)
	return s, ref
}

// BenchmarkRoundTrip is a run that does next to nothing.
func BenchmarkRoundTrip(b *testing.B) {
	s, ref := prepare(b, first(1))
	call := transport.Call{Plan: ref, Inputs: []transport.Input{{Data: make([]byte, 4)}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Run(b.Context(), call); err != nil {
			b.Fatal(err)
		}
	}
}

const uploadBytes = 256 << 20

// BenchmarkUpload is a run with a large input, and the same bytes through a
// bare socket in turn: the machine's mood changes both alike.
func BenchmarkUpload(b *testing.B) {
	data := make([]byte, uploadBytes)
	for i := range data {
		data[i] = byte(i * 7)
	}
	s, ref := prepare(b, first(len(data)/4))
	call := transport.Call{Plan: ref, Inputs: []transport.Input{{Data: data}}}
	socket := rawSocket(b, len(data))
	var bare, genie time.Duration
	bestBare, bestGenie := time.Hour, time.Hour
	b.SetBytes(2 * uploadBytes)
	for b.Loop() {
		t0 := time.Now()
		socket(data)
		t1 := time.Now()
		if _, err := s.Run(b.Context(), call); err != nil {
			b.Fatal(err)
		}
		t2 := time.Now()
		bare, genie = bare+t1.Sub(t0), genie+t2.Sub(t1)
		bestBare, bestGenie = min(bestBare, t1.Sub(t0)), min(bestGenie, t2.Sub(t1))
	}
	rate := func(d time.Duration, n int) float64 { return float64(n) * uploadBytes / 1e9 / d.Seconds() }
	b.ReportMetric(rate(bare, b.N), "socket-GB/s")
	b.ReportMetric(rate(genie, b.N), "genie-GB/s")
	b.ReportMetric(bare.Seconds()/genie.Seconds(), "of-socket")
	b.ReportMetric(bestBare.Seconds()/bestGenie.Seconds(), "of-socket-best")
	b.ReportMetric(rate(bestGenie, 1), "genie-best-GB/s")
}

// rawSocket sends n bytes at a time over a bare connection and waits for a
// byte.
func rawSocket(b *testing.B, n int) func(data []byte) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		into := make([]byte, n)
		for {
			if _, err := io.ReadFull(c, into); err != nil {
				return
			}
			if _, err := c.Write(into[:1]); err != nil {
				return
			}
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(b, err)
	b.Cleanup(func() {
		_ = c.Close()
		_ = l.Close()
		<-done
	})
	return func(data []byte) {
		if _, err := c.Write(data); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
	}
}
