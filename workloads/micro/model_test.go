package micro

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads"
)

// TestSuites checks that no judged case is among the calibration cases, that
// the judged sizes are between the calibrated ones, and that small and full
// agree.
func TestSuites(t *testing.T) {
	for _, scale := range []workloads.Scale{workloads.Tiny, workloads.Small, workloads.Full} {
		s := SuiteAt(scale)
		type span struct{ lo, hi float64 }
		work := map[string]span{}
		names := map[string]bool{}
		amount := func(c Case) float64 {
			if c.Transfer() {
				return float64(c.Dims[0])
			}
			_, k, err := c.kernel()
			require.NoError(t, err)
			return k.Class.Work(k.Cost)
		}
		for _, c := range s.Calibration {
			require.NoError(t, c.check())
			require.False(t, names[c.String()], "%v twice", c)
			names[c.String()] = true
			w, ok := work[c.Op]
			if a := amount(c); ok {
				work[c.Op] = span{min(w.lo, a), max(w.hi, a)}
			} else {
				work[c.Op] = span{a, a}
			}
		}
		for _, c := range s.Judged {
			require.NoError(t, c.check())
			require.False(t, names[c.String()], "%v is judged and calibrated with", c)
			require.Greater(t, amount(c), work[c.Op].lo, c)
			require.Less(t, amount(c), work[c.Op].hi, c)
		}
	}
	require.Equal(t, SuiteAt(workloads.Small), SuiteAt(workloads.Full))
}

func TestCaseErrors(t *testing.T) {
	for _, c := range []Case{
		{},
		{Op: "sort", Dims: []int{1}},
		{Op: MatMul, Dims: []int{1, 2}},
		{Op: Conv, Dims: []int{0, 3}},
		{Op: Echo, Dims: []int{6}},
		{Op: Echo, Dims: []int{maxDim + 4}},
	} {
		require.ErrorIs(t, c.check(), ErrCase, c)
		_, err := c.inMemory()
		require.ErrorIs(t, err, ErrCase)
	}
}

// machine is a device whose times follow from a formula.
type machine struct {
	flops, bytes, kernel, call, up, down float64
	noise                                func() float64
}

func (x machine) measure(t *testing.T, cases []Case) []Measurement {
	t.Helper()
	var out []Measurement
	for _, c := range cases {
		_, k, err := c.kernel()
		require.NoError(t, err)
		rate := x.bytes
		if k.Class.Work(k.Cost) == k.Cost.FLOPs {
			rate = x.flops * (1 + float64(k.Class)/10) // each class at its own rate
		}
		m := Measurement{Case: c, Executor: (x.kernel + k.Class.Work(k.Cost)/rate) * x.noise(), Runs: 1}
		srg, _, err := c.kernel()
		require.NoError(t, err)
		p, err := srg.Predict(semantic.Device{}, nil)
		require.NoError(t, err)
		m.Wall = m.Executor + (x.call+p.Up/x.up+p.Down/x.down)*x.noise()
		out = append(out, m)
	}
	return out
}

// TestFitFindsTheMachine fits the model to times of a known machine. Without
// noise it predicts other sizes exactly, with noise within the precision of the
// measurements, and it detects the times of another machine.
func TestFitFindsTheMachine(t *testing.T) {
	suite := SuiteAt(workloads.Small)
	quiet := machine{flops: 150e9, bytes: 20e9, kernel: 3e-6, call: 20e-6, up: 2e9, down: 3e9, noise: func() float64 { return 1 }}
	d, err := Fit(quiet.measure(t, suite.Calibration), true)
	require.NoError(t, err)
	require.InEpsilon(t, 20e-6, d.Calibration.Call, 0.02)
	require.InEpsilon(t, 165e9, d.FLOPS, 0.01, "the rate of the largest product")
	require.InEpsilon(t, 20e9, d.Bandwidth, 0.01)
	require.InEpsilon(t, 2e9, d.Link, 0.05)
	j, err := Compare(d, quiet.measure(t, suite.Judged))
	require.NoError(t, err)
	require.Len(t, j.Rows, 20)
	for _, r := range j.Rows {
		require.InDelta(t, 0, r.Error, 0.01, "%s %s", r.Op, r.Size)
		require.InEpsilon(t, r.RunMeasured, r.RunPredicted, 0.01, "%s %s", r.Op, r.Size)
	}
	require.InDelta(t, 1, j.Rank, 1e-12)
	require.True(t, j.OK())

	rng := rand.New(rand.NewPCG(3, 4))
	noisy := quiet
	noisy.noise = func() float64 { return 1 + 0.05*(2*rng.Float64()-1) }
	d, err = Fit(noisy.measure(t, suite.Calibration), true)
	require.NoError(t, err)
	j, err = Compare(d, noisy.measure(t, suite.Judged))
	require.NoError(t, err)
	require.Less(t, j.OperatorError, 0.1)
	require.Less(t, j.TransferError, 0.1)
	require.True(t, j.OK())

	slow := quiet
	slow.flops, slow.up, slow.down = quiet.flops/2, quiet.up/2, quiet.down/2
	j, err = Compare(d, slow.measure(t, suite.Judged))
	require.NoError(t, err)
	require.Greater(t, j.OperatorError, 0.4)
	require.Greater(t, j.TransferError, 0.4)
	require.False(t, j.OK())
}

