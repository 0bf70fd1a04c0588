package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

// perceptron is a family of models of this module: the network of network.go, from a
// directory in the Hugging Face layout.
type perceptron struct {
	x, scores *lazy.Tensor
	files     *checkpoint.Model
}

type perceptronConfig struct {
	features, hidden, classes int
	activation                string
}

func parsePerceptron(text []byte) (c perceptronConfig, err error) {
	file, err := checkpoint.ParseConfig(text)
	if err != nil {
		return c, err
	}
	if err := checkpoint.CheckType(file, "perceptron"); err != nil {
		return c, err
	}
	r := file.Reader()
	r.Int("features", &c.features)
	r.Int("hidden_size", &c.hidden)
	r.Int("num_labels", &c.classes)
	r.String("hidden_act", &c.activation)
	return c, r.Err()
}

func capturePerceptron(files *checkpoint.Model, c perceptronConfig) (*perceptron, error) {
	activate, err := activation.Named(c.activation)
	if err != nil {
		return nil, err
	}
	g := files.NewGraph("perceptron")
	t := files.Tensors(g, "perceptron.")
	p := &perceptron{x: g.Input("x", lazy.F32, "batch", c.features), files: files}
	h := activate(lazy.Linear(p.x, t.Weight("w1", c.features, c.hidden), t.Weight("b1", c.hidden)))
	p.scores = g.Output("scores", lazy.Linear(h, t.Weight("w2", c.hidden, c.classes), t.Weight("b2", c.classes)))
	return p, errors.Join(t.Err(), g.Err())
}

// TestFamilyFromOutside writes, loads and runs a family of this module.
func TestFamilyFromOutside(t *testing.T) {
	n := newNetwork(7)
	dir := t.TempDir()
	var weights []transport.Weight
	for _, w := range []struct {
		name  string
		data  []float32
		shape []int
	}{
		{"w1", n.w1, []int{features, hidden}},
		{"b1", n.b1, []int{hidden}},
		{"perceptron.w2", n.w2, []int{hidden, classes}}, // with the inner model's name, as some files have it
		{"perceptron.b2", n.b2, []int{classes}},
	} {
		var data []byte
		for _, v := range w.data {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		weights = append(weights, transport.Weight{Name: w.name, Storage: lazy.F32, Shape: w.shape, Data: data})
	}
	config := map[string]any{"model_type": "perceptron", "features": features, "hidden_size": hidden, "num_labels": classes, "hidden_act": "relu"}
	if err := checkpoint.Write(t.Context(), dir, config, weights...); err != nil {
		t.Fatal(err)
	}
	p, err := checkpoint.Load(context.Background(), dir, checkpoint.Options{Hashes: "model"}, parsePerceptron, capturePerceptron)
	if err != nil {
		t.Fatal(err)
	}
	defer p.files.Close()
	client, err := genie.Open(t.Context(), "local:")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 3*features)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	out, err := session.Run(t.Context(), genie.Feed{"x": genie.Float32s(x, 3, features)}, p.scores)
	if err != nil {
		t.Fatal(err)
	}
	got, err := out[0].Float32s(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compare(got, n.forward(x)); err != nil {
		t.Fatal(err)
	}
	config["model_type"] = "another"
	if err := checkpoint.Write(t.Context(), dir, config, weights...); err != nil {
		t.Fatal(err)
	}
	_, err = checkpoint.Load(context.Background(), dir, checkpoint.Options{}, parsePerceptron, capturePerceptron)
	if !errors.Is(err, checkpoint.ErrFamily) {
		t.Fatalf("another family is %v", err)
	}
}
