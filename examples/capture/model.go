package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/genie-sdk/go/lazy"
)

// The sizes of the network.
const (
	inputs = 3
	hidden = 16
	gates  = 3 // reset, update, new, in this order
)

// maxWeightsFile bounds the bytes read from a weights file.
const maxWeightsFile = 1 << 20

// weights are the network's, each row-major.
type weights struct {
	Input      []float32 `json:"input"`       // [inputs, gates*hidden]
	InputBias  []float32 `json:"input_bias"`  // [gates*hidden]
	State      []float32 `json:"state"`       // [hidden, gates*hidden]
	StateBias  []float32 `json:"state_bias"`  // [gates*hidden]
	Output     []float32 `json:"output"`      // [hidden, 1]
	OutputBias []float32 `json:"output_bias"` // [1]
}

// randomWeights makes a network that cannot forecast but is good enough to
// measure and to check.
func randomWeights(seed uint64) *weights {
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // numbers that anybody may know
	draw := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64()) / 2
		}
		return v
	}
	return &weights{
		Input: draw(inputs * gates * hidden), InputBias: draw(gates * hidden),
		State: draw(hidden * gates * hidden), StateBias: draw(gates * hidden),
		Output: draw(hidden), OutputBias: draw(1),
	}
}

// readWeights reads the output of write. The file is untrusted input: weights
// that do not fit the network are an error.
func readWeights(path string) (*weights, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxWeightsFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxWeightsFile {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, maxWeightsFile)
	}
	w := &weights{}
	if err := json.Unmarshal(text, w); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := w.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

func (w *weights) check() error {
	var errs []error
	for _, part := range []struct {
		name      string
		got, want int
	}{
		{"input", len(w.Input), inputs * gates * hidden},
		{"input_bias", len(w.InputBias), gates * hidden},
		{"state", len(w.State), hidden * gates * hidden},
		{"state_bias", len(w.StateBias), gates * hidden},
		{"output", len(w.Output), hidden},
		{"output_bias", len(w.OutputBias), 1},
	} {
		if part.got != part.want {
			errs = append(errs, fmt.Errorf("%s has %d numbers, want %d", part.name, part.got, part.want))
		}
	}
	return errors.Join(errs...)
}

func (w *weights) write(path string) error {
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// model is the captured network.
type model struct {
	x        *lazy.Tensor // input, f32 [sensors, inputs]
	forecast *lazy.Tensor // output, f32 [sensors, 1]
}

// capture records one step of the network and computes nothing. The error of an
// operator stays with its tensor; Err returns it with the line of this file.
func (w *weights) capture() (*model, error) {
	g := lazy.NewGraph("gru")
	x := g.Input("x", lazy.F32, "sensors", inputs)
	h := g.Input("h", lazy.F32, "sensors", hidden)

	fromInput := lazy.Split(lazy.Linear(x, g.WeightF32("input", w.Input, inputs, gates*hidden), g.WeightF32("input_bias", w.InputBias, gates*hidden)), gates, 1)
	fromState := lazy.Split(lazy.Linear(h, g.WeightF32("state", w.State, hidden, gates*hidden), g.WeightF32("state_bias", w.StateBias, gates*hidden)), gates, 1)

	one := g.Const([]float32{1}, 1)
	// sigmoid(v) is (1 + tanh(v/2)) / 2.
	sigmoid := func(v *lazy.Tensor) *lazy.Tensor {
		return lazy.Scale(lazy.Add(lazy.Tanh(lazy.Scale(v, 0.5)), one), 0.5)
	}
	reset := sigmoid(lazy.Add(fromInput[0], fromState[0]))
	update := sigmoid(lazy.Add(fromInput[1], fromState[1]))
	candidate := lazy.Tanh(lazy.Add(fromInput[2], lazy.Mul(reset, fromState[2])))
	// (1-update)*candidate + update*h
	next := lazy.Add(candidate, lazy.Mul(update, lazy.Sub(h, candidate)))

	// The next run's h is this run's next: zeros before the first.
	g.Carry(h, next)
	forecast := g.Output("forecast", lazy.Linear(next, g.WeightF32("output", w.Output, hidden, 1), g.WeightF32("output_bias", w.OutputBias, 1)))
	return &model{x: x, forecast: forecast}, g.Err()
}
