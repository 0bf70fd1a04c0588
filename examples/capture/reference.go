package main

import "math"

// state is the hidden state of one sensor in the plain network.
type state [hidden]float64

// step computes the network for one measurement in float64, from the formulas
// of PyTorch's GRUCell, and returns the forecast.
func (s *state) step(w *weights, x []float32) float64 {
	gate := func(g, j int) (input, state float64) {
		column := g*hidden + j
		input, state = float64(w.InputBias[column]), float64(w.StateBias[column])
		for i, v := range x {
			input += float64(v) * float64(w.Input[i*gates*hidden+column])
		}
		for i, v := range s {
			state += v * float64(w.State[i*gates*hidden+column])
		}
		return input, state
	}
	var next state
	for j := range next {
		ri, rs := gate(0, j)
		zi, zs := gate(1, j)
		ni, ns := gate(2, j)
		r := 1 / (1 + math.Exp(-ri-rs))
		z := 1 / (1 + math.Exp(-zi-zs))
		n := math.Tanh(ni + r*ns)
		next[j] = (1-z)*n + z*s[j]
	}
	*s = next
	forecast := float64(w.OutputBias[0])
	for j, v := range next {
		forecast += v * float64(w.Output[j])
	}
	return forecast
}
