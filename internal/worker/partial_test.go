package worker

import (
	"crypto/sha256"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// partWriter is a weight that came in part.
type partWriter struct {
	got     int64
	aborted bool
}

func (w *partWriter) Write(b []byte) (int, error)    { return len(b), nil }
func (w *partWriter) Got() (n int64, hash plan.Hash) { return w.got, plan.Hash{} }
func (w *partWriter) Held() int64                    { return 100 }
func (w *partWriter) Tag() *transport.PossessionTag  { return nil }
func (w *partWriter) Want() int64                    { return 0 }

func (w *partWriter) Commit() error { return nil }
func (w *partWriter) Abort()        { w.aborted = true }

// keys makes distinct keys of weights.
func keys(t *testing.T, n int) []engine.WeightKey {
	t.Helper()
	e, err := host.Open(engine.Options{Threads: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	one := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(1)}}
	p := &plan.Plan{Version: plan.Version, Name: "weights", Buffers: n}
	for i := range n {
		h := plan.Hash(sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
		p.Values = append(p.Values,
			plan.Value{Kind: plan.KindWeight, Name: "w", Spec: one, Buffer: plan.NoBuffer, Hash: h, Storage: plan.F32},
			plan.Value{Kind: plan.KindTemp, Spec: one, Buffer: i})
		p.Steps = append(p.Steps, plan.Step{Op: "exp", In: []int{2 * i}, Out: 2*i + 1})
	}
	p.Outputs = []plan.Output{{Name: "y", Value: 1, Place: plan.Download, Cause: plan.CauseActivation}}
	prog, err := e.Compile(p)
	require.NoError(t, err)
	out := make([]engine.WeightKey, n)
	for i := range out {
		out[i], err = e.WeightForm(prog, p.Values[2*i])
		require.NoError(t, err)
	}
	return out
}

// TestPartialsAreBounded parks more weights than are retained: the oldest go,
// and so do those of an identity whose quota is full.
func TestPartialsAreBounded(t *testing.T) {
	p := newPartials(Options{PartialTime: time.Hour, PartialBytes: 1 << 30})
	defer p.close()
	all := keys(t, maxPartials+2)
	alice, bob := &tenant{}, &tenant{}
	var parked []*partWriter
	park := func(i int, payer *tenant) {
		w := &partWriter{got: 1}
		payer.bytes.used.Add(100)
		parked = append(parked, w)
		p.park(partialKey{payer, all[i]}, &incoming{out: w, log: slog.New(slog.DiscardHandler), payer: payer, paid: 100})
	}
	for i := range maxPartials {
		park(i, []*tenant{alice, bob}[i%2])
	}
	require.False(t, parked[0].aborted)
	park(maxPartials, bob)
	require.True(t, parked[0].aborted, "the oldest")
	require.EqualValues(t, maxPartials*100, p.Idle())
	require.EqualValues(t, 100*(maxPartials/2-1), alice.bytes.used.Load())
	require.EqualValues(t, 200, p.dropOf(alice, 150))
	require.True(t, parked[2].aborted && parked[4].aborted && !parked[3].aborted, "alice's oldest")
	require.EqualValues(t, 100*(maxPartials/2-3), alice.bytes.used.Load())
	p.Reclaim(1 << 20)
	require.Zero(t, p.Idle())
	require.Zero(t, alice.bytes.used.Load())
	require.Zero(t, bob.bytes.used.Load())
}
