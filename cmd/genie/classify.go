package main

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/imaging"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
)

type classifyOptions struct {
	visionOptions

	top int
}

func (a *app) classifyCommand() *cobra.Command {
	var o classifyOptions
	cmd := &cobra.Command{
		Use:   "classify --model DIR --image FILE",
		Short: "Classify images",
		Long: `classify prints the likeliest labels of images. It runs in this process or on a
worker, and takes checkpoints in the Hugging Face layout of ` + titles(familiesThat(classifies)) + `.

Images are rotated by their orientation tag and preprocessed as the checkpoint's
preprocessor_config.json says. Several images run as one batch, with the same
numbers as each image alone.`,
		Example: `  genie classify --model ./resnet-50 --image cat.jpg --top 3
  genie classify --model ./resnet-50 --image a.png --image b.png --executor tcp://127.0.0.1:7070 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if o.top < 1 {
				return usagef("--top is %d, not at least 1", o.top)
			}
			return hashedAnew(func() error { return a.classify(cmd.Context(), o) })
		},
	}
	o.flags(cmd.Flags())
	cmd.Flags().IntVar(&o.top, "top", 5, "number of labels to show, likeliest first")
	return cmd
}

// classifyReport is what classify --json prints.
type classifyReport struct {
	Images []imageLabels `json:"images"`
	runReport
}

// imageLabels are the most likely classes of an image.
type imageLabels struct {
	File   string  `json:"file"`
	Labels []label `json:"labels"`
}

// label is a class with its softmax probability.
type label struct {
	ID          int     `json:"id"`
	Label       string  `json:"label"`
	Probability float64 `json:"probability"`
	Logit       float32 `json:"logit"`
}

func (a *app) classify(ctx context.Context, o classifyOptions) error {
	family, err := familyOf("classify", o.model, classifies)
	if err != nil {
		return err
	}
	pixels, err := o.pixels(ctx, imaging.Kind(family.ImageProcessor))
	if err != nil {
		return err
	}
	var names map[string]string
	out, run, err := a.look(ctx, &o.visionOptions, func(p transport.Progress) (*visionModel, error) {
		m, err := family.Load(ctx, o.model, workloads.FamilyOptions{
			Height: pixels.Height, Width: pixels.Width, Progress: p, Hashes: o.hashes, Logger: a.warnings(),
		})
		if err != nil {
			return nil, err
		}
		c := m.Classifier
		names = c.Labels
		return &visionModel{genie.Feed{c.Pixels: tensor(pixels)}, []*lazy.Tensor{c.Logits}, m.Close}, nil
	})
	if err != nil {
		return err
	}
	report := classifyReport{runReport: *run}
	for i, row := range slices.Collect(slices.Chunk(out[0], len(names))) {
		report.Images = append(report.Images, imageLabels{o.images[i], topLabels(row, names, o.top)})
	}
	if o.json {
		return a.printJSON(report)
	}
	for i, image := range report.Images {
		if err := a.printLabels(image, i, len(report.Images)); err != nil {
			return err
		}
	}
	a.ran(run, len(report.Images))
	return nil
}

// printLabels writes an image's labels, below its name if there are several.
func (a *app) printLabels(p imageLabels, i, images int) error {
	if images > 1 {
		between := ""
		if i > 0 {
			between = "\n"
		}
		if err := a.printf("%s%s\n", between, p.File); err != nil {
			return err
		}
	}
	for _, l := range p.Labels {
		if err := a.printf("%6.2f%%  %s\n", 100*l.Probability, l.Label); err != nil {
			return err
		}
	}
	return nil
}

// topLabels are the n most likely classes; ties keep their order.
func topLabels(logits []float32, names map[string]string, n int) []label {
	probability := softmax(logits)
	all := make([]label, len(logits))
	for i, logit := range logits {
		name, ok := names[strconv.Itoa(i)]
		if !ok {
			name = "class " + strconv.Itoa(i)
		}
		all[i] = label{i, name, probability[i], logit}
	}
	slices.SortStableFunc(all, func(a, b label) int { return cmp.Compare(b.Logit, a.Logit) })
	return all[:min(n, len(all))]
}

// softmax is exp(x) over its sum, in float64.
func softmax(x []float32) []float64 {
	top := float64(slices.Max(x))
	out := make([]float64, len(x))
	total := 0.0
	for i, v := range x {
		out[i] = math.Exp(float64(v) - top)
		total += out[i]
	}
	for i := range out {
		out[i] /= total
	}
	return out
}
