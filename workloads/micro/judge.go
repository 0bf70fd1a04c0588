package micro

import (
	"cmp"
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
)

// Row compares one case with the cost model's prediction, in seconds. For an
// operator it judges the executor's own time, for a transfer the whole run.
type Row struct {
	Op        string  `json:"op"`
	Size      string  `json:"size"`
	Transfer  bool    `json:"transfer"`
	Bytes     int     `json:"bytes,omitempty"` // of a transfer
	Predicted float64 `json:"predicted_seconds"`
	Measured  float64 `json:"measured_seconds"`
	Error     float64 `json:"error"` // |predicted - measured| / measured
	// RunPredicted and RunMeasured are the whole run, from call to result: for
	// an operator, including the transfer of its inputs and outputs.
	RunPredicted float64 `json:"run_predicted_seconds"`
	RunMeasured  float64 `json:"run_measured_seconds"`
	Runs         int     `json:"runs"` // measured
}

// judgedBytes is the size from which a transfer counts in the median.
const judgedBytes = 1 << 20

// Judgement is the result of testing the cost model.
type Judgement struct {
	Rows []Row `json:"rows"`
	// OperatorError and TransferError are the medians of the operators' errors
	// and of the errors of transfers of at least 1 MiB (of all transfers, where
	// none is that large).
	OperatorError float64 `json:"operator_median_error"`
	TransferError float64 `json:"transfer_median_error"`
	// RunError is the median error of the operators' whole runs.
	RunError float64 `json:"run_median_error"`
	// Rank is Spearman's rank correlation of predicted and measured times over
	// all rows.
	Rank float64 `json:"rank_correlation"`
}

// The targets of a judgement.
const (
	MaxOperatorError = 0.25
	MaxTransferError = 0.15
	MinRank          = 0.95
)

// OK reports whether the judgement meets the targets.
func (j *Judgement) OK() bool {
	return j.OperatorError <= MaxOperatorError && j.TransferError <= MaxTransferError && j.Rank >= MinRank
}

// Judge measures the judged cases of a suite and compares them with the cost
// model's predictions for a device.
func Judge(ctx context.Context, client *genie.Client, d semantic.Device, suite Suite, s Sampling) (*Judgement, error) {
	measured, err := Measure(ctx, client, suite.Judged, s)
	if err != nil {
		return nil, err
	}
	return Compare(d, measured)
}

// Evaluate combines [Calibrate] and [Judge] and measures the cases of both in
// the same rounds: drift of the machine between two separate measurements would
// invalidate the comparison.
func Evaluate(ctx context.Context, client *genie.Client, suite Suite, s Sampling) (semantic.Device, *Judgement, error) {
	measured, err := Measure(ctx, client, slices.Concat(suite.Calibration, suite.Judged), s)
	if err != nil {
		return semantic.Device{}, nil, err
	}
	n := len(suite.Calibration)
	d, err := Fit(measured[:n], remote(client))
	if err != nil {
		return d, nil, err
	}
	j, err := Compare(d, measured[n:])
	return d, j, err
}

// Compare pairs measurements with the cost model's predictions for a device.
func Compare(d semantic.Device, measured []Measurement) (*Judgement, error) {
	j := &Judgement{}
	var operators, runs, transfers, large, predicted, times []float64
	for _, m := range measured {
		srg, _, err := m.kernel()
		if err != nil {
			return nil, err
		}
		p, err := srg.Predict(d, nil)
		if err != nil {
			return nil, err
		}
		r := Row{
			Op: m.Op, Size: m.Size(), Predicted: p.Kernels, Measured: m.Executor,
			RunPredicted: p.Seconds(), RunMeasured: m.Wall, Runs: m.Runs,
		}
		if m.Transfer() {
			r.Transfer, r.Bytes, r.Predicted, r.Measured = true, m.Dims[0], r.RunPredicted, r.RunMeasured
		}
		r.Error = relative(r.Predicted, r.Measured)
		switch {
		case !r.Transfer:
			operators = append(operators, r.Error)
			runs = append(runs, relative(r.RunPredicted, r.RunMeasured))
		case r.Bytes >= judgedBytes:
			large = append(large, r.Error)
			fallthrough
		default:
			transfers = append(transfers, r.Error)
		}
		predicted, times = append(predicted, r.Predicted), append(times, r.Measured)
		j.Rows = append(j.Rows, r)
	}
	if len(large) == 0 {
		large = transfers
	}
	j.OperatorError, j.TransferError, j.RunError = median(operators), median(large), median(runs)
	j.Rank = spearman(predicted, times)
	return j, nil
}

func relative(predicted, measured float64) float64 { return math.Abs(predicted-measured) / measured }

// spearman is the correlation of the ranks; equal values share their mean rank.
func spearman(x, y []float64) float64 {
	if len(x) < 2 {
		return 0
	}
	return stat.Correlation(ranks(x), ranks(y), nil)
}

func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	out := make([]float64, len(x))
	for i := 0; i < len(order); {
		n := 1
		for i+n < len(order) && x[order[i+n]] == x[order[i]] {
			n++
		}
		for k := range n {
			out[order[i+k]] = float64(i) + float64(n-1)/2
		}
		i += n
	}
	return out
}
