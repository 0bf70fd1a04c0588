// Package vqa is the workload multimodal-vqa: a CLIP model answers a question
// about images by ranking candidate answers. See
// testdata/scripts/make_workload_references.py for the expected outputs.
package vqa

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/clip"
)

// Name names the workload in results.
const Name = "multimodal-vqa"

// LogitsPerImage is the name of the output, f32 [batch, Candidates].
const LogitsPerImage = "logits_per_image"

// Candidates is the number of ranked answers, and Tokens the length of the
// longest.
const (
	Candidates = 16
	Tokens     = 8
)

// Workload is multimodal-vqa at one scale and number of images.
type Workload struct {
	id     workloads.ID
	dir    string // the checkpoint; "" is the one generated from the scale's seed
	want   workloads.Logits
	inputs map[string]transport.Tensor
}

var _ workloads.Workload = (*Workload)(nil)

// Batches are the numbers of images measured at a scale.
func Batches(s workloads.Scale) []int {
	if s == workloads.Full {
		return []int{4}
	}
	return []int{1}
}

// architecture names the model at a scale and the tokens of its vocabulary.
func architecture(s workloads.Scale) (name string, vocab int) {
	switch s {
	case workloads.Small:
		return "clip-vit-base-patch32", 49408
	case workloads.Full:
		return "clip-vit-large-patch14", 49408
	case workloads.Tiny:
	}
	return "clip-tiny", 97
}

// Load reads the expected output from the folder testdata of a checkout. batch
// is the number of images, at most the number with an expected output.
func Load(testdata string, scale workloads.Scale, batch int) (*Workload, error) {
	all, err := workloads.ReadLogits(filepath.Join(testdata, "vqa", string(scale)+".json"))
	if err != nil {
		return nil, err
	}
	want, err := all.First(batch)
	if err != nil {
		return nil, fmt.Errorf("%s at scale %s: %w", Name, scale, err)
	}
	name, vocab := architecture(scale)
	tokens, mask := texts(vocab)
	w := newWorkload(want, workloads.ID{Name: Name, Model: name, Scale: scale, Batch: batch}, tokens, mask)
	if scale == workloads.Tiny {
		w.dir = filepath.Join(testdata, "clip", "quick")
	}
	return w, nil
}

// newWorkload ranks texts, i32 [want.Columns, seq] with their mask.
func newWorkload(want workloads.Logits, id workloads.ID, tokens, mask []int32) *Workload {
	texts, seq := want.Columns, len(tokens)/want.Columns
	return &Workload{
		id: id, want: want,
		inputs: map[string]transport.Tensor{
			"pixels": workloads.TensorF32(workloads.Pixels(id.Batch, want.Size), id.Batch, 3, want.Size, want.Size),
			"tokens": workloads.TensorI32(tokens, texts, seq),
			"mask":   workloads.TensorI32(mask, texts, seq),
		},
	}
}

// texts are the candidate answers as token ids of a vocabulary, i32
// [Candidates, Tokens], and their mask: a start token, words, an end token, and
// the end token again as padding, as CLIP's tokenizer pads. The start and the
// end token are the last two tokens of the vocabulary.
func texts(vocab int) (tokens, mask []int32) {
	begin, end := int32(vocab-2), int32(vocab-1)
	for i := range Candidates {
		const shortest = 4
		length := shortest + i%(Tokens-shortest+1)
		for j := range Tokens {
			token, kept := end, int32(0)
			switch {
			case j == 0:
				token = begin
			case j < length-1:
				token = int32((7919*i + 104729*(j-1) + 17) % (vocab - 2))
			}
			if j < length {
				kept = 1
			}
			tokens, mask = append(tokens, token), append(mask, kept)
		}
	}
	return tokens, mask
}

// ID implements [workloads.Workload].
func (w *Workload) ID() workloads.ID { return w.id }

// Dir implements [workloads.Workload].
func (w *Workload) Dir(ctx context.Context, progress transport.Progress) (string, error) {
	if w.dir != "" {
		return w.dir, nil
	}
	return workloads.RandomWeightsDir(ctx, w.id.Model, clip.NewCheckpoint, progress)
}

// Inputs implements [workloads.Workload]: "pixels", f32 [batch, 3, size, size];
// "tokens" and "mask", i32 [Candidates, Tokens].
func (w *Workload) Inputs() map[string]transport.Tensor { return w.inputs }

// Verify implements [workloads.Workload].
func (w *Workload) Verify(out workloads.Output) (float64, error) {
	return w.want.Verify(LogitsPerImage, out.Tensors[LogitsPerImage])
}

// Load implements [workloads.Workload].
func (w *Workload) Load(ctx context.Context, dir string) (workloads.Program, error) {
	m, err := clip.Load(ctx, dir, clip.LoadOptions{})
	if err != nil {
		return nil, err
	}
	return &program{w: w, model: m}, nil
}
