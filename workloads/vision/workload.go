// Package vision is the workload vision-cnn: a ResNet classifies a short stream
// of batches of images. The transfer of a batch overlaps the computation of the
// previous one, on one worker. See testdata/scripts/make_workload_references.py
// for the expected outputs.
package vision

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/resnet"
)

// Name names the workload in results.
const Name = "vision-cnn"

// Logits is the name of the output, f32 [batch, classes].
const Logits = "logits"

// Workload is vision-cnn at one scale and batch size.
type Workload struct {
	id     workloads.ID
	dir    string // the checkpoint; "" is the one generated from the scale's seed
	want   workloads.Logits
	pixels transport.Tensor
}

var _ workloads.Workload = (*Workload)(nil)

// Batches are the batch sizes measured at a scale.
func Batches(s workloads.Scale) []int {
	switch s {
	case workloads.Small:
		return []int{1, 8}
	case workloads.Full:
		return []int{8, 32}
	case workloads.Tiny:
	}
	return []int{1, 2}
}

// model names the architecture at a scale.
func model(s workloads.Scale) string {
	switch s {
	case workloads.Small:
		return "resnet-50"
	case workloads.Full:
		return "resnet-152"
	case workloads.Tiny:
	}
	return "resnet-tiny"
}

// Load reads the expected output from the folder testdata of a checkout. batch
// is the number of images in a batch, at most the number with an expected
// output.
func Load(testdata string, scale workloads.Scale, batch int) (*Workload, error) {
	all, err := workloads.ReadLogits(filepath.Join(testdata, "vision", string(scale)+".json"))
	if err != nil {
		return nil, err
	}
	want, err := all.First(batch)
	if err != nil {
		return nil, fmt.Errorf("%s at scale %s: %w", Name, scale, err)
	}
	w := newWorkload(want, workloads.ID{Name: Name, Model: model(scale), Scale: scale, Batch: batch})
	if scale == workloads.Tiny {
		w.dir = filepath.Join(testdata, "resnet", "bottleneck")
	}
	return w, nil
}

func newWorkload(want workloads.Logits, id workloads.ID) *Workload {
	return &Workload{
		id: id, want: want,
		pixels: workloads.TensorF32(workloads.Pixels(id.Batch, want.Size), id.Batch, 3, want.Size, want.Size),
	}
}

// Part is the part of a checkpoint's reference that the workload needs: logits of
// [CheckpointImages] images.
const (
	Part             = "vision"
	CheckpointImages = 8
)

// OfCheckpoint returns the workloads on a checkpoint with its reference, for
// one image and for all images of the reference.
func OfCheckpoint(c *workloads.Checkpoint, r *workloads.Reference) ([]*Workload, error) {
	var stored workloads.StoredLogits
	if err := r.Part(Part, &stored); err != nil {
		return nil, err
	}
	want, err := stored.Read(c.Label())
	if err != nil {
		return nil, err
	}
	if want.Size < 1 || want.Size > maxSize {
		return nil, fmt.Errorf("%w: %s: images of %d pixels", workloads.ErrReference, c.Label(), want.Size)
	}
	var all []*Workload
	for _, batch := range []int{1, CheckpointImages} {
		some, err := want.First(batch)
		if err != nil {
			return nil, err
		}
		some.CloseCalls = true
		w := newWorkload(some, workloads.ID{Name: Name, Model: c.Label(), Checkpoint: c.Label(), Scale: c.Scale(), Batch: batch})
		w.dir = c.Dir
		all = append(all, w)
	}
	return all, nil
}

// maxSize bounds the images of a reference.
const maxSize = 2048

// ID implements [workloads.Workload].
func (w *Workload) ID() workloads.ID { return w.id }

// Dir implements [workloads.Workload].
func (w *Workload) Dir(ctx context.Context, progress transport.Progress) (string, error) {
	if w.dir != "" {
		return w.dir, nil
	}
	return workloads.RandomWeightsDir(ctx, w.id.Model, resnet.NewCheckpoint, progress)
}

// Inputs implements [workloads.Workload]: "pixels", f32 [batch, 3, size, size],
// the images of every batch of the stream.
func (w *Workload) Inputs() map[string]transport.Tensor {
	return map[string]transport.Tensor{"pixels": w.pixels}
}

// Verify implements [workloads.Workload].
func (w *Workload) Verify(out workloads.Output) (float64, error) {
	return w.want.Verify(Logits, out.Tensors[Logits])
}

// Load implements [workloads.Workload].
func (w *Workload) Load(ctx context.Context, dir string) (workloads.Program, error) {
	m, err := resnet.Load(ctx, dir, resnet.LoadOptions{Size: w.want.Size})
	if err != nil {
		return nil, err
	}
	return &program{w: w, model: m}, nil
}