func TestFitErrors(t *testing.T) {
	_, err := Fit(nil, false)
	require.ErrorIs(t, err, semantic.ErrCalibration)
	_, err = Fit([]Measurement{{Case: Case{MatMul, []int{32, 32, 32}}, Wall: 1, Executor: 1}}, false)
	require.ErrorIs(t, err, semantic.ErrCalibration)
	_, err = Fit([]Measurement{{Case: Case{"sort", []int{1}}}}, false)
	require.ErrorIs(t, err, ErrCase)
}

// TestSpearman compares with hand-computed values.
func TestSpearman(t *testing.T) {
	require.InDelta(t, 1, spearman([]float64{1, 2, 3}, []float64{10, 100, 1000}), 1e-12)
	require.InDelta(t, -1, spearman([]float64{1, 2, 3}, []float64{3, 2, 1}), 1e-12)
	// 1 - 6*sum(d^2)/(n(n^2-1)) without ties.
	require.InDelta(t, 1-6.*(1+1+1+1)/(5*24), spearman([]float64{1, 2, 3, 4, 5}, []float64{2, 1, 3, 5, 4}), 1e-12)
	require.Equal(t, []float64{2.5, 0, 2.5, 1}, ranks([]float64{7, 1, 7, 3}))
	require.Zero(t, spearman([]float64{1}, []float64{1}))
}

// TestExact compares the definitions here with PyTorch's results.
func TestExact(t *testing.T) {
	for _, scale := range []workloads.Scale{workloads.Tiny, workloads.Small} {
		references, err := readReferences("../../testdata", scale)
		require.NoError(t, err)
		for _, c := range SuiteAt(scale).Judged {
			if c.Transfer() {
				continue
			}
			r := references[c.String()]
			require.NotNil(t, r, c)
			for i, p := range r.Positions {
				require.InDelta(t, r.Values[i], c.exact(p), 1e-6*r.MaxAbs, "%v at %d", c, p) // the scale is float32
			}
		}
	}
}

// TestSpotChecksNotice changes single elements among those that are checked.
func TestSpotChecksNotice(t *testing.T) {
	for _, c := range SuiteAt(workloads.Tiny).Judged[:5] {
		_, k, err := c.kernel()
		require.NoError(t, err)
		got := make([]float32, int(k.Cost.BytesWritten/4))
		for i := range got {
			got[i] = float32(c.exact(i))
		}
		require.NoError(t, c.verify(got))
		at := int(mix(3) % uint32(len(got)))
		got[at] = float32(math.NaN())
		require.ErrorIs(t, c.verify(got), workloads.ErrMismatch)
		require.ErrorIs(t, c.verify(nil), workloads.ErrMismatch)
	}
}

// TestEvaluate runs everything at the tiny scale, where times mean nothing: the
// report must be complete and consistent.
func TestEvaluate(t *testing.T) {
	w := workertest.Start(t, nil)
	ctx := context.Background()
	suite := SuiteAt(workloads.Tiny)
	for _, url := range []string{"local:", "tcp://" + w.TCP} {
		client, err := genie.Open(ctx, url)
		require.NoError(t, err)
		var last, total int64
		s := Sampling{Rounds: 2, Time: 1, Runs: 2, Progress: func(d, n int64) { last, total = d, n }}
		d, j, err := Evaluate(ctx, client, suite, s)
		require.NoError(t, err)
		cases := len(suite.Calibration) + len(suite.Judged)
		require.Equal(t, []int64{int64(2 * cases), int64(2 * cases)}, []int64{last, total})
		require.Positive(t, d.FLOPS)
		require.Positive(t, d.Bandwidth)
		require.Equal(t, url != "local:", d.Link > 0)
		require.Len(t, j.Rows, len(suite.Judged))
		for i, r := range j.Rows {
			require.Equal(t, suite.Judged[i].Op, r.Op)
			require.Equal(t, suite.Judged[i].Size(), r.Size)
			require.Positive(t, r.Predicted)
			require.Positive(t, r.Measured)
			require.InEpsilon(t, math.Abs(r.Predicted-r.Measured)/r.Measured+1, r.Error+1, 1e-9)
			require.GreaterOrEqual(t, r.RunMeasured, r.Measured)
			require.Equal(t, 4, r.Runs)
		}
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		_, err = Calibrate(stopped, client, suite, s)
		require.ErrorIs(t, err, context.Canceled)
		_, err = Judge(stopped, client, d, suite, s)
		require.ErrorIs(t, err, context.Canceled)
		d, err = Calibrate(ctx, client, suite, s)
		require.NoError(t, err)
		j, err = Judge(ctx, client, d, suite, s)
		require.NoError(t, err)
		require.Len(t, j.Rows, len(suite.Judged))
		require.NoError(t, client.Close())
	}
}

// TestReferencesAreCalibrated: a suite measures an operator without a kernel, so that
// a calibrated device has a rate for those.
func TestReferencesAreCalibrated(t *testing.T) {
	for _, scale := range []workloads.Scale{workloads.Tiny, workloads.Small} {
		n := 0
		for _, c := range SuiteAt(scale).Calibration {
			_, k, err := c.kernel()
			require.NoError(t, err)
			if k.Rated() == semantic.ClassReference {
				n++
				require.Equal(t, CumSum, c.Op, "it has no kernel; is there one now? choose another operator")
			}
		}
		require.GreaterOrEqual(t, n, 2, "a curve")
	}
}
