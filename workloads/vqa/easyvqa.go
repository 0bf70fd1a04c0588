package vqa

import (
	"context"
	"errors"
	"fmt"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/easyvqa"
)

// AnswerLogits is the name of the output of an easy-VQA network, f32
// [questions, answers].
const AnswerLogits = "logits"

// easyWorkload is multimodal-vqa on an easy-VQA network: several questions
// about each image.
type easyWorkload struct {
	id     workloads.ID
	dir    string
	want   workloads.Logits
	inputs map[string]transport.Tensor
}

var _ workloads.Workload = (*easyWorkload)(nil)

// easyVQA returns the workload of a reference.
func (s *stored) easyVQA(c *workloads.Checkpoint, want workloads.Logits, id workloads.ID) (*easyWorkload, error) {
	words, err := rows(s.Words, want.Rows)
	if err != nil {
		return nil, err
	}
	if len(s.Image) != want.Rows {
		return nil, fmt.Errorf("%w: %s: %d questions, %d are about an image", workloads.ErrReference, c.Label(), want.Rows, len(s.Image))
	}
	for _, i := range s.Image {
		if i < 0 || i >= CheckpointImages {
			return nil, fmt.Errorf("%w: %s: a question about image %d of %d", workloads.ErrReference, c.Label(), i, CheckpointImages)
		}
	}
	id.Batch = CheckpointImages
	pixels := workloads.Pixels(CheckpointImages, want.Size)
	for i := range pixels {
		pixels[i] *= easyPixelScale
	}
	return &easyWorkload{id: id, dir: c.Dir, want: want, inputs: map[string]transport.Tensor{
		"pixels": workloads.TensorF32(pixels, CheckpointImages, 3, want.Size, want.Size),
		"image":  workloads.TensorI32(s.Image, want.Rows),
		"words":  workloads.TensorI32(words, want.Rows, len(words)/want.Rows),
	}}, nil
}

// easyPixelScale scales the images to the range of this network; it is a power
// of two, so the values stay exact.
const easyPixelScale = 0.125

// ID implements [workloads.Workload].
func (w *easyWorkload) ID() workloads.ID { return w.id }

// Dir implements [workloads.Workload].
func (w *easyWorkload) Dir(context.Context, transport.Progress) (string, error) { return w.dir, nil }

// Inputs implements [workloads.Workload]: "pixels", f32 [images, 3, size, size];
// "image", i32 [questions]; "words", i32 [questions, words].
func (w *easyWorkload) Inputs() map[string]transport.Tensor { return w.inputs }

// Verify implements [workloads.Workload].
func (w *easyWorkload) Verify(out workloads.Output) (float64, error) {
	return w.want.Verify(AnswerLogits, out.Tensors[AnswerLogits])
}

// Load implements [workloads.Workload].
func (w *easyWorkload) Load(ctx context.Context, dir string) (workloads.Program, error) {
	m, err := easyvqa.Load(ctx, dir, easyvqa.LoadOptions{})
	if err != nil {
		return nil, err
	}
	return &easyProgram{w: w, model: m}, nil
}

type easyProgram struct {
	w     *easyWorkload
	model *easyvqa.Model
}

// Graph implements [workloads.Program].
func (p *easyProgram) Graph() *lazy.Graph { return p.model.Graph }

// Close implements [workloads.Program].
func (p *easyProgram) Close() error { return p.model.Close() }

// Open implements [workloads.Program].
func (p *easyProgram) Open(ctx context.Context, client *genie.Client) (workloads.Runner, error) {
	srg, err := client.Analyze(p.model.Graph)
	if err != nil {
		return nil, err
	}
	words := p.w.inputs["words"].Shape
	profile, err := srg.ProfileOf(plan.Bindings{"images": p.w.id.Batch, "questions": words[0], "words": words[1]})
	if err != nil {
		return nil, err
	}
	s, err := client.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Prepare(ctx, profile, p.model.Logits); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	feed := genie.Feed{}
	for name, t := range p.w.inputs {
		feed[name] = genie.FromTensor(t)
	}
	return &ranker{
		session: s, feed: feed, output: p.model.Logits, name: AnswerLogits, items: p.w.id.Batch,
	}, nil
}
