package systems

import (
	"context"
	"fmt"
	"time"
)

// The libraries of program [ResNet].
const (
	ORT               = "onnxruntime"
	TorchContiguous   = "torch-contiguous"
	TorchChannelsLast = "torch-channels_last"
	// TorchPacked is oneDNN with prepacked weights and fused addition and ReLU,
	// the form that torch.compile produces with frozen weights. For a whole
	// network it is torch.compile itself.
	TorchPacked = "torch-packed"
)

// Convolutions is a reference system that runs program [ResNet].
type Convolutions struct{ *System }

// StartConvolutions starts the program.
func StartConvolutions(ctx context.Context, o Options) (*Convolutions, error) {
	p, err := Start(ctx, ResNet, o)
	if err != nil {
		return nil, err
	}
	return &Convolutions{p}, nil
}

// Conv is a square two-dimensional convolution with bias, then an addition, then ReLU.
type Conv struct {
	Stride, Pad int
	Residual    *Tensor // [N, OC, OH, OW], to be added; or nil
	ReLU        bool
	X, W, B     Tensor // [N, C, H, W], [OC, C, KH, KW], [OC], f32
}

// Timing bounds the number of repetitions: Repeat times, or until For has
// passed.
type Timing struct {
	Repeat int
	For    time.Duration
}

// Layer runs a layer with a library and returns the time of each run and the output.
func (c *Convolutions) Layer(ctx context.Context, library string, v Conv, t Timing) ([]time.Duration, Tensor, error) {
	in := map[string]Tensor{"x": v.X, "w": v.W, "b": v.B}
	if v.Residual != nil {
		in["residual"] = *v.Residual
	}
	return c.timed(ctx, "layer", map[string]any{
		"library": library, "stride": v.Stride, "pad": v.Pad, "relu": v.ReLU,
		"repeat": t.Repeat, "seconds": t.For.Seconds(),
	}, in)
}

// ResNet50 runs a ResNet-50 with random weights, of a seed, on random images and
// returns the time of each run and the logits [batch, 1000].
func (c *Convolutions) ResNet50(ctx context.Context, library string, batch int, t Timing) ([]time.Duration, Tensor, error) {
	return c.timed(ctx, "resnet50", map[string]any{
		"library": library, "batch": batch, "repeat": t.Repeat, "seconds": t.For.Seconds(),
	}, nil)
}

// Checkpoint writes the network of [Convolutions.ResNet50] to a directory as
// transformers does, and returns the given number of its images and their
// logits.
func (c *Convolutions) Checkpoint(ctx context.Context, dir string, batch int) (images, logits Tensor, err error) {
	out, err := c.Call(ctx, "checkpoint", map[string]any{"dir": dir, "batch": batch}, nil, nil)
	if err != nil {
		return Tensor{}, Tensor{}, err
	}
	if out["x"].DType != "f32" || out["y"].DType != "f32" {
		return Tensor{}, Tensor{}, fmt.Errorf("%w: checkpoint returned no images or logits", ErrProtocol)
	}
	return out["x"], out["y"], nil
}

func (c *Convolutions) timed(ctx context.Context, op string, args map[string]any, in map[string]Tensor) ([]time.Duration, Tensor, error) {
	var r struct {
		Ns []int64 `json:"ns"`
	}
	out, err := c.Call(ctx, op, args, in, &r)
	if err != nil {
		return nil, Tensor{}, err
	}
	y, ok := out["y"]
	if !ok || y.DType != "f32" || len(r.Ns) == 0 {
		return nil, Tensor{}, fmt.Errorf("%w: %s returned no output or times", ErrProtocol, op)
	}
	times := make([]time.Duration, len(r.Ns))
	for i, ns := range r.Ns {
		times[i] = time.Duration(ns)
	}
	return times, y, nil
}
