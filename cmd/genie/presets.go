package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/clip"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/resnet"
)

// preset is an architecture that models lists and models new makes.
type preset struct {
	Name       string `json:"name"`
	Family     string `json:"family"` // gpt2, resnet or clip
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`  // of a float32 checkpoint
	Layers     int    `json:"layers"` // of a CLIP model: of both towers
	Hidden     int    `json:"hidden"` // the widest
	Heads      int    `json:"heads,omitempty"`
	Vocab      int    `json:"vocab,omitempty"`
	Context    int    `json:"context,omitempty"` // tokens
	Image      int    `json:"image,omitempty"`   // height and width
	Classes    int    `json:"classes,omitempty"`

	write func(ctx context.Context, preset string, seed uint64, dir string, opts workloads.CheckpointOptions) error
}

// presets are the architectures, by family, smallest first.
func presets() []preset {
	var list []preset
	for _, name := range []string{"gpt2-tiny", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"} {
		c, _ := gpt2.Preset(name)
		list = append(list, preset{
			Name: name, Family: "gpt2", Parameters: c.Parameters(), Layers: c.Layers, Hidden: c.Hidden, Heads: c.Heads,
			Vocab: c.Vocab, Context: c.Positions, write: gpt2.NewCheckpoint,
		})
	}
	for _, name := range resnet.Presets() {
		c, _ := resnet.Preset(name)
		list = append(list, preset{
			Name: name, Family: "resnet", Parameters: c.Parameters(), Layers: c.Layers(), Hidden: slices.Max(c.HiddenSizes),
			Image: 224, Classes: c.Classes(), write: resnet.NewCheckpoint,
		})
	}
	for _, name := range clip.Presets() {
		c, _ := clip.Preset(name)
		list = append(list, preset{
			Name: name, Family: "clip", Parameters: c.Parameters(), Layers: c.Text.Layers + c.Vision.Layers,
			Hidden: max(c.Text.Hidden, c.Vision.Hidden), Heads: c.Vision.Heads, Vocab: c.Text.Vocab, Context: c.Text.Positions,
			Image: c.Vision.Image, write: clip.NewCheckpoint,
		})
	}
	for i := range list {
		list[i].Bytes = 4 * list[i].Parameters
	}
	return list
}

// presetNamed finds one.
func presetNamed(name string) (preset, bool) {
	list := presets()
	i := slices.IndexFunc(list, func(p preset) bool { return p.Name == name })
	if i < 0 {
		return preset{}, false
	}
	return list[i], true
}

func presetNames() string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// takes says what a model reads.
func (p preset) takes() string {
	switch p.Family {
	case "resnet":
		return fmt.Sprintf("%dx%d images, %d classes", p.Image, p.Image, p.Classes)
	case "clip":
		return fmt.Sprintf("%dx%d images, %d tokens of %d", p.Image, p.Image, p.Context, p.Vocab)
	}
	return fmt.Sprintf("%d tokens of %d", p.Context, p.Vocab)
}
