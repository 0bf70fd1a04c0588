package tcp_test

import (
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
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

func prepare(b *testing.B, p *plan.Plan, opts ...tcp.Option) (transport.Session, transport.PlanRef) {
	b.Helper()
	ex := dial(b, workertest.Start(b, nil), opts...)
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
	b.Run(benchname.Of("round-trip", "tcp"), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Run(b.Context(), call); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkUpload is a run with a large input, through a socket and through
// shared memory, beside the same bytes through a bare socket.
func BenchmarkUpload(b *testing.B) {
	for _, mib := range []int{16, 256} {
		data := make([]byte, mib<<20)
		for i := range data {
			data[i] = byte(i * 7)
		}
		socket := rawSocket(b, len(data))
		run := func(opts ...tcp.Option) func(b *testing.B) {
			s, ref := prepare(b, first(len(data)/4), opts...)
			call := transport.Call{Plan: ref, Inputs: []transport.Input{{Data: data}}}
			return func(b *testing.B) {
				if _, err := s.Run(b.Context(), call); err != nil {
					b.Fatal(err)
				}
			}
		}
		for _, by := range []struct {
			name string
			send func(b *testing.B)
		}{
			{"socket", func(*testing.B) { socket(data) }},
			{"tcp", run(tcp.WithoutSharedMemory())},
			{"tcp-shared", run()},
		} {
			b.Run(benchname.Of("upload", by.name, fmt.Sprintf("size=%dMiB", mib)), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					by.send(b)
				}
			})
		}
	}
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
