package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/imaging"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/clip"
	"github.com/genie-sdk/go/workloads/tokenizer"
)

type vqaOptions struct {
	visionOptions

	question, template string
	answers            []string
}

// Placeholders for the question and an answer in a template.
const (
	questionMark = "{question}"
	answerMark   = "{answer}"
)

func (a *app) vqaCommand() *cobra.Command {
	var o vqaOptions
	cmd := &cobra.Command{
		Use:   "vqa --model DIR --image FILE --question TEXT --answers A,B,C",
		Short: "Answer a question about an image",
		Long: `vqa ranks possible answers to a question about images. It takes a CLIP checkpoint
in the Hugging Face layout and runs in this process or on a worker.

The prompt template turns each answer into a text; the likeliest text wins.
Probabilities are relative to the given answers. Images are rotated by their
orientation tag and preprocessed as the checkpoint's preprocessor_config.json
says.`,
		Example: `  genie vqa --model ./clip-vit-base-patch32 --image cat.jpg --question "what animal is this?" --answers cat,dog,bird
  genie vqa --model ./clip --image a.png --prompt-template "a photo of a {answer}" --answers cat,dog --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return hashedAnew(func() error { return a.vqa(cmd.Context(), o) })
		},
	}
	o.flags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&o.question, "question", "", "question to answer (required if the template has {question})")
	f.StringSliceVar(&o.answers, "answers", nil, `possible answers, such as a,b,c; put one that has a comma in "quotes" (required)`)
	f.StringVar(&o.template, "prompt-template", "question: {question} answer: {answer}", "text for each answer, with {question} and {answer}")
	return cmd
}

// check finds missing and inconsistent flags.
func (o *vqaOptions) check() error {
	if err := o.visionOptions.check(); err != nil {
		return err
	}
	for i, answer := range o.answers {
		o.answers[i] = strings.TrimSpace(answer)
	}
	for i, answer := range o.answers {
		switch {
		case answer == "":
			return usagef("--answers has an empty one")
		case slices.Contains(o.answers[:i], answer):
			return usagef("--answers has %q twice", answer)
		}
	}
	switch asks := strings.Contains(o.template, questionMark); {
	case !strings.Contains(o.template, answerMark):
		return usagef("--prompt-template %q has no %s", o.template, answerMark)
	case asks && strings.TrimSpace(o.question) == "":
		return usagef("--question TEXT is missing")
	case !asks && o.question != "":
		return usagef("--prompt-template %q has no %s", o.template, questionMark)
	case len(o.answers) == 0:
		return usagef("--answers A,B,C is missing")
	}
	return nil
}

// vqaReport is what vqa --json prints.
type vqaReport struct {
	Question string         `json:"question"`
	Images   []imageAnswers `json:"images"`
	runReport
}

// imageAnswers are the answers for an image, most likely first.
type imageAnswers struct {
	File    string   `json:"file"`
	Answers []answer `json:"answers"`
}

// answer is one with its softmax probability among all.
type answer struct {
	Answer      string  `json:"answer"`
	Probability float64 `json:"probability"`
	Logit       float32 `json:"logit"`
}

func (a *app) vqa(ctx context.Context, o vqaOptions) error {
	if _, err := familyOf("vqa", o.model, func(f workloads.Family) bool { return f.Name == workloads.CLIP }); err != nil {
		return err
	}
	words, err := tokenizer.Load(o.model)
	if err != nil {
		return err
	}
	pixels, err := o.pixels(ctx, imaging.CLIP)
	if err != nil {
		return err
	}
	out, run, err := a.look(ctx, &o.visionOptions, func(p transport.Progress) (*visionModel, error) {
		m, err := clip.Load(ctx, o.model, clip.LoadOptions{Progress: p, Hashes: o.hashes, Logger: a.warnings()})
		if err != nil {
			return nil, err
		}
		feed, err := o.feed(m.Config, words, pixels)
		if err != nil {
			_ = m.Close()
			return nil, err
		}
		return &visionModel{feed, []*lazy.Tensor{m.LogitsPerImage}, m.Close}, nil
	})
	if err != nil {
		return err
	}
	report := vqaReport{Question: o.question, runReport: *run}
	for i, row := range slices.Collect(slices.Chunk(out[0], len(o.answers))) {
		report.Images = append(report.Images, imageAnswers{o.images[i], rankAnswers(row, o.answers)})
	}
	if o.json {
		return a.printJSON(report)
	}
	for i, image := range report.Images {
		shown := imageLabels{File: image.File}
		for _, best := range image.Answers {
			shown.Labels = append(shown.Labels, label{Label: best.Answer, Probability: best.Probability})
		}
		if err := a.printLabels(shown, i, len(report.Images)); err != nil {
			return err
		}
	}
	a.ran(run, len(report.Images))
	return nil
}

// feed is the model's inputs.
func (o *vqaOptions) feed(c clip.Config, words *tokenizer.Tokenizer, pixels imaging.Pixels) (genie.Feed, error) {
	if pixels.Height != c.Vision.Image || pixels.Width != c.Vision.Image {
		return nil, fmt.Errorf("%s: the images become %dx%d, the model takes %dx%d",
			o.model, pixels.Width, pixels.Height, c.Vision.Image, c.Vision.Image)
	}
	tokens, mask, seq, err := o.texts(c.Text, words)
	if err != nil {
		return nil, err
	}
	n := len(o.answers)
	return genie.Feed{"pixels": tensor(pixels), "tokens": genie.Int32s(tokens, n, seq), "mask": genie.Int32s(mask, n, seq)}, nil
}

// legacyEOS is the end token of a CLIP config that means the highest id.
const legacyEOS = 2

// texts are the prompts as tokens [answers, seq], padded to the longest. A
// prompt longer than the model's maximum is refused: truncation would cut off
// its answer.
func (o *vqaOptions) texts(c clip.TextConfig, words *tokenizer.Tokenizer) (tokens, mask []int32, seq int, err error) {
	if eos, ok := words.EOS(); !ok || int(c.EOS) != legacyEOS && eos != int(c.EOS) {
		return nil, nil, 0, fmt.Errorf("%s: config.json ends texts with token %d, tokenizer.json with %d", o.model, c.EOS, eos)
	}
	prompts := make([]string, len(o.answers))
	for i, answer := range o.answers {
		prompts[i] = strings.NewReplacer(questionMark, o.question, answerMark, answer).Replace(o.template)
		ids, err := words.Encode(prompts[i])
		if err != nil {
			return nil, nil, 0, fmt.Errorf("%q: %w", prompts[i], err)
		}
		if len(ids) > c.Positions {
			return nil, nil, 0, usagef("%q is %d tokens, the model reads %d", prompts[i], len(ids), c.Positions)
		}
		if top := slices.Max(ids); top >= c.Vocab {
			return nil, nil, 0, fmt.Errorf("%s: tokenizer.json has token %d, the model %d tokens", o.model, top, c.Vocab)
		}
		seq = max(seq, len(ids))
	}
	for _, prompt := range prompts {
		ids, on, err := words.EncodeFixed(prompt, seq)
		if err != nil {
			return nil, nil, 0, err
		}
		for i := range ids {
			tokens, mask = append(tokens, int32(ids[i])), append(mask, int32(on[i]))
		}
	}
	return tokens, mask, seq, nil
}

// rankAnswers sorts answers by likelihood; ties keep their order.
func rankAnswers(logits []float32, answers []string) []answer {
	probability := softmax(logits)
	all := make([]answer, len(logits))
	for i, logit := range logits {
		all[i] = answer{answers[i], probability[i], logit}
	}
	slices.SortStableFunc(all, func(a, b answer) int { return cmp.Compare(b.Logit, a.Logit) })
	return all
}
