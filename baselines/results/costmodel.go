package results

import (
	"math"
	"slices"
	"strconv"
)

// Prediction is one case whose time the cost model predicted.
type Prediction struct {
	Key
	Predicted float64 `json:"predicted_sec"` // medians
	Measured  float64 `json:"measured_sec"`
	// Transfer distinguishes moving bytes from computing.
	Transfer bool  `json:"transfer"`
	Bytes    int64 `json:"bytes,omitempty"` // of a transfer
}

// Error is the prediction's relative error, |predicted-measured|/measured.
func (p Prediction) Error() float64 { return math.Abs(p.Predicted-p.Measured) / p.Measured }

// CostModel judges the predictions of a recording over one link.
type CostModel struct {
	Net         string       `json:"net"`
	Predictions []Prediction `json:"predictions"`
	// OperatorError is the median relative error over operators, TransferError
	// that over transfers of at least 1 MiB; absent without any.
	OperatorError *float64 `json:"operator_error,omitempty"`
	TransferError *float64 `json:"transfer_error,omitempty"`
	// Rank is Spearman's rank correlation of predicted and measured times;
	// absent for fewer than 3 predictions.
	Rank *float64 `json:"rank_correlation,omitempty"`
}

// CostModels collects the cases with the units predicted-ns and measured-ns,
// one model per link.
func (f *File) CostModels() []CostModel {
	var models []CostModel
	for _, c := range f.Cases {
		p, ok := c.Summary(predictedUnit)
		m, also := c.Summary(measuredUnit)
		if !ok || !also || m.Median <= 0 || p.Median <= 0 {
			continue
		}
		i := slices.IndexFunc(models, func(cm CostModel) bool { return cm.Net == c.Net })
		if i < 0 {
			i = len(models)
			models = append(models, CostModel{Net: c.Net})
		}
		bytes, _ := strconv.ParseInt(c.Part("bytes"), 10, 64)
		models[i].Predictions = append(models[i].Predictions, Prediction{
			Key: c.Key, Predicted: p.Median, Measured: m.Median,
			Transfer: slices.Contains([]string{"upload", "download", "echo"}, c.Part("op")), Bytes: bytes,
		})
	}
	for i := range models {
		models[i].judge()
	}
	return models
}

func (m *CostModel) judge() {
	var operators, transfers, predicted, measured []float64
	for _, p := range m.Predictions {
		predicted, measured = append(predicted, p.Predicted), append(measured, p.Measured)
		switch {
		case !p.Transfer:
			operators = append(operators, p.Error())
		case p.Bytes >= 1<<20:
			transfers = append(transfers, p.Error())
		}
	}
	m.OperatorError, m.TransferError = median(operators), median(transfers)
	if len(predicted) >= 3 {
		m.Rank = correlation(ranks(predicted), ranks(measured))
	}
}

func median(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	n := len(values)
	mid := (values[(n-1)/2] + values[n/2]) / 2
	return &mid
}

// ranks gives each value its rank from 1 on; equal values share their mean
// rank.
func ranks(values []float64) []float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	r := make([]float64, len(values))
	for i, v := range values {
		first, _ := slices.BinarySearch(sorted, v)
		last := first
		for last+1 < len(sorted) && sorted[last+1] == v {
			last++
		}
		r[i] = float64(first+last)/2 + 1
	}
	return r
}

// correlation is Pearson's; absent when one side does not vary.
func correlation(x, y []float64) *float64 {
	n := float64(len(x))
	var mx, my, sxy, sxx, syy float64
	for i := range x {
		mx, my = mx+x[i]/n, my+y[i]/n
	}
	for i := range x {
		sxy += (x[i] - mx) * (y[i] - my)
		sxx += (x[i] - mx) * (x[i] - mx)
		syy += (y[i] - my) * (y[i] - my)
	}
	if sxx == 0 || syy == 0 {
		return nil
	}
	c := sxy / math.Sqrt(sxx*syy)
	return &c
}
